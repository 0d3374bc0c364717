"""What a Converse request says."""

import base64

import msgspec
import pytest
from msgspec import Raw

from archflow_plugins.dialects.bedrock_converse import BedrockConverse
from archflow_plugins.dialects.sealed import Proof, wrap
from archflow_plugins.testing import run_context
from archflow_schema.conversation import (
    AudioPart,
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    OpaquePart,
    Reasoning,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError
from bedrock_oracle import check_request

DIALECT = BedrockConverse(None, run_context())


def read(body, *, valid=True) -> Conversation:
    if valid:
        check_request(body)
    return DIALECT.decode(DIALECT.decode_head(msgspec.json.encode(body)))


def parts(*blocks, role="user", valid=True):
    return read({"messages": [{"role": role, "content": list(blocks)}]}, valid=valid).messages[0].parts


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"text": "hi"}, TextPart("hi")),
        ({"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}, ImagePart("data:image/jpeg;base64,aGk=")),
        (
            {"document": {"format": "pdf", "name": "a", "source": {"bytes": "aGk="}, "context": "c",
                          "citations": {"enabled": True}}},
            DocumentPart(url="data:application/pdf;base64,aGk=", media_type="application/pdf", name="a", context="c",
                         citations=True),
        ),
        (
            {"document": {"name": "a", "source": {"content": [{"text": "x"}, {"text": "y"}]}}},
            DocumentPart(text="x\ny", name="a"),
        ),
        ({"audio": {"format": "mp3", "source": {"bytes": "aGk="}}}, AudioPart("aGk=", "mp3")),
        (
            {"toolUse": {"toolUseId": "t", "name": "n", "input": {"a": [1]}}},
            ToolCallPart("t", "n", '{"a":[1]}'),
        ),
        (
            {"toolResult": {"toolUseId": "t", "content": [{"text": "x"}, {"json": {"a": 1}}], "status": "error"}},
            ToolResultPart("t", (TextPart("x"), TextPart('{"a":1}')), is_error=True),
        ),
        ({"toolResult": {"toolUseId": "t", "content": []}}, ToolResultPart("t")),
        (
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
            ReasoningPart(text="hm", signature="s", origin="bedrock_converse"),
        ),
        (
            {"reasoningContent": {"redactedContent": "aGk="}},
            ReasoningPart(sealed="aGk=", origin="bedrock_converse"),
        ),
        ({"guardContent": {"text": {"text": "hi", "qualifiers": ["query"]}}}, TextPart("hi")),
        (
            {"guardContent": {"image": {"format": "png", "source": {"bytes": "aGk="}}}},
            ImagePart("data:image/png;base64,aGk="),
        ),
    ],
)  # fmt: skip
def test_blocks(block, part):
    assert parts(block) == (part,)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ({"video": {"format": "mp4", "source": {"bytes": "aGk="}}}, "video"),
        ({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}}, "image"),
        ({"document": {"name": "a", "source": {"s3Location": {"uri": "s3://b/k"}}}}, "document"),
        ({"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}}, "searchResult"),
    ],
)
def test_blocks_that_only_bedrock_knows_stay_as_they_came(block, kind):
    (part,) = parts(block)
    assert isinstance(part, OpaquePart)
    assert part.kind == kind
    assert msgspec.json.decode(part.raw) == block


def test_blocks_of_the_future():
    (part,) = parts({"text": None, "hologram": {"x": 1}}, valid=False)
    assert part == OpaquePart("hologram", Raw(b'{"text":null,"hologram":{"x":1}}'))


def test_citations_of_an_earlier_answer():
    citation = {
        "title": "T",
        "sourceContent": [{"text": "blue"}],
        "location": {"documentPage": {"documentIndex": 2}},
    }
    (part,) = parts(
        {"citationsContent": {"content": [{"text": "it is "}, {"text": "blue"}], "citations": [citation]}},
        role="assistant",
    )
    assert part.text == "it is blue"
    (found,) = part.citations
    assert (found.title, found.cited, found.document, found.origin) == ("T", "blue", 2, "bedrock_converse")
    assert msgspec.json.decode(found.raw) == citation


def test_proofs_of_other_providers_come_out_of_their_wrapping():
    signed = wrap("openai_responses", Proof(signature="", id="rs_1"))
    (part,) = parts({"reasoningContent": {"reasoningText": {"text": "hm", "signature": signed}}})
    assert part == ReasoningPart(text="hm", id="rs_1", origin="openai_responses")
    sealed = base64.b64encode(wrap("openai_responses", Proof(sealed="gAAA", id="rs_2")).encode()).decode()
    (part,) = parts({"reasoningContent": {"redactedContent": sealed}})
    assert part == ReasoningPart(sealed="gAAA", id="rs_2", origin="openai_responses")


