"""What pieces of a turn are near to: what is embedded, once, and what comes of it."""

import numpy as np
import pytest
import trio

from archflow_plugins.slot_fillers.nearness import PHRASES_AT_MOST, near, nearness, phrases, told
from archflow_plugins.slots import fill
from archflow_plugins.slots.turn import turn
from archflow_schema.slots import Intent, Slot
from slot_world import NOW

FIND = fill.target(
    Intent(
        "find_recipe",
        "Find a recipe",
        (
            Slot("dish", "What to cook, such as 'lasagna' or 'soup'", "str", required=True),
            Slot("maxMinutes", "How long it may take", "int"),
        ),
    )
)
COUNTED = fill.target(Intent("count", "Count", (Slot("number", "", "int", required=True),)))


class Encoder:
    def __init__(self):
        self.heard = []

    async def __call__(self, texts):
        self.heard.append(list(texts))
        return np.eye(8)[[len(text) % 8 for text in texts]]


def test_a_target_says_descriptions_names_examples_and_what_it_does():
    assert told(FIND) == [
        "dish: What to cook, such as 'lasagna' or 'soup'",
        "max minutes: How long it may take",
        "dish",
        "max minutes",
        "lasagna, soup",
        "max minutes",
        "find recipe: Find a recipe",
    ]


def test_phrases_are_told_once_and_not_without_end():
    assert "lasagna" in phrases(turn("cook lasagna for 30 minutes, lasagna please", NOW))
    many = phrases(turn(" and ".join(f"Name{at}" for at in range(200)), NOW))
    assert len(many) == len(set(many)) == PHRASES_AT_MOST


def test_cosines_stand_by_slot_and_kind():
    table = np.array([[1.0, 0], [0, 1], [0.6, 0.8], [0, 1], [0.8, 0.6], [0, 1], [0, 0.5]])
    assert near(["soup"], np.array([[1.0, 0.0]]), table) == {
        "soup": ([1.0, 0.0], [0.6, 0.0], [0.8, 0.0], pytest.approx(0.0))
    }


def test_one_batch_for_a_request_whose_targets_get_their_own():
    encode = Encoder()
    other = fill.target(Intent("note", "Write", (Slot("note", "", "str", required=True),)))
    found = trio.run(nearness, [FIND, COUNTED, other], [turn("cook lasagna", NOW)], encode)
    assert [len(one) for one in encode.heard] == [len(found["note"]) + 7 + 4]
    assert found.keys() == {"find_recipe", "note"}
    # By this encoder, texts are alike where their lengths are, modulo 8.
    described, named, examples, task = found["find_recipe"]["lasagna"]
    assert (len(described), len(named), len(examples)) == (2, 2, 2)
    assert task == float(len("find recipe: Find a recipe") % 8 == 7)


@pytest.mark.parametrize(("targets", "text"), [([COUNTED], "cook lasagna"), ([], "cook"), ([FIND], "is it?")])
def test_where_nothing_is_free_text_nothing_is_embedded(targets, text):
    encode = Encoder()
    assert trio.run(nearness, targets, [turn(text, NOW)], encode) == {}
    assert encode.heard == []
