"""What the trees see of a piece and a slot: 90 numbers, by name.

Rule: what is not known, such as nearness where no embedder is, is not a number; the trees know which way that goes.
Rule: numbers say how a piece stands in its turn and beside the slot's words; no word of a conversation is one itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from archflow_plugins.slots.candidates.candidate import EXACT, FREE, Candidate
from archflow_plugins.slots.candidates.cues import end_of, role_of
from archflow_plugins.slots.extract.phrases import OPENERS, PREPOSITIONS, Phrase
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import STOP, stem, stems

FACETS = ("place", "name", "text", "message", "code")
"""Facets that are weighed; the others have a form that decides, and a slot that takes a list keeps its rules."""
PIECES = 40
"""Pieces of one slot that are weighed, those first that the rules like best."""
LOWEST = -3.0
_SHAPES = ("quoted", "name", "plain", "end")
_BEFORE: tuple[frozenset[str], ...] = tuple(
    frozenset(one.split())
    for one in (
        "in at near around", "for", "from", "to", "by", "of", "with", "and or", "is are was as", "called named titled",
        "on", "between about",
    )
)  # fmt: skip
_ARTICLES = frozenset({"the", "a", "an"})
_OURS = frozenset({"my", "our", "your"})
_SKIPPED = _ARTICLES | _OURS | {"some", "city"}
_NONE = math.nan
Nearness = tuple[Sequence[float], Sequence[float], Sequence[float], float]
"""Cosines of a piece with each slot's description, name and examples, and with what the target does."""
Near = Mapping[str, Nearness]

FEATURES: tuple[str, ...] = (
    "rule: score", "rule: cued", "rule: rank", "rule: best of another slot", "rule: above that",
    "rule: best beside it", "rule: above that one", "rule: best across it", "rule: above that across",
    "pieces beside it", "slot: required",
    *(f"slot: {one}" for one in FACETS),
    *(f"piece: {one}" for one in _SHAPES),
    "words", "letters", "share of digits", "all capitals", "begins with a capital", "has a comma", "where it begins",
    "where it ends", "letters of the turn", "opens the turn or a sentence", "a mark behind", "a quote behind",
    "a colon before", "ends its clause",
    *(f"before: {min(one)}" for one in _BEFORE), "before: opener", "before: article", "before: ours",
    "behind: preposition", "behind: little word", "behind: nothing", "behind: slot's name", "behind: slot's words",
    "before: slot's name", "second before: slot's name", "before: slot's words", "second before: slot's words",
    "before: another slot's name", "behind: another slot's name",
    "made of slot's name", "made of slot's words", "made of target's words", "made of other slots' names",
    "first word: opener", "first word: -ing", "first word: little", "last word: little", "last word: slot's",
    "last word: target's", "inside a name or quote", "around a name or quote",
    "role fits", "told as low", "told as high", "slot: low", "slot: high",
    "examples: capitals", "examples: commas", "examples: words", "examples: digits", "is an example", "examples",
    "slots of its facet", "slots", "slots required", "numbers told", "slot: person", "slot: part of a place",
    "near description", "near name", "near what the target does", "near examples", "nearer than to other descriptions",
    "nearer than to other names", "nearer than to what the target does",
)  # fmt: skip


def weighed(want: Want) -> bool:
    """Whether a slot's pieces are weighed."""
    return want.facet in FACETS and not want.many and "verbatim" not in want.flags


class Scene(Struct, frozen=True):
    """One turn before the slots of one target.

    Attributes:
        wants: the slots.
        turn: what was said.
        found: by the slot's place, its pieces, the best first by the rules.
        about: stems of what the target does.
        near: by a piece's text, what it is near to; empty if nobody told.
    """

    wants: Sequence[Want]
    turn: Turn
    found: Mapping[int, Sequence[Candidate]]
    about: frozenset[str]
    near: Near


class _Slot:
    """What all pieces of one slot share."""

    def __init__(self, scene: Scene, place: int) -> None:
        want = scene.wants[place]
        others = [one for at, one in enumerate(scene.wants) if at != place]
        soft = want.soft
        count = len(soft) or 1
        self.names = frozenset(want.names)
        self.all = self.names.union(want.hints)
        self.others = frozenset(name for one in others for name in one.names)
        self.soft = frozenset(one.casefold() for one in soft)
        self.examples = (
            sum(one[:1].isupper() for one in soft) / count if soft else _NONE,
            sum("," in one for one in soft) / count if soft else _NONE,
            sum(len(one.split()) for one in soft) / count if soft else _NONE,
            sum(any(map(str.isdigit, one)) for one in soft) / count if soft else _NONE,
        )
        self.rest = (
            sum(one.facet == want.facet for one in scene.wants),
            len(scene.wants),
            sum(one.slot.required for one in scene.wants),
            sum(one.sort == "number" for one in scene.turn.mentions),
            "person" in want.flags,
            "part" in want.flags,
        )
        self.facet = tuple(want.facet == one for one in FACETS)


