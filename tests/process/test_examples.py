"""Every example compiles without errors, and what its README shows is what happens.

A `console` block of a README is a session: lines that begin with `$ ` are commands, the others are what they print,
where `...` stands for anything. The commands run in bash, in a copy of the folder, on free ports. `UPDATE=1` writes
what was printed into the README where it differs.
"""

from __future__ import annotations

import contextlib
import doctest
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import pytest

from archflow_plugins.local_models.cache import Cache
from process.harness import PATIENCE, ROOT, SCRIPTS, archc, eventually, free_port, refuses

pytestmark = pytest.mark.process

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/arch_config.yaml"))
NUMBERED = [folder for folder in EXAMPLES if folder.name[0].isdigit()]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("12000", "10000", "8000", "8001", "9901", "4318")
END = "<end of command>"


@dataclass(frozen=True)
class Step:
    """One command of a README and what it is said to print."""

    command: str
    printed: str


def steps(block: str) -> Iterator[Step]:
    """The commands of a block; one that ends in a backslash goes on in the next line."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    for part in parts:
        command, _, printed = re.sub(r"\\\n", "\0", part).partition("\n")
        yield Step(command.replace("\0", "\\\n"), printed)


class Session:
    """A bash in a copy of an example, with the example's ports replaced by free ones."""

    def __init__(self, example: Path, folder: Path) -> None:
        self.ports = {port: str(free_port()) for port in PORTS}
        self._folder = folder / example.name
        shutil.copytree(example, self._folder)
        for shared in (ROOT / "examples").glob("*.py"):
            shutil.copy(shared, folder)
        for file in (*folder.glob("*.py"), *self._folder.rglob("*")):
            if file.suffix in {".yaml", ".py"}:
                file.write_text(self.outer(file.read_text()))
        listens = re.search(r"^ +port: (\d+)", (example / "arch_config.yaml").read_text(), re.MULTILINE)
        self._port = listens[1] if listens else "12000"

    def outer(self, text: str) -> str:
        """A README's ports -> this session's."""
        return re.sub("|".join(rf"\b{port}\b" for port in PORTS), lambda found: self.ports[found[0]], text)

    def inner(self, text: str) -> str:
        """This session's ports -> the README's."""
        back = {ours: theirs for theirs, ours in self.ports.items()}
        return re.sub("|".join(rf"\b{port}\b" for port in back), lambda found: back[found[0]], text)

    def __enter__(self) -> Self:
        path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self._folder,
            env={
                "PATH": path,
                "HOME": str(self._folder),
                "LC_ALL": "C.UTF-8",
                "PYTHONUNBUFFERED": "1",
                "ARCHFLOW_CACHE": str(Cache().folder),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)
        self._pipe(self._bash.stdin).close()
        self._bash.wait(PATIENCE)
        self._pipe(self._bash.stdout).close()

    def run(self, command: str) -> str:
        """Run a command; returns what it printed. One in the background is waited for until it listens."""
        background = re.fullmatch(r"(.*[^&])&", command, re.DOTALL)
        line = self.outer(command)
        line = re.sub(r"\barchrun (?!--help)", f"archrun --admin 127.0.0.1:{self.ports['9901']} ", line)
        if background:
            line = line.removesuffix("&") + ("&" if ">" in line else ">>background.log 2>&1 &")
        stdin, stdout = self._pipe(self._bash.stdin), self._pipe(self._bash.stdout)
        stdin.write(f"{line}\necho '{END}'\n")
        stdin.flush()
        printed = ""
        impatient = threading.Timer(PATIENCE, os.killpg, (self._bash.pid, signal.SIGKILL))
        impatient.start()
        while not printed.endswith(f"{END}\n"):
            more = stdout.readline()
            assert more, f"{command!r} did not end within {PATIENCE:.0f} s, and printed {printed!r}"
            printed += more
        impatient.cancel()
        if background:
            named = re.search(r"--port (\d+)", command)
            fixed = {"agents.py": "8000", "collector.py": "4318"}
            port = (
                named[1]
                if named
                else next((port for name, port in fixed.items() if name in command), self._port)
            )
            eventually(lambda: not refuses(int(self.ports[port])), f"{command} listens", self._log)
        return self.inner(printed.removesuffix(f"{END}\n"))

    def _log(self) -> str:
        return (self._folder / "background.log").read_text(errors="replace")

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_it_compiles(folder: Path, tmp_path: Path) -> None:
    if (folder / "pyproject.toml").exists() and not _is_installed(folder):
        pytest.skip("its plugin is not installed; .ci/run installs it")
    _needs_its_models(folder)
    done = archc("compile", folder / "arch_config.yaml", "-o", tmp_path / "graph.bin")
    assert done.returncode == 0, done.stdout + done.stderr


def _needs_its_models(folder: Path) -> None:
    """Tests fetch nothing: a model of 93 MB is there when the quickstart ran before, as in .ci/run."""
    wanted = re.findall(r"model: local/(\S+)", (folder / "arch_config.yaml").read_text())
    if "type: agent" in (folder / "arch_config.yaml").read_text():
        wanted.append("minilm")  # the default router's
    here = {model.entry.name for model in Cache().installed()}
    if missing := set(wanted) - here:
        pytest.skip(f"not pulled: `archc models pull {' '.join(sorted(missing))}`")


def _is_installed(folder: Path) -> bool:
    import importlib.metadata
    import tomllib

    name = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
    return any(found.metadata["Name"] == name for found in importlib.metadata.distributions())


@pytest.mark.parametrize("folder", NUMBERED, ids=lambda folder: folder.name)
def test_its_readme_shows_what_happens(folder: Path, tmp_path: Path) -> None:
    _needs_its_models(folder)
    readme = folder / "README.md"
    text = readme.read_text()
    blocks = BLOCK.findall(text)
    assert blocks, f"{readme} shows no session: add a ```console block"
    wrong, at = [], 0
    with Session(folder, tmp_path) as session:
        for step in (step for block in blocks for step in steps(block)):
            printed = session.run(step.command)
            shown = f"$ {step.command}\n{step.printed}"
            at = text.index(shown, at)
            if not doctest.OutputChecker().check_output(step.printed, printed, doctest.ELLIPSIS):
                wrong.append(f"$ {step.command}\n--- the README says\n{step.printed}--- it prints\n{printed}")
                text = text[:at] + f"$ {step.command}\n{printed}" + text[at + len(shown) :]
            at += len(f"$ {step.command}\n")
    if wrong and os.environ.get("UPDATE"):
        readme.write_text(text)
    assert not wrong, "\n".join(wrong)


def test_every_example_is_listed() -> None:
    listed = (ROOT / "examples" / "README.md").read_text()
    missing = [folder.name for folder in EXAMPLES if f"({folder.name})" not in listed]
    assert not missing, f"add to examples/README.md: {', '.join(missing)}"
