"""Programs of yours behind the gateway: agents that answer, filters that requests and replies pass."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from archflow_schema.config.forms import Name, Url


class Agent(Struct, frozen=True, kw_only=True):
    """A program that answers conversations.

    Attributes:
        id: unique among agents and filters.
        url: where it answers.
        kind: for people; Arch 0.3 writes `openai` here.
    """

    id: Name
    url: Url
    kind: str = ""


class Filter(Struct, frozen=True, kw_only=True):
    """A program that requests or replies pass, and that may change or refuse them.

    Attributes:
        id: unique among agents and filters.
        url: where it answers.
        type: `mcp` calls a tool of an MCP server, `http` posts the body.
        transport: for `mcp`: how the server is reached.
        tool: for `mcp`: the tool's name; by default the id.
    """

    id: Name
    url: Url
    type: Literal["mcp", "http"] = "mcp"
    transport: Literal["streamable-http"] = "streamable-http"
    tool: str = ""
