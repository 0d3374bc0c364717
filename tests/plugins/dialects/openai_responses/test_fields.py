"""Requests of the Responses API, as clients and Codex send them."""

import base64

import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.openai_responses.dialect import OpenAIResponses
from archflow_plugins.dialects.openai_responses.fields import calls
from archflow_plugins.dialects.openai_responses.tools import NAME_AT_MOST, Called, flat
from archflow_plugins.dialects.sealed import Proof, wrap
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import CannotExpress, leave
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Citation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Output,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

dialect = OpenAIResponses(Empty(), run_context())
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def head(**fields):
    return dialect.decode_head(json.encode({"model": "m", **fields}))


def decode(**fields):
    return dialect.decode(head(**fields))


def parts(*content):
    (message,) = decode(input=[{"role": "user", "content": list(content)}]).messages
    return message.parts


def test_a_text_and_instructions():
    found = decode(input="hi", instructions="be brief")
    assert [(message.role, message.text) for message in found.messages] == [
        ("system", "be brief"),
        ("user", "hi"),
    ]
    assert decode(instructions=None, input="hi").messages[0].role == "user"
    assert decode().messages == ()


def test_what_the_assistant_did_is_one_message():
    found = decode(
        input=[
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": "gA"},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}],
            },
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
            {"type": "function_call_output", "call_id": "c1", "output": "calm"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": "ok"}],
            },
            {"role": "developer", "content": "faster"},
        ]
    )
    assert found.messages == (
        Message(role="user", parts=(TextPart("hi"),)),
        Message(
            role="assistant",
            parts=(
                ReasoningPart(sealed="gA", id="rs_1", origin="openai_responses"),
                TextPart("I look."),
                ToolCallPart("c1", "look", "{}"),
                ToolCallPart("c2", "patch", "*** Begin", custom=True),
            ),
        ),
        Message(role="tool", parts=(ToolResultPart("c1", (TextPart("calm"),)),)),
        Message(role="tool", parts=(ToolResultPart("c2", (TextPart("ok"),), custom=True),)),
        Message(role="developer", parts=(TextPart("faster"),)),
    )


def test_parts():
    assert parts(
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "AAAA"},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
        {"type": "input_file", "file_data": "data:text/plain;base64,_"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "refusal", "refusal": "no"},
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        {"type": "later", "x": 1},
    ) == (
        ImagePart("https://x/y.png", "low"),
        DocumentPart(file_id="file-1", media_type="image/*", origin="openai_responses"),
        DocumentPart(url="https://x/y.pdf"),
        DocumentPart(url="data:application/pdf;base64,AAAA", media_type="application/pdf", name="a.pdf"),
        DocumentPart(url="data:application/pdf;base64,AAAA", media_type="application/pdf", name="a.pdf"),
        DocumentPart(text="hi", media_type="text/plain", name="a.txt"),
        DocumentPart(url="data:text/plain;base64,_", media_type="text/plain"),
        DocumentPart(file_id="file-2", origin="openai_responses"),
        AudioPart("AAAA", "wav"),
        RefusalPart("no"),
        TextPart("a", CacheMark()),
        TextPart("b", CacheMark("1h")),
        OpaquePart("later", Raw(b'{"type":"later","x":1}')),
    )


def test_a_part_of_a_form_of_its_own_is_kept_among_known_ones():
    assert parts({"type": "input_text", "text": "a"}, {"type": "later", "text": "b"})[1] == OpaquePart(
        "later", Raw(b'{"type":"later","text":"b"}')
    )


def test_annotations_become_citations():
    raw = {"type": "url_citation", "url": "https://sea", "title": "Sea", "start_index": 1, "end_index": 4}
    content = [{"type": "output_text", "text": "a sea", "annotations": [raw, {"type": 3}]}]
    (message,) = decode(input=[{"role": "assistant", "content": content}]).messages
    first, second = message.parts[0].citations
    assert first == Citation(
        url="https://sea", title="Sea", start=1, end=4, origin="openai_responses", raw=Raw(json.encode(raw))
    )
    assert second.url == ""


def test_thoughts_of_another_provider_come_back_as_they_were():
    proof = Proof(signature="sig", sealed="s", id="i")
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": wrap("anthropic_messages", proof),
    }
    (message,) = decode(input=[item]).messages
    assert message.parts == (
        ReasoningPart(text="hm", signature="sig", sealed="s", id="i", origin="anthropic_messages"),
    )


