"""A diagram as SVG, with a small layered layout of our own: no Graphviz, no browser, no fonts to measure.

Columns by longest path, rows by the mean row of the neighbours (Sugiyama, Tagawa and Toda 1981, "Methods for visual
understanding of hierarchical system structures"), arrows as curves between the columns.

Rule: it places what `diagram` decided to draw. The same diagram gives the same bytes.
"""

from __future__ import annotations

from html import escape

from archflow_compiler.explain.diagram import LOOKS, Arrow, Box, Diagram

CHARACTER = 7.5
LINE = 17
PADDING = 12
COLUMN_GAP = 150
ROW_GAP = 22
SWEEPS = 4
MAX_TEXT = 46

_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#6b7280"/></marker></defs>'
)


class _Placed:
    """A box with its place."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.lines = [line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…" for line in box.lines]
        self.width = int(max(len(line) for line in self.lines) * CHARACTER) + 2 * PADDING
        self.height = len(self.lines) * LINE + PADDING
        self.x = 0
        self.y = 0


def svg(drawn: Diagram) -> str:
    """The picture."""
    placed = {box.id: _Placed(box) for box in drawn.boxes}
    columns = _columns(drawn)
    width, height = _place(columns, placed)
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12">'
    )
    arrows = [_arrow(arrow, placed) for arrow in drawn.arrows]
    boxes = [_box(one) for one in placed.values()]
    parts = [root, _TIP, f'<rect width="{width}" height="{height}" fill="white"/>', *arrows, *boxes, "</svg>"]
    return "\n".join(parts) + "\n"


def _columns(drawn: Diagram) -> list[list[str]]:
    """The boxes of each column, ordered so that arrows cross little."""
    targets: dict[str, list[str]] = {box.id: [] for box in drawn.boxes}
    sources: dict[str, list[str]] = {box.id: [] for box in drawn.boxes}
    for arrow in drawn.arrows:
        targets[arrow.source].append(arrow.target)
        sources[arrow.target].append(arrow.source)
    rank = _ranks(targets, sources)
    columns: list[list[str]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for box in drawn.boxes:
        columns[rank[box.id]].append(box.id)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        row = {one: number for column in columns for number, one in enumerate(column)}
        for column in columns if forward else reversed(columns):
            near = sources if forward else targets
            mean = {one: _mean([row[other] for other in near[one]], row[one]) for one in column}
            column.sort(key=lambda one: (mean[one], row[one]))
            row.update({one: number for number, one in enumerate(column)})
    return columns


def _ranks(targets: dict[str, list[str]], sources: dict[str, list[str]]) -> dict[str, int]:
    """The column of each box: the longest path to it. A graph that archc verified has no cycle."""
    waiting = {one: len(before) for one, before in sources.items()}
    ready = [one for one, count in waiting.items() if count == 0]
    rank = dict.fromkeys(targets, 0)
    while ready:
        one = ready.pop()
        for target in targets[one]:
            rank[target] = max(rank[target], rank[one] + 1)
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    return rank


def _mean(rows: list[int], own: int) -> float:
    return sum(rows) / len(rows) if rows else own


def _place(columns: list[list[str]], placed: dict[str, _Placed]) -> tuple[int, int]:
    """Give every box its corner; the size of the picture."""
    heights = [sum(placed[one].height + ROW_GAP for one in column) for column in columns]
    tallest = max(heights, default=0)
    x = PADDING
    for column, height in zip(columns, heights, strict=True):
        y = PADDING + (tallest - height) // 2
        for one in column:
            placed[one].x, placed[one].y = x, y
            y += placed[one].height + ROW_GAP
        x += max((placed[one].width for one in column), default=0) + COLUMN_GAP
    return max(x - COLUMN_GAP + PADDING, 2 * PADDING), tallest + 2 * PADDING


def _arrow(arrow: Arrow, placed: dict[str, _Placed]) -> str:
    start, end = placed[arrow.source], placed[arrow.target]
    x1, y1 = start.x + start.width, start.y + start.height // 2
    x2, y2 = end.x, end.y + end.height // 2
    bend = max(40, (x2 - x1) // 2)
    label = arrow.label if len(arrow.label) <= MAX_TEXT // 2 else arrow.label[: MAX_TEXT // 2 - 1] + "…"
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return (
        f'<path d="{path}" fill="none" stroke="#6b7280" marker-end="url(#tip)"/>'
        f'<text x="{x2 - 8}" y="{y2 - 5}" text-anchor="end" fill="#6b7280" font-size="10" stroke="white" '
        f'stroke-width="3" paint-order="stroke">{escape(label)}</text>'
    )


def _box(one: _Placed) -> str:
    lines = "".join(
        f'<text x="{one.x + PADDING}" y="{one.y + PADDING + LINE * number + 5}"'
        f"{' font-weight=' + chr(34) + 'bold' + chr(34) if number == 0 else ''}>{escape(line)}</text>"
        for number, line in enumerate(one.lines)
    )
    return (
        f'<rect x="{one.x}" y="{one.y}" width="{one.width}" height="{one.height}" rx="6" '
        f'fill="{LOOKS[one.box.kind].fill}" stroke="#6b7280"/>{lines}'
    )
