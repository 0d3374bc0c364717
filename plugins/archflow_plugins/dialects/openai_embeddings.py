"""OpenAI Embeddings: `POST /v1/embeddings`.

Source: OpenAI's API reference, 2026-11.
"""

from __future__ import annotations

from typing import ClassVar

from archflow_plugins.dialects.json_body import extras
from archflow_plugins.dialects.openai_family import OpenAIDialect, prompt_messages
from archflow_plugins.kinds import Head
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError

_PLACED = frozenset({"model", "stream", "input"})


class OpenAIEmbeddings(OpenAIDialect):
    """OpenAI Embeddings. There is no stream, and no answer in words."""

    kind = "dialect.openai_embeddings"
    path: ClassVar[str] = "/v1/embeddings"
    other_paths: ClassVar[tuple[str, ...]] = ("/openai/v1/embeddings",)
    operation: ClassVar[str] = "embeddings"
    silent: ClassVar[bool] = True

    def decode(self, head: Head) -> Conversation:
        if "input" not in head.fields:
            raise ClientProtocolError("the request lacks `input`")
        return Conversation(
            model=head.model,
            messages=prompt_messages(head.fields["input"], "input"),
            stream=head.stream,
            extras=tuple(extras(head.fields, _PLACED)),
        )

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        raise ClientProtocolError(text)
