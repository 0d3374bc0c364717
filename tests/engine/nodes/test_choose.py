"""A router in the walk: when it is asked, what it sees, what becomes of its answer, and what happens when it fails."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from msgspec import json

from archflow_plugins import Choice, UpstreamError, Verdict
from archflow_schema.graph import Use
from peers import CHAT
from routed import Three, chooses, said

pytestmark = pytest.mark.trio

MESSAGES = "/v1/messages"


@pytest.mark.parametrize("model", ["none", "auto", "", "arch-router"])
async def test_who_names_no_model_is_routed(model: str) -> None:
    async with Three() as play:
        asked = chooses(play, "code", confidence=0.9, scores=(("code", 3.0), ("story", 1.0)))
        answer = await (await play.client()).talks(said(model))
        assert answer.status == 200
        assert answer.header("x-arch-route") == "code"
        assert answer.header("x-arch-model") == "coder"
        assert answer.header("x-arch-route-reason") == "similar"
        assert asked[0][0].messages[0].text == "hello"
        assert asked[0][1] == ()
        record = await play.record()
        (decision,) = record.decisions
        assert answer.header("x-arch-decision-id") == decision.id
        assert (decision.option, decision.model, decision.confidence) == ("code", "coder", 0.9)
        assert (decision.runner_up, decision.node) == ("story", "choose")
        assert (record.model, record.reason, record.model_sent) == ("coder", "preference", "coder-upstream")
        assert 'archflow_router_decisions_total{route="code",reason="similar"} 1' in play.metrics
        assert 'archflow_router_decision_seconds_count{node="choose"} 1' in play.metrics


async def test_a_request_without_a_model_is_routed() -> None:
    three = Three()
    async with three as play:
        chooses(play, "story")
        assert (await (await play.client()).talks({"messages": said()["messages"]})).status == 200
        assert three.counts == [0, 1, 0]


async def test_an_explicit_model_is_respected() -> None:
    three = Three()
    async with three as play:
        asked = chooses(play, "code")
        answer = await (await play.client()).talks(said("writer"))
        assert (answer.status, asked, three.counts) == (200, [], [0, 1, 0])
        assert answer.header("x-arch-route") is None
        assert (await play.record()).decisions == []


async def test_an_explicit_model_is_overridden_where_the_graph_says_so() -> None:
    three = Three(always=True)
    async with three as play:
        chooses(play, "code")
        client = await play.client()
        assert (await client.talks(said("writer"))).header("x-arch-model") == "coder"
        chooses(play, "")
        answer = await client.talks(said("writer"))
        assert answer.header("x-arch-model") == "writer"
        assert three.counts == [1, 1, 0]


async def test_a_provider_hint_is_as_explicit_as_a_name() -> None:
    three = Three()
    async with three as play:
        asked = chooses(play, "code")
        await (await play.client()).talks(said("none"), headers=("x-arch-llm-provider-hint: writer",))
        assert (asked, three.counts) == ([], [0, 1, 0])


async def test_no_preference_is_the_default_model() -> None:
    three = Three()
    async with three as play:
        chooses(play, "", scores=(("code", 0.2),))
        answer = await (await play.client()).talks(said())
        assert (answer.status, three.counts) == (200, [0, 0, 1])
        assert answer.header("x-arch-route-reason") == "unclear"
        assert (answer.header("x-arch-route"), answer.header("x-arch-model")) == (None, "plain")
        record = await play.record()
        assert (record.model, record.reason) == ("plain", "default")
        assert 'archflow_router_decisions_total{route="",reason="unclear"} 1' in play.metrics


async def test_a_route_that_is_not_there_is_no_preference() -> None:
    three = Three()
    async with three as play:
        chooses(play, "cooking")
        assert (await (await play.client()).talks(said())).status == 200
        assert three.counts == [0, 0, 1]


async def test_a_service_that_is_down_is_told_in_a_line() -> None:
    async def fail(*_: object) -> Choice:
        await trio.lowlevel.checkpoint()
        raise UpstreamError("the router's model is down")

    async with Three() as play:
        play.scene.choose = fail
        await (await play.client()).talks(said())
        line = await play.logged("service_failed")
        assert line == {
            "event": "service_failed",
            "level": "warning",
            "detail": "the router's model is down",
            "request_id": (await play.record()).request_id,
        }
        assert "archflow_service_failures_total 1" in play.metrics
        play.outages = 1


@pytest.mark.parametrize("error", [ZeroDivisionError("boom"), UpstreamError("down")])
async def test_a_router_that_fails_has_preferred_nothing(error: Exception) -> None:
    async def fail(*_: object) -> Choice:
        await trio.lowlevel.checkpoint()
        raise error

    three = Three()
    async with three as play:
        play.scene.choose = fail
        answer = await (await play.client()).talks(said())
        assert (answer.status, answer.header("x-arch-route-reason")) == (200, "failed")
        assert three.counts == [0, 0, 1]
        assert 'archflow_router_decisions_total{route="",reason="failed"} 1' in play.metrics
        play.trouble = int(isinstance(error, ZeroDivisionError))
        play.outages = 1 - play.trouble


async def test_a_router_that_is_late_has_preferred_nothing() -> None:
    async def late(*_: object) -> Choice:
        await trio.sleep_forever()
        raise AssertionError

    three = Three(choosing={"timeout": 0.01})
    async with three as play:
        play.scene.choose = late
        answer = await (await play.client()).talks(said())
        assert (answer.status, answer.header("x-arch-route-reason")) == (200, "timeout")
        assert three.counts == [0, 0, 1]
        assert 'archflow_router_decisions_total{route="",reason="timeout"} 1' in play.metrics


async def test_a_client_that_leaves_ends_the_routing() -> None:
    cancelled, begun = trio.Event(), trio.Event()

    async def late(*_: object) -> Choice:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    three = Three()
    async with three as play:
        play.scene.choose = late
        client = await play.client()
        await client.ask(said())
        await begun.wait()
        await client.leave()
        await cancelled.wait()
        record = await play.record()
        assert (record.error, record.attempts) == ("client_gone", [])
        assert 'reason="cancelled"' in play.metrics


async def test_guards_come_first() -> None:
    three = Three(guards=(Use("guard.play"),))
    async with three as play:
        asked = chooses(play, "code")
        play.scene.judge = lambda _: Verdict(allow=False, message="no")
        assert (await (await play.client()).talks(said())).status == 400
        assert (asked, three.counts) == ([], [0, 0, 0])


TURNS = [
    {"role": "user", "content": "write a function"},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "run", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "a story"},
]  # fmt: skip


@pytest.mark.parametrize(("user_only", "seen"), [(True, 1), (False, 3)])
async def test_only_turns_of_the_user_count_where_the_graph_says_so(user_only: bool, seen: int) -> None:
    three = Three(choosing={"user_only": user_only})
    async with three as play:
        asked = chooses(play, "code")
        await (await play.client()).talks({"model": "none", "messages": TURNS})
        assert len(asked[0][0].messages) == seen
        assert len(three.asked[0][0].json["messages"]) == 3


async def test_what_tools_answered_is_no_turn_of_the_user_in_anthropics_form_either() -> None:
    turns = [
        TURNS[0],
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "run", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "a story"}]},
    ]
    three = Three(choosing={"user_only": True})
    async with three as play:
        asked = chooses(play, "code")
        body = {"model": "none", "max_tokens": 9, "messages": turns}
        await (await play.client()).talks(body, path="/v1/messages")
        assert len(asked[0][0].messages) == 1


PROPOSED = [
    {"name": "cooking", "description": "what to eat", "models": ["nobody", "writer"]},
    {"name": "code", "description": "programs", "models": ["plain"]},
]
OF_MODELS = [
    {"model": "writer", "routing_preferences": [{"name": "cooking", "description": "what to eat"}]},
    {"model": "plain", "routing_preferences": [{"name": "code", "description": "programs"}]},
]
YAML = """
- model: writer
  routing_preferences:
    - name: cooking
      description: what to eat & drink
