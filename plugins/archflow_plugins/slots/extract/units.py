"""Units of measurement: which words and signs name them, and which can be turned into each other exactly.

Rule: only exact conversions: a month has no number of days, and degrees have no common zero.
"""

from __future__ import annotations

import re
from decimal import Decimal

from archflow_plugins.slots.lexicon import said

_TABLE: dict[str, dict[str, tuple[str, str]]] = {
    "time": {
        "ms": ("0.001", "millisecond milliseconds ms msec"),
        "s": ("1", "second seconds sec secs s"),
        "min": ("60", "minute minutes min mins"),
        "h": ("3600", "hour hours hr hrs h"),
        "d": ("86400", "day days d"),
        "week": ("604800", "week weeks wk wks"),
        "fortnight": ("1209600", "fortnight fortnights"),
    },
    "months": {
        "month": ("1", "month months mo"),
        "quarter": ("3", "quarter quarters"),
        "year": ("12", "year years yr yrs"),
        "decade": ("120", "decade decades"),
    },
    "length": {
        "nm": ("0.000000001", "nanometer nanometers nanometre nanometres nm"),
        "um": ("0.000001", "micrometer micrometers micrometre micrometres µm μm"),
        "mm": ("0.001", "millimeter millimeters millimetre millimetres mm"),
        "cm": ("0.01", "centimeter centimeters centimetre centimetres cm"),
        "m": ("1", "meter meters metre metres m"),
        "km": ("1000", "kilometer kilometers kilometre kilometres km kms"),
        "in": ("0.0254", "inch inches in"),
        "ft": ("0.3048", "foot feet ft"),
        "yd": ("0.9144", "yard yards yd yds"),
        "mi": ("1609.344", "mile miles mi"),
    },
    "mass": {
        "mg": ("0.000001", "milligram milligrams mg"),
        "g": ("0.001", "gram grams g"),
        "kg": ("1", "kilogram kilograms kilo kilos kg kgs"),
        "t": ("1000", "tonne tonnes"),
        "lb": ("0.45359237", "pound pounds lb lbs"),
        "oz": ("0.028349523125", "ounce ounces oz"),
    },
    "capacity": {
        "pf": ("0.000000000001", "picofarad picofarads pf"),
        "nf": ("0.000000001", "nanofarad nanofarads nf"),
        "uf": ("0.000001", "microfarad microfarads µf μf"),
        "f": ("1", "farad farads"),
    },
    "inductance": {
        "uh": ("0.000001", "microhenry microhenries µh μh"),
        "mh": ("0.001", "millihenry millihenries mh"),
        "henry": ("1", "henry henries"),
    },
    "data": {
        "kb": ("1000", "kilobyte kilobytes kb"),
        "mb": ("1000000", "megabyte megabytes mb"),
        "gb": ("1000000000", "gigabyte gigabytes gb"),
        "tb": ("1000000000000", "terabyte terabytes tb"),
    },
    "volume": {
        "ml": ("0.001", "milliliter milliliters millilitre millilitres ml"),
        "l": ("1", "liter liters litre litres l"),
    },
    "temperature": {
        "c": ("", "celsius centigrade °c ℃"),
        "fahrenheit": ("", "fahrenheit °f ℉"),
        "k": ("", "kelvin"),
    },
    "speed": {"kmh": ("", "kmh kph km/h"), "mph": ("", "mph"), "m/s": ("", "m/s")},
    "angle": {"deg": ("", "degree degrees °")},
}
DIMENSION: dict[str, str] = {}
_FACTOR: dict[str, Decimal] = {}
BY_WORD: dict[str, str] = {"%": "%", "percent": "%", "percentage": "%", "pct": "%"}
for _dimension, _units in _TABLE.items():
    for _unit, (_factor, _words) in _units.items():
        DIMENSION[_unit] = _dimension
        if _factor:
            _FACTOR[_unit] = Decimal(_factor)
        for _word in _words.split():
            BY_WORD[_word] = _unit
DIMENSION["%"] = "share"
SHORT = said("units.short")
"""Names of units that are words of other meanings too: only right behind a number."""
_SPLIT = re.compile(r"[^\W\d_]+(?:/[^\W\d_]+)?|°\w?")


def dimension(unit: str) -> str:
    """What a unit measures; empty for none."""
    return DIMENSION.get(unit, "")


def convert(value: float, unit: str, wanted: str) -> float | None:
    """A quantity in another unit; None if that cannot be done exactly."""
    if unit == wanted:
        return value
    if dimension(unit) != dimension(wanted) or unit not in _FACTOR or wanted not in _FACTOR:
        return None
    found = Decimal(str(value)) * _FACTOR[unit] / _FACTOR[wanted]
    return int(found) if found == found.to_integral_value() and abs(found) < 1 << 53 else float(found)


def named(text: str) -> str:
    """The first unit that a description names: `the height in inches` gives `in`; empty if there is none."""
    for one in _SPLIT.finditer(text.casefold()):
        unit = BY_WORD.get(one[0])
        if unit and one[0] not in SHORT:
            return unit
    return ""
