"""The model that a request names: by provider hint, by name or alias, by wildcard, or the default one; or none, so that
a router chooses.

A hint that nobody knows is passed over, as it is only a hint. What is unknown is refused with the names that come
close, or goes to the default model if the graph says so.

Rule: everything is looked up in tables that were made at compile time.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from archflow_schema.graph import Route
from archflow_schema.suggest import LONGEST, did_you_mean

HINT = b"x-arch-llm-provider-hint"
CUTOFF = 0.5
"""How close a model's name must be to be suggested: vendors, sizes and dates make names long."""
UNNAMED = frozenset({"", "none", "auto", "default"})
"""What a client may say instead of a model's name; Arch's own examples send "none"."""


class Named(Struct, frozen=True):
    """What was found.

    Attributes:
        outcome: of the route: `model:<name>`, unknown, or choose.
        model: as `/v1/models` names it; empty if there is none.
        reason: why this one: name, alias, hint, wildcard, default or preference.
        suffix: what follows a wildcard's prefix.
    """

    outcome: str
    model: str = ""
    reason: str = ""
    suffix: str = ""


CHOOSE = Named("choose")
UNKNOWN = Named("unknown")


class Names:
    """The tables of one route.

    Attributes:
        plain: what is found for a request that says nothing but one of these names.
    """

    def __init__(self, route: Route) -> None:
        self._names = {asked: Named(f"model:{model}", model, reason) for asked, model, reason in route.names}
        self._wildcards = tuple(sorted(route.wildcards, key=lambda item: -len(item[0])))
        default = route.default
        self._default = Named(f"model:{default}", default, "default") if default else None
        self._routed = frozenset(route.routed)
        self.plain = {asked: found for asked, found in self._names.items() if asked not in self._routed}
        self._rest = self._default if route.unknown == "default" and self._default is not None else UNKNOWN

    def hinted(self, hint: str) -> Named | None:
        """The model of a provider hint; None for a hint that is passed over."""
        found = self._find(hint.strip())
        return None if found is None else structs.replace(found, reason="hint")

    def named(self, asked: str, *, chosen: Sequence[str] = (), brings: bool = False) -> Named:
        """The model of a request without a hint.

        Args:
            asked: the name that it says.
            chosen: what a router chose of the request's own models, best first; it stands before the name.
            brings: whether the request brings preferences of its own.
        """
        if self._routed and (asked in self._routed or brings):
            return CHOOSE
        for one in chosen:
            found = self._find(one)
            if found is not None:
                return structs.replace(found, reason="preference")
        return self._find(asked) or self._rest

    def _find(self, asked: str) -> Named | None:
        found = self._names.get(asked)
        if found is not None:
            return found
        for prefix, model in self._wildcards:
            if asked.startswith(prefix) and len(asked) > len(prefix):
                return Named(f"model:{model}", model, "wildcard", asked[len(prefix) :])
        return self._default if asked in UNNAMED else None

    def explain(self, asked: str) -> str:
        """Why a name is refused, for the client."""
        if asked in UNNAMED:
            return "no model specified in the request, and no default model is configured"
        hint = did_you_mean(asked, self._names, cutoff=CUTOFF, mark="") or "GET /v1/models lists the models"
        return f"the requested model '{asked[:LONGEST]}' does not exist; {hint}"
