"""Requests of Messages to conversations: everything that real clients send."""

import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.dialects.sealed import Proof, wrap
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import CannotExpress, leave
from archflow_schema.conversation import (
    CacheMark,
    DocumentPart,
    ImagePart,
    OpaquePart,
    Output,
    Reasoning,
    ReasoningPart,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

dialect = AnthropicMessages(Empty(), run_context())
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def decode(**fields):
    body = {"model": "m", "max_tokens": 9, "messages": [], **fields}
    return dialect.decode(dialect.decode_head(json.encode(body)))


def parts(*blocks, role="user"):
    (message,) = decode(messages=[{"role": role, "content": list(blocks)}]).messages
    return message.parts


def extras(found):
    return {name: json.decode(raw) for name, raw in found.extras}


def test_system_and_texts():
    found = decode(
        system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "ho"}]},
            {"role": "system", "content": "now in French"},
            {"role": "user", "content": None},
        ],
    )
    assert [(message.role, message.text) for message in found.messages] == [
        ("system", "be brief"),
        ("user", "hi"),
        ("assistant", "ho"),
        ("system", "now in French"),
        ("user", ""),
    ]
    assert found.messages[0].parts == (TextPart("be brief", CacheMark()),)
    assert decode(system="short").messages[0].text == "short"
    assert decode(system=None).messages == ()


def test_what_claude_code_sends():
    found = decode(
        model="gpt-5",
        max_tokens=32000,
        stream=True,
        system=[
            {"type": "text", "text": "You are Claude Code."},
            {
                "type": "text",
                "text": "Rules",
                "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"},
            },
        ],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "fix it"}]},
            {"role": "system", "content": "a reminder"},
        ],
        tools=[
            {
                "name": "Read",
                "description": "reads",
                "input_schema": SCHEMA,
                "eager_input_streaming": True,
                "defer_loading": True,
            },
            {
                "type": "custom",
                "name": "Bash",
                "input_schema": SCHEMA,
                "strict": True,
                "defer_loading": False,
            },
            {"type": "custom", "name": "Bare"},
            SEARCH,
        ],
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "high", "task_budget": {"type": "tokens", "total": 1000}},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": '{"device_id":"x"}'},
        temperature=1,
    )
    assert found.reasoning == Reasoning(mode="adaptive", effort="high", hidden=True)
    assert found.sampling == Sampling(max_tokens=32000, temperature=1.0)
    assert found.user == '{"device_id":"x"}'
    assert found.messages[0].parts[1] == TextPart("Rules", CacheMark("1h"))
    assert found.tools == (
        Tool(name="Read", description="reads", parameters=Raw(json.encode(SCHEMA))),
        Tool(name="Bash", parameters=Raw(json.encode(SCHEMA)), strict=True),
        Tool(name="Bare"),
    )
    assert leave(dialect.own, found) == (
        "context_management",
        "tools[].defer_loading",
        "tools[].eager_input_streaming",
        "tools.web_search",
        "output_config.task_budget",
    )


def test_blocks_of_a_user():
    found = parts(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {
            "type": "image",
            "source": {"type": "url", "url": "https://x/y.png"},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "container_upload", "file_id": "f"},
        {"type": "something_new", "text": {"odd": True}},
    )
    assert found[:2] == (
        ImagePart("data:image/png;base64,AAAA"),
        ImagePart("https://x/y.png", cache=CacheMark()),
    )
    assert [part.kind for part in found[2:] if isinstance(part, OpaquePart)] == [
        "image",
        "container_upload",
        "something_new",
    ]
    assert json.decode(found[4].raw) == {"type": "something_new", "text": {"odd": True}}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}, "title": "a.pdf"},
            DocumentPart(url="data:application/pdf;base64,AAAA", media_type="application/pdf", name="a.pdf"),
        ),
        (
            {
                "source": {"type": "text", "media_type": "text/plain", "data": "blue"},
                "context": "notes",
                "citations": {"enabled": True},
            },
            DocumentPart(text="blue", media_type="text/plain", context="notes", citations=True),
        ),
        ({"source": {"type": "url", "url": "https://x/a.pdf"}}, DocumentPart(url="https://x/a.pdf")),
        (
            {"source": {"type": "file", "file_id": "file_1"}, "citations": None},
            DocumentPart(file_id="file_1", origin="anthropic_messages"),
        ),
        ({"source": {"type": "content", "content": "blue"}}, DocumentPart(text="blue")),
        (
            {"source": {"type": "content", "content": [{"type": "text", "text": t} for t in ("a", "b")]}},
            DocumentPart(text="a\nb"),
        ),
    ],
)
def test_documents(block, expected):
    assert parts({"type": "document", **block}) == (expected,)


