"""Values that fit their slots, and those that do not."""

import math

import pytest

from archflow_plugins.slots.values import fit, lenient
from archflow_schema.slots import Slot


def slot(kind, **more):
    return Slot("s", "a slot", kind, **more)


@pytest.mark.parametrize(
    ("one", "value", "expected"),
    [
        (slot("int"), 4.0, b"4"),
        (slot("int"), 4.5, None),
        (slot("int"), True, None),
        (slot("int"), 10**30, None),
        (slot("float"), 4, b"4.0"),
        (slot("float"), math.inf, None),
        (slot("bool"), True, b"true"),
        (slot("bool"), 1, None),
        (slot("str"), "x", b'"x"'),
        (slot("str"), "", None),
        (slot("str"), 5, b'"5"'),
        (slot("str"), "\ud800", b'"?"'),
        (slot("list", items="int"), [1, 2], b"[1,2]"),
        (slot("list", items="int"), [1, "a"], None),
        (slot("list", items="int"), [], None),
        (slot("dict"), {"a": 1}, b'{"a":1}'),
        (slot("dict"), [1], None),
        (slot("str", enum=(b'"Celsius"', b'"K"')), "celsius", b'"Celsius"'),
        (slot("str", enum=(b'"Celsius"',)), "x", None),
        (slot("int", enum=(b"1", b"2")), 2, b"2"),
        (slot("int", enum=(b"1", b"2")), 3, None),
        (slot("list", enum=(b'"a"', b'"b"')), ["A", "b"], b'["a","b"]'),
        (slot("str", format="email"), "a@b.c", b'"a@b.c"'),
        (slot("str", format="email"), "a", None),
    ],
)
def test_fit(one, value, expected):
    found = fit(one, value)
    assert (None if found is None else bytes(found)) == expected


def test_models_write_values_in_other_types():
    assert lenient(slot("int"), "1,500") == 1500
    assert lenient(slot("bool"), "No") is False
    assert lenient(slot("list"), "x") == ["x"]
    assert lenient(slot("list"), '["x","y"]') == ["x", "y"]
    assert lenient(slot("int"), [3]) == 3
    assert lenient(slot("str"), "5") == "5"
    assert lenient(slot("int"), "five") == "five"
