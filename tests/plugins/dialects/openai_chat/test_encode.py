"""Conversations of any dialect as requests of chat completions, checked by the official client's types."""

import pytest
from msgspec import Raw, json
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter

from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Output,
    Reasoning,
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

dialect = OpenAIChat(Empty(), run_context())
OFFICIAL = TypeAdapter(completion_create_params.CompletionCreateParamsNonStreaming)
HELLO = (Message(role="user", parts=(TextPart("hello"),)),)


def encode(*messages, model="m", checked=True, **fields):
    said = Conversation(messages=messages or HELLO, **fields)
    encoded = dialect.encode(said, model)
    body = json.decode(encoded.body)
    if checked and not said.stream:
        OFFICIAL.validate_python(body)
    return body, encoded.dropped


def written(*messages, **fields):
    return encode(*messages, **fields)[0]["messages"]


def user(*parts):
    return Message(role="user", parts=parts)


def assistant(*parts):
    return Message(role="assistant", parts=parts)


def test_only_what_was_said_is_written():
    assert encode() == ({"model": "m", "messages": [{"role": "user", "content": "hello"}]}, ())


def test_a_stream_is_asked_for_its_usage():
    body, _ = encode(stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_every_field():
    body, dropped = encode(
        tools=(Tool(name="f"),),
        tool_choice=ToolChoice("named", "f"),
        parallel_tool_calls=False,
        sampling=Sampling(
            max_tokens=5, temperature=0.0, top_p=0.5, top_k=3, stop=("a",), seed=0, n=2, logprobs=True,
            top_logprobs=2, presence_penalty=0.0, frequency_penalty=1.0, logit_bias=Raw(b'{"1":2}'),
        ),
        reasoning=Reasoning(mode="on", effort="low", summary="auto"),
        output=Output(form="json_schema", schema=Raw(b'{"type":"object"}'), description="d", strict=True),
        user="u",
        service_tier="standard_only",
        cache_key="k",
        verbosity="low",
        metadata=(("a", "b"),),
    )  # fmt: skip
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
            }
        ],
        "parallel_tool_calls": False,
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": 0,
        "n": 2,
        "presence_penalty": 0.0,
        "frequency_penalty": 1.0,
        "logprobs": True,
        "top_logprobs": 2,
        "stop": ["a"],
        "logit_bias": {"1": 2},
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": {"type": "object"},
                "description": "d",
                "strict": True,
            },
        },
        "reasoning_effort": "low",
        "user": "u",
        "service_tier": "default",
        "prompt_cache_key": "k",
        "verbosity": "low",
        "metadata": {"a": "b"},
    }
    assert dropped == ("reasoning.summary", "top_k")


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning(mode="off"), "none"),
        (Reasoning(mode="off", effort="high"), "none"),
        (Reasoning(mode="on"), "medium"),
        (Reasoning(mode="on", budget=10_000), "high"),
        (Reasoning(effort="max", budget=1), "max"),
        (Reasoning(mode="adaptive"), None),
        (Reasoning(mode="adaptive", effort="high"), "high"),
        (Reasoning(hidden=True), None),
    ],
)
def test_how_much_to_think(reasoning, effort):
    assert encode(reasoning=reasoning)[0].get("reasoning_effort") == effort


def test_that_the_model_decides_is_said_by_nothing():
    assert encode(reasoning=Reasoning(mode="adaptive"))[1] == ("reasoning.mode",)
    assert encode(reasoning=Reasoning(mode="adaptive", effort="low"))[1] == ()


@pytest.mark.parametrize(
    ("reasoning", "dropped"),
    [
        (Reasoning(mode="on", budget=2000), ("reasoning.mode", "reasoning.budget")),
        (Reasoning(mode="adaptive", effort="high"), ("reasoning.mode", "reasoning.effort")),
        (Reasoning(mode="off"), ()),
        (Reasoning(mode="off", effort="none"), ()),
        (Reasoning(effort="none"), ()),
    ],
)
def test_models_that_do_not_think_are_not_told_to(reasoning, dropped):
    body, left = encode(model="gpt-4o", reasoning=reasoning)
    assert "reasoning_effort" not in body
    assert left == dropped


def test_an_effort_that_the_model_does_not_know_becomes_one_that_it_does():
    assert (
        encode(model="gpt-5.2", reasoning=Reasoning(mode="on", budget=1024))[0]["reasoning_effort"] == "low"
    )


def test_roles_and_names():
    assert written(
        Message(role="system", parts=(TextPart("a"), TextPart("b"))),
        Message(role="developer", parts=(TextPart("c"),)),
        Message(role="user", parts=(TextPart("d"),), name="ann"),
        Message(role="user", parts=()),
        assistant(),
    ) == [
        {"role": "system", "content": "a\nb"},
        {"role": "system", "content": "c"},
        {"role": "user", "content": "d", "name": "ann"},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": ""},
    ]


