"""How much to think, family by family; what botocore's service model accepts."""

import msgspec
import pytest

from archflow_plugins.dialects.bedrock_converse.encode_request import encode_request
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import (
    Conversation,
    Message,
    Reasoning,
    ReasoningPart,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from bedrock_oracle import check_request

HI = Message(role="user", parts=(TextPart("hi"),))
OPUS_3 = "anthropic.claude-3-opus-20240229-v1:0"
SONNET_45 = "anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_46 = "anthropic.claude-opus-4-6-v1"
OPUS_47 = "anthropic.claude-opus-4-7"
NOVA_2, GPT, LLAMA = "us.amazon.nova-2-lite-v1:0", "openai.gpt-oss-120b-1:0", "meta.llama4"
ADAPTIVE = {"thinking": {"type": "adaptive"}}
SHOWN = {"thinking": {"type": "adaptive", "display": "summarized"}}
HIDDEN = {"thinking": {"type": "adaptive", "display": "omitted"}}


def nova(effort):
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}


def budget(tokens, **more):
    return {"thinking": {"type": "enabled", "budget_tokens": tokens, **more}}


def asked(reasoning, model, **fields):
    fields = {"messages": (HI,), **fields}
    found = encode_request(Conversation(reasoning=Reasoning(**reasoning), **fields), model)
    body = msgspec.json.decode(found.body)
    check_request(body)
    return (
        body.get("additionalModelRequestFields", {}),
        body.get("outputConfig", {}).get("effort", ""),
        body.get("inferenceConfig", {}),
        found.dropped,
    )


@pytest.mark.parametrize(
    ("model", "reasoning", "fields", "effort", "max_tokens", "dropped"),
    [
        (OPUS_47, {"effort": "minimal"}, ADAPTIVE, "low", None, ()),
        (OPUS_47, {"effort": "xhigh"}, ADAPTIVE, "xhigh", None, ()),
        (OPUS_47, {"mode": "on"}, ADAPTIVE, "", None, ()),
        (OPUS_47, {"mode": "adaptive", "effort": "low"}, ADAPTIVE, "low", None, ()),
        (OPUS_47, {"mode": "on", "budget": 5000}, ADAPTIVE, "medium", None, ()),
        (OPUS_47, {"mode": "off"}, {"thinking": {"type": "disabled"}}, "", None, ()),
        (OPUS_47, {"effort": "none"}, {"thinking": {"type": "disabled"}}, "", None, ()),
        (OPUS_47, {"budget": 0}, {"thinking": {"type": "disabled"}}, "", None, ()),
        (OPUS_47, {"summary": "auto"}, SHOWN, "", None, ()),
        (OPUS_47, {"effort": "high", "hidden": True}, HIDDEN, "high", None, ()),
        (OPUS_46, {"mode": "on", "budget": 5000}, budget(5000), "", 9096, ()),
        (OPUS_46, {"mode": "on", "budget": 10, "effort": "low", "summary": "auto"},
         budget(1024, display="summarized"), "low", 5120, ()),
        (SONNET_45, {"effort": "high"}, budget(16384), "", 20480, ()),
        (SONNET_45, {"mode": "adaptive"}, budget(8192), "", 12288, ()),
        (SONNET_45, {"mode": "off"}, {"thinking": {"type": "disabled"}}, "", None, ()),
        (SONNET_45, {"summary": "auto"}, {}, "", None, ("reasoning.summary",)),
        (OPUS_3, {"mode": "on", "budget": 5000}, {}, "", None, ("reasoning.mode", "reasoning.budget")),
        (OPUS_3, {"mode": "off"}, {}, "", None, ()),
        (LLAMA, {"effort": "high", "summary": "auto"}, {}, "", None, ("reasoning.effort", "reasoning.summary")),
        (LLAMA, {"effort": "none"}, {}, "", None, ()),
        (NOVA_2, {"effort": "high"}, nova("high"), "", None, ()),
        (NOVA_2, {"mode": "on", "budget": 2000, "summary": "auto"}, nova("low"), "", None, ("reasoning.summary",)),
        (NOVA_2, {"mode": "off"}, {"reasoningConfig": {"type": "disabled"}}, "", None, ()),
        (GPT, {"effort": "xhigh"}, {"reasoning_effort": "high"}, "", None, ()),
        (GPT, {"mode": "on"}, {"reasoning_effort": "medium"}, "", None, ()),
        (GPT, {"mode": "off"}, {"reasoning_effort": "low"}, "", None, ("reasoning.mode",)),
        (GPT, {"summary": "auto"}, {}, "", None, ("reasoning.summary",)),
    ],
)  # fmt: skip
def test_families(model, reasoning, fields, effort, max_tokens, dropped):
    found = asked(reasoning, model)
    assert found == (fields, effort, {"maxTokens": max_tokens} if max_tokens else {}, dropped)


