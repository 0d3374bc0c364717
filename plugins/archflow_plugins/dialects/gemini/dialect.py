"""Google's `generateContent` as a client speaks it and as an upstream speaks it.

Model and stream stand in the path, so a head without either is what the body tells, and a request with another model
is the same body.

Rule: what reads and writes is in the modules beside this one, and is imported by who first needs it; here it is put
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from archflow_plugins.dialects.gemini.table import OWN, PLACES
from archflow_plugins.dialects.json_body import PathDialect, encode
from archflow_plugins.dialects.late import late
from archflow_plugins.framing import sse
from archflow_plugins.kinds import StreamTap, Summary
from archflow_plugins.translation import (
    Dropped,
    Place,
    Problem,
    Refused,
)


class Gemini(PathDialect):
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
    events_query: ClassVar[str] = "alt=sse"
    translates: ClassVar[bool] = True
    minimal: ClassVar[str] = '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    places: ClassVar[Mapping[str, Place]] = PLACES
    own: ClassVar[Mapping[str, Dropped | Refused]] = OWN

    decode = late("archflow_plugins.dialects.gemini.request:conversation")

    encode = late("archflow_plugins.dialects.gemini.ask:request")

    reply_decoder = late("archflow_plugins.dialects.gemini.reply:ReplyReader")

    reply_encoder = late("archflow_plugins.dialects.gemini.answer:ReplyWriter")

    def decode_error(self, status: int, body: bytes) -> Problem:
        from archflow_plugins.dialects.gemini import statuses

        return statuses.problem(status, body)

    def encode_error(self, status: int, code: str, message: str, *, request_id: str) -> bytes:
        from archflow_plugins.dialects.gemini import statuses

        return statuses.failure(status, code, message)

    def encode_stream_error(self, code: str, message: str) -> bytes:
        return sse.encode(self.encode_error(504 if "timeout" in code else 502, code, message, request_id=""))

    def encode_models(self, names: Sequence[str]) -> bytes:
        return encode({"models": [_model(name) for name in names]})

    def encode_model(self, name: str) -> bytes:
        return encode(_model(name))

    def summarise(self, body: bytes) -> Summary:
        from archflow_plugins.dialects.gemini.tap import summarise

        return summarise(body)

    def tap(self) -> StreamTap:
        from archflow_plugins.dialects.gemini.tap import GeminiTap

        return GeminiTap()


def _model(name: str) -> dict[str, object]:
    methods = ["generateContent", "streamGenerateContent"]
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
