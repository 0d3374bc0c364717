"""Conversations of any dialect as Converse requests, which botocore's service model accepts."""

import base64

import msgspec
import pytest
from msgspec import Raw

from archflow_plugins.dialects.bedrock_converse.encode_parts import NO_OUTPUT
from archflow_plugins.dialects.bedrock_converse.encode_request import BEGIN, ONLY_JSON, encode_request
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Citation,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Output,
    ReasoningPart,
    RefusalPart,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError
from bedrock_oracle import check_request

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-pro-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
PNG = "data:image/png;base64,aGk="
WEATHER = Tool(name="weather", description="tells", parameters=Raw(b'{"type":"object"}'))
HI = Message(role="user", parts=(TextPart("hi"),))
SIGNED = {"reasoningText": {"text": "hm", "signature": "s"}}
OURS, THEIRS = "bedrock_converse", "anthropic_messages"


def say(*parts, role="user"):
    return Message(role=role, parts=parts)


def call(identity="c1", arguments='{"city":"Ulm"}'):
    return say(ToolCallPart(identity, "weather", arguments), role="assistant")


def result(identity="c1", *parts, **fields):
    return say(ToolResultPart(identity, parts or (TextPart("sunny"),), **fields), role="tool")


def encoded(*messages, model=CLAUDE, **fields):
    found = encode_request(Conversation(messages=messages or (HI,), **fields), model)
    body = msgspec.json.decode(found.body)
    check_request(body, stream=fields.get("stream", False))
    return body, found.dropped


def turns(*messages, **fields):
    return encoded(*messages, **fields)[0]["messages"]


def test_a_minimal_request():
    assert encoded() == ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, ())


def test_instructions_go_to_one_place_in_order():
    body, dropped = encoded(
        say(TextPart("one", CacheMark("5m")), role="system"),
        HI,
        say(TextPart("two"), role="developer"),
        say(TextPart("yes"), role="assistant"),
        say(TextPart("three"), role="system"),
        HI,
    )
    assert body["system"] == [
        {"text": "one"},
        {"cachePoint": {"type": "default", "ttl": "5m"}},
        {"text": "two"},
        {"text": "three"},
    ]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert dropped == ()


def test_instructions_are_text():
    with pytest.raises(ClientProtocolError, match="instructions of the system are text"):
        encoded(say(ImagePart(PNG), role="system"), HI)


def test_turns_alternate_and_begin_with_the_user():
    found = turns(
        say(TextPart("hello"), role="assistant"),
        say(TextPart("a")),
        say(TextPart("b")),
        say(TextPart(" \n"), TextPart("")),
        say(TextPart(""), role="assistant"),
        say(TextPart("c")),
    )
    assert found == [
        {"role": "user", "content": [{"text": BEGIN}]},
        {"role": "assistant", "content": [{"text": "hello"}]},
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}, {"text": "c"}]},
    ]


def test_an_answer_that_is_begun_ends_in_no_white_space():
    found = turns(HI, say(TextPart("The answer is "), role="assistant"))
    assert found[-1] == {"role": "assistant", "content": [{"text": "The answer is"}]}


def test_what_tools_answered_stands_first():
    found = turns(
        HI,
        say(ToolCallPart("c1", "weather", "{}"), ToolCallPart("c2", "weather", ""), role="assistant"),
        say(TextPart("by the way")),
        result("c1", TextPart("sunny"), cache=CacheMark()),
        result("c2", TextPart("rain"), is_error=True),
        tools=(WEATHER,),
    )
    assert found[1]["content"] == [
        {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {}}},
        {"toolUse": {"toolUseId": "c2", "name": "weather", "input": {}}},
    ]
    assert found[2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "sunny"}]}},
        {"cachePoint": {"type": "default"}},
        {"toolResult": {"toolUseId": "c2", "content": [{"text": "rain"}], "status": "error"}},
        {"text": "by the way"},
    ]


def test_tool_results_hold_images_and_documents_and_are_never_empty():
    found = turns(
        HI,
        call(),
        result("c1", ImagePart(PNG), DocumentPart(text="t", name="n")),
        call("c2"),
        result("c2", TextPart("")),
        tools=(WEATHER,),
    )
    first = found[2]["content"][0]["toolResult"]["content"]
    assert first == [
        {"image": {"format": "png", "source": {"bytes": "aGk="}}},
        {"document": {"source": {"text": "t"}, "format": "txt", "name": "n"}},
    ]
    assert found[4]["content"][0]["toolResult"]["content"] == [{"text": NO_OUTPUT}]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("[1]", {"input": [1]}),
        ('{"cut": "of', {"input": '{"cut": "of'}),
    ],
)
def test_arguments_are_an_object(arguments, sent):
    found = turns(HI, call(arguments=arguments), result(), tools=(WEATHER,))
    assert found[1]["content"][0]["toolUse"]["input"] == sent


