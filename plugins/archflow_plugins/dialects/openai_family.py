"""What OpenAI's chat, completions and embeddings have in common: errors, usage, prompts, and the tap.

Source: OpenAI's API reference and its Python client, 2026-11.

Rule: tokens are counted once. `total_tokens` is the arbiter between vendors that count reasoning inside
`completion_tokens` (OpenAI) and those that count it beside them (xAI, Gemini): output = total - prompt.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, JsonDialect, encode
from archflow_plugins.dialects.stream_lines import LineTap
from archflow_plugins.framing import sse
from archflow_plugins.kinds import Head, StreamTap, Summary
from archflow_plugins.translation import Problem
from archflow_schema.conversation import Message, OpaquePart, Part, TextPart
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Usage

DONE = b"data: [DONE]\n\n"


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None


class ToldUsage(Struct, frozen=True):
    """Usage in the words of whichever vendor tells it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's name for cached tokens."""
    cached_tokens: int | None = None
    """Moonshot's place for them."""


class _Choice(Struct):
    finish_reason: str | None = None


class _GroqExtension(Struct):
    """Groq puts the usage of a stream here unless `stream_options` asks for it."""

    usage: ToldUsage | None = None


class _Reply(Struct):
    """A whole reply or one chunk of a stream, as far as it tells about itself."""

    id: str | None = None
    model: str | None = None
    usage: ToldUsage | None = None
    choices: list[_Choice] | None = None
    x_groq: _GroqExtension | None = None


_decode_reply = msgspec.json.Decoder(_Reply).decode


def usage_of(told: ToldUsage | None) -> Usage | None:
    """Usage as all dialects tell it."""
    if told is None:
        return None
    prompt, output = told.prompt_tokens or 0, told.completion_tokens or 0
    cached, reasoning = told.prompt_cache_hit_tokens or told.cached_tokens or 0, 0
    input_details, output_details = told.prompt_tokens_details, told.completion_tokens_details
    written = 0
    if input_details is not None:
        cached = input_details.cached_tokens or cached
        written = input_details.cache_write_tokens or 0
    if output_details is not None:
        reasoning = output_details.reasoning_tokens or 0
    if prompt < 0 or output < 0 or cached < 0 or written < 0 or reasoning < 0:  # nobody's count
        counted = (prompt, output, cached, written, reasoning)
        prompt, output, cached, written, reasoning = (max(0, one) for one in counted)
    total = told.total_tokens
    if total is not None and total - prompt > output:
        output = total - prompt
    return Usage(prompt, output, cached, written, reasoning)  # keywords cost six times as much


class _StreamOptions(Struct):
    include_usage: bool | None = None


_decode_options = msgspec.json.Decoder(_StreamOptions | None).decode


def wants_usage(head: Head) -> bool:
    """Whether the client asked for a usage chunk at the end of its stream."""
    raw = head.fields.get("stream_options")
    if raw is None:
        return False
    try:
        options = _decode_options(raw)
    except BAD_JSON:
        return False
    return bool(options and options.include_usage)


def no_usage() -> dict[str, int]:
    """The usage of an answer that no model gave."""
    return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class OpenAITap(LineTap):
    """Watches a stream of chunks.

    The usage chunk comes last and only on request (`stream_options.include_usage`); the other chunks then say
    `"usage":null`, so the needles ask for an object.
    """

    needles: ClassVar[tuple[bytes, ...]] = (
        b'"usage":{',
        b'"usage": {',
        b'"finish_reason":"',
        b'"finish_reason": "',
    )
    opening: ClassVar[int] = 8
    """Azure opens with a chunk about its content filter, which has neither id nor model."""

    def look(self, data: bytes) -> bool:
        try:
            chunk = _decode_reply(data)
        except BAD_JSON:
            return False
        told = chunk.usage or (chunk.x_groq and chunk.x_groq.usage)
        if told:
            self.usage = usage_of(told)
        for choice in chunk.choices or ():
            if choice.finish_reason:
                self.finish_reason = choice.finish_reason
        if chunk.id and not self.response_id:
            self.response_id = chunk.id
        if chunk.model and not self.response_model:
            self.response_model = chunk.model
        return bool(self.response_id and self.response_model)


