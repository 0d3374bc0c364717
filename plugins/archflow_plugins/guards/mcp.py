"""The guard that asks a tool of an MCP server, over the streamable HTTP transport that filters use.

The tool gets `body`, a conversation in the form of chat completions, and `path`. An error denies, with the tool's own
words, and so does a result with `"allow": false` and perhaps a `message` and a `score`; any other result allows.

Rule: what is no answer of the tool, such as an error of the protocol, is a guard that could not judge.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.filters.mcp import Mcp, McpFilter
from archflow_plugins.guards.asked import PATH, Refusal, ServiceGuard
from archflow_schema.errors import FilterRefused, UpstreamProtocolError
from archflow_schema.text import Text


class McpConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the guard that asks a tool.

    Attributes:
        url: where the server answers; may name the environment.
        tool: the name of the tool that is called.
        timeout: seconds that one answer may take; after that the guard has failed.
        message: what the client is told instead of the tool's words.
    """

    url: str
    tool: str
    timeout: float = 5.0
    message: str = ""


class Compiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of it."""

    url: Text
    tool: str
    timeout: float
    message: str


class _Told(Struct):
    """What a tool says, as far as it is of interest."""

    allow: bool = True
    message: str = ""
    score: float = 1.0


_object = msgspec.json.Decoder(dict[str, Raw]).decode
_told = msgspec.json.Decoder(_Told).decode


class McpGuard(ServiceGuard):
    """Denies what a tool refuses."""

    kind = "guard.mcp"
    config = McpConfig
    compiled: ClassVar[type[Struct] | None] = Compiled

    @classmethod
    def compile(cls, config: McpConfig, ctx: CompileContext) -> Compiled:
        if config.timeout <= 0:
            ctx.error("invalid-timeout", "a timeout must be above 0 seconds", "timeout")
        return Compiled(
            url=ctx.text(config.url, "url"), tool=config.tool, timeout=config.timeout, message=config.message
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._tool = McpFilter(Mcp(url=compiled.url, timeout=compiled.timeout, tool=compiled.tool), ctx)

    async def refusal(self, body: bytes) -> Refusal | None:
        try:
            told = _read(await self._tool.request(PATH, body))
        except FilterRefused as refused:
            if not 400 <= refused.status < 500:
                raise UpstreamProtocolError(
                    f"the MCP server of {self.ctx.name} answered with status {refused.status}"
                ) from refused
            return Refusal(refused.said)
        return None if told.allow else Refusal(told.message, min(1.0, max(0.0, told.score)))


def _read(result: bytes) -> _Told:
    """What a result says; one that says nothing of `allow` allows.

    Raises:
        UpstreamProtocolError: it says something of it that is no answer.
    """
    try:
        if "allow" not in _object(result):
            return _Told()
    except (msgspec.DecodeError, RecursionError):
        return _Told()
    try:
        return _told(result)
    except msgspec.ValidationError as error:
        raise UpstreamProtocolError("the tool's `allow` is neither true nor false") from error