def test_a_document_of_texts_and_images_is_both():
    image = {"type": "image", "source": {"type": "url", "url": "https://x"}}
    content = [{"type": "text", "text": "a"}, image]
    found = parts({"type": "document", "source": {"type": "content", "content": content}})
    assert found == (DocumentPart(text="a"), ImagePart("https://x"))


def test_a_document_of_an_unknown_source_stays_as_it_is():
    (found,) = parts({"type": "document", "source": {"type": "hologram"}})
    assert isinstance(found, OpaquePart)


def test_search_results_are_documents():
    block = {
        "type": "search_result",
        "source": "https://x",
        "title": "X",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "citations": {"enabled": True},
    }
    expected = DocumentPart(text="a\nb", name="X", context="https://x", citations=True)
    assert parts(block) == (expected,)
    (result,) = parts({"type": "tool_result", "tool_use_id": "t", "content": [block]})
    assert result == ToolResultPart("t", (expected,))


def test_calls_and_results():
    call = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}}
    assert parts(call, role="assistant") == (ToolCallPart("t1", "f", '{"a":1}'),)
    assert parts({"type": "tool_use", "id": "t1", "name": "f"}) == (ToolCallPart("t1", "f", "{}"),)
    found = parts(
        {"type": "tool_result", "tool_use_id": "t1", "content": "42"},
        {
            "type": "tool_result",
            "tool_use_id": "t2",
            "is_error": True,
            "cache_control": {"type": "ephemeral", "ttl": "5m"},
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "url", "url": "https://x"}},
                {"type": "document", "source": {"type": "url", "url": "https://y"}},
                {"type": "text", "text": "b"},
                {"type": "tool_reference", "tool_name": "Glob"},
            ],
        },
        {"type": "tool_result", "tool_use_id": "t3"},
        {"type": "tool_result", "tool_use_id": "t4", "content": []},
    )
    inner = (
        TextPart("a"),
        ImagePart("https://x"),
        DocumentPart(url="https://y"),
        TextPart("b"),
        TextPart("the tool Glob can be called"),
    )
    assert found == (
        ToolResultPart("t1", (TextPart("42"),)),
        ToolResultPart("t2", inner, is_error=True, cache=CacheMark("5m")),
        ToolResultPart("t3"),
        ToolResultPart("t4"),
    )


def test_thoughts():
    foreign = wrap("openai_responses", Proof(sealed="xyz", id="rs_1"))
    found = parts(
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "redacted_thinking", "data": "c2Vh"},
        {"type": "thinking", "thinking": "sum", "signature": foreign},
        {"type": "redacted_thinking", "data": foreign},
        role="assistant",
    )
    own = "anthropic_messages"
    assert found == (
        ReasoningPart(text="hm", signature="c2ln", origin=own),
        ReasoningPart(text="hm"),
        ReasoningPart(sealed="c2Vh", origin=own),
        ReasoningPart(text="sum", sealed="xyz", id="rs_1", origin="openai_responses"),
        ReasoningPart(sealed="xyz", id="rs_1", origin="openai_responses"),
    )


def test_what_servers_did_is_put_aside_and_named():
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    found = decode(
        messages=[{"role": "assistant", "content": [use, result, {"type": "text", "text": "it is so"}]}]
    )
    assert found.messages[0].parts == (TextPart("it is so"),)
    assert extras(found) == {"messages[].server_tool_use": [use, result]}
    assert leave(dialect.own, found) == ("messages[].server_tool_use",)


def test_a_compaction_is_its_summary():
    found = parts(
        {"type": "compaction", "content": "so far"}, {"type": "compaction", "content": None}, role="assistant"
    )
    assert found == (TextPart("so far"),)


def test_citations_of_earlier_answers():
    cited = {
        "type": "char_location",
        "cited_text": "blue",
        "document_index": 2,
        "document_title": "Sky",
        "start_char_index": 0,
        "end_char_index": 4,
    }
    (part,) = parts({"type": "text", "text": "it is blue", "citations": [cited]}, role="assistant")
    (citation,) = part.citations
    assert (citation.title, citation.cited, citation.document) == ("Sky", "blue", 2)
    assert json.decode(citation.raw) == cited
    assert parts({"type": "text", "text": "x", "citations": None}) == (TextPart("x"),)


