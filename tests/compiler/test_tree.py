from archflow_compiler.source import Source, parse
from archflow_compiler.tree import Mapping, Places, Scalar, describe, find, head, plain
from archflow_schema.diagnostic import Report


def tree(text):
    report = Report()
    root = parse(Source("x.yaml", text), report)
    assert root is not None, list(report)
    return root


def test_changes_make_new_mappings_and_keep_places():
    root = tree("a: 1\nb: 2\n")
    changed = root.renamed("a", "c").without("b").having("d", Scalar(3, root.range))
    assert plain(changed) == {"c": 1, "d": 3}
    assert changed.entry("c").key_range == root.entry("a").key_range
    assert plain(root) == {"a": 1, "b": 2}


def test_setting_a_key_that_is_there_keeps_its_position_and_order():
    root = tree("a: 1\nb: 2\n")
    changed = root.having("a", Scalar(9, root.range))
    assert [entry.key for entry in changed] == ["a", "b"]
    assert changed.entry("a").key_range.line == 1


def test_find_walks_keys_and_indexes():
    root = tree("a:\n  - b: 1\n  - c\n")
    assert find(root, ("a", 0, "b")).value == 1
    assert find(root, ("a", 1)).value == "c"
    assert find(root, ("a", 2)) is None
    assert find(root, ("a", "b")) is None
    assert find(root, ()) is root


def test_head_of_a_mapping_is_its_first_key_and_of_a_list_its_first_character():
    root = tree("list:\n  - key: value\n")
    place = head(find(root, ("list", 0)))
    assert (place.line, place.column, place.end_column) == (2, 5, 8)
    place = head(find(root, ("list",)))
    assert (place.line, place.end_line, place.end_column - place.column) == (2, 2, 1)


def test_describe_names_what_was_found():
    root = tree('a: {}\nb: []\nc: ~\nd: true\ne: 1.50\nf: "x"\ng: [1]\nh: {i: 1}\n')
    assert [describe(entry.node) for entry in root] == [
        "an empty mapping",
        "an empty list",
        "nothing",
        "true",
        "the number 1.50",
        'the text "x"',
        "a list",
        "a mapping",
    ]
    assert len(describe(Scalar("x" * 500, root.range))) < 60


def test_places_fall_back_to_what_stands_around():
    root = tree("a:\n  b: 1\n")
    places = Places(root)
    places.nodes["a",] = root.get("a")
    places.keys["a",] = root.entry("a").key_range
    assert places.value("a", "missing", 3).line == 2
    assert places.key("a").line == 1
    assert places.value("nowhere") == head(root)
    assert places.said("a")
    assert not places.said("b")
    assert isinstance(places.node(), Mapping)
