"""What a reply tells as it goes by, whole or streamed, plain or compressed, and what tells nothing."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import msgspec
import pytest

from archflow_engine import watch
from archflow_engine.watch import Watch
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.record import Record

TOLD = {"id": "1", "model": "m-1", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
WHOLE = msgspec.json.encode(TOLD)
STREAM = b'data: {"choices":[]}\n\ndata: ' + WHOLE + b"\n\ndata: [DONE]\n\n"
DIALECT = OpenAIChat.__new__(OpenAIChat)
CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"": lambda data: data,
    b"identity": lambda data: data,
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
}


def told(data: bytes, *, stream: bool, coding: bytes, piece: int) -> Record:
    record = Record()
    watching = Watch(DIALECT, stream=stream, encoding=coding)
    for at in range(0, len(data), piece):
        watching.feed(data[at : at + piece])
    watching.end(record)
    return record


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_every_readable_coding_in_any_pieces(coding: bytes, stream: bool, piece: int) -> None:
    record = told(CODINGS[coding](STREAM if stream else WHOLE), stream=stream, coding=coding, piece=piece)
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (3, 4)
    assert (record.response_id, record.response_model) == ("1", "m-1")


@pytest.mark.parametrize(
    ("data", "stream", "coding"),
    [
        (WHOLE, False, b"br"),
        (STREAM, True, b"zstd"),
        (WHOLE, False, b"gzip"),  # which it is not
        (gzip.compress(WHOLE)[:-20], False, b"gzip"),
        (b"", False, b""),
        (b"not json", False, b""),
        (b"data: not json\n\n", True, b""),
    ],
)
def test_what_is_not_understood_tells_nothing(data: bytes, stream: bool, coding: bytes) -> None:
    assert told(data, stream=stream, coding=coding, piece=10) == Record()


def test_a_reply_that_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LARGEST", 2 * watch.BATCH)
    watching = Watch(DIALECT, stream=False, encoding=b"")
    for _ in range(100):
        watching.feed(b"x" * 100)
    assert watching._kept is None
    assert told(WHOLE + b" " * 2 * watch.BATCH, stream=False, coding=b"", piece=1 << 20) == Record()


def test_a_bomb_inflates_to_no_more_than_is_looked_at() -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    watching = Watch(DIALECT, stream=False, encoding=b"gzip")
    watching.feed(bomb)
    assert sum(len(piece) for piece in watching._kept or ()) <= watch.LARGEST


@pytest.mark.parametrize(
    ("coding", "plain"), [(b"", True), (b"identity", True), (b"gzip", False), (b"br", False)]
)
def test_only_a_plain_stream_may_get_an_error_event(coding: bytes, plain: bool) -> None:
    assert Watch(DIALECT, stream=True, encoding=coding).plain is plain


@pytest.mark.parametrize("coding", [b"", b"gzip"])
def test_little_of_a_stream_is_kept_until_it_is_looked_at(coding: bytes) -> None:
    watching = Watch(DIALECT, stream=True, encoding=coding)
    event = b'data: {"choices":[]}' + b" " * 100 + b"\n\n"
    stream = CODINGS[coding](event * 1000)
    for at in range(0, len(stream), 7):
        watching.feed(stream[at : at + 7])
        assert sum(map(len, watching._kept or ())) <= 2 * watch.BATCH
    assert watching.between is None
    assert not watching._kept
