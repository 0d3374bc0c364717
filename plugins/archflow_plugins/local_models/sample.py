"""Which token comes next: the likeliest, or one drawn by temperature and top_p, among those that fit.

The model proposes a token (a draft); here it is taken or replaced. Without a seed the draft was drawn by CTranslate2,
and taking it when it fits, drawing again when not, gives the same distribution as masking first. With a seed every draw
is ours, so that the same request gives the same text.

Rule: knows numbers, not texts: whether a token fits is asked of whoever knows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAVOURITES = 256
"""Tokens that are looked at before the whole vocabulary is."""
DRAWS = 32
"""Draws that may fail to fit before the favourites are looked at in order."""


class Sampling(Struct, frozen=True, kw_only=True):
    """How a text is generated.

    Attributes:
        max_tokens: at most so many; 0 means as many as the model's context has room for.
        temperature: 0 takes the likeliest token.
        top_p: draw among the likeliest tokens that have so much of the probability together.
        seed: the same seed gives the same text; None draws anew each time.
        stop: strings that end the text and are not part of it.
        logprobs: how many alternatives are told with each token; None tells nothing.
    """

    max_tokens: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


class Score(Struct, frozen=True):
    """A token, how likely the model found it, and the alternatives it liked best."""

    token: int
    logprob: float
    best: tuple[tuple[int, float], ...] = ()


class Chooser:
    """Chooses the tokens of one generation."""

    def __init__(self, sampling: Sampling) -> None:
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p
        self._seeded = sampling.seed is not None
        self._random = random.Random(sampling.seed)  # noqa: S311 - nothing secret comes of it

    @property
    def draws(self) -> bool:
        """Whether the choice is ours even where the draft fits."""
        return self._seeded and self._temperature > 0

    def choose(
        self,
        logits: NDArray[Any],
        draft: int,
        fits: Callable[[int], bool],
        every: Callable[[], Iterable[int]],
    ) -> int:
        """The token to take.

        Args:
            logits: the model's, one for each token.
            draft: what CTranslate2 proposes.
            fits: whether a token may come next.
            every: all that may; asked only where no favourite fits.
        """
        if not self.draws and fits(draft):
            return draft
        found = self._favourite(logits, fits) if self._temperature <= 0 else self._drawn(logits, fits)
        if found is not None:
            return found
        import numpy as np

        tokens = np.fromiter(every(), dtype=np.int64)
        if self._temperature <= 0:
            return int(tokens[np.argmax(logits[tokens])])
        return int(tokens[self._draw(_softmax(logits[tokens] / self._temperature))])

    def _favourite(self, logits: NDArray[Any], fits: Callable[[int], bool]) -> int | None:
        return next((token for token in favourites(logits, FAVOURITES) if fits(token)), None)

    def _drawn(self, logits: NDArray[Any], fits: Callable[[int], bool]) -> int | None:
        odds: NDArray[Any] = _softmax(logits / self._temperature)
        if self._top_p < 1:
            odds = _nucleus(odds, self._top_p)
        for _ in range(DRAWS):
            total = float(odds.sum())
            if total <= 0:
                break
            token = self._draw(odds / total)
            if fits(token):
                return token
            odds[token] = 0
        return self._favourite(logits, fits)

    def _draw(self, odds: NDArray[Any]) -> int:
        import numpy as np

        sums = np.cumsum(odds, dtype=np.float64)
        found = int(np.searchsorted(sums, self._random.random() * float(sums[-1]), side="right"))
        return min(found, len(odds) - 1)


def score(logits: NDArray[Any], token: int, best: int) -> Score:
    """How likely a token was, and the `best` likeliest ones."""
    import numpy as np

    top = float(logits.max())
    norm = top + float(np.log(np.exp(logits - top, dtype=np.float32).sum(dtype=np.float64)))
    likely = tuple((one, float(logits[one]) - norm) for one in favourites(logits, best)) if best else ()
    return Score(token, min(0.0, float(logits[token]) - norm), likely)


def favourites(logits: NDArray[Any], count: int) -> list[int]:
    """The likeliest tokens in order; of two that are equally likely, the first."""
    import numpy as np

    count = min(count, len(logits))
    best = np.sort(np.argpartition(logits, len(logits) - count)[len(logits) - count :])
    found: list[int] = best[np.argsort(-logits[best], kind="stable")].tolist()
    return found


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    odds: NDArray[Any] = np.exp(logits - logits.max(), dtype=np.float64)
    odds /= odds.sum()
    return odds


def _nucleus(odds: NDArray[Any], top_p: float) -> NDArray[Any]:
    """Only the likeliest tokens that have `top_p` of the probability together, at least one."""
    import numpy as np

    count = min(1024, len(odds))
    while True:
        best = np.argpartition(odds, len(odds) - count)[len(odds) - count :]
        best.sort()
        best = best[np.argsort(-odds[best], kind="stable")]
        sums = np.cumsum(odds[best])
        if sums[-1] >= top_p or count == len(odds):
            break
        count = min(count * 8, len(odds))
    kept = best[: int(np.searchsorted(sums, top_p)) + 1]
    found = np.zeros_like(odds)
    found[kept] = odds[kept]
    return found
