"""Phrases that may be free text: what is quoted, names in capitals, what stands behind a preposition or a marker.

No gazetteer: whether a phrase is a city or an artist is for the slot to say, by the words around it.

Rule: a phrase ends at the marks and little words that end a phrase in English; it keeps its own letters.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from msgspec import Struct

from archflow_plugins.slots.extract.dates import DAYS, MONTHS
from archflow_plugins.slots.lexicon import said
from archflow_plugins.slots.words import STOP, Word, words

MOST = 160
NAMES = 100
QUOTES = 40
"""Phrases, of them names and quotes, and quotes, of one text that are looked at."""
WORDS_AT_MOST = 8
_QUOTED = re.compile(
    r"(?<!\w)'(?=\S)([^'\n]{1,400}?(?:(?<=\w)'(?=\w)[^'\n]{1,200}?)*)'(?!\w)|\"([^\"\n]{1,400})\"|“([^”\n]{1,400})”|`([^`\n]{1,400})`|‘([^’\n]{1,400})’"
)
PREPOSITIONS = said("phrases.prepositions")
_LINKS = frozenset({"of", "the", "de", "la", "von", "van", "der", "del", "di", "da", "du", "and", "&"})
_ENDS = STOP - {"the", "a", "an"}
OPENERS = said("phrases.openers")
_CALENDAR = frozenset({*MONTHS, *DAYS})


class Phrase(Struct, frozen=True, kw_only=True):
    """A piece of a text that may be a value.

    Attributes:
        start, end: where it stands; of a quoted one, what is between the marks.
        text: as it stands.
        shape: `quoted`, `name` (capitals), `plain`.
        before: the words right before it, nearest first, in small letters.
        after: the words right behind it.
        mark: what parts it from the word before, such as `:` or `=`; empty for a space.
        opens: whether it opens a sentence, where capitals mean nothing.
        ends: whether a mark, or the text's end, stands behind it.
    """

    start: int
    end: int
    text: str
    shape: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    mark: str = ""
    opens: bool = False
    ends: bool = False


def phrases(text: str, every: list[Word] | None = None) -> list[Phrase]:
    """The phrases of a text, those first that are marked most clearly. They overlap."""
    every = words(text) if every is None else every
    spans: dict[tuple[int, int], str] = {}
    for number, one in enumerate(_QUOTED.finditer(text)):
        if number == QUOTES:
            break
        group = next(index for index in range(1, 6) if one[index] is not None)
        spans.setdefault(one.span(group), "quoted")
    for begin, last in _names(text, every):
        spans.setdefault((every[begin].start, _owner(text, every, last)), "name")
        if len(spans) >= NAMES:
            break
    for begin, last in _plain(text, every):
        spans.setdefault((every[begin].start, every[last].end), "plain")
        if len(spans) >= MOST:
            break
    return [_phrase(text, every, start, end, shape) for (start, end), shape in spans.items()]


def _full(text: str, word: Word) -> int:
    """Where a name ends: an abbreviation keeps its full stop, as in `D.C.` and `Inc.`."""
    if text[word.end : word.end + 1] == "." and (
        re.fullmatch(r"(?:\w\.)+\w", word.text) or word.low in {"inc", "ltd", "co", "corp", "jr", "sr", "st"}
    ):
        return word.end + 1
    return word.end


def _owner(text: str, every: list[Word], last: int) -> int:
    """Where a name ends: without `'s` where it only says whose the next word is, as in `Emma's account`."""
    word = every[last]
    following = every[last + 1] if last + 1 < len(every) else None
    if (
        word.low.endswith(("'s", "’s"))
        and following is not None
        and text[word.end : following.start] == " "
        and (following.text[0].islower() or following.text[0] in "'\"")
        and following.low not in STOP
        and following.low not in PREPOSITIONS
    ):
        return word.end - 2
    return _full(text, word)


def _capital(word: Word) -> bool:
    return word.text[0].isupper() and word.low not in {"i", "i'm", "i'd", "i'll", "i've"}


def _names(text: str, every: list[Word]) -> list[tuple[int, int]]:
    """Runs of words in capitals, `of` and the like between them included; also with what follows a comma."""
    runs: list[tuple[int, int]] = []
    at = 0
    while at < len(every):
        if not _capital(every[at]) or (_opens(text, every, at) and every[at].low in OPENERS):
            at += 1
            continue
        last = at
        while last + 1 < len(every) and last - at < WORDS_AT_MOST:
            gap = text[every[last].end : every[last + 1].start]
            if gap.strip(" ") not in {"", "."} or (gap.strip(" ") == "." and len(every[last].text) > 3):
                break
            if "." in gap and every[last + 1].low in OPENERS:
                break
            following = every[last + 1]
            if _capital(following) or (following.text.isdigit() and len(following.text) < 4):
                last += 1
                continue
            links = last + 1
            while links < len(every) and every[links].low in _LINKS and links - last < 3:
                links += 1
            inside = text[every[last].end : every[links].start] if links < len(every) else ","
            if (
                links > last + 1
                and links < len(every)
                and _capital(every[links])
                and not re.search(r"[,.;:!?]", inside)
            ):
                # "Apple and Microsoft" are two names: only `of the` and the like link.
                if every[last + 1].low in {"and", "&"}:
                    break
                last = links
                continue
            break
        runs.append((at, last))
        at = last + 1
    joined: list[tuple[int, int]] = []
    for index, (begin, last) in enumerate(runs):
        if all(every[place].low in _CALENDAR for place in range(begin, last + 1)):
            continue
        first, end = _house(text, every, begin), last
        for behind in runs[index + 1 : index + 4]:
            if text[_full(text, every[end]) : every[behind[0]].start] != ", " or behind[1] - behind[0] > 2:
                break
            end = behind[1]
            joined.append((first, end))
        joined.append((first, last))
    return joined


def _house(text: str, every: list[Word], first: int) -> int:
    """Where a name begins with the number of its house: `221B Baker Street`."""
    if not first or not every[first - 1].text[0].isdigit():
        return first
    return first - 1 if text[every[first - 1].end : every[first].start] == " " else first


def _opens(text: str, every: list[Word], at: int) -> bool:
    """Whether a word opens a sentence, where capitals mean nothing."""
    return at == 0 or bool(re.search(r"[.!?\n:;]", text[every[at - 1].end : every[at].start]))


def _plain(text: str, every: list[Word]) -> list[tuple[int, int]]:
    """What stands behind a preposition, or between two words that end a phrase."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(every):
        if every[at].low in STOP or (every[at].low in OPENERS and _opens(text, every, at)):
            at += 1
            continue
        last = at
        while last + 1 < len(every) and last - at + 1 < WORDS_AT_MOST:
            gap = text[every[last].end : every[last + 1].start]
            if gap != " " or every[last + 1].low in _ENDS or every[last + 1].low in PREPOSITIONS:
                break
            last += 1
        while last > at and every[last].low in STOP:
            last -= 1
        found.append((at, last))
        for inner in range(at, last):
            # "vegan recipe", "sushi restaurant": the head of a phrase, and what qualifies it.
            if every[inner].low in STOP:
                continue
            found.append((at, inner))
            if inner > at:
                found.append((inner, inner))
        if last > at:
            found.append((last, last))
            if last - at > 1 and every[last - 1].low not in STOP:
                found.append((last - 1, last))
        at = last + 1
    return found


def _phrase(text: str, every: list[Word], start: int, end: int, shape: str) -> Phrase:
    before = [one.low for one in _until(every, start)]
    after = [one.low for one in _from(every, end)]
    gap = text[max(0, start - 3) : start]
    mark = next((sign for sign in (":", "=") if sign in gap), "")
    return Phrase(
        start=start,
        end=end,
        text=text[start:end].strip(),
        shape=shape,
        before=tuple(before),
        after=tuple(after),
        mark=mark,
        ends=text[end : end + 1] in {"", ",", ".", ";", "!", "?", ")", "\n"},
        opens=start == 0 or text[:start].rstrip(" ")[-1:] in {".", "!", "?", "\n"},
    )


def _until(every: list[Word], start: int, most: int = 5) -> list[Word]:
    """The words that end before a place, nearest first."""
    at = bisect_right(every, start, key=lambda one: one.end)
    return every[max(0, at - most) : at][::-1]


def _from(every: list[Word], end: int, most: int = 4) -> list[Word]:
    """The words that begin behind a place."""
    at = bisect_left(every, end, key=lambda one: one.start)
    return every[at : at + most]
