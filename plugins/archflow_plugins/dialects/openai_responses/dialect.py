"""The dialect of the Responses API, as a kind.

Source: OpenAI's API reference and its Python client 3.57, 2026-11.

Rule: this only says which module does what, and imports it when it is first needed; a worker that relays, and that
nobody asks to go on from a reply, never pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from archflow_plugins.dialects.json_body import encode
from archflow_plugins.dialects.late import late
from archflow_plugins.dialects.openai_family import OpenAIDialect
from archflow_plugins.dialects.openai_responses import watch
from archflow_plugins.dialects.openai_responses.foreign_thoughts import without_foreign
from archflow_plugins.dialects.openai_responses.table import OWN, PLACES
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head, StreamTap, Summary
from archflow_plugins.translation import (
    Dropped,
    Place,
    Problem,
    Refused,
)

_MESSAGE_AT_MOST = 2000


class OpenAIResponses(OpenAIDialect):
    """OpenAI Responses."""

    kind = "dialect.openai_responses"
    path: ClassVar[str] = "/v1/responses"
    other_paths: ClassVar[tuple[str, ...]] = ("/openai/v1/responses",)
    operation: ClassVar[str] = "chat"
    own_headers: ClassVar[frozenset[str]] = frozenset({
        "openai-beta", "openai-organization", "openai-project", "originator", "session-id", "session_id", "thread-id",
        "conversation_id", "x-client-request-id", "x-codex-beta-features", "x-codex-installation-id",
        "x-codex-parent-thread-id", "x-codex-turn-metadata", "x-codex-turn-state", "x-codex-window-id",
        "x-openai-subagent",
    })  # fmt: skip
    translates: ClassVar[bool] = True
    keeps: ClassVar[bool] = True
    minimal: ClassVar[str] = '{"model":"model-x","input":"hi"}'
    places: ClassVar[Mapping[str, Place]] = PLACES
    own: ClassVar[Mapping[str, Dropped | Refused]] = OWN

    def encode_head(self, head: Head, model: str) -> bytes:
        return super().encode_head(without_foreign(head), model)

    decode = late("archflow_plugins.dialects.openai_responses.fields:decode")

    encode = late("archflow_plugins.dialects.openai_responses.request:encode")

    def encode_stream_error(self, code: str, message: str) -> bytes:
        error = {"type": "error", "sequence_number": 0, "code": code, "message": message, "param": None}
        return sse.encode(encode(error), "error")

    def summarise(self, body: bytes) -> Summary:
        return watch.summary(body)

    def tap(self) -> StreamTap:
        return watch.ResponsesTap()

    reply_decoder = late("archflow_plugins.dialects.openai_responses.read_reply:reply_decoder")

    reply_encoder = late("archflow_plugins.dialects.openai_responses.write_reply:ReplyWriter")

    def decode_error(self, status: int, body: bytes) -> Problem:
        from archflow_plugins.dialects.openai_responses.read_reply import problem_of

        problem = problem_of(body)
        if problem is None:
            text = body[:_MESSAGE_AT_MOST].decode("utf-8", "replace").strip()
            return Problem(text or f"the upstream answered {status} without saying why")
        message, code = problem
        return Problem(message[:_MESSAGE_AT_MOST], code)

    recollect = late("archflow_plugins.dialects.openai_responses.state:recollect")

    missing = late("archflow_plugins.dialects.openai_responses.state:missing")

    keep = late("archflow_plugins.dialects.openai_responses.write_reply:keep")

    asks = late("archflow_plugins.dialects.openai_responses.state:asks")

    tell = late("archflow_plugins.dialects.openai_responses.state:tell")
