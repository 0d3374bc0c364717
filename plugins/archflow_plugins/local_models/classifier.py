"""A small classifier over windows of text: hashed n-grams and an embedding, judged apart and mixed; numpy only.

A window's logit is `mix[0] + mix[1] * n-grams + mix[2] * network`, where the network is the mean of several small
ones over the embedding. A document's logit is `pool[0] + pool[1] * highest + pool[2] * mean of the highest three
+ pool[3] * ln(windows)`, and what `steps` adds from a number of windows on: a long text has more windows that may look
wrong by accident, a short one has less to tell what it is by, and texts of each length shall have a bar of their own.

What the n-grams say by themselves is a logit of the same kind, with a line and a pool of its own (`alone`): of most
texts it tells already what the networks would not change.

Rule: weights come from one npz without pickles, checked by digest before they are read.
Rule: knows neither the encoder nor what it classifies.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archflow_plugins.local_models.errors import ModelChanged, ModelCorrupt
from archflow_plugins.local_models.ngrams import BUCKETS, buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP = 3
"""How many of the highest windows count together for a document."""


class Classifier:
    """Weights, ready to score. Sync; a call costs about a quarter of a millisecond for each window.

    Args:
        data: the npz file.
        digest: its sha256 as recorded.

    Raises:
        ModelChanged: the bytes have another digest.
        ModelCorrupt: they are not such a file.
    """

    def __init__(self, data: bytes, digest: str = "") -> None:
        import numpy as np

        found = hashlib.sha256(data).hexdigest()
        if digest and found != digest:
            raise ModelChanged(
                f"the classifier's weights have the digest {found[:16]}..., not {digest[:16]}...: "
                "install archflow again, or compile again if it was upgraded"
            )
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                self._table = arrays["ngrams"].astype(np.float32) * np.float32(arrays["ngrams_scale"])
                self._bias = float(arrays["ngrams_bias"])
                self._first = arrays["first"].astype(np.float32)
                self._first_bias = arrays["first_bias"].astype(np.float32)
                self._second = arrays["second"].astype(np.float32)
                self._second_bias = arrays["second_bias"].astype(np.float32)
                self._mix = tuple(float(value) for value in arrays["mix"])
                self._pool = tuple(float(value) for value in arrays["pool"])
                self._alone = tuple(float(value) for value in arrays["alone"])
                self._steps = arrays["steps"].astype(np.float64).tolist()
                steps = arrays["steps"].shape
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ModelCorrupt(
                f"the classifier's weights cannot be read ({error}): install archflow again"
            ) from error
        if (
            self._table.shape != (BUCKETS,)
            or self._first.ndim != 3
            or self._second.shape != self._first_bias.shape
            or (len(self._mix), len(self._pool), len(self._alone)) != (3, 4, 6)
            or steps[1:] != (2,)
        ):
            raise ModelCorrupt(
                "the classifier's weights have other shapes than expected: install archflow again"
            )
        self.dimension: int = self._first.shape[1]

    def ngrams(self, texts: Sequence[str]) -> NDArray[Any]:
        """What the n-grams of each text say, as logits."""
        import numpy as np

        scores = np.empty(len(texts), np.float32)
        for at, text in enumerate(texts):
            held = buckets(text)
            scores[at] = self._bias + (self._table[held].sum() / math.sqrt(len(held)) if len(held) else 0.0)
        return scores

    def network(self, embeddings: NDArray[Any]) -> NDArray[Any]:
        """What each embedding says, as logits: the mean of the networks."""
        import numpy as np

        hidden = np.maximum(
            np.einsum("nd,mdh->mnh", embeddings, self._first) + self._first_bias[:, None, :], 0
        )
        outputs: NDArray[Any] = np.einsum("mnh,mh->mn", hidden, self._second) + self._second_bias[:, None]
        means: NDArray[Any] = outputs.mean(0)
        return means

    def windows(self, ngrams: NDArray[Any], network: NDArray[Any]) -> NDArray[Any]:
        """Both, mixed: one logit for each window."""
        bias, first, second = self._mix
        return bias + first * ngrams + second * network

    def document(self, windows: NDArray[Any], number: int) -> float:
        """The probability in 0..1 for a text, from the logits of the windows that were judged.

        Args:
            windows: their logits, at least one.
            number: how many windows the text has, those not judged included.
        """
        more = next((more for least, more in reversed(self._steps) if number >= least), 0.0)
        return probability(_pooled(windows, number, self._pool) + more)

    def alone(self, ngrams: Sequence[float]) -> float:
        """What the n-grams of all windows of a text say by themselves, as a logit."""
        return _pooled(self.windows_alone(ngrams), len(ngrams), self._alone[2:])

    def windows_alone(self, ngrams: Sequence[float]) -> NDArray[Any]:
        """The same of each window."""
        import numpy as np

        bias, slope = self._alone[:2]
        logits: NDArray[Any] = bias + slope * np.asarray(ngrams, np.float32)
        return logits

    def judge(self, ngrams: Sequence[float], embeddings: NDArray[Any], number: int) -> float:
        """The probability for a text, from what was chosen of its windows.

        Args:
            ngrams: what `ngrams` said of them.
            embeddings: of them, in the same order.
            number: how many windows the text has.
        """
        return self.document(self.seen(ngrams, embeddings), number)

    def seen(self, ngrams: Sequence[float], embeddings: NDArray[Any]) -> NDArray[Any]:
        """One logit for each window, from what `ngrams` said of it and its embedding."""
        import numpy as np

        return self.windows(np.asarray(ngrams, np.float32), self.network(embeddings))


def _pooled(windows: NDArray[Any], number: int, pool: Sequence[float]) -> float:
    import numpy as np

    top = np.sort(windows)[::-1][:TOP]
    bias, highest, mean, length = pool
    return bias + highest * float(top[0]) + mean * float(top.mean()) + length * math.log(number)


def probability(logit: float) -> float:
    """What a logit stands for, 0..1."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))


def logit(probability: float) -> float:
    """What stands for a probability; of 0 and 1 what is as far as `probability` goes."""
    held = min(max(probability, math.exp(-60)), 1 - 1e-15)
    return math.log(held / (1 - held))


def side_by_side(embeddings: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """What several encoders make of the same texts, as one vector of each text."""
    import numpy as np

    return np.concatenate(embeddings, axis=1)


def choose(ngrams: Sequence[float], most: int) -> list[int]:
    """Which windows of a text an encoder is asked about, in order: all, or the first, the last and the most suspicious.

    Args:
        ngrams: what the n-grams of each window say.
        most: how many at most.
    """
    number = len(ngrams)
    if number <= most:
        return list(range(number))
    ends = {0, number - 1} if most > 2 else set[int]()
    ranked = sorted((at for at in range(number) if at not in ends), key=lambda at: (-ngrams[at], at))
    return sorted(ends | set(ranked[: most - len(ends)]))