def test_thoughts_with_and_without_a_summary():
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    raw = [{"type": "reasoning_text", "text": "c"}]
    (message,) = decode(
        input=[
            {"type": "reasoning", "id": "1", "summary": summary},
            {"type": "reasoning", "id": "2", "summary": summary, "content": raw},
        ]
    ).messages
    assert [(part.text, part.summary) for part in message.parts] == [("a\n\nb", True), ("c", False)]


def test_tools_that_the_client_runs_are_functions():
    tools = [
        {"type": "local_shell"},
        {"type": "tool_search", "execution": "client", "description": "d", "parameters": {"type": "object"}},
    ]
    found = decode(
        tools=tools,
        input=[
            {
                "type": "local_shell_call",
                "id": "lsh_1",
                "call_id": "c1",
                "status": "completed",
                "action": {"type": "exec", "command": ["ls"], "env": {}},
            },
            {"type": "local_shell_call_output", "id": "c1", "output": "a.txt"},
            {"type": "tool_search_call", "call_id": "c2", "execution": "client", "arguments": {"query": "q"}},
            {"type": "tool_search_output", "call_id": "c2", "execution": "client", "tools": [LOOK]},
        ],
    )
    assert [tool.name for tool in found.tools] == ["local_shell", "tool_search", "look"]
    shell, listing, search, found_tools = found.messages
    assert shell.parts == (ToolCallPart("c1", "local_shell", '{"command":["ls"],"env":{}}'),)
    assert listing.parts == (ToolResultPart("c1", (TextPart("a.txt"),)),)
    assert search.parts == (ToolCallPart("c2", "tool_search", '{"query":"q"}'),)
    assert found_tools.parts[0].id == "c2"


def test_namespaces_become_flat_names_and_are_found_again():
    nested = [{**LOOK, "name": "spawn"}, {"type": "custom", "name": "exec", "description": "runs"}]
    asked = {"tools": [{"type": "namespace", "name": "agents", "description": "", "tools": nested}, LOOK]}
    found = decode(
        **asked,
        input=[
            {"type": "function_call", "call_id": "c", "namespace": "agents", "name": "spawn", "arguments": ""}
        ],
        tool_choice={"type": "function", "name": "look"},
    )
    assert [(tool.name, tool.custom) for tool in found.tools] == [
        ("agents__spawn", False),
        ("agents__exec", True),
        ("look", False),
    ]
    assert found.messages[0].parts[0].name == "agents__spawn"
    assert found.tool_choice == ToolChoice("named", "look")
    assert calls(head(**asked)) == {
        "agents__spawn": Called("function", "spawn", "agents"),
        "agents__exec": Called("custom", "exec", "agents"),
    }


def test_flat_names_are_short_and_differ():
    names = {flat("n" * 60, name) for name in ("spawn_agent_one", "spawn_agent_two")}
    assert len(names) == 2
    assert all(len(name) <= NAME_AT_MOST for name in names)
    assert flat("", "look") == "look"
    assert flat("mcp__sea__", "look") == "mcp__sea__look"


def test_tools_among_the_items_are_offered():
    item = {
        "type": "additional_tools",
        "id": "at_1",
        "role": "developer",
        "tools": [LOOK, {"type": "web_search"}],
    }
    found = decode(input=[item, {"role": "user", "content": "hi"}])
    assert [tool.name for tool in found.tools] == ["look"]
    assert found.extras == (("tools", Raw(b'[{"type":"web_search"}]')),)
    assert [message.role for message in found.messages] == ["user"]


def test_tools_of_openai_stay_behind_by_name():
    tools = [LOOK, {"type": "web_search", "filters": None}, {"type": "mcp", "tools": "of another form"}]
    found = decode(input="hi", tools=tools, tool_choice="auto")
    assert [tool.name for tool in found.tools] == ["look"]
    assert leave(dialect.own, found) == ("tools.web_search", "tools.mcp")


def test_a_tool_of_openai_that_must_be_called_is_missed():
    found = decode(input="hi", tools=[{"type": "web_search"}], tool_choice={"type": "web_search"})
    with pytest.raises(CannotExpress, match="tool_choice"):
        leave(dialect.own, found)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("none", ToolChoice("none")),
        (None, None),
        ({"type": "custom", "name": "patch"}, ToolChoice("named", "patch")),
        ({"type": "function", "function": {"name": "look"}}, ToolChoice("named", "look")),
        ({"type": "function", "name": "b", "namespace": "a"}, ToolChoice("named", "a__b")),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]},
            ToolChoice("required", allowed=("look",)),
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}, ToolChoice("none")),
    ],
)
def test_tool_choice(said, wanted):
    assert decode(input="hi", tools=[LOOK], tool_choice=said).tool_choice == wanted


