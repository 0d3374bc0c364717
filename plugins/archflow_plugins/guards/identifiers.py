"""Personal data in texts: patterns of fixed extent, each with the checksum or rules that tell it from mere digits.

Rule: pure, and linear in the text: every pattern is bounded, and begins where no longer one goes on.
Rule: what is found is told as name and place, never as a copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from ipaddress import ip_address
from itertools import accumulate
from typing import NamedTuple


class Found(NamedTuple):
    """What was found, and where."""

    name: str
    start: int
    end: int


class _Identifier(NamedTuple):
    """A pattern, and how many of the characters that it matched are one; 0 for none."""

    pattern: re.Pattern[str]
    extent: Callable[[str], int]


def find(text: str, names: tuple[str, ...], start: int = 0) -> Iterator[Found]:
    """Everything of these names in a text from `start` on, in the order of the names."""
    for name in names:
        if name == "card":
            yield from _cards(text, start)
            continue
        pattern, extent = IDENTIFIERS[name]
        for match in pattern.finditer(text, start):
            length = extent(match.group())
            if length:
                yield Found(name, match.start(), match.start() + length)


def apart(found: Iterable[Found], start: int = 0) -> Iterator[Found]:
    """What was found from `start` on, in the order of the text; of what overlaps the first, and then the longest."""
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if one.start >= start:
            yield one
            start = one.end


def alike(text: str, names: tuple[str, ...], start: int = 0) -> Iterator[tuple[int, int]]:
    """Where from `start` on anything stands that looks like one of these names, whether it is one or not."""
    for name in names:
        pattern = _RUN if name == "card" else IDENTIFIERS[name].pattern
        for match in pattern.finditer(text, start):
            yield match.span()


# Whole or nothing.


def _whole(holds: Callable[[str], bool]) -> Callable[[str], int]:
    return lambda text: len(text) if holds(text) else 0


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _phone(text: str) -> bool:
    return 8 <= len(_digits(text)) <= 15  # ITU-T E.164


def _address(text: str) -> bool:
    if ":" in text and sum(map(str.isdigit, text)) == 0:
        return False  # `a::b` is rather a name in a program
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _nino(text: str) -> bool:
    return text[:2].upper() not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def _dni(text: str) -> bool:
    plain = text.replace("-", "").upper()
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI[int(number) % 23] == plain[-1]


def _nir(text: str) -> bool:
    plain = text.replace(" ", "").upper()
    number = plain[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(plain[13:])


_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def _codice_fiscale(text: str) -> bool:
    plain = text.upper()
    odd = sum(_ODD[one] for one in plain[:15:2])
    even = sum(int(one) if one.isdigit() else ord(one) - ord("A") for one in plain[1:15:2])
    return chr(ord("A") + (odd + even) % 26) == plain[15]


def _tax_id(text: str) -> bool:
    digits = _digits(text)

    def step(product: int, digit: str) -> int:
        total = (int(digit) + product) % 10 or 10
        return total * 2 % 11

    return (11 - reduce(step, digits[:10], 10)) % 10 == int(digits[10])  # ISO 7064, MOD 11,10


def _bsn(text: str) -> bool:
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(weight * int(digit) for weight, digit in zip(weights, text, strict=True)) % 11 == 0


# IBANs end where their country says; what follows may look as if it went on.

_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Country -> characters of its IBANs. Source: SWIFT, IBAN registry."""


def _iban(text: str) -> int:
    length = _LENGTHS.get(text[:2].upper(), 0)
    places = [place for place, one in enumerate(text) if one.isalnum()]
    if not length or len(places) < length:
        return 0
    plain = "".join(text[place] for place in places[:length]).upper()
    number = int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4]))
    if number % 97 != 1:  # ISO 7064, MOD 97-10
        return 0
    end = places[length - 1] + 1
    return end if not text[end : end + 1].isalnum() else 0


# A card's number may stand among other groups of digits, such as its date.

CARDS: dict[str, tuple[int, ...]] = {
    "2": (16,), "3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 17, 18, 19),
}  # fmt: skip
"""First digit -> how many there are (ISO/IEC 7812, as the networks issue them)."""
LONGEST_CARD = 19
_RUN = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,40}(?!\w)")
_GROUP = re.compile(r"\d+")


