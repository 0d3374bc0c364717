"""What a supervisor and its workers say to each other, over a socket pair: one JSON object a line.

The supervisor asks, the worker answers each question in turn; a worker first says that it serves, or why it cannot.
"""

from __future__ import annotations

import msgspec
import trio
from msgspec import Struct

from archflow_engine.metrics import Snapshot

LONGEST = 64 << 20


class Serving(Struct, frozen=True, tag="serving"):
    """The worker serves the graph of this digest."""

    digest: str


class Refused(Struct, frozen=True, tag="refused"):
    """The worker cannot serve it; the text says why."""

    reason: str


class Numbers(Struct, frozen=True, tag="numbers"):
    """The worker's metrics, label values joined by NUL, as JSON has only string keys."""

    values: dict[str, dict[str, float]]
    histograms: dict[str, dict[str, list[float]]]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Numbers:
        """A snapshot in the form that travels."""
        return cls(
            {
                name: {"\0".join(labels): value for labels, value in by.items()}
                for name, by in snapshot.values.items()
            },
            {
                name: {"\0".join(labels): value for labels, value in by.items()}
                for name, by in snapshot.histograms.items()
            },
        )

    def snapshot(self) -> Snapshot:
        """Back from the form that travels."""
        return Snapshot(
            {name: {_labels(key): value for key, value in by.items()} for name, by in self.values.items()},
            {
                name: {_labels(key): value for key, value in by.items()}
                for name, by in self.histograms.items()
            },
        )


class AskNumbers(Struct, frozen=True, tag="ask_numbers"):
    """Tell your metrics."""


class Swap(Struct, frozen=True, tag="swap"):
    """Serve the graph at this path from now on."""

    path: str


Answer = Serving | Refused | Numbers
Question = AskNumbers | Swap


def _labels(key: str) -> tuple[str, ...]:
    return tuple(key.split("\0")) if key else ()


class Line:
    """One end of the pair."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def send(self, message: Answer | Question) -> None:
        """Say something. Blocks until it is written. Raises trio.BrokenResourceError when the other end is gone."""
        await self._stream.send_all(msgspec.json.encode(message) + b"\n")

    async def question(self) -> Question | None:
        """The next question; None when the supervisor is gone. Blocks."""
        line = await self._line()
        return msgspec.json.decode(line, type=Question) if line else None

    async def answer(self) -> Answer | None:
        """The next answer; None when the worker is gone. Blocks."""
        line = await self._line()
        return msgspec.json.decode(line, type=Answer) if line else None

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST:
                return b""
            try:
                data = await self._stream.receive_some(65_536)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return b""
            if not data:
                return b""
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    async def close(self) -> None:
        """Close this end."""
        await self._stream.aclose()
