"""What the measurement needs beside Python: load driver and mock upstream, and executables found by name.

Rule: nothing is installed and nothing is downloaded; what is missing is named.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE.parent / ".work"
"""Compiled tools, generated configurations and logs; ignored by git."""

VARIABLE = "ARCHFLOW_BENCH_PEERS"
"""Folders to look for peers in, separated as PATH is."""


class NotInstalled(Exception):
    """A peer or a tool is not on this machine; the text says what was looked for."""


def compiled(name: str) -> Path:
    """The executable of `name.c`, compiled if it is older than its source.

    Raises:
        NotInstalled: there is no C compiler.
    """
    source, program = HERE / f"{name}.c", WORK / name
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotInstalled(f"a C compiler for {source.name}: install gcc or clang")
    WORK.mkdir(exist_ok=True)
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", program, source], check=True)
    return program


class Search:
    """Finds what peers are made of, in the folders of a search path and on PATH."""

    def __init__(self, folders: list[Path]) -> None:
        named = [Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
        self.folders = [*folders, *named]

    def program(self, name: str) -> str:
        """An executable: from `FOLDER`, `FOLDER/bin`, beside this Python, or from PATH.

        Raises:
            NotInstalled: it is in none of them.
        """
        places = [place for folder in self.folders for place in (folder, folder / "bin")]
        places.append(Path(sys.executable).parent)
        found = shutil.which(name, path=os.pathsep.join(map(str, places))) or shutil.which(name)
        if found is None:
            raise NotInstalled(f"{name}: on PATH, or in a folder of {VARIABLE} or --find-in")
        return found

    def node_module(self, name: str, file: str) -> str:
        """A file of an npm package: from `FOLDER/node_modules`.

        Raises:
            NotInstalled: no folder has it.
        """
        for folder in self.folders:
            found = folder / "node_modules" / name / file
            if found.exists():
                return str(found)
        raise NotInstalled(f"{name}: in node_modules of a folder of {VARIABLE} or --find-in")
