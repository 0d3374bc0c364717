"""Items of a response's output while they grow, and as they stand in it when they are complete.

Rule: a call is written in the form of the tool that the client offered: with its namespace, as free text, or as the
call of a tool that is OpenAI's own and the client runs.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON
from archflow_plugins.dialects.openai_responses.items import ORIGIN
from archflow_plugins.dialects.openai_responses.tools import Called
from archflow_plugins.dialects.sealed import Proof, wrap
from archflow_schema.conversation import Citation
from archflow_schema.events import TokenLogprob

PLAIN = Called("function", "")
KEY_BYTES = 24
"""Of the random key that a response and its items share."""
_ITEM = re.compile(rf"[a-z]+_([0-9a-f]{{{2 * KEY_BYTES}}})\d{{2,6}}")


class OpenPart(Struct):
    """A part of a message that is open. Mutable: it grows while the reply streams.

    Attributes:
        refusal: whether it is one; else it is text.
        said, size: its text so far.
    """

    index: int
    block: int
    refusal: bool
    before: bytes = b""
    after: bytes = b""
    said: list[str] = []
    size: int = 0
    annotations: list[Any] = []
    logprobs: list[Any] = []


class OpenItem(Struct):
    """An item of the output that is open: a message, thoughts, or a call. Mutable, as its parts are."""

    kind: str
    id: str
    index: int
    block: int
    before: bytes = b""
    after: bytes = b""
    said: list[str] = []
    call_id: str = ""
    called: Called = PLAIN
    unwrap: bool = False
    proof: Proof = Proof()
    origin: str = ""
    content: list[Any] = []
    part: OpenPart | None = None
    begun: bool = False


PREFIXES = {"function": "fc", "custom": "ctc", "local_shell": "lsh", "tool_search": "tsc"}


_KEYS_AT_ONCE = 64
_keys: list[str] = []


def new_key() -> str:
    """A key that nobody can guess. Cut from a block, as one by one each would cost a system call."""
    if not _keys:
        digits = secrets.token_hex(KEY_BYTES * _KEYS_AT_ONCE)
        _keys.extend(digits[at : at + 2 * KEY_BYTES] for at in range(0, len(digits), 2 * KEY_BYTES))
    return _keys.pop()


def item_id(prefix: str, key: str, index: int) -> str:
    """The id of an item of a response."""
    return f"{prefix}_{key}{index:02d}"


def response_of(item: str) -> str:
    """The id of the response that an item's id is of; empty for one that is not ours."""
    found = _ITEM.fullmatch(item)
    return f"resp_{found[1]}" if found else ""


def place_of(item: OpenItem, part: OpenPart) -> bytes:
    return b'"item_id":"%b","output_index":%d,"content_index":%d' % (
        item.id.encode("ascii"),
        item.index,
        part.index,
    )


def content_of(part: OpenPart) -> dict[str, Any]:
    text = "".join(part.said)
    if part.refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": part.annotations, "logprobs": part.logprobs}


def written(item: OpenItem, status: str) -> dict[str, Any]:
    """An item as it stands in the output."""
    if item.kind == "message":
        return {
            "id": item.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": item.content,
        }
    if item.kind == "reasoning":
        return _thought(item)
    called = item.called
    said = "".join(item.said)
    found: dict[str, Any] = {"id": item.id, "call_id": item.call_id, "status": status}
    if called.form == "function":
        found |= {"type": "function_call", "name": called.name, "arguments": said}
    elif called.form == "custom":
        found |= {"type": "custom_tool_call", "name": called.name, "input": said}
    elif called.form == "local_shell":
        found |= {"type": "local_shell_call", "action": _action(said)}
    else:
        found |= {"type": "tool_search_call", "execution": "client", "arguments": _object(said)}
    if called.namespace:
        found["namespace"] = called.namespace
    return found


def _thought(item: OpenItem) -> dict[str, Any]:
    text = "".join(item.said)
    summary = [{"type": "summary_text", "text": text}] if text else []
    found: dict[str, Any] = {"id": item.id, "type": "reasoning", "summary": summary}
    if item.origin == ORIGIN:
        if item.proof.sealed:
            found["encrypted_content"] = item.proof.sealed
    elif item.origin:
        found["encrypted_content"] = wrap(item.origin, item.proof)
    return found


def _object(said: str) -> Any:
    """Arguments as JSON; as text if the model wrote none."""
    try:
        msgspec.json.decode(said)
    except BAD_JSON:
        return said or {}
    return Raw(said.encode())


def _action(said: str) -> dict[str, Any]:
    action = _object(said)
    fields_ = msgspec.json.decode(action) if isinstance(action, Raw) else {}
    if not isinstance(fields_, dict):
        fields_ = {}
    command = fields_.get("command")
    fields_["command"] = command if isinstance(command, list) else [str(command or "")]
    return {"type": "exec", "env": {}, **fields_}


def free_text(said: str) -> str:
    """What a tool of free text is called with, by a model that could only give it an object with one text."""
    try:
        given = msgspec.json.decode(said)
    except BAD_JSON:
        return said
    if isinstance(given, dict) and len(given) == 1:
        (only,) = given.values()
        if isinstance(only, str):
            return only
    return given if isinstance(given, str) else said


def annotation_of(citation: Citation, size: int) -> Any:
    """A citation as an annotation of a text of `size` characters so far."""
    if citation.origin == ORIGIN and bytes(citation.raw) != b"null":
        return citation.raw
    if citation.url:
        return {
            "type": "url_citation",
            "url": citation.url,
            "title": citation.title,
            "start_index": max(0, citation.start),
            "end_index": size if citation.end < 0 else citation.end,
        }
    return {
        "type": "file_citation",
        "file_id": "",
        "filename": citation.title,
        "index": max(0, citation.document),
    }


def logprob_of(one: TokenLogprob) -> dict[str, Any]:
    found = _token(one)
    found["top_logprobs"] = [_token(top) for top in one.top]
    return found


def _token(one: TokenLogprob) -> dict[str, Any]:
    data = one.bytes if one.bytes is not None else tuple(one.token.encode("utf-8", "replace"))
    return {"token": one.token, "logprob": one.logprob, "bytes": data}
