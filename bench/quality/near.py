"""Texts that are nearly the same: the Jaccard similarity of their 5-character runs, on sketches of 128 hashes.

Rule: a pair above the limit is always found when both texts have at most 128 runs; of longer ones it is estimated.
"""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np
from scipy import sparse

SKETCH = 128
RUN = 5


def _sketch(text: str) -> np.ndarray:
    folded = re.sub(r"[\W_]+", " ", text.lower()).strip()
    data = f" {folded} ".encode("utf-8", "replace")
    runs = {crc32(data[at : at + RUN]) for at in range(max(1, len(data) - RUN + 1))}
    return np.sort(np.fromiter(runs, np.uint32))[:SKETCH]


def _matrix(sketches: list[np.ndarray], columns: dict[int, int]) -> sparse.csr_matrix:
    rows, cols = [], []
    for row, sketch in enumerate(sketches):
        for value in sketch:
            column = columns.get(int(value))
            if column is not None:
                rows.append(row)
                cols.append(column)
    data = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((data, (rows, cols)), shape=(len(sketches), len(columns)))


def near(texts: list[str], others: list[str], limit: float) -> set[int]:
    """The indexes of `texts` that are nearly the same as one of `others`."""
    first, second = [_sketch(text) for text in texts], [_sketch(text) for text in others]
    columns = {int(value): at for at, value in enumerate(np.unique(np.concatenate(second)))}
    left, right = _matrix(first, columns), _matrix(second, columns)
    lengths = np.array([len(sketch) for sketch in second], np.float32)
    found: set[int] = set()
    for start in range(0, len(texts), 512):
        shared = (left[start : start + 512] @ right.T).tocoo()
        own = np.array([len(sketch) for sketch in first[start : start + 512]], np.float32)
        union = own[shared.row] + lengths[shared.col] - shared.data
        hit = shared.data / union >= limit
        found.update((shared.row[hit] + start).tolist())
    return found
