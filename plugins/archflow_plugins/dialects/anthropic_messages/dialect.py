"""Anthropic Messages: `POST /v1/messages`.

Source: Anthropic's API reference (Messages, Streaming, Errors, Models) and its Python client 2.14, 2026-11.

Rule: a thought of another provider, wrapped for this dialect's clients, never reaches Anthropic, which would refuse it.
Rule: what only a translation needs is imported by the first one; a worker that relays never pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.anthropic_messages.foreign_thoughts import without_foreign_thoughts
from archflow_plugins.dialects.anthropic_messages.table import MINIMAL, OWN, PLACES
from archflow_plugins.dialects.anthropic_messages.tap import AnthropicTap, summarise
from archflow_plugins.dialects.anthropic_messages.words import PING, error_type, stream_error_type
from archflow_plugins.dialects.json_body import BAD_JSON, JsonDialect, encode
from archflow_plugins.dialects.late import late
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head, StreamTap, Summary
from archflow_plugins.translation import (
    Dropped,
    Place,
    Problem,
    Refused,
)

ERROR_TEXT_AT_MOST = 2000
"""Characters of an error that is no JSON of Anthropic's."""


class _Error(Struct):
    type: str | None = None
    message: str | None = None


class _ErrorBody(Struct):
    error: _Error | None = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode


class AnthropicMessages(JsonDialect):
    """Anthropic Messages."""

    kind = "dialect.anthropic_messages"
    path: ClassVar[str] = "/v1/messages"
    operation: ClassVar[str] = "chat"
    models_path: ClassVar[str] = "/v1/models"
    client_header: ClassVar[str] = "anthropic-version"
    own_headers: ClassVar[frozenset[str]] = frozenset({
        "anthropic-version", "anthropic-beta", "anthropic-workspace-id", "anthropic-user-profile-id",
        "anthropic-dangerous-direct-browser-access",
    })  # fmt: skip
    ping: ClassVar[bytes] = PING
    translates: ClassVar[bool] = True
    minimal: ClassVar[str] = MINIMAL
    places: ClassVar[Mapping[str, Place]] = PLACES
    own: ClassVar[Mapping[str, Dropped | Refused]] = OWN

    def encode_head(self, head: Head, model: str) -> bytes:
        messages = without_foreign_thoughts(head)
        if messages is None:
            return super().encode_head(head, model)
        return encode({**head.fields, "model": Raw(encode(model)), "messages": messages})

    decode = late("archflow_plugins.dialects.anthropic_messages.decode_request:decode_request")

    encode = late("archflow_plugins.dialects.anthropic_messages.encode_request:encode_request")

    reply_decoder = late("archflow_plugins.dialects.anthropic_messages.reply_decoder:reply_decoder")

    reply_encoder = late("archflow_plugins.dialects.anthropic_messages.stream_encoder:reply_encoder")

    def encode_error(self, status: int, code: str, message: str, *, request_id: str) -> bytes:
        error = {"type": error_type(status), "message": message}
        return encode({"type": "error", "error": error, **({"request_id": request_id} if request_id else {})})

    def encode_stream_error(self, code: str, message: str) -> bytes:
        error = {"type": stream_error_type(code), "message": message}
        return sse.encode(encode({"type": "error", "error": error}), "error")

    def decode_error(self, status: int, body: bytes) -> Problem:
        try:
            told = _decode_error(body).error
        except BAD_JSON:
            told = None
        if told is None or not told.message:
            text = body[:ERROR_TEXT_AT_MOST].decode("utf-8", "replace").strip()
            return Problem(text or f"the upstream answered {status} without a word")
        return Problem(told.message, told.type or "")

    def summarise(self, body: bytes) -> Summary:
        return summarise(body)

    def tap(self) -> StreamTap:
        return AnthropicTap()

    def encode_models(self, names: Sequence[str]) -> bytes:
        ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
        return encode({"data": [_model(name) for name in names], "has_more": False, **ends})

    def encode_model(self, name: str) -> bytes:
        return encode(_model(name))


def _model(name: str) -> dict[str, str]:
    """A model as Anthropic lists it; when it was made is not known here, so it says the epoch, as Anthropic does."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    }
