"""Invariant: whatever sound graph runs, every request gets exactly one reply, and one record tells of it.

Graphs are random: guards of requests and of replies that allow, deny and fail, at once or later; quotas that are used
up; routes that know the model or do not; prompts that match, are filled and called, or not; upstreams and services that
answer, refuse, break off or speak another dialect, with any node behind each failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins import ALLOW, Choice, Passed, Screen, Verdict
from archflow_schema import graph as g
from archflow_schema.conversation import Conversation
from archflow_schema.slots import Filled, FilledCall, Question, Slot
from peers import Asked, Upstream, reply
from playbook import RED, WORDS, Play, playing, registry

GUARDS = ("guard.play", "guard.play_waiting")
STORES = ("store.memory", "store.play_far")
STATUSES = {200, 400, 404, 418, 429, 500, 502}
TARGETS = (
    g.Target("fine", 0, "GET", (g.Place("/x"),)),
    g.Target("verbatim", 0, "POST", (g.Place("/x"),), verbatim=True),
    g.Target("broken", 1, "POST", (g.Place("/x"),)),
    g.Target("absent", 2, "GET", (g.Place("/x"),)),
    g.Target("missing", 0, "GET", (g.Place("/", "a"),), slots=(Slot("a", "", "str"),)),
)
NAMES = tuple(target.name for target in TARGETS)
TYPES = (
    "reply", "guard", "limit", "route", "dispatch", "dispatch", "match", "fill", "call", "frame", "tell",
    "choose", "next", "resume", "screen", "screen",
)  # fmt: skip
FINE = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "x",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
}  # fmt: skip


@st.composite
def nodes(draw: st.DrawFn) -> tuple[g.Node, ...]:
    """Nodes whose edges lead to earlier ones only, so that they form no cycle; the last is the entry."""
    made: list[g.Node] = [g.Reply("says no", 418, "teapot"), g.Reply("says yes", 200, "", ("yes",))]

    def edge(outcome: str) -> g.Edge:
        return g.Edge(outcome, draw(st.integers(0, len(made) - 1)))

    for number in range(draw(st.integers(1, 8))):
        name = f"node-{number}"
        match draw(st.sampled_from(TYPES)):
            case "reply":
                made.append(g.Reply(name, 404, "model_not_found"))
            case "guard":
                wired = tuple(map(edge, ("allow", "deny", "failed")))
                made.append(g.Guard(name, g.Use(draw(st.sampled_from(GUARDS))), wired))
            case "screen":
                failing: Any = draw(st.sampled_from(["closed", "open"]))
                failed = edge("failed") if failing == "closed" else g.Edge("failed", g.END)
                wired = (*map(edge, ("ready", "deny")), failed)
                made.append(g.Screen(name, g.Use("guard.play_screens"), wired, fail=failing))
            case "limit":
                quota = g.Quota("x-team", "red", draw(st.sampled_from([1, 1_000_000])), 60)
                store = g.Use(draw(st.sampled_from(STORES)))
                made.append(g.Limit(name, "m", (quota,), store, tuple(map(edge, ("admitted", "exceeded")))))
            case "route":
                known = draw(st.booleans())
                default = draw(st.sampled_from(["", "n"]))
                models = {"m"} if known else {"other"}
                wired = tuple(edge(f"model:{one}") for one in sorted(models | ({default} - {""})))
                names = tuple((one, one, "name") for one in models)
                policy: Any = draw(st.sampled_from(["refuse", "default"]))
                made.append(g.Route(name, names, (), default, policy, (*wired, edge("unknown"))))
            case "choose":
                wired = tuple(map(edge, ("model:m", "model:n", "named", "none", "failed")))
                made.append(g.Choose(name, g.Use("router.play"), (("r", ("m", "n")),), 5.0, wired))
            case "next":
                made.append(g.Next(name, ("m", "n"), tuple(map(edge, ("model:m", "model:n", "none")))))
            case "match":
                wired = tuple(map(edge, ("target:fine", "miss", "pass", "empty", "failed")))
                state = g.State(draw(st.sampled_from(["client", "none"])))
                made.append(g.Match(name, g.Use("matcher.play"), ("fine",), wired, state=state))
            case "resume":
                made.append(g.Resume(name, ("fine",), (edge("resumed"),), g.State("client")))
            case "fill":
                wired = tuple(map(edge, ("filled", "ask", "none", "failed")))
                made.append(g.Fill(name, g.Use("slot_filler.play"), NAMES, wired))
            case "call":
                told = g.Target(
                    "told", draw(st.integers(0, 2)), "POST", (g.Place("/x"),), history="openai_chat"
                )
                targets = draw(st.sampled_from([TARGETS, (told,)]))
                wired = (edge("answered"), g.Edge("verbatim", g.END), edge("failed"))
                made.append(g.Call(name, targets, wired, retries=0))
            case "frame":
                made.append(g.Frame(name, ("be kind",), (edge("framed"),)))
            case "tell":
                wired = (g.Edge("replied", g.END), edge("silent"))
                made.append(g.Tell(name, draw(st.integers(0, 2)), "/told", "Odd", "openai_chat", wired))
            case _:
                failures = tuple(map(edge, ("refused", "timeout", "failed", "unsupported")))
                upstream = draw(st.integers(0, 3))
                made.append(g.Dispatch(name, "m", "m-1", upstream, (g.Edge("streaming", g.END), *failures)))
    return tuple(made)


def graph_of(play: Play, made: tuple[g.Node, ...]) -> g.Graph:
    """The play's graph with other nodes."""
    graph = play.graph(models={"m": 0})
    mute = msgspec.structs.replace(graph.upstreams[0], name="mute", dialects=("openai_embeddings",))
    (listener,) = graph.listeners
    endpoints = tuple(
        msgspec.structs.replace(endpoint, entry=len(made) - 1) for endpoint in listener.endpoints
    )
    names = ("fine", "broken", "absent")
    found = msgspec.structs.replace(
        graph,
        nodes=made,
        services=tuple(
            g.Service(name, ((one.url,),)) for name, one in zip(names, play.upstreams, strict=True)
        ),
        requires=registry().requires({"matcher.play", "router.play", "slot_filler.play", "tracer.play"}),
        upstreams=(*graph.upstreams, mute),
        listeners=(msgspec.structs.replace(listener, endpoints=endpoints),),
    )
    assert g.problems(found) == ()
    return found


