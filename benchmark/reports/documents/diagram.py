"""Diagrams of methods: a few lines of text become one SVG, so that a diagram is read and changed like prose.

Each line is a chain. ``[name]`` computes, ``name`` is a picture or a map, ``(name)`` is a loss; ``a -> b`` hands a to
b, ``a ~> b`` teaches b by a, and ``a ..> b`` brings a back to b in the next turn. ``#2`` behind a name tells two of one
name apart and is not shown. What a line names first stands in one row, right of all that leads to it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from benchmark.errors import UserError

FENCE = re.compile(r"^```diagram\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A diagram in a Markdown file."""

ARROWS = {"->": "goes to", "~>": "teaches", "..>": "comes back to"}
"""What each arrow means, in words."""

CHARACTER, LINE, LONGEST = 7.0, 16, 14
"""Width of a character and height of a line in pixels, and characters of a line, about."""

GAP, BETWEEN, LANE, EDGE = 28, 18, 12, 10
"""Pixels between columns, between rows, between arrows side by side, and around all."""

LEAST = 0.72
"""How far a diagram may shrink before it is scrolled."""

Point = tuple[float, float]


@dataclass
class Node:
    """A box.

    Attributes:
        text: that it shows.
        kind: ``net``, ``picture`` or ``loss``.
        column: counted from the left.
        row: counted from the top.
        x: of its middle, in pixels.
        y: of its middle.
        width: in pixels.
        height: in pixels.
    """

    text: str
    kind: str
    column: int = 0
    row: int = 0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    @property
    def lines(self) -> list[str]:
        """Its text in lines."""
        return textwrap.wrap(self.text, LONGEST) or [""]

    @property
    def sign(self) -> bool:
        """Whether it is drawn as a small circle, such as a sum."""
        return self.kind == "net" and len(self.text) == 1


@dataclass(frozen=True)
class Edge:
    """An arrow from one node to another, by their names in the text."""

    start: str
    end: str
    arrow: str


@dataclass
class Layout:
    """Nodes in their places.

    Attributes:
        nodes: by their names in the text.
        edges: between them.
        width: of all, in pixels.
        height: of all.
        lanes: row -> how many arrows run above it so far; the row below the last one has those below all.
    """

    nodes: dict[str, Node]
    edges: list[Edge]
    width: float = 0.0
    height: float = 0.0
    lanes: dict[int, int] = field(default_factory=dict)


def parse(text: str) -> Layout:
    """Nodes, their rows and columns, and edges.

    Args:
        text: the lines between the fences.

    Raises:
        UserError: a line that names nothing, an empty name, or a circle of arrows other than ``..>``.
    """
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    chains: list[list[str]] = []
    for line in filter(str.strip, text.splitlines()):
        parts = re.split(r"\s+(->|~>|\.\.>)\s+", line.strip())
        names, arrows = parts[::2], parts[1::2]
        if len(names) < 2:
            raise UserError(f"diagram: {line.strip()!r} has no arrow: write a -> b, a ~> b or a ..> b, with spaces.")
        new = [name for name in dict.fromkeys(names) if name not in nodes]
        nodes.update((name, _node(name, line)) for name in new)
        chains += [new] if new else []
        edges += [Edge(*one) for one in zip(names, names[1:], arrows, strict=False)]
    _columns(nodes, [edge for edge in edges if edge.arrow != "..>"])
    _rows([[nodes[name] for name in chain] for chain in chains])
    return Layout(nodes, edges)


def _node(name: str, line: str) -> Node:
    shown = re.sub(r"#\d+$", "", name).strip()
    kind = {("[", "]"): "net", ("(", ")"): "loss"}.get((shown[:1], shown[-1:]), "picture")
    if kind != "picture":
        shown = shown[1:-1].strip()
    if not shown:
        raise UserError(f"diagram: {line.strip()!r} has a box without a name.")
    return Node(shown, kind)


def _columns(nodes: dict[str, Node], edges: Sequence[Edge]) -> None:
    """Put each node right of all that lead to it; what nothing leads to stands just before what it leads to."""
    for turn in range(len(nodes) + 1):
        late = [edge for edge in edges if nodes[edge.end].column <= nodes[edge.start].column]
        if not late:
            break
        if turn == len(nodes):
            raise UserError(f"diagram: arrows go round in a circle at {late[0].end!r}: write ..> for what comes back.")
        for edge in late:
            nodes[edge.end].column = nodes[edge.start].column + 1
    led = {edge.end for edge in edges}
    for name, node in nodes.items():
        after = [nodes[edge.end].column for edge in edges if edge.start == name]
        if name not in led and after:
            node.column = min(after) - 1


