"""The line between supervisor and worker."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from archflow_engine.control import Answer, AskNumbers, Line, Numbers, Refused, Serving, Swap
from peers import PATIENCE

pytestmark = pytest.mark.trio


async def lines() -> tuple[Line, Line]:
    one, two = trio.socket.socketpair()
    return Line(trio.SocketStream(one)), Line(trio.SocketStream(two))


async def test_both_sides_say_what_they_mean() -> None:
    supervisor, worker = await lines()
    large = Numbers({"a": {"x\0y": 1.5, "": 2.0}}, {"b": {str(n): [float(n)] * 20 for n in range(2000)}})
    said: list[Answer] = [Serving("digest"), Refused("no\nwith a line break"), large]
    async with trio.open_nursery() as nursery:

        async def say() -> None:
            for message in said:
                await worker.send(message)
            for question in (AskNumbers(), Swap("/a b")):
                await supervisor.send(question)

        nursery.start_soon(say)
        with trio.fail_after(PATIENCE):
            assert [await supervisor.answer() for _ in said] == said
            assert [await worker.question() for _ in range(2)] == [AskNumbers(), Swap("/a b")]
    await supervisor.close()
    await worker.close()


async def test_messages_may_come_in_pieces_and_together() -> None:
    one, two = trio.socket.socketpair()
    worker = Line(trio.SocketStream(two))
    sent = b'{"type":"swap","path":"a"}\n{"type":"ask_numbers"}\n{"type":"swap","path":"b"}\n'
    for at in range(30):
        await one.send(sent[at : at + 1])
    await one.send(sent[30:])
    with trio.fail_after(PATIENCE):
        assert [await worker.question() for _ in range(3)] == [Swap("a"), AskNumbers(), Swap("b")]
    one.close()
    await worker.close()


async def test_the_other_end_may_be_gone() -> None:
    supervisor, worker = await lines()
    await worker.close()
    assert await supervisor.answer() is None
    with pytest.raises(trio.BrokenResourceError):
        await supervisor.send(AskNumbers())
    await supervisor.close()
    assert await supervisor.answer() is None
