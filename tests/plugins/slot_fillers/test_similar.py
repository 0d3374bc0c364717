"""Options by meaning, with vectors made for the test."""

import numpy as np
import trio

from archflow_plugins.slot_fillers.similar import close
from archflow_plugins.slots import dialogue, fill, targets
from archflow_plugins.slots.turn import turn
from archflow_plugins.testing import conversation
from archflow_schema.slots import Intent, Slot
from slot_world import NOW

ACTION = Intent(
    "act", "Do it", (Slot("action", "what to do", "str", required=True, enum=(b'"delete"', b'"create"')),)
)


FIND = Intent(
    "find_attractions",
    "Find attractions",
    (Slot("category", "of which kind", "str", required=True, enum=(b'"museum"', b'"tourist attraction"')),),
)


def chosen(text, angles, least=0.65, intent=ACTION):
    """The option for a text, where texts stand at angles; what is not among them stands apart from all."""

    async def encode(texts):
        await trio.lowlevel.checkpoint()
        rows = [
            [np.cos(angles[one]), np.sin(angles[one]), 0.0] if one in angles else [0, 0, 1.0] for one in texts
        ]
        return np.array(rows, dtype=np.float32)

    told = dialogue.read(conversation(f"user: {text}"), NOW)
    drafts = targets.drafts([fill.target(intent)], told)
    trio.run(close, drafts, [turn(text, NOW)], encode, least)
    return drafts[0].values.get(0)


def test_the_closest_option_is_meant():
    assert chosen("remove the file", {"delete": 0.0, "create": 1.5, "remove": 0.4}) == ("delete",)


def test_nothing_close_is_nothing_meant():
    assert chosen("remove the file", {"delete": 0.0, "create": 1.5, "remove": -1.4}) is None


def test_between_two_options_nothing_is_meant():
    assert chosen("change the file", {"delete": 0.0, "create": 0.6, "change": 0.3}) is None
    assert (
        chosen("remove and build files", {"delete": 0.0, "create": 1.5, "remove": 0.1, "build": 1.4}) is None
    )


def test_what_words_say_is_not_asked_of_vectors():
    assert chosen("create it", {"delete": 0.0, "create": 1.5, "create it": 0.0}) == ("create",)


def test_the_words_of_the_target_are_no_choice_of_its_user():
    angles = {"tourist attraction": 0.0, "museum": 1.5, "attractions": 0.1, "sights": 0.1}
    assert chosen("find attractions in rome", angles, intent=FIND) is None
    assert chosen("find sights in rome", angles, intent=FIND) == ("tourist attraction",)