class OpenAIDialect(JsonDialect):
    """The common half of OpenAI's dialects."""

    def summarise(self, body: bytes) -> Summary:
        try:
            reply = _decode_reply(body)
        except BAD_JSON:
            return Summary()
        reason = ""
        for choice in reply.choices or ():
            if choice.finish_reason:
                reason = choice.finish_reason
                break
        return Summary(usage_of(reply.usage), reason, reply.model or "", reply.id or "")

    def tap(self) -> StreamTap:
        return OpenAITap()

    def encode_error(self, status: int, code: str, message: str, *, request_id: str) -> bytes:
        return error_body(error_type(status), code, message)

    def decode_error(self, status: int, body: bytes) -> Problem:
        return problem_of(status, body)

    def encode_stream_error(self, code: str, message: str) -> bytes:
        return sse.encode(error_body("server_error", code, message))


def error_type(status: int) -> str:
    """The `type` that OpenAI gives to errors of an HTTP status."""
    match status:
        case 403:
            return "permission_error"
        case 429:
            return "rate_limit_error"
        case _ if status >= 500:
            return "server_error"
        case _:
            return "invalid_request_error"


def error_body(kind: str, code: str | None, message: str, param: str | None = None) -> bytes:
    """An error as OpenAI's clients expect it; `param` is the field that it is about."""
    return encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


class _Told(Struct):
    """What an error says; Mistral says it at the top level, and others in `detail`."""

    message: str | None = None
    code: str | int | None = None
    type: str | None = None
    detail: str | None = None


class _ErrorBody(_Told):
    error: _Told | str | None = None


_decode_error_body = msgspec.json.Decoder(_ErrorBody | list[_ErrorBody]).decode
MESSAGE_AT_MOST = 2000
"""Characters of an upstream's message that a client gets."""


def problem_of(status: int, body: bytes) -> Problem:
    """What an error body says, in any of the forms that vendors have for it. Never raises."""
    try:
        found = _decode_error_body(body)
    except BAD_JSON:
        text = body[: 4 * MESSAGE_AT_MOST].decode("utf-8", "replace").strip()
        return Problem(
            text[:MESSAGE_AT_MOST] or f"the upstream answered with status {status} and said nothing"
        )
    if isinstance(found, list):  # Google wraps it in a list
        found = found[0] if found else _ErrorBody()
    told = found.error
    if isinstance(told, str):
        told = _Told(message=told, code=found.code, type=found.type)
    elif told is None:
        told = found
    message = told.message or told.detail or f"the upstream answered with status {status}"
    code = told.code if isinstance(told.code, str) and told.code else told.type or told.code
    return Problem(message[:MESSAGE_AT_MOST], "" if code is None else str(code))


_decode_prompt = msgspec.json.Decoder(str | list[Raw]).decode


def prompt_messages(raw: Raw, name: str) -> tuple[Message, ...]:
    """The messages of a `prompt` or `input`: a text, several texts, or tokens, which stay opaque.

    Raises:
        ClientProtocolError: it is none of these.
    """
    try:
        prompt = _decode_prompt(raw)
        items = [prompt] if isinstance(prompt, str) else [_text_or_raw(item) for item in prompt]
    except BAD_JSON as error:
        raise ClientProtocolError(
            f"`{name}` must be a string, a list of strings, or tokens: {error}"
        ) from error
    if items and not any(isinstance(item, str) for item in items):
        return (Message(role="user", parts=(OpaquePart("tokens", raw),)),)
    return tuple(Message(role="user", parts=(_prompt_part(item),)) for item in items)


def _text_or_raw(item: Raw) -> str | Raw:
    return msgspec.json.decode(item, type=str) if bytes(item)[:1] == b'"' else item


def _prompt_part(item: str | Raw) -> Part:
    return TextPart(item) if isinstance(item, str) else OpaquePart("tokens", item)
