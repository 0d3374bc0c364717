"""Replies of chat completions as OpenAI and other vendors send them, as events."""

import pytest
from msgspec import json

from archflow_plugins.dialects import whole_body
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    Stopped,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    UsageReported,
)

dialect = OpenAIChat(Empty(), run_context())
SHARED = {"id": "chatcmpl-1", "created": 7, "model": "gpt-x"}
STARTED = Started(id="chatcmpl-1", created=7, model="gpt-x")
DONE = b"data: [DONE]\n\n"


def line(**fields) -> bytes:
    return b"data: " + json.encode({**SHARED, "object": "chat.completion.chunk", **fields}) + b"\n\n"


def delta(finish=None, index=0, **fields) -> bytes:
    return line(choices=[{"index": index, "delta": fields, "finish_reason": finish}])


def stream(*chunks: bytes, done: bytes = DONE):
    decoder = dialect.reply_decoder(stream=True)
    return decoder.feed(b"".join(chunks) + done) + decoder.end()


def whole(message, finish="stop", **fields):
    decoder = dialect.reply_decoder(stream=False)
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = json.encode({**SHARED, "object": "chat.completion", "choices": [choice], **fields})
    assert decoder.feed(body) == []
    return decoder.end()


def middle(events):
    """What stands between the start and the end."""
    assert events[0] == STARTED
    assert events[-1] == Finished()
    return [event for event in events[1:-1] if not isinstance(event, Stopped | UsageReported)]


def test_a_stream_of_text():
    assert stream(
        delta(role="assistant", content=""),
        delta(content="Hel"),
        delta(content="lo"),
        delta(finish="stop"),
        line(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
    ) == [
        STARTED,
        TextDelta("Hel"),
        TextDelta("lo"),
        Stopped("stop"),
        UsageReported(Usage(input_tokens=3, output_tokens=2)),
        Finished(),
    ]


def test_a_whole_reply_gives_the_same_kinds_of_events():
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    assert whole({"content": "Hello"}, usage=usage, service_tier="flex", system_fingerprint="fp") == [
        Started(id="chatcmpl-1", created=7, model="gpt-x", service_tier="flex", fingerprint="fp"),
        TextDelta("Hello"),
        Stopped("stop"),
        UsageReported(
            Usage(
                input_tokens=3, output_tokens=6, cached_tokens=1, cache_written_tokens=2, reasoning_tokens=4
            )
        ),
        Finished(),
    ]


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "prompt_cache_hit_tokens": 1}, 1),  # DeepSeek
        ({"prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 1}, 1),  # Moonshot
    ],
)
def test_other_vendors_places_for_cached_tokens(usage, told):
    (reported,) = [
        event for event in whole({"content": "x"}, usage=usage) if isinstance(event, UsageReported)
    ]
    assert reported.usage.cached_tokens == told


def test_groqs_place_for_usage():
    events = stream(
        delta(content="x"),
        line(
            choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}],
            x_groq={"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        ),
    )
    assert UsageReported(Usage(input_tokens=3, output_tokens=2)) in events


def test_the_last_usage_counts_and_an_odd_one_does_not():
    def usage(told):
        return delta(content="x")[:-3] + b',"usage":' + json.encode(told) + b"}\n\n"

    events = stream(
        usage(None),
        usage({"completion_tokens": 1}),
        usage({"completion_tokens": 2}),
        usage("x"),
        delta("stop"),
    )
    assert [event for event in events if isinstance(event, UsageReported)] == [
        UsageReported(Usage(output_tokens=2))
    ]


def test_azure_opens_with_a_chunk_about_its_filter():
    events = stream(
        b'data: {"choices":[],"created":0,"id":"","model":"","prompt_filter_results":[]}\n\n',
        delta(content="x"),
        delta("stop"),
    )
    assert events[0] == STARTED


