"""Embeddings for the bench: the project's own embedder over the project's own model, kept on disk by text digest.

Rule: the file is named after the model's digest, so vectors of another model or conversion are never mixed in.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence

import numpy as np
from packages import folder

from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.catalogue import Entry, find
from archflow_plugins.local_models.embed import Embedder

BATCH = 512


def key(text: str) -> bytes:
    """The digest that a text's vector is kept under."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


class Vectors:
    """Texts to vectors of length 1, remembered between runs."""

    def __init__(self, encoder: str | Entry = "minilm") -> None:
        """Open an encoder: one that the catalogue knows by name, or an entry as it would have."""
        entry = find(encoder) if isinstance(encoder, str) else encoder
        self.model = Cache().ensure(entry)
        self.embedder = Embedder(self.model)
        self._path = folder() / f"vectors-{entry.name}-{self.model.digest[:16]}.npz"
        self._places: dict[bytes, int] = {}
        self._rows = np.zeros((0, self.embedder.dimension), np.float32)
        if self._path.exists():
            with np.load(self._path) as kept:
                self._rows = kept["rows"]
                self._places = {bytes(one): place for place, one in enumerate(kept["keys"])}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of texts, encoded where they are not known yet."""
        keys = [key(text) for text in texts]
        new = {one: text for one, text in zip(keys, texts, strict=True) if one not in self._places}
        if new:
            began = time.monotonic()
            # Sorted by length, so that a batch's texts need little padding.
            items = sorted(new.items(), key=lambda item: len(item[1]))
            parts = [self._rows]
            for at in range(0, len(items), BATCH):
                parts.append(self.embedder.encode([text for _, text in items[at : at + BATCH]]))
                if sys.stderr.isatty():
                    print(
                        f"\rembedding {min(at + BATCH, len(items))} of {len(items)}", end="", file=sys.stderr
                    )
            for place, (one, _) in enumerate(items, len(self._rows)):
                self._places[one] = place
            self._rows = np.concatenate(parts)
            print(f"embedded {len(items)} texts in {time.monotonic() - began:.0f} s", file=sys.stderr)
            self.save()
        return self._rows[[self._places[one] for one in keys]]

    def save(self) -> None:
        """Write what is known."""
        keys = np.frombuffer(b"".join(self._places), np.uint8).reshape(-1, 16)
        partial = self._path.with_suffix(".part.npz")
        np.savez(partial, keys=keys, rows=self._rows.astype(np.float32))
        partial.replace(self._path)


class Encoders:
    """Texts to what all encoders of the jailbreak guard make of them, side by side."""

    def __init__(self, *encoders: str | Entry) -> None:
        self.all = [Vectors(one) for one in encoders]

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of texts."""
        return np.concatenate([one(texts) for one in self.all], axis=1)
