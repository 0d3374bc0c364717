"""Guards over replies: what leaves when, what a client gets instead, on every lane, and what happens when they fail."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from msgspec import json

from archflow_engine import screening
from archflow_engine.exchange import relayed
from archflow_engine.screening import Screening
from archflow_engine.stages import Ended
from archflow_plugins import Channel, Passed, Screen, Verdict
from archflow_plugins.framing import sse
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import Event, Finished, Ping, ReasoningDelta, Stopped, TextDelta
from archflow_schema.graph import Use
from peers import Reply, Upstream, chunk, reply
from playbook import compiled, playing

pytestmark = pytest.mark.trio
GUARD = Use("guard.play_screens")
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
STREAMED = {**CHAT, "stream": True}
SAID = {**STREAMED, "max_tokens": 50}
MESSAGES = "/v1/messages"
DONE = b"data: [DONE]\n\n"
DENIED = Verdict(allow=False, message="not that", score=0.5)


class Word(Screen):
    """Denies a word: holds back as many characters as could still become it."""

    def __init__(self, word: str, *, waits: bool = False) -> None:
        self.word = word
        self.waits = waits
        self.held = ""
        self.fed: list[str] = []

    def feed_nowait(self, text: str, *, end: bool) -> Verdict | Sequence[Passed] | None:
        return None if self.waits else self.judge(text, end=end)

    async def feed(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        await trio.lowlevel.checkpoint()
        return self.judge(text, end=end)

    def judge(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        self.fed.append(text)
        self.held += text
        if self.word in self.held:
            return DENIED
        free = len(self.held) if end else max(0, len(self.held) - len(self.word) + 1)
        self.held = self.held[free:]
        return (Passed(free),) if free else ()


class Broken(Screen):
    """Fails at a word."""

    def feed_nowait(self, text: str, *, end: bool) -> Sequence[Passed]:
        if "boom" in text:
            raise ZeroDivisionError(text)
        return (Passed(len(text)),)


def piece(*, end: str = "", choice: int = 0, **delta: object) -> bytes:
    """One event of a chat stream."""
    one = {"index": choice, "delta": delta, "finish_reason": end or None}
    return sse.encode(json.encode({"id": "chatcmpl-1", "model": "gpt-x", "choices": [one]}))


def whole(content: str, **more: object) -> dict[str, Any]:
    """A whole chat reply."""
    message = {"role": "assistant", "content": content, **more}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }


def events(answer: Reply | bytes) -> list[dict[str, Any]]:
    """The data of a reply's events."""
    body = answer if isinstance(answer, bytes) else answer.body
    return [json.decode(one.data) for one in sse.Splitter().feed(body) if one.data != b"[DONE]"]


def content(answer: Reply | bytes) -> str:
    """What a chat stream says."""
    return "".join(
        choice["delta"].get("content") or "" for one in events(answer) for choice in one["choices"]
    )


@pytest.mark.parametrize("waits", [False, True], ids=["quick", "waiting"])
async def test_what_is_allowed_leaves_as_it_came(waits: bool) -> None:
    screens: list[Word] = []

    def screen(channel: Channel) -> Screen:
        assert channel == "text"
        screens.append(Word("secret", waits=waits))
        return screens[-1]

    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = screen
        play.upstream.script = lambda _: reply(json.encode(whole("Good day")))
        answer = await (await play.client()).talks(CHAT)
        assert answer.json["choices"][0]["message"]["content"] == "Good day"
        assert answer.json["usage"]["total_tokens"] == 11
        record = await play.record()
        assert record.guards == [("screen-0", "allow")]
        assert (record.finish_reason, record.response_model) == ("stop", "gpt-x")
        assert [screen.fed for screen in screens] == [["Good day"]]
        assert 'archflow_guard_verdicts_total{guard="screen-0",verdict="allow"} 1' in play.metrics


