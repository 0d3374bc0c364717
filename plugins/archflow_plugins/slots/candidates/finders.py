"""Which finder knows the candidates of which facet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from archflow_plugins.slots.candidates import counted, exact, free
from archflow_plugins.slots.candidates.candidate import Candidate
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.values import shaped
from archflow_plugins.slots.wants import Facet, Want

FINDERS: Mapping[Facet, Callable[[Want, Turn], Iterator[Candidate]]] = {
    "boolean": exact.booleans,
    "choice": exact.options,
    "number": counted.numbers,
    "currency": exact.currencies,
    "date": exact.dates,
    "time": exact.times,
    "email": exact.of_sort("email"),
    "url": exact.of_sort("url"),
    "phone": exact.phones,
    "code": exact.codes,
    "place": free.places,
    "name": free.names,
    "message": free.messages,
    "text": free.texts,
}
"""Objects have no finder: they are for a model."""


def candidates(want: Want, turn: Turn) -> list[Candidate]:
    """The pieces of a turn that fit a slot, best first."""
    finder = FINDERS.get(want.facet)
    found = [one for one in finder(want, turn) if _fits(want, one)] if finder else []
    found.sort(key=lambda one: (-one.score, one.start, -one.end))
    return found


def _fits(want: Want, one: Candidate) -> bool:
    return shaped(want.slot, [one.value] if want.many else one.value) is not None
