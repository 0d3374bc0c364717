"""What each dialect does with each thing that a request can say, in Markdown: a generated part of schema/README.md.

Rule: written from the tables that the dialects are tested against; nothing is said here that they do not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archflow_compiler.reference.describe import cell
from archflow_plugins.kinds import Dialect
from archflow_plugins.translation import FEATURES, Becomes, Dropped, Place, Refused, Sent

BEGIN = "<!-- begin: written by `archc schema --dialects`; change the dialects' tables instead -->"
END = "<!-- end of dialects -->"


def markdown(dialects: Mapping[str, type[Dialect]]) -> str:
    """The tables of the dialects that are translated, by name."""
    translated = {name: kind for name, kind in sorted(dialects.items()) if kind.translates}
    return "\n".join([*_overview(translated), *_details(translated)]) + "\n"


def _overview(dialects: Mapping[str, type[Dialect]]) -> Iterator[str]:
    yield f"| what is said | {' | '.join(f'`{name}`' for name in dialects)} |"
    yield f"|---|{'---|' * len(dialects)}"
    for feature, one in FEATURES.items():
        marks = (_mark(kind.places[feature]) for kind in dialects.values())
        yield f"| `{feature}`: {cell(one.what)} | {' | '.join(marks)} |"
    yield ""


def _details(dialects: Mapping[str, type[Dialect]]) -> Iterator[str]:
    for name, kind in dialects.items():
        yield f"### {name}"
        yield ""
        yield "| what is said | where, or why not |"
        yield "|---|---|"
        for feature, place in kind.places.items():
            yield f"| `{feature}` | {cell(_told(place))} |"
        yield ""
        if kind.own:
            yield "Fields that no other dialect has, when the upstream speaks another one:"
            yield ""
            yield "| field | what becomes of it |"
            yield "|---|---|"
            for field, place in kind.own.items():
                yield f"| `{field}` | {cell(_told(place))} |"
            yield ""


def _mark(place: Place) -> str:
    match place:
        case Sent():
            return "yes" if place.exact else "converted"
        case Becomes():
            return "converted"
        case Dropped():
            return "dropped"
        case Refused():
            return "refused"


def _told(place: Place) -> str:
    match place:
        case Sent():
            foreign = f"; another provider's own is {_told(place.foreign)}" if place.foreign else ""
            return f"`{place.wire}`" + (f": {place.note}" if place.note else "") + foreign
        case Becomes():
            features = " or ".join(f"`{feature}`" for feature in place.features)
            return f"`{place.wire}`, as {features}" + (f": {place.note}" if place.note else "")
        case Dropped():
            return f"dropped: {place.why}"
        case Refused():
            harmless = " or ".join(f"`{value}`" for value in place.harmless)
            return f"refused: {place.why}" + (f"; {harmless} is taken" if harmless else "")