@pytest.mark.parametrize("identity", ["call 1/ä", "x" * 65, ""])
def test_ids_are_made_to_fit_on_both_sides(identity):
    found = turns(HI, call(identity), result(identity), tools=(WEATHER,))
    sent = found[1]["content"][0]["toolUse"]["toolUseId"]
    assert found[2]["content"][0]["toolResult"]["toolUseId"] == sent


def test_long_ids_stay_apart():
    names = ["x" * 80 + "1", "x" * 80 + "2"]
    found = turns(
        HI,
        say(*(ToolCallPart(name, "weather", "{}") for name in names), role="assistant"),
        result(names[0]),
        result(names[1]),
        tools=(WEATHER,),
    )
    assert len({block["toolUse"]["toolUseId"] for block in found[1]["content"]}) == 2


@pytest.mark.parametrize("messages", [(), (say(TextPart(" ")),), (say(TextPart("s"), role="system"),)])
def test_nothing_to_answer(messages):
    with pytest.raises(ClientProtocolError, match="nothing to answer"):
        encode_request(Conversation(messages=messages), CLAUDE)


def test_a_result_without_its_call():
    with pytest.raises(ClientProtocolError, match="no tool call before it has that id"):
        encoded(HI, result("c9"), tools=(WEATHER,))


@pytest.mark.parametrize(
    ("fields", "history"),
    [
        ({"tools": (WEATHER,), "tool_choice": ToolChoice("none")}, True),
        ({}, True),
        ({"tool_choice": ToolChoice("none")}, False),
    ],
)
def test_where_no_tool_may_be_called_none_is_offered_and_earlier_calls_are_told_as_text(fields, history):
    messages = (HI, call(), result("c1", TextPart("sunny"), ImagePart(PNG))) if history else (HI,)
    body, dropped = encoded(*messages, **fields)
    assert "toolConfig" not in body
    assert dropped == ()
    if history:
        assert body["messages"][1:] == [
            {"role": "assistant", "content": [{"text": '[call of the tool weather: {"city":"Ulm"}]'}]},
            {
                "role": "user",
                "content": [
                    {"text": "[the tool weather answered:]"},
                    {"text": "sunny"},
                    {"image": {"format": "png", "source": {"bytes": "aGk="}}},
                ],
            },
        ]


