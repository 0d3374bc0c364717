"""Units and exact conversions."""

from archflow_plugins.slots.extract.units import convert, dimension, named


def test_conversions_are_exact():
    assert convert(2, "week", "d") == 14
    assert convert(90, "min", "h") == 1.5
    assert convert(50, "mh", "henry") == 0.05
    assert convert(1, "ft", "in") == 12
    assert convert(1, "month", "d") is None
    assert convert(1, "c", "fahrenheit") is None
    assert convert(1, "kg", "m") is None


def test_a_description_names_its_unit():
    assert named("the height in inches") == "in"
    assert named("m for one in the team") == ""
    assert dimension(named("duration in minutes")) == "time"
