"""Conversations of other dialects to requests of Messages: Anthropic's order, and Anthropic's rules."""

import pydantic
import pytest
from anthropic.types.message_create_params import MessageCreateParams
from msgspec import Raw, json

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
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

dialect = AnthropicMessages(Empty(), run_context())
TYPED = pydantic.TypeAdapter(MessageCreateParams)
USER = Message(role="user", parts=(TextPart("hi"),))
WEATHER = Tool(name="weather", parameters=Raw(b'{"type":"object","properties":{}}'))


def say(role, *parts):
    return Message(
        role=role, parts=tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    )


def call(identifier="c1", name="weather", arguments='{"city":"Oslo"}', **more):
    return ToolCallPart(identifier, name, arguments, **more)


def result(identifier="c1", text="rain", **more):
    return ToolResultPart(identifier, (TextPart(text),), **more)


def hold(value):
    """Look at every item: the client's types are checked only then."""
    if isinstance(value, dict):
        value = value.values()
    if not isinstance(value, str | int | float | None):
        for item in value:
            hold(item)


def encode(*messages, model="model-x", **fields):
    """The request as values, what was dropped; the official client's types hold it too."""
    encoded = dialect.encode(Conversation(messages=messages or (USER,), **fields), model)
    request = json.decode(encoded.body)
    hold(TYPED.validate_python(request))
    return request, encoded.dropped


def turns(*messages, **fields):
    request, _ = encode(*messages, **fields)
    return [(turn["role"], turn["content"]) for turn in request["messages"]]


def test_the_least():
    assert encode() == (
        {
            "model": "model-x",
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        },
        (),
    )


def test_instructions_stand_before_all_turns_in_order():
    request, dropped = encode(
        say("system", TextPart("one", CacheMark("1h"))),
        USER,
        say("assistant", "ho"),
        say("developer", "two"),
        say("system", " "),
        say("user", "on"),
    )
    assert request["system"] == [
        {"type": "text", "text": "one", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "two"},
    ]
    assert [turn["role"] for turn in request["messages"]] == ["user", "assistant", "user"]
    assert dropped == ()


def test_turns_alternate_and_results_lead():
    found = turns(
        say("user", "a"),
        say("user", "b"),
        say("assistant", "", call("c1")),
        say("assistant", call("c2")),
        say("user", "look"),
        say("tool", result("c2", "snow")),
        say("tool", result("c1", "rain")),
    )
    assert [role for role, _ in found] == ["user", "assistant", "user"]
    assert [block["text"] for block in found[0][1]] == ["a", "b"]
    assert [block["id"] for block in found[1][1]] == ["c1", "c2"]
    assert [block.get("tool_use_id", block.get("text")) for block in found[2][1]] == ["c2", "c1", "look"]