def rows(scene: Scene) -> tuple[list[tuple[int, Candidate]], list[list[float]]]:
    """The pieces that are to be weighed, with the place of their slot, and the numbers of each."""
    phrases = {(one.start, one.end): one for one in scene.turn.phrases}
    marked = [(one.start, one.end) for one in scene.turn.phrases if one.shape != "plain"]
    best: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for place, found in scene.found.items():
        for one in found:
            best.setdefault((one.start, one.end), []).append((one.score, place))
    pairs: list[tuple[int, Candidate]] = []
    told: list[list[float]] = []
    for place, want in enumerate(scene.wants):
        if not weighed(want) or not scene.found.get(place):
            continue
        slot = _Slot(scene, place)
        pieces = scene.found[place][:PIECES]
        for rank, one in enumerate(pieces):
            rival = max((score for score, at in best[one.start, one.end] if at != place), default=LOWEST)
            phrase = phrases.get((one.start, one.end))
            pairs.append((place, one))
            told.append(
                [
                    *_rule(want, one, rank, rival, pieces),
                    *slot.facet,
                    *(one.shape == shape for shape in _SHAPES),
                    *_form(scene.turn, one, phrase),
                    *_around(scene.turn, one, slot),
                    *_made(scene, one, slot, marked),
                    *_role(scene.turn, want, one),
                    *slot.examples,
                    str(one.value).casefold() in slot.soft,
                    len(slot.soft),
                    *slot.rest,
                    *_near(scene, place, one),
                ]
            )
    return pairs, told


def _rule(
    want: Want, one: Candidate, rank: int, rival: float, pieces: Sequence[Candidate]
) -> tuple[float, ...]:
    """What the rules say of a piece, and of those beside and across it."""
    beside = across = LOWEST
    count = 0
    for other in pieces:
        if other is one:
            continue
        if other.end <= one.start or other.start >= one.end:
            beside, count = max(beside, other.score), count + 1
        else:
            across = max(across, other.score)
    score = one.score - (0.0 if want.facet in EXACT else FREE)
    return (
        score, one.cued, min(rank, 10), rival, one.score - rival, beside, one.score - beside, across,
        one.score - across, min(count, 10), want.slot.required,
    )  # fmt: skip


def _form(turn: Turn, one: Candidate, phrase: Phrase | None) -> tuple[float, ...]:
    """How a piece is written, and where it stands."""
    text = _text(turn, one)
    size = max(1, len(turn.text))
    behind = turn.text[one.end : one.end + 1]
    return (
        len(text.split()), min(len(text), 60) / 10, sum(map(str.isdigit, text)) / max(1, len(text)), text.isupper(),
        text[:1].isupper(), "," in text, one.start / size, one.end / size, size / 100,
        turn.text[: one.start].rstrip()[-1:] in {"", ".", "!", "?"}, behind in {"", *",.;!?)"}, behind in {"'", "’"},
        phrase is not None and bool(phrase.mark), _NONE if phrase is None else phrase.ends,
    )  # fmt: skip


def _around(turn: Turn, one: Candidate, slot: _Slot) -> tuple[float, ...]:
    """The words before and behind a piece."""
    at = turn.index(one.start)
    before = [word.low for word in turn.words[max(0, at - 3) : at]][::-1]
    after = next((word.low for word in turn.words[at : at + 40] if word.start >= one.end), "")
    bare = next((word for word in before if word not in _SKIPPED), "")
    first, second = (stem(before[place]) if len(before) > place else "" for place in (0, 1))
    behind = stem(after) if after else ""
    return (
        *(bare in known for known in _BEFORE), bare in OPENERS, before[:1] != [] and before[0] in _ARTICLES,
        before[:1] != [] and before[0] in _OURS, after in PREPOSITIONS, after in STOP, not after, behind in slot.names,
        behind in slot.all, first in slot.names, second in slot.names, first in slot.all, second in slot.all,
        first in slot.others, behind in slot.others,
    )  # fmt: skip


def _made(scene: Scene, one: Candidate, slot: _Slot, marked: Sequence[tuple[int, int]]) -> tuple[float, ...]:
    """What a piece is made of."""
    text = _text(scene.turn, one)
    own = frozenset(stems(text))
    count = len(own) or 1
    low = [word.strip(".,") for word in text.casefold().split()] or [""]
    last = stem(low[-1])
    span = (one.start, one.end)
    return (
        len(own & slot.names) / count, len(own & (slot.all - slot.names)) / count, len(own & scene.about) / count,
        len(own & slot.others) / count, low[0] in OPENERS, low[0].endswith("ing"), low[0] in STOP, low[-1] in STOP,
        last in slot.all, last in scene.about,
        any(start <= span[0] and span[1] <= end and (start, end) != span for start, end in marked),
        any(span[0] <= start and end <= span[1] and (start, end) != span for start, end in marked),
    )  # fmt: skip


def _role(turn: Turn, want: Want, one: Candidate) -> tuple[float, ...]:
    end = end_of(turn, one.start)
    return (
        role_of(want, turn, one.start, end) if end else 0.0,
        end == "low",
        end == "high",
        want.role == "low",
        want.role == "high",
    )


def _near(scene: Scene, place: int, one: Candidate) -> tuple[float, ...]:
    """What a piece means, beside what its slot and the others do."""
    told = scene.near.get(_text(scene.turn, one))
    if told is None:
        return (_NONE,) * 7
    described, named, examples, task = told
    others = [at for at in range(len(scene.wants)) if at != place]
    return (
        described[place],
        named[place],
        task,
        examples[place],
        described[place] - max((described[at] for at in others), default=0.0),
        named[place] - max((named[at] for at in others), default=0.0),
        described[place] - task,
    )


def _text(turn: Turn, one: Candidate) -> str:
    return turn.text[one.start : one.end] if one.end > one.start else str(one.value)