class TestToolCalls:
    @staticmethod
    def call(index=0, **fields):
        return {"index": index, **fields}

    def test_streamed(self):
        events = stream(
            delta(content="see"),
            delta(tool_calls=[self.call(id="a", type="function", function={"name": "f", "arguments": ""})]),
            delta(tool_calls=[self.call(function={"arguments": '{"x"'})]),
            delta(
                tool_calls=[self.call(1, id="b", type="function", function={"name": "g", "arguments": "{}"})]
            ),
            delta(tool_calls=[self.call(function={"arguments": ":1}"})]),
            delta(content="done"),
            delta("tool_calls"),
        )
        assert middle(events) == [
            TextDelta("see"),
            ToolCallDelta(index=0, block=1, id="a", name="f", arguments='{"x"'),
            ToolCallDelta(index=1, block=2, id="b", name="g", arguments="{}"),
            ToolCallDelta(index=0, block=1, arguments=":1}"),
            TextDelta("done", block=3),
        ]
        assert Stopped("tool_calls") in events

    def test_whole(self):
        events = whole(
            {
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "b", "type": "custom", "custom": {"name": "g", "input": "free"}},
                ],
            },
            "tool_calls",
        )
        assert middle(events) == [
            ToolCallDelta(index=0, id="a", name="f", arguments="{}"),
            ToolCallDelta(index=1, block=1, id="b", name="g", arguments="free", custom=True),
        ]

    def test_vendors_that_number_every_call_0_or_none(self):
        def call(identity, **fields):
            return {"id": identity, "function": {"name": "f", "arguments": "{}"}, **fields}

        for fields in ({"index": 0}, {}):
            found = middle(
                stream(
                    delta(tool_calls=[call("a", **fields)]), delta("stop", tool_calls=[call("b", **fields)])
                )
            )
            assert [(event.index, event.id) for event in found] == [(0, "a"), (1, "b")]

    def test_vendors_that_repeat_id_and_name(self):
        call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "x"}}
        found = middle(stream(delta(tool_calls=[call]), delta(tool_calls=[call]), delta("tool_calls")))
        assert found == [
            ToolCallDelta(index=0, id="a", name="f", arguments="x"),
            ToolCallDelta(index=0, arguments="x"),
        ]

    def test_a_call_without_an_id_gets_one(self):
        (found,) = middle(
            stream(delta(tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}]), delta("stop"))
        )
        assert found == ToolCallDelta(index=0, id="call_chatcmpl-1_0_0", name="f", arguments='{"a":1}')

    def test_pieces_without_an_index_go_on(self):
        events = stream(
            delta(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": "1"}}]),
            delta(tool_calls=[{"function": {"arguments": "2"}}]),
            delta("stop"),
        )
        assert middle(events)[1] == ToolCallDelta(index=0, arguments="2")

    @pytest.mark.parametrize(
        "pieces",
        [
            [{"id": "a", "name": "get_"}, {"name": "weather"}],
            [{"id": "a", "name": None}, {"name": "get_weather"}],
            [{"id": "a", "name": ""}, {"name": "get_weather"}],
            [{"id": "a", "name": "get_weather"}, {"id": "a", "name": "get_weather"}],
            [{"name": "get_weather"}, {"id": "a"}],
        ],
    )
    def test_a_call_begins_when_its_name_is_whole(self, pieces):
        begun = [
            delta(
                tool_calls=[self.call(id=one.get("id"), function={"name": one.get("name"), "arguments": ""})]
            )
            for one in pieces
        ]
        more = delta(tool_calls=[self.call(function={"arguments": "{}"})])
        assert middle(stream(*begun, more, delta("tool_calls"))) == [
            ToolCallDelta(index=0, id="a", name="get_weather", arguments="{}")
        ]
        assert middle(stream(*begun, delta(content="x"), delta("tool_calls"))) == [
            ToolCallDelta(index=0, id="a", name="get_weather"),
            TextDelta("x", 1),
        ]
        assert middle(stream(*begun, delta("tool_calls"))) == [
            ToolCallDelta(index=0, id="a", name="get_weather")
        ]

    def test_a_name_without_an_end_is_cut(self):
        piece = delta(tool_calls=[self.call(id="a", function={"name": "n" * 200})])
        other = delta(tool_calls=[self.call(function={"name": "m" * 200})])
        (found,) = middle(stream(piece, other, other, delta("stop")))
        assert found.name == "n" * 200 + "m" * 200

    def test_pieces_without_an_index_go_on_by_their_id(self):
        def piece(identity, **function):
            return delta(tool_calls=[{"id": identity, "function": function}])

        found = middle(
            stream(
                piece("a", name="f", arguments='{"x"'),
                piece("a", arguments=":1}"),
                piece("b", name="g", arguments="{}"),
                piece("a", arguments=" "),
                delta("tool_calls"),
            )
        )
        assert found == [
            ToolCallDelta(index=0, id="a", name="f", arguments='{"x"'),
            ToolCallDelta(index=0, arguments=":1}"),
            ToolCallDelta(index=1, block=1, id="b", name="g", arguments="{}"),
            ToolCallDelta(index=0, arguments=" "),
        ]

    def test_the_older_function_call(self):
        events = stream(
            delta(function_call={"name": "f", "arguments": ""}),
            delta(function_call={"arguments": "{}"}),
            delta("function_call"),
        )
        assert middle(events) == [ToolCallDelta(index=0, id="call_chatcmpl-1_0_0", name="f", arguments="{}")]
        assert Stopped("tool_calls", detail="function_call") in events

    def test_googles_signature(self):
        call = {
            "index": 0,
            "id": "a",
            "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "s"}},
        }
        (found,) = middle(stream(delta("stop", tool_calls=[call])))
        assert (found.signature, found.origin) == ("s", "openai_chat")

    def test_a_call_ends_a_turn_that_the_vendor_calls_stopped(self):
        events = whole({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}, "stop")
        assert Stopped("tool_calls") in events


class TestThoughts:
    def test_deepseek(self):
        events = stream(
            delta(reasoning_content="hm"), delta(reasoning_content="m"), delta(content="x"), delta("stop")
        )
        assert middle(events) == [
            ReasoningDelta("hm", origin="openai_chat"),
            ReasoningDelta("m", origin="openai_chat"),
            ReasoningDelta(signature='{"type":"reasoning_content"}', origin="openai_chat"),
            TextDelta("x", block=1),
        ]

    def test_groq(self):
        assert middle(whole({"reasoning": "hm", "content": "x"})) == [
            ReasoningDelta("hm", origin="openai_chat"),
            ReasoningDelta(signature='{"type":"reasoning"}', origin="openai_chat"),
            TextDelta("x", block=1),
        ]

    def test_openrouter(self):
        def detail(**fields):
            return [{"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, **fields}]

        events = stream(
            delta(reasoning="hm", reasoning_details=detail(text="hm")),
            delta(reasoning="m", reasoning_details=detail(text="m")),
            delta(reasoning=None, reasoning_details=detail(signature="s")),
            delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "d", "index": 1}]),
            delta(content="x"),
            delta("stop"),
        )
        first, second, proof, sealed, text = middle(events)
        assert (first.text, second.text, proof.text) == ("hm", "m", "")
        assert json.decode(proof.signature) == {
            "type": "reasoning.text",
            "format": "anthropic-claude-v1",
            "index": 0,
            "signature": "s",
        }
        assert (sealed.block, json.decode(sealed.sealed)["data"]) == (1, "d")
        assert text == TextDelta("x", block=2)

    def test_litellm(self):
        events = stream(
            delta(
                reasoning_content="hm",
                thinking_blocks=[{"type": "thinking", "thinking": "hm", "signature": None}],
            ),
            delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "s"}]),
            delta(content="x"),
            delta("stop"),
        )
        text, proof, _ = middle(events)
        assert (text.text, json.decode(proof.signature)) == ("hm", {"type": "thinking", "signature": "s"})

    def test_mistral(self):
        content = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "x"},
            {"type": "reference", "reference_ids": [1]},
        ]
        for events in (whole({"content": content}), stream(delta(content=content), delta("stop"))):
            text, proof, answer = middle(events)
            assert (text.text, proof.signature, answer) == (
                "hm",
                '{"type":"thinking"}',
                TextDelta("x", block=1),
            )

    def test_details_of_an_unknown_kind_do_not_hide_the_text(self):
        found = middle(whole({"reasoning": "hm", "reasoning_details": [{"type": "odd"}], "content": "x"}))
        assert found[0] == ReasoningDelta("hm", origin="openai_chat")

    def test_tags_in_the_text_are_left_alone(self):
        assert middle(whole({"content": "<think>hm</think>x"})) == [TextDelta("<think>hm</think>x")]


