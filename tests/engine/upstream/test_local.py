"""Providers in this process are upstreams like any other: heads, bytes, ends, failures, back-pressure, cancellation."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from archflow_engine.hub import Hub
from archflow_engine.upstream.call import Call, CallHead
from archflow_engine.upstream.local import Asked, LocalPool
from archflow_plugins.kinds import Provider, ProviderConfig
from archflow_plugins.testing import run_context
from archflow_schema.errors import ArchflowError, UpstreamProtocolError, UpstreamTimeout

pytestmark = pytest.mark.trio


class Sink:
    def __init__(self):
        self.heard = []
        self.address = ""
        self.over = trio.Event()

    def sent(self, address, *, reused):
        self.address = address

    def reply(self, head, data, end):
        self.heard.append((head, data, end))
        if end:
            self.over.set()

    def failed(self, error):
        self.heard.append(error)
        self.over.set()

    @property
    def body(self):
        return b"".join(one[1] for one in self.heard)


class InProcess(Provider):
    kind = "provider.in_process"
    in_process = True

    async def answer(self, dialect, model, body, reply):
        await self.settings(dialect, model, body, reply)


@asynccontextmanager
async def asking(answer, target=b"/a_dialect/a%20model%2Fb", troubles=0):
    found = []
    hub = Hub(found.append)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(hub.run)
            pool = LocalPool(hub, "local/tiny", InProcess(answer, run_context()))
            sink = Sink()
            call = Call(CallHead.of(target, b"", []), "", b"question", sink)
            pool.send(call)
            yield pool, call, sink
            nursery.cancel_scope.cancel()
    assert len(found) == troubles


async def test_a_whole_answer_is_told_at_once():
    async def answer(dialect, model, body, reply):
        assert (dialect, model, body) == ("a_dialect", "a model/b", b"question")
        reply.head(200, "application/json", length=2, headers=(("retry-after", "3"),))
        await reply.send(b"{}")

    async with asking(answer) as (pool, call, sink):
        await sink.over.wait()
        ((head, data, end),) = sink.heard
        assert (head.status, head.length, data, end) == (200, 2, b"{}", True)
        assert head.headers == [(b"content-type", b"application/json"), (b"retry-after", b"3")]
        assert head.content_type == b"application/json"
        assert sink.address == "in process"
        await trio.testing.wait_all_tasks_blocked()
        assert pool.connections == (0, 0)
        assert call.carrier is None


async def test_a_stream_comes_as_it_is_written():
    async def answer(dialect, model, body, reply):
        reply.head(200, "text/event-stream")
        for part in (b"a", b"b"):
            await reply.send(part)

    async with asking(answer) as (_, _, sink):
        await sink.over.wait()
        assert [(head is not None, data, end) for head, data, end in sink.heard] == [
            (True, b"a", False), (False, b"b", False), (False, b"", True),
        ]  # fmt: skip


async def test_a_head_without_a_body():
    async def answer(dialect, model, body, reply):
        reply.head(204, "text/plain")

    async with asking(answer) as (_, _, sink):
        await sink.over.wait()
        assert sink.heard[0][0].status == 204
        assert sink.heard[0][2]


async def test_the_query_is_not_part_of_the_model():
    async def answer(dialect, model, body, reply):
        assert model == "m"
        reply.head(200, "text/plain", length=0)
        await reply.send(b"")

    async with asking(answer, target=b"/d/m?beta=true") as (_, _, sink):
        await sink.over.wait()
        assert sink.heard[0][2]


@pytest.mark.parametrize(
    ("raised", "kind", "says", "troubles"),
    [
        (UpstreamTimeout("too slow"), UpstreamTimeout, "too slow", 0),
        (ArchflowError("the model is gone"), UpstreamProtocolError, "the model is gone", 0),
        (ZeroDivisionError("oops"), UpstreamProtocolError, "local/tiny failed: the log says why", 1),
    ],
)
async def test_what_it_raises_is_an_upstream_failure(raised, kind, says, troubles):
    async def answer(dialect, model, body, reply):
        raise raised

    async with asking(answer, troubles=troubles) as (_, _, sink):
        await sink.over.wait()
        (error,) = sink.heard
        assert type(error) is kind
        assert str(error) == says


async def test_an_answer_without_a_head_is_a_failure():
    async def answer(dialect, model, body, reply):
        await trio.lowlevel.checkpoint()

    async with asking(answer) as (_, _, sink):
        await sink.over.wait()
        assert "said nothing" in str(sink.heard[0])


async def test_who_leaves_cancels_it():
    cancelled = trio.Event()

    async def answer(dialect, model, body, reply):
        reply.head(200, "text/plain")
        try:
            await reply.send(b"a")
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with asking(answer) as (pool, call, sink):
        await trio.testing.wait_all_tasks_blocked()
        call.cancel()
        await cancelled.wait()
        assert sink.body == b"a"
        assert pool.connections == (0, 0)
        assert not sink.over.is_set()


async def test_who_left_before_it_began_hears_nothing():
    async def answer(dialect, model, body, reply):
        await trio.lowlevel.checkpoint()
        raise AssertionError("it was cancelled")

    async with asking(answer) as (_, call, sink):
        call.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert sink.heard == []


async def test_a_slow_client_holds_it_up():
    async def answer(dialect, model, body, reply):
        reply.head(200, "text/plain")
        for part in (b"a", b"b", b"c"):
            await reply.send(part)

    async with asking(answer) as (_, call, sink):
        call.pause()
        await trio.testing.wait_all_tasks_blocked()
        assert sink.heard == []
        call.resume()
        await sink.over.wait()
        assert sink.body == b"abc"


async def test_closing_the_pool_ends_what_is_under_way():
    async def answer(dialect, model, body, reply):
        await trio.sleep_forever()

    async with asking(answer) as (pool, _, sink):
        assert pool.connections == (1, 0)
        pool.close()
        assert pool.connections == (0, 0)
        await trio.testing.wait_all_tasks_blocked()
        assert sink.heard == []


async def test_how_it_is_asked():
    provider = InProcess(ProviderConfig(name="a", vendor="b"), run_context())
    asked = Asked(provider)
    assert asked.request("d", "a/b c", stream=False).path == "/d/a%2Fb%20c"
    assert asked.credentials("d", "key") == ()
