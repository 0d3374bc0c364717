"""Carrying one provider's proofs of thought through a dialect that has other ones.

A signature, an encrypted thought or an item's id means something only to the provider that made it. A client gets it in
whatever opaque field its dialect has, wrapped so that it comes back unchanged and is recognised; the upstream of
another dialect never sees it.

Invariant: `unwrap(wrap(origin, proof)) == (origin, proof)`; a provider's own values are never wrapped.
Rule: what a stranger sends here is only ever handed to the upstream that the stranger named: nothing is trusted.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from msgspec import Struct

PREFIX = "archflow1."
"""No provider's own values begin so: they are base64, which has no full stop."""


class Proof(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a ReasoningPart that are its provider's own, and the text where that is not shown.

    Attributes:
        text: the thoughts, where the dialect that carries them cannot show them.
    """

    signature: str = ""
    sealed: str = ""
    id: str = ""
    text: str = ""


class _Wrapped(Struct, frozen=True, array_like=True):
    origin: str
    proof: Proof


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Wrapped).decode


def wrap(origin: str, proof: Proof) -> str:
    """One opaque string that holds a foreign proof; URL-safe characters and one full stop."""
    data = _encode(_Wrapped(origin, proof))
    return PREFIX + base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def unwrap(value: str) -> tuple[str, Proof] | None:
    """Origin and proof; None when the value is not one that `wrap` made, so a provider's own. Never raises."""
    if not value.startswith(PREFIX):
        return None
    text = value[len(PREFIX) :]
    try:
        wrapped = _decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        return None
    return wrapped.origin, wrapped.proof
