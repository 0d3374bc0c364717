"""Sessions that stay with a model, so that its prompt cache is not lost: what is kept of one, and when it may move.

A client names its session in a header. Without a budget a session stays with the model that was chosen first. With one
the router is asked each time, and a session moves when the router is sure enough of another model and the move is
affordable: all moves together may cost so many per cent of what the session would have cost by staying.

Rule: cost counts input only, for what a model will answer is not known beforehand; without prices a move is free.
Rule: a store that fails has kept nothing; a request is never refused for it.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct, structs

from archflow_plugins.kinds import Store
from archflow_schema.graph import Sessions as Stored

AFFINITY = "x-model-affinity"
"""The client's header that names its session."""
PERCENT = "x-arch-max-switch-spend-pct"
"""The client's header that sets how many per cent this session's moves may cost."""
MILLION = 1_000_000


class Pin(Struct, frozen=True, array_like=True):
    """What is kept of a session.

    Attributes:
        model: with whom it is.
        option: the route that was chosen.
        first: the model that it would have stayed with.
        stay: US dollars that it would have cost so far to stay there.
        spent: US dollars that moves have cost more than staying.
    """

    model: str
    option: str
    first: str
    stay: float = 0.0
    spent: float = 0.0


class Moved(Struct, frozen=True):
    """Whether a session moves, and what is kept of it then."""

    moves: bool
    pin: Pin


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Pin).decode


class Sessions:
    """The sessions of one graph, in a store."""

    def __init__(self, stored: Stored, store: Store) -> None:
        self.tenant = stored.tenant
        self.budget = stored.budget
        self._seconds = stored.seconds
        self._store = store
        self._prices = (
            {model: (price, cached) for model, price, cached in stored.budget.prices} if stored.budget else {}
        )

    async def recall(self, session: str, tenant: str) -> Pin | None:
        """What is kept of a session. Blocks while the store looks."""
        kept = await self._store.get(_key(session, tenant))
        try:
            return None if kept is None else _decode(kept)
        except msgspec.MsgspecError:
            return None  # of another version

    async def keep(self, session: str, tenant: str, pin: Pin) -> None:
        """Keep it from now on. Blocks while the store writes."""
        await self._store.put(_key(session, tenant), _encode(pin), self._seconds)

    def judge(
        self, pin: Pin, model: str, option: str, confidence: float, tokens: int, percent: float | None
    ) -> Moved:
        """Whether a session moves to another model.

        Args:
            pin: the session.
            model: what the router would choose now.
            option: the route that it found.
            confidence: how sure it is.
            tokens: of the request, which the other model has to read without a cache.
            percent: how many per cent moves may cost, if the client says so.
        """
        budget = self.budget
        if budget is None:
            return Moved(moves=False, pin=pin)
        stay = pin.stay + tokens * self._cached(pin.first) / MILLION
        stayed = structs.replace(pin, stay=stay)
        if model == pin.model or not model:
            return Moved(moves=False, pin=structs.replace(stayed, option=option or pin.option))
        if confidence < budget.confidence:
            return Moved(moves=False, pin=stayed)
        moved = structs.replace(stayed, model=model, option=option)
        if model not in self._prices or pin.model not in self._prices:
            return Moved(moves=True, pin=moved)
        cost = tokens * (self._prices[model][0] - self._cached(pin.model)) / MILLION
        allowed = (budget.percent if percent is None else percent) / 100 * stay
        if cost > 0 and pin.spent + cost > allowed:
            return Moved(moves=False, pin=stayed)
        if budget.anew:
            return Moved(moves=True, pin=Pin(model, option, model))
        return Moved(moves=True, pin=structs.replace(moved, spent=pin.spent + max(0.0, cost)))

    def _cached(self, model: str) -> float:
        """What a million cached tokens cost."""
        price, cached = self._prices.get(model, (0.0, 0.0))
        assert self.budget is not None  # noqa: S101 - there are no prices without one
        return cached if cached >= 0 else price * self.budget.discount


def _key(session: str, tenant: str) -> str:
    """The key of a session: as long as any other, and nobody's name."""
    told = f"{len(tenant)}:{tenant}{session}".encode("utf-8", "surrogateescape")
    return "session:" + hashlib.blake2b(told, digest_size=16).hexdigest()