@pytest.mark.parametrize("waits", [False, True], ids=["quick", "waiting"])
@pytest.mark.parametrize("size", [1, 5, 10_000])
async def test_a_stream_that_is_denied_ends_with_the_guards_words_and_leaks_nothing(
    size: int, waits: bool
) -> None:
    said = "It is the secret word"
    body = piece(role="assistant", content="") + b"".join(
        piece(content=said[at : at + 4]) for at in range(0, len(said), 4)
    )
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Word("secret", waits=waits)
        client = await play.client()
        await client.ask(STREAMED)
        asked = await play.upstream.asked()
        await asked.stream()
        with suppress(
            trio.BrokenResourceError, trio.ClosedResourceError
        ):  # it is cancelled at the first sight
            for at in range(0, len(body), size):
                await asked.more(body[at : at + size])
                if at % 50 == 0:  # or all of it might be there when the gateway first looks
                    await trio.testing.wait_all_tasks_blocked()
        answer = await client.reply()
        if size == 10_000 or (waits and answer.status == 400):
            # Nothing had left, so it is denied as a request is; while a screen waits, more than one piece may come.
            assert (answer.status, answer.code, answer.message) == (400, "guard_denied", "not that")
            assert answer.header("x-arch-guard") == '"number 0";score=0.500'
        else:
            assert answer.status == 200
            text = content(answer)
            assert text.endswith("\n\nnot that")
            assert "It is the ".startswith(text.removesuffix("\n\nnot that"))
            assert events(answer)[-1]["choices"][0]["finish_reason"] == "content_filter"
            assert answer.body.endswith(DONE)
        await asked.connection.left()
        record = await play.record()
        assert (record.guards, record.denied_by) == ([("screen-0", "deny")], "number 0")
        assert record.finish_reason == "content_filter"
        assert 'archflow_guard_verdicts_total{guard="screen-0",verdict="deny"} 1' in play.metrics


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_denial_may_be_an_answer_in_the_assistants_place(stream: bool) -> None:
    async with playing(screens=(GUARD,), denied="denied-in-words") as play:
        play.scene.screen = lambda _: Word("secret")
        play.upstream.script = lambda _: reply(json.encode(whole("a secret")))
        answer = await (await play.client()).talks({**CHAT, "stream": stream})
        assert (answer.status, answer.header("x-arch-guard")) == (200, '"number 0";score=0.500')
        assert b"not that" in answer.body
        assert b"secret" not in answer.body


async def test_a_window_holds_back_what_could_become_wrong_and_no_more() -> None:
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Word("secret")
        client = await play.client()
        await client.ask(SAID, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(piece(role="assistant", content="Good day"))
        answer = await client.begins()
        await client.reads(b'"Goo"}}\n\n')
        await asked.more(piece(end="stop") + DONE)
        await asked.end()
        rest = await client.rest(answer)
        assert [one["delta"]["text"] for one in events(rest) if one["type"] == "content_block_delta"] == [
            "d day"
        ]
        assert events(rest)[-1]["type"] == "message_stop"


async def test_what_comes_behind_held_text_keeps_its_place() -> None:
    call = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = (
        piece(role="assistant", content="let me look")
        + piece(tool_calls=[call])
        + piece(end="tool_calls")
        + DONE
    )
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda channel: Word("secret") if channel == "text" else None
        play.upstream.script = lambda _: reply(body, headers=("content-type: text/event-stream",))
        answer = await (await play.client()).talks(SAID, path=MESSAGES)
        told = events(answer)
        starts = [one["content_block"]["type"] for one in told if one["type"] == "content_block_start"]
        assert starts == ["text", "tool_use"]
        said = [one["delta"].get("text", "") for one in told if one["type"] == "content_block_delta"]
        assert "".join(said) == "let me look"
        assert told[-2]["delta"]["stop_reason"] == "tool_use"


async def test_arguments_and_thoughts_are_judged_too() -> None:
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda channel: Word("secret") if channel == "arguments" else None
        function = {"name": "f", "arguments": '{"a": "secret"}'}
        calls = [{"id": "call-1", "type": "function", "function": function}]
        play.upstream.script = lambda _: reply(json.encode(whole("hm", tool_calls=calls)))
        client = await play.client()
        assert (await client.talks(CHAT)).code == "guard_denied"
        play.scene.screen = lambda channel: Word("secret") if channel == "reasoning" else None
        play.upstream.script = lambda _: reply(json.encode(whole("hm", reasoning_content="a secret")))
        assert (await client.talks(CHAT)).code == "guard_denied"


async def test_an_answer_without_a_word_is_an_empty_text() -> None:
    screens: list[Word] = []

    def screen(channel: Channel) -> Screen:
        assert channel == "text"
        screens.append(Word("secret"))
        return screens[-1]

    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = screen
        play.upstream.script = lambda _: reply(json.encode(whole("")))
        assert (await (await play.client()).talks(CHAT)).status == 200
        assert [one.fed for one in screens] == [[""]]


async def test_each_choice_has_a_screen_of_its_own() -> None:
    body = b"".join(
        [
            piece(content="the sec", choice=0), piece(content="ret is ", choice=1), piece(content="ond", choice=0),
            piece(content="out", choice=1), piece(end="stop", choice=0), piece(end="stop", choice=1), DONE,
        ]
    )  # fmt: skip
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Word("secret")
        play.upstream.script = lambda _: reply(body, headers=("content-type: text/event-stream",))
        answer = await (await play.client()).talks({**STREAMED, "n": 2})
        said = {0: "", 1: ""}
        for one in events(answer):
            for choice in one["choices"]:
                said[choice["index"]] += choice["delta"].get("content") or ""
        assert said == {0: "the second", 1: "ret is out"}


async def test_what_waits_behind_a_text_is_bounded_whether_it_is_judged_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screening, "HELD_AT_MOST", 1000)

    def held(first: Event, more: Event) -> int:
        one = Screening(lambda channel: Word("secret") if channel == "text" else None, Heard())
        one.feed([first])
        for number in range(100):
            try:
                one.feed([more])
            except UpstreamProtocolError:
                return number
        return -1

    assert held(TextDelta("a good day"), TextDelta("to you all")) == -1
    assert 0 < held(TextDelta("sec"), ReasoningDelta("so")) < 50
    assert 0 < held(TextDelta("sec"), Ping()) < 50