def test_refusals():
    events = whole({"content": None, "refusal": "no"})
    assert middle(events) == [RefusalDelta("no")]
    assert Stopped("refusal") in events


def test_citations():
    cited = {"url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    events = stream(
        delta(content="hi"),
        delta("stop", annotations=[{"type": "url_citation", "url_citation": cited}, {"odd": 1}, 3]),
    )
    (_, found) = middle(events)
    assert isinstance(found, CitationFound)
    citation = found.citation
    assert (citation.url, citation.title, citation.start, citation.end) == ("https://x", "X", 0, 2)
    assert json.decode(citation.raw)["url_citation"] == cited


def test_perplexitys_and_xais_place_for_citations():
    events = stream(delta(content="hi"), line(choices=[], citations=["https://x"]), delta("stop"))
    assert [event.citation.url for event in middle(events) if isinstance(event, CitationFound)] == [
        "https://x"
    ]


def test_log_probabilities():
    logprobs = {
        "content": [
            {
                "token": "hi",
                "logprob": -0.5,
                "bytes": [104, 105],
                "top_logprobs": [{"token": "ho", "logprob": -2.0, "bytes": None}],
            }
        ],
        "refusal": None,
    }
    chunk = line(
        choices=[{"index": 0, "delta": {"content": "hi"}, "logprobs": logprobs, "finish_reason": None}]
    )
    expected = TokenLogprob("hi", -0.5, (104, 105), (TokenLogprob("ho", -2.0),))
    first, second = middle(stream(chunk, chunk, delta("stop")))
    assert first == TextDelta("hi", logprobs=(expected,))
    assert second == first


