"""Invariant: what a stream tells does not depend on how its bytes were portioned, and no bytes make a tap raise.

For each dialect: streams made of plausible and of broken lines, whole, byte by byte and in random portions.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from archflow_plugins.framing.sse import Splitter
from archflow_plugins.kinds import Dialect, Empty
from archflow_plugins.registry import Registry
from archflow_plugins.testing import run_context
from archflow_schema.errors import UpstreamProtocolError

DIALECTS = [kind for kind in Registry.load().family("dialect").values() if issubclass(kind, Dialect)]

COUNT = st.none() | st.integers(-1, 10**6)
OPENAI_USAGE = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "total_tokens": COUNT,
        "prompt_tokens_details": st.none() | st.fixed_dictionaries({"cached_tokens": COUNT}),
        "completion_tokens_details": st.none() | st.fixed_dictionaries({"reasoning_tokens": COUNT}),
    },
)
OPENAI = st.fixed_dictionaries(
    {},
    optional={
        "id": st.none() | st.sampled_from(["", "c1"]),
        "model": st.none() | st.sampled_from(["", "m1"]),
        "choices": st.lists(
            st.fixed_dictionaries(
                {"delta": st.fixed_dictionaries({"content": st.text(max_size=8)})},
                optional={"finish_reason": st.none() | st.sampled_from(["stop", "length"])},
            ),
            max_size=2,
        ),
        "usage": st.none() | OPENAI_USAGE,
    },
)
ANTHROPIC_USAGE = st.fixed_dictionaries(
    {}, optional={"input_tokens": COUNT, "output_tokens": COUNT, "cache_read_input_tokens": COUNT}
)
ANTHROPIC = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("message_start"),
            "message": st.fixed_dictionaries({"id": st.just("m"), "usage": ANTHROPIC_USAGE}),
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("message_delta"), "usage": ANTHROPIC_USAGE},
        optional={"delta": st.fixed_dictionaries({"stop_reason": st.none() | st.just("end_turn")})},
    ),
    st.fixed_dictionaries(
        {"type": st.just("content_block_delta"), "delta": st.fixed_dictionaries({"text": st.text()})}
    ),
)
END = st.sampled_from([b"\n", b"\r\n", b"\r"])
DATA = st.one_of(OPENAI, ANTHROPIC).map(lambda value: b"data: " + json.encode(value))
OTHER = st.sampled_from(
    [b"", b"data: [DONE]", b": ping", b"event: message_delta", b'data: {"usage":{', b"\xef\xbb\xbf"]
)
LINES = st.lists(st.tuples(DATA | OTHER | st.binary(max_size=20), END, END), max_size=12)
STREAMS = LINES.map(lambda lines: b"".join(line + first + second for line, first, second in lines))
CUTS = st.lists(st.integers(1, 40), max_size=30)


def portions(data: bytes, cuts: list[int]) -> list[bytes]:
    found = []
    for cut in cuts:
        found.append(data[:cut])
        data = data[cut:]
    return [*found, data]


def told(kind: type[Dialect], chunks: list[bytes]) -> tuple[object, ...]:
    tap = kind(Empty(), run_context()).tap()
    for chunk in chunks:
        tap.feed(chunk)
    return tap.usage, tap.finish_reason, tap.response_id, tap.response_model


@pytest.mark.parametrize("kind", DIALECTS, ids=lambda kind: kind.kind)
@settings(max_examples=150)
@given(data=STREAMS, cuts=CUTS)
def test_taps(kind, data, cuts):
    whole = told(kind, [data])
    assert told(kind, [data[at : at + 1] for at in range(len(data))]) == whole
    assert told(kind, portions(data, cuts)) == whole


@settings(max_examples=300)
@given(data=STREAMS, cuts=CUTS)
def test_server_sent_events(data, cuts):
    def events(chunks: list[bytes]) -> object:
        splitter = Splitter(max_event=200)
        found = []
        try:
            for chunk in chunks:
                found += splitter.feed(chunk)
        except UpstreamProtocolError:
            return "too large"
        return found

    whole = events([data])
    assert events([data[at : at + 1] for at in range(len(data))]) == whole
    assert events(portions(data, cuts)) == whole


@pytest.mark.parametrize("kind", DIALECTS, ids=lambda kind: kind.kind)
@settings(max_examples=100)
@given(body=st.one_of(OPENAI, ANTHROPIC).map(json.encode) | st.binary(max_size=40))
def test_no_reply_makes_a_summary_raise_or_count_below_zero(kind, body):
    summary = kind(Empty(), run_context()).summarise(body)
    usage = summary.usage
    assert usage is None or min(usage.input_tokens, usage.output_tokens, usage.cached_tokens) >= 0