class Heard:
    """What becomes of a reply."""

    def allowed(self) -> None:
        raise AssertionError("it was denied")

    def denied(self, verdict: Verdict) -> None:
        assert verdict is DENIED

    def failed(self, error: Exception) -> Ended | None:
        raise error


async def test_a_choice_is_denied_in_its_own_words_if_all_others_are_whole() -> None:
    screening = Screening(lambda _: Word("secret"), Heard())
    fine = [TextDelta("fine"), Stopped("stop")]
    assert screening.feed(fine) == fine
    with pytest.raises(Ended) as ended:
        screening.feed([TextDelta("a secret", choice=1)])
    assert ended.value.events == [
        TextDelta("not that", block=1, choice=1),
        Stopped("content_filter", choice=1),
        Finished(),
    ]


async def test_a_source_that_is_denied_ends_the_reply() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://x.test", "title": "a secret"}}
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda channel: Word("secret") if channel == "cited" else None
        play.upstream.script = lambda _: reply(json.encode(whole("Good day", annotations=[cited])))
        answer = await (await play.client()).talks(CHAT)
        assert (answer.status, answer.message) == (400, "not that")


async def test_several_guards_judge_one_after_the_other() -> None:
    words = iter(["secret", "hidden", "secret", "hidden"])
    async with playing(screens=(GUARD, GUARD)) as play:
        play.scene.screen = lambda _: Word(next(words), waits=True)
        said = iter(["all is well", "it is hidden"])
        play.upstream.script = lambda _: reply(json.encode(whole(next(said))))
        client = await play.client()
        assert (await client.talks(CHAT)).status == 200
        assert (await play.record()).guards == [("screen-0", "allow"), ("screen-1", "allow")]
        answer = await client.talks(CHAT)
        assert answer.header("x-arch-guard") == '"number 1";score=0.500'
        assert ("screen-1", "deny") in (await play.record()).guards


async def test_a_guard_that_fails_has_not_allowed() -> None:
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Broken()
        play.upstream.script = lambda _: reply(json.encode(whole("boom")))
        client = await play.client()
        answer = await client.talks(CHAT)
        assert (answer.status, answer.code) == (503, "guard_failed")
        assert answer.message == "the guard number 0 could not judge the answer"
        assert (await play.record()).guards == [("screen-0", "failed")]
        play.upstream.script = None
        await client.ask(STREAMED)
        asked = await play.upstream.asked()
        await asked.stream(piece(content="Good"))
        streamed = await client.begins()
        assert content(await client.reads(b"\n\n")) == "Good"
        await asked.more(piece(content=" boom"))
        await client.rest(streamed)
        assert b"boom" not in streamed.body
        assert events(streamed)[-1]["error"]["code"] == "guard_failed"
        record = await play.record()
        assert (record.guards, record.error) == ([("screen-0", "failed")], "guard_failed")
        play.trouble = 2


async def test_a_guard_that_fails_open_lets_all_go_and_is_not_reported_as_passed() -> None:
    async with playing(screens=(GUARD,), fail="open") as play:
        play.scene.screen = lambda _: Broken()
        body = (
            piece(content="Good") + piece(content=" boom") + piece(content=" day") + piece(end="stop") + DONE
        )
        play.upstream.script = lambda _: reply(body, headers=("content-type: text/event-stream",))
        answer = await (await play.client()).talks(STREAMED)
        assert content(answer) == "Good boom day"
        assert (await play.record()).guards == [("screen-0", "failed")]
        play.trouble = 1