def test_several_choices():
    events = stream(
        delta(content="a", index=0),
        delta(content="b", index=1),
        delta(reasoning_content="c", index=1),
        delta("length", index=1),
        delta("stop", index=0),
    )
    assert middle(events)[:3] == [
        TextDelta("a"),
        TextDelta("b", choice=1),
        ReasoningDelta("c", block=1, choice=1, origin="openai_chat"),
    ]
    assert [event for event in events if isinstance(event, Stopped)] == [
        Stopped("stop"),
        Stopped("length", choice=1),
    ]


@pytest.mark.parametrize(
    ("word", "reason", "detail"),
    [
        ("stop", "stop", ""),
        ("length", "length", ""),
        ("content_filter", "content_filter", ""),
        ("eos", "stop", "eos"),
        ("model_length", "length", "model_length"),
        ("sensitive", "content_filter", "sensitive"),
        ("SAFETY", "content_filter", "SAFETY"),
        ("insufficient_system_resource", "error", "insufficient_system_resource"),
        ("never heard of", "stop", "never heard of"),
    ],
)
def test_why_it_stopped(word, reason, detail):
    assert Stopped(reason, detail=detail) in whole({"content": "x"}, word)


def test_the_text_that_stopped_it_and_what_its_upstream_said():
    choice = {
        "index": 0,
        "delta": {},
        "finish_reason": "stop",
        "stop_reason": "END",
        "native_finish_reason": "end_turn",
    }
    assert Stopped("stop", sequence="END", detail="end_turn") in stream(
        delta(content="x"), line(choices=[choice])
    )


