"""Requests of chat completions, from OpenAI's clients and those of other vendors, as conversations."""

import base64

import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    DocumentPart,
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
HELLO = [{"role": "user", "content": "hello"}]


def decode(**fields):
    return dialect.decode(dialect.decode_head(json.encode({"model": "m", "messages": HELLO, **fields})))


def parts(message):
    (found,) = decode(messages=[message]).messages
    return found.parts


def extras(found):
    return {name: json.decode(raw) for name, raw in found.extras}


def test_sampling():
    found = decode(
        max_tokens=100,
        temperature=0.5,
        top_p=1,
        top_k=40,
        stop="END",
        seed=7,
        n=2,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logprobs=True,
        top_logprobs=3,
        logit_bias={"50256": -100},
        user="u",
        service_tier="flex",
        prompt_cache_key="k",
        verbosity="low",
        metadata={"a": "b", "n": 1},
        parallel_tool_calls=False,
    )
    assert found.sampling == Sampling(
        max_tokens=100,
        temperature=0.5,
        top_p=1.0,
        top_k=40,
        stop=("END",),
        seed=7,
        n=2,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logprobs=True,
        top_logprobs=3,
        logit_bias=Raw(b'{"50256":-100}'),
    )
    assert (found.user, found.service_tier, found.cache_key, found.verbosity) == ("u", "flex", "k", "low")
    assert found.metadata == (("a", "b"), ("n", "1"))
    assert found.parallel_tool_calls is False
    assert found.extras == ()


def test_null_says_nothing():
    fields = dict.fromkeys(
        [
            "tools",
            "functions",
            "tool_choice",
            "function_call",
            "parallel_tool_calls",
            "max_tokens",
            "max_completion_tokens",
            "temperature",
            "top_p",
            "top_k",
            "stop",
            "seed",
            "n",
            "presence_penalty",
            "frequency_penalty",
            "logprobs",
            "top_logprobs",
            "logit_bias",
            "response_format",
            "reasoning_effort",
            "reasoning",
            "thinking",
            "enable_thinking",
            "thinking_budget",
            "include_reasoning",
            "user",
            "safety_identifier",
            "service_tier",
            "prompt_cache_key",
            "verbosity",
            "metadata",
            "stream_options",
            "stream",
        ]
    )
    assert decode(**fields) == decode()


def test_the_newer_name_of_max_tokens_counts():
    assert decode(max_completion_tokens=5).sampling.max_tokens == 5
    assert decode(max_tokens=9, max_completion_tokens=5).sampling.max_tokens == 5


@pytest.mark.parametrize(("stop", "texts"), [("a", ("a",)), (["a", "b"], ("a", "b")), ([], ()), ("", ())])
def test_stop_is_a_text_or_several(stop, texts):
    assert decode(stop=stop).sampling.stop == texts


def test_two_names_of_the_user():
    assert decode(safety_identifier="s").user == "s"
    both = decode(user="u", safety_identifier="s")
    assert (both.user, extras(both)) == ("u", {"safety_identifier": "s"})


def test_unknown_fields_stay_as_they_came():
    assert extras(decode(odd={"a": [1]}, prediction={"type": "content"})) == {
        "odd": {"a": [1]},
        "prediction": {"type": "content"},
    }


@pytest.mark.parametrize("name", ["reasoning", "thinking", "metadata"])
def test_fields_that_vendors_shape_otherwise_stay_as_they_came(name):
    assert extras(decode(**{name: ["odd"]})) == {name: ["odd"]}


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning_effort": "high"}, Reasoning(mode="on", effort="high")),
        ({"reasoning_effort": "none"}, Reasoning(mode="off", effort="none")),
        # OpenRouter
        ({"reasoning": {"effort": "low", "exclude": True}}, Reasoning(mode="on", effort="low", hidden=True)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(mode="on", budget=2000)),
        ({"reasoning": {"enabled": False}}, Reasoning(mode="off")),
        ({"include_reasoning": False}, Reasoning(hidden=True)),
        # Anthropic, LiteLLM, DeepSeek, Zhipu
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Reasoning(mode="on", budget=1024)),
        ({"thinking": {"type": "disabled"}}, Reasoning(mode="off")),
        ({"thinking": {"type": "adaptive"}}, Reasoning(mode="adaptive")),
        # Qwen
        ({"enable_thinking": True, "thinking_budget": 500}, Reasoning(mode="on", budget=500)),
        ({"enable_thinking": False}, Reasoning(mode="off")),
        ({"reasoning": {}}, None),
    ],
)
def test_how_much_to_think_in_the_words_of_each_vendor(fields, reasoning):
    assert decode(**fields).reasoning == reasoning


@pytest.mark.parametrize(
    ("form", "output"),
    [
        ({"type": "text"}, Output(form="text")),
        ({"type": "json_object"}, Output(form="json")),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"x": 1}, "strict": True}},
            Output(form="json_schema", name="a", schema=Raw(b'{"x":1}'), strict=True),
        ),
        ({"type": "json_object", "schema": {"x": 1}}, Output(form="json_schema", schema=Raw(b'{"x":1}'))),
    ],
)
def test_forms_of_the_answer(form, output):
    assert decode(response_format=form).output == output


def test_an_unknown_form_of_the_answer_stays_as_it_came():
    found = decode(response_format={"type": "regex", "pattern": "a+"})
    assert found.output is None
    assert extras(found) == {"response_format": {"type": "regex", "pattern": "a+"}}


@pytest.mark.parametrize(
    ("told", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("named", "f")),
        ({"type": "custom", "custom": {"name": "g"}}, ToolChoice("named", "g")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "mcp"}],
                },
            },
            ToolChoice("required", allowed=("f",)),
        ),
    ],
)
def test_tool_choice(told, choice):
    assert decode(tool_choice=told).tool_choice == choice


