"""What the events of a reply add up to."""

from archflow_schema.conversation import ToolCallPart
from archflow_schema.events import (
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReported,
)
from archflow_schema.reply import Reply, fold


def test_deltas_add_up():
    usage = Usage(input_tokens=3, output_tokens=4)
    events = [
        Started(id="1", model="m"),
        ReasoningDelta("hm", block=0),
        TextDelta("Hel", block=1),
        TextDelta("other", block=0, choice=1),
        TextDelta("lo", block=1),
        ToolCallDelta(index=1, block=3, id="b", name="g", arguments="{}"),
        ToolCallDelta(index=0, block=2, id="a", name="f", arguments='{"x":'),
        ToolCallDelta(index=0, block=2, arguments="1}"),
        Stopped("tool_calls"),
        Stopped("length", choice=1),
        UsageReported(usage),
        Finished(),
    ]
    assert fold(events) == Reply(
        text="Hello",
        reasoning="hm",
        tool_calls=(ToolCallPart("a", "f", '{"x":1}'), ToolCallPart("b", "g", "{}")),
        stop="tool_calls",
        usage=usage,
        model="m",
    )


def test_a_reply_that_failed():
    assert fold([TextDelta("a"), Failed("overloaded", "try later")]).failed == "try later"
