"""Arch's filter chain: an agent is sent the chat request, and answers with the messages that take the place of its own.

The answer is a chat completion whose content is a JSON array of messages.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from archflow_plugins.contexts import RunContext
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.filters.asking import ServiceFilter
from archflow_plugins.kinds import Empty
from archflow_plugins.urls import behind
from archflow_schema.errors import UpstreamProtocolError

PATH = "/v1/chat/completions"

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_history = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_encode = msgspec.json.Encoder().encode


class MessagesFilter(ServiceFilter):
    """Lets an agent rewrite the history."""

    kind = "filter.messages"
    dialect = "openai_chat"

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._chat = OpenAIChat(Empty(), ctx)

    async def request(self, path: str, body: bytes) -> bytes:
        fields = _fields(body)
        whole = {**fields, "stream": Raw(b"false")}
        whole.pop("stream_options", None)
        answered = await self.asked(behind(self.url, PATH), _encode(whole))
        content = self._chat.read_reply(answered.content_type, answered.body).text
        if not content:
            raise UpstreamProtocolError(f"No content in response from agent '{self.ctx.name}'")
        return _encode({**fields, "messages": self._read(content)})

    def _read(self, content: str) -> list[dict[str, Raw]]:
        try:
            messages = _history(content)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UpstreamProtocolError(
                f"the answer of agent '{self.ctx.name}' is not a JSON array of messages"
            ) from error
        if not messages or not all("role" in message for message in messages):
            raise UpstreamProtocolError(f"the answer of agent '{self.ctx.name}' holds no messages with roles")
        return messages
