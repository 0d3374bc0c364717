"""How models of every generation are told to think."""

import pytest
from msgspec import json

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.dialects.anthropic_messages.generations import generation_of
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
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

dialect = AnthropicMessages(Empty(), run_context())
OLD, MIDDLE, NEW, OTHER = "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-5", "model-x"
USER = Message(role="user", parts=(TextPart("hi"),))
CALL = ToolCallPart("c1", "f", "{}")
RESULT = Message(role="tool", parts=(ToolResultPart("c1"),))
THOUGHT = ReasoningPart(text="hm", signature="c2ln", origin="anthropic_messages")


def encode(model, reasoning, max_tokens=None, messages=(USER,), **fields):
    said = Conversation(
        messages=messages,
        reasoning=Reasoning(**reasoning),
        sampling=Sampling(max_tokens=max_tokens),
        **fields,
    )
    encoded = dialect.encode(said, model)
    request = json.decode(encoded.body)
    effort = request.get("output_config", {}).get("effort")
    return request.get("thinking"), effort, request["max_tokens"], encoded.dropped


def budget(tokens, **more):
    return {"type": "enabled", "budget_tokens": tokens, **more}


ADAPTIVE = {"type": "adaptive"}


@pytest.mark.parametrize(
    ("model", "said", "max_tokens", "expected"),
    [
        (OLD, {"effort": "high"}, None, (budget(16384), None, 20480, ())),
        (OLD, {"effort": "max"}, None, (budget(27904), None, 32000, ())),
        (OLD, {"mode": "on", "budget": 2048}, None, (budget(2048), None, 6144, ())),
        (OLD, {"mode": "on", "budget": 10}, None, (budget(1024), None, 4106, ())),
        (OLD, {"effort": "high"}, 8000, (budget(4000), None, 8000, ())),
        (OLD, {"effort": "high"}, 1500, (budget(1024), None, 1500, ())),
        (OLD, {"effort": "high"}, 1000, (None, None, 1000, ("reasoning.effort",))),
        (OLD, {"mode": "adaptive"}, 32000, (budget(16384), None, 32000, ())),
        (OLD, {"summary": "auto"}, 9, (None, None, 9, ("reasoning.summary",))),
        (
            OLD,
            {"mode": "on", "budget": 2048, "hidden": True},
            None,
            (budget(2048, display="omitted"), None, 6144, ()),
        ),
        (MIDDLE, {"effort": "high"}, 9000, (ADAPTIVE, "high", 9000, ())),
        (MIDDLE, {"effort": "xhigh"}, 9000, (ADAPTIVE, "max", 9000, ())),
        (MIDDLE, {"mode": "on", "budget": 2048, "effort": "low"}, 9000, (budget(2048), "low", 9000, ())),
        (NEW, {"effort": "xhigh"}, 9000, (ADAPTIVE, "xhigh", 9000, ())),
        (NEW, {"mode": "on", "budget": 5000}, 9000, (ADAPTIVE, "medium", 9000, ())),
        (NEW, {"effort": "max"}, None, (ADAPTIVE, "max", 64000, ())),
        (
            NEW,
            {"effort": "minimal", "summary": "detailed"},
            9,
            ({**ADAPTIVE, "display": "summarized"}, "low", 9, ()),
        ),
        (
            NEW,
            {"mode": "adaptive", "hidden": True},
            None,
            ({**ADAPTIVE, "display": "omitted"}, None, 20480, ()),
        ),
        (NEW, {"hidden": True}, 9, (None, None, 9, ())),
        (OTHER, {"effort": "low"}, None, (ADAPTIVE, "low", 6144, ())),
        (OTHER, {"mode": "on", "budget": 2048}, 9000, (budget(2048), None, 9000, ())),
        (OTHER, {"mode": "off"}, 9, ({"type": "disabled"}, None, 9, ())),
        (OTHER, {"effort": "none"}, None, ({"type": "disabled"}, None, 4096, ())),
        (OTHER, {"budget": 0}, 9, ({"type": "disabled"}, None, 9, ())),
        ("claude-3-5-haiku-latest", {"mode": "off"}, 9, (None, None, 9, ())),
        ("claude-3-5-haiku-latest", {"effort": "low"}, 9000, (None, None, 9000, ("reasoning.effort",))),
    ],
)
def test_each_model_is_told_in_its_way(model, said, max_tokens, expected):
    assert encode(model, said, max_tokens) == expected


@pytest.mark.parametrize("model", [OLD, NEW])
@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", "f")])
def test_a_model_that_shall_think_cannot_be_made_to_call(model, choice):
    with pytest.raises(CannotExpress) as raised:
        encode(model, {"mode": "on"}, tools=(Tool(name="f"),), tool_choice=choice)
    assert raised.value.feature == "tool_choice"


def test_an_effort_said_in_passing_yields_to_a_forced_call():
    forced = {"tools": (Tool(name="f"),), "tool_choice": ToolChoice("required")}
    assert encode(NEW, {"effort": "low", "summary": "auto"}, 9, **forced) == (
        None,
        "low",
        9,
        ("reasoning.summary",),
    )
    assert encode(OLD, {"effort": "low"}, 9000, **forced) == (None, None, 9000, ("reasoning.effort",))


def test_a_temperature_yields_to_thought():
    encoded = dialect.encode(
        Conversation(
            messages=(USER,),
            reasoning=Reasoning(effort="low"),
            sampling=Sampling(temperature=0.5, top_p=0.97, top_k=3),
        ),
        OTHER,
    )
    request = json.decode(encoded.body)
    assert (request.get("temperature"), request.get("top_p"), request.get("top_k")) == (None, 0.97, None)
    assert encoded.dropped == ("temperature", "top_k")


@pytest.mark.parametrize(
    ("model", "parts", "thinks"),
    [
        (OLD, (CALL,), False),
        (OLD, (THOUGHT, CALL), True),
        (NEW, (CALL,), True),
        (OTHER, (CALL,), True),
    ],
)
def test_an_older_model_goes_on_without_thought_where_its_calls_came_without(model, parts, thinks):
    messages = (USER, Message(role="assistant", parts=parts), RESULT)
    thought, _, _, dropped = encode(model, {"effort": "low"}, 9000, messages, tools=(Tool(name="f"),))
    assert (thought is not None, dropped) == (thinks, () if thinks else ("reasoning.effort",))


@pytest.mark.parametrize(
    ("names", "facts"),
    [
        (
            ("claude-2.1", "claude-3-haiku-20240307", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
            (False, True, False, True),
        ),
        (
            (
                "claude-3-7-sonnet-20250219",
                "anthropic/claude-3.7-sonnet",
                "claude-sonnet-4-20250514",
                "claude-opus-4@20250514",
            ),
            (True, True, False, True),
        ),
        (
            ("claude-opus-4-1-20250805", "claude-haiku-4-5", "anthropic/claude-sonnet-4.5"),
            (True, True, False, True),
        ),
        (("us.anthropic.claude-opus-4-6-v1", "claude-sonnet-4-6"), (True, True, True, True)),
        (
            (
                "claude-opus-4-7",
                "anthropic/claude-4.7-opus",
                "claude-opus-5",
                "claude-fable-5-1",
                "claude-mythos-preview",
                "claude-sonnet-10-2",
            ),
            (True, False, True, False),
        ),
        (("gpt-5", "kimi-k2", "my-model"), (True, True, True, True)),
    ],
)
def test_generations(names, facts):
    for name in names:
        found = generation_of(name)
        assert (found.thinks, found.budget, found.adaptive, found.sampling) == facts, name