- model: plain
  routing_preferences:
    - {name: code, description: "programs"}
"""
FORMS = {
    "body": {"routing_preferences": PROPOSED},
    "json": {"metadata": {"archgw_preference_config": json.encode(OF_MODELS).decode(), "user": "7"}},
    "yaml": {"metadata": {"archgw_preference_config": YAML, "user": "7"}},
    "list": {"metadata": {"archgw_preference_config": OF_MODELS}},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("model", ["none", "coder"])
async def test_a_request_may_bring_its_own_preferences(form: str, model: str) -> None:
    three = Three()
    async with three as play:
        asked = chooses(play, "cooking")
        answer = await (await play.client()).talks(said(model, **FORMS[form]))
        assert (answer.status, three.counts) == (200, [0, 1, 0])
        assert [option.name for option in asked[0][1]] == ["cooking", "code"]
        assert (answer.header("x-arch-route"), answer.header("x-arch-model")) == ("cooking", "writer")
        sent = three.asked[1][0].json
        assert sent.pop("metadata", {"user": "7"}) == {"user": "7"}
        assert sent == {"model": "writer-upstream", "messages": said()["messages"]}
        record = await play.record()
        assert (record.decisions[0].proposed, record.model, record.reason) == (True, "writer", "preference")
        assert 'archflow_router_decisions_total{route="",reason="similar"} 1' in play.metrics


async def test_own_preferences_leave_a_translated_request_too() -> None:
    three = Three()
    async with three as play:
        chooses(play, "cooking")
        asked = {"model": "none", "max_tokens": 5, "messages": said()["messages"], **FORMS["body"]}
        await (await play.client()).talks(asked, path=MESSAGES)
        sent = three.asked[1][0]
        assert (sent.target, sorted(sent.json)) == (CHAT, ["max_completion_tokens", "messages", "model"])


@pytest.mark.parametrize("form", FORMS)
async def test_own_preferences_that_fit_nothing_leave_the_model_that_was_named(form: str) -> None:
    three = Three()
    async with three as play:
        chooses(play, "")
        await (await play.client()).talks(said("coder", **FORMS[form]))
        assert three.counts == [1, 0, 0]
        assert "routing_preferences" not in three.asked[0][0].json


@pytest.mark.parametrize("form", FORMS)
async def test_own_preferences_never_go_upstream(form: str) -> None:
    hinted = ("x-arch-llm-provider-hint: writer",)
    three = Three()
    async with three as play:
        asked = chooses(play, "cooking")
        await (await play.client()).talks(said(**FORMS[form]), headers=hinted)
        assert asked == []
        await play.swap(routes=None)
        await (await play.client()).talks(said("writer", **FORMS[form]))
        for one in three.asked[1]:
            assert "archgw_preference_config" not in one.body.decode()
            assert "routing_preferences" not in one.body.decode()
        assert three.counts == [0, 2, 0]


async def test_no_preferences_at_all_are_no_others() -> None:
    three = Three()
    async with three as play:
        asked = chooses(play, "code")
        await (await play.client()).talks(said(routing_preferences=[]))
        assert (asked[0][1], three.counts) == ((), [1, 0, 0])
        assert "routing_preferences" not in three.asked[0][0].json


BOMB = "- &a {model: a}\n- *a\n"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no list": ({"routing_preferences": "code"}, "are not understood"),
    "no name": ({"routing_preferences": [{"description": "x", "models": ["m"]}]}, "`name`"),
    "too many": (
        {"routing_preferences": [{"name": str(n), "description": "x", "models": []} for n in range(1001)]},
        "at most 1000",
    ),
    "neither yaml nor json": ({"metadata": {"archgw_preference_config": "[a"}}, "are not understood"),
    "half yaml": ({"metadata": {"archgw_preference_config": "- model: [a"}}, "are not understood"),
    "anchors": ({"metadata": {"archgw_preference_config": BOMB}}, "anchors"),
    "long yaml": ({"metadata": {"archgw_preference_config": "- model: a\n" * 2000}}, "as JSON"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_preferences_that_are_not_understood_are_the_clients_mistake(case: str) -> None:
    more, words = WRONG[case]
    three = Three()
    async with three as play:
        answer = await (await play.client()).talks(said(**more))
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert words in answer.message
        assert three.counts == [0, 0, 0]


async def test_what_a_router_says_cannot_break_a_header() -> None:
    async with Three(routes={"co\r\nde: é": ("coder",)}) as play:
        chooses(play, "co\r\nde: é")
        assert (await (await play.client()).talks(said())).header("x-arch-route") == "co  de: \\xe9"


# A decision without a call.


async def test_a_client_is_told_which_model_it_would_get() -> None:
    three = Three(routes={"code": ("coder", "plain"), "story": ("writer",)})
    async with three as play:
        chooses(play, "code", confidence=0.75, scores=(("code", 2.0), ("story", 1.0)))
        answer = await (await play.client()).talks(said(), path="/routing/v1/chat/completions")
        record = await play.record()
        told = answer.json
        assert (answer.status, three.counts) == (200, [0, 0, 0])
        assert told.pop("seconds") >= 0
        assert told == {
            "models": ["coder", "plain"],
            "route": "code",
            "trace_id": record.trace_id,
            "session_id": None,
            "pinned": False,
            "switched": False,
            "decision_id": record.decisions[0].id,
            "reason": "similar",
            "confidence": 0.75,
            "runner_up": "story",
        }
        assert answer.header("x-arch-route") == "code"
        assert (record.model, record.attempts, record.error) == ("", [], "")


async def test_a_client_is_told_of_a_named_model_and_of_the_default_one() -> None:
    async with Three() as play:
        chooses(play, "")
        client = await play.client()
        named = (await client.talks(said("writer"), path="/routing/v1/messages")).json
        assert (named["models"], named["route"], named["reason"]) == (["writer"], None, "name")
        default = (await client.talks(said(), path="/routing/v1/messages")).json
        assert (default["models"], default["route"], default["reason"]) == (["plain"], None, "unclear")
        unknown = await client.talks(said("nobody"), path="/routing/v1/chat/completions")
        assert (unknown.status, unknown.code) == (404, "model_not_found")
        assert (await client.talks(method="GET", path="/routing/v1/messages")).status == 405


async def test_a_client_is_told_of_its_own_preferences() -> None:
    async with Three() as play:
        chooses(play, "cooking")
        told = (await (await play.client()).talks(said(**FORMS["body"]), path=f"/routing{CHAT}")).json
        assert (told["models"], told["route"]) == (["nobody", "writer"], "cooking")


async def test_guards_judge_who_only_asks() -> None:
    async with Three(guards=(Use("guard.play"),)) as play:
        play.scene.judge = lambda _: Verdict(allow=False, message="no")
        assert (await (await play.client()).talks(said(), path=f"/routing{CHAT}")).status == 400
