"""Responses that are kept: going on from them, and telling a client what was kept.

Source: OpenAI's API reference ("Conversation state", "Get, delete a model response", "List input items") and its Python
client 3.57, 2026-11. Vercel's AI SDK refers to items by `item_reference` where responses are stored.

Each response is kept with the input that was sent for it and the id of the one before it, so a conversation takes the
room of its length and not of its length squared; going on from it walks back over that chain. The ids of our items hold
the key of their response, so an `item_reference` leads there.

Rule: what was kept is only as good as its store: data that cannot be read is the same as none.
Rule: instructions are not carried over, as with OpenAI.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, decode_fields, encode
from archflow_plugins.dialects.openai_family import error_body
from archflow_plugins.dialects.openai_responses.output import item_id, response_of
from archflow_plugins.dialects.openai_responses.wire import items_of
from archflow_plugins.kinds import Head, Kept
from archflow_schema.errors import ClientProtocolError

CHAIN_AT_MOST = 1000
"""Replies that one request may go on from."""
BYTES_AT_MOST = 32 * 1024 * 1024
"""What they may hold together."""
LISTED_AT_MOST = 100
_LISTED = 20
_REFERENCE = b'"item_reference"'
_PREVIOUS = "previous_response_id"


class _Record(Struct, frozen=True, array_like=True):
    """What is kept: the id of the response before, the input's items without their brackets, and the response."""

    previous: str
    input: bytes
    response: bytes


class _Response(Struct, frozen=True):
    id: str = ""
    output: list[Raw] = []


class _Item(Struct, frozen=True):
    type: str | None = None
    id: str | None = None


_decode_record = msgspec.msgpack.Decoder(_Record).decode
_encode_record = msgspec.msgpack.Encoder().encode
_decode_response = msgspec.json.Decoder(_Response).decode
_decode_string = msgspec.json.Decoder(str | None).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_item = msgspec.json.Decoder(_Item).decode


def recollect(head: Head) -> Recollected | None:
    """What a request goes on from; None for one that refers to nothing."""
    previous = _previous(head) if _PREVIOUS in head.fields else ""
    if not previous and not _refers(head):
        return None
    return Recollected(head, previous, _inner(head))


class Recollected:
    """One request that refers to kept responses or to their items."""

    def __init__(self, head: Head, previous: str, given: bytes) -> None:
        self._head = head
        self._previous = previous
        self._found: dict[str, _Record | None] = {}
        self._chain: list[_Record] = []
        self._followed: set[str] = set()
        self._next = previous
        self._size = 0
        self._given = _split(given)
        self._others: list[str] = []
        """Responses to look up because an item of theirs is referred to."""
        self._look(self._given)

    def wants(self) -> str:
        while self._next:
            if self._next not in self._found:
                return self._next
            self._follow()
        while self._others:
            if self._others[-1] not in self._found:
                return self._others[-1]
            self._others.pop()
        return ""

    def give(self, data: bytes | None) -> None:
        record = None
        if data is not None:
            self._size += len(data)
            try:
                record = _decode_record(data)
            except (msgspec.DecodeError, RecursionError):
                record = None
        if self._size > BYTES_AT_MOST or len(self._found) >= CHAIN_AT_MOST:
            raise ClientProtocolError(
                f"the conversation that `{_PREVIOUS}` goes on from is too long: more than {CHAIN_AT_MOST} responses, "
                f"or {BYTES_AT_MOST} bytes"
            )
        self._found[self.wants()] = record

    def _follow(self) -> None:
        """The next link of the chain was looked up."""
        record = self._found[self._next]
        if record is None or self._next in self._followed:
            self._next = ""
            self._chain.clear()  # half a conversation is none
            return
        self._followed.add(self._next)
        self._chain.append(record)
        self._look(_split(record.input))
        self._next = record.previous

    def _look(self, items: Iterable[bytes]) -> None:
        for item in items:
            if _REFERENCE in item:
                response = response_of(_referred(item))
                if response:
                    self._others.append(response)

    def head(self) -> Head:
        if not any(self._found.values()):
            return self._head
        unknown = bool(self._previous) and not self._chain
        pieces: list[bytes] = []
        for record in reversed(self._chain):
            pieces += self._resolved(_split(record.input))
            pieces += _output(record)
        pieces += self._resolved(self._given)
        fields = {**self._head.fields, "input": Raw(b"[%b]" % b",".join(pieces))}
        if not unknown:
            fields.pop(_PREVIOUS, None)
        return Head(self._head.model, self._head.stream, fields, encode(fields))

    def _resolved(self, items: list[bytes]) -> list[bytes]:
        """Items with those in their place that they refer to; a reference to what nobody knows stays."""
        return [self._item(item) if _REFERENCE in item else item for item in items]

    def _item(self, item: bytes) -> bytes:
        wanted = _referred(item)
        record = self._found.get(response_of(wanted))
        if record is None:
            return item
        return next((one for one in _output(record) if _id(one) == wanted), item)


def missing(head: Head) -> tuple[int, bytes] | None:
    """The error for a reference that could not be resolved, if there is one."""
    previous = _previous(head)
    if previous:
        return 404, _error(
            f"Previous response with id '{previous[:200]}' not found.",
            _PREVIOUS,
            "previous_response_not_found",
        )
    if _refers(head):
        item = next((found for found in map(_referred, _split(_inner(head))) if found), "")
        if item:
            return 404, _error(f"Item with id '{item[:200]}' not found.", "input", "item_not_found")
    return None


