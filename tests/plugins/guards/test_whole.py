"""What is judged when it is whole, and what the arguments of a call say."""

import trio

from archflow_plugins.guards.whole import Whole, readable
from archflow_plugins.verdict import ALLOW, Passed, Verdict


def test_nothing_leaves_before_the_end():
    judged = []

    async def judge(text):
        judged.append(text)
        return ALLOW if text != "no" else Verdict(allow=False, message="not that")

    async def feed():
        screen = Whole(judge)
        assert screen.feed_nowait("Good ", end=False) == ()
        assert screen.feed_nowait("day", end=True) is None
        assert await screen.feed("day", end=True) == (Passed(8),)
        assert await Whole(judge).feed("", end=True) == ()
        assert await Whole(judge).feed("no", end=True) == Verdict(allow=False, message="not that")

    trio.run(feed)
    assert judged == ["Good day", "", "no"]


def test_what_is_written_by_numbers_is_read_all_the_same():
    assert readable('{"a": "b"}') == '{"a": "b"}'
    arguments = '{"a": ["\\u0062omb"], "\\u0063": 1}'
    assert set(readable(arguments).split("\n")) == {arguments, "bomb", "a", "c"}
    assert readable("free \\ text") == "free \\ text"
    cut = '{"a": "\\u0062omb'
    assert readable(cut) == f'{cut}\n{{"a": "bomb'
    assert readable('"\\' + "[" * 100_000) == '"\\' + "[" * 100_000
