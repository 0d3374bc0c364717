"""Wheels of what is installed: whole, installable without an index, the same each time."""

import subprocess
import sys
import zipfile
from importlib import metadata

import pytest

from archflow_compiler import wheels
from archflow_schema.errors import ArchflowError


def install(folder, name="thing", *, requires=(), direct=None, record=True):
    """A distribution as an installer leaves it, on a path."""
    package, info = folder / name, folder / f"{name}-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("VALUE = 7\n")
    (package / "a,b.txt").write_text("odd name\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"0")
    lines = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        *(f"Requires-Dist: {one}\n" for one in requires),
    ]
    (info / "METADATA").write_text("".join(lines))
    (info / "WHEEL").write_text(
        "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n"
    )
    (info / "entry_points.txt").write_text(f"[console_scripts]\n{name} = {name}:main\n")
    (info / "INSTALLER").write_text("pip\n")
    if direct:
        (info / "direct_url.json").write_text(direct)
    files = [
        f"{name}/__init__.py,,",
        f'"{name}/a,b.txt",,',
        f"{name}/__pycache__/x.pyc,,",
        f"../../../bin/{name},,",
    ]
    files += [f"{info.name}/{one.name},," for one in info.iterdir()] + [f"{info.name}/RECORD,,"]
    if record:
        (info / "RECORD").write_text("\n".join(files) + "\n")


def test_a_wheel_is_installed_without_an_index(tmp_path, monkeypatch):
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (path,) = wheels.pack(["thing"], tmp_path / "wheels")
    assert path.name == "thing-1.0-py2.py3-none-any.whl"
    names = set(zipfile.ZipFile(path).namelist())
    assert names == {
        "thing/__init__.py", "thing/a,b.txt",
        *(f"thing-1.0.dist-info/{one}" for one in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")),
    }  # fmt: skip
    target = tmp_path / "target"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", path.parent, "--target", target,
         "thing"], check=True,
    )  # fmt: skip
    assert (target / "thing" / "a,b.txt").read_text() == "odd name\n"
    assert (target / "bin" / "thing").exists()


def test_the_same_files_give_the_same_bytes(tmp_path):
    (one,) = (path for path in wheels.pack(["click"], tmp_path / "a") if path.name.startswith("click"))
    (two,) = (path for path in wheels.pack(["click"], tmp_path / "b") if path.name.startswith("click"))
    assert one.read_bytes() == two.read_bytes()


def test_what_is_needed_here_and_now(tmp_path, monkeypatch):
    install(
        tmp_path,
        "thing",
        requires=["Other_Thing[more]>=1", 'never; sys_platform == "nowhere"', 'x; extra == "x"'],
    )
    install(tmp_path, "other_thing", requires=['click; extra == "more"', "thing"])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert wheels.closure(["thing"]) == ["click", "other-thing", "thing"]


@pytest.mark.parametrize(
    "how", [{"direct": '{"dir_info": {"editable": true}, "url": "file:///x"}'}, {"record": False}]
)
def test_what_has_no_files_of_its_own_is_refused(tmp_path, monkeypatch, how):
    install(tmp_path, **how)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ArchflowError, match=r"thing 1\.0 is not installed as files of its own"):
        list(wheels.pack(["thing"], tmp_path / "wheels"))


def test_what_is_not_installed_is_named(tmp_path):
    with pytest.raises(ArchflowError, match="the package no-such-thing is not installed"):
        list(wheels.pack(["no-such-thing"], tmp_path))
    assert wheels.version("click") == metadata.version("click")
