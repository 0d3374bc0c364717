from xml.etree import ElementTree as ET

import pytest

from archflow_compiler.diagram import diagram, dot, mermaid
from archflow_compiler.explain import text
from archflow_compiler.svg import svg
from compiling import HEAD, MODEL, graph

LIMITED = (
    HEAD + MODEL + "ratelimits: [{model: gpt-4o, selector: {key: x-user}, limit: {tokens: 7, unit: hour}}]\n"
)


@pytest.fixture(scope="module")
def found():
    return graph(LIMITED)


def test_every_node_and_outcome_is_named(found):
    said = text(found, "abc")
    for words in (
        "sha256 abc",
        "listener llm: model, http://0.0.0.0:12000",
        "unknown -> reply 404 model_not_found",
        "7 tokens per hour for each x-user",
        "timeout -> reply 504 upstream_timeout",
        "streaming -> the client",
        "key $OPENAI_API_KEY",
    ):
        assert words in said


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
    ET.fromstring(svg(drawn))


def test_svg_places_boxes_beside_each_other_and_inside_the_picture(found):
    root = ET.fromstring(svg(diagram(found)))
    space = "{http://www.w3.org/2000/svg}"
    width, height = int(root.get("width")), int(root.get("height"))
    boxes = [
        tuple(int(box.get(name)) for name in ("x", "y", "width", "height"))
        for box in root.iter(f"{space}rect")
        if box.get("rx")
    ]
    assert len(boxes) == len(diagram(found).boxes)
    for x, y, wide, high in boxes:
        assert 0 <= x < x + wide <= width
        assert 0 <= y < y + high <= height
    for number, (x, y, wide, high) in enumerate(boxes):
        for other_x, other_y, other_wide, other_high in boxes[number + 1 :]:
            apart = (
                x + wide <= other_x
                or other_x + other_wide <= x
                or y + high <= other_y
                or other_y + other_high <= y
            )
            assert apart


def test_arrows_lead_to_the_right(found):
    root = ET.fromstring(svg(diagram(found)))
    paths = [
        path.get("d") for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("fill") == "none"
    ]
    assert len(paths) == len(diagram(found).arrows)
    for path in paths:
        numbers = [int(word) for word in path.replace("M", "").replace("C", " ").split()]
        assert numbers[0] < numbers[-2]
