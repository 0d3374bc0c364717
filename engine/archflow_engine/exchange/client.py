"""What an exchange asks of the front: where its reply goes.

Rule: a front knows how bytes reach its client; an exchange never asks whether that is HTTP/1.1 or HTTP/2.
"""

from __future__ import annotations

from typing import Protocol

from archflow_engine.upstream.call import Headers


class Client(Protocol):
    """The front's side of one exchange: where its reply goes."""

    protocol: str
    peer: str

    def start(
        self, status: int, headers: Headers, data: bytes, end: bool, length: int | None, raw: bytes = b""
    ) -> None:
        """Send the head, with what is known of the body.

        Args:
            status: of the reply.
            headers: lower-case, end-to-end.
            data: the body, as far as it is known.
            end: whether that is all of it.
            length: of the whole body, if that is known.
            raw: headers that come first, as HTTP/1.1 lines.
        """

    def write(self, data: bytes, end: bool) -> int:
        """Send more of the body. Returns how many bytes the client has not taken yet."""

    def abort(self) -> None:
        """Cut the reply so that the client can tell it is not whole."""

    def over(self) -> None:
        """The exchange is finished; the next may begin."""
