"""What keeps Python's lock: each kind of model work by itself, watched by `lock.held`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from lock import held
from rows import Row, quantile, text_of

from archflow_plugins.guards.jailbreak import HEAD
from archflow_plugins.guards.windows import windows
from archflow_plugins.local_models.cache import Model
from archflow_plugins.local_models.classifier import Classifier
from archflow_plugins.local_models.embed import Embedder
from archflow_plugins.local_models.generate import Generation, LanguageModel
from archflow_plugins.local_models.sample import Sampling

MEGABYTE = 1_000_000


def lock(embedder: Model, language: Model, repeats: int) -> list[Row]:
    """The longest that each kind of model work keeps Python's lock, on a core; of several runs the middle one."""
    opened, speaks = Embedder(embedder), LanguageModel(language)
    opened.warm()
    speaks.warm()
    head = Classifier((HEAD / "weights.npz").read_bytes())
    long = {
        "of words": " ".join(text_of(16, number) for number in range(20_000))[:MEGABYTE],
        "of one word": "a" * MEGABYTE,
        "of emoji": "\U0001f642" * (MEGABYTE // 4),
    }
    some = windows(long["of words"])[:64]

    def generate() -> None:
        prompt = speaks.words.encode(text_of(20))
        speaks.generate(Generation(speaks, prompt, Sampling(max_tokens=20, logprobs=2), lambda _: None, None))

    works: dict[str, Callable[[], object]] = {
        "Python alone, for comparison": lambda: sum(at * at for at in range(1_000_000)),
        "embedding 20 tokens": lambda: opened.encode([text_of(20)]),
        "embedding 64 texts of 20 tokens": lambda: opened.encode([text_of(20, at) for at in range(64)]),
        "an answer of 20 tokens with logprobs": generate,
        "the guard, 64 windows hashed": lambda: head.ngrams(some),
        "the guard, 16 windows judged": lambda: head.judge([0.0] * 16, vectors, 16),
    }
    vectors = np.tile(opened.encode(some[:16]), head.dimension // opened.dimension)  # as of several encoders
    for what, text in long.items():
        works[f"embedding 1 MB {what}"] = lambda of=text: opened.encode([of])  # type: ignore[misc]
        works[f"counting the tokens of 1 MB {what}"] = lambda of=text: speaks.words.encode(of, 10**9)  # type: ignore[misc]
        works[f"1 MB {what} cut into windows"] = lambda of=text: windows(of)  # type: ignore[misc]
    rows = []
    for what, work in works.items():
        found = sorted(held(work).longest for _ in range(max(5, repeats // 10)))
        rows += [
            Row("lock", f"{what}, the middle run", quantile(found, 0.5), "ms"),
            Row("lock", f"{what}, the worst run", found[-1], "ms"),
        ]
    speaks.close()
    return rows