def choice(word: str) -> Choice:
    """What a router says, or how it fails."""
    if word == "fail":
        raise ZeroDivisionError(word)
    return Choice(option="r" if word == "allow" else "", reason="said")


def verdict(word: str) -> Verdict:
    """What a guard says, or how it fails."""
    if word == "fail":
        raise ZeroDivisionError(word)
    return ALLOW if word == "allow" else Verdict(allow=False, message="no")


class Worded(Screen):
    """Says what it is told to of what a model says, or fails, or waits before it allows."""

    def __init__(self, word: str) -> None:
        self.word = word

    def feed_nowait(self, text: str, *, end: bool) -> Verdict | Sequence[Passed] | None:
        if self.word not in {"deny", "fail"} and end:
            return None
        verdict(self.word if self.word in {"deny", "fail"} else "allow")
        return verdict("deny") if self.word == "deny" else [Passed(len(text))] if text else ()

    async def feed(self, text: str, *, end: bool) -> Sequence[Passed]:
        await trio.lowlevel.checkpoint()
        return [Passed(len(text))] if text else ()


def filled(word: str) -> Filled | Question:
    """What a slot filler says, or how it fails."""
    if word == "fail":
        raise ZeroDivisionError(word)
    if word == "deny":
        return Question("what?", ("a",))
    return Filled(tuple(FilledCall(name) for name in word.split()), ordered=len(word) % 2 == 0)


async def one_reply_each(made: tuple[g.Node, ...], words: list[str]) -> None:
    fine, broken, absent = Upstream(), Upstream(), Upstream()
    fine.script = lambda _: reply(FINE)

    def break_off(asked: Asked) -> bytes:
        asked.connection.reset()
        return b""

    broken.script = break_off
    async with playing(fine, broken, absent) as play:
        absent.close()
        said = iter(words * 100)

        async def judge_later(_: Conversation) -> Verdict:
            await trio.lowlevel.checkpoint()
            return verdict(next(said))

        failures: list[str] = []

        def next_word() -> str:
            word = next(said)
            failures.extend([word] if word == "fail" else [])
            return word

        async def match(_: Conversation) -> Choice:
            return Choice(option="fine" if verdict(next_word()).allow else "")

        async def fill(_: Conversation, __: tuple[str, ...]) -> Filled | Question:
            word = next_word()
            return filled("fine" if word == "allow" else word)

        async def choose(*_: object) -> Choice:
            await trio.lowlevel.checkpoint()
            return choice(next_word())

        play.scene.choose = choose
        play.scene.screen = lambda _: Worded(next(said))
        play.scene.match_waiting, play.scene.fill = match, fill
        play.scene.judge = lambda _: verdict(next(said))
        play.scene.judge_waiting = judge_later
        await play.swap(graph_of(play, made))
        client = await play.client()
        for _ in range(2):
            answer = await client.talks(WORDS, headers=RED)
            assert not answer.cut
            assert answer.status in STATUSES
            assert (await play.record()).status == answer.status
        assert len(play.records) == 2
        failed = [verdict for record in play.records for _, verdict in record.guards if verdict == "failed"]
        play.trouble = len(failed) + len(failures)


@settings(max_examples=80)
@given(
    nodes(),
    st.lists(
        st.sampled_from(
            ["allow", "allow", "deny", "fail", "", *NAMES, "fine fine", "fine verbatim", "fine broken"]
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_every_request_is_answered(made: tuple[g.Node, ...], words: list[str]) -> None:
    trio.run(one_reply_each, made, words)