def test_settings():
    found = decode(
        input="hi",
        max_output_tokens=100,
        temperature=0.5,
        top_p=1,
        top_logprobs=2,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        parallel_tool_calls=False,
        reasoning={"effort": "none", "generate_summary": "concise"},
        text={
            "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}},
            "verbosity": "low",
        },
        prompt_cache_key="k",
        user="u",
        safety_identifier="s",
        service_tier="flex",
        metadata={"a": "b"},
        store=False,
        truncation=None,
    )
    assert found.sampling.max_tokens == 100
    assert (found.sampling.temperature, found.sampling.top_p) == (0.5, 1.0)
    assert (found.sampling.logprobs, found.sampling.top_logprobs) == (True, 2)
    assert found.parallel_tool_calls is False
    assert found.reasoning == Reasoning(mode="off", effort="none", summary="concise")
    assert found.output == Output(form="json_schema", name="n", schema=Raw(b'{"type":"object"}'))
    assert (found.cache_key, found.user, found.service_tier, found.verbosity) == ("k", "s", "flex", "low")
    assert found.metadata == (("a", "b"),)
    assert leave(dialect.own, found) == ()


def test_a_change_of_effort_in_mid_conversation_counts():
    item = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    found = decode(input=[{"role": "user", "content": "hi"}, item], reasoning={"effort": "low"})
    assert found.reasoning == Reasoning(mode="on", effort="high")


def test_what_is_left_behind_is_named():
    found = decode(
        input=[
            {"role": "user", "content": "hi"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        ],
        include=["web_search_call.action.sources"],
        client_metadata={"a": "b"},
        truncation="auto",
    )
    assert leave(dialect.own, found) == (
        "client_metadata",
        "truncation",
        "input[].web_search_call",
        "include",
    )


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt"])
def test_what_openai_keeps_is_missed(field):
    with pytest.raises(CannotExpress, match=field):
        leave(dialect.own, decode(input="hi", **{field: "x"}))


def test_in_the_background_is_refused_and_in_the_foreground_is_nothing():
    assert leave(dialect.own, decode(input="hi", background=False)) == ()
    with pytest.raises(CannotExpress, match="background"):
        leave(dialect.own, decode(input="hi", background=True))


def test_items_of_openai_are_kept_as_they_came():
    item = {"type": "computer_call_output", "call_id": "c", "output": {"type": "screenshot"}, "name": 3}
    (message,) = decode(input=[item]).messages
    assert message == Message(
        role="assistant", parts=(OpaquePart("computer_call_output", Raw(json.encode(item))),)
    )


def test_a_message_of_another_agent_is_a_users():
    item = {
        "type": "agent_message",
        "author": "sea-agent",
        "recipient": "main",
        "content": [{"type": "input_text", "text": "done"}],
    }
    assert decode(input=[item]).messages == (
        Message(role="user", parts=(TextPart("done"),), name="sea-agent"),
    )


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"input": 3}, "`input` must be a string or a list"),
        ({"input": [{"role": "pirate", "content": "x"}]}, r"`input\[0\]` has a role that is none of"),
        ({"input": [{"role": "user", "content": 3}]}, r"`input\[0\]` is not understood"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "lacks `call_id`"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "lacks `name`"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "lacks `call_id`"),
        ({"input": ["x"]}, r"`input\[0\]` is not understood"),
        ({"tools": [{"type": "function"}]}, r"`tools\[0\]` has no name"),
        ({"tools": [{"type": "function", "name": 3}]}, r"`tools\[0\]` is not understood"),
        ({"tool_choice": "perhaps"}, "`tool_choice` must be"),
        ({"tool_choice": {"type": "function"}}, "names no tool"),
        ({"text": {"format": {"type": "xml"}}}, "`text.format.type`"),
        ({"temperature": "warm"}, "`temperature` is not understood"),
        ({"metadata": {"a": 1}}, "`metadata` is not understood"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(fields, complaint):
    with pytest.raises(ClientProtocolError, match=complaint):
        decode(**{"input": "hi", **fields})


def test_half_a_character_in_arguments():
    body = b'{"model":"m","input":[{"type":"function_call","call_id":"c","name":"f","arguments":"\\ud83d"}]}'
    with pytest.raises(ClientProtocolError):
        dialect.decode(dialect.decode_head(body))


def test_a_long_text_file_survives_its_own_dialect():
    text = "sea\n" * 1000
    data = f"data:text/plain;base64,{base64.b64encode(text.encode()).decode()}"
    said = decode(input=[{"role": "user", "content": [{"type": "input_file", "file_data": data}]}])
    again = dialect.decode(dialect.decode_head(dialect.encode(said, "m").body))
    assert again.messages[0].parts[0].text == text
