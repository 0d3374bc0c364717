"""Taking thoughts of other providers out of a request that goes to OpenAI as it came.

Rule: a request without a sealed thought of ours is not looked into, beyond one search of its bytes.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.sealed import PREFIX
from archflow_plugins.kinds import Head

_FOREIGN = PREFIX.encode("ascii")


class _Sealed(Struct):
    encrypted_content: str | None = None


_decode_raws = msgspec.json.Decoder(list[Raw]).decode
_decode_sealed = msgspec.json.Decoder(_Sealed).decode


def without_foreign(head: Head) -> Head:
    """A request without the thoughts of other providers, as when a client goes on here with what began elsewhere.

    They are sealed in our own way, which no upstream can open; most requests hold none and stay as they are.
    """
    raw = head.fields.get("input")
    if raw is None or _FOREIGN not in bytes(raw):
        return head
    try:
        items = [one for one in _decode_raws(raw) if _FOREIGN not in bytes(one) or not _is_foreign(one)]
    except BAD_JSON:
        return head
    fields = {**head.fields, "input": Raw(encode(items))}
    return Head(head.model, head.stream, fields, encode(fields))


def _is_foreign(item: Raw) -> bool:
    try:
        sealed = _decode_sealed(item).encrypted_content
    except BAD_JSON:
        return False
    return sealed is not None and sealed.startswith(PREFIX)
