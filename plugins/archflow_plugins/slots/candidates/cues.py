"""The words around a piece: how much they speak for a slot, and for which end of something.

Rule: words behind a mark, or beyond another piece of the same sort, count less or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from archflow_plugins.slots.lexicon import said
from archflow_plugins.slots.mention import Mention
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import STOP, Word, stem

Spans = tuple[tuple[int, int], ...]
_NEAR = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3)
_BEHIND = (1.0, 0.75, 0.5, 0.3)
"""What the first, the second, ... word before and behind a piece counts."""
_PARTING = said("cues.parting")
_ENDS = dict.fromkeys(said("cues.low"), "low") | dict.fromkeys(said("cues.high"), "high")


def cue_of(want: Want, turn: Turn, start: int, end: int, others: Spans = ()) -> float:
    """How much the words around a piece speak for a slot; words beyond one of the `others` are theirs."""
    low = max((one[1] for one in others if one[1] <= start), default=0)
    high = min((one[0] for one in others if one[0] >= end), default=len(turn.text))
    score = 0.0
    for weights, near in ((_NEAR, words_before(turn, start, low)), (_BEHIND, words_after(turn, end, high))):
        for weight, (one, gap) in zip(weights, near, strict=False):
            parted = 0.5 * ("," in gap) + any(mark in gap for mark in ".;!?\n")
            score += weight * max(0.0, 1 - parted) * _telling(want, one)
    return min(score, 4.0)


def _telling(want: Want, word: Word) -> float:
    if word.low in STOP and len(word.low) > 1:
        return 0.0
    one = stem(word.low)
    if one in want.names:
        return 3.0
    if len(one) >= 4 and any(
        len(name) >= 4 and (name.startswith(one) or one.startswith(name)) for name in want.names
    ):
        return 2.0
    return 1.2 * want.hints.get(one, 0.0)


def words_before(turn: Turn, start: int, low: int) -> Iterator[tuple[Word, str]]:
    """The words before a place, nearest first, and what parts each from it; none that begins before `low`."""
    place = turn.index(start) - 1
    while place >= 0 and turn.words[place].start >= low:
        word = turn.words[place]
        yield word, turn.text[word.end : start]
        place -= 1


def words_after(turn: Turn, end: int, high: int) -> Iterator[tuple[Word, str]]:
    """The words behind a place, nearest first, and what parts each from it; none that ends behind `high`."""
    place = turn.index(end)
    if place < len(turn.words) and turn.words[place].start < end and turn.text[end] == "-":
        # "a 3-star hotel": the rest of the word is told of the number.
        word = turn.words[place]
        rest = turn.text[end + 1 : word.end]
        yield Word(end + 1, word.end, rest, rest.casefold()), ""
    while place < len(turn.words) and turn.words[place].end <= high:
        word = turn.words[place]
        if word.low in _PARTING:
            # "a size of 50 with 15 members": what stands behind `with` is about something else.
            return
        if word.start >= end:
            yield word, turn.text[end : word.start]
        place += 1


def role_of(want: Want, turn: Turn, start: int, told: str = "") -> float:
    """What speaks for or against a piece that is one end of something, such as a range or a journey."""
    if not want.role:
        return 0.0
    role = told or end_of(turn, start)
    if not role:
        return 0.0
    return 1.5 if role == want.role else -3.0


def end_of(turn: Turn, start: int) -> str:
    """Which end of something a piece is, by the preposition before it; empty if none tells."""
    for (word, gap), _ in zip(words_before(turn, start, 0), range(3), strict=False):
        if any(mark in gap for mark in ",.;!?"):
            return ""
        if found := _ENDS.get(word.low):
            return found
        if word.low == "and":
            # "between Boston and Rome": the second one.
            return "high" if "between" in turn.text[max(0, start - 60) : start].casefold() else ""
        if word.low not in {"the", "a", "on", "x", "y", "at", "of"} and gap.strip():
            return ""
    return ""


def spans(mentions: tuple[Mention, ...]) -> Spans:
    """Where mentions stand."""
    return tuple((one.start, one.end) for one in mentions)