def _rows(chains: Sequence[Sequence[Node]]) -> None:
    """Put each chain into the first row below the top one that has room for it, and for a column on either side."""
    held: list[list[tuple[int, int]]] = [[]]
    for chain in chains:
        first, last = chain[0].column, max(node.column for node in chain)
        row = 0 if chain is chains[0] else 1
        while row < len(held) and any(first - 1 <= end and last + 1 >= begin for begin, end in held[row]):
            row += 1
        held += [[]] if row == len(held) else []
        held[row].append((first, last))
        for node in chain:
            node.row = row


def place(layout: Layout) -> None:
    """Give the nodes of a layout their sizes and places, and it its size."""
    nodes = layout.nodes.values()
    for node in nodes:
        node.width = 30.0 if node.sign else max(map(len, node.lines)) * CHARACTER + 20
        node.height = 30.0 if node.sign else len(node.lines) * LINE + 16
    x = float(EDGE)
    for column in range(1 + max(node.column for node in nodes)):
        here = [node for node in nodes if node.column == column]
        width = max(node.width for node in here)
        for node in here:
            node.x = x + width / 2
        x += width + GAP
    wanted = _lanes(layout)
    y = float(EDGE)
    for row in range(1 + max(node.row for node in nodes)):
        y += LANE * wanted.get(row, 0)
        here = [node for node in nodes if node.row == row]
        height = max(node.height for node in here)
        for node in here:
            node.y = y + height / 2
        y += height + BETWEEN
    layout.width = x - GAP + EDGE
    layout.height = y - BETWEEN + EDGE + LANE * wanted.get(1 + max(node.row for node in nodes), 0)


def _lanes(layout: Layout) -> dict[int, int]:
    """Row -> arrows that need a lane above it."""
    wanted: dict[int, int] = {}
    for edge in layout.edges:
        lane = _lane(layout, edge)
        if lane is not None:
            wanted[lane] = wanted.get(lane, 0) + 1
    return wanted


def _lane(layout: Layout, edge: Edge) -> int | None:
    """The row above which an arrow runs; None for one that needs no lane."""
    start, end = layout.nodes[edge.start], layout.nodes[edge.end]
    if edge.arrow == "..>":
        return max(start.row, end.row) + 1
    if _free(layout, start.row, start, end) or (start.row != end.row and _free(layout, end.row, start, end)):
        return None
    return end.row if start.row <= end.row else end.row + 1


def _free(layout: Layout, row: int, start: Node, end: Node) -> bool:
    """Whether no box stands in a row between two columns; the row's own end counts for what is not in it."""
    columns = range(start.column + 1, end.column)
    return not any(node.row == row and node.column in columns for node in layout.nodes.values())


def path(layout: Layout, edge: Edge) -> list[Point]:
    """Corners of an arrow, from its start to its end.

    Args:
        layout: whose nodes have their places.
        edge: of it.
    """
    start, end = layout.nodes[edge.start], layout.nodes[edge.end]
    lane = _lane(layout, edge)
    if lane is not None:
        return _around(layout, start, end, lane, edge.arrow == "..>")
    begin, stop = (start.x + start.width / 2, start.y), (end.x - end.width / 2, end.y)
    if start.row == end.row:
        return [begin, stop]
    # Along whichever row has no box in between; the turn is in the gap beside the other end.
    late = _free(layout, start.row, start, end)
    turn = _left(layout, end.column) - GAP / 2 if late else _left(layout, start.column + 1) - GAP / 2
    return [begin, (turn, start.y), (turn, end.y), stop]


def _around(layout: Layout, start: Node, end: Node, lane: int, back: bool) -> list[Point]:
    """Corners of an arrow that runs above a row, or below the row before."""
    used = layout.lanes[lane] = layout.lanes.get(lane, 0) + 1
    tops = [node.y - node.height / 2 for node in layout.nodes.values() if node.row == lane]
    top = min(tops) if tops else layout.height - EDGE + 6
    y = top - LANE * used + (LANE - 6) / 2
    # Arrows that come back end beside the middle, so that they do not cover those that leave there.
    aside = 8.0 if back else 0.0
    side = 1 if lane > end.row else -1
    last = (end.x - aside, end.y + side * end.height / 2)
    if lane in (start.row, start.row + 1):
        side = 1 if lane > start.row else -1
        return [(start.x + aside, start.y + side * start.height / 2), (start.x + aside, y), (end.x - aside, y), last]
    turn = _left(layout, start.column + 1) - GAP / 2
    return [(start.x + start.width / 2, start.y), (turn, start.y), (turn, y), (end.x - aside, y), last]


