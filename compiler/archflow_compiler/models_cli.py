"""`archc models`: the local models, what is there of them, and how they get there.

Rule: the work is done by archflow_plugins.local_models; here are words, bars and exit codes.
Rule: progress goes to standard error and only to a terminal; what a command found goes to standard output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, assert_never

import click

from archflow_compiler.failing import Failed
from archflow_compiler.output import as_json, disk
from archflow_compiler.progress import shown

if TYPE_CHECKING:
    from archflow_plugins.local_models.cache import Cache, Model
    from archflow_plugins.local_models.catalogue import Entry, Quantization, Role, Source
    from archflow_plugins.local_models.sources import Progress
    from archflow_plugins.local_models.vectors import Vectors

Form = Literal["text", "json"]
ROLES = ("embedder", "guard", "language_model", "entailment")
STAGES = {"fetch": "fetching", "check": "checking", "convert": "converting"}
_QUANTIZATION = click.option(
    "--quantization",
    type=click.Choice(["int8", "float32"]),
    default="int8",
    show_default=True,
    help="How matrices are stored: int8 is smaller and faster, float32 exact.",
)
_FORCE = click.option("--force", is_flag=True, help="Make it anew although it is there.")


class Row(NamedTuple):
    """A model as `list`, `pull` and `convert` tell it to machines.

    Attributes:
        name: as a configuration asks for it, behind `local/`.
        state: `ready`, or `not pulled`.
        source: where its weights come from, in words.
        size: bytes on disk; 0 where it is not there.
    """

    name: str
    role: str
    state: str
    quantization: str = ""
    architecture: str = ""
    licence: str = ""
    source: str = ""
    folder: str = ""
    digest: str = ""
    size: int = 0
    summary: str = ""


class Verdict(NamedTuple):
    """What `verify` found of a model.

    Attributes:
        problems: in words; none if it is whole.
    """

    name: str
    quantization: Quantization
    digest: str
    folder: str
    problems: tuple[str, ...]


def _written(context: click.Context, _: click.Parameter, form: Form | None) -> None:
    """Take `--format` of the group or of a command; what stands last holds."""
    told = form or context.obj
    context.obj = "json" if getattr(told, "form", told) == "json" else "text"


_FORMAT = click.option(
    "--format", type=click.Choice(["text", "json"]), expose_value=False, is_eager=True, callback=_written,
    help="How findings are written.  [default: what archc was told]",
)  # fmt: skip


@click.group()
@_FORMAT
def models() -> None:
    """The models that run in the gateway's own process: which there are, which are here; and those of vendors.

    They lie in a folder of this user's cache; ARCHFLOW_CACHE names another one.
    """


@models.command("list")
@_FORMAT
@click.option("--provider", metavar="VENDOR", help="List a vendor's models instead, with sizes and prices.")
@click.pass_obj
def list_(form: Form, provider: str | None) -> None:
    """List the catalogue and the models of your own; or what is known of a vendor's models."""
    if provider:
        _of_vendor(form, provider)
        return
    cache = _cache()
    rows = _rows(cache)
    if form == "json":
        click.echo(as_json([row._asdict() for row in rows]), nl=False)
        return
    for row in rows:
        state = f"{row.state} ({row.quantization}, {row.size / 1e6:.0f} MB)" if row.folder else row.state
        click.echo(
            f"{row.name:<24} {row.role:<15} {state:<24} {row.licence or 'no licence stated':<14} {row.source}"
        )
        if row.summary:
            click.echo(f"{'':<24} {row.summary}")
    click.echo(f"\nin {cache.folder}")
    if found := _vectors(cache).kept().vectors:
        click.echo(f"beside {found:,} vectors of texts: `archc models vectors` tells more")


@models.command()
@_FORMAT
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_QUANTIZATION
@_FORCE
@click.pass_obj
def pull(form: Form, names: tuple[str, ...], quantization: Quantization, force: bool) -> None:
    """Fetch and convert models of the catalogue, where they are not there yet.

    A pull that broke off goes on where it was: what was fetched whole is not fetched again.
    """
    cache = _cache()
    made = []
    for name in names:
        with _bar() as tell:
            made.append(cache.ensure(cache.find(name), tell, quantization, force=force))
        _ready(form, made[-1])
    if form == "json":
        click.echo(as_json([_row(model)._asdict() for model in made]), nl=False)


