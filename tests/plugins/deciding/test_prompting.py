"""What matchers, routers and slot fillers find, in words, and what comes of those that fail."""

from __future__ import annotations

import pytest
import trio
from msgspec import Raw, structs

from archflow_plugins.deciding import prompting
from archflow_plugins.kinds import Choice, Matcher, Router, SlotFiller
from archflow_plugins.testing import conversation, run_context
from archflow_schema.conversation import Message, TextPart, ToolResultPart
from archflow_schema.graph import Edge, Fill, Match, Select, Use
from archflow_schema.slots import Filled, FilledCall, Question

pytestmark = pytest.mark.trio
SCORES = (("weather", 0.9), ("rates", 0.1))
SURE = Choice(option="weather", also=("rates", "weather"), reason="ranked", confidence=0.8, scores=SCORES)
UNSURE = Choice(reason="unclear", confidence=0.2)
MATCH = Match(
    name="m", use=Use("matcher.x"), targets=("weather", "rates"), edges=(Edge("miss", 0),), timeout=5
)
SELECT = Select(name="s", use=Use("router.x"), agents=("weather", "rates"), edges=(), timeout=5)
FILL = Fill(name="f", use=Use("slot_filler.x"), targets=("weather",), edges=(), timeout=5)


def answering(family, method, result):
    async def answer(self, *_):
        await trio.lowlevel.checkpoint()
        if isinstance(result, Exception):
            raise result
        if result is None:
            await trio.sleep_forever()
        return result

    made = type("Made", (family,), {"kind": f"{family.__name__.lower()}.x", method: answer})
    return made(None, run_context())


async def matched(result, *turns):
    said = conversation(*(turns or ("user: how is the weather",)))
    return await prompting.matched(MATCH, answering(Matcher, "match", result), said)


async def test_what_tools_answered_is_no_turn_of_the_user():
    answered = Message(role="user", parts=(ToolResultPart("1", (TextPart("sunny"),)),))
    asked = conversation("user: how is the weather", "assistant: I look")
    said = structs.replace(asked, messages=(*asked.messages, answered))
    found = await prompting.matched(MATCH, answering(Matcher, "match", SURE), said)
    assert found.outcome == "pass"


async def test_what_is_matched_and_how_sure_that_is():
    found = await matched(SURE)
    assert found == prompting.Found(
        outcome="target:weather",
        why="matcher.x finds weather and rates (ranked, confidence 0.80, margin 0.80)",
        scores=SCORES,
        chosen=("weather", "rates"),
    )


@pytest.mark.parametrize(
    ("turns", "outcome"),
    [
        (("user: hi", "assistant: hello"), "pass"),
        (("system: be brief",), "pass"),
        (("user:  ",), "empty"),
        (("user: hi", "system: be brief"), "target:weather"),
    ],
)
async def test_only_a_users_newest_turn_is_matched(turns, outcome):
    assert (await matched(SURE, *turns)).outcome == outcome


@pytest.mark.parametrize(
    ("result", "outcome", "why"),
    [
        (
            UNSURE,
            "miss",
            "matcher.x finds nothing that fits (unclear, confidence 0.20)",
        ),
        (Choice(option="other"), "failed", "matcher.x chose other, which is no prompt target"),
        (ZeroDivisionError("x" * 1000), "failed", "matcher.x failed: " + "x" * 192),
        (None, "failed", "matcher.x took longer than 5 s"),
    ],
)
async def test_a_matcher_that_finds_nothing_or_fails(result, outcome, why, autojump_clock):
    found = await matched(result)
    assert (found.outcome, found.why) == (outcome, why)


async def test_agents_are_selected_by_either_kind():
    for kind in (answering(Router, "choose", SURE), answering(Matcher, "match", SURE)):
        found = await prompting.selected(SELECT, kind, conversation("user: x"))
        assert (found.outcome, found.chosen) == ("agent:weather", ("weather", "rates"))
    lost = await prompting.selected(
        SELECT, answering(Router, "choose", Choice(option="other")), conversation("user: x")
    )
    assert lost.outcome == "none"
    broken = await prompting.selected(
        SELECT, answering(Router, "choose", KeyError("x")), conversation("user: x")
    )
    assert (broken.outcome, broken.why) == ("failed", "router.x failed: 'x'")


CALL = FilledCall("weather", (("city", Raw(b'"Oslo"')), ("days", Raw(b"3"))))


@pytest.mark.parametrize(
    ("result", "outcome", "why"),
    [
        (Filled((CALL,)), "filled", 'slot_filler.x fills weather(city="Oslo", days=3)'),
        (Filled((CALL, FilledCall("weather")), ordered=True), "filled",
         'slot_filler.x fills weather(city="Oslo", days=3), then weather()'),
        (Filled(()), "none", "slot_filler.x finds nothing to call"),
        (Question("Which city?", ("city",)), "ask", "slot_filler.x asks: Which city?"),
        (RuntimeError("no"), "failed", "slot_filler.x failed: no"),
    ],
)  # fmt: skip
async def test_what_is_filled(result, outcome, why):
    filler = answering(SlotFiller, "fill", result)
    found = await prompting.filled(FILL, filler, conversation("user: x"), ("weather", "rates"))
    assert (found.outcome, found.why) == (outcome, why)


async def test_what_is_found_besides_nothing_is_a_miss_as_in_the_engine():
    assert (await matched(Choice(also=("rates",), reason="unclear"))).outcome == "miss"


async def test_a_call_of_a_strange_target_fails_as_in_the_engine():
    strange = Filled(calls=(FilledCall("rates", ()),))
    said = conversation("user: how is the weather")
    found = await prompting.filled(FILL, answering(SlotFiller, "fill", strange), said, ("weather",))
    assert found.outcome == "failed"
