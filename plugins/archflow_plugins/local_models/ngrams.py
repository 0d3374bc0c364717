"""Text -> hashed n-grams: which runs of 2 to 5 bytes and which words, pairs and triples of words a text holds.

Where a text begins and ends counts as a word: "ignore" that comes first is not what it is in the middle. Each n-gram
falls into one of 2^20 buckets; a linear model over them is a table of weights. All hashing is arithmetic on whole
arrays, so 500 characters take tens of microseconds.

Rule: the same text gives the same buckets on every machine and version: no `hash()`, no locale, little-endian stated.
Rule: numpy is imported when the first text is hashed, not before.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from numpy.typing import NDArray

BITS = 20
BUCKETS = 1 << BITS

_MULTIPLIER = 0x9E3779B97F4A7C15
_STEP = 0xC2B2AE3D27D4EB4F
_BYTES = (2, 3, 4, 5)
_WORD = re.compile(r"\w+|[^\w\s]")
_BEGIN, _END = 1, 2
"""What stands for the beginning and the end among the hashes of the words."""


def normal(text: str) -> str:
    """Compatibility forms folded, lower case, runs of white space made one space."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def buckets(text: str) -> NDArray[Any]:
    """The buckets that a text's n-grams fall into, ascending, each once."""
    import numpy as np

    folded = normal(text)
    data = np.frombuffer(f" {folded} ".encode("utf-8", "replace"), np.uint8).astype(np.uint64)
    found = []
    gram = data
    for length in _BYTES:
        if len(data) < length:
            break
        if length == 2:
            gram = data[:-1] | (data[1:] << np.uint64(8))
        else:
            gram = gram[:-1] | (data[length - 1 :] << np.uint64(8 * (length - 1)))
        found.append(_bucket(gram, length))
    hashes = [crc32(word.encode("utf-8", "replace")) for word in _WORD.findall(folded)]
    words = np.array([_BEGIN, *hashes, _END] if hashes else [], np.uint64)
    run = words
    for length in (1, 2, 3):
        if len(words) < length:
            break
        if length > 1:
            run = run[:-1] * np.uint64(0x100000001B3) + words[length - 1 :]
        found.append(_bucket(run, 16 + length))
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _bucket(values: NDArray[Any], family: int) -> NDArray[Any]:
    """Values of one family, hashed by multiplication; the top bits are the bucket."""
    import numpy as np

    salt = np.uint64((family * _STEP) & 0xFFFFFFFFFFFFFFFF)
    mixed = (values + salt) * np.uint64(_MULTIPLIER)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(_STEP)
    return (mixed >> np.uint64(64 - BITS)).astype(np.int64)
