"""Where converted models lie on this machine, and how they get there: fetched, checked, converted, put in place.

    CACHE/models/NAME--QUANTIZATION--SHA/   model.bin config.json vocabulary.json tokenizer.json archflow-model.json
    CACHE/sources/...                       what was fetched, so that another conversion needs no network

Rule: a model's folder appears whole or not at all; what was half made lies under a name that nobody reads.
Rule: two processes that want the same model make it once; the second waits and finds it.
Rule: a model that is there is found without a lock and without writing, so a read-only cache serves.
Invariant: `Model.digest` covers every file that decides what the model answers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from archflow_plugins.local_models.catalogue import (
    HERE,
    Config,
    Entry,
    Limits,
    Pooling,
    Quantization,
    Role,
    Source,
    entries,
    pick,
)
from archflow_plugins.local_models.errors import (
    ModelChanged,
    ModelError,
    ModelUnavailable,
    ModelUnsupported,
    libraries,
)
from archflow_plugins.local_models.sources import Found, Progress, Tell, digest, fetch, kept
from archflow_schema.errors import os_reason
from archflow_schema.graph import LocalModel

if TYPE_CHECKING:
    from archflow_plugins.local_models.convert.folder import Converted

OVERRIDE = "ARCHFLOW_CACHE"
MANIFEST = "archflow-model.json"
CONVERSION = 1
"""Counts up whenever the same weights would be converted into other bytes; older outcomes are then made anew."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SEPARATOR = "--"


