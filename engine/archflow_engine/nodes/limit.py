"""Charges an estimate of a request's tokens to the quotas that apply, and settles it when the reply tells the truth.

Rule: a credential that tells clients apart is told to nobody: not to the store, nor in what a client and the log read.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from archflow_engine.log import is_secret
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Admission, Store
from archflow_schema.graph import Quota

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.exchange.asked import Asked

SELECTOR = b"x-arch-ratelimit-selector"
"""The client's header that names the header with the rate-limit subject."""
LONGEST = 128
"""Characters of a subject that are kept as they are: a store holds a great many, of whatever strangers send."""


class LimitNode(Runner):
    """Token quotas of one model, in a store that answers at once."""

    def __init__(self, name: str, model: str, quotas: tuple[Quota, ...], store: Store) -> None:
        super().__init__(name)
        self._model = model
        self._quotas = quotas
        self._store = store

    def run(self, exchange: Exchange) -> Runner | None:
        applying = self._applying(exchange)
        cost = exchange.estimate() if applying else 0
        for quota, key in applying:
            admission = self._store.charge_nowait(key, cost, quota.tokens, quota.period)
            following = self._decide(exchange, quota, key, cost, admission)
            if following is not None:
                return following
        return self.edges["admitted"]

    def _applying(self, exchange: Exchange) -> list[tuple[Quota, str]]:
        """The quotas that this request falls under, with the key of its bucket."""
        named = exchange.request.fields.get(SELECTOR)
        if named is None:
            return []
        header, value = _subject(exchange, named)
        return [
            (quota, f"{self._model}\n{header}\n{_kept(header, value)}")
            for quota in self._quotas
            if value and quota.key.lower() == header and quota.value in {"", value}
        ]

    def _decide(
        self, exchange: Exchange, quota: Quota, key: str, cost: int, admission: Admission
    ) -> Runner | None:
        if admission.admitted:
            exchange.charges.append((self, quota, key, cost))
            return None
        header, value = _subject(exchange, exchange.request.fields[SELECTOR])
        shown = "***" if is_secret(header) else value
        exchange.error = (
            f"exceeded limit provider={self._model}, selector={header}: {shown}, tokens_used={cost} "
            f"(limit {quota.tokens} tokens in {quota.period} s)"
        )
        if math.isfinite(admission.retry_after):
            exchange.reply_headers.append((b"retry-after", b"%d" % max(1, math.ceil(admission.retry_after))))
        exchange.refund()
        return self.edges["exceeded"]

    def settle(self, exchange: Asked, quota: Quota, key: str, difference: float) -> None:
        """Correct a charge."""
        self._store.settle_nowait(key, difference, quota.tokens, quota.period)


class WaitingLimitNode(LimitNode):
    """The same, in a store behind a network."""

    waits = True

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        applying = self._applying(exchange)
        cost = exchange.estimate() if applying else 0
        for quota, key in applying:
            admission = await self._store.charge(key, cost, quota.tokens, quota.period)
            following = self._decide(exchange, quota, key, cost, admission)
            if following is not None:
                return following
        return self.edges["admitted"]

    def settle(self, exchange: Asked, quota: Quota, key: str, difference: float) -> None:
        """Correct a charge, in a task of its own: the exchange is over and waits for nobody."""
        exchange.plan.hub.spawn(self._settle, exchange, quota, key, difference)

    async def _settle(self, exchange: Asked, quota: Quota, key: str, difference: float) -> None:
        try:
            await self._store.settle(key, difference, quota.tokens, quota.period)
        except Exception as error:  # noqa: BLE001 - a store that is down must not end the worker
            exchange.plan.hub.trouble(error)


def _subject(exchange: Exchange, named: bytes) -> tuple[str, str]:
    """The header that a client named, and what it holds."""
    header = named.decode("latin-1").strip().lower()
    return header, exchange.request.fields.get(header.encode("latin-1"), b"").decode("latin-1")


def _kept(header: str, value: str) -> str:
    """A subject in the key of its bucket."""
    if len(value) <= LONGEST and not is_secret(header):
        return value
    return hashlib.sha256(value.encode("latin-1")).hexdigest()
