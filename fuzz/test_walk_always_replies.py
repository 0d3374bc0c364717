"""Invariant: whatever sound graph runs, every request gets exactly one reply, and one record tells of it.

Graphs are random: guards that allow, deny and fail, at once or later; quotas that are used up; routes that know the
model or do not; upstreams that answer, refuse, break off or speak another dialect, with any node behind each failure.
"""

from __future__ import annotations

from typing import Any

import msgspec
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins import ALLOW, Choice, Verdict
from archflow_schema import graph as g
from archflow_schema.conversation import Conversation
from peers import Asked, Upstream, reply
from playbook import RED, WORDS, Play, playing

GUARDS = ("guard.play", "guard.play_waiting")
STORES = ("store.memory", "store.play_far")
STATUSES = {200, 400, 404, 418, 429, 502}


@st.composite
def nodes(draw: st.DrawFn) -> tuple[g.Node, ...]:
    """Nodes whose edges lead to earlier ones only, so that they form no cycle; the last is the entry."""
    made: list[g.Node] = [g.Reply("says no", 418, "teapot"), g.Reply("says yes", 200, "", ("yes",))]

    def edge(outcome: str) -> g.Edge:
        return g.Edge(outcome, draw(st.integers(0, len(made) - 1)))

    for number in range(draw(st.integers(1, 8))):
        name = f"node-{number}"
        match draw(
            st.sampled_from(["reply", "guard", "limit", "route", "choose", "next", "dispatch", "dispatch"])
        ):
            case "reply":
                made.append(g.Reply(name, 404, "model_not_found"))
            case "guard":
                wired = tuple(map(edge, ("allow", "deny", "failed")))
                made.append(g.Guard(name, g.Use(draw(st.sampled_from(GUARDS))), wired))
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
    found = msgspec.structs.replace(
        graph,
        nodes=made,
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


async def one_reply_each(made: tuple[g.Node, ...], words: list[str]) -> None:
    fine, broken, absent = Upstream(), Upstream(), Upstream()
    fine.script = lambda _: reply({"fine": True})

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

        async def choose(*_: object) -> Choice:
            await trio.lowlevel.checkpoint()
            return choice(next(said))

        play.scene.choose = choose
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
        failed += [
            one.reason for record in play.records for one in record.decisions if one.reason == "failed"
        ]
        play.trouble = len(failed)


@settings(max_examples=40)
@given(nodes(), st.lists(st.sampled_from(["allow", "allow", "deny", "fail"]), min_size=1, max_size=5))
def test_every_request_is_answered(made: tuple[g.Node, ...], words: list[str]) -> None:
    trio.run(one_reply_each, made, words)