def test_parts_of_the_user():
    (message,) = written(
        user(
            TextPart("a"),
            ImagePart("https://x/y.png", "low"),
            AudioPart("UklG", "wav"),
            DocumentPart(url="data:application/pdf;base64,AAAA", media_type="application/pdf"),
            DocumentPart(file_id="file-1", origin="openai_responses"),
            DocumentPart(text="long ago", name="tale", context="a tale"),
        )
    )
    assert message["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "document.pdf"},
        },
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "text", "text": "Document: tale\n\na tale\n\nlong ago"},
    ]


def test_texts_alone_are_one_string_since_some_vendors_take_nothing_else():
    document = DocumentPart(text="long ago", citations=True)
    body, dropped = encode(user(TextPart("a"), document))
    assert body["messages"][0]["content"] == "a\nDocument:\n\nlong ago"
    assert dropped == ("document.citations",)


def test_calls_and_answers():
    body, dropped = encode(
        assistant(
            TextPart("let me"), TextPart("see"), ToolCallPart("1", "f", '{"a":1}'), ToolCallPart("2", "g", "")
        ),
        user(
            ToolResultPart("2", (TextPart("two"),), is_error=True),
            TextPart("and now?"),
            ToolResultPart("1", (TextPart("one"), TextPart("eins"))),
        ),
    )
    assert body["messages"] == [
        {
            "role": "assistant",
            "content": "let me\nsee",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one\neins"},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
        {"role": "user", "content": "and now?"},
    ]
    assert dropped == ("tool_results.error",)


def test_what_is_no_text_in_an_answer_follows_the_answers():
    image = ImagePart("data:image/png;base64,AAAA")
    messages = written(
        assistant(ToolCallPart("1", "f", "{}"), ToolCallPart("2", "f", "{}")),
        Message(role="tool", parts=(ToolResultPart("1", (image,)),)),
        Message(role="tool", parts=(ToolResultPart("2", (TextPart("x"), image)),)),
    )
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user"]
    assert messages[0]["content"] is None
    assert messages[1]["content"] == "The answer is no text: it is in the next message."
    assert [part["type"] for part in messages[3]["content"]] == ["image_url", "image_url"]


def test_the_same_id_in_two_turns():
    def turn(text):
        return (assistant(ToolCallPart("c", "f", "{}")), user(ToolResultPart("c", (TextPart(text),))))

    assert [message["content"] for message in written(*turn("a"), *turn("b"))] == [None, "a", None, "b"]


def test_custom_tools():
    body, _ = encode(
        assistant(ToolCallPart("1", "patch", "free text", custom=True)),
        user(ToolResultPart("1", (TextPart("done"),), custom=True)),
        tools=(Tool(name="patch", description="d", custom=True, grammar=Raw(b'{"type":"text"}')),),
        tool_choice=ToolChoice("auto", allowed=("patch",)),
    )
    assert body["messages"][0]["tool_calls"] == [
        {"id": "1", "type": "custom", "custom": {"name": "patch", "input": "free text"}}
    ]
    assert body["tools"] == [
        {"type": "custom", "custom": {"name": "patch", "description": "d", "format": {"type": "text"}}}
    ]
    assert body["tool_choice"]["allowed_tools"]["tools"] == [{"type": "custom", "custom": {"name": "patch"}}]


def test_thoughts_go_back_to_where_they_stood_and_those_of_others_stay():
    def sent(*thoughts):
        body, dropped = encode(assistant(*thoughts, TextPart("x")), checked=False)
        return body["messages"][0], dropped

    plain = ReasoningPart(text="t", origin="openai_chat")
    assert sent(plain)[0] == {"role": "assistant", "content": "x", "reasoning_content": "t"}
    assert sent(plain, plain)[0]["reasoning_content"] == "t\nt"
    foreign = ReasoningPart(text="t", signature="s", origin="anthropic_messages")
    assert sent(foreign) == ({"role": "assistant", "content": "x"}, ("reasoning.history",))
    short = ReasoningPart(text="t", signature='{"type":"reasoning"}', origin="openai_chat")
    assert sent(short)[0]["reasoning"] == "t"
    detail = ReasoningPart(text="t", signature='{"type":"reasoning.text","index":0}', origin="openai_chat")
    sealed = ReasoningPart(sealed='{"type":"reasoning.encrypted","data":"d"}', origin="openai_chat")
    assert sent(detail, sealed)[0]["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "t"},
        {"type": "reasoning.encrypted", "data": "d"},
    ]
    block = ReasoningPart(text="t", signature='{"type":"thinking","signature":"s"}', origin="openai_chat")
    assert sent(block)[0]["thinking_blocks"] == [{"type": "thinking", "signature": "s", "thinking": "t"}]
    mistral = ReasoningPart(text="t", signature='{"type":"thinking"}', origin="openai_chat")
    assert sent(mistral)[0]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
        {"type": "text", "text": "x"},
    ]
    forged = ReasoningPart(text="t", signature="no JSON", origin="openai_chat")
    assert sent(forged)[0]["reasoning_content"] == "t"


