"""Methods that are functions of modules which are imported by the first call."""

import sys

from archflow_plugins.dialects.late import late

PLACE = "colorsys"


class Thing:
    convert = late(f"{PLACE}:rgb_to_hls")


class Other(Thing):
    pass


def test_the_first_call_imports_it_and_the_next_ones_find_it_on_the_class():
    sys.modules.pop(PLACE, None)
    assert PLACE not in sys.modules
    assert Other().convert(0.0, 0.0, 0.0) == (0.0, 0.0, 0.0)
    assert PLACE in sys.modules
    assert Thing.__dict__["convert"].__func__ is sys.modules[PLACE].rgb_to_hls
    assert "convert" not in Other.__dict__
    assert Thing().convert(1.0, 1.0, 1.0) == (0.0, 1.0, 0.0)
