"""Guards in the walk: what they see, what their verdicts do, and what happens when they fail."""

from __future__ import annotations

import pytest
import trio

from archflow_plugins import ALLOW, Verdict
from archflow_schema.conversation import Conversation
from archflow_schema.graph import Use
from peers import reply
from playbook import WORDS, playing

pytestmark = pytest.mark.trio
QUICK, SLOW = Use("guard.play"), Use("guard.play_waiting")


async def test_a_guard_sees_the_conversation_and_allows() -> None:
    seen: list[Conversation] = []

    def judge(conversation: Conversation) -> Verdict:
        seen.append(conversation)
        return ALLOW

    async with playing(guards=(QUICK,)) as play:
        play.scene.judge = judge
        play.upstream.script = lambda _: reply()
        assert (await (await play.client()).talks(WORDS)).status == 200
        assert seen[0].messages[0].text == "hello"
        assert (await play.record()).guards == [("guard-0", "allow")]


@pytest.mark.parametrize("guard", [QUICK, SLOW], ids=["quick", "waiting"])
async def test_a_guard_denies_with_its_own_words(guard: Use) -> None:
    verdict = Verdict(allow=False, message="not about that")

    async def judge(_: Conversation) -> Verdict:
        await trio.lowlevel.checkpoint()
        return verdict

    async with playing(guards=(guard,)) as play:
        play.scene.judge = lambda _: verdict
        play.scene.judge_waiting = judge
        client = await play.client()
        answer = await client.talks(WORDS)
        assert (answer.status, answer.code, answer.message) == (400, "guard_denied", "not about that")
        record = await play.record()
        assert (record.guards, record.attempts) == ([("guard-0", "deny")], [])
        assert 'archflow_guard_verdicts_total{guard="guard-0",verdict="deny"} 1' in play.metrics
        assert (await client.talks(method="GET", path="/healthz")).status == 200


@pytest.mark.parametrize("guard", [QUICK, SLOW], ids=["quick", "waiting"])
async def test_a_guard_that_fails_has_not_allowed(guard: Use) -> None:
    def fail(_: Conversation) -> Verdict:
        raise ZeroDivisionError("boom")

    async def fail_later(_: Conversation) -> Verdict:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError("boom")

    async with playing(guards=(guard,)) as play:
        play.scene.judge = fail
        play.scene.judge_waiting = fail_later
        answer = await (await play.client()).talks(WORDS)
        assert (answer.status, answer.code) == (503, "guard_failed")
        assert answer.message == "the guard guard-0 could not judge the request"
        assert (await play.record()).guards == [("guard-0", "failed")]
        assert play.upstream.connections == []
        play.trouble = 1


async def test_guards_are_asked_in_order_until_one_denies() -> None:
    asked: list[str] = []

    def quick(_: Conversation) -> Verdict:
        asked.append("quick")
        return Verdict(allow=False, message="no") if len(asked) > 2 else ALLOW

    async def slow(_: Conversation) -> Verdict:
        asked.append("slow")
        await trio.lowlevel.checkpoint()
        return ALLOW

    async with playing(guards=(QUICK, SLOW, QUICK, SLOW)) as play:
        play.scene.judge = quick
        play.scene.judge_waiting = slow
        assert (await (await play.client()).talks(WORDS)).status == 400
        assert asked == ["quick", "slow", "quick"]
        record = await play.record()
        assert record.guards == [("guard-0", "allow"), ("guard-1", "allow"), ("guard-2", "deny")]


@pytest.mark.parametrize("guard", [QUICK, SLOW], ids=["quick", "waiting"])
async def test_what_is_no_conversation_is_the_clients_mistake(guard: Use) -> None:
    async with playing(guards=(guard,)) as play:
        answer = await (await play.client()).talks({"model": "m"})
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert "lacks `messages`" in answer.message


async def test_a_waiting_guard_holds_up_nobody_else() -> None:
    go = trio.Event()

    async def judge(conversation: Conversation) -> Verdict:
        if conversation.messages[0].text == "hello":
            await go.wait()
        return ALLOW

    async with playing(guards=(SLOW,)) as play:
        play.scene.judge_waiting = judge
        play.upstream.script = lambda _: reply()
        first, second = await play.client(), await play.client()
        await first.ask(WORDS)
        others = {"model": "m", "messages": [{"role": "user", "content": "others"}]}
        assert (await second.talks(others)).status == 200
        go.set()
        assert (await first.reply()).status == 200