def test_a_failed_tool_without_tools():
    found = turns(HI, call(), result("c1", TextPart(""), is_error=True))
    assert found[2]["content"] == [{"text": "[the tool weather failed with:]"}, {"text": NO_OUTPUT}]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice("auto"), {"auto": {}}),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("named", "weather"), {"tool": {"name": "weather"}}),
        (None, None),
    ],
)
def test_tools_and_the_choice_among_them(choice, sent):
    body, dropped = encoded(
        tools=(
            msgspec.structs.replace(WEATHER, strict=True, cache=CacheMark("1h")),
            Tool(name="now", parameters=Raw(b"{}"), strict=False),
        ),
        tool_choice=choice,
    )
    assert body["toolConfig"]["tools"] == [
        {
            "toolSpec": {
                "name": "weather",
                "description": "tells",
                "inputSchema": {"json": {"type": "object", "additionalProperties": False}},
                "strict": True,
            }
        },
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"toolSpec": {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
    ]
    assert body["toolConfig"].get("toolChoice") == sent
    assert dropped == ()


def test_a_choice_among_some_tools_leaves_the_others_out():
    body, dropped = encoded(
        tools=(WEATHER, Tool(name="now")), tool_choice=ToolChoice("required", allowed=("now",))
    )
    assert [one["toolSpec"]["name"] for one in body["toolConfig"]["tools"]] == ["now"]
    assert dropped == ("tool_choice.allowed",)


@pytest.mark.parametrize(
    ("choice", "mode"),
    [
        (None, {"type": "auto"}),
        (ToolChoice("auto"), {"type": "auto"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("named", "weather"), {"type": "tool", "name": "weather"}),
    ],
)
@pytest.mark.parametrize("parallel", [True, False])
def test_parallel_calls_are_said_in_anthropics_words_and_the_choice_then_only_there(choice, mode, parallel):
    body, dropped = encoded(tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=parallel)
    assert body["additionalModelRequestFields"] == {
        "tool_choice": {**mode, "disable_parallel_tool_use": not parallel}
    }
    assert "toolChoice" not in body["toolConfig"]
    assert dropped == ()


@pytest.mark.parametrize(("parallel", "dropped"), [(True, ()), (False, ("parallel_tool_calls",))])
def test_other_families_cannot_be_kept_from_parallel_calls(parallel, dropped):
    body, left_out = encoded(tools=(WEATHER,), parallel_tool_calls=parallel, model=NOVA)
    assert "additionalModelRequestFields" not in body
    assert left_out == dropped


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (ImagePart("data:image/jpg;base64,aGk="), {"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}),
        (
            ImagePart("data:image/webp;x=1;base64,aGk="),
            {"image": {"format": "webp", "source": {"bytes": "aGk="}}},
        ),
        (AudioPart("aGk=", "wav"), {"audio": {"format": "wav", "source": {"bytes": "aGk="}}}),
        (RefusalPart("no"), {"text": "no"}),
    ],
)
def test_parts(part, block):
    assert turns(say(TextPart("look"), part))[0]["content"][1] == block


@pytest.mark.parametrize(
    ("part", "document"),
    [
        (
            DocumentPart(
                url="data:application/pdf;base64,aGk=", name="a/b_c.pdf", context="c", citations=True
            ),
            {
                "source": {"bytes": "aGk="},
                "format": "pdf",
                "name": "a b c pdf",
                "context": "c",
                "citations": {"enabled": True},
            },
        ),
        (
            DocumentPart(url="data:application/octet-stream;base64,aGk=", name="x.MD"),
            {"source": {"bytes": "aGk="}, "format": "md", "name": "x MD"},
        ),
        (
            DocumentPart(url="data:text/plain,a%20b", name="\u4e2d"),
            {"source": {"bytes": base64.b64encode(b"a b").decode()}, "format": "txt", "name": "document"},
        ),
        (DocumentPart(text="t"), {"source": {"text": "t"}, "format": "txt", "name": "document"}),
    ],
)
def test_documents(part, document):
    assert turns(say(TextPart("read"), part))[0]["content"][1] == {"document": document}


def test_names_of_documents_are_unique_and_stand_beside_a_text():
    one = DocumentPart(text="t", name="notes")
    content = turns(say(one, one, DocumentPart(text="t", name="notes (2)"), one))[0]["content"]
    names = [block["document"]["name"] for block in content[:-1]]
    assert len(set(names)) == 4
    assert content[-1]["text"] == f"(documents: {', '.join(names)})"


def test_many_documents_of_one_name():
    parts = tuple(DocumentPart(text="t", name="n") for _ in range(20_000))
    content = turns(say(*parts))[0]["content"]
    assert len({block["document"]["name"] for block in content[:-1]}) == len(parts)


@pytest.mark.parametrize(
    ("part", "feature"),
    [
        (ImagePart("https://x.test/a.png"), "image.url"),
        (ImagePart("data:image/bmp;base64,aGk="), "image.data"),
        (DocumentPart(url="https://x.test/a.pdf"), "document.url"),
        (DocumentPart(file_id="file-1"), "document.file_id"),
        (DocumentPart(url="data:application/zip;base64,aGk="), "document.data"),
        (AudioPart("aGk=", "midi"), "audio"),
        (OpaquePart("video", Raw(b"{}")), "opaque"),
    ],
)
def test_parts_that_have_no_place(part, feature):
    with pytest.raises(CannotExpress) as refused:
        encoded(say(TextPart("look"), part))
    assert refused.value.feature == feature


@pytest.mark.parametrize(
    "part",
    [
        ImagePart("data:image/png,"),
        ImagePart("data:image/png;base64,a"),
        ImagePart("data:image/png;base64,a b="),
        ImagePart("data:image/png;base64,"),
        ImagePart("data:image/png"),
        AudioPart("\u00e9", "wav"),
        DocumentPart(url="data:application/pdf;base64,!!!!"),
        DocumentPart(name="n"),
    ],
)
def test_broken_base64_never_goes_upstream(part):
    with pytest.raises(ClientProtocolError, match=r"base64|empty|comma"):
        encoded(say(TextPart("look"), part))


@pytest.mark.parametrize(
    ("part", "model", "content"),
    [
        (ReasoningPart(text="hm", signature="s", origin=OURS), CLAUDE, SIGNED),
        (ReasoningPart(text="hm", signature="s", origin=THEIRS), CLAUDE, SIGNED),
        (ReasoningPart(sealed="aGk=", origin="anthropic_messages"), CLAUDE, {"redactedContent": "aGk="}),
        (ReasoningPart(text="hm", origin="bedrock_converse"), LLAMA, {"reasoningText": {"text": "hm"}}),
        (ReasoningPart(text="hm", origin="bedrock_converse"), CLAUDE, None),
        (ReasoningPart(sealed="not base64!", origin="anthropic_messages"), CLAUDE, None),
        (ReasoningPart(text="hm", origin="openai_chat"), CLAUDE, None),
        (ReasoningPart(sealed="gAAA", id="rs", origin="openai_responses"), CLAUDE, None),
    ],
)  # fmt: skip
def test_thoughts_go_back_to_those_who_can_read_them(part, model, content):
    body, dropped = encoded(HI, say(part, TextPart("so"), role="assistant"), HI, model=model)
    blocks = body["messages"][1]["content"]
    if content is None:
        assert blocks == [{"text": "so"}]
        assert dropped == ("reasoning.history",)
    else:
        assert blocks == [{"reasoningContent": content}, {"text": "so"}]
        assert dropped == ()


def test_citations_of_our_own_go_back_as_they_were():
    raw = Raw(b'{"title":"T","location":{"web":{"url":"https://x.test"}}}')
    own = Citation(title="T", origin="bedrock_converse", raw=raw)
    other = Citation(title="T", origin="openai_responses")
    blocks = turns(
        HI, say(TextPart("a", citations=(own,)), TextPart("b", citations=(own, other)), role="assistant"), HI
    )[1]["content"]
    assert blocks == [
        {"citationsContent": {"content": [{"text": "a"}], "citations": [msgspec.json.decode(raw)]}},
        {"text": "b"},
    ]


@pytest.mark.parametrize(
    ("model", "where"),
    [(CLAUDE, {"tool", "text"}), (NOVA, {"text"}), (LLAMA, set())],
)
def test_cache_points_stand_where_the_model_takes_them(model, where):
    body, dropped = encoded(
        say(TextPart("hi", CacheMark())),
        tools=(msgspec.structs.replace(WEATHER, cache=CacheMark()),),
        model=model,
    )
    point = {"cachePoint": {"type": "default"}}
    assert (point in body["toolConfig"]["tools"]) == ("tool" in where)
    assert (point in body["messages"][0]["content"]) == ("text" in where)
    assert dropped == (() if len(where) == 2 else ("cache",))


def test_a_cache_mark_inside_a_tool_s_answer_stands_after_it():
    found = turns(
        HI, call(), result("c1", TextPart("a", CacheMark()), TextPart("b", CacheMark("1h"))), tools=(WEATHER,)
    )
    assert found[2]["content"][1:] == [{"cachePoint": {"type": "default"}}]


def test_settings():
    body, dropped = encoded(
        sampling=Sampling(max_tokens=9, temperature=0.5, top_k=7, stop=("a", "", "b")),
        metadata=(("team", "blue"), ("odd\u00e9", "x"), ("b", "y" * 257), ("c", "")),
        service_tier="standard_only",
        output=Output(
            form="json_schema", name="n", description="d", schema=Raw(b'{"type":"object"}'), strict=True
        ),
    )
    assert body["inferenceConfig"] == {
        "maxTokens": 9,
        "temperature": 0.5,
        "stopSequences": ["a", "b"],
    }
    assert body["additionalModelRequestFields"] == {"top_k": 7}
    assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert body["requestMetadata"] == {"team": "blue", "c": ""}
    assert body["serviceTier"] == {"type": "default"}
    schema = {"schema": '{"type":"object","additionalProperties":false}', "name": "n", "description": "d"}
    assert body["outputConfig"] == {
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}
    }
    assert dropped == ("metadata",)


def test_the_stop_text_of_a_stream_stands_in_its_last_delta():
    body, _ = encoded(sampling=Sampling(stop=("a",)), stream=True)
    assert body["additionalModelResponseFieldPaths"] == ["/delta/stop_sequence"]
    assert "additionalModelResponseFieldPaths" not in encoded(sampling=Sampling(stop=("a",)), model=NOVA)[0]


def test_more_labels_than_bedrock_takes():
    body, dropped = encoded(metadata=tuple((f"n{number}", "x") for number in range(17)))
    assert len(body["requestMetadata"]) == 16
    assert dropped == ("metadata",)


def test_top_k_elsewhere():
    body, dropped = encoded(sampling=Sampling(top_k=7), model=NOVA)
    assert body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 7}}
    assert dropped == ()
    body, dropped = encoded(sampling=Sampling(top_k=7), model=LLAMA)
    assert "additionalModelRequestFields" not in body
    assert dropped == ("top_k",)


