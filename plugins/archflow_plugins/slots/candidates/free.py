"""Free text as candidates: places, names, what is quoted, what stands behind a slot's own name.

No gazetteer: a phrase is a slot's value by its capitals or marks, the preposition before it, and the slot's own words
right beside it.

Rule: plain words are only taken where the slot is named right beside them; else they are for a model, or asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from archflow_plugins.slots.candidates.candidate import Candidate
from archflow_plugins.slots.candidates.cues import role_of
from archflow_plugins.slots.extract import choices
from archflow_plugins.slots.extract.phrases import OPENERS, PREPOSITIONS, Phrase
from archflow_plugins.slots.lexicon import said
from archflow_plugins.slots.turn import Turn
from archflow_plugins.slots.wants import Want
from archflow_plugins.slots.words import STOP, folded, stem, stems

_LOCAL = said("free.local")
_NEAREST = frozenset({"in", "near", "at", "around", "from", "to"})
_PLACED = frozenset({"in", "near", "at", "around", "for", "about"})
_NOWHERE = said("free.nowhere")
_MAKER = frozenset({"by", "featuring", "starring", "with", "from"})
_INSTEAD = {("please",), ("too",), ("instead",)}
"""What stands behind a name that takes the place of another: `Berlin instead`."""
_CALLED = frozenset({"called", "named", "titled"})
_LINKS = said("free.links")
_STREETS = said("free.streets")
_ARTICLES = frozenset({"the", "a", "an", "my", "our", "some", "city"})
_MARKED = re.compile(r"[\s,]*(?:(?:is|as|to be|should be|be|of|that says|saying|called|-|–|:|=)\s*)+")
_COLON = re.compile(r"(?: [\w#.'’-]+){1,8}:\s+")
"""What may stand between a slot's name and its value: `a note to claim 42: ...`."""
_SENTENCE = re.compile(r"[.!?](?:\s|$)|\n|,? and (?:the|set|also|then)\b|,? with (?:the|a)\b", re.IGNORECASE)
_BASE = {
    "place": {"quoted": 0.8, "name": 0.4, "plain": -0.6},
    "name": {"quoted": 1.2, "name": 0.9, "plain": -0.6},
    "text": {"quoted": 0.8, "name": 0.3, "plain": -0.4},
    "message": {"quoted": 1.2, "name": 0.2, "plain": -1.5},
}
"""What the marks and capitals of a phrase are worth, by facet."""


