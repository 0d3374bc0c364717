"""What a model's answer says: calls with arguments, a question, or that there is nothing to call.

Three forms are read: tool calls; an object with `calls`; and Arch-Function's JSON shapes, `tool_calls`,
`required_functions` with `clarification`, and `response`.

Source: the shapes are those that Arch 0.3.17 asks Arch-Function for.

Rule: an answer that cannot be read says nothing; fences, single quotes and missing closing brackets are forgiven.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from archflow_schema.reply import Reply

CALLS_AT_MOST = 16
_FENCE = re.compile(r"```(?:json)?\s*(.*?)(?:```|$)", re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}


class Call(Struct, frozen=True):
    """A call that a model asks for, with its arguments as it gave them."""

    target: str
    arguments: dict[str, Any]


class Said(Struct, frozen=True, kw_only=True):
    """What a model said.

    Attributes:
        calls: in order.
        question: what it wants to know from the user; empty if it asks nothing.
        about: the target that its question is about, as far as it told.
    """

    calls: tuple[Call, ...] = ()
    question: str = ""
    about: str = ""


def read(reply: Reply) -> Said:
    """What a reply says, in whichever form it came."""
    if reply.tool_calls:
        found = [_call(one.name, one.arguments) for one in reply.tool_calls]
        return Said(calls=tuple(one for one in found if one is not None)[:CALLS_AT_MOST])
    told = _object(reply.text)
    if told is None:
        text = reply.text.strip()
        return Said(question=text if text.endswith("?") and len(text) <= 2000 else "")
    calls = told.get("calls", told.get("tool_calls"))
    if isinstance(calls, list) and calls:
        found = [_listed(one) for one in calls if isinstance(one, dict)]
        return Said(calls=tuple(one for one in found if one is not None)[:CALLS_AT_MOST])
    question = told.get("clarification", told.get("question"))
    if isinstance(question, str) and question.strip():
        wanted = told.get("required_functions")
        first = wanted[0] if isinstance(wanted, list) and wanted and isinstance(wanted[0], str) else ""
        return Said(question=question.strip()[:2000], about=first)
    return Said()


def _listed(one: dict[str, Any]) -> Call | None:
    inner = one.get("function")
    told = inner if isinstance(inner, dict) else one
    name = told.get("name", told.get("target"))
    return _call(name, told.get("arguments", told.get("parameters", told.get("values"))))


def _call(name: object, arguments: object) -> Call | None:
    """A call; arguments may be an object or its JSON text."""
    if isinstance(arguments, str):
        arguments = _object(arguments) if arguments.strip() else {}
    if not isinstance(name, str) or not isinstance(arguments, dict | None):
        return None
    return Call(name, arguments or {})


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object in a text; None if there is none."""
    fenced = _FENCE.search(text)
    bare = (fenced[1] if fenced else text).strip()
    start = bare.find("{")
    if start < 0:
        return None
    bare = bare[start:]
    for form in (bare, _closed(bare), _closed(bare.replace("'", '"'))):
        try:
            found = msgspec.json.decode(form)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _closed(text: str) -> str:
    """A text up to the end of its first object, with the brackets that it lacks."""
    open_: list[str] = []
    quoted = escaped = False
    for at, one in enumerate(text):
        if escaped:
            escaped = False
        elif one == "\\":
            escaped = quoted
        elif one == '"':
            quoted = not quoted
        elif not quoted and one in _CLOSING:
            open_.append(_CLOSING[one])
        elif not quoted and open_ and one == open_[-1]:
            open_.pop()
            if not open_:
                return text[: at + 1]
    return text + '"' * quoted + "".join(reversed(open_))
