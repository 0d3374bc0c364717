"""Another provider's proofs of thought in `thoughtSignature`, which is base64 here: clients decode it and encode it
anew, in either alphabet.

Invariant: `unpack(pack(origin, proof)) == (origin, proof)`, also in the other alphabet and without padding; Google's
own are never taken for one of ours.
"""

from __future__ import annotations

import base64
import binascii

from archflow_plugins.dialects.sealed import PREFIX, Proof, unwrap, wrap

_MARK = base64.b64encode(PREFIX[:9].encode()).decode()
"""How our own begin: nine bytes are twelve characters, whatever follows."""


def pack(origin: str, proof: Proof) -> str:
    """A foreign proof as a signature of this dialect."""
    return base64.b64encode(wrap(origin, proof).encode()).decode("ascii")


def unpack(signature: str) -> tuple[str, Proof] | None:
    """Origin and proof of one that `pack` made; None for any other. Never raises."""
    if not signature.startswith(_MARK):
        return None
    try:
        data = base64.b64decode(signature + "=" * (-len(signature) % 4), altchars=b"-_")
        return unwrap(data.decode("ascii"))
    except (binascii.Error, ValueError):
        return None
