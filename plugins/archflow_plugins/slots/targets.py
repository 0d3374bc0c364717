"""Targets: which of them a turn is about, what part of it is about which, and what all of them come to.

Rule: a reply to the question about a target stays with it, whatever its words alone look like.
Rule: what a turn says not to do is not called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from archflow_plugins.slots.dialogue import REPLY_WORDS, Dialogue
from archflow_plugins.slots.fill import Draft, Target, draft, from_turn
from archflow_plugins.slots.question import ask, phrase
from archflow_plugins.slots.replies import asked_for
from archflow_plugins.slots.runs import CALLS_AT_MOST
from archflow_plugins.slots.words import STOP, folded, pieces, stem, stems, words
from archflow_schema.slots import Filled, Question, Slot

_THEN = re.compile(
    r"\b(?:and then|then|after that|afterwards|once (?:that|it)|when (?:that|it) is done|followed by)\b",
    re.IGNORECASE,
)
_DONT = frozenset({"don't", "dont", "don’t", "never", "not"})
_CLAUSES = re.compile(
    r"[.;?!\n]+\s+|,?\s+\b(?:and then|then|and also|and|also|after that|afterwards|plus)\b,?\s+",
    re.IGNORECASE,
)


def chosen(dialogue: Dialogue, targets: Sequence[str], known: Mapping[str, Target]) -> list[Target]:
    """The targets whose slots are to be filled.

    A reply to the question about a target stays with it, whatever its words alone look like.
    """
    if dialogue.cancelled or not dialogue.turns:
        return []
    found = [known[name] for name in dict.fromkeys(targets) if name in known]
    asked = pending(dialogue, tuple(known.values()))
    if asked is not None and asked not in found and (not found or answers(asked, dialogue)):
        return [asked]
    return [one for one in found if not denied(one, dialogue)]


def pending(dialogue: Dialogue, every: Sequence[Target]) -> Target | None:
    """The target whose question the newest turn answers, if the assistant asked one."""
    if not dialogue.turns or not dialogue.turns[0].asked:
        return None
    asked = folded(dialogue.turns[0].asked)
    found = [
        (sum(len(told) for told in phrases), one)
        for one in every
        if (phrases := [told for want in one.wants if (told := folded(phrase(want.slot))) and told in asked])
    ]
    if found:
        return max(found, key=lambda pair: pair[0])[1]
    heard = {stem(one) for one in asked.split()}
    named = [one for one in every if any(heard.intersection(want.names) for want in one.wants)]
    return named[0] if len(named) == 1 else None


def answers(one: Target, dialogue: Dialogue) -> bool:
    """Whether the newest turn is a reply that gives one of the slots that the assistant asked for."""
    newest = dialogue.turns[0]
    if len(words(newest.text[:400])) > REPLY_WORDS:
        return False
    asked = asked_for(one.wants, newest, range(len(one.wants)))
    found: dict[int, tuple[Any, ...]] = {}
    from_turn(one, newest, newest.text, list(asked), found, dialogue)
    return bool(found)


def denied(one: Target, dialogue: Dialogue) -> bool:
    """Whether the newest turn says not to do what the target does: `don't reboot it`."""
    if not dialogue.turns:
        return False
    verb = next(iter(pieces(one.intent.name)), "")
    if verb in STOP or any(want.facet == "boolean" and stem(verb) in want.names for want in one.wants):
        return False
    text = dialogue.turns[0].text[:4000]
    every = words(text)
    return any(
        stem(word.low) == stem(verb) and any(before.low in _DONT for before in every[max(0, at - 2) : at])
        for at, word in enumerate(every)
    )


def shares(text: str, every: Sequence[Target]) -> list[str]:
    """The part of a turn that is about each of several targets; the whole turn where no part can be told."""
    if len(every) < 2:
        return [text] * len(every)
    shares_: list[list[str]] = [[] for _ in every]
    at, last = 0, -1
    ends = [(one.start(), one.end()) for one in _CLAUSES.finditer(text[:4000])][:64]
    for start, end in [*ends, (len(text), len(text))]:
        clause = text[at:start]
        told = set(stems(clause))
        scores = [len(told & one.about) for one in every]
        best = max(scores)
        if best and scores.count(best) == 1:
            last = scores.index(best)
        if last >= 0:
            shares_[last].append(clause)
        at = end
    if not all(shares_):
        return [text] * len(every)
    return [", ".join(part) for part in shares_]


def ordered(text: str) -> bool:
    """Whether a turn wants one thing after the other."""
    return _THEN.search(text) is not None


def drafts(every: Sequence[Target], dialogue: Dialogue) -> list[Draft]:
    """What extractors find for targets, those first that the newest turn speaks of first."""
    if not every:
        return []
    newest = dialogue.turns[0].text
    return [
        draft(one, dialogue, text=part if part != newest else "")
        for one, part in zip(every, shares(newest, every), strict=True)
    ]


def outcome(found: Sequence[Draft], dialogue: Dialogue) -> Filled | Question:
    """The calls, or one question for everything that is missing."""
    missing = [(one.target.intent.name, slot) for one in found for slot in one.missing]
    if missing:
        return asking(missing)
    calls = tuple(call for one in found for call in one.calls())[:CALLS_AT_MOST]
    return Filled(calls, ordered=len(calls) > 1 and ordered(dialogue.turns[0].text))


def asking(missing: Sequence[tuple[str, Slot]]) -> Question:
    """One question for all that is missing: pairs of a target's name and one of its slots; there is at least one."""
    return Question(
        ask([slot for _, slot in missing]),
        tuple(dict.fromkeys(slot.name for _, slot in missing)),
        missing[0][0],
    )
