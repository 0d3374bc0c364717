"""Numbers: digits and words, thousands, fractions, percentages, negatives, ordinals, ranges, quantities with units.

    "1,500"  "2.5k"  "3/4"  "minus five"  "two hundred and ten"  "a dozen"  "10-20"  "between 2 and 5"  "5 ft 10 in"

Rule: a comma parts thousands only before exactly three digits; else it parts two numbers.
Rule: digits inside a word, such as those of a serial number, are no number.
"""

from __future__ import annotations

import re
from decimal import Decimal

from archflow_plugins.slots.extract.currencies import SIGNS
from archflow_plugins.slots.extract.units import BY_WORD, convert
from archflow_plugins.slots.lexicon import listed
from archflow_plugins.slots.mention import MOST, Mention

_ONES = {word: number for number, word in enumerate(listed("numbers.ones"))}
_TENS = {word: 10 * number for number, word in enumerate(listed("numbers.tens"), 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SUFFIXES = {"k": 1000, "m": 10**6, "mn": 10**6, "bn": 10**9, "b": 10**9}
_ORDINALS = {word: number for number, word in enumerate(listed("numbers.ordinals"), 1)}
_PARTS = {"half": Decimal("0.5"), "quarter": Decimal("0.25"), "third": Decimal(1) / 3}
_SIGN = "|".join(sorted(map(re.escape, SIGNS), key=len, reverse=True))
_DIGITS = re.compile(
    rf"""(?<![\w./^])(?<![^\W\d][-−])
    (?P<money>(?:{_SIGN})\s?)?
    (?P<sign>[-−+](?=[\d.]))?
    (?P<money2>(?:{_SIGN})\s?)?
    (?P<whole>\d{{1,3}}(?:,\d{{3}})+|\d{{1,24}}|(?=\.\d))
    (?P<part>\.\d{{1,24}})?
    (?P<power>[eE][-+]?\d{{1,3}}(?![\w.]))?
    (?:\s?/\s?(?P<under>\d{{1,6}})(?![\w./]))?
    (?P<ordinal>(?:st|nd|rd|th)\b)?
    (?![\d]|,\d{{3}}(?!\d)|\.\d)
    """,
    re.VERBOSE,
)
_AFTER = re.compile(
    rf"""(?:\s?(?P<scale>thousand|million|billion|trillion|mn|bn|k|m|b)(?![\w/²³^]))?
    (?:\s?(?P<money>{_SIGN})(?!\w))?
    (?:\s?-?(?P<unit>°\s?[CFcf]|℃|℉|%|°|percent(?:age)?\b|[a-zA-Zµμ]+(?:/[a-zA-Z]+)?))?""",
    re.VERBOSE,
)
_WORDS = re.compile(r"[a-z]+(?:-[a-z]+)?", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:-|–|—|to|through|until|and|\.\.)\s*", re.IGNORECASE)
_NEGATIVE = re.compile(r"\b(?:minus|negative)\s+$", re.IGNORECASE)
_POWER_AT_MOST = 300


def numbers(text: str) -> list[Mention]:
    """The numbers of a text, in order."""
    found = sorted([*_digits(text), *_words(text)], key=lambda one: (one.start, -one.end))
    kept: list[Mention] = []
    for one in found:
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return _ranges(text, _mixed(text, kept[:MOST]))


def plain(value: Decimal) -> int | float:
    """A number as JSON has it: whole where it is whole."""
    if value == value.to_integral_value() and abs(value) < 1 << 63:
        return int(value)
    return float(value)


def _digits(text: str) -> list[Mention]:
    found: list[Mention] = []
    for one in _DIGITS.finditer(text):
        whole = one["whole"].replace(",", "")
        if not whole and not one["part"]:
            continue
        try:
            value = Decimal((whole or "0") + (one["part"] or "") + (one["power"] or ""))
        except ArithmeticError:
            continue
        if abs(value.adjusted()) > _POWER_AT_MOST:
            continue
        if one["under"]:
            if not int(one["under"]):
                continue
            value /= int(one["under"])
        word = _NEGATIVE.search(text[max(0, one.start() - 12) : one.start()])
        negative = one["sign"] in {"-", "−"} or (not one["sign"] and word is not None)
        start = one.start() - (len(word[0]) if word else 0)
        end, unit, money = one.end(), "", (one["money"] or one["money2"] or "").strip()
        if not one["ordinal"]:
            factor, end, unit, trailing = _behind(text, end)
            value *= factor
            money = money or trailing
            if end < len(text) and text[end - 1].isdigit() and (text[end].isalpha() or text[end] == "_"):
                continue
        found.append(
            Mention(
                start=start,
                end=end,
                sort="number",
                value=plain(-value if negative else value),
                unit=SIGNS[money] if money else unit,
                shape="ordinal" if one["ordinal"] else "",
            )
        )
        if len(found) == MOST:
            break
    return found


def _behind(text: str, at: int) -> tuple[int, int, str, str]:
    """What stands behind digits: a factor, where it all ends, a unit, a sign of money."""
    one = _AFTER.match(text, at)
    if one is None:
        return 1, at, "", ""
    factor, end = 1, at
    if scale := (one["scale"] or "").casefold():
        if not _counts(text, at, scale):
            unit = BY_WORD.get(scale, "")
            return (1, one.end("scale"), unit, "") if unit else (1, at, "", "")
        factor, end = _SCALES.get(scale) or _SUFFIXES[scale], one.end("scale")
    if one["money"]:
        return factor, one.end("money"), "", one["money"]
    if one["unit"]:
        told = one["unit"].casefold().replace(" ", "")
        unit = BY_WORD.get(told, "")
        if told in {"in", "to"} and text[end : end + 1].isspace():
            unit = ""
        if unit:
            return factor, one.end("unit"), unit, ""
    return factor, end, "", ""


def _counts(text: str, at: int, scale: str) -> bool:
    """Whether what stands behind digits multiplies them: `5m` are metres as often as millions, but for money."""
    if scale in _SCALES:
        return True
    if text[at].isspace():
        return False
    return scale in {"k", "bn", "mn"} or text[:at].rstrip("0123456789.,").endswith(tuple(SIGNS))


def _words(text: str) -> list[Mention]:
    """Numbers that are written out."""
    found: list[Mention] = []
    run: list[re.Match[str]] = []
    for one in _WORDS.finditer(text):
        if run and text[run[-1].end() : one.start()].strip(" "):
            found += _run(text, run)
            run = []
        low = one[0].casefold()
        if low == "one" and _POINTED.search(text[max(0, one.start() - 24) : one.start()]):
            low = ""
        if _known(low) or (run and low == "and") or (low == "a" and run and run[-1][0].casefold() == "and"):
            run.append(one)
        else:
            found += _run(text, run)
            run = [one] if low in {"a", "an", "minus", "negative"} else []
        if len(found) >= MOST:
            return found[:MOST]
    return [*found, *_run(text, run)]


_POINTED = re.compile(
    r"\b(?:this|that|which|the|another|other|any|every|each|same|last|next|first|an? [a-z]+)\s+$",
    re.IGNORECASE,
)
"""What stands before a `one` that is no number: `that one`, `a cheaper one`."""


def _known(low: str) -> bool:
    head, _, tail = low.partition("-")
    return (
        low in _ONES
        or low in _TENS
        or low in _SCALES
        or low in _ORDINALS
        or low in {"dozen", "half", "quarter"}
        or (head in _TENS and (tail in _ONES or tail in _ORDINALS))
    )


def _run(text: str, run: list[re.Match[str]]) -> list[Mention]:
    """The numbers of a run of number words."""
    found: list[Mention] = []
    at = 0
    while at < len(run):
        taken, mention = _one(text, run, at)
        if mention is not None:
            found.append(mention)
        at += taken
    return found


def _one(text: str, run: list[re.Match[str]], at: int) -> tuple[int, Mention | None]:
    """One number from a place of a run on: how many words it took, and the number."""
    start, sign = at, 1
    if run[at][0].casefold() in {"minus", "negative"}:
        sign, at = -1, at + 1
    total, group, last, ordinal, any_word = Decimal(0), Decimal(0), 10**15, False, False
    while at < len(run):
        low = run[at][0].casefold()
        head, _, tail = low.partition("-")
        if (
            low in {"a", "an"}
            and not any_word
            and at + 1 < len(run)
            and run[at + 1][0].casefold() in {*_SCALES, "dozen", "half", "quarter"}
        ):
            at += 1
            continue
        if low == "and":
            if (
                not any_word
                or at + 1 >= len(run)
                or (last != 100 and run[at + 1][0].casefold() not in {"half", "a"})
            ):
                break
            if run[at + 1][0].casefold() == "a" and (
                at + 2 >= len(run) or run[at + 2][0].casefold() not in _PARTS
            ):
                break
            at += 2 if run[at + 1][0].casefold() == "a" else 1
            continue
        if low in _ONES or low in _TENS or (head in _TENS and tail):
            value = _ONES.get(low, _TENS.get(low, -1))
            if value < 0:
                value = _TENS[head] + (_ONES.get(tail) or _ORDINALS.get(tail) or 0)
                ordinal = tail in _ORDINALS and tail not in _ONES
            if any_word and not ((last == 10 and value < 10) or last in _SCALES.values()):
                break
            group += value
            last = 10 if low in _TENS else 1
        elif low in _SCALES or low == "dozen":
            scale = _SCALES.get(low, 12)
            if any_word and last > 100 and scale <= 100:
                break
            if scale in {100, 12}:
                group = (group or Decimal(1)) * scale
            else:
                total += (group or Decimal(1)) * scale
                group = Decimal(0)
            last = scale
        elif low in {"half", "quarter"}:
            group += _PARTS[low]
            any_word, at = True, at + 1
            break
        elif low in _ORDINALS and not any_word:
            group, ordinal, any_word, at = Decimal(_ORDINALS[low]), True, True, at + 1
            break
        else:
            break
        any_word = True
        at += 1
    if not any_word:
        return max(1, at - start), None
    while run[at - 1][0].casefold() == "and":
        at -= 1
    first, last_word = run[start], run[at - 1]
    if at - start == 1 and first[0].casefold() in {"second", "half", "quarter"}:
        return 1, None
    end, unit = last_word.end(), ""
    if not ordinal:
        _, end, unit, _ = _behind(text, end)
    return at - start, Mention(
        start=first.start(),
        end=end,
        sort="number",
        value=plain(sign * (total + group)),
        unit=unit,
        shape="ordinal" if ordinal else "words",
    )


def _mixed(text: str, found: list[Mention]) -> list[Mention]:
    """Quantities that belong together made one: `5 ft 10 in`, `2 hours and 30 minutes`, `1 1/2`."""
    kept: list[Mention] = []
    for one in found:
        before = kept[-1] if kept else None
        if before is not None:
            gap = text[before.end : one.start].casefold()
            together = _together(before, one, gap)
            if together is not None:
                kept[-1] = together
                continue
        kept.append(one)
    return kept


def _together(before: Mention, one: Mention, gap: str) -> Mention | None:
    left, right = before.value, one.value
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    if before.unit and one.unit and before.unit != one.unit and gap.strip() in {"", "and"}:
        added = convert(left, before.unit, one.unit)
        if added is not None and 0 <= right < added and abs(left) < 10**6:
            return Mention(
                start=before.start,
                end=one.end,
                sort="number",
                value=added + right,
                unit=one.unit,
                shape="sum",
            )
    if gap == " " and not before.unit and isinstance(left, int) and 0 < right < 1 and not before.shape:
        return Mention(start=before.start, end=one.end, sort="number", value=left + right, unit=one.unit)
    return None


def _ranges(text: str, found: list[Mention]) -> list[Mention]:
    """The two ends of a range get their roles; the first one takes its unit from the second."""
    kept = list(found)
    for at in range(len(kept) - 1):
        left, right = kept[at], kept[at + 1]
        gap = text[left.end : right.start]
        # "10-20": what looks like a minus is a dash.
        dash = (
            text[right.start : right.start + 1] in {"-", "−"}
            and not gap
            and isinstance(right.value, int | float)
        )
        if dash:
            right = _changed(right, value=-right.value)  # type: ignore[operator]
        elif not _RANGE.fullmatch(gap):
            continue
        lead = text[max(0, left.start - 12) : left.start].casefold().rstrip()
        joined = gap.strip().casefold()
        if joined == "and" and not lead.endswith("between"):
            continue
        if joined in {"to", "until", "through"} and not (
            lead.endswith("from") or not left.unit or left.unit == right.unit
        ):
            continue
        kept[at] = _changed(left, role="low", unit=left.unit or right.unit)
        kept[at + 1] = _changed(right, role="high")
    return kept


def _changed(one: Mention, **fields: object) -> Mention:
    import msgspec.structs

    return msgspec.structs.replace(one, **fields)
