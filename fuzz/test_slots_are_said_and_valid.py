"""Invariant: whatever a conversation says, filling never raises, and what it fills is valid for its slot and was said.

Words, numbers, dates, codes and signs at random, in one turn or several, for targets with slots of every sort; and text
that is only made to be hard: long runs of one sort of character.
"""

from datetime import datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins.slots import dialogue, fill, targets, values
from archflow_plugins.slots.evidence import Evidence
from archflow_plugins.slots.turn import Weighing, turn
from archflow_plugins.slots.weighing.trees import Trees
from archflow_schema.conversation import Conversation, Message, TextPart
from archflow_schema.slots import Filled, Intent, Slot

NOW = datetime.fromisoformat("2024-02-29T12:00")
WORDS = """
weather in New York, for 3 days. from to and not please 5% $20 GBP euro tomorrow at 3pm next monday 2024-02-30 31 June
half past twelve a@b.com https://x.y/?q=1 +1 555 123 4567 #77 AB-12 [1,2,3] 'quoted' "so" don't yes no with without
between one hundred and a dozen minus °C celsius fahrenheit city: Paris reboot device 1, 2 and 7 ? ! ; 1e400 10-20
99999999999999999999999 1/0 名前 été ﷽ İstanbul ¼ ① ²"""
PIECES = st.sampled_from([*WORDS.split(), "\ud800"])
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=24).map(" ".join)
SLOTS = st.sampled_from(
    [
        Slot("city", "The city, e.g. Paris", "str", required=True),
        Slot("days", "number of days", "int", required=True),
        Slot("rate", "the rate as a decimal", "float"),
        Slot("currency", "the currency", "str", required=True),
        Slot("to_currency", "currency to convert to", "str"),
        Slot("start", "first day, YYYY-MM-DD HH:MM", "str"),
        Slot("at", "time of day, hh:MM a", "str"),
        Slot("email", "e-mail", "str", format="email"),
        Slot("device_id", "the device", "str"),
        Slot("ids", "devices", "list", items="int"),
        Slot("names", "names of players", "list"),
        Slot("unit", "the unit", "str", enum=(b'"celsius"', b'"fahrenheit"')),
        Slot("with_fee", "whether there is a fee", "str", enum=(b'"True"', b'"False"', b'"dontcare"')),
        Slot("confirm", "whether to reboot", "bool"),
        Slot("message", "what to say", "str"),
        Slot("more", "anything", "dict"),
        Slot("phone", "the phone number", "str"),
        Slot("year", "the year", "int"),
    ]
)
INTENTS = st.lists(SLOTS, max_size=8, unique_by=lambda one: one.name).map(
    lambda slots: Intent("target", "What is asked", tuple(slots))
)
ROLES = st.sampled_from(["user", "assistant", "system"])
WEIGHINGS = st.sampled_from([None, Weighing(Trees.installed())])


@settings(max_examples=300)
@given(INTENTS, st.lists(st.tuples(ROLES, TEXTS), max_size=5), st.booleans(), WEIGHINGS)
def test_what_is_filled_is_valid_and_said(intent, turns, day_first, weighing):
    said = Conversation(messages=tuple(Message(role=role, parts=(TextPart(text),)) for role, text in turns))
    told = dialogue.read(said, NOW, day_first=day_first)
    told.reader.weighing = weighing
    known = {"target": fill.target(intent)}
    drafts = targets.drafts(targets.chosen(told, ("target",), known), told)
    found = targets.outcome(drafts, told)
    slots = {one.name: one for one in intent.slots}
    evidence = Evidence(told)
    if not isinstance(found, Filled):
        assert found.text.endswith("?")
        assert found.missing
        assert all(slots[name].required for name in found.missing)
        return
    for call in found.calls:
        for name, raw in call.values:
            value = msgspec.json.decode(raw)
            assert values.shaped(slots[name], value) == value
            if slots[name].type in {"str", "list"} and not slots[name].enum and name not in {"start", "at"}:
                for one in value if isinstance(value, list) else [value]:
                    if isinstance(one, str):
                        assert evidence.supports(Slot(name, "", "str"), one), (name, one)
        missing = [one.name for one in intent.slots if one.required and one.name not in dict(call.values)]
        assert not missing


HARD = [
    "1", "1,", "a.", "a-", "'", "'a", '"', "@", "a@", "/a", "1/", "(", "[1,", "x and ", "A ", "A, ", "one ", "and a ",
    "-", "$", "in A ", "www.", "::", "1:", "is ", "the 1 ", "0-", "\ud800", "1st ", "jan ", "12/", "not ", "+1 ",
    "D.C. ", "1 and ", "A and ", "Ab, ", "'x' and ", "tomorrow and ", "city A, ",
]  # fmt: skip
MANY = fill.target(
    Intent(
        "many",
        "Many things",
        (
            *(Slot(f"number_{at}", "a number of things", "int", required=True) for at in range(8)),
            *(Slot(f"city_{at}", "a city", "str", required=True) for at in range(4)),
            *(Slot(f"names_{at}", "names", "list") for at in range(4)),
            Slot("unit", "a unit", "str", enum=tuple(b'"o%d"' % at for at in range(50))),
        ),
    )
)


@pytest.mark.parametrize("piece", HARD)
def test_no_text_is_slow_to_read(piece):
    """Steps grow with the text, and stop growing where a turn is cut: else this would not end."""
    text = piece * (200_000 // len(piece))
    assert len(turn(text, NOW).text) <= 4_001
    message = Message(role="user", parts=(TextPart(text),))
    told = dialogue.read(Conversation(messages=(message,) * 3), NOW)
    told.reader.weighing = Weighing(Trees.installed())
    targets.outcome(targets.drafts([MANY], told), told)
