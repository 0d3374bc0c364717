from xml.etree import ElementTree as ET

import pytest

from archflow_compiler.explain.diagram import diagram
from archflow_compiler.explain.svg import svg
from compiling import HEAD, MODEL, graph

LIMITED = (
    HEAD + MODEL + "ratelimits: [{model: gpt-4o, selector: {key: x-user}, limit: {tokens: 7, unit: hour}}]\n"
)


@pytest.fixture(scope="module")
def found():
    return graph(LIMITED)


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


def test_names_cannot_break_the_picture():
    odd = graph(HEAD + "model_providers: [{model: openai/x, access_key: $K, name: 'a\"]<b>&\\c'}]\n")
    assert 'a"]<b>&\\c' in "".join(ET.fromstring(svg(diagram(odd))).itertext())


def test_the_same_graph_gives_the_same_picture(found):
    assert svg(diagram(found)) == svg(diagram(found))
