"""Guards in the walk: what they see, what their verdicts do, and what happens when they fail."""

from __future__ import annotations

import pytest
import trio

from archflow_engine.nodes.judged import told
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
    verdict = Verdict(allow=False, message="not about that", score=0.75)

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
        assert (record.denied_by, record.denied_score) == ("number 0", 0.75)
        assert answer.header("x-arch-guard") == '"number 0";score=0.750'
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
        assert answer.message == "the guard number 0 could not judge the request"
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


ASKED = {
    "/v1/chat/completions": WORDS,
    "/v1/messages": {**WORDS, "max_tokens": 9},
    "/v1/completions": {"model": "m", "prompt": "hello"},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", ASKED)
async def test_a_guard_answers_in_the_assistants_place(path: str, stream: bool) -> None:
    async with playing(guards=(QUICK,), denied="denied-in-words") as play:
        play.scene.judge = lambda _: Verdict(allow=False, message="let us talk of boats", score=0.9)
        answer = await (await play.client()).talks({**ASKED[path], "stream": stream}, path=path)
        assert answer.status == 200
        assert answer.header("x-arch-guard") == '"number 0";score=0.900'
        kind = "text/event-stream" if stream else "application/json"
        assert answer.header("content-type") == kind
        assert b"let us talk of boats" in answer.body
        record = await play.record()
        assert (record.denied_by, record.denied_score, record.attempts) == ("number 0", 0.9, [])


async def test_what_has_no_words_is_denied_by_an_error() -> None:
    async with playing(guards=(QUICK,), denied="denied-in-words") as play:
        play.scene.judge = lambda _: Verdict(allow=False, message="no")
        client = await play.client()
        answer = await client.talks({"model": "m", "input": "hello"}, path="/v1/embeddings")
        assert (answer.status, answer.message) == (400, "no")
        assert answer.header("x-arch-guard") == '"number 0"'


@pytest.mark.parametrize("guard", [QUICK, SLOW], ids=["quick", "waiting"])
async def test_a_guard_that_fails_open_has_not_passed_and_the_next_one_is_asked(guard: Use) -> None:
    judged: list[str] = []

    def judge(_: Conversation) -> Verdict:
        judged.append("quick")
        if len(judged) == 1:
            raise ZeroDivisionError("boom")
        return ALLOW

    async def judge_waiting(_: Conversation) -> Verdict:
        await trio.lowlevel.checkpoint()
        return judge(_)

    async with playing(guards=(guard, guard), fail="open") as play:
        play.scene.judge = judge
        play.scene.judge_waiting = judge_waiting
        play.upstream.script = lambda _: reply()
        answer = await (await play.client()).talks(WORDS)
        assert answer.status == 200
        assert answer.header("x-arch-guard") is None
        assert (await play.record()).guards == [("guard-0", "failed"), ("guard-1", "allow")]
        assert 'archflow_guard_verdicts_total{guard="guard-0",verdict="failed"} 1' in play.metrics
        play.trouble = 1


@pytest.mark.parametrize(
    ("label", "score", "header"),
    [
        ("a", 0.0, b'"a"'),
        ('say "no"\\', 1.0, b'"say \\"no\\"\\\\";score=1.000'),
        ("w\u00e4chter\r\nx: y", 0.5, b'"w?chter??x: y";score=0.500'),
    ],
)
async def test_any_name_can_stand_in_the_header(label: str, score: float, header: bytes) -> None:
    assert told(label, score) == header