class File(Struct, frozen=True, kw_only=True):
    """A file of a converted model."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """archflow-model.json: what a folder holds and how it came to be.

    Attributes:
        entry: of the catalogue, or as the user named it.
        source_sha256: of the weights before conversion.
        conversion: the number of the way they were converted in.
        architecture: `bert`, `llama`, ...
        quantization: `int8`, `float32`, or `as it was`.
        asked: the quantisation that was asked for.
        hidden: the width of the model, the length of an embedding.
        context: the longest input that it was trained on; 0 where nobody says.
        template: the name of its chat template.
        pooling: how one vector is made of many.
        labels: the classes of its head.
        files: every other file of the folder, by name.
        digest: over the names and digests of those files.
    """

    entry: Entry
    source_sha256: str
    conversion: int
    architecture: str
    quantization: str
    asked: Quantization
    hidden: int = 0
    context: int = 0
    template: str = ""
    pooling: Pooling = "mean"
    labels: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    digest: str = ""


class Model(Struct, frozen=True, kw_only=True):
    """A model that is ready to be loaded.

    Attributes:
        folder: of CTranslate2, with tokenizer.json.
        manifest: what it holds.
    """

    folder: Path
    manifest: Manifest

    @property
    def entry(self) -> Entry:
        """Its entry, with what conversion found out where the entry is silent."""
        entry, made = self.manifest.entry, self.manifest
        dimension = entry.limits.dimension or (made.hidden if entry.role == "embedder" else 0)
        return msgspec.structs.replace(
            entry,
            architecture=entry.architecture or made.architecture,
            template=entry.template or made.template,
            pooling=entry.pooling or made.pooling,
            limits=Limits(max_tokens=entry.limits.max_tokens or made.context, dimension=dimension),
        )

    @property
    def digest(self) -> str:
        """Over every file that decides what it answers."""
        return self.manifest.digest

    @property
    def recorded(self) -> LocalModel:
        """What a graph keeps of it."""
        made = self.manifest
        return LocalModel(made.entry.name, made.digest, made.asked, made.conversion, self.size)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.manifest.files)


def default_folder() -> Path:
    """The folder of the cache: ARCHFLOW_CACHE, or where this platform keeps caches.

    Raises:
        ModelUnavailable: nobody knows where the user's folder is.
    """
    if override := os.environ.get(OVERRIDE):
        return Path(override).expanduser().absolute()
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ModelUnavailable(
            "there is no home folder to keep models in", fix=f"set {OVERRIDE} to a folder"
        ) from error
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "archflow"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given.startswith("/") else home / ".cache") / "archflow"


def ensure(entry: Entry, progress: Tell | None = None, quantization: Quantization = "int8") -> Model:
    """`Cache().ensure`: a model of the default cache, fetched and converted when needed."""
    return Cache().ensure(entry, progress, quantization)


def command(name: str, quantization: Quantization, *, force: bool = False) -> str:
    """What to type so that a model is there, or is made anew."""
    kind = "" if quantization == "int8" else f" --quantization {quantization}"
    return f"archc models pull {name}{kind}{' --force' if force else ''}"


class Cache:
    """The models of one folder.

    Attributes:
        folder: of the cache; by default `default_folder()`. It need not exist yet.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder.absolute()
        self._models = self.folder / "models"
        self._sources = self.folder / "sources"

    # looking

    def installed(self) -> tuple[Model, ...]:
        """Every model that is there, by name. A folder that is no model is passed over."""
        found = (_read(path) for path in sorted(self._models.glob(f"[!.]*{SEPARATOR}*")))
        return tuple(
            sorted((one for one in found if one), key=lambda one: (one.entry.name, one.manifest.asked))
        )

    def known(self) -> dict[str, Entry]:
        """The catalogue, and what the user brought; a user's name never hides one of the catalogue."""
        brought = {model.manifest.entry.name: model.manifest.entry for model in self.installed()}
        return {**brought, **entries()}

    def find(self, name: str) -> Entry:
        """An entry of the catalogue, or of a model that the user brought.

        Raises:
            UnknownModel: nothing has this name.
        """
        builtin = entries().get(name.removeprefix("local/"))
        return builtin or pick(name, self.known())

    def get(self, entry: Entry, quantization: Quantization = "int8") -> Model | None:
        """A model that is there already, whole as far as names and sizes tell; writes nothing."""
        for path in sorted(self._models.glob(f"{entry.name}{SEPARATOR}{quantization}{SEPARATOR}*")):
            model = _read(path)
            if (
                model is not None
                and model.manifest.conversion == CONVERSION
                and entry.sha256 in {"", model.manifest.source_sha256}
                and entry.adapter_sha256 == model.manifest.entry.adapter_sha256
                and not list(_missing(model))
            ):
                return model
        return None

    def load(self, name: str, expected: str, quantization: Quantization = "int8") -> Model:
        """A model that must be there and must be the one that was recorded. Reads every byte of it.

        Raises:
            ModelUnavailable: it is not there.
            ModelChanged: it is another one, or a file of it was changed.
        """
        model = self.get(self.find(name), quantization)
        if model is None:
            raise ModelUnavailable(
                f"the model {name} ({quantization}) is not in {self.folder}",
                fix=f"`{command(name, quantization)}`",
            )
        if model.digest != expected:
            raise ModelChanged(
                f"the model {name} in {self.folder} has the digest {model.digest[:16]}..., and {expected[:16]}... was "
                "recorded when it was compiled in",
                fix=f"compile again, or `{command(name, quantization, force=True)}`",
            )
        if found := self.verify(model):
            raise ModelChanged(
                f"the model {name}: {found[0]}; `{command(name, quantization, force=True)}` makes it anew"
            )
        return model

    def verify(self, model: Model, tell: Tell | None = None) -> tuple[str, ...]:
        """What is wrong with a model's files, in words; nothing if it is whole. Reads every byte of it."""
        wrong = list(_missing(model))
        done = 0
        for file in model.manifest.files:
            path = model.folder / file.name
            try:
                if path.stat().st_size == file.size and digest(path) != file.sha256:
                    wrong.append(f"{path} was changed after it was made")
            except FileNotFoundError:
                pass  # told by _missing
            except (OSError, ModelUnavailable) as error:
                wrong.append(str(error))
            done += file.size
            if tell is not None:
                tell(Progress(name=model.manifest.entry.name, stage="check", done=done, total=model.size))
        if _digest(model.manifest.files) != model.digest:
            wrong.append(f"{model.folder / MANIFEST} was changed after it was made")
        return tuple(wrong)

    # making

    def ensure(
        self,
        entry: Entry,
        progress: Tell | None = None,
        quantization: Quantization = "int8",
        *,
        force: bool = False,
    ) -> Model:
        """A model that is ready, fetched and converted when it is not there.

        Args:
            entry: of the catalogue, or made of a path or a hub's repository.
            progress: is told how far it is.
            quantization: `int8` is smaller and faster, `float32` exact.
            force: make it anew although it is there.

        Blocks: as long as fetching and converting take.

        Raises:
            ModelUnavailable: it cannot be fetched, or there is no room for it.
            ModelChanged: what was fetched is not what the catalogue knows.
            ModelCorrupt: its files are cut short.
            ModelUnsupported: its files are of a kind that cannot be converted.
        """
        _check_name(entry.name)
        if not force and (model := self.get(entry, quantization)):
            return model
        tell = progress or _nobody
        with self._locked(entry.name):
            if not force and (model := self.get(entry, quantization)):
                return model
            return self._make(entry, fetch(entry, self._sources, tell), tell, quantization)

    def adopt(
        self,
        source: Source,
        name: str,
        role: Role | None = None,
        progress: Tell | None = None,
        quantization: Quantization = "int8",
        *,
        licence: str = "",
        force: bool = False,
    ) -> Model:
        """Convert a model that the user brings and keep it under a name of its own.

        Args:
            source: where it is.
            name: what to call it.
            role: what it is for; None: what its architecture is mostly used for.
            progress: is told how far it is.
            quantization: how matrices are stored.
            licence: of the model, for the record.
            force: make it anew although it is there.

        Raises:
            ModelUnsupported: the name is taken; and as `ensure` does.
        """
        if name in entries():
            raise ModelUnsupported(f'"{name}" is a model of the catalogue', fix="give yours another name")
        _check_name(name)
        entry = Entry(name=name, role=role or "embedder", source=source, licence=licence)
        with self._locked(name):
            there = next((one for one in self.installed() if one.manifest.entry.name == name), None)
            if there and there.manifest.entry.source != source and not force:
                raise ModelUnsupported(
                    f'there is another model "{name}" already',
                    fix=f"`archc models remove {name}`, or --force",
                )
            found = fetch(entry, self._sources, progress or _nobody)
            model = self.get(entry, quantization)
            if model and model.manifest.source_sha256 == found.sha256 and not force:
                return model
            return self._make(entry, found, progress or _nobody, quantization, guess=role is None)

    def take(self, model: Model) -> Model:
        """Copy a model of another cache into this one, for a machine without a registry."""
        with self._locked(model.manifest.entry.name):
            target = self._models / model.folder.name
            if (here := _read(target)) and here.digest == model.digest and not self.verify(here):
                return here
            with self._work(target) as work:
                for name in (*(file.name for file in model.manifest.files), MANIFEST):
                    shutil.copyfile(model.folder / name, work / name)
            return Model(folder=target, manifest=model.manifest)

    def remove(self, name: str) -> int:
        """Delete a model in every quantisation, and what was fetched for it; returns the bytes that are free again.

        Raises:
            ModelUnavailable: it is not there, or not the user's to delete.
        """
        bare = name.removeprefix("local/")
        _check_name(bare)
        with self._locked(bare):
            paths = [*self._models.glob(f"{bare}{SEPARATOR}*"), *self._models.glob(f".{bare}{SEPARATOR}*")]
            entry = self.known().get(bare)
            if entry is not None:
                paths += [path for path in [kept(entry, self._sources)] if path and path.is_dir()]
            freed = sum(_size(path) for path in paths)
            if not paths:
                raise ModelUnavailable(
                    f'there is no model "{bare}" in {self.folder}', fix="`archc models list` shows what is"
                )
            for path in paths:
                shutil.rmtree(path)
        return freed

    def _make(
        self, entry: Entry, found: Found, tell: Tell, quantization: Quantization, *, guess: bool = False
    ) -> Model:
        target = self._models / SEPARATOR.join((entry.name, quantization, found.sha256[:16]))
        with self._work(target) as work:
            made = _convert(found.path, work, entry, quantization, tell)
            files = tuple(_described(path) for path in sorted(work.iterdir()))
            manifest = Manifest(
                entry=msgspec.structs.replace(entry, config=None, role=_role(made) if guess else entry.role),
                source_sha256=found.sha256,
                conversion=CONVERSION,
                architecture=made.architecture,
                quantization=made.quantization,
                asked=quantization,
                hidden=made.hidden,
                context=made.context,
                template=made.template,
                pooling=made.pooling,
                labels=made.labels,
                files=files,
                digest=_digest(files),
            )
            (work / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        for old in self._models.glob(f"{entry.name}{SEPARATOR}{quantization}{SEPARATOR}*"):
            if old != target:
                shutil.rmtree(old)
        return Model(folder=target, manifest=manifest)

    @contextlib.contextmanager
    def _work(self, target: Path) -> Iterator[Path]:
        """A folder that becomes the target when all went well, and disappears otherwise."""
        work = target.parent / f".{target.name}.part"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            yield work
            old = target.parent / f".{target.name}.old"
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.rename(old)
            work.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One process at a time for a model; what the disk says becomes an error for people."""
        try:
            self._models.mkdir(parents=True, exist_ok=True)
            with (self._models / f".{name}.lock").open("w", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise self._disk(error) from error

    def _disk(self, error: OSError) -> ModelError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return ModelUnavailable(
                f"no space left in {self.folder}: make room (`archc models remove NAME`), or set {OVERRIDE} to a "
                "folder on another disk"
            )
        where = error.filename or self.folder
        reason = os_reason(error)
        return ModelUnavailable(f"{where}: {reason}; set {OVERRIDE} to a folder that can be written")


def _nobody(_: Progress) -> None:
    """Progress that nobody watches."""


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or SEPARATOR in name:
        raise ModelUnsupported(
            f"{name!r} is no name for a model",
            fix="take small letters, digits, dots and single dashes, 64 at most",
        )


def _convert(path: Path, into: Path, entry: Entry, quantization: Quantization, tell: Tell) -> Converted:
    with libraries():
        from archflow_plugins.local_models.convert.folder import convert

    config: Config | None = entry.config
    return convert(
        path,
        into,
        quantization=quantization,
        config=config,
        vocabulary=HERE / entry.vocabulary if entry.vocabulary else None,
        adapter=_adapter(entry),
        tell=lambda done, total: tell(Progress(name=entry.name, stage="convert", done=done, total=total)),
    )


def _adapter(entry: Entry) -> Path | None:
    """The entry's corrections, checked."""
    if not entry.adapter:
        return None
    path = HERE / entry.adapter
    if digest(path) != entry.adapter_sha256:
        raise ModelChanged(
            f"{entry.name}: {path} has another digest than the catalogue knows: install archflow again"
        )
    return path


def _role(made: Converted) -> Role:
    """What a model is mostly used for, by what it is made of."""
    if made.template:
        return "language_model"
    return "entailment" if any("entail" in label.lower() for label in made.labels) else "embedder"


def _described(path: Path) -> File:
    return File(name=path.name, size=path.stat().st_size, sha256=digest(path))


def _digest(files: tuple[File, ...]) -> str:
    return hashlib.sha256("".join(f"{file.sha256}  {file.name}\n" for file in files).encode()).hexdigest()


def _read(folder: Path) -> Model | None:
    """The model of a folder, if its manifest can be read."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if any(Path(file.name).name != file.name for file in manifest.files):
        return None
    return Model(folder=folder, manifest=manifest)


def _missing(model: Model) -> Iterator[str]:
    """Files that are not there or of another size."""
    for file in model.manifest.files:
        path = model.folder / file.name
        try:
            size = path.stat().st_size
        except OSError:
            yield f"{path} is not there"
        else:
            if size != file.size:
                yield f"{path} is {size} bytes long, and was {file.size} when it was made"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
