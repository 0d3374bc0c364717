"""What `archc explain --prompt` says of a request is what happens to it in the gateway."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from msgspec import json

from archflow_plugins import Choice, Option, Verdict
from archflow_plugins.deciding.offline import Walk, follow
from archflow_schema.conversation import Conversation
from archflow_schema.graph import Ranked, Use
from playbook import Play, registry
from routed import Three, said

pytestmark = pytest.mark.trio
ROUTES = {"code": ("coder", "plain"), "story": ("writer",)}
OWN = [{"name": "code", "description": "programs", "models": ["nobody", "writer"]}]
CASES: dict[str, dict[str, Any]] = {
    "a coding question": said("none", "fix this code"),
    "a story": said("auto", "tell me a story"),
    "a drift": said("none", "fix this code", "now a story about it"),
    "neither": said("none", "how are you"),
    "no model": {"messages": said()["messages"]},
    "an explicit model": said("writer", "fix this code"),
    "a model that nobody knows": said("gpt-9", "fix this code"),
    "preferences of its own": said("none", "fix this code", routing_preferences=OWN),
    "a router that fails": said("none", "boom"),
    "a router that is late": said("none", "slow"),
    "what a guard denies": said("none", "evil code"),
    "a guard that fails": said("none", "panic"),
    "a long message": said("none", "code " + "x" * 200_000),
}


async def choose(conversation: Conversation, options: tuple[Option, ...]) -> Choice:
    """By the newest words."""
    await trio.lowlevel.checkpoint()
    words = conversation.messages[-1].text
    if words == "boom":
        raise ZeroDivisionError(words)
    if words == "slow":
        await trio.sleep_forever()
    scores = tuple(
        sorted(((name, float(name in words)) for name in ("code", "story")), key=lambda one: -one[1])
    )
    found = next((name for name, score in scores if score), "")
    return Choice(option=found, reason="keyword" if found else "unclear", confidence=0.8, scores=scores)


def judge(conversation: Conversation) -> Verdict:
    words = conversation.messages[-1].text
    if words == "panic":
        raise ZeroDivisionError(words)
    return Verdict(allow="evil" not in words, message="no")


def explained(play: Play, asked: dict[str, Any]) -> Walk:
    return follow(play.plan.graph, registry(), json.encode(asked), environment={"UPSTREAM_KEY": "x"})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("always", [False, True], ids=["respected", "overridden"])
async def test_the_way_that_is_explained_is_the_way_that_is_gone(case: str, always: bool) -> None:
    asked = CASES[case]
    options = {"timeout": 0.05, "ranked": (Ranked(("code",), Use("gauge.play")),)}
    async with Three(routes=ROUTES, always=always, guards=(Use("guard.play"),), choosing=options) as play:
        play.scene.choose, play.scene.judge = choose, judge
        play.scene.numbers = {"plain": 1.0}
        walk = await trio.to_thread.run_sync(partial(explained, play, asked))
        answer = await (await play.client()).talks(asked)
        record = await play.record()
        play.trouble = sum(one["event"] == "internal_error" for one in play.log)

        last = walk.steps[-1]
        if answer.status == 200:
            assert (last.type, walk.model) == ("dispatch", record.model)
        else:
            assert (last.type, walk.model) == ("reply", "")
            assert f"status {answer.status} {record.error}" in last.why
        verdicts = [step.outcome for step in walk.steps if step.type == "guard"]
        assert verdicts == [outcome for _, outcome in record.guards]
        decisions = [step.decision for step in walk.steps if step.decision is not None]
        assert len(decisions) == len(record.decisions)
        for told, real in zip(decisions, record.decisions, strict=True):
            assert (told.option, told.reason, told.confidence) == (real.option, real.reason, real.confidence)
            assert (told.runner_up, told.proposed) == (real.runner_up, real.proposed)
        if record.decisions:
            assert answer.header("x-arch-route-reason") == record.decisions[0].reason
