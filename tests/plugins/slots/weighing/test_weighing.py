"""Free text by trees: what they see, what they say, and who has the last word."""

import msgspec
import pytest

from archflow_plugins.slots import fill
from archflow_plugins.slots.candidates.finders import candidates
from archflow_plugins.slots.turn import turn
from archflow_plugins.slots.weighing.choose import choose
from archflow_plugins.slots.weighing.features import FEATURES, PIECES, Scene, rows, weighed
from archflow_plugins.slots.weighing.trees import WEIGHTS, Tree, Trees, Weights
from archflow_schema.slots import Intent, Slot
from slot_world import NOW

FIND = Intent(
    "find_instrument",
    "Find prices of a musical instrument",
    (
        Slot("instrument", "The kind of instrument", "str", required=True),
        Slot("manufacturer", "Who makes it, such as 'Steinway'", "str", required=True),
        Slot("count", "How many results", "int"),
        Slot("shops", "Names of shops", "list", items="str"),
    ),
)
SAID = "Find me the average price of a piano from Yamaha, top 3"


def scene(text=SAID, near=None, intent=FIND):
    target = fill.target(intent)
    read = turn(text, NOW)
    found = {place: candidates(want, read) for place, want in enumerate(target.wants)}
    return Scene(target.wants, read, found, target.about, near or {})


class Says(Trees):
    """Trees that give each piece the chance that is told."""

    def __init__(self, chances):
        self._said = chances

    def chances(self, numbers):
        return self._said[: len(numbers)]


def chances_of(here, wanted):
    pairs, _ = rows(here)
    return [wanted.get((place, one.value), 0.0) for place, one in pairs]


def test_each_piece_of_free_text_has_all_numbers():
    pairs, numbers = rows(scene())
    assert pairs
    assert {len(one) for one in numbers} == {len(FEATURES)}
    assert {place for place, _ in pairs} == {0, 1}


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        (Slot("city", "", "str"), True),
        (Slot("note", "", "str"), True),
        (Slot("cities", "", "list", items="str"), False),
        (Slot("size", "", "int"), False),
        (Slot("day", "", "str", enum=(b'"monday"',)), False),
        (Slot("prompt", "The user's original question", "str"), False),
    ],
)
def test_free_text_alone_is_weighed(slot, expected):
    [want] = fill.target(Intent("f", "", (slot,))).wants
    assert weighed(want) is expected


def test_what_a_piece_is_near_to_is_seen_and_else_is_not_known():
    near = {"Yamaha": ([0.1, 0.6, 0.0, 0.0], [0.2, 0.5, 0.0, 0.0], [0.3, 0.4, 0.0, 0.0], 0.05)}
    here = scene(near=near)
    pairs, numbers = rows(here)
    own = FEATURES.index("near description")
    apart = FEATURES.index("nearer than to other descriptions")
    told = {(place, one.value): row for (place, one), row in zip(pairs, numbers, strict=True)}
    assert told[1, "Yamaha"][own] == 0.6
    assert told[1, "Yamaha"][apart] == pytest.approx(0.5)
    assert told[0, "piano"][own] != told[0, "piano"][own]


def test_a_long_turn_has_only_so_many_pieces():
    pairs, _ = rows(scene(" and ".join(f"Name{at}" for at in range(300))))
    assert len(pairs) <= 2 * PIECES


def test_trees_add_up():
    leaf = Tree((-1,), (0.5,), (0,), (0,), (0,))
    split = Tree((1, -1, -1), (2.0, 1.0, -1.0), (1, 0, 0), (2, 0, 0), (1, 0, 0))
    trees = Trees(Weights(FEATURES, 0.5, (leaf, split)))
    low, high, unknown = ([0.0, value] for value in (2.0, 3.0, float("nan")))
    assert trees.chances([low, high, unknown]) == pytest.approx([0.8808, 0.5, 0.8808], abs=1e-4)


def test_trees_of_other_numbers_are_refused():
    with pytest.raises(ValueError, match="install archflow again"):
        Trees(Weights(("rule: score",), 0.0, ()))


def test_the_trees_that_ship_fit_and_are_small():
    told = WEIGHTS.read_bytes()
    assert len(told) < 1_000_000
    weights = msgspec.json.decode(told, type=Weights)
    for tree in weights.trees:
        size = len(tree.feature)
        assert all(at < size for at in (*tree.left, *tree.right))
        assert all(one < len(FEATURES) for one in tree.feature)
        # A node leads only to later ones, so that every walk ends.
        inner = [place for place, one in enumerate(tree.feature) if one >= 0]
        assert all(min(tree.left[place], tree.right[place]) > place for place in inner)


def test_a_piece_that_is_believed_is_taken_where_the_rules_have_none():
    here = scene()
    trees = Says(chances_of(here, {(0, "piano"): 0.9, (1, "Yamaha"): 0.5}))
    assert {place: one.value for place, one in choose(here, {}, trees).items()} == {0: "piano", 1: "Yamaha"}


def test_what_the_rules_chose_and_nobody_believes_is_dropped():
    here = scene()
    ruled = {1: next(one for one in here.found[1] if one.value == "Yamaha")}
    assert choose(here, ruled, Says(chances_of(here, {(1, "Yamaha"): 0.1}))) == {}
    assert choose(here, ruled, Says(chances_of(here, {(1, "Yamaha"): 0.25}))) == ruled


def test_another_piece_takes_the_place_of_a_doubtful_one_and_no_piece_is_given_twice():
    here = scene()
    ruled = {0: next(one for one in here.found[0] if one.value == "Yamaha")}
    trees = Says(chances_of(here, {(0, "Yamaha"): 0.3, (0, "piano"): 0.8, (1, "Yamaha"): 0.7}))
    assert {place: one.value for place, one in choose(here, ruled, trees).items()} == {
        0: "piano",
        1: "Yamaha",
    }


def test_what_is_not_weighed_keeps_what_the_rules_chose():
    here = scene()
    ruled = {2: here.found[2][0]}
    assert choose(here, ruled, Says([0.0] * 500)) == ruled


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Book a table at Balthazar this friday", "Balthazar"), ("Book a table this friday", None)],
)
def test_the_trees_that_ship_take_what_was_said_and_miss_what_was_not(text, expected):
    slot = Slot("restaurant_name", "The name of the restaurant", "str", required=True)
    chosen = choose(scene(text, intent=Intent("book", "Book a table", (slot,))), {}, Trees.installed())
    assert [one.value for one in chosen.values()] == ([] if expected is None else [expected])