@pytest.mark.parametrize(
    ("model", "kept", "left_out"),
    [
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", {"temperature", "topP", "top_k"}, ()),
        ("eu.anthropic.claude-sonnet-4-20250514-v1:0", {"temperature", "topP", "top_k"}, ()),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", {"temperature", "top_k"}, ("top_p",)),
        (CLAUDE, {"temperature", "top_k"}, ("top_p",)),
        ("anthropic.claude-opus-4-6-v1", {"temperature", "top_k"}, ("top_p",)),
        ("anthropic.claude-opus-4-7", set(), ("temperature", "top_p", "top_k")),
        ("anthropic.claude-mythos-5", set(), ("temperature", "top_p", "top_k")),
        (LLAMA, {"temperature", "topP"}, ("top_k",)),
    ],
)
def test_what_each_generation_of_claude_takes(model, kept, left_out):
    body, dropped = encoded(sampling=Sampling(temperature=0.5, top_p=0.25, top_k=7), model=model)
    assert {*body.get("inferenceConfig", ()), *body.get("additionalModelRequestFields", ())} == kept
    assert dropped == left_out


def test_claude_takes_top_p_alone():
    body, dropped = encoded(sampling=Sampling(top_p=0.25))
    assert body["inferenceConfig"] == {"topP": 0.25}
    assert dropped == ()