@models.command()
@_FORMAT
@click.argument("source", metavar="PATH|hf:OWNER/NAME")
@click.option("--name", help="What to call it.  [default: after the file]")
@click.option(
    "--role", type=click.Choice(ROLES), help="What it is for.  [default: found out from its architecture]"
)
@click.option(
    "--revision", default="main", show_default=True, help="Of a hub's repository: a commit, tag or branch."
)
@click.option("--file", "file", default="", help="Of a hub's repository: one file, such as a .gguf.")
@click.option("--licence", default="", help="The licence of the model, for the record (an SPDX expression).")
@_QUANTIZATION
@_FORCE
@click.pass_obj
def convert(
    form: Form, source: str, name: str | None, role: Role | None, revision: str, file: str, licence: str,
    quantization: Quantization, force: bool,
) -> None:  # fmt: skip
    """Convert a model of your own, so that a configuration can say local/NAME.

    PATH is a .gguf, .safetensors or .onnx file, or a folder with one or with a CTranslate2 model. hf:OWNER/NAME is a
    repository of the Hugging Face hub and needs `pip install 'archflow[hub]'`.
    """
    from archflow_plugins.local_models.catalogue import Hub, Local

    cache = _cache()
    repository = source.removeprefix("hf:") if source.startswith("hf:") else ""
    found: Source = (
        Hub(repository=repository, revision=revision, file=file)
        if repository
        else Local(path=str(Path(source).expanduser().absolute()))
    )
    called = name or _called(Path(file or repository or source))
    with _bar() as tell:
        model = cache.adopt(found, called, role, tell, quantization, licence=licence, force=force)
    _ready(form, model)
    if form == "json":
        click.echo(as_json([_row(model)._asdict()]), nl=False)


@models.command()
@_FORMAT
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def verify(form: Form, names: tuple[str, ...]) -> None:
    """Read every byte of the models that are here, and say what was changed. Ends with 1 if anything was."""
    cache = _cache()
    verdicts = []
    wanted = {cache.find(name).name for name in names}
    there = [model for model in cache.installed() if not wanted or model.entry.name in wanted]
    for missing in wanted - {model.entry.name for model in there}:
        raise Failed(f"the model {missing} is not here", f"`archc models pull {missing}`")
    for model in there:
        with _bar() as tell:
            problems = cache.verify(model, tell)
        verdicts.append(
            Verdict(
                name=model.entry.name,
                quantization=model.manifest.asked,
                digest=model.digest,
                folder=str(model.folder),
                problems=problems,
            )
        )
    if form == "json":
        click.echo(as_json([verdict._asdict() for verdict in verdicts]), nl=False)
    elif not verdicts:
        click.echo(f"no model is in {cache.folder}: `archc models list` shows what can be", err=True)
    for verdict in verdicts if form == "text" else ():
        state = "is not what was made" if verdict.problems else f"is whole, sha256 {verdict.digest[:16]}"
        click.echo(f"{verdict.name} ({verdict.quantization}) {state}")
        for problem in verdict.problems:
            click.echo(f"  {problem}")
        if verdict.problems:
            click.echo(f"  next: {_pulling(verdict.name, verdict.quantization, force=True)}")
    if any(verdict.problems for verdict in verdicts):
        raise SystemExit(1)


@models.command()
@_FORMAT
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def remove(form: Form, names: tuple[str, ...]) -> None:
    """Delete models, and what was fetched for them."""
    cache = _cache()
    freed = 0
    for name in names:
        freed += cache.remove(name)
    if form == "json":
        click.echo(as_json({"removed": names, "freed": freed}), nl=False)
    else:
        click.echo(f"removed {', '.join(names)}: {freed / 1e6:.0f} MB are free again", err=True)


