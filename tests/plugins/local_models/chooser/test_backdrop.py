"""The backdrop that ships: what it holds, that its vectors are of it, and that it is a bridge."""

import numpy as np
import pytest

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.chooser.asked import asked
from archflow_plugins.local_models.chooser.backdrop import VECTORS, Backdrop, Ordinary
from archflow_plugins.local_models.errors import ModelCorrupt
from choosing_world import embedder, find, table


def test_the_vectors_that_ship_are_of_the_subjects_that_ship():
    ordinary, kept = Ordinary.read(), np.load(VECTORS)
    assert len(kept) == len(ordinary.texts)
    some = slice(None, None, 97)
    cosines = (embedder().encode(ordinary.texts[some]) * kept[some]).sum(1)
    assert cosines.min() > 0.99


def test_every_subject_is_described_and_asked_for_once():
    ordinary = Ordinary.read()
    assert set(ordinary.about) == set(range(len(ordinary.subjects)))
    assert all(one.name and one.description for one in ordinary.subjects)
    assert len({one.name for one in ordinary.subjects}) == len(ordinary.subjects)
    assert len(set(ordinary.requests)) == len(ordinary.requests)


def test_it_is_a_bridge_between_words_that_have_nothing_in_common():
    options = (
        Option(name="code", description="generating source code"),
        Option(name="kitchen", description="recipes and meals"),
    )
    said = asked(["quicksort in Go"])
    mains = table(options).mains(range(2))
    behind = Backdrop.installed().behind(said, embedder().encode(said.texts), mains)
    first, second = behind.bridged(0)
    assert first > 0 > second
    assert find("quicksort in Go", options=options).options[0] == 0


def test_vectors_of_something_else_are_refused():
    ordinary = Ordinary.read()
    with pytest.raises(ModelCorrupt, match="install archflow again"):
        Backdrop(ordinary, np.zeros((3, 384), np.float32))
