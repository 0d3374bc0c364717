"""Taking thoughts of other providers out of a request that goes to Anthropic as it came.

A client of ours gets such thoughts as thinking blocks whose proof is wrapped, and sends them back. When its model is
then one of Anthropic's own, its request is relayed, and Anthropic would refuse a proof that it did not make.

Rule: a request without a wrapped proof is not looked into, beyond one search of its bytes.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.sealed import PREFIX
from archflow_plugins.kinds import Head

_MARK = b'"' + PREFIX.encode("ascii")


class _Thought(Struct):
    type: str = ""
    signature: str | None = None
    data: str | None = None


_decode_messages = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_blocks = msgspec.json.Decoder(list[Raw]).decode
_decode_thought = msgspec.json.Decoder(_Thought).decode


def without_foreign_thoughts(head: Head) -> Raw | None:
    """The messages without them; None if there are none, or if it is not understood, so that Anthropic may say why."""
    if _MARK not in head.body:
        return None
    try:
        messages = _decode_messages(head.fields.get("messages", Raw(b"[]")))
        kept = [one for one in map(_without, messages) if one is not None]
    except BAD_JSON:
        return None
    return Raw(encode(kept))


def _without(message: dict[str, Raw]) -> dict[str, Raw] | None:
    """A message without foreign thoughts; None if nothing else was in it."""
    raw = message.get("content", Raw(b"null"))
    if _MARK not in bytes(raw) or bytes(raw)[:1] != b"[":
        return message
    blocks = _decode_blocks(raw)
    kept = [block for block in blocks if not _foreign(block)]
    if not kept:
        return None
    return message if len(kept) == len(blocks) else {**message, "content": Raw(encode(kept))}


def _foreign(block: Raw) -> bool:
    if _MARK not in bytes(block):
        return False
    try:
        thought = _decode_thought(block)
    except BAD_JSON:
        return False
    if thought.type not in {"thinking", "redacted_thinking"}:
        return False
    return (thought.signature or thought.data or "").startswith(PREFIX)