def test_signatures_of_calls():
    def call(origin):
        part = ToolCallPart("1", "f", "{}", signature="s", origin=origin)
        body, dropped = encode(assistant(part), user(ToolResultPart("1")))
        return body["messages"][0]["tool_calls"][0].get("extra_content"), dropped

    assert call("openai_chat") == ({"google": {"thought_signature": "s"}}, ())
    assert call("gemini") == (None, ("reasoning.history",))


def test_refusals():
    assert written(assistant(RefusalPart("no"))) == [{"role": "assistant", "content": None, "refusal": "no"}]


class TestCacheMarks:
    SAID = (
        Message(role="system", parts=(TextPart("a", CacheMark()), TextPart("b"))),
        user(ImagePart("https://x/y", cache=CacheMark("1h"))),
        assistant(ToolCallPart("1", "f", "{}")),
        user(ToolResultPart("1", (TextPart("r"),), cache=CacheMark())),
    )
    TOOLS = (Tool(name="f", cache=CacheMark()),)

    def test_most_vendors_refuse_them(self):
        body, dropped = encode(*self.SAID, tools=self.TOOLS, model="mistral-large")
        assert b"cache_control" not in json.encode(body)
        assert body["messages"][0]["content"] == "a\nb"
        assert dropped == ("cache",)

    def test_those_of_claude_models_take_them(self):
        body, dropped = encode(*self.SAID, tools=self.TOOLS, model="anthropic/claude-sonnet", checked=False)
        assert dropped == ()
        assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}
        assert body["messages"][0]["content"] == [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "b"},
        ]
        assert body["messages"][1]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
        assert body["messages"][3]["content"] == [
            {"type": "text", "text": "r", "cache_control": {"type": "ephemeral"}}
        ]


class TestRefused:
    def test_no_messages(self):
        with pytest.raises(ClientProtocolError, match="the request holds no messages"):
            dialect.encode(Conversation(), "m")

    @pytest.mark.parametrize(
        "messages",
        [
            (user(ToolResultPart("1")),),
            (assistant(ToolCallPart("1", "f", "{}")), user(ToolResultPart("2"))),
            (user(ToolResultPart("1")), assistant(ToolCallPart("1", "f", "{}"))),
        ],
    )
    def test_an_answer_without_its_call(self, messages):
        with pytest.raises(ClientProtocolError, match="the answer of a tool that was not called before it"):
            dialect.encode(Conversation(messages=messages), "m")

    @pytest.mark.parametrize(
        ("message", "feature"),
        [
            (user(OpaquePart("video_url", Raw(b"{}"))), "opaque"),
            (user(DocumentPart(url="https://x/y.pdf")), "document.url"),
            (user(DocumentPart(file_id="f", origin="anthropic_messages")), "document.file_id"),
            (assistant(ImagePart("https://x/y")), "image.url"),
            (assistant(OpaquePart("server_tool_use", Raw(b"{}"))), "opaque"),
        ],
    )
    def test_parts_without_a_place(self, message, feature):
        with pytest.raises(CannotExpress) as refusal:
            dialect.encode(Conversation(messages=(message,)), "m")
        assert refusal.value.feature == feature

    @pytest.mark.parametrize(
        ("choice", "tools"),
        [(ToolChoice("required"), ()), (ToolChoice("named", "web_search"), (Tool(name="f"),))],
    )
    def test_a_tool_that_is_not_there_cannot_be_forced(self, choice, tools):
        with pytest.raises(CannotExpress) as refusal:
            dialect.encode(Conversation(messages=HELLO, tool_choice=choice, tools=tools), "m")
        assert refusal.value.feature == "tool_choice"

    def test_a_choice_among_no_tools_is_left_out(self):
        assert "tool_choice" not in encode(tool_choice=ToolChoice("auto"))[0]


def test_ids_of_calls_that_are_longer_than_openai_takes():
    def loop(identity):
        call, answer = ToolCallPart(identity, "f", "{}"), ToolResultPart(identity, (TextPart("a"),))
        _, asked, answered = written(*HELLO, assistant(call), Message(role="tool", parts=(answer,)))
        assert asked["tool_calls"][0]["id"] == answered["tool_call_id"]
        return answered["tool_call_id"]

    assert loop("c" * 40) == "c" * 40
    assert len(loop("c" * 41)) <= 40
    assert loop("c" * 41) != loop("c" * 42)


def test_what_proves_a_call_goes_back_to_it_from_clients_whose_calls_cannot_carry_it():
    proof = ReasoningPart(signature="b3du", id="1", origin="openai_chat")
    calls = ToolCallPart("1", "f", "{}"), ToolCallPart("2", "f", "{}")
    _, asked = written(*HELLO, assistant(proof, *calls), checked=False)
    assert "reasoning_content" not in asked
    assert asked["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "b3du"}}
    assert "extra_content" not in asked["tool_calls"][1]
