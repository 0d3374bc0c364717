"""Words of names and texts."""

import pytest

from archflow_plugins.slots.words import folded, pieces, stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("from_currency", ("from", "currency")),
        ("fromCurrency", ("from", "currency")),
        ("HTMLPage", ("html", "page")),
        ("user-id", ("user", "id")),
        ("num1", ("num", "1")),
        ("año_vehículo", ("año", "vehículo")),
        ("_", ()),
    ],
)
def test_pieces(name, expected):
    assert pieces(name) == expected


def test_forms_have_one_stem():
    for forms in ("reboot rebooting reboots rebooted", "city cities", "device devices", "rate rates rating"):
        assert len({stem(one) for one in forms.split()}) == 1, forms
    assert stem("class") == "class"
    assert stem("is") == "is"


def test_folded():
    assert folded("Lightly-Active, (x)") == "lightly active x"
