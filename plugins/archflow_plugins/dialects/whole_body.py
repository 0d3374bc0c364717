"""The body of a whole reply: gathered while it comes, read when all of it is there.

Rule: memory is bounded: a body that is larger than the limit is no reply.
"""

from __future__ import annotations

from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import Event

LARGEST = 32 * 1024 * 1024
"""Bytes of a whole reply."""


class WholeBody:
    """Gathers a body in portions of any size; a decoder of whole replies derives from it, and reads in `end`."""

    def __init__(self) -> None:
        self._portions: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """No events: they are known at the end.

        Raises:
            UpstreamProtocolError: it is too large.
        """
        self._size += len(data)
        if self._size > LARGEST:
            raise UpstreamProtocolError(f"the upstream's reply is larger than {LARGEST} bytes")
        self._portions.append(data)
        return []

    def body(self) -> bytes:
        """All of it; it is not kept any longer."""
        portions, self._portions = self._portions, []
        return portions[0] if len(portions) == 1 else b"".join(portions)