async def test_an_upstream_that_fails_in_mid_stream_says_no_more_than_was_judged() -> None:
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Word("secret")
        client = await play.client()
        await client.ask(STREAMED)
        asked = await play.upstream.asked()
        await asked.stream(piece(content="Good day, the secr"))
        answer = await client.begins()
        await client.reads(b"\n\n")
        asked.connection.reset()
        rest = await client.rest(answer)
        assert b"secr" not in rest.body
        assert events(rest)[-1]["error"]["code"] == "upstream_failed"
        assert (await play.record()).guards == []


async def test_a_client_that_leaves_while_a_guard_waits_ends_it() -> None:
    begun, cancelled = trio.Event(), trio.Event()

    class Slow(Screen):
        async def feed(self, text: str, *, end: bool) -> Sequence[Passed]:
            begun.set()
            try:
                await trio.sleep_forever()
            finally:
                cancelled.set()
            return ()

    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Slow()
        client = await play.client()
        await client.ask(STREAMED)
        asked = await play.upstream.asked()
        await asked.stream(piece(content="Good day"))
        await begun.wait()
        await client.leave()
        await cancelled.wait()
        assert (await play.record()).error == "client_gone"


async def test_while_a_guard_waits_the_upstream_is_not_read() -> None:
    go = trio.Event()

    class Slow(Screen):
        async def feed(self, text: str, *, end: bool) -> Sequence[Passed]:
            await go.wait()
            return (Passed(len(text)),)

    part = piece(content="x" * 50_000)
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Slow()
        client = await play.client()
        await client.ask(STREAMED)
        asked = await play.upstream.asked()
        await asked.stream()
        sent = 0

        async def send() -> None:
            nonlocal sent
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                for _ in range(2000):  # a hundred megabytes, more than sockets hold
                    await asked.connection.stream.send_all(chunk(part))
                    sent += 1

        play.nursery.start_soon(send)
        before = -1
        while sent != before:
            before = sent
            await trio.sleep(0.2)
        assert 0 < sent < 2000
        go.set()
        await play.settled(lambda: sent > before)


async def test_what_a_client_of_a_dialect_without_events_gets_is_refused_or_says_nothing() -> None:
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Word("secret")
        client = await play.client()
        answer = await client.talks({"model": "m", "prompt": "hello"}, path="/v1/completions")
        assert (answer.status, answer.code) == (400, "unsupported_dialect")
        play.upstream.script = lambda _: reply({"data": []})
        answer = await client.talks({"model": "m", "input": "hello"}, path="/v1/embeddings")
        assert (answer.status, answer.json) == (200, {"data": []})


async def test_an_upstreams_error_is_told_as_ever() -> None:
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Word("secret")
        body = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limited"}}
        play.upstream.script = lambda _: reply(json.encode(body), status=429, headers=("retry-after: 3",))
        answer = await (await play.client()).talks(CHAT)
        assert (answer.status, answer.message, answer.header("retry-after")) == (429, "slow down", "3")


async def test_the_request_goes_upstream_as_it_came() -> None:
    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Word("secret")
        odd = b'{"model":"m","messages":[{"role":"user","content":"hello","mine":1.50}],"zz":[ 1 ]}'
        client = await play.client()
        await client.ask(odd)
        asked = await play.upstream.asked()
        assert asked.body == odd.replace(b'"m"', b'"m-upstream"')
        await asked.reply(whole("Good day"))
        assert (await client.reply()).status == 200


