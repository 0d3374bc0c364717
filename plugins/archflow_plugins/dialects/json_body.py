"""Requests whose body is one JSON object with `model` and `stream`: what all our dialects share.

The body is decoded once into name -> raw JSON value. Only what is asked for is decoded further, and a request with
another model is written from the same raw values, so that every other byte of them survives.

Rule: bytes of a stranger raise ClientProtocolError or nothing. Its text says where, and quotes nothing: it is logged.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Raw

from archflow_plugins.kinds import Dialect, Head
from archflow_plugins.translation import Answering, estimate
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Event, Finished, Started, Stopped, TextDelta, Usage, UsageReported

T = TypeVar("T")

BAD_JSON = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for bytes that are not what was asked for."""

decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
"""An object's fields as they came. Raises one of BAD_JSON for what is none."""
_decode_string = msgspec.json.Decoder(str | None).decode
_decode_bool = msgspec.json.Decoder(bool | None).decode
encode = msgspec.json.Encoder().encode
_models: dict[str, Raw] = {}
"""Names of models as they stand in requests, those that are asked for lately."""
_MODELS_AT_MOST = 1024
_NAME_AT_MOST = 256
_BYTE = re.compile(r"\(byte (\d+)\)")
_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(?!u).|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})",
    re.DOTALL,
)
"""An escape of half a character; the first branches step over whole ones and other escapes."""


class JsonDialect(Dialect):
    """A dialect whose requests are JSON objects.

    Attributes:
        events_query: the query with which a client asks for a stream as server-sent events, where it can ask otherwise.
    """

    events_query: ClassVar[str] = ""

    def decode_head(self, body: bytes) -> Head:
        try:
            fields = decode_fields(body)
        except BAD_JSON as error:
            raise ClientProtocolError(explain(error, body)) from error
        model = stream = None
        if "model" in fields:
            try:
                model = _decode_string(fields["model"])
            except BAD_JSON as error:
                raise ClientProtocolError("`model` must be a string") from error
        if "stream" in fields:
            try:
                stream = _decode_bool(fields["stream"])
            except BAD_JSON as error:
                raise ClientProtocolError("`stream` must be true or false") from error
        return Head(model or "", bool(stream), fields, body)

    def encode_head(self, head: Head, model: str) -> bytes:
        if model == head.model:
            return head.body
        return encode({**head.fields, "model": _models.get(model) or _spelled(model)})

    def encode_text(self, head: Head, text: str, *, request_id: str) -> tuple[str, bytes]:
        answering = Answering(
            request_id=request_id, model=head.model, created=int(time.time()), query=self.events_query
        )
        encoder = self.reply_encoder(head, answering)
        said: tuple[Event, ...] = (
            Started(), TextDelta(text), Stopped("stop"), UsageReported(Usage()), Finished()
        )  # fmt: skip
        return encoder.content_type, encoder.feed(said)

    def estimate(self, head: Head) -> int:
        try:
            return estimate(self.decode(head))
        except ClientProtocolError:
            return max(1, len(head.body) // 4)


class PathDialect(JsonDialect):
    """A JSON dialect whose paths hold model and stream, so that a request for another model has the same body."""

    def decode_head(self, body: bytes) -> Head:
        return Head("", False, super().decode_head(body).fields, body)

    def encode_head(self, head: Head, model: str) -> bytes:
        return head.body


def _spelled(model: str) -> Raw:
    """The name of a model as JSON."""
    raw = Raw(encode(model))
    if len(model) <= _NAME_AT_MOST:
        if len(_models) >= _MODELS_AT_MOST:
            _models.clear()
        _models[model] = raw
    return raw


def decoded(decode: Any, head: Head, name: str) -> Any:
    """One field of a request, typed by the given decoder.

    Raises:
        ClientProtocolError: the field is missing or of another type; the text says where in it.
    """
    raw = head.fields.get(name)
    if raw is None:
        raise ClientProtocolError(f"the request lacks `{name}`")
    return part(decode, raw, f"`{name}`")


def typed(fields: Mapping[str, Raw], decoders: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a decoder, typed: what is there is walked over, rather than all that could be.

    Raises:
        ClientProtocolError: one is of another type; the text says where in it.
    """
    said: dict[str, Any] = {}
    for name, raw in fields.items():
        decode = decoders.get(name)
        if decode is not None:
            try:
                said[name] = decode(raw)
            except BAD_JSON as error:
                raise _misfit(f"`{name}`", error) from error
    return said


def part(decode: Any, raw: Raw, what: str) -> Any:
    """A raw value, typed by the given decoder; `what` names it in the error."""
    try:
        return decode(raw)
    except BAD_JSON as error:
        raise _misfit(what, error) from error


def _misfit(what: str, error: Exception) -> ClientProtocolError:
    return ClientProtocolError(f"{what} is not understood: {error}")


def extras(fields: Mapping[str, Raw], known: frozenset[str]) -> list[tuple[str, Raw]]:
    """The top-level fields that a dialect's `decode` did not place."""
    if known.issuperset(fields):
        return []
    return [(name, raw) for name, raw in fields.items() if name not in known]


def schema_of(raw: Raw) -> Raw:
    """The schema of a function's parameters; an empty one where none was given."""
    return Raw(b"{}") if bytes(raw) == b"null" else raw


def object_of(arguments: str, name: str) -> Raw:
    """Arguments as a JSON object; those that are none, as models write them at times, are a text in one."""
    if not arguments or arguments.isspace():
        return Raw(b"{}")
    data = arguments.encode("utf-8", "replace")
    try:
        decode_fields(data)
    except BAD_JSON:
        return Raw(encode({name: arguments}))
    return Raw(data)


def explain(error: Exception, body: bytes) -> str:
    """Why a body is not a JSON object, with the place."""
    if isinstance(error, RecursionError):
        return "the request body is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the request body is not UTF-8"
    if isinstance(error, msgspec.ValidationError):
        return f"the request body must be a JSON object: {_lower(str(error))}"
    if not body.strip():
        return "the request body is empty: a JSON object is expected"
    half = next((found for found in _HALF.finditer(body) if found[1]), None)
    if half is not None:
        return (
            "the request body holds half a character, as when text is cut in the middle of an emoji: the UTF-16 "
            f"escape at byte {half.start()} lacks its other half"
        )
    message = str(error)
    found = _BYTE.search(message)
    if found is None:  # msgspec gives no place for a value that never ends
        return f"the request body is not valid JSON: it ends too early, after {len(body)} bytes"
    at = int(found[1])
    line = body.count(b"\n", 0, at) + 1
    column = at - (body.rfind(b"\n", 0, at) + 1) + 1
    reason = message.removeprefix("JSON is malformed: ").split(" (byte")[0]
    return f"the request body is not valid JSON: {reason} at line {line}, column {column} (byte {at})"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
