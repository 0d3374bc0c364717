"""Ids, serial numbers, addresses of machines, paths."""

import pytest

from archflow_plugins.slots.extract.codes import codes


@pytest.mark.parametrize(
    ("text", "value", "shape"),
    [
        ("order #12345", "12345", "marked"),
        ("component AB1010CD", "AB1010CD", "mixed"),
        ("docket 2022/AL2562", "2022/AL2562", "mixed"),
        ("at 192.168.1.10", "192.168.1.10", "ip"),
        ("6ba7b810-9dad-41d1-80b4-00c04fd430c8", "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "uuid"),
        ("00:1A:2B:3C:4D:5E", "00:1A:2B:3C:4D:5E", "mac"),
        ("read ~/data/my.nii please", "~/data/my.nii", "path"),
        ("version 3.1.0", "3.1.0", "version"),
    ],
)
def test_codes(text, value, shape):
    assert [(one.value, one.shape) for one in codes(text)] == [(value, shape)]


@pytest.mark.parametrize("text", ["5km", "the 2nd", "hello", "10am", ""])
def test_no_codes(text):
    assert codes(text) == []
