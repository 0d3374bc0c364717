"""Tools of the Responses API: functions, custom tools, namespaces of both, and the tools that are OpenAI's own.

Source: OpenAI's API reference ("Function calling", "Tools") and its Python client 3.57; what Codex 0.169 sends, seen on
the wire, 2026-11.

No other dialect has namespaces, so `namespace` and `name` become one flat name, and a call to it is told to the client
with both again. Two tools of OpenAI's own are run by the client (`local_shell`, and `tool_search` where its `execution`
is `client`): elsewhere they are functions. The others are run by OpenAI, and are no functions to anybody else.

Invariant: `Calls` knows every tool that the request offers, so what was flattened is found again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal, get_args

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, part, schema_of
from archflow_schema.conversation import Tool, ToolChoice
from archflow_schema.errors import ClientProtocolError

NAME_AT_MOST = 64
"""How long the name of a function may be, with OpenAI and others."""
LOCAL_SHELL: Final = "local_shell"
TOOL_SEARCH: Final = "tool_search"
_NULL = Raw(b"null")
_LOCAL_SHELL = Tool(
    name=LOCAL_SHELL,
    description="Runs a command on the user's machine.",
    parameters=Raw(
        b'{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},"description":'
        b'"The program and its arguments."},"working_directory":{"type":"string"},"timeout_ms":{"type":"integer"},'
        b'"env":{"type":"object","additionalProperties":{"type":"string"}},"user":{"type":"string"}},'
        b'"required":["command"]}'
    ),
)

Form = Literal["function", "custom", "local_shell", "tool_search"]
Mode = Literal["auto", "none", "required"]


class Called(Struct, frozen=True):
    """How a call to a tool is written in this dialect."""

    form: Form
    name: str
    namespace: str = ""


class Offered(Struct):
    """What a request offers. Mutable: it grows while the lists are read.

    Attributes:
        tools: those that any model can call.
        others: those that are OpenAI's own, as they came.
        calls: flat name -> how a call is written, for all that are no plain functions.
    """

    tools: list[Tool]
    others: list[Raw]
    calls: dict[str, Called]


class _Tool(Struct):
    type: str = "function"
    name: str | None = None
    description: str | None = None
    parameters: Raw = _NULL
    strict: bool | None = None
    format: Raw = _NULL
    tools: list[_Tool] | None = None
    execution: str | None = None


class _Type(Struct):
    type: str = "function"


class _Nested(Struct):
    name: str = ""


class _Choice(Struct):
    type: str = ""
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[_Choice] | None = None
    function: _Nested | None = None
    """The form of chat completions, which some clients send here too."""


_decode_tools = msgspec.json.Decoder(list[_Tool] | None).decode
_decode_raws = msgspec.json.Decoder(list[Raw] | None).decode
_decode_tool = msgspec.json.Decoder(_Tool).decode
_decode_type = msgspec.json.Decoder(_Type).decode
_FUNCTIONS = frozenset({"function", "custom"})
_MODES = {mode: ToolChoice(mode) for mode in get_args(Mode)}
_CALLABLE = frozenset({"function", "custom", "namespace", TOOL_SEARCH})
_decode_choice = msgspec.json.Decoder(str | _Choice | None).decode


def flat(namespace: str, name: str) -> str:
    """One name for a tool in a namespace; the end of one that is too long gives way to its digest."""
    if not namespace:
        return name
    joined = namespace + name if namespace.endswith("__") else f"{namespace}__{name}"
    if len(joined) <= NAME_AT_MOST:
        return joined
    digest = hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{joined[: NAME_AT_MOST - 9]}_{digest}"


def offered(lists: Iterable[tuple[Raw, str]]) -> Offered:
    """What lists of tools offer; each comes with its place for the error text.

    Raises:
        ClientProtocolError: one is not a list of tools.
    """
    found = Offered([], [], {})
    for raw, where in lists:
        raws: list[Raw] | None = None
        for index, tool in enumerate(_typed(raw, where)):
            if not _add(found, tool, where, index, ""):
                raws = _decode_raws(raw) if raws is None else raws
                assert raws is not None  # noqa: S101 - it was a list a moment ago
                found.others.append(raws[index])
    return found


def _typed(raw: Raw, where: str) -> list[_Tool]:
    """The tools of a list. One of OpenAI's own may have fields of our names with other types: then it is only named."""
    try:
        return _decode_tools(raw) or []
    except BAD_JSON:
        pass
    tools: list[_Tool] = []
    for index, one in enumerate(part(_decode_raws, raw, f"`{where}`") or ()):
        kind = part(_decode_type, one, f"`{where}[{index}]`").type
        tools.append(
            part(_decode_tool, one, f"`{where}[{index}]`") if kind in _CALLABLE else _Tool(type=kind)
        )
    return tools


def _add(found: Offered, tool: _Tool, where: str, index: int, namespace: str) -> bool:
    """Add a tool that any model can call; False for one that is OpenAI's own."""
    kind = tool.type
    if kind in _FUNCTIONS:
        if not tool.name:
            raise ClientProtocolError(f"`{where}[{index}]` has no name")
        custom = kind == "custom"
        name = flat(namespace, tool.name)
        if custom or namespace:
            found.calls[name] = Called("custom" if custom else "function", tool.name, namespace)
        else:
            found.calls.pop(name, None)
        found.tools.append(
            Tool(
                name=name,
                description=tool.description or "",
                parameters=schema_of(tool.parameters),
                strict=tool.strict,
                custom=custom,
                grammar=tool.format,
            )
        )
        return True
    if kind == "namespace" and not namespace:
        for place, inner in enumerate(tool.tools or ()):
            _add(found, inner, f"{where}[{index}].tools", place, tool.name or "")
        return True
    if kind == LOCAL_SHELL:
        found.calls[LOCAL_SHELL] = Called(LOCAL_SHELL, LOCAL_SHELL)
        found.tools.append(_LOCAL_SHELL)
        return True
    if kind == TOOL_SEARCH and tool.execution == "client":
        found.calls[TOOL_SEARCH] = Called(TOOL_SEARCH, TOOL_SEARCH)
        found.tools.append(
            Tool(
                name=TOOL_SEARCH,
                description=tool.description or "",
                parameters=schema_of(tool.parameters),
            )
        )
        return True
    return False


def choice(raw: Raw) -> ToolChoice | Raw | None:
    """What a `tool_choice` says; as it came where it asks for a tool of OpenAI's own.

    Raises:
        ClientProtocolError: it is of another type.
    """
    try:
        said = _decode_choice(raw)
    except BAD_JSON as error:
        raise ClientProtocolError(f"`tool_choice` is not understood: {error}") from error
    if said is None:
        return None
    if isinstance(said, str):
        if said in _MODES:
            return _MODES[said]
        raise ClientProtocolError("`tool_choice` must be auto, none, required, or an object")
    if said.type in _FUNCTIONS:
        return ToolChoice("named", _named(said))
    if said.type != "allowed_tools":
        return raw
    allowed = tuple(_named(one) for one in said.tools or () if one.type in _FUNCTIONS)
    if allowed:
        return ToolChoice("required" if said.mode == "required" else "auto", allowed=allowed)
    return raw if said.mode == "required" else ToolChoice("none")


def _named(said: _Choice) -> str:
    name = said.name or (said.function and said.function.name) or ""
    if not name:
        raise ClientProtocolError("`tool_choice` names no tool")
    return flat(said.namespace or "", name)
