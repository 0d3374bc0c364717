"""The response object around the output: what it repeats of the request, and what it says of the reply.

Source: OpenAI's API reference ("The response object") and its Python client 3.57, 2026-11.

Rule: what the client did not say is repeated as OpenAI's default for it.
Rule: everything that does not change while a reply streams is written once.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import encode
from archflow_plugins.kinds import Head
from archflow_plugins.translation import Answering
from archflow_schema.events import Started, Usage

_DEFAULTS: dict[str, bytes] = {
    "background": b"false",
    "instructions": b"null",
    "max_output_tokens": b"null",
    "max_tool_calls": b"null",
    "parallel_tool_calls": b"true",
    "previous_response_id": b"null",
    "prompt_cache_key": b"null",
    "reasoning": b'{"effort":null,"summary":null}',
    "safety_identifier": b"null",
    "service_tier": b'"default"',
    "store": b"true",
    "temperature": b"1.0",
    "text": b'{"format":{"type":"text"},"verbosity":"medium"}',
    "tool_choice": b'"auto"',
    "tools": b"[]",
    "top_logprobs": b"0",
    "top_p": b"1.0",
    "truncation": b'"disabled"',
    "user": b"null",
    "metadata": b"{}",
}
"""Field of the request -> what stands in the response if the request does not say."""
_KEYS = {name: b',"%b":' % name.encode() for name in _DEFAULTS}
_OBJECTS = frozenset({"reasoning", "text"})
"""Fields of which the client may say a part, and the rest has defaults."""


class _InputDetails(Struct):
    cached_tokens: int
    cache_write_tokens: int


class _OutputDetails(Struct):
    reasoning_tokens: int


class _Usage(Struct):
    input_tokens: int
    input_tokens_details: _InputDetails
    output_tokens: int
    output_tokens_details: _OutputDetails
    total_tokens: int


class Echo:
    """Writes the response objects of one reply.

    Attributes:
        id: the id of the response; empty before it began.
    """

    def __init__(self, head: Head, answering: Answering) -> None:
        self.id = ""
        self._head = head
        self._answering = answering
        self._before = b""
        self._after = b""

    def begin(self, response_id: str, started: Started) -> None:
        """The reply begins; from now on responses can be written."""
        self.id = response_id
        stream = self._head.stream
        said: dict[str, bytes] = {}
        for name, raw in self._head.fields.items():
            key = _KEYS.get(name)
            if key is not None and (value := bytes(raw)) != b"null":
                if name in _OBJECTS:
                    value = _over(raw, _DEFAULTS[name])
                said[name] = key + (_line(value) if stream else value)
        if started.service_tier:
            said["service_tier"] = _KEYS["service_tier"] + encode(started.service_tier)
        self._after = b"%b%b}" % (b"".join(said.values()), _unsaid(tuple(said)))
        self._before = b'{"id":"%b","object":"response","created_at":%d,"model":%b,"status":' % (
            response_id.encode("ascii"),
            started.created or self._answering.created,
            encode(started.model or self._answering.model),
        )

    def response(
        self,
        status: str,
        output: list[Any],
        usage: Usage | None = None,
        reason: str = "",
        error: dict[str, str] | None = None,
    ) -> bytes:
        """The response object, on one line."""
        details = {"reason": reason} if reason and status == "incomplete" else None
        completed = b"%d" % time.time() if status == "completed" else b"null"
        return b'%b"%b","completed_at":%b,"error":%b,"incomplete_details":%b,"output":%b,"usage":%b%b' % (
            self._before,
            status.encode("ascii"),
            completed,
            b"null" if error is None else encode(error),
            b"null" if details is None else encode(details),
            encode(output),
            b"null" if usage is None else encode(_usage(usage)),
            self._after,
        )


@lru_cache(maxsize=256)
def _unsaid(said: tuple[str, ...]) -> bytes:
    """The defaults of the fields that a request does not say; most clients say the same ones again and again."""
    return b"".join(_KEYS[name] + default for name, default in _DEFAULTS.items() if name not in said)


def _usage(usage: Usage) -> _Usage:
    return _Usage(
        usage.input_tokens,
        _InputDetails(usage.cached_tokens, usage.cache_written_tokens),
        usage.output_tokens,
        _OutputDetails(usage.reasoning_tokens),
        usage.input_tokens + usage.output_tokens,
    )


def _line(said: bytes) -> bytes:
    """A client's value on one line, as an event needs it."""
    if said.find(b"\n") < 0 and said.find(b"\r") < 0:
        return said
    return msgspec.json.format(said, indent=-1)


def _over(raw: Raw, default: bytes) -> bytes:
    """A client's object over the defaults of its fields."""
    said = msgspec.json.decode(raw)
    return encode({**msgspec.json.decode(default), **said}) if isinstance(said, dict) else default