def test_cache_points_mark_what_is_before_them():
    point = {"cachePoint": {"type": "default"}}
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    found = read(
        {
            "system": [{"text": "s"}, hour],
            "messages": [{"role": "user", "content": [point, {"text": "a"}, point, {"text": "b"}]}],
            "toolConfig": {"tools": [point, {"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}, point]},
        }
    )
    assert found.messages[0].parts == (TextPart("s", CacheMark("1h")),)
    assert found.messages[1].parts == (TextPart("a", CacheMark()), TextPart("b"))
    assert found.tools[0].cache == CacheMark()


def test_settings():
    found = read(
        {
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "inferenceConfig": {
                "maxTokens": 9,
                "temperature": 0.5,
                "topP": 0.25,
                "stopSequences": ["a", "b"],
            },
            "requestMetadata": {"team": "blue"},
            "serviceTier": {"type": "priority"},
            "outputConfig": {
                "effort": "xhigh",
                "textFormat": {
                    "type": "json_schema",
                    "structure": {
                        "jsonSchema": {"schema": '{"type": "object"}', "name": "n", "description": "d"}
                    },
                },
            },
            "additionalModelRequestFields": {
                "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
                "top_k": 7,
                "anthropic_beta": ["x"],
            },
            "performanceConfig": {"latency": "optimized"},
        }
    )
    sampling = found.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (9, 0.5, 0.25, 7)
    assert sampling.stop == ("a", "b")
    assert found.metadata == (("team", "blue"),)
    assert found.service_tier == "priority"
    assert found.reasoning == Reasoning(mode="on", effort="xhigh", budget=2000, summary="auto")
    assert found.output is not None
    assert (found.output.name, found.output.description, bytes(found.output.schema)) == (
        "n",
        "d",
        b'{"type":"object"}',
    )
    assert dict(found.extras) == {
        "performanceConfig": Raw(b'{"latency":"optimized"}'),
        "additionalModelRequestFields": Raw(b'{"anthropic_beta":["x"]}'),
    }


@pytest.mark.parametrize(
    ("fields", "reasoning", "top_k"),
    [
        (
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            Reasoning(mode="on", effort="low"),
            None,
        ),
        ({"reasoning_effort": "high"}, Reasoning(effort="high"), None),
        ({"thinking": {"type": "disabled"}}, Reasoning(mode="off"), None),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            Reasoning(mode="adaptive", hidden=True),
            None,
        ),
        ({"inferenceConfig": {"topK": 5}}, None, 5),
        ({"k": 6}, None, 6),
    ],
)
def test_parameters_of_other_families(fields, reasoning, top_k):
    found = read(
        {
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "additionalModelRequestFields": fields,
        }
    )
    assert found.reasoning == reasoning
    assert found.sampling.top_k == top_k
    assert found.extras == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking": "yes"},
        {"top_k": "many"},
        {"inferenceConfig": {"topK": 5, "x": 1}},
        {"tool_choice": {"type": "odd"}},
    ],
)
def test_parameters_of_another_form_stay(fields):
    found = read({"additionalModelRequestFields": fields})
    assert dict(found.extras) == {"additionalModelRequestFields": Raw(msgspec.json.encode(fields))}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"auto": {}}, ToolChoice("auto")),
        ({"any": {}}, ToolChoice("required")),
        ({"tool": {"name": "t"}}, ToolChoice("named", "t")),
        (None, None),
    ],
)
def test_tools(choice, expected):
    found = read(
        {
            "toolConfig": {
                "tools": [
                    {
                        "toolSpec": {
                            "name": "t",
                            "description": "d",
                            "inputSchema": {"json": {"type": "object"}},
                        }
                    },
                    {"systemTool": {"name": "nova_grounding"}},
                ],
                "toolChoice": choice,
            }
        },
        valid=choice is not None,
    )
    (tool,) = found.tools
    assert (tool.name, tool.description, bytes(tool.parameters), tool.strict) == (
        "t",
        "d",
        b'{"type":"object"}',
        None,
    )
    assert found.tool_choice == expected
    assert dict(found.extras) == {"tools": Raw(b'[{"systemTool":{"name":"nova_grounding"}}]')}


def test_a_prompt_of_amazons_store_needs_no_messages():
    found = read({"promptVariables": {"a": {"text": "b"}}})
    assert found.messages == ()
    assert [name for name, _ in found.extras] == ["promptVariables"]


def test_roles_and_null():
    found = read(
        {
            "system": None,
            "messages": [
                {"role": "system", "content": [{"text": "s"}]},
                {"role": "assistant", "content": [{"text": "a"}]},
            ],
            "toolConfig": None,
            "inferenceConfig": None,
            "outputConfig": None,
            "serviceTier": None,
            "requestMetadata": None,
            "additionalModelRequestFields": None,
        },
        valid=False,
    )
    assert [message.role for message in found.messages] == ["system", "assistant"]
    assert found.extras == ()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"messages": 1}, r"`messages` is not understood"),
        (
            {"messages": [{"role": "robot", "content": []}]},
            r"`messages\[0\]` has a role that is none of user",
        ),
        ({"messages": [{"role": "user", "content": [{}]}]}, r"`messages\[0\]`.content\[0\] is empty"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, r"content\[0\] is not understood"),
        ({"messages": [{"role": "user", "content": [{"toolUse": {}}]}]}, r"content\[0\] is not understood"),
        ({"system": "be brief"}, r"`system` is not understood"),
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, r"`toolConfig.tools\[0\]` is not understood"),
        ({"inferenceConfig": {"maxTokens": "many"}}, r"`inferenceConfig` is not understood"),
        (
            {"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}},
            "is not the text of a JSON Schema",
        ),
    ],
)
def test_what_is_no_request(body, why):
    with pytest.raises(ClientProtocolError, match=why):
        read(body, valid=False)
