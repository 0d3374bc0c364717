"""A service of the user's own: addresses that take turns, and what is done when one of them fails.

An address that cannot be reached rests for a while, longer each time, and the next one is called instead; when all of
them rest, the one that will have rested first is tried. A call that may be repeated is, after a pause that doubles.

Rule: a call is sent again only if nothing of it can have arrived, or if its method may be repeated (RFC 9110 section
9.2.2).
Rule: where a call goes is the graph's affair; nothing that a conversation says changes it.
"""

from __future__ import annotations

import random
import zlib

import trio

from archflow_engine.ask import attempting, note
from archflow_engine.hub import monotonic
from archflow_engine.upstream.call import Headers
from archflow_engine.upstream.fetch import Fetched, fetch
from archflow_engine.upstream.pool import Pool
from archflow_schema.errors import UpstreamError

REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
OVERLOADED = frozenset({502, 503, 504})
"""Statuses that say that another try may go better."""
PAUSE = 0.025
"""Seconds before the first repetition, as Envoy has it."""
LONGEST_PAUSE = 1.0
REST = 1.0
"""Seconds that an address rests when it was not reached, the first time."""
LONGEST_REST = 30.0
AT_MOST = 4 << 20
"""Bytes of an answer."""


class _Address:
    """One address, and how it is."""

    def __init__(self, pool: Pool, authority: str) -> None:
        self.pool = pool
        self.authority = authority
        self.rests_until = 0.0
        self._failures = 0

    def failed(self) -> None:
        """It could not be reached."""
        self.rests_until = monotonic() + min(REST * 2**self._failures, LONGEST_REST)
        self._failures = min(self._failures + 1, 16)

    def answered(self) -> None:
        """It was reached."""
        self._failures = 0
        self.rests_until = 0.0


class PooledService:
    """The addresses of one service.

    Attributes:
        name: as configured, for records and messages.
    """

    def __init__(self, name: str, addresses: list[tuple[Pool, str]], *, host: str, affinity: bool) -> None:
        self.name = name
        self._addresses = [_Address(pool, host or authority) for pool, authority in addresses]
        self._affinity = affinity
        self._turn = -1

    async def call(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - it comes from the graph, and its end is an error of the service's
        retries: int,
        conversation: str,
    ) -> Fetched:
        """Call it and read the whole answer, whatever its status. Blocks; cancelled, the call is closed.

        Args:
            method: the HTTP method.
            target: path and query.
            headers: lower-case names, complete but for framing and trace context.
            body: the whole body.
            timeout: seconds for all of it, repetitions included.
            retries: how often a call that may be repeated is tried again.
            conversation: what stays the same in a conversation, for services that keep it with one address.

        Raises:
            UpstreamError: there is no answer.
        """
        deadline = trio.current_time() + timeout
        order = self._order(conversation)
        spare = len(order) - 1
        allowed = retries if method in REPEATABLE else 0
        tries = repetitions = 0
        while True:
            address = order[tries % len(order)]
            tries += 1
            left = max(0.0, deadline - trio.current_time())
            try:
                found = await self._once(address, method, target, headers, body, left)
            except UpstreamError as error:
                if error.unsent:
                    address.failed()
                    if spare > 0:
                        spare -= 1
                        continue
                if repetitions >= allowed or trio.current_time() >= deadline:
                    raise
            else:
                address.answered()
                if found.status not in OVERLOADED or repetitions >= allowed:
                    return found
            await _pause(repetitions)
            repetitions += 1

    async def _once(
        self,
        address: _Address,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes,
        timeout: float,  # noqa: ASYNC109
    ) -> Fetched:
        with attempting(self.name, "service") as (attempt, traced):
            ours = {name for name, _ in headers}
            found = await fetch(
                address.pool,
                target=target,
                authority=address.authority.encode("ascii"),
                headers=[*headers, *(line for line in traced if line[0] not in ours)],
                body=body,
                method=method.encode("ascii"),
                timeout=timeout,
                at_most=AT_MOST,
                once=method not in REPEATABLE,
            )
            note(attempt, found)
        return found

    def _order(self, conversation: str) -> list[_Address]:
        """The addresses in the order in which to try them: those that do not rest, from the one whose turn it is."""
        count = len(self._addresses)
        if self._affinity and conversation:
            first = zlib.crc32(conversation.encode("utf-8", "surrogatepass")) % count
        else:
            self._turn = first = (self._turn + 1) % count
        turned = self._addresses[first:] + self._addresses[:first]
        now = monotonic()
        awake = [one for one in turned if one.rests_until <= now]
        resting = sorted((one for one in turned if one.rests_until > now), key=lambda one: one.rests_until)
        return awake + resting


async def _pause(repetition: int) -> None:
    """Wait before a repetition, not all for the same time."""
    longest = min(PAUSE * 2**repetition, LONGEST_PAUSE)
    await trio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