def places(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Names and words behind a preposition of place."""
    for one in _phrases(want, turn):
        first = one.text.split()[0].casefold() if one.text else ""
        before = _bare(one.before)
        score = _BASE["place"][one.shape]
        if before in _LOCAL:
            score += 1.6 if before in _NEAREST else 1.2
        elif before == "about" and one.before[1:2] in {("what",), ("how",)}:
            score += 1.6
        elif one.shape == "name" and (one.before == ("and",) or one.after[:1] in _INSTEAD):
            score += 1.2
        elif one.shape == "plain":
            score -= 1.0
        if one.shape == "plain":
            known = {"to": want.role == "high", "from": want.role == "low"}.get(before, before in _PLACED)
            verb = first in OPENERS or first.endswith("ing")
            if not known or verb or first in _NOWHERE or first in STOP or len(one.text.split()) > 3:
                score -= 2.0
            elif (
                not one.ends
                and one.after[:1]
                and one.after[0] not in PREPOSITIONS
                and one.after[0] not in STOP
            ):
                score -= 0.5
            else:
                score += 1.0 if before == "for" else 0.6
        if "," in one.text:
            score += (
                -0.8 if "part" in want.flags else 0.4 + 0.5 * ("long" in want.flags) * one.text.count(",")
            )
        cue = _beside(want, one)
        yield _candidate(one, score + cue + role_of(want, turn, one.start), cue)


def names(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Names of people and things."""
    person = "person" in want.flags
    for one in _phrases(want, turn):
        before = _bare(one.before)
        score = _BASE["name"][one.shape]
        if before in _MAKER:
            score += 0.9 if person else 0.1
        elif before in {"in", "at", "near"}:
            score -= 0.7
        elif before in _CALLED:
            score += 1.0
        if person and one.shape == "name" and 2 <= len(one.text.split()) <= 3:
            score += 0.3
        if one.opens and " " not in one.text:
            score -= 0.7
        if one.shape == "name" and ("," in one.text or (one.text.isupper() and len(one.text) < 5)):
            score -= 0.6
        cue = _beside(want, one)
        yield _candidate(one, score + cue + role_of(want, turn, one.start), cue)
    yield from _examples(want, turn)


def texts(want: Want, turn: Turn) -> Iterator[Candidate]:
    """Any phrase, where the slot is named beside it."""
    for one in _phrases(want, turn):
        score = _BASE["text"][one.shape] + 0.6 * (_bare(one.before) in _CALLED)
        cue = _beside(want, one)
        yield _candidate(one, score + cue + role_of(want, turn, one.start), cue)
    yield from _examples(want, turn)


def messages(want: Want, turn: Turn) -> Iterator[Candidate]:
    """What is quoted, what stands behind the slot's name, or all that was said where the slot wants that."""
    if "verbatim" in want.flags and turn.text.strip():
        yield Candidate(start=0, end=0, value=turn.text.strip(), score=3.0, cued=True, sole=False)
        return
    yield from _rest(want, turn)
    for one in _phrases(want, turn):
        before = _bare(one.before)
        score = _BASE["message"][one.shape] + 0.6 * (
            before in _CALLED or before in {"saying", "says", "about", "for"}
        )
        cue = _beside(want, one)
        yield _candidate(one, score + cue, cue)
    yield from _examples(want, turn)


def _rest(want: Want, turn: Turn) -> Iterator[Candidate]:
    """What stands behind the slot's own name, to the end of the sentence: `with content go to sleep`."""
    for at, word in enumerate(turn.words[:-1]):
        if stem(word.low) not in want.names:
            continue
        lead = _MARKED.match(turn.text, word.end) or _COLON.match(turn.text, word.end)
        before = turn.words[at - 1].low if at else ""
        if lead is None and before not in {"with", "using", "the", "use"}:
            continue
        start = lead.end() if lead else word.end
        end = _SENTENCE.search(turn.text, start)
        text = turn.text[start : end.start() if end else len(turn.text)]
        start += len(text) - len(text.lstrip())
        text = text.strip().rstrip(" ,;?")
        following = turn.words[at + 1].low
        if len(text) > 1 and text[0] not in "'\"“`" and (lead or following not in STOP):
            yield Candidate(start=start, end=start + len(text), value=text, score=2.0, cued=True)


def _phrases(want: Want, turn: Turn) -> Iterator[Phrase]:
    """The phrases that are not something else already: a date, a number, an address."""
    taken = [(one.start, one.end) for one in turn.mentions if one.sort != "code"]
    for one in turn.phrases:
        inside = any(start < one.end and one.start < end for start, end in taken)
        if one.shape != "quoted" and inside and not _street(one.text):
            continue
        if one.shape == "plain" and not _says_more(want, one):
            continue
        if one.shape == "name" and all(each in want.names for each in stems(one.text)):
            # "the API key is ...": the slot's own name in capitals.
            continue
        yield one


def _street(text: str) -> bool:
    return text[:1].isdigit() and any(one.strip(".,").casefold() in _STREETS for one in text.split())


def _says_more(want: Want, one: Phrase) -> bool:
    """Whether a phrase says more than the slot's own words: `city` is no city."""
    return any(each not in want.names and each not in want.hints for each in stems(one.text))


def _beside(want: Want, one: Phrase) -> float:
    """How much the words right beside a phrase speak for a slot: `artist Beyonce`, `Louvre museum`, `city: Paris`."""
    score = 0.0
    for place, word in enumerate(one.before[:4]):
        told = _weight(want, word, one)
        if told:
            score = told * (1.0, 0.9, 0.8, 0.7)[place]
            if one.mark:
                score += 1.0
            break
        if word not in _LINKS:
            break
    if one.after:
        score = max(score, _weight(want, one.after[0], one))
    inner = one.text.casefold().split()
    if len(inner) > 1 and one.shape == "name":
        # "Hotel Paradise", "Louvre Museum": the kind of thing is part of its name.
        score = max(score, 0.6 * max(_weight(want, inner[0], one), _weight(want, inner[-1], one)))
    elif len(inner) > 1 and one.shape == "plain":
        score -= 0.5 * max(_weight(want, inner[0], one), _weight(want, inner[-1], one))
    return score


def _weight(want: Want, word: str, one: Phrase) -> float:
    bare = stem(word)
    if bare in want.names:
        return 2.0
    return (0.4 if one.shape == "plain" else 1.0) * want.hints.get(bare, 0.0)


def _bare(before: tuple[str, ...]) -> str:
    """The word before a phrase, articles left out."""
    return next((one for one in before if one not in _ARTICLES), "")


def _candidate(one: Phrase, score: float, cue: float) -> Candidate:
    shape = (
        "end"
        if one.shape == "plain" and (one.ends or not one.after or one.after[0] in PREPOSITIONS)
        else one.shape
    )
    return Candidate(start=one.start, end=one.end, value=one.text, score=score, cued=cue >= 1, shape=shape)


def _examples(want: Want, turn: Turn) -> Iterator[Candidate]:
    """What the description names as an example, where the turn says it in the same words."""
    told = [(one, form) for one in want.soft if (form := tuple(folded(one).split()))]
    for each in choices.choices(turn.text, turn.words, told) if told else ():
        if each.sure == 1.0:
            text = turn.text[each.start : each.end]
            yield Candidate(start=each.start, end=each.end, value=text, score=2.6, cued=True)
