"""How texts are drawn and split: by their digest, so that neither a seed nor a source's order matters."""

import hashlib


def share(key: str) -> float:
    """A number in 0..1 that depends on the key only."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "replace")).digest()[:4], "big") / 2**32
