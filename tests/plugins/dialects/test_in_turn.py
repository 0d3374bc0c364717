"""Tool calls that come by turns are told one after the other."""

import pytest

from archflow_plugins.dialects import in_turn
from archflow_plugins.dialects.in_turn import InTurn
from archflow_schema.conversation import Citation
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import (
    CitationFound,
    Finished,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReported,
)


def call(number, arguments="", **fields):
    return ToolCallDelta(index=number, block=number + 1, arguments=arguments, **fields)


BEGUN = [call(0, id="a", name="f"), call(1, id="b", name="g")]
END = [Stopped("tool_calls"), UsageReported(Usage(1, 2)), Finished()]


def ordered(*events, size=0):
    turn = InTurn()
    size = size or len(events)
    return [event for at in range(0, len(events), size) for event in turn.feed(events[at : at + size])]


@pytest.mark.parametrize("size", [0, 1])
def test_arguments_by_turns_come_call_by_call(size):
    rest = [call(1, '{"y"'), call(0, '{"x":'), call(1, ":2}"), call(0, "1}"), call(2, "{}", id="c", name="h")]
    assert ordered(Started(), TextDelta("t"), *BEGUN, *rest, *END, size=size) == [
        Started(),
        TextDelta("t"),
        BEGUN[0],
        call(0, '{"x":'),
        call(0, "1}"),
        BEGUN[1],
        call(1, '{"y"'),
        call(1, ":2}"),
        call(2, "{}", id="c", name="h"),
        *END,
    ]


def test_what_is_in_order_passes_as_it_came():
    events = [
        Started(),
        ReasoningDelta("h", 0),
        call(0, '{"x":1', id="a", name="f"),
        call(0, "}"),
        TextDelta("t", 2),
        call(2, "{}", id="c", name="h"),
        CitationFound(Citation(url="u"), 2),
        *END,
    ]
    turn = InTurn()
    assert [list(turn.feed([event])) for event in events] == [[event] for event in events]


def test_texts_alone_are_not_looked_at():
    events = [Started(), TextDelta("t"), Stopped("stop"), Finished()]
    assert InTurn().feed(events) is events


def test_blanks_after_a_call_are_left_out():
    first, second = call(0, "{}", id="a", name="f"), call(1, "{}", id="b", name="g")
    assert ordered(first, second, call(0, " "), *END) == [first, second, *END]


def test_choices_do_not_wait_for_each_other():
    first = call(0, "{", id="a", name="f")
    other = ToolCallDelta(index=0, block=0, choice=1, id="b", name="g", arguments="{")
    more = [call(0, "}"), ToolCallDelta(index=0, block=0, choice=1, arguments="}")]
    assert ordered(first, other, *more, *END) == [first, other, *more, *END]


def test_a_call_that_never_becomes_json_does_not_hide_the_others():
    first = call(0, "cut", id="a", name="f")
    assert ordered(first, BEGUN[1], call(1, "{}"), TextDelta("t", 3), Finished()) == [
        first, BEGUN[1], call(1, "{}"), TextDelta("t", 3), Finished()
    ]  # fmt: skip


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(in_turn, "WAITING_AT_MOST", 8)
    turn = InTurn()
    turn.feed(BEGUN)
    turn.feed([call(1, "12345678")])
    with pytest.raises(UpstreamProtocolError, match="larger than 8 characters"):
        turn.feed([call(1, "9")])
