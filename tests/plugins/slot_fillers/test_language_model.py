"""The slot filler that asks a model for calls: how it asks, and what it believes."""

import msgspec
import pytest
import trio

from archflow_plugins.slot_fillers.language_model import LanguageModelConfig, LanguageModelSlotFiller
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.conversation import ToolCallPart
from archflow_schema.diagnostic import Report
from archflow_schema.errors import UpstreamTimeout
from archflow_schema.reply import Reply
from archflow_schema.slots import Filled, Intent, Question, Slot
from slot_world import values as values_of

WEATHER = Intent(
    "weather",
    "The weather of a place",
    (
        Slot("city", "The city", "str", required=True),
        Slot("days", "number of days", "int", required=True),
        Slot("unit", "the unit", "str", enum=(b'"celsius"', b'"fahrenheit"')),
    ),
)
RATE = Intent("rate", "A rate", (Slot("currency", "the currency", "str", required=True),))
SAID = conversation("user: weather in Oslo for 3 days")


def run(said, reply, *, intents=(WEATHER, RATE), **config):
    """The outcome, and what the model was asked."""
    heard = []

    async def ask(model, asked, timeout):
        heard.append(asked)
        if isinstance(reply, Exception):
            raise reply
        return reply

    report = Report()
    compiled = LanguageModelSlotFiller.compile(
        LanguageModelConfig(model="m", **config), compile_context(report=report, intents=intents)
    )
    assert not report.failed, list(report)

    async def main():
        filler = await LanguageModelSlotFiller.open(compiled, run_context(ask=ask))
        return await filler.fill(said, tuple(one.name for one in intents))

    return trio.run(main), heard


def tools(*calls):
    """A reply that calls tools with arguments."""
    told = [(name, msgspec.json.encode(values).decode()) for name, values in calls]
    return Reply(tool_calls=tuple(ToolCallPart(f"c{at}", *one) for at, one in enumerate(told)))


def values(outcome):
    told = values_of(outcome)
    return [(one.target, each) for one, each in zip(outcome.calls, told, strict=True)]


def test_targets_are_tools():
    outcome, [asked] = run(SAID, tools(("weather", {"city": "Oslo", "days": 3})))
    assert values(outcome) == [("weather", {"city": "Oslo", "days": 3})]
    assert [one.name for one in asked.tools] == ["weather", "rate"]
    assert msgspec.json.decode(asked.tools[0].parameters)["required"] == ["city", "days"]
    assert asked.tool_choice.mode == "auto"
    assert asked.messages[-1].text == "weather in Oslo for 3 days"


def test_several_calls():
    said = conversation("user: weather in Oslo for 3 days, then the rate of the euro")
    outcome, _ = run(said, tools(("weather", {"city": "Oslo", "days": "3"}), ("rate", {"currency": "EUR"})))
    assert values(outcome) == [("weather", {"city": "Oslo", "days": 3}), ("rate", {"currency": "EUR"})]
    assert outcome.ordered


def test_what_was_not_said_is_asked_for():
    outcome, _ = run(
        conversation("user: the weather please"), tools(("weather", {"city": "Paris", "days": 7}))
    )
    assert outcome == Question(
        "Could you tell me the city and the number of days?", ("city", "days"), "weather"
    )


def test_a_model_may_be_believed():
    told = {"city": "Paris", "days": 7}
    outcome, _ = run(conversation("user: the weather please"), tools(("weather", told)), evidence=False)
    assert values(outcome) == [("weather", told)]


def test_what_is_not_valid_is_left_out():
    outcome, _ = run(SAID, tools(("weather", {"city": "Oslo", "days": 3, "unit": "kelvin", "more": 1})))
    assert values(outcome) == [("weather", {"city": "Oslo", "days": 3})]


def test_a_target_that_is_none_is_no_call():
    assert run(SAID, tools(("reboot", {})))[0] == Filled(())


def test_the_model_may_ask():
    outcome, _ = run(SAID, Reply(text="Which city do you mean?"))
    assert outcome == Question("Which city do you mean?", ("city", "days"), "weather")


def test_words_without_a_question_are_no_call():
    assert run(SAID, Reply(text="I cannot help with that."))[0] == Filled(())


def test_a_schema_holds_the_calls():
    text = '{"calls":[{"name":"weather","arguments":{"city":"Oslo","days":3,"unit":null}}]}'
    outcome, [asked] = run(SAID, Reply(text=text), form="json_schema")
    assert values(outcome) == [("weather", {"city": "Oslo", "days": 3})]
    assert asked.output.form == "json_schema"
    assert not asked.tools


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '```json\n{"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo", "days": 3}}]}\n```',
            "call",
        ),
        ("{'tool_calls': [{'name': 'weather', 'arguments': {'city': 'Oslo', 'days': 3}}]}", "call"),
        ('{"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo", "days": 3}}', "call"),
        ('{"required_functions": ["weather"], "clarification": "How many days?"}', "ask"),
        ('{"response": ""}', "none"),
        ("nonsense", "none"),
        ("{" * 5000, "none"),
        ('{"tool_calls": [3, {"name": 4}]}', "none"),
    ],
)
def test_arch_function(text, expected):
    outcome, [asked] = run(SAID, Reply(text=text), form="arch_function")
    assert '"name":"weather"' in asked.messages[0].text
    match expected:
        case "call":
            assert values(outcome) == [("weather", {"city": "Oslo", "days": 3})]
        case "ask":
            assert outcome == Question("How many days?", ("city", "days"), "weather")
        case _:
            assert outcome == Filled(())


def test_a_model_that_does_not_answer_fails():
    with pytest.raises(UpstreamTimeout):
        run(SAID, UpstreamTimeout("late"))


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"tokens": 0}, "bad-tokens"),
        ({"timeout": -1.0}, "bad-timeout"),
        ({"timezone": "x"}, "unknown-timezone"),
    ],
)
def test_mistakes(config, code):
    report = Report()
    LanguageModelSlotFiller.compile(LanguageModelConfig(model="m", **config), compile_context(report=report))
    assert [one.code for one in report] == [code]
