"""A tool of an MCP server as a filter, over the streamable HTTP transport.

A session is opened with the first call and kept for all others, until the server no longer knows it. The tool gets
`body` and `path`; what it answers goes on in the body's place: `result` of its structured content, or else its text.
The body is a JSON value, or, of a streamed reply, the text of its events.

Source: Model Context Protocol 2024-11-05, and 2025-03-26 for streamable HTTP.

Rule: an answer is one JSON value or a stream of events; of a stream only the answer to our own request is looked at.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.contexts import Answered, CompileContext, RunContext
from archflow_plugins.filters.asking import ServiceFilter
from archflow_plugins.framing.sse import Splitter
from archflow_plugins.urls import behind
from archflow_schema.errors import FilterRefused, UpstreamProtocolError
from archflow_schema.text import Text

PATH = "/mcp"
VERSION = "2024-11-05"
SESSION = "mcp-session-id"
GONE = 404
"""What a server answers whose session ended, by the protocol."""
_ACCEPT = (("accept", "application/json, text/event-stream"),)


class McpConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of an MCP filter.

    Attributes:
        url: where the server answers.
        tool: the name of the tool that is called.
        timeout: seconds that one answer may take.
    """

    url: str
    tool: str
    timeout: float = 30.0


class Mcp(Struct, frozen=True, kw_only=True):
    """What the graph stores."""

    url: Text
    timeout: float
    tool: str


class _Problem(Struct):
    message: str = ""


class _Content(Struct):
    text: str = ""


class _Result(Struct, rename="camel"):
    content: list[_Content] = []
    structured_content: dict[str, Raw] | None = None
    is_error: bool = False


class _Answer(Struct):
    id: str | int | None = None
    result: Raw = Raw()
    error: _Problem | None = None


_answer = msgspec.json.Decoder(_Answer).decode
_result = msgspec.json.Decoder(_Result).decode
_any = msgspec.json.Decoder().decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class McpFilter(ServiceFilter):
    """Calls a tool of an MCP server."""

    kind = "filter.mcp"
    sides = ("input", "output")
    config = McpConfig
    compiled = Mcp

    @classmethod
    def compile(cls, config: Any, ctx: CompileContext) -> Struct:
        return Mcp(url=ctx.text(config.url, "url"), timeout=config.timeout, tool=config.tool)

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._url = behind(self.url, PATH)
        self._session: str | None = None
        self._ids = itertools.count(1)

    async def request(self, path: str, body: bytes) -> bytes:
        return await self._through(path, Raw(body))

    async def reply(self, path: str, body: bytes, *, stream: bool) -> bytes:
        return await self._through(path, body.decode("utf-8", "replace") if stream else _value(body))

    async def _through(self, path: str, body: object) -> bytes:
        arguments = {"body": body, "path": path}
        params = {"name": self.settings.tool, "arguments": arguments}
        known = self._session
        result = await self._call(params)
        if result is None and known is not None:  # the server began anew since
            if self._session == known:
                self._session = None
            result = await self._call(params)
        if result is None:
            raise UpstreamProtocolError(f"the MCP server of '{self.ctx.name}' does not know its own session")
        return self._told(result)

    async def _call(self, params: dict[str, Any]) -> Raw | None:
        """The result of the tool; None if the server does not know the session."""
        session = self._session
        if session is None:
            session = self._session = await self._open()
        answered, call = await self._ask("tools/call", params, session)
        if answered.status == GONE and session:
            return None
        return self._read(answered, call)

    async def _open(self) -> str:
        """Begin a session; its id, empty for a server that has none."""
        params = {
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": {"name": "archflow", "version": "1"},
        }
        answered, call = await self._ask("initialize", params, "")
        self._read(answered, call)
        session = dict(answered.headers).get(SESSION, "")
        note = _encode({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await self.asked(self._url, note, self._headers(session))
        return session

    async def _ask(self, method: str, params: dict[str, Any], session: str) -> tuple[Answered, int]:
        call = next(self._ids)
        body = _encode({"jsonrpc": "2.0", "id": call, "method": method, "params": params})
        return await self.post(self._url, body, self._headers(session)), call

    def _headers(self, session: str) -> tuple[tuple[str, str], ...]:
        return (*_ACCEPT, (SESSION, session)) if session else _ACCEPT

    def _read(self, answered: Answered, call: int) -> Raw:
        """The result in an answer."""
        if not 200 <= answered.status < 300:
            raise FilterRefused(answered.status, answered.body.decode("utf-8", "replace"))
        try:
            answer = next((one for one in map(_answer, _values(answered)) if one.id == call), None)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UpstreamProtocolError(f"the MCP server of '{self.ctx.name}' answers no JSON-RPC") from error
        if answer is None or not (answer.error or bytes(answer.result)):
            raise UpstreamProtocolError(f"No result in response from agent '{self.ctx.name}'")
        if answer.error is not None:
            said = answer.error.message[:500]
            raise UpstreamProtocolError(f"the MCP server of '{self.ctx.name}' says: {said}")
        return answer.result

    def _told(self, raw: Raw) -> bytes:
        """The body that a tool's result holds."""
        try:
            result = _result(raw)
            if result.is_error:
                raise FilterRefused(400, result.content[0].text if result.content else "unknown_error")
            structured = (result.structured_content or {}).get("result")
            if structured is not None:
                text = bytes(structured)
                return _text(text).encode() if text.startswith(b'"') else text
        except (msgspec.DecodeError, RecursionError) as error:
            raise UpstreamProtocolError(f"the tool of '{self.ctx.name}' gives no result") from error
        if not result.content:
            raise UpstreamProtocolError(f"No content in response from agent '{self.ctx.name}'")
        return result.content[0].text.encode()


def _value(body: bytes) -> object:
    """A whole reply as the tool gets it: a JSON value as it is, anything else as text."""
    try:
        _any(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")
    return Raw(body)


def _values(answered: Answered) -> list[bytes]:
    """The JSON values of an answer."""
    if not answered.content_type.startswith("text/event-stream"):
        return [answered.body]
    return [event.data for event in Splitter().feed(answered.body + b"\n\n")]