@pytest.mark.parametrize(
    ("told", "choice", "several"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "none"}, ToolChoice("none"), None),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
            ToolChoice("named", "f"),
            True,
        ),
        (None, None, None),
    ],
)
def test_tool_choice(told, choice, several):
    found = decode(tools=[{"name": "f", "input_schema": SCHEMA}, SEARCH], tool_choice=told)
    assert (found.tool_choice, found.parallel_tool_calls) == (choice, several)
    assert leave(dialect.own, found) == ("tools.web_search",)


@pytest.mark.parametrize(
    "told", [{"type": "tool", "name": "web_search"}, {"type": "any"}, {"type": "strange"}]
)
def test_a_forced_tool_of_the_server_is_refused_elsewhere(told):
    found = decode(tools=[SEARCH], tool_choice=told)
    assert found.tool_choice is None
    with pytest.raises(CannotExpress, match="tool_choice"):
        leave(dialect.own, found)


def test_a_choice_among_the_servers_tools_only_goes_with_them():
    found = decode(tools=[SEARCH], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert (found.tool_choice, found.parallel_tool_calls) == (None, None)
    assert leave(dialect.own, found) == ("tools.web_search",)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(mode="on", budget=2048)),
        ({"thinking": {"type": "disabled"}}, Reasoning(mode="off")),
        ({"thinking": {"type": "between_tools"}}, Reasoning(mode="adaptive")),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            Reasoning(mode="adaptive", summary="auto"),
        ),
        ({"output_config": {"effort": "max"}}, Reasoning(effort="max")),
        ({"thinking": None, "output_config": None}, None),
        ({"output_config": {"effort": None, "format": None}}, None),
    ],
)
def test_reasoning(fields, expected):
    found = decode(**fields)
    assert found.reasoning == expected
    assert not found.extras


def test_an_unknown_way_of_thinking_is_named():
    assert leave(dialect.own, decode(thinking={"type": "dreaming"})) == ("thinking",)


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_structured_output(place):
    form = {"type": "json_schema", "schema": SCHEMA}
    found = decode(**{place: {"format": form} if place == "output_config" else form})
    assert found.output == Output(form="json_schema", schema=Raw(json.encode(SCHEMA)))
    assert not found.extras


def test_the_rest():
    found = decode(
        top_p=0.5,
        top_k=3,
        stop_sequences=["END"],
        service_tier="standard_only",
        metadata={"user_id": None, "team": "a", "level": 3},
        container=None,
        new_field={"a": 1},
    )
    assert found.sampling == Sampling(max_tokens=9, top_p=0.5, top_k=3, stop=("END",))
    assert found.service_tier == "default"
    assert (found.user, found.metadata) == ("", (("team", "a"), ("level", "3")))
    assert leave(dialect.own, found) == ("new_field",)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"messages": [{"role": "tool", "content": "x"}]}, "a role that is neither user nor assistant"),
        ({"messages": [{"role": "user"}]}, "`content`"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "`messages[0]`.content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use"}]}]}, "`messages[0]`.content[0]"),
        ({"messages": [{"role": "user", "content": [1]}]}, "`messages[0]`.content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "`messages[0]`.content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]},
            "`messages[0]`.content[0]",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}]}
                        ],
                    }
                ]
            },
            "`messages[0]`.content[0].content[0]",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": []}]}
                ]
            },
            "`messages[0]`.content[0]",
        ),
        ({"system": 1}, "`system`"),
        ({"tools": [1]}, "`tools[0]`"),
        ({"tools": [{"input_schema": {}}]}, "`tools[0]`"),
        ({"max_tokens": "many"}, "`max_tokens`"),
        ({"stop_sequences": "END"}, "`stop_sequences`"),
        ({"thinking": "hard"}, "`thinking`"),
        ({"output_config": {"effort": 3}}, "`effort`"),
        ({"metadata": "me"}, "`metadata`"),
        ({"tool_choice": "auto"}, "`tool_choice`"),
    ],
)
def test_what_is_no_request_is_refused_with_its_place(fields, complaint):
    with pytest.raises(ClientProtocolError) as raised:
        decode(**fields)
    assert complaint in str(raised.value)


def test_a_request_without_messages():
    with pytest.raises(ClientProtocolError, match="the request lacks `messages`"):
        dialect.decode(dialect.decode_head(b'{"model":"m"}'))
