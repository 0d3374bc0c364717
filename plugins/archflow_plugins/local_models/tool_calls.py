"""Tools in a conversation: how a model is told of them, what a call must be, and calls read back as they are written.

A model writes calls in the form that it was trained on. From the mark of a call on, a grammar holds what it writes: the
name is one of the tools', the arguments are valid against that tool's schema.

::

    <tool_call>                                            the mark; what comes behind it is held
    {"name": "get_weather", "arguments": {"city": "Oslo"}}
    </tool_call>

Rule: knows tools, grammars and text, not wire formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from archflow_plugins.local_models import constrain
from archflow_plugins.local_models import grammar as g
from archflow_plugins.local_models.chat_template import ToolFrame
from archflow_plugins.local_models.constrain import Rule
from archflow_plugins.local_models.json_schema import SIZE_AT_MOST, BadSchema, compile_part
from archflow_plugins.local_models.tokens import Vocabulary
from archflow_schema.conversation import Tool, ToolCallPart

TOOLS_AT_MOST = 128
CALLS_AT_MOST = 8
"""Calls of one answer: a small model that has begun to repeat itself would not end."""


class Calls(Struct, frozen=True, kw_only=True):
    """The calls that an answer may hold.

    Attributes:
        mark: begins them.
        rule: holds what follows the mark.
        anywhere: whether words may stand before; else the whole answer is calls or none of it.
        required: the answer is calls, so the mark stands already.
    """

    mark: bytes
    rule: Rule
    anywhere: bool
    required: bool


class CallDelta(Struct, frozen=True):
    """More of a call. `name` is told with its first delta and only then."""

    index: int
    name: str
    arguments: str


class BadTool(ValueError):
    """A tool whose calls cannot be held to its schema; `index` tells which."""

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index = index


def told(frame: ToolFrame, tools: Sequence[Tool]) -> str:
    """What the system turn says of the tools, behind its own words."""
    lines = [
        _spaced({
            "type": "function",
            "function": {"name": one.name, "description": one.description, "parameters": _schema(one)},
        })
        for one in tools
    ]  # fmt: skip
    return frame.before + "\n".join(lines) + frame.after


def written(frame: ToolFrame, calls: Sequence[ToolCallPart]) -> str:
    """Calls of an earlier turn, as the model would have written them."""
    before, after = frame.call
    return "\n".join(
        f"{before}{_head(frame, call.name)}{call.arguments.strip() or '{}'}}}{after}" for call in calls
    )


def calls(
    frame: ToolFrame, tools: Sequence[Tool], words: Vocabulary, *, required: bool, most: int = CALLS_AT_MOST
) -> Calls:
    """What calls of some tools must be. Blocks: for milliseconds, so it belongs in a thread.

    Args:
        frame: of the model's template.
        tools: those that may be called.
        words: the model's vocabulary.
        required: there must be a call.
        most: how many calls an answer may hold.

    Raises:
        BadTool: a tool's schema asks for something that cannot be held to.
    """
    if sum(len(bytes(one.parameters)) for one in tools) > SIZE_AT_MOST:
        raise BadTool(0, f"the schemas of all tools are larger than {SIZE_AT_MOST // 1024} KiB together")
    key = repr((frame, [(one.name, bytes(one.parameters)) for one in tools], most)).encode()
    rule = constrain.remembered(key, words, lambda: _grammar(frame, tools, words, most))
    return Calls(mark=_mark(frame).encode(), rule=rule, anywhere=frame.anywhere, required=required)


class CallReader:
    """Reads calls as they are written, behind their mark."""

    def __init__(self, frame: ToolFrame) -> None:
        self._middle = _member(frame)
        self._index = -1
        self._read = self._until_name
        self._held = ""
        self._depth = 0
        self._quoted = self._escaped = False
        self.read(_mark(frame))

    def read(self, text: str) -> list[CallDelta]:
        """What more text adds to which call."""
        self._held += text
        found: list[CallDelta] = []
        while (one := self._read()) is not None:
            found += one
        return found

    def _until_name(self) -> list[CallDelta] | None:
        at = self._held.find(_NAME)
        if at < 0:
            return None
        self._held = self._held[at + len(_NAME) :]
        self._read = self._name
        return []

    def _name(self) -> list[CallDelta] | None:
        at = self._held.find(self._middle)
        if at < 0:
            return None
        name = msgspec.json.decode(self._held[:at].encode(), type=str)
        self._held = self._held[at + len(self._middle) :]
        self._index += 1
        self._depth = 0
        self._read = self._arguments
        return [CallDelta(self._index, name, "")]

    def _arguments(self) -> list[CallDelta] | None:
        if not self._held:
            return None
        for at, character in enumerate(self._held):
            if self._step(character):
                done, self._held = self._held[: at + 1], self._held[at + 1 :]
                self._read = self._until_name
                return [CallDelta(self._index, "", done)]
        done, self._held = self._held, ""
        return [CallDelta(self._index, "", done)]

    def _step(self, character: str) -> bool:
        """Whether the arguments, which are an object, end with a character."""
        if self._quoted:
            if self._escaped:
                self._escaped = False
            elif character == "\\":
                self._escaped = True
            elif character == '"':
                self._quoted = False
        elif character == '"':
            self._quoted = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            return not self._depth
        return False


_NAME = '{"name": '


def _member(frame: ToolFrame) -> str:
    return f', "{frame.arguments}": '


def _head(frame: ToolFrame, name: str) -> str:
    """A call up to its arguments."""
    return f"{_NAME}{msgspec.json.encode(name).decode()}{_member(frame)}"


def _mark(frame: ToolFrame) -> str:
    """What tells that a call begins."""
    return frame.call[0].strip() or f'{_NAME}"'


def _schema(tool: Tool) -> dict[str, Any]:
    """The schema of a tool's arguments, which are an object, and an empty one where it says nothing."""
    found = msgspec.json.decode(tool.parameters) if bytes(tool.parameters).strip() else None
    if found in (None, True, {}):
        found = {"type": "object", "properties": {}}
    if not isinstance(found, dict):
        raise BadSchema("the parameters must be a schema of an object")
    if found.get("type") == "object" and not found.get("properties") and not found.get("required"):
        return {**found, "additionalProperties": False}
    return found


def _grammar(frame: ToolFrame, tools: Sequence[Tool], words: Vocabulary, most: int) -> Rule:
    before, after = frame.call
    mark = _mark(frame)
    behind = max(0, len(mark) - len(before))
    items: list[g.Part] = []
    for index, tool in enumerate(tools):
        try:
            arguments = compile_part(_schema(tool), constrain.leads(words))
        except ValueError as error:
            raise BadTool(index, str(error)) from error
        head = _head(frame, tool.name).encode()[behind:]
        if not _object(arguments):
            raise BadTool(index, "the parameters must be a schema of an object")
        items.append(g.Sequence(g.Text(head), arguments, g.Text(b"}")))
    if after:
        between = g.Text(f"{after}\n{before}".encode())
        root: g.Part = g.Repeat(
            before[len(mark) :].encode(), g.Either(items), between, after.encode(), 1, most
        )
    else:
        root = g.Either(items)
    return Rule(g.Grammar(root), words)


def _object(part: g.Part) -> bool:
    """Whether every text of a part is an object."""
    return g.Grammar(part).first.allowed == 1 << ord("{")


def _spaced(value: Any) -> str:
    """JSON as Python's own library writes it, which is how models saw it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
