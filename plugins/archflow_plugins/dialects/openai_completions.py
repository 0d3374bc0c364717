"""OpenAI Completions, the older text-in text-out API: `POST /v1/completions`.

Source: OpenAI's API reference, 2026-11.
"""

from __future__ import annotations

import time
from typing import ClassVar

from archflow_plugins.dialects.json_body import encode, extras
from archflow_plugins.dialects.openai_family import (
    DONE,
    OpenAIDialect,
    no_usage,
    prompt_messages,
    wants_usage,
)
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head
from archflow_schema.conversation import Conversation

_PLACED = frozenset({"model", "stream", "prompt"})


class OpenAICompletions(OpenAIDialect):
    """OpenAI Completions."""

    kind = "dialect.openai_completions"
    path: ClassVar[str] = "/v1/completions"
    other_paths: ClassVar[tuple[str, ...]] = ("/openai/v1/completions",)
    operation: ClassVar[str] = "text_completion"

    def decode(self, head: Head) -> Conversation:
        prompt = head.fields.get("prompt")  # it may be absent: the model then starts a new document
        return Conversation(
            model=head.model,
            messages=() if prompt is None else prompt_messages(prompt, "prompt"),
            stream=head.stream,
            extras=tuple(extras(head.fields, _PLACED)),
        )

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        shared = {
            "id": f"cmpl-{request_id}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": head.model,
        }
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": "stop"}
        if not head.stream:
            return "application/json", encode({**shared, "choices": [choice], "usage": no_usage()})
        stream = sse.encode(encode({**shared, "choices": [choice]}))
        if wants_usage(head):
            stream += sse.encode(encode({**shared, "choices": [], "usage": no_usage()}))
        return "text/event-stream", stream + DONE
