"""The dialect of chat completions: what the engine asks of it, put together from the modules beside.

Rule: what only a translation needs is imported by the first one; a worker that relays never pays for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from archflow_plugins.dialects.json_body import encode
from archflow_plugins.dialects.late import late
from archflow_plugins.dialects.openai_chat.table import MINIMAL, OWN, PLACES
from archflow_plugins.dialects.openai_family import DONE, OpenAIDialect, no_usage, wants_usage
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head
from archflow_plugins.translation import (
    Dropped,
    Place,
    Refused,
)


class OpenAIChat(OpenAIDialect):
    """OpenAI Chat Completions."""

    kind = "dialect.openai_chat"
    path: ClassVar[str] = "/v1/chat/completions"
    other_paths: ClassVar[tuple[str, ...]] = ("/openai/v1/chat/completions",)
    operation: ClassVar[str] = "chat"
    models_path: ClassVar[str] = "/v1/models"
    own_headers: ClassVar[frozenset[str]] = frozenset(
        {"openai-organization", "openai-project", "openai-beta"}
    )
    translates: ClassVar[bool] = True
    decorates: ClassVar[bool] = True
    minimal: ClassVar[str] = MINIMAL
    places: ClassVar[Mapping[str, Place]] = PLACES
    own: ClassVar[Mapping[str, Dropped | Refused]] = OWN

    def encode_models(self, names: Sequence[str]) -> bytes:
        return encode({"object": "list", "data": [_model(name) for name in names]})

    def encode_model(self, name: str) -> bytes:
        return encode(_model(name))

    decode = late("archflow_plugins.dialects.openai_chat.decode:decode")

    encode = late("archflow_plugins.dialects.openai_chat.encode:encode")

    reply_decoder = late("archflow_plugins.dialects.openai_chat.reply_decoder:reply_decoder")

    reply_encoder = late("archflow_plugins.dialects.openai_chat.stream_encoder:reply_encoder")

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        shared = {"id": f"chatcmpl-{request_id}", "created": int(time.time()), "model": head.model}
        if not head.stream:
            message = {"role": "assistant", "content": text, "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            return "application/json", encode(
                {**shared, "object": "chat.completion", "choices": [choice], "usage": no_usage()}
            )
        chunk = {**shared, "object": "chat.completion.chunk"}
        deltas: list[tuple[dict[str, str], str | None]] = [
            ({"role": "assistant", "content": ""}, None),
            ({"content": text}, "stop"),
        ]
        chunks = [
            sse.encode(encode({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}))
            for delta, reason in deltas
        ]
        if wants_usage(head):
            chunks.append(sse.encode(encode({**chunk, "choices": [], "usage": no_usage()})))
        return "text/event-stream", b"".join(chunks) + DONE


def _model(name: str) -> dict[str, str | int]:
    """A model as Arch lists it; when it was made is not known here."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "system"}
