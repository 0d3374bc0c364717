"""JSON as a tree: the same values as any reader's, at their places; mistakes at theirs."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archflow_compiler.drafting.json_tree import parse
from archflow_compiler.source import MAX_DEPTH, Source
from archflow_compiler.tree import Mapping, plain
from archflow_schema.diagnostic import Report


def read(text):
    report = Report()
    return parse(Source("a.json", text), report), list(report)


VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(VALUE, st.sampled_from([0, 1, 3]))
def test_it_reads_what_others_write(value, indent):
    text = msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()
    tree, found = read(text)
    assert not found
    assert plain(tree) == msgspec.json.decode(text)


def test_places():
    tree, _ = read('{\n  "a": [1,\n   true]}')
    assert isinstance(tree, Mapping)
    entry = tree.entry("a")
    assert (entry.key_range.line, entry.key_range.column, entry.key_range.end_column) == (2, 3, 6)
    assert [(one.range.line, one.range.column) for one in entry.node.items] == [(2, 9), (3, 4)]


@pytest.mark.parametrize(
    ("text", "said", "place"),
    [
        ('{"a": 1,}', '"}" makes no sense here', (1, 9)),
        ("[1,]", '"]" makes no sense here', (1, 4)),
        ("[1 2]", "a comma is missing", (1, 4)),
        ('{"a" 1}', "a colon is missing behind the key", (1, 4)),
        ("{1: 2}", "a key must be text", (1, 2)),
        ("{[]: 2}", "a key must be text", (1, 2)),
        ('{"a": }', '"}" makes no sense here', (1, 7)),
        ("[1", "it ends too early", (1, 2)),
        ("{'a': 1}", "something else was expected here", (1, 2)),
        ('["a\n"]', "something else was expected here", (1, 2)),
        ("[01]", "something else was expected here", (1, 2)),
        ("[] []", "something stands behind its end", (1, 4)),
        ("\n[}", '"}" makes no sense here', (2, 2)),
        ("", "it ends too early", (1, 1)),
        ("[" * (MAX_DEPTH + 1), f"the values are nested more than {MAX_DEPTH} deep", (1, MAX_DEPTH + 1)),
    ],
)
def test_mistakes(text, said, place):
    tree, [found] = read(text)
    assert tree is None
    assert found.summary == f"this is not JSON: {said}"
    assert (found.range.line, found.range.column) == place


def test_half_a_character_is_read_as_something_that_can_be_written():
    tree, found = read(r'{"a": "x\ud800y"}')
    assert not found
    assert plain(tree) == {"a": "x?y"}


def test_a_key_that_stands_twice_is_the_last_one():
    assert plain(read('{"a": 1, "a": 2}')[0]) == {"a": 2}