def test_blank_texts_and_what_would_be_empty_are_left_out():
    found = turns(say("user", "a"), say("assistant", " "), say("user", "", "\n", "b"))
    assert found == [("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])]


def test_a_beginning_of_the_answer_ends_without_blanks():
    assert turns(USER, say("assistant", "The answer is  "))[-1] == (
        "assistant",
        [{"type": "text", "text": "The answer is"}],
    )


@pytest.mark.parametrize("messages", [(say("system", "be brief"),), (say("user", " "),)])
def test_nothing_to_answer_is_an_error_in_words(messages):
    with pytest.raises(ClientProtocolError, match="no message of the user"):
        encode(*messages)


@pytest.mark.parametrize(
    "messages",
    [
        (USER, say("tool", result())),
        (USER, say("assistant", call("other")), say("tool", result())),
        (USER, say("assistant", call()), say("tool", result()), say("tool", result())),
        (USER, say("assistant", call()), say("user", "x"), say("assistant", "y"), say("tool", result())),
        (USER, say("assistant", call()), say("tool", result("c9", name="weather"))),
    ],
)
def test_a_result_without_its_call_is_an_error_with_its_place(messages):
    with pytest.raises(ClientProtocolError) as raised:
        encode(*messages)
    assert f"`messages[{len(messages) - 1}]`" in str(raised.value)


def test_calls_without_ids_are_matched_by_name_and_order():
    found = turns(
        USER,
        say("assistant", call("", "a"), call("", "b"), call("", "a")),
        say("tool", result("b"), result("a", "1"), result("", "2", name="a")),
    )
    assert [block["id"] for block in found[1][1]] == ["call_1", "call_2", "call_3"]
    assert [block["tool_use_id"] for block in found[2][1]] == ["call_2", "call_1", "call_3"]


def test_ids_in_anthropics_characters():
    found = turns(USER, say("assistant", call("call:1.x")), say("tool", result("call:1.x")))
    assert found[1][1][0]["id"] == found[2][1][0]["tool_use_id"] == "call_1_x"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        (" ", {}),
        ("{broken", {"input": "{broken"}),
        ("[1]", {"input": "[1]"}),
        ('{"a":1}}', {"input": '{"a":1}}'}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments, expected):
    assert turns(USER, say("assistant", call(arguments=arguments)))[1][1][0]["input"] == expected


def test_results_hold_texts_images_and_documents():
    parts = (
        TextPart("a"),
        TextPart(""),
        ImagePart("data:image/jpg;base64,AAAA"),
        DocumentPart(text="blue", name="sky"),
    )
    found = turns(USER, say("assistant", call()), say("tool", ToolResultPart("c1", parts, is_error=True)))
    assert found[2][1] == [
        {
            "type": "tool_result",
            "tool_use_id": "c1",
            "is_error": True,
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
                {
                    "type": "document",
                    "source": {"type": "text", "data": "blue", "media_type": "text/plain"},
                    "title": "sky",
                },
            ],
        }
    ]
    assert turns(USER, say("assistant", call()), say("tool", ToolResultPart("c1")))[2][1] == [
        {"type": "tool_result", "tool_use_id": "c1"}
    ]


@pytest.mark.parametrize(
    ("part", "source"),
    [
        (ImagePart("https://x/a.png"), {"type": "url", "url": "https://x/a.png"}),
        (
            DocumentPart(url="data:application/pdf;base64,JVBE"),
            {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        ),
        (DocumentPart(url="https://x/a.pdf"), {"type": "url", "url": "https://x/a.pdf"}),
        (
            DocumentPart(url="data:text/csv;charset=utf-8;base64,YSxi"),
            {"type": "text", "data": "a,b", "media_type": "text/plain"},
        ),
        (
            DocumentPart(url="data:application/json,%7B%22a%22:1%7D"),
            {"type": "text", "data": '{"a":1}', "media_type": "text/plain"},
        ),
        (
            DocumentPart(file_id="file_1", origin="anthropic_messages"),
            {"type": "file", "file_id": "file_1"},
        ),
    ],
)
def test_sources(part, source):
    assert turns(say("user", part))[0][1][0]["source"] == source


def test_a_document_says_what_the_client_said():
    part = DocumentPart(text="blue", name="sky", context="notes", citations=True, cache=CacheMark("3h"))
    assert turns(say("user", part))[0][1] == [
        {
            "type": "document",
            "source": {"type": "text", "data": "blue", "media_type": "text/plain"},
            "title": "sky",
            "context": "notes",
            "citations": {"enabled": True},
            "cache_control": {"type": "ephemeral"},
        }
    ]


@pytest.mark.parametrize(
    ("part", "feature"),
    [
        (ImagePart("data:image/svg+xml;base64,AAAA"), "image.data"),
        (ImagePart("gs://bucket/a.png"), "image.url"),
        (DocumentPart(url="data:application/zip;base64,AAAA"), "document.data"),
        (DocumentPart(url="s3://bucket/a.pdf"), "document.url"),
        (DocumentPart(file_id="file-1", origin="openai_chat"), "document.file_id"),
        (AudioPart("AAAA", "wav"), "audio"),
        (OpaquePart("thing", Raw(b"{}")), "opaque"),
    ],
)
def test_what_anthropic_does_not_take_is_refused(part, feature):
    with pytest.raises(CannotExpress) as raised:
        encode(say("user", "look", part))
    assert raised.value.feature == feature


@pytest.mark.parametrize("url", ["data:image/png;base64,A", "data:image/png;base64,%%%%", "data:image/png"])
def test_broken_data_urls_are_errors_in_words(url):
    with pytest.raises(ClientProtocolError, match="`data:` URL"):
        encode(say("user", ImagePart(url)))


def test_an_assistant_shows_no_images():
    with pytest.raises(CannotExpress, match=r"image\.url"):
        encode(USER, say("assistant", ImagePart("https://x")))


def test_thoughts_of_claude_go_back_and_others_are_named():
    claude = (
        ReasoningPart(text="hm", signature="c2ln", origin="anthropic_messages"),
        ReasoningPart(text="hm", signature="c2ln", origin="bedrock_converse"),
        ReasoningPart(sealed="c2Vh", origin="anthropic_messages"),
    )
    others = (
        ReasoningPart(text="hm", origin="openai_chat"),
        ReasoningPart(sealed="x", id="rs_1", origin="openai_responses"),
        ReasoningPart(text="hm"),
    )
    request, dropped = encode(USER, say("assistant", *claude, "ho"))
    assert request["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2Vh"},
        {"type": "text", "text": "ho"},
    ]
    assert dropped == ()
    request, dropped = encode(USER, say("assistant", *others, "ho"))
    assert request["messages"][1]["content"] == [{"type": "text", "text": "ho"}]
    assert dropped == ("reasoning.history",)


def test_refusals_go_on_as_text():
    request, dropped = encode(USER, say("assistant", RefusalPart("I must not")), USER)
    assert request["messages"][1]["content"] == [{"type": "text", "text": "I must not"}]
    assert dropped == ()


def test_own_citations_go_back():
    cited = {
        "type": "web_search_result_location",
        "url": "https://x",
        "title": "X",
        "cited_text": "a",
        "encrypted_index": "e",
    }
    own = Citation(url="https://x", origin="anthropic_messages", raw=Raw(json.encode(cited)))
    found = turns(USER, say("assistant", TextPart("a", citations=(own, Citation(url="https://y")))))
    assert found[1][1] == [{"type": "text", "text": "a", "citations": [cited]}]


def test_tools():
    tools = (
        Tool(
            name="a",
            description="does",
            parameters=Raw(b'{"type":"object"}'),
            strict=False,
            cache=CacheMark(),
        ),
        Tool(name="b"),
        Tool(name="c", parameters=Raw(b'{"properties":{}}')),
        Tool(name="d", parameters=Raw(b"null")),
    )
    request, _ = encode(tools=tools)
    assert request["tools"] == [
        {
            "name": "a",
            "input_schema": {"type": "object"},
            "description": "does",
            "strict": False,
            "cache_control": {"type": "ephemeral"},
        },
        {"name": "b", "input_schema": {"type": "object"}},
        {"name": "c", "input_schema": {"type": "object", "properties": {}}},
        {"name": "d", "input_schema": {"type": "object"}},
    ]


def test_tools_that_are_none():
    with pytest.raises(ClientProtocolError, match="no JSON Schema"):
        encode(tools=(Tool(name="a", parameters=Raw(b"[1]")),))
    with pytest.raises(CannotExpress, match=r"tools\.custom"):
        encode(tools=(Tool(name="a", custom=True),))


@pytest.mark.parametrize(
    ("choice", "several", "expected"),
    [
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (
            ToolChoice("named", "weather"),
            True,
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": False},
        ),
        (ToolChoice("none"), True, {"type": "none"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, None, None),
    ],
)
def test_tool_choice(choice, several, expected):
    request, _ = encode(tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=several)
    assert request.get("tool_choice") == expected


def test_a_choice_without_tools_says_nothing():
    request, dropped = encode(tool_choice=ToolChoice("auto"), parallel_tool_calls=True)
    assert "tool_choice" not in request
    assert dropped == ()


def test_only_the_allowed_tools_are_offered():
    choice = ToolChoice("required", allowed=("b",))
    request, dropped = encode(tools=(Tool(name="a"), Tool(name="b")), tool_choice=choice)
    assert [tool["name"] for tool in request["tools"]] == ["b"]
    assert request["tool_choice"] == {"type": "any"}
    assert dropped == ()


def test_tools_that_were_called_and_are_not_offered():
    request, _ = encode(USER, say("assistant", call(), call("c2")), say("tool", result(), result("c2")))
    assert request["tools"] == [{"name": "weather", "input_schema": {"type": "object"}}]
    assert request["tool_choice"] == {"type": "none"}


def test_structured_output():
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    output = Output(form="json_schema", name="x", schema=Raw(json.encode(schema)))
    request, dropped = encode(output=output)
    assert request["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert dropped == ()
    open_schema = Raw(b'{"type":"object","properties":{"n":{"type":"integer","minimum":1}}}')
    request, dropped = encode(
        output=Output(form="json_schema", schema=open_schema),
        tools=(Tool(name="a", parameters=open_schema, strict=True), Tool(name="b", parameters=open_schema)),
    )
    n = {"type": "integer", "description": "{minimum: 1}"}
    shut = {"type": "object", "properties": {"n": n}, "additionalProperties": False}
    assert request["output_config"]["format"]["schema"] == shut
    assert [tool["input_schema"] for tool in request["tools"]] == [shut, json.decode(open_schema)]
    assert dropped == ()
    request, dropped = encode(say("system", "be brief"), USER, output=Output(form="json"))
    assert [block["text"][:15] for block in request["system"]] == ["be brief", "Answer with one"]
    assert dropped == ("output.json",)
    assert encode(output=Output(form="text")) == encode()


@pytest.mark.parametrize(
    ("sampling", "feature"),
    [
        (Sampling(n=2), "n"),
        (Sampling(logprobs=True), "logprobs"),
        (Sampling(logit_bias=Raw(b'{"1":5}')), "logit_bias"),
    ],
)
def test_what_would_give_another_answer_is_refused(sampling, feature):
    with pytest.raises(CannotExpress) as raised:
        encode(sampling=sampling)
    assert raised.value.feature == feature


def test_sampling_and_the_rest():
    request, dropped = encode(
        sampling=Sampling(max_tokens=7, temperature=1.7, top_p=0.5, top_k=3, stop=("END", " "), n=1),
        user="u1",
        service_tier="default",
        stream=True,
    )
    del request["messages"]
    assert request == {
        "model": "model-x",
        "max_tokens": 7,
        "temperature": 1.0,
        "top_p": 0.5,
        "top_k": 3,
        "stop_sequences": ["END"],
        "service_tier": "standard_only",
        "metadata": {"user_id": "u1"},
        "stream": True,
    }
    assert dropped == ("stop",)


@pytest.mark.parametrize(
    ("tier", "word"),
    [("auto", "auto"), ("priority", "auto"), ("flex", "standard_only"), ("standard_only",) * 2],
)
def test_tiers(tier, word):
    request, dropped = encode(service_tier=tier)
    assert (request["service_tier"], dropped) == (word, ())


def test_what_is_left_out_is_named_once():
    named = Message(role="user", parts=(TextPart("a"), ImagePart("https://x", "high")), name="ann")
    _, dropped = encode(
        named,
        named,
        sampling=Sampling(seed=1, presence_penalty=0.5, frequency_penalty=0.0),
        cache_key="k",
        metadata=(("a", "b"),),
        verbosity="low",
        service_tier="warp",
    )
    assert dropped == (
        "name",
        "image.detail",
        "service_tier",
        "seed",
        "presence_penalty",
        "cache_key",
        "metadata",
        "verbosity",
    )


@pytest.mark.parametrize(
    ("model", "kept", "named"),
    [
        ("claude-3-7-sonnet-20250219", {"temperature", "top_p", "top_k"}, ()),
        ("claude-sonnet-4-5", {"temperature", "top_k"}, ("top_p",)),
        ("claude-opus-4-7", set(), ("temperature", "top_p", "top_k")),
        ("deepseek-chat", {"temperature", "top_p", "top_k"}, ()),
    ],
)
def test_each_generation_gets_the_sampling_that_it_takes(model, kept, named):
    request, dropped = encode(model=model, sampling=Sampling(temperature=0.5, top_p=0.5, top_k=3))
    assert {"temperature", "top_p", "top_k"} & set(request) == kept
    assert dropped == named
