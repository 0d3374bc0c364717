"""Mistral's API: chat completions by stricter rules than OpenAI's.

Source: Mistral's API reference (chat completions) and what its errors 3230 (order of messages), 3280 (ids of calls) and
422 (extra inputs) say, 2026-11.

Rule: only requests that were translated are put into its form; a client of chat completions is relayed as it speaks.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from archflow_plugins.providers.openai_compatible import HttpProvider

BETWEEN = "I have read the answers."
"""What the assistant says where a user's message would follow a tool's, which Mistral refuses."""
_ID = re.compile(r"[a-zA-Z0-9]{9}")
_USAGE = "stream_options"
"""Refused; its streams tell their usage unasked."""
_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_messages = msgspec.json.Decoder(list[dict[str, Any]]).decode
_encode = msgspec.json.Encoder().encode


class Mistral(HttpProvider):
    """Mistral, and whoever serves its interface."""

    kind = "provider.mistral"
    vendors: ClassVar[tuple[str, ...]] = ("mistral",)
    lacks: ClassVar[frozenset[str]] = frozenset(
        {"user", "service_tier", "cache_key", "verbosity", "metadata"}
    )

    def adapt(self, dialect: str, body: bytes) -> bytes:
        adapted = super().adapt(dialect, body)
        if dialect != "openai_chat":
            return adapted
        fields = _decode(adapted)
        fields.pop(_USAGE, None)
        fields["messages"] = Raw(_encode(_messages(_decode_messages(fields["messages"]))))
        return _encode(fields)


def call_id(identity: str) -> str:
    """The id of a call as Mistral takes it: nine letters and digits; another one's digest stands for it."""
    if _ID.fullmatch(identity):
        return identity
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest)[:9].decode("ascii")


def _with_text(content: str | list[Any] | None, text: str) -> str | list[Any]:
    """An assistant's content and its words of refusal, which have no place of their own."""
    if isinstance(content, list):
        return [*content, {"type": "text", "text": text}]
    return f"{content}\n{text}" if content else text


def _messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages in an order that is allowed, with ids that are."""
    found: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "user" and found and found[-1]["role"] == "tool":
            found.append({"role": "assistant", "content": BETWEEN})
        for call in message.get("tool_calls") or ():
            call["id"] = call_id(call["id"])
        if "tool_call_id" in message:
            message["tool_call_id"] = call_id(message["tool_call_id"])
        refusal = message.pop("refusal", None)
        if refusal:
            message["content"] = _with_text(message.get("content"), refusal)
        found.append(message)
    return found