CONFIG = """
version: v0.4.0
listeners:
  - {{name: llm, type: model, output_guards: [{{kind: regex, deny_words: [secret], message: not that}}]}}
model_providers: [{{model: openai/m, base_url: "{url}", access_key: $UPSTREAM_KEY}}]
"""
MINIMAL = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
STREAMS: dict[str, tuple[str, dict[str, Any], bytes, bytes]] = {
    "openai_chat": ("/v1/chat/completions", STREAMED, b'"finish_reason":"content_filter"', DONE),
    "anthropic_messages": (MESSAGES, SAID, b'"stop_reason":"refusal"', b"message_stop"),
    "openai_responses": (
        "/v1/responses", {"model": "m", "input": "hello", "stream": True},
        b'"reason":"content_filter"', b"event: response.incomplete",
    ),
    "gemini": (
        "/v1beta/models/m:streamGenerateContent?alt=sse", MINIMAL, b'"finishReason":"SAFETY"', b"SAFETY",
    ),
    "bedrock_converse": (
        "/model/m/converse-stream", {"messages": [{"role": "user", "content": [{"text": "hello"}]}]},
        b'"stopReason":"content_filtered"', b"metadata",
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialect", STREAMS)
async def test_a_stream_of_any_dialect_ends_properly(dialect: str) -> None:
    path, body, reason, last = STREAMS[dialect]
    async with playing() as play:
        await play.swap(compiled(CONFIG.format(url=play.upstream.url)))
        client = await play.client()
        await client.ask(body, path=path)
        asked = await play.upstream.asked()
        if asked.target != "/v1/chat/completions":
            await asked.stream(*RESPONSES[:-1])
            answer = await client.begins()
            await client.more()
            await asked.more(RESPONSES[-1])
        else:
            await asked.stream(piece(role="assistant", content="Good day, "))
            answer = await client.begins()
            await asked.more(piece(content="the secret is out"))
        await client.rest(answer)
        assert not answer.cut
        assert b"not that" in answer.body
        assert b"secret" not in answer.body
        assert reason in answer.body
        assert last in answer.body
        await asked.connection.left()
        assert (await play.record()).denied_by == "regex"


def told(**event: object) -> bytes:
    """One event of a stream of the Responses API."""
    return sse.encode(json.encode(event), str(event["type"]))


ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
PART = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSES = (
    told(type="response.created", response={"id": "resp_1", "model": "gpt-x", "output": [], "created_at": 1}),
    told(type="response.output_item.added", output_index=0, item=ITEM),
    told(
        type="response.content_part.added",
        part={"type": "output_text", "text": "", "annotations": []},
        **PART,
    ),
    told(type="response.output_text.delta", delta="Good day, ", **PART),
    told(type="response.output_text.delta", delta="the secret is out", **PART),
)


FILTERED = """
version: v0.4.0
filters: [{{id: f, type: http, url: "{filter}"}}]
listeners:
  - name: llm
    type: model
    output_filters: [f]
    output_guards: [{{kind: regex, deny_words: [secret], message: not that}}]
model_providers: [{{model: openai/m, base_url: "{url}", access_key: $UPSTREAM_KEY}}]
"""


async def test_filters_of_replies_get_only_what_was_judged() -> None:
    async with playing(Upstream(), Upstream()) as play:
        model, filtering = play.upstreams
        await play.swap(compiled(FILTERED.format(url=model.url, filter=filtering.url)))
        filtering.script = lambda asked: reply(asked.body)
        client = await play.client()
        await client.ask(STREAMED)
        asked = await model.asked()
        await asked.stream(piece(role="assistant", content="Good day, "))
        answer = await client.begins()
        await asked.more(piece(content="the secret is out"))
        await client.rest(answer)
        assert content(answer) == "Good day, \n\nnot that"
        assert not any(b"secret" in one.body for one in filtering.requests)
        model.script = lambda _: reply(json.encode(whole("a secret")))
        assert (await client.talks(CHAT)).code == "guard_denied"
        assert not any(b"secret" in one.body for one in filtering.requests)


@pytest.mark.parametrize("waits", [False, True], ids=["holding", "waiting"])
async def test_a_client_in_mid_stream_hears_that_it_lives_while_a_guard_lets_nothing_go(
    waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relayed, "PULSE", 0.1)
    go = trio.Event()

    class Slow(Screen):
        held = 0

        def feed_nowait(self, text: str, *, end: bool) -> Sequence[Passed] | None:
            if text == "Well, ":
                return (Passed(len(text)),)
            if waits:
                return None
            self.held += len(text)
            return (Passed(self.held),) if end else ()

        async def feed(self, text: str, *, end: bool) -> Sequence[Passed]:
            await go.wait()
            return (Passed(len(text)),) if text else ()

    async with playing(screens=(GUARD,)) as play:
        play.scene.screen = lambda _: Slow()
        client = await play.client()
        await client.ask(SAID, path=MESSAGES)
        asked = await play.upstream.asked()
        await asked.stream(piece(content="Well, "))
        answer = await client.begins()
        await client.reads(b'"Well, "}}\n\n')

        async def talk() -> None:
            while not go.is_set():
                await asked.more(piece(content="a"))
                await trio.sleep(0.02)
            await asked.more(piece(end="stop") + DONE)
            await asked.end()

        play.nursery.start_soon(talk)
        for _ in range(2):
            assert b"event: ping" in (await client.more() or b"")
        go.set()
        assert b"message_stop" in (await client.rest(answer)).body