@pytest.mark.parametrize(
    ("max_tokens", "fields", "dropped"),
    [
        (50_000, budget(16384), ()),
        (3000, budget(1500), ()),
        (16_384, budget(8192), ()),
        (1025, budget(1024), ()),
        (1024, {}, ("reasoning.effort",)),
    ],
)
def test_a_budget_leaves_room_in_the_answer(max_tokens, fields, dropped):
    found = asked({"effort": "high"}, SONNET_45, sampling=Sampling(max_tokens=max_tokens))
    assert found == (fields, "", {"maxTokens": max_tokens}, dropped)


def test_no_effort_asks_for_more_than_claude_gives():
    fields, _, inference, _ = asked({"effort": "max"}, SONNET_45)
    assert (fields, inference) == (budget(27_904), {"maxTokens": 32_000})
    fields, _, inference, _ = asked({"budget": 40_000}, SONNET_45)
    assert (fields, inference) == (budget(40_000), {"maxTokens": 44_096})


def test_nova_at_its_highest_takes_no_parameters():
    fields, _, inference, _ = asked({"effort": "max"}, NOVA_2, sampling=Sampling(max_tokens=100))
    assert fields["reasoningConfig"]["maxReasoningEffort"] == "medium"
    assert inference == {"maxTokens": 100}


@pytest.mark.parametrize("model", [SONNET_45, OPUS_47])
def test_claude_that_thinks_takes_no_temperature(model):
    sampling = Sampling(temperature=0.5, top_p=0.5, top_k=5, max_tokens=9000)
    fields, _, inference, dropped = asked({"effort": "low"}, model, sampling=sampling)
    assert "top_k" not in fields
    assert inference == {"maxTokens": 9000}
    assert sorted(dropped) == ["temperature", "top_k", "top_p"]


@pytest.mark.parametrize(("said", "name"), [({"temperature": 1}, "temperature"), ({"top_p": 0.97}, "topP")])
def test_what_claude_takes_where_it_thinks(said, name):
    sampling = Sampling(max_tokens=9000, **said)
    _, _, inference, dropped = asked({"effort": "low"}, SONNET_45, sampling=sampling)
    assert inference == {"maxTokens": 9000, name: next(iter(said.values()))}
    assert dropped == ()


TOOLS = {"tools": (Tool(name="t"),), "tool_choice": ToolChoice("required")}


@pytest.mark.parametrize("model", [SONNET_45, OPUS_47])
@pytest.mark.parametrize("reasoning", [{"mode": "on"}, {"mode": "adaptive"}, {"budget": 2000}])
def test_thoughts_and_a_forced_call_exclude_each_other(model, reasoning):
    with pytest.raises(CannotExpress) as refused:
        asked(reasoning, model, **TOOLS)
    assert refused.value.feature == "tool_choice"


def test_an_effort_gives_way_to_a_forced_call():
    assert asked({"effort": "max"}, OPUS_47, **TOOLS)[1:] == ("high", {}, ())
    assert asked({"effort": "max"}, SONNET_45, **TOOLS) == ({}, "", {}, ("reasoning.effort",))


def loop(*before):
    called = Message(role="assistant", parts=(*before, ToolCallPart("c", "t", "{}")))
    answered = Message(role="tool", parts=(ToolResultPart("c", (TextPart("x"),)),))
    return {"messages": (HI, called, answered), "tools": (Tool(name="t"),)}


def test_a_budget_needs_the_thoughts_of_the_turn_under_way():
    thought = ReasoningPart(text="hm", signature="s", origin="bedrock_converse")
    assert asked({"effort": "low"}, SONNET_45, **loop(thought))[0] == budget(2048)
    fields, _, inference, dropped = asked({"effort": "low"}, SONNET_45, **loop())
    assert (fields, inference, dropped) == ({}, {}, ("reasoning.effort",))
    assert asked({"effort": "low"}, OPUS_47, **loop())[0] == ADAPTIVE