def _cards(text: str, start: int) -> Iterator[Found]:
    for run in _RUN.finditer(text, start):
        groups = [match.span() for match in _GROUP.finditer(run.group())]
        digits = _digits(run.group())
        sums = [_doubled(digits, parity) for parity in (0, 1)]
        ends = list(accumulate((end - start for start, end in groups), initial=0))
        first = 0
        while first < len(groups):
            last = _card(digits, sums, ends, first)
            if last:
                yield Found("card", run.start() + groups[first][0], run.start() + groups[last - 1][1])
            first = last or first + 1


def _card(digits: str, sums: list[list[int]], ends: list[int], first: int) -> int:
    """Behind which group a card ends that begins with group `first`; 0 if none does."""
    begin = ends[first]
    lengths = _issued(digits[begin : begin + 4])
    for last in range(first + 1, len(ends)):
        end = ends[last]
        if end - begin > LONGEST_CARD:
            break
        if end - begin in lengths and (sums[end % 2][end] - sums[end % 2][begin]) % 10 == 0:
            return last
    return 0


def _doubled(digits: str, parity: int) -> list[int]:
    """Running sums of Luhn's formula where every digit at a place of this parity counts twice."""
    values = (
        sum(divmod(int(one) * 2, 10)) if at % 2 == parity else int(one) for at, one in enumerate(digits)
    )
    return list(accumulate(values, initial=0))


def _issued(start: str) -> tuple[int, ...]:
    """How many digits cards have that begin so; none if no cards do."""
    if start[0] == "2" and not "2221" <= start <= "2720":
        return ()
    return CARDS.get(start[0], ())


def _identifier(pattern: str, extent: Callable[[str], int] = len) -> _Identifier:
    return _Identifier(re.compile(pattern, re.IGNORECASE | re.ASCII), extent)


IDENTIFIERS: dict[str, _Identifier] = {
    "email": _identifier(
        r"(?<![\w.+-])[\w.+%'-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,24}(?![\w-])"
    ),
    "phone": _identifier(
        r"(?<![\w+])(?:\+\d[\d ()./-]{6,22}\d|\(?[2-9]\d{2}\)?[ .-][2-9]\d{2}[ .-]\d{4})(?!\w)",
        _whole(_phone),
    ),
    "iban": _identifier(r"(?<![\w-])[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,40}(?!\w)", _iban),
    "ip": _identifier(
        r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:(?:\.\d{1,3}){3})?)(?![\w:]|\.\d)",
        _whole(_address),
    ),
    "us_ssn": _identifier(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"),
    "uk_nino": _identifier(
        r"(?<!\w)[a-ceghj-prstw-z][a-ceghj-nprstw-z] ?\d\d ?\d\d ?\d\d ?[a-d](?!\w)", _whole(_nino)
    ),
    "es_dni": _identifier(r"(?<!\w)(?:\d{8}|[xyz]-?\d{7})-?[a-z](?!\w)", _whole(_dni)),
    "fr_nir": _identifier(
        r"(?<!\w)[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[ab]) ?\d{3} ?\d{3} ?\d\d(?!\w)",
        _whole(_nir),
    ),
    "it_codice_fiscale": _identifier(
        r"(?<!\w)[a-z]{6}[\dl-np-v]{2}[a-ehlmprst][\dl-np-v]{2}[a-z][\dl-np-v]{3}[a-z](?!\w)",
        _whole(_codice_fiscale),
    ),
    "de_tax_id": _identifier(r"(?<![\w.-])[1-9]\d ?\d{3} ?\d{3} ?\d{3}(?![\w-])", _whole(_tax_id)),
    "nl_bsn": _identifier(r"(?<![\w.-])\d{9}(?![\w-])", _whole(_bsn)),
}
"""Name -> how it is found. `card` is not among them: it is found in runs of groups."""
NAMES = ("card", *IDENTIFIERS)
USUAL = tuple(name for name in NAMES if name not in {"de_tax_id", "nl_bsn"})
"""Those that hardly anything else looks like; a tenth of all numbers of their length look like one of the rest."""
