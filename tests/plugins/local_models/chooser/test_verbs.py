"""Verbs by what they ask for, in any regular form."""

import pytest

from archflow_plugins.local_models.chooser.verbs import VERBS, verbs


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("write a poem", {"create"}),
        ("Writing poems", {"create"}),
        ("generating code snippets", {"create"}),
        ("stopped", {"end"}),
        ("cancels", {"end", "remove"}),
        ("the weather", set()),
        ("", set()),
    ],
)
def test_verbs_are_known_in_their_forms(text, classes):
    assert verbs(text) >= classes
    assert classes or not verbs(text)


def test_classes_have_members():
    assert all(members.split() for members in VERBS.values())