@pytest.mark.parametrize("told", ["sometimes", {"type": "web_search"}])
def test_an_unknown_tool_choice_stays_as_it_came(told):
    found = decode(tool_choice=told)
    assert found.tool_choice is None
    assert extras(found) == {"tool_choice": told}


def test_tools_of_every_kind():
    found = decode(
        tools=[
            {"type": "function", "function": {"name": "f", "parameters": None, "strict": True}},
            {"type": "function", "function": {"name": "g"}, "cache_control": {"type": "ephemeral"}},
            {"type": "custom", "custom": {"name": "h", "format": {"type": "text"}}},
            {"type": "web_search"},
        ]
    )
    assert found.tools == (
        Tool(name="f", strict=True),
        Tool(name="g", cache=CacheMark()),
        Tool(name="h", custom=True, grammar=Raw(b'{"type":"text"}')),
    )
    assert extras(found) == {"tools": [{"type": "web_search"}]}


def test_the_older_functions():
    found = decode(
        functions=[{"name": "look", "description": "d"}],
        function_call={"name": "look"},
        messages=[
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
            {"role": "function", "name": "look", "content": "a"},
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
            {"role": "function", "name": "look", "content": "b"},
        ],
    )
    assert found.tools == (Tool(name="look", description="d"),)
    assert found.tool_choice == ToolChoice("named", "look")
    assert found.parallel_tool_calls is False, "a client with one place for a call must not get two"
    ids = [part.id for message in found.messages for part in message.parts if not isinstance(part, TextPart)]
    assert ids == ["call_1", "call_1", "call_3", "call_3"]


def test_parts_of_the_user():
    pdf = base64.b64encode(b"%PDF").decode()
    assert parts(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
                {
                    "type": "file",
                    "file": {"file_data": f"data:application/pdf;base64,{pdf}", "filename": "x"},
                },
                {"type": "file", "file": {"file_data": pdf, "filename": "x.pdf"}},
                {"type": "file", "file": {"file_data": "https://example.org/x.pdf"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "video_url", "text": 3},
            ],
        }
    ) == (
        TextPart("a", CacheMark("1h")),
        TextPart("b", CacheMark()),
        AudioPart("UklG", "wav"),
        DocumentPart(url=f"data:application/pdf;base64,{pdf}", media_type="application/pdf", name="x"),
        DocumentPart(url=f"data:application/pdf;base64,{pdf}", media_type="application/pdf", name="x.pdf"),
        DocumentPart(url="https://example.org/x.pdf"),
        DocumentPart(file_id="file-1", origin="openai_chat"),
        OpaquePart("video_url", Raw(b'{"type":"video_url","text":3}')),
    )


def test_what_the_assistant_said():
    assert parts({"role": "assistant", "content": None, "refusal": "no"}) == (RefusalPart("no"),)
    assert parts({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}) == (
        RefusalPart("no"),
    )
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    assert parts({"role": "assistant", "tool_calls": [call]}) == (ToolCallPart("c", "f", '{"a":1}'),)
    nothing = {"id": "c", "function": {"name": "f"}}
    assert parts({"role": "assistant", "content": "", "tool_calls": [nothing]})[1] == ToolCallPart(
        "c", "f", ""
    )


def test_thoughts_in_every_place():
    def thought(**fields):
        return parts({"role": "assistant", "content": "x", **fields})[0]

    assert thought(reasoning_content="t") == ReasoningPart(text="t", origin="openai_chat")
    assert thought(reasoning="t").text == "t"
    detail = thought(
        reasoning="t", reasoning_details=[{"type": "reasoning.text", "text": "t", "signature": "s"}]
    )
    assert (detail.text, json.decode(detail.signature)) == ("t", {"type": "reasoning.text", "signature": "s"})
    block = thought(thinking_blocks=[{"type": "thinking", "thinking": "t", "signature": "s"}])
    assert (block.text, json.decode(block.signature)) == ("t", {"type": "thinking", "signature": "s"})
    (mistral, text) = parts(
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
                {"type": "text", "text": "x"},
            ],
        }
    )
    assert isinstance(mistral, ReasoningPart)
    assert (mistral.text, text) == ("t", TextPart("x"))


def test_a_mark_on_a_message_marks_what_is_in_it():
    assert parts({"role": "system", "content": "a", "cache_control": {"type": "ephemeral"}}) == (
        TextPart("a", CacheMark()),
    )
    (result,) = parts(
        {"role": "tool", "tool_call_id": "c", "content": "a", "cache_control": {"type": "ephemeral"}}
    )
    assert result == ToolResultPart("c", (TextPart("a"),), cache=CacheMark())


def test_tool_results_keep_their_parts():
    (result,) = parts({"role": "tool", "tool_call_id": "c", "content": None})
    assert result == ToolResultPart("c")
    (result,) = parts(
        {
            "role": "tool",
            "tool_call_id": "c",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://x/y"}},
            ],
        }
    )
    assert [type(part).__name__ for part in result.parts] == ["TextPart", "ImagePart"]


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (
            {"role": "user", "content": [{"type": "text", "text": 1}]},
            "`messages[0]`.content[0] is not understood",
        ),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "neither `file_data` nor `file_id`"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "missing required field `input_audio`"),
        ({"role": "user", "content": [3]}, "`messages[0]`.content[0]"),
    ],
)
def test_a_part_that_is_wrong_is_named(message, complaint):
    with pytest.raises(ClientProtocolError) as raised:
        decode(messages=[message])
    assert complaint in str(raised.value)
