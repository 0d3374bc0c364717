"""Windows: short texts stay whole, long ones are covered without a gap, and no window is longer than it may be."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from archflow_plugins.guards.windows import SIZE, SLACK, STRIDE, windows


def test_white_space_alone_has_no_window():
    assert windows("") == windows(" \n\t ") == []


def test_a_text_that_fits_stays_whole():
    text = "a" * (SIZE + SLACK)
    assert windows(f"  {text}\n") == [text]


def test_cuts_fall_on_white_space():
    text = " ".join(f"word{number}" for number in range(600))
    found = windows(text)
    assert len(found) > 5
    assert all(set(piece.split()) <= set(text.split()) for piece in found)


def test_neighbours_overlap():
    text = " ".join(f"word{number}" for number in range(600))
    found = windows(text)
    for before, after in pairwise(found):
        assert after.split()[0] in before.split()


@given(st.text(st.characters(codec=None), max_size=4000))
def test_every_word_is_in_some_window(text):
    found = windows(text)
    assert all(0 < len(piece) <= SIZE + SLACK for piece in found)
    assert len(found) <= 1 + len(text) // (STRIDE - SLACK)
    held = "".join(found)
    assert set(text.strip()) - set(held) <= {one for one in text if one.isspace()}