def keep(head: Head, response: bytes) -> Kept | None:
    """What to keep of a response to a request; None if it is not complete or the client does not want it kept."""
    store = head.fields.get("store")
    if not response or (store is not None and bytes(store) == b"false"):
        return None
    return Kept(
        _decode_response(response).id, _encode_record(_Record(_previous(head), _inner(head), response))
    )


def asks(method: str, rest: str) -> str:
    """The id of the response that a request to `/v1/responses/<rest>` is about."""
    response, _, more = rest.partition("/")
    return response if response and (method, more) in _ASKED else ""


_ASKED = frozenset({
    ("GET", ""), ("HEAD", ""), ("DELETE", ""), ("GET", "input_items"), ("HEAD", "input_items"), ("POST", "cancel"),
})  # fmt: skip


def tell(method: str, rest: str, query: str, kept: bytes | None) -> tuple[int, bytes]:
    """Status and body of the answer."""
    response, _, more = rest.partition("/")
    record = None
    if kept is not None:
        try:
            record = _decode_record(kept)
        except (msgspec.DecodeError, RecursionError):
            record = None
    if record is None:
        return 404, _error(
            f"Response with id '{response[:200]}' not found. This gateway keeps the responses that it translated; "
            "one that a provider of the Responses API made is kept there."
        )
    if method == "DELETE":
        return 200, encode({"id": response, "object": "response", "deleted": True})
    if more == "cancel":
        return 400, _error(
            "Only responses that run in the background can be cancelled, and this one is complete."
        )
    asked = parse_qs(query)
    if more == "input_items":
        return _listed(response, record, asked)
    if asked.get("stream") == ["true"]:
        return 400, _error("Only responses that run in the background can be streamed again.", "stream")
    return 200, record.response


def _listed(response: str, record: _Record, asked: dict[str, list[str]]) -> tuple[int, bytes]:
    """A page of the input's items, newest first unless asked otherwise."""
    order, limit, after = (asked.get(name, [""])[0] for name in ("order", "limit", "after"))
    if order not in {"", "asc", "desc"}:
        return 400, _error("'order' must be asc or desc.", "order")
    if limit and not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:4]) <= LISTED_AT_MOST):
        return 400, _error(f"'limit' must be a number from 1 to {LISTED_AT_MOST}.", "limit")
    items = [_shown(item, response, index) for index, item in enumerate(_objects(record.input))]
    if order != "asc":
        items.reverse()
    ids = [str(item["id"]) for item in items]
    if after:
        if after not in ids:
            return 404, _error(f"Item with id '{after[:200]}' not found.", "after")
        items = items[ids.index(after) + 1 :]
    wanted = int(limit) if limit else _LISTED
    page = items[:wanted]
    return 200, encode({
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > wanted,
    })  # fmt: skip


_PREFIXES = {
    "message": "msg_in",
    "function_call": "fc_in",
    "reasoning": "rs_in",
    "custom_tool_call": "ctc_in",
}


def _shown(item: dict[str, Raw], response: str, index: int) -> dict[str, Any]:
    """An item of the input as a list shows it: with its type, an id, and a message's content as parts."""
    kind = _string(item.get("type")) or "message"
    given = _string(item.get("id"))
    made = item_id(_PREFIXES.get(kind, "item_in"), response.removeprefix("resp_"), index)
    shown: dict[str, Any] = {
        "id": given or made,
        "type": kind,
        **{k: v for k, v in item.items() if k not in _NAMED},
    }
    if kind != "message":
        return shown
    shown.setdefault("status", "completed")
    text = _string(item.get("content"))
    if text is not None:
        part = "output_text" if _string(item.get("role")) == "assistant" else "input_text"
        shown["content"] = [{"type": part, "text": text, **({"annotations": []} if part[0] == "o" else {})}]
    return shown


_NAMED = frozenset({"id", "type"})


def _previous(head: Head) -> str:
    return _string(head.fields.get(_PREVIOUS)) or ""


def _string(raw: Raw | None) -> str | None:
    """A string; None for anything else."""
    if raw is None:
        return None
    try:
        return _decode_string(raw)  # type: ignore[no-any-return]
    except BAD_JSON:
        return None


def _refers(head: Head) -> bool:
    """Whether an item of the input may be a reference."""
    try:
        items = items_of(head)
    except ClientProtocolError:  # the upstream may understand it, or say what is wrong with it
        return _REFERENCE in bytes(head.fields["input"])
    if not isinstance(items, str):
        for item in items:
            if item.type == "item_reference":
                return True
    return False


def _inner(head: Head) -> bytes:
    """The items of a request's input without the brackets around them; a text is one item."""
    raw = bytes(head.fields.get("input", Raw(b"[]"))).strip()
    if raw[:1] == b'"':
        return b'{"type":"message","role":"user","content":%b}' % raw
    return raw[1:-1].strip() if raw[:1] == b"[" else b""


def _split(inner: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in _decode_items(b"[%b]" % inner)]
    except BAD_JSON:
        return []


def _objects(inner: bytes) -> list[dict[str, Raw]]:
    try:
        return [decode_fields(item) for item in _split(inner)]
    except BAD_JSON:
        return []


def _output(record: _Record) -> list[bytes]:
    try:
        return [bytes(item) for item in _decode_response(record.response).output]
    except BAD_JSON:
        return []


def _referred(item: bytes) -> str:
    """The id that a reference refers to; empty if the item is none."""
    try:
        found = _decode_item(item)
    except BAD_JSON:
        return ""
    return found.id or "" if found.type == "item_reference" else ""


def _id(item: bytes) -> str:
    try:
        return _decode_item(item).id or ""
    except BAD_JSON:
        return ""


def _error(message: str, param: str | None = None, code: str | None = None) -> bytes:
    return error_body("invalid_request_error", code, message, param)
