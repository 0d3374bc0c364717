"""Google's `generateContent` as a client speaks it and as an upstream speaks it.

Model and stream stand in the path, so a head without either is what the body tells, and a request with another model
is the same body.

Rule: what reads and writes is in the modules beside this one; here it is put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from archflow_plugins.dialects.gemini import ask, request, statuses, wire
from archflow_plugins.dialects.gemini.answer import ReplyWriter
from archflow_plugins.dialects.gemini.reply import ReplyReader, usage_of
from archflow_plugins.dialects.gemini.table import OWN, PLACES
from archflow_plugins.dialects.json_body import BAD_JSON, JsonDialect, encode
from archflow_plugins.dialects.stream_lines import LineTap
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head, StreamTap, Summary
from archflow_plugins.translation import (
    Answering,
    Dropped,
    Encoded,
    Place,
    Problem,
    Refused,
    ReplyDecoder,
    ReplyEncoder,
)
from archflow_schema.conversation import Conversation
from archflow_schema.events import Finished, Started, Stopped, TextDelta


class GeminiTap(LineTap):
    """Watches a stream of chunks; each may tell the counts so far."""

    needles: ClassVar[tuple[bytes, ...]] = (b'"usageMetadata"', b'"finishReason"')
    opening: ClassVar[int] = 1

    def look(self, data: bytes) -> bool:
        try:
            chunk = wire.decode_chunk(data)
        except BAD_JSON:
            return False
        if chunk.usage_metadata is not None:
            self.usage = usage_of(chunk.usage_metadata)
        for candidate in chunk.candidates or ():
            self.finish_reason = candidate.finish_reason or self.finish_reason
        self.response_id = self.response_id or chunk.response_id or ""
        self.response_model = self.response_model or chunk.model_version or ""
        return True


class Gemini(JsonDialect):
    """Google's generateContent and streamGenerateContent."""

    kind = "dialect.gemini"
    path: ClassVar[str] = "/v1beta/models/{model}:generateContent"
    other_paths: ClassVar[tuple[str, ...]] = ("/v1/models/{model}:generateContent",)
    stream_path: ClassVar[str] = "/v1beta/models/{model}:streamGenerateContent"
    other_stream_paths: ClassVar[tuple[str, ...]] = ("/v1/models/{model}:streamGenerateContent",)
    operation: ClassVar[str] = "generate_content"
    models_path: ClassVar[str] = "/v1beta/models"
    other_models_path: ClassVar[str] = "/v1/models"
    client_header: ClassVar[str] = "x-goog-api-client"
    own_headers: ClassVar[frozenset[str]] = frozenset({
        "x-goog-api-client", "x-goog-user-project", "x-goog-request-params", "x-server-timeout",
    })  # fmt: skip
    ping: ClassVar[bytes] = b"\n"
    """An empty line is nothing between two events, and white space between the items of an array."""
    translates: ClassVar[bool] = True
    minimal: ClassVar[str] = '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    places: ClassVar[Mapping[str, Place]] = PLACES
    own: ClassVar[Mapping[str, Dropped | Refused]] = OWN

    def decode_head(self, body: bytes) -> Head:
        head = super().decode_head(body)
        return Head("", False, head.fields, body)

    def encode_head(self, head: Head, model: str) -> bytes:
        return head.body

    def decode(self, head: Head) -> Conversation:
        return request.conversation(head)

    def encode(self, conversation: Conversation, model: str) -> Encoded:
        return ask.request(conversation, model)

    def reply_decoder(self, *, stream: bool) -> ReplyDecoder:
        return ReplyReader(stream=stream)

    def reply_encoder(self, head: Head, answering: Answering) -> ReplyEncoder:
        return ReplyWriter(head, answering)

    def decode_error(self, status: int, body: bytes) -> Problem:
        return statuses.problem(status, body)

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        answering = Answering(request_id=request_id, model=head.model, created=0, query="alt=sse")
        writer = ReplyWriter(head, answering)
        body = writer.feed((Started(), TextDelta(text), Stopped("stop"), Finished()))
        return writer.content_type, body

    def encode_error(self, status: int, code: str, message: str, *, request_id: str) -> bytes:
        return statuses.failure(status, code, message)

    def encode_stream_error(self, code: str, message: str) -> bytes:
        return sse.encode(statuses.failure(504 if "timeout" in code else 502, code, message))

    def encode_models(self, names: Sequence[str]) -> bytes:
        return encode({"models": [_model(name) for name in names]})

    def encode_model(self, name: str) -> bytes:
        return encode(_model(name))

    def summarise(self, body: bytes) -> Summary:
        try:
            found = wire.decode_chunks(body)
        except BAD_JSON:
            return Summary()
        chunks = [found] if isinstance(found, wire.Chunk) else found
        counts = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata is not None]
        reasons = [
            one.finish_reason for chunk in chunks for one in chunk.candidates or () if one.finish_reason
        ]
        return Summary(
            usage=usage_of(counts[-1]) if counts else None,
            finish_reason=reasons[-1] if reasons else "",
            response_model=next((chunk.model_version for chunk in chunks if chunk.model_version), ""),
            response_id=next((chunk.response_id for chunk in chunks if chunk.response_id), ""),
        )

    def tap(self) -> StreamTap:
        return GeminiTap()


def _model(name: str) -> dict[str, object]:
    methods = ["generateContent", "streamGenerateContent"]
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
