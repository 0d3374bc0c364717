"""A whole reply, dialect-free: what the events of one add up to.

Rule: only the first choice counts; who asked for several wants them as events.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from archflow_schema.conversation import ToolCallPart
from archflow_schema.events import (
    Event,
    Failed,
    ReasoningDelta,
    RefusalDelta,
    Started,
    Stopped,
    StopReason,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReported,
)


class Reply(Struct, frozen=True, kw_only=True):
    """One reply.

    Attributes:
        text: the answer; a refusal's words are part of it.
        reasoning: what was thought, as far as it was shown.
        tool_calls: the tools that were asked for, in order.
        stop: why it ended.
        usage: what was counted; None if nothing was told.
        model: who answered, in the upstream's words.
        failed: why the upstream gave up; empty if it did not.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallPart, ...] = ()
    stop: StopReason = "stop"
    usage: Usage | None = None
    model: str = ""
    failed: str = ""


def fold(events: Iterable[Event]) -> Reply:
    """What events add up to."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: dict[int, list[ToolCallDelta]] = {}
    stop: StopReason = "stop"
    usage: Usage | None = None
    model = failed = ""
    for event in events:
        if getattr(event, "choice", 0):
            continue
        match event:
            case TextDelta() | RefusalDelta():
                texts.append(event.text)
            case ReasoningDelta():
                thoughts.append(event.text)
            case ToolCallDelta():
                calls.setdefault(event.index, []).append(event)
            case Stopped():
                stop = event.reason
            case UsageReported():
                usage = event.usage
            case Started():
                model = event.model
            case Failed():
                failed = event.message
            case _:
                pass
    return Reply(
        text="".join(texts),
        reasoning="".join(thoughts),
        tool_calls=tuple(_call(deltas) for _, deltas in sorted(calls.items())),
        stop=stop,
        usage=usage,
        model=model,
        failed=failed,
    )


def _call(deltas: list[ToolCallDelta]) -> ToolCallPart:
    return ToolCallPart(
        id=next((delta.id for delta in deltas if delta.id), ""),
        name=next((delta.name for delta in deltas if delta.name), ""),
        arguments="".join(delta.arguments for delta in deltas),
        custom=any(delta.custom for delta in deltas),
    )
