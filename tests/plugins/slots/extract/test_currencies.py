"""Currencies by code, name and sign."""

import pytest

from archflow_plugins.slots.extract.currencies import NAMES, currencies


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is exchange rate for gbp", ["GBP"]),
        ("USD to EUR", ["USD", "EUR"]),
        ("how much is the euro", ["EUR"]),
        ("British pounds in Japanese yen", ["GBP", "JPY"]),
        ("pounds and dollars", ["GBP", "USD"]),
        ("Canadian dollars", ["CAD"]),
        ("$5 or €4 or A$3", ["USD", "EUR", "AUD"]),
        ("in swiss francs", ["CHF"]),
        ("Swedish kronor", ["SEK"]),
        ("quid", ["GBP"]),
        ("can you try all of them", []),
        ("TRY please", ["TRY"]),
        ("exchange rate for cad", ["CAD"]),
        ("a cad file", []),
        ("abc", []),
        ("eurozone", []),
    ],
)
def test_what_is_a_currency(text, expected):
    assert [one.value for one in currencies(text)] == expected


def test_codes_are_codes():
    assert all(len(code) == 3 and code.isupper() for code in NAMES)
    assert len(NAMES) > 140
    every = [name for names in NAMES.values() for name in names]
    assert len(every) == len(set(every)), "a name stands for two currencies"
