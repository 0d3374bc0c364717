"""Pieces: about a sentence each, nothing lost, none too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archflow_plugins.guards.pieces import LEAST, MOST, pieces

FILLER = "It goes on until there is enough of it to be cut, and so do the others that stand here. " * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t", []),
        ("This is one sentence of some length. And here is another!", 1),
        (f"This is one sentence of some length. {FILLER}", "This is one sentence of some length."),
        (f"# A heading of a document\n{FILLER}", "# A heading of a document"),
        (f"No. Yes. Perhaps. And then it ends. {FILLER}", "No. Yes. Perhaps. And then it ends."),
        (f"Version 1.2.3 of the program is there! {FILLER}", "Version 1.2.3 of the program is there!"),
        ("请告诉我天气。" * 40, "请告诉我天气。" * 4),
    ],
)
def test_a_piece_ends_where_a_sentence_ends(text, expected):
    found = pieces(text)
    assert expected in ([found, len(found)] if not isinstance(expected, str) else found[:1])


def test_a_long_sentence_is_cut_at_white_space():
    found = pieces("word " * 200)
    assert " ".join(found) == ("word " * 200).strip()
    assert all(MOST - 60 < len(piece) <= MOST for piece in found[:-1])


@given(st.text(alphabet="ab .!?;\n\u3002\u00a0", max_size=2000))
def test_nothing_is_lost_and_nothing_is_too_long(text):
    found = pieces(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(0 < len(piece) <= MOST for piece in found)
    assert len(found) <= 1 + len(text) // LEAST
