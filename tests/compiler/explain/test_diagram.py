from typing import get_args

import pytest

from archflow_compiler.explain.diagram import LOOKS, diagram, dot, mermaid
from archflow_compiler.explain.svg import svg
from archflow_schema.graph import Node, node_type
from compiling import HEAD, MODEL, graph

LIMITED = (
    HEAD + MODEL + "ratelimits: [{model: gpt-4o, selector: {key: x-user}, limit: {tokens: 7, unit: hour}}]\n"
)


@pytest.fixture(scope="module")
def found():
    return graph(LIMITED)


def test_a_diagram_has_every_node_and_no_loose_end(found):
    drawn = diagram(found)
    ids = {box.id for box in drawn.boxes}
    assert len(drawn.boxes) == len(found.nodes) + len(found.listeners) + 1
    assert all({arrow.source, arrow.target} <= ids for arrow in drawn.arrows)


def test_mermaid_and_dot_have_a_line_for_each(found):
    drawn = diagram(found)
    assert len(mermaid(drawn).splitlines()) == 1 + len(drawn.boxes) + len(drawn.arrows)
    assert len(dot(drawn).splitlines()) == 4 + len(drawn.boxes) + len(drawn.arrows)


def test_names_cannot_break_the_text():
    odd = graph(HEAD + "model_providers: [{model: openai/x, access_key: $K, name: 'a\"]<b>&\\c'}]\n")
    drawn = diagram(odd)
    assert '"]<b>' not in mermaid(drawn)
    assert 'a\\"]<b>&\\\\c' in dot(drawn)


def test_every_type_of_node_has_a_look():
    assert {str(one.__struct_config__.tag) for one in get_args(Node)} <= LOOKS.keys()


def test_a_preference_of_two_models_is_drawn_in_every_form():
    ranked = graph(
        HEAD
        + """model_providers: [{model: openai/a, access_key: $K}, {model: openai/b, access_key: $K}]
routing_preferences: [{name: code, description: programs, models: [openai/a, openai/b]}]
"""
    )
    drawn = diagram(ranked)
    assert any(node_type(node) == "next" for node in ranked.nodes)
    for text in (mermaid(drawn), dot(drawn), svg(drawn)):
        assert "openai/b" in text
