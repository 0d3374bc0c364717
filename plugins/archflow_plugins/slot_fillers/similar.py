"""Choices by meaning: which option a phrase is closest to, by the embedder.

Rule: one option only, clearly closer than the next; what is not close to any is not chosen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from archflow_plugins.slots.fill import Draft
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import STOP, stems

PHRASES_AT_MOST = 24
OPTIONS_AT_MOST = 64
WORDS_AT_MOST = 3
MARGIN = 0.08

Encode = Callable[[Sequence[str]], Awaitable[Any]]


async def close(drafts: Sequence[Draft], turns: Sequence[Turn], encode: Encode, least: float) -> None:
    """Give open choices the options that are meant. Blocks while threads compute.

    Args:
        drafts: what is found goes into their values.
        turns: of the request, the newest first.
        encode: texts to vectors of length 1.
        least: the lowest cosine of an option that is meant.
    """
    for draft in drafts:
        for place in draft.open:
            want = draft.target.wants[place]
            if place in draft.values or want.facet != "choice" or want.many or not _worded(want):
                continue
            for turn in turns:
                value = await _meant(
                    want, _phrases(turn, draft.target.about.union(want.names)), encode, least
                )
                if value is not None:
                    draft.values[place] = (value,)
                    break


def _worded(want: Want) -> bool:
    told = [one for one, _ in want.options]
    return 1 < len(told) <= OPTIONS_AT_MOST and all(isinstance(one, str) and len(one) > 2 for one in told)


async def _meant(want: Want, phrases: Sequence[str], encode: Encode, least: float) -> Any | None:
    if not phrases:
        return None
    told = [" ".join(words) for _, words in want.options]
    vectors = await encode([*told, *phrases])
    scores = vectors[len(told) :] @ vectors[: len(told)].T
    best = scores.max(axis=0)
    order = best.argsort()[::-1]
    first, second = float(best[order[0]]), float(best[order[1]])
    # The phrase that speaks for the first option must not speak for the second as well.
    phrase = scores[int(scores[:, order[0]].argmax())]
    rival = float(max(value for at, value in enumerate(phrase) if at != order[0]))
    if first < least or first - max(second, rival) < MARGIN:
        return None
    return want.options[int(order[0])][0]


def _phrases(turn: Turn, own: frozenset[str]) -> list[str]:
    """The words and short phrases of a turn that may mean an option; what the target does is no choice of its user."""
    single = [
        one.text
        for one in turn.words
        if one.low not in STOP and not one.text[0].isdigit() and len(one.text) > 2
    ]
    longer = [one.text for one in turn.phrases if 1 < len(one.text.split()) <= WORDS_AT_MOST]
    found = dict.fromkeys(one.casefold() for one in (*single, *longer))
    return [one for one in found if not own.issuperset(stems(one))][:PHRASES_AT_MOST]