def _left(layout: Layout, column: int) -> float:
    """Left end of a column."""
    return min(node.x - node.width / 2 for node in layout.nodes.values() if node.column == column)


def _rounded(corners: Sequence[Point], radius: float = 7.0) -> str:
    """A path through corners, which are rounded."""
    parts = [f"M{corners[0][0]:.1f} {corners[0][1]:.1f}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        near, far = (_toward(corner, other, radius) for other in (before, after))
        parts.append(f"L{near[0]:.1f} {near[1]:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {far[0]:.1f} {far[1]:.1f}")
    return "".join([*parts, f"L{corners[-1][0]:.1f} {corners[-1][1]:.1f}"])


def _toward(corner: Point, other: Point, radius: float) -> Point:
    """The point at a distance from a corner, at most half of the way to another one."""
    across, down = other[0] - corner[0], other[1] - corner[1]
    length = (across**2 + down**2) ** 0.5 or 1.0
    share = min(radius, length / 2) / length
    return corner[0] + share * across, corner[1] + share * down


def _head(corners: Sequence[Point]) -> str:
    """An arrow's head."""
    tip = corners[-1]
    back = _toward(tip, next(one for one in reversed(corners) if one != tip), 1e9)
    length = ((back[0] - tip[0]) ** 2 + (back[1] - tip[1]) ** 2) ** 0.5
    along = ((back[0] - tip[0]) / length, (back[1] - tip[1]) / length)
    sides = [(tip[0] + 8 * along[0] - s * 4 * along[1], tip[1] + 8 * along[1] + s * 4 * along[0]) for s in (1, -1)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in (tip, *sides))


def draw(text: str) -> str:
    """A diagram as SVG, in a box that scrolls where a screen is too narrow; its classes are of ``docs/site.css``.

    Args:
        text: the lines between the fences.

    Raises:
        UserError: text that is no diagram.
    """
    layout = parse(text)
    place(layout)
    parts = []
    for edge in layout.edges:
        corners = path(layout, edge)
        kind = {"->": "flow", "~>": "teach", "..>": "back"}[edge.arrow]
        parts.append(
            f'<path class="{kind}" d="{_rounded(corners)}"/><polygon class="{kind}" points="{_head(corners)}"/>'
        )
    parts += [_box(node) for node in layout.nodes.values()]
    width, height = round(layout.width), round(layout.height)
    size = f"max-width:{width}px;min-width:{round(LEAST * width)}px"
    return (
        f'<div class="diagram" tabindex="0"><svg viewBox="0 0 {width} {height}" style="{size}" role="img" '
        f'aria-label="{escape(said(layout), quote=True)}">{"".join(parts)}</svg></div>'
    )


def _box(node: Node) -> str:
    left, top = node.x - node.width / 2, node.y - node.height / 2
    round_ = min(16.0, node.height / 2) if node.sign or node.kind == "picture" else 4.0
    first = node.y - (len(node.lines) - 1) * LINE / 2 + 4.5
    lines = "".join(
        f'<text x="{node.x:.1f}" y="{first + i * LINE:.1f}">{escape(line)}</text>' for i, line in enumerate(node.lines)
    )
    shape = f'x="{left:.1f}" y="{top:.1f}" width="{node.width:.1f}" height="{node.height:.1f}" rx="{round_:.1f}"'
    return f'<g class="{node.kind}"><rect {shape}/>{lines}</g>'


def said(layout: Layout) -> str:
    """A diagram in words, for those who cannot see it."""
    text = {name: node.text for name, node in layout.nodes.items()}
    return "; ".join(f"{text[edge.start]} {ARROWS[edge.arrow]} {text[edge.end]}" for edge in layout.edges)


def in_markdown(text: str) -> str:
    """A Markdown text with its diagrams drawn.

    Args:
        text: of a page.

    Raises:
        UserError: a diagram that is none.
    """
    return FENCE.sub(lambda found: draw(found[1]), text)
