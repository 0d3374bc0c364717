"""Where an upstream is: names to addresses, remembered for a while.

Names are resolved by the system's resolver in a thread, never on the event loop. A failed look-up falls back to the
last good answer, so that a resolver's hiccup does not stop traffic.
"""

from __future__ import annotations

import ipaddress
import socket

import trio

from archflow_engine.hub import monotonic
from archflow_schema.errors import UpstreamRefused

FRESH = 30.0
"""Seconds for which an answer is used without asking again."""
Address = tuple[int, tuple[str, int]]


class Resolver:
    """The addresses of one host and port, in the order to try them."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._known: list[Address] = []
        self._asked = float("-inf")
        self._turn = 0
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return
        family = socket.AF_INET if literal.version == 4 else socket.AF_INET6
        self._known = [(family, (host, port))]
        self._asked = float("inf")

    def known(self) -> list[Address] | None:
        """Fresh addresses, rotated so that several are used in turn; None when the name must be resolved first."""
        if monotonic() - self._asked > FRESH:
            return None
        if len(self._known) > 1:
            self._turn = (self._turn + 1) % len(self._known)
            return self._known[self._turn :] + self._known[: self._turn]
        return self._known

    async def resolve(self) -> list[Address]:
        """Ask the system's resolver. Blocks until it answers.

        Raises:
            UpstreamRefused: the name is unknown, and always was.
        """
        try:
            found = await trio.socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (
            OSError,
            UnicodeError,
            RuntimeError,
        ) as error:  # IDNA forbids the name; or no thread can be had
            if not self._known:
                reason = getattr(error, "strerror", None) or error
                raise UpstreamRefused(f"the host {self.host} cannot be resolved: {reason}") from error
        else:
            self._known = list(dict.fromkeys((family, (place[0], place[1])) for family, *_, place in found))  # type: ignore[misc]
        self._asked = monotonic()
        return self._known
