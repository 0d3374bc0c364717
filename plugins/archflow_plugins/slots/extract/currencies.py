"""Currencies: codes of ISO 4217, names, nicknames and signs, as the code.

Rule: a code in small letters that is also an English word (`all`, `try`) is a currency only in capitals.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from archflow_plugins.slots.lexicon import said
from archflow_plugins.slots.mention import MOST, Mention

_TABLE = tomllib.loads(Path(__file__).with_name("currencies.toml").read_text("utf-8"))
NAMES: dict[str, list[str]] = {**_TABLE["codes"], **_TABLE["more"]}
SIGNS: dict[str, str] = _TABLE["signs"]
_WORDLIKE = said("currencies.wordlike")
"""Codes that are, or look like, words of English or of computing."""
_PLAIN = frozenset({"cad", "sek", "zar", "php", "eth", "sar", "ron"})
"""Of these, the ones that are hardly ever the word where an assistant is asked about money."""
_MONEY = re.compile(r"(?:rate|currency|currencies|exchange|convert\w*|worth|price\w*)\b", re.IGNORECASE)
_CODE = re.compile(r"(?<![\w-])(?:[A-Z]{3}|[a-z]{3}|[A-Z][a-z]{2})(?![\w-])")
_NAME = {name: code for code, names in NAMES.items() for name in names}


def _pattern() -> re.Pattern[str]:
    forms = sorted(_NAME, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, forms))})(?:e?s)?(?![\w-])", re.IGNORECASE)


_NAMED = _pattern()
_SIGNED = re.compile("|".join(sorted(map(re.escape, SIGNS), key=len, reverse=True)))


def currencies(text: str) -> list[Mention]:
    """The currencies that a text names, in order."""
    money = _MONEY.search(text) is not None
    found: list[Mention] = []
    for one in _CODE.finditer(text):
        code = one[0].upper()
        if code not in NAMES:
            continue
        low = one[0].casefold()
        if one[0] != code and low in _WORDLIKE and not (money and low in _PLAIN):
            continue
        found.append(_mention(one.start(), one.end(), code))
        if len(found) == MOST:
            break
    for number, one in enumerate(_NAMED.finditer(text)):
        if number == MOST:
            break
        found.append(_mention(one.start(), one.end(), _NAME[one[1].casefold()]))
    for number, one in enumerate(_SIGNED.finditer(text)):
        if number == MOST:
            break
        found.append(_mention(one.start(), one.end(), SIGNS[one[0]]))
    found.sort(key=lambda one: (one.start, -one.end))
    kept: list[Mention] = []
    for mention in found:
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept


def _mention(start: int, end: int, code: str) -> Mention:
    return Mention(start=start, end=end, sort="currency", value=code)
