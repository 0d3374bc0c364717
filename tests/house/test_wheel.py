"""What an installation contains: our four packages, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile

import pytest

from house_tree import PACKAGES, ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_build_lists_our_four_packages():
    listed = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert listed == [f"{folder}/{package}" for folder, package in PACKAGES.items()]


def test_built_ins_come_by_the_entry_point_group_of_strangers():
    assert PYPROJECT["project"]["entry-points"] == {"archflow": {"archflow": "archflow_plugins.builtins"}}


def test_the_wheel_holds_only_them(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; .ci/run installs it")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES.values())
    assert "archflow_plugins/tracers/genai.toml" in names
    assert "archflow_plugins/template/guard/module.py.tmpl" in names
    assert not [name for name in names if "test_" in name and not name.endswith(".tmpl")]
