"""What patterns may say, and what is said of those that cannot be used."""

import pytest

from archflow_plugins.guards.pattern import BadPattern, Characters, Repeat, is_word, parse


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "reference to a group"),
        ("a(?=b)", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(?i:a)", "look-around, flags"),
        ("(a", "not closed"),
        ("a)", "closes nothing"),
        ("[a", "too early"),
        ("a\\", "too early"),
        ("*a", "nothing before"),
        ("a**", "repetition is repeated"),
        ("a{2}{3}", "repetition is repeated"),
        ("^*", "anchor"),
        ("a{3,2}", "backwards"),
        ("[z-a]", "backwards"),
        ("a{1001}", "more than 1000 times"),
        (r"\q", "means nothing"),
        (r"\x1", "means nothing"),
        (r"\UFFFFFFFF", "means nothing"),
        ("(" * 41 + ")" * 41, "groups in groups"),
    ],
)
def test_what_cannot_be_used(pattern, why):
    with pytest.raises(BadPattern, match=why):
        parse(pattern, ignore_case=False)


def test_a_brace_that_counts_nothing_is_a_brace():
    tree = parse("a{b}", ignore_case=False)
    assert not any(isinstance(part, Repeat) for part in tree.parts)
    assert len(tree.parts) == 4


def test_either_case():
    one = Characters((("a", "f"),), ignore_case=True)
    assert [one.holds(letter) for letter in "aAgG"] == [True, True, False, False]
    assert Characters((("a", "f"),), but=True, ignore_case=True).holds("G")


def test_what_words_are_made_of():
    assert [is_word(one) for one in "aé_5 -\n"] == [True, True, True, True, False, False, False]
