"""A graph as boxes and arrows, and these as Mermaid or Graphviz text.

Rule: what to draw is decided here once; `svg` only places it.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from archflow_compiler.explain import facts
from archflow_schema.graph import (
    END,
    Agent,
    Call,
    Choose,
    Dispatch,
    Fill,
    Filter,
    Frame,
    Graph,
    Guard,
    Limit,
    Match,
    Next,
    Node,
    Recall,
    Reply,
    Resume,
    Route,
    Screen,
    Select,
    Sift,
    Tell,
    node_type,
)
from archflow_schema.text import show

CLIENT = "client"


class Box(Struct, frozen=True):
    """A node to draw.

    Attributes:
        id: unique, a plain word.
        kind: listener, client, or the type of a node.
        lines: what stands in it.
    """

    id: str
    kind: str
    lines: tuple[str, ...]


class Arrow(Struct, frozen=True):
    """An edge to draw, with the outcomes that take it."""

    source: str
    target: str
    label: str


class Diagram(Struct, frozen=True):
    """Boxes and arrows; arrows lead from earlier steps to later ones."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def diagram(graph: Graph) -> Diagram:
    """What to draw of a graph."""
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    for number, listener in enumerate(graph.listeners):
        name = f"listener{number}"
        boxes.append(Box(name, "listener", (listener.name, f"{listener.address}:{listener.port}")))
        entries: dict[int, list[str]] = {}
        for endpoint in listener.endpoints:
            entries.setdefault(endpoint.entry, []).append(endpoint.path)
        arrows += [Arrow(name, f"node{entry}", _joined(paths)) for entry, paths in entries.items()]
    shown = facts.walked(graph)
    for number in sorted(shown):
        node = shown[number]
        boxes.append(Box(f"node{number}", node_type(node), _lines(graph, node)))
        outcomes: dict[str, list[str]] = {}
        for edge in facts.edges(node):
            target = CLIENT if edge.target == END else f"node{edge.target}"
            outcomes.setdefault(target, []).append(_outcome(edge.outcome))
        arrows += [Arrow(f"node{number}", target, _joined(labels)) for target, labels in outcomes.items()]
    if any(arrow.target == CLIENT for arrow in arrows):
        boxes.append(Box(CLIENT, "client", ("reply to the client",)))
    return Diagram(tuple(boxes), tuple(arrows))


def _outcome(outcome: str) -> str:
    return outcome.removeprefix("model:").removeprefix("agent:").removeprefix("target:")


def _joined(labels: list[str]) -> str:
    return ", ".join(labels[:3]) + (f" + {len(labels) - 3}" if len(labels) > 3 else "")


def _lines(graph: Graph, node: Node) -> tuple[str, ...]:
    match node:
        case Dispatch():
            upstream = graph.upstreams[node.upstream]
            return (node.name, f"asks {upstream.provider} for {node.model_id or '*'}")
        case Limit():
            return (node.name, *(facts.quota(quota) for quota in node.quotas[:3]))
        case Recall():
            return (node.name, node.store.kind)
        case Resume():
            return (node.name, "what was called before")
        case Guard() | Screen() | Sift() | Filter():
            return (node.name, node.use.kind)
        case Route():
            return (node.name, f"default {node.default}" if node.default else "no default")
        case Choose() | Select() | Match() | Fill():
            return (node.name, node.use.kind)
        case Call():
            names = [one.name for one in node.targets]
            return (node.name, f"calls {_joined(names)}")
        case Frame():
            return (node.name, "system prompt" if node.system_prompt else "no system prompt")
        case Tell():
            return (node.name, f"tells {graph.services[node.service].name}{node.path}")
        case Agent():
            return (node.name, f"asks {show(node.url)}")
        case Next():
            return (node.name,)
        case Reply():
            return (facts.title(node),)


class Look(NamedTuple):
    """How a kind of box is drawn: its brackets in Mermaid, its shape in Graphviz, its colour in SVG."""

    mermaid: tuple[str, str]
    dot: str
    fill: str


LOOKS = {
    "listener": Look(("([", "])"), "cds", "#dbeafe"),
    "recall": Look(("[(", ")]"), "cylinder", "#ede9fe"),
    "guard": Look(("{{", "}}"), "octagon", "#fee2e2"),
    "screen": Look(("{{", "}}"), "octagon", "#fee2e2"),
    "sift": Look(("{{", "}}"), "hexagon", "#fae8ff"),
    "filter": Look(("{{", "}}"), "hexagon", "#fae8ff"),
    "route": Look(("{", "}"), "diamond", "#fef9c3"),
    "choose": Look(("{", "}"), "diamond", "#fde68a"),
    "next": Look(("{", "}"), "diamond", "#fde68a"),
    "select": Look(("{", "}"), "diamond", "#fde68a"),
    "match": Look(("{", "}"), "diamond", "#fde68a"),
    "resume": Look(("[(", ")]"), "cylinder", "#ede9fe"),
    "fill": Look(("[/", "\\]"), "trapezium", "#ede9fe"),
    "call": Look(("[[", "]]"), "component", "#ccfbf1"),
    "frame": Look(("[", "]"), "box", "#f3f4f6"),
    "tell": Look(("[[", "]]"), "component", "#ccfbf1"),
    "limit": Look(("[/", "/]"), "parallelogram", "#ffedd5"),
    "dispatch": Look(("[[", "]]"), "component", "#dcfce7"),
    "agent": Look(("[[", "]]"), "component", "#dcfce7"),
    "reply": Look(("[", "]"), "box", "#f3f4f6"),
    "client": Look(("([", "])"), "oval", "#dbeafe"),
}
"""By the type of a node, and for what is no node."""


def mermaid(drawn: Diagram) -> str:
    """Mermaid text, which code hosts show as a picture."""
    lines = ["flowchart LR"]
    for box in drawn.boxes:
        left, right = LOOKS[box.kind].mermaid
        lines.append(f'  {box.id}{left}"{"<br/>".join(_mermaid_text(line) for line in box.lines)}"{right}')
    lines += [
        f'  {arrow.source} -->|"{_mermaid_text(arrow.label)}"| {arrow.target}'
        if arrow.label
        else f"  {arrow.source} --> {arrow.target}"
        for arrow in drawn.arrows
    ]
    return "\n".join(lines) + "\n"


def _mermaid_text(words: str) -> str:
    return "".join(f"#{ord(one)};" if one in '"#<>&`' else one for one in words)


def dot(drawn: Diagram) -> str:
    """Graphviz text."""
    lines = ["digraph archflow {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    lines += [
        f'  {box.id} [shape={LOOKS[box.kind].dot}, label="{_dot_text(chr(10).join(box.lines))}"];'
        for box in drawn.boxes
    ]
    lines += [
        f'  {arrow.source} -> {arrow.target} [label="{_dot_text(arrow.label)}"];' for arrow in drawn.arrows
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(words: str) -> str:
    return words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
