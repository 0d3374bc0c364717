"""Grammars: where a text stands, what may follow, and the shortest way to the end."""

import pytest

from archflow_plugins.local_models.grammar import (
    Either,
    Grammar,
    Members,
    Named,
    OneOf,
    Repeat,
    Sequence,
    Text,
)


def test_one_of_shares_beginnings():
    place = Grammar(OneOf([b"billing", b"bill", b"support"])).first
    assert place.allowed == 1 << ord("b") | 1 << ord("s")
    place = place.read(b"bill")
    assert place is not None
    assert place.accepts
    assert place.allowed == 1 << ord("i")
    assert place.finish() == b""


def test_what_does_not_fit_leads_nowhere():
    assert Grammar(Text(b"ab")).first.read(b"ac") is None
    assert not Grammar(Text(b"ab")).accepts(b"a")
    assert not Grammar(Text(b"ab")).accepts(b"abc")


def test_only_tells_what_must_follow():
    place = Grammar(Sequence(Text(b"ab"), OneOf([b"c", b"d"]))).first
    assert place.only == ord("a")
    assert place.read(b"ab").only == -1


def test_alternatives_are_followed_side_by_side():
    grammar = Grammar(Either([Sequence(Text(b"ab"), Text(b"c")), Sequence(Text(b"a"), Text(b"bd"))]))
    assert grammar.accepts(b"abc")
    assert grammar.accepts(b"abd")


def test_repeat_counts():
    grammar = Grammar(Repeat(b"[", Text(b"x"), Text(b","), b"]", 1, 3))
    assert [grammar.accepts(b"[" + b",".join([b"x"] * n) + b"]") for n in range(5)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert grammar.first.least == 3


def test_repeat_without_limit_does_not_count_for_ever():
    grammar = Grammar(Repeat(b"[", Text(b"x"), Text(b","), b"]", 2, None))
    place = grammar.first.read(b"[x,x")
    assert place is not None
    assert place.read(b",x") is place


def test_members_in_order_with_some_left_out():
    grammar = Grammar(
        Members(b"{", [(Text(b"a"), False), (Text(b"b"), True), (Text(b"c"), False)], Text(b","), b"}")
    )
    fitting = {b"{b}", b"{a,b}", b"{b,c}", b"{a,b,c}"}
    assert all(map(grammar.accepts, fitting))
    assert not any(map(grammar.accepts, [b"{}", b"{a}", b"{a,c}", b"{b,a}", b"{,b}", b"{b,}"]))
    assert grammar.first.finish() == b"{b}"


def test_recursion_finds_its_shortest_end():
    tree = Named()
    tree.part = Either([Text(b"leaf"), Sequence(Text(b"("), tree, Text(b")"))])
    grammar = Grammar(tree)
    place = grammar.first.read(b"((")
    assert place is not None
    assert place.finish() == b"leaf))"
    assert place.least == 6
    assert grammar.accepts(b"((leaf))")


def test_a_value_that_must_contain_itself_is_refused():
    tree = Named()
    tree.part = Sequence(Text(b"("), tree, Text(b")"))
    with pytest.raises(ValueError, match="contain itself"):
        Grammar(tree)


def test_a_name_that_stands_for_itself_is_no_endless_loop():
    tree = Named()
    tree.part = Either([tree, Text(b"x")])
    assert Grammar(tree).accepts(b"x")


def test_branches_without_an_end_are_never_entered():
    dead = Named()
    dead.part = Sequence(Text(b"("), dead)
    place = Grammar(Either([dead, Text(b"x")])).first
    assert place.allowed == 1 << ord("x")
