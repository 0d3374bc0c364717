"""Nearness: what pieces of a turn are near to among the slots of a target, by the embedder.

Rule: one batch for a request: some phrases of its turns, and what its targets say, which the embedder remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archflow_plugins.slot_fillers.similar import Encode
from archflow_plugins.slots.fill import Target
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.weighing.features import Near, weighed
from archflow_plugins.slots.words import pieces

PHRASES_AT_MOST = 32
CHARACTERS_AT_MOST = 80
DESCRIBED = 160


def told(target: Target) -> list[str]:
    """What a target and its slots say: descriptions, names and examples in the slots' order, and the target last."""
    names = [" ".join(pieces(one.slot.name)) for one in target.wants]
    return [
        *(
            f"{name}: {one.slot.description[:DESCRIBED]}"
            for name, one in zip(names, target.wants, strict=True)
        ),
        *names,
        *(", ".join(one.soft) or name for name, one in zip(names, target.wants, strict=True)),
        f"{' '.join(pieces(target.intent.name))}: {target.intent.description[:DESCRIBED]}",
    ]


def phrases(turn: Turn) -> list[str]:
    """The pieces of a turn that may be free text, those first that are marked most clearly."""
    found = (
        one.text
        for one in turn.phrases
        if len(one.text) <= CHARACTERS_AT_MOST and (one.shape == "quoted" or not one.text.isdigit())
    )
    return list(dict.fromkeys(found))[:PHRASES_AT_MOST]


def near(texts: Sequence[str], vectors: Any, table: Any) -> Near:
    """What each of some texts is near to.

    Args:
        texts: of a turn.
        vectors: theirs.
        table: those of what the target says.
    """
    count = (len(table) - 1) // 3
    return {
        text: (row[:count], row[count : 2 * count], row[2 * count : -1], row[-1])
        for text, row in zip(texts, (vectors @ table.T).tolist(), strict=True)
    }


async def nearness(targets: Sequence[Target], turns: Sequence[Turn], encode: Encode) -> dict[str, Near]:
    """By the target's name, what phrases of turns are near to. Blocks while threads compute.

    Args:
        targets: whose slots are to be filled.
        turns: of the request.
        encode: texts to vectors of length 1, which remembers those of what targets say.
    """
    wanted = [one for one in targets if any(map(weighed, one.wants))]
    texts = list(dict.fromkeys(text for turn in turns for text in phrases(turn)))
    if not wanted or not texts:
        return {}
    said = [told(one) for one in wanted]
    vectors = await encode([*texts, *(text for one in said for text in one)])
    found: dict[str, Near] = {}
    start = len(texts)
    for one, each in zip(wanted, said, strict=True):
        found[one.intent.name] = near(texts, vectors[: len(texts)], vectors[start : start + len(each)])
        start += len(each)
    return found