class TestEnds:
    def test_without_done_but_stopped(self):
        assert stream(delta(content="x"), delta("stop"), done=b"")[-2:] == [Stopped("stop"), Finished()]

    def test_without_the_last_blank_line(self):
        assert stream(delta(content="x"), delta("stop"), done=b"data: [DONE]")[-1] == Finished()
        assert stream(delta(content="x"), delta("stop")[:-2], done=b"")[-1] == Finished()

    def test_a_piece_after_the_stop_is_forgiven(self):
        assert stream(delta(content="x"), delta("stop"), done=b'data: {"id":')[-1] == Finished()

    def test_done_without_a_reason(self):
        assert stream(delta(content="x"))[-2:] == [Stopped("stop"), Finished()]
        assert stream() == [Started(), Stopped("stop"), Finished()]

    def test_nothing_follows_done(self):
        assert stream(delta(content="x"), delta("stop"), DONE, delta(content="y"))[-1] == Finished()

    @pytest.mark.parametrize("body", [b"", b": ping\n\n", delta(content="x"), delta(content="x")[:-9]])
    def test_cut_short(self, body):
        with pytest.raises(UpstreamProtocolError):
            stream(body, done=b"")

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b'{"choices":[]}', b'{"id":"x","choices":null}', b"<html>", b"[]"]
    )
    def test_no_whole_reply(self, body):
        decoder = dialect.reply_decoder(stream=False)
        decoder.feed(body)
        with pytest.raises(UpstreamProtocolError):
            decoder.end()

    @pytest.mark.parametrize(
        "event",
        [
            b'data: {"error":{"message":"too much","code":502}}\n\n',
            b'event: error\ndata: {"error":"too much"}\n\n',
            b'data: {"object":"error","message":"too much","code":1}\n\n',
            line(
                choices=[{"index": 0, "delta": {}, "finish_reason": "error"}],
                error={"message": "too much"},
            ),
        ],
    )
    def test_an_error_in_mid_stream(self, event):
        events = stream(delta(content="x"), event)
        assert events[-1] == Failed("upstream_failed", "too much")

    def test_an_error_instead_of_a_whole_reply(self):
        decoder = dialect.reply_decoder(stream=False)
        decoder.feed(b'{"error":{"message":"too much"}}')
        assert decoder.end() == [Failed("upstream_failed", "too much")]


class TestBounds:
    def test_a_whole_reply(self, monkeypatch):
        monkeypatch.setattr(whole_body, "LARGEST", 10)
        with pytest.raises(UpstreamProtocolError, match="larger than 10 bytes"):
            dialect.reply_decoder(stream=False).feed(b"x" * 11)

    @pytest.mark.parametrize("index", [-1, 128, 10**9])
    def test_choices(self, index):
        with pytest.raises(UpstreamProtocolError, match="none of 128"):
            stream(delta(content="x", index=index))

    def test_calls(self):
        calls = [{"index": n, "id": f"c{n}", "function": {"name": "f"}} for n in range(1025)]
        with pytest.raises(UpstreamProtocolError, match="more than 1024"):
            stream(delta(tool_calls=calls))


def test_the_complaint_quotes_nothing():
    for event in (b'data: {"choices":[{"delta":{"content":{"secret":1}}}]}\n\n', b"data: secret\n\n"):
        with pytest.raises(UpstreamProtocolError) as raised:
            stream(event)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"error":{"message":"m","type":"t","code":"c"}}', "m", "c"),
        (b'{"error":{"message":"m","type":"t","code":null}}', "m", "t"),
        (b'{"error":{"message":"m","code":429}}', "m", "429"),
        (b'{"error":"m"}', "m", ""),
        (b'{"object":"error","message":"m","type":"t","code":1}', "m", "t"),
        (b'[{"error":{"message":"m","code":400}}]', "m", "400"),
        (b'{"detail":"m"}', "m", ""),
        (b"[]", "the upstream answered with status 418", ""),
        (b"{}", "the upstream answered with status 418", ""),
        (b"", "the upstream answered with status 418 and said nothing", ""),
        (b'{"error":{"message":{"a":1}}}', '{"error":{"message":{"a":1}}}', ""),
        (b"<html>\xff", "<html>\ufffd", ""),
    ],
)
def test_errors_of_every_vendor(body, message, code):
    problem = dialect.decode_error(418, body)
    assert (problem.message, problem.code) == (message, code)


def test_a_long_error_is_cut_short():
    assert len(dialect.decode_error(500, b"x" * 10**6).message) == 2000
    assert len(dialect.decode_error(500, json.encode({"error": "x" * 10**5})).message) == 2000