def test_a_temperature_that_is_too_high():
    body, dropped = encoded(sampling=Sampling(temperature=1.7))
    assert body["inferenceConfig"] == {"temperature": 1.0}
    assert dropped == ("temperature",)


def test_json_without_a_schema_is_asked_for_in_words():
    body, dropped = encoded(output=Output(form="json"))
    assert body["system"] == [{"text": ONLY_JSON}]
    assert dropped == ("output.json",)


def test_what_is_left_out_is_named_once():
    _, dropped = encoded(
        Message(
            role="user", parts=(TextPart("a"), ImagePart(PNG, "high"), ImagePart(PNG, "low")), name="ada"
        ),
        sampling=Sampling(seed=1, presence_penalty=0.5, frequency_penalty=0.5),
        cache_key="k",
        user="u",
        verbosity="low",
        service_tier="scale",
    )
    assert sorted(dropped) == [
        "cache_key", "frequency_penalty", "image.detail", "name", "presence_penalty", "seed", "service_tier", "user",
        "verbosity",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"sampling": Sampling(n=2)}, "n"),
        ({"sampling": Sampling(logprobs=True)}, "logprobs"),
        ({"sampling": Sampling(logit_bias=Raw(b'{"1":5}'))}, "logit_bias"),
        ({"sampling": Sampling(stop=("\n\n",))}, "stop"),
        ({"tools": (Tool(name="a.b"),)}, "tools"),
        ({"tools": (Tool(name="x" * 65),)}, "tools"),
        ({"tools": (Tool(name="patch", custom=True),)}, "tools.custom"),
        ({"tool_choice": ToolChoice("required")}, "tool_choice"),
        ({"tools": (WEATHER,), "tool_choice": ToolChoice("named", "web_search")}, "tool_choice"),
    ],
)
def test_what_would_change_the_answer_is_refused(fields, feature):
    with pytest.raises(CannotExpress) as refused:
        encoded(**fields)
    assert refused.value.feature == feature


@pytest.mark.parametrize(
    "sampling",
    [Sampling(n=1), Sampling(logprobs=False), Sampling(logit_bias=Raw(b"{}")), Sampling(presence_penalty=0)],
)
def test_what_says_nothing_is_neither_refused_nor_named(sampling):
    assert encoded(sampling=sampling)[1] == ()
