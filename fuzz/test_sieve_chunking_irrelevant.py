"""Invariant: a filter of replies gets whole events, as soon as they are, once and in order, wherever reads end.

For streams of lines, with any of their line ends, and for binary frames; what the filter gives is what the client gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archflow_engine.sieve import Sieve
from archflow_engine.upstream.call import ReplyHead
from archflow_plugins.framing.aws_event_stream import encode, encode_headers
from archflow_plugins.kinds import Dialect, Empty
from archflow_plugins.record import Record
from archflow_plugins.registry import Registry
from archflow_plugins.testing import run_context

LINES = st.sampled_from(
    ["data: {}", 'data: {"id":"1"}', "event: x", ": ping", "data:", "data: \u00e9", "id: 7"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def dialect(name: str) -> Dialect:
    kind = Registry.load().kind(f"dialect.{name}")
    assert issubclass(kind, Dialect)
    return kind(Empty(), run_context("x"))


SSE, FRAMES = dialect("openai_chat"), dialect("bedrock_converse")


class Recorder:
    """An exchange, a filter and its stage, of which a sieve needs no more than this."""

    def __init__(self, speaks: Dialect) -> None:
        self.dialect = speaks
        self.translation = None
        self.over = False
        self.record = Record(
            "r", "t", "s", "", "", False, 0, "l", "POST", "/", "HTTP/1.1", "", "", "", "", ""
        )
        self.filtered: list[bytes] = []
        self.told: list[bytes] = []
        self.ends = 0

    def stage(self, _: object, __: object) -> Recorder:
        return self

    def feed(self, portions: Sequence[bytes]) -> Sequence[bytes]:
        self.filtered += portions
        return [b"<%b>" % one for one in portions]

    def reply(self, _: object, data: bytes, end: bool) -> None:
        self.told.append(data)
        self.ends += end

    def heard(self) -> None:
        """The upstream lives."""

    def sieve(self) -> Sieve:
        exchange: Any = self
        return Sieve(exchange, [exchange])


def relayed(speaks: Dialect, said: bytes, cuts: Sequence[int], end: bytes = b"") -> Recorder:
    """A stream in portions that end at the cuts; with an `end` of events, whatever is whole has gone on each time."""
    recorder = Recorder(speaks)
    sieve = recorder.sieve()
    head: ReplyHead | None = ReplyHead(200, None, speaks.stream_type.encode())
    at = 0
    for cut in [*sorted({cut for cut in cuts if 0 < cut < len(said)}), len(said)]:
        sieve.reply(head, said[at:cut], cut == len(said))
        head, at = None, cut
        if end and cut < len(said):
            assert (
                sum(map(len, recorder.filtered)) == said.rfind(end, 0, cut) + len(end)
                or end not in said[:cut]
            )
    return recorder


def holds(recorder: Recorder, said: bytes) -> None:
    assert b"".join(recorder.filtered) == said
    assert b"".join(recorder.told) == b"".join(b"<%b>" % one for one in recorder.filtered)
    assert recorder.ends == 1


@given(st.data())
def test_lines(data: st.DataObject) -> None:
    end = data.draw(ENDS)
    events = data.draw(st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=6))
    said = b"".join(b"".join(line.encode() + end for line in event) + end for event in events)
    said += data.draw(st.sampled_from([b"", b"data: half"]))
    recorder = relayed(
        SSE, said, data.draw(st.lists(st.integers(0, max(1, len(said))), max_size=12)), end + end
    )
    holds(recorder, said)
    assert all(one.endswith(end + end) for one in recorder.filtered[:-1])


@given(st.data())
def test_frames(data: st.DataObject) -> None:
    bodies = data.draw(st.lists(st.binary(max_size=20), max_size=5))
    frames = [encode(encode_headers({":event-type": "x"}), body) for body in bodies]
    said = b"".join(frames)
    recorder = relayed(FRAMES, said, data.draw(st.lists(st.integers(0, max(1, len(said))), max_size=12)))
    holds(recorder, said)
    whole = {len(b"".join(frames[:number])) for number in range(len(frames) + 1)}
    at = 0
    for portion in recorder.filtered:
        at += len(portion)
        assert at in whole


@pytest.mark.parametrize("speaks", [SSE, FRAMES], ids=["lines", "frames"])
def test_a_reply_that_says_nothing_ends(speaks: Dialect) -> None:
    recorder = relayed(speaks, b"", ())
    assert (recorder.filtered, recorder.told, recorder.ends) == ([], [b""], 1)