@models.command("vectors")
@_FORMAT
@click.option("--remove", "removing", is_flag=True, help="Delete them; the next compile embeds again.")
@click.pass_obj
def vectors(form: Form, removing: bool) -> None:
    """Tell what is kept of texts that were embedded, so that compiling again embeds only what is new."""
    kept = _vectors(_cache())
    found = kept.kept()
    freed = 0
    if removing:
        with disk(str(kept.path), "removed"):
            freed = kept.remove()
    if form == "json":
        click.echo(as_json({"file": str(kept.path), **found._asdict(), "freed": freed}), nl=False)
    elif removing:
        click.echo(f"removed {found.vectors:,} vectors: {freed / 1e6:.0f} MB are free again", err=True)
    else:
        click.echo(f"{found.vectors:,} vectors, {found.size / 1e6:.0f} MB, in {kept.path}")


@models.command()
@_FORMAT
@click.argument("name", required=False)
@_QUANTIZATION
@click.pass_obj
def path(form: Form, name: str | None, quantization: Quantization) -> None:
    """Print the folder of a model, or of the cache."""
    cache = _cache()
    folder = cache.folder
    if name:
        model = cache.get(cache.find(name), quantization)
        if model is None:
            raise Failed(
                f"the model {name} ({quantization}) is not here", f"`{_pulling(name, quantization)}`"
            )
        folder = model.folder
    if form == "json":
        click.echo(as_json({"path": str(folder)}), nl=False)
    else:
        click.echo(str(folder))


# words, bars, exit codes


def _of_vendor(form: Form, provider: str) -> None:
    from archflow_compiler import vendor_models

    found = vendor_models.models(provider)
    if form == "json":
        click.echo(as_json(found), nl=False)
        return
    for line in vendor_models.lines(found):
        click.echo(line)


def _cache() -> Cache:
    from archflow_plugins.local_models.cache import Cache

    return Cache()


def _pulling(name: str, quantization: Quantization, *, force: bool = False) -> str:
    from archflow_plugins.local_models.cache import command

    return command(name, quantization, force=force)


def _vectors(cache: Cache) -> Vectors:
    from archflow_plugins.local_models.vectors import Vectors

    return Vectors(cache.folder)


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    """A line that shows how far a model is; nothing where nobody watches."""
    with shown() as watch:
        yield lambda found: watch(f"{found.name}: {STAGES[found.stage]}", found.done, found.total)


def _ready(form: Form, model: Model) -> None:
    if form == "text":
        click.echo(
            f"local/{model.entry.name} is ready: {model.manifest.architecture}, {model.manifest.quantization}, "
            f"{model.size / 1e6:.0f} MB, sha256 {model.digest[:16]}",
            err=True,
        )


def _called(path: Path) -> str:
    """A name made of a file's or folder's."""
    stem = path.name if path.suffix.lower() not in {".gguf", ".safetensors", ".onnx"} else path.stem
    kept = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "-" for one in stem.lower())
    while "--" in kept:
        kept = kept.replace("--", "-")
    return kept.strip("._-")[:64] or "model"


def _rows(cache: Cache) -> list[Row]:
    there = cache.installed()
    names = {model.entry.name for model in there}
    rows = [_row(model) for model in there]
    rows += [
        Row(
            name=entry.name,
            role=entry.role,
            state="not pulled",
            architecture=entry.architecture,
            licence=entry.licence,
            source=_origin(entry),
            summary=entry.summary,
        )
        for entry in cache.known().values()
        if entry.name not in names
    ]
    return sorted(rows, key=lambda row: (row.name, row.quantization))


def _row(model: Model) -> Row:
    entry = model.entry
    return Row(
        name=entry.name,
        role=entry.role,
        state="ready",
        quantization=model.manifest.asked,
        architecture=entry.architecture,
        licence=entry.licence,
        source=_origin(entry),
        folder=str(model.folder),
        digest=model.digest,
        size=model.size,
        summary=entry.summary,
    )


def _origin(entry: Entry) -> str:
    from archflow_plugins.local_models.catalogue import Hub, Local, Package

    source = entry.source
    if isinstance(source, Package):
        return f"package {source.distribution} {source.version}"
    if isinstance(source, Local):
        return source.path
    if isinstance(source, Hub):
        return f"hf:{source.repository}@{source.revision}"
    assert_never(source)
