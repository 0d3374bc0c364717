"""Kinds that a configuration chooses by name, with settings of their own beside the name: guards, routers.

Rule: a kind that nobody offers and settings that the kind does not have are findings, at their own place.
"""

from __future__ import annotations

from msgspec import Struct, structs

from archflow_compiler.decode import Decoder
from archflow_compiler.lower.draft import Draft
from archflow_compiler.tree import Mapping, Path
from archflow_plugins.contexts import Option
from archflow_plugins.kinds import Guard, Kind
from archflow_plugins.verdict import Side
from archflow_schema.errors import KindMissing
from archflow_schema.graph import Use
from archflow_schema.slots import Intent


def use(
    draft: Draft,
    family: str,
    named: str,
    name: str,
    at: Path,
    *,
    known: tuple[str, ...],
    entry: str,
    options: tuple[Option, ...] = (),
    intents: tuple[Intent, ...] = (),
    implied: dict[str, object] | None = None,
    side: Side = "input",
) -> Use | None:
    """Compile a use of a kind whose settings stand at `at`, beside the keys that are the configuration's own.

    Args:
        draft: the graph so far.
        family: of the kind, such as `guard`.
        named: what the configuration calls the kind, with or without its family.
        name: what messages call this use.
        at: where it stands.
        known: the keys there that are not the kind's.
        entry: what the names of its secrets begin with.
        options: what it chooses among.
        intents: whose slots it fills.
        side: for a guard: what it shall judge.
        implied: settings that the configuration says elsewhere, for kinds that have them and where they are not said.

    Returns:
        None if it cannot be used, which is reported.
    """
    dotted = named if named.startswith(f"{family}.") else f"{family}.{named}"
    try:
        kind: type[Kind] = draft.registry.kind(dotted)
    except KindMissing as error:
        draft.unit.error(
            "unknown-kind",
            str(error),
            draft.unit.places.value(*at, "kind"),
            fix="name the plugin that offers it under `plugins`; `archc plugins list` shows what is installed",
        )
        return None
    if issubclass(kind, Guard) and side not in kind.sides:
        judges, place = ("replies", "output_guards") if side == "input" else ("requests", "guards")
        draft.unit.error(
            "wrong-side",
            f"{dotted} judges {judges} only",
            draft.unit.places.value(*at, "kind"),
            fix=f"put it under `{place}`",
        )
        return None
    config = _settings(draft, kind, at, known)
    if config is None:
        return None
    config = structs.replace(
        config,
        **{
            key: value
            for key, value in (implied or {}).items()
            if key in config.__struct_fields__ and not draft.unit.places.said(*at, key)
        },
    )
    used = draft.use(kind, config, name, at, entry, options, intents, side=side)
    return None if used is None else used[0]


def _settings(draft: Draft, kind: type[Kind], at: Path, known: tuple[str, ...]) -> Struct | None:
    node = draft.unit.places.node(*at)
    if not isinstance(node, Mapping):  # nothing is said: the kind's defaults
        node = Mapping((), draft.unit.places.value(*at))
    before = draft.unit.report.errors
    decoder = Decoder(draft.unit.report, draft.unit.places, theirs=True)
    config = decoder.struct(node.without(*known), kind.config, at)
    return None if draft.unit.report.errors > before else config
