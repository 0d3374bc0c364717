"""Amazon Bedrock Converse: `POST /model/{model}/converse` and `/model/{model}/converse-stream`.

Model and streaming stand in the path, not in the body, so that a request for another model has the same body.

Rule: what only a translation needs is imported by the first one; a worker that relays never pays for it.

Source: Amazon Bedrock API reference and botocore's service model of bedrock-runtime, 1.44 (2026-11).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

import msgspec
from msgspec import Struct

from archflow_plugins.dialects.bedrock_converse.frames import PING, exception
from archflow_plugins.dialects.bedrock_converse.table import MINIMAL, OWN, PLACES
from archflow_plugins.dialects.bedrock_converse.words import ToldUsage, usage_of
from archflow_plugins.dialects.json_body import BAD_JSON, PathDialect, encode
from archflow_plugins.dialects.late import late
from archflow_plugins.framing import aws_event_stream
from archflow_plugins.framing.aws_event_stream import Splitter
from archflow_plugins.kinds import Head, StreamTap, Summary
from archflow_plugins.translation import (
    Answering,
    Dropped,
    Place,
    Problem,
    Refused,
    ReplyEncoder,
)
from archflow_schema.errors import UpstreamProtocolError

_ERRORS = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    502: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}
_MESSAGE_AT_MOST = 1000


class _Told(Struct, rename="camel"):
    """A whole reply, or an event of a stream, as far as it tells about itself."""

    stop_reason: str | None = None
    usage: ToldUsage | None = None


class _Error(Struct):
    kind: str | None = msgspec.field(default=None, name="__type")
    code: str | int | None = None
    message: str | None = None
    shouted: str | None = msgspec.field(default=None, name="Message")


_decode_told = msgspec.json.Decoder(_Told).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_TELLING = frozenset({"messageStop", "metadata"})


class ConverseTap(StreamTap):
    """Watches the frames of a stream; only the last two tell something."""

    def __init__(self) -> None:
        self._frames: Splitter | None = Splitter()
        self.between = True

    def feed(self, chunk: bytes) -> None:
        if self._frames is None:
            return
        try:
            frames = self._frames.feed(chunk)
        except UpstreamProtocolError:
            self._frames = None  # what comes after a broken frame is noise
            self.between = False
            return
        self.between = self._frames.between
        for frame in frames:
            if frame.headers.name in _TELLING:
                try:
                    told = _decode_told(frame.payload)
                except BAD_JSON:
                    continue
                self.finish_reason = told.stop_reason or self.finish_reason
                if told.usage is not None:
                    self.usage = usage_of(told.usage)


class BedrockConverse(PathDialect):
    """Amazon Bedrock Converse."""

    kind = "dialect.bedrock_converse"
    path: ClassVar[str] = "/model/{model}/converse"
    stream_path: ClassVar[str] = "/model/{model}/converse-stream"
    operation: ClassVar[str] = "chat"
    own_headers: ClassVar[frozenset[str]] = frozenset({
        "amz-sdk-invocation-id", "amz-sdk-request", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token",
        "x-amz-target", "x-amz-user-agent", "x-amzn-trace-id",
    })  # fmt: skip
    ping: ClassVar[bytes] = PING
    stream_type: ClassVar[str] = aws_event_stream.CONTENT_TYPE
    translates: ClassVar[bool] = True
    minimal: ClassVar[str] = MINIMAL
    places: ClassVar[Mapping[str, Place]] = PLACES
    own: ClassVar[Mapping[str, Dropped | Refused]] = OWN

    decode = late("archflow_plugins.dialects.bedrock_converse.decode_request:decode_request")

    encode = late("archflow_plugins.dialects.bedrock_converse.encode_request:encode_request")

    def encode_error(self, status: int, code: str, message: str, *, request_id: str) -> bytes:
        fallback = "InternalServerException" if status >= 500 else "ValidationException"
        return encode({"__type": _ERRORS.get(status, fallback), "message": message})

    def encode_stream_error(self, code: str, message: str) -> bytes:
        return exception(code, message)

    def summarise(self, body: bytes) -> Summary:
        try:
            told = _decode_told(body)
        except BAD_JSON:
            return Summary()
        return Summary(
            usage=usage_of(told.usage) if told.usage is not None else None,
            finish_reason=told.stop_reason or "",
        )

    def tap(self) -> StreamTap:
        return ConverseTap()

    reply_decoder = late("archflow_plugins.dialects.bedrock_converse.decode_reply:reply_decoder")

    def reply_encoder(self, head: Head, answering: Answering) -> ReplyEncoder:
        from archflow_plugins.dialects.bedrock_converse.encode_reply import StreamEncoder, WholeEncoder

        return StreamEncoder(time.monotonic) if head.stream else WholeEncoder(time.monotonic)

    def decode_error(self, status: int, body: bytes) -> Problem:
        try:
            told = _decode_error(body)
        except BAD_JSON:
            return Problem(body[:_MESSAGE_AT_MOST].decode("utf-8", "replace") or f"Bedrock answered {status}")
        kind = told.kind or (told.code if isinstance(told.code, str) else "") or ""
        message = told.message or told.shouted or f"Bedrock answered {status}"
        return Problem(message, kind.rpartition("#")[2].partition(":")[0])
