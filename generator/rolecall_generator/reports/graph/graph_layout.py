"""The layout of the graph: callers on the left, roles on the right, a box per account, a port per edge.

All lengths are in SVG user units, which are CSS pixels at the original size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.reports.graph.graph_model import Edge, EdgeState, Graph, GraphAccount, GraphNode

BOX_WIDTH = 236
MIDDLE = 310
MARGIN = 10
TOP = 34
LEGEND = 22
HEADER = 24
PAD = 8
GAP = 12
NODE = 38
LINE = 15
WIDTH = 2 * (MARGIN + BOX_WIDTH) + MIDDLE


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Box:
    """An account's box with its nodes; the box of an account without title is not drawn."""

    account: GraphAccount
    shape: Rect
    nodes: tuple[tuple[GraphNode, Rect], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """An edge from the right side of its caller to its own port at the left side of its role."""

    edge: Edge
    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """Positions of all elements, and the size of the graph."""

    width: float
    height: float
    callers: tuple[Box, ...]
    roles: tuple[Box, ...]
    curves: tuple[Curve, ...]
    legend: tuple[tuple[EdgeState, float, float], ...]
    """Kinds of edge that occur, each with the start of its line."""


def lay_out(graph: Graph) -> GraphLayout:
    """Lay out the graph: roles in order from the top, callers next to the middle of the roles that they reach."""
    incoming: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        incoming.setdefault(edge.target, []).append(edge)
    heights = {key: max(NODE, sum(_room(edge) for edge in edges) + PAD) for key, edges in incoming.items()}
    roles = _column(graph.roles, MARGIN + BOX_WIDTH + MIDDLE, heights, {})
    centres = {node.key: shape.y + shape.height / 2 for box in roles for node, shape in box.nodes}
    preferred: dict[str, float] = {}
    for account in graph.callers:
        keys = {node.key for node in account.nodes}
        reached = [centres[edge.target] for edge in graph.edges if edge.source in keys]
        preferred[account.account_id] = sum(reached) / len(reached) if reached else 0.0
    ordered = sorted(graph.callers, key=lambda account: preferred[account.account_id])
    callers = _column(ordered, MARGIN, {}, preferred)
    bottom = max((box.shape.y + box.shape.height for box in (*callers, *roles)), default=TOP + NODE)
    legend = _legend(graph, bottom + LEGEND)
    height = max((y for _, _, y in legend), default=bottom) + LEGEND - 4
    return GraphLayout(WIDTH, height, callers, roles, _curves(callers, roles, incoming), legend)


def _legend(graph: Graph, top: float) -> tuple[tuple[EdgeState, float, float], ...]:
    """The legend, with three kinds of edge per row."""
    seen = {edge.state for edge in graph.edges}
    kinds = [state for state in EdgeState if state in seen]
    step = (WIDTH - 2 * MARGIN) / 3
    return tuple((kind, MARGIN + step * (at % 3), top + LEGEND * (at // 3)) for at, kind in enumerate(kinds))


def _room(edge: Edge) -> float:
    """Height of an edge's label with padding."""
    return LINE * len(edge.label) + 5


def _column(
    accounts: Sequence[GraphAccount], x: float, heights: Mapping[str, float], preferred: Mapping[str, float]
) -> tuple[Box, ...]:
    """Boxes one below the other, each as close to its preferred center as the boxes above allow."""
    total = [HEADER + sum(heights.get(node.key, NODE) + PAD for node in account.nodes) for account in accounts]
    tops = [
        max(TOP, preferred.get(account.account_id, 0) - height / 2) for account, height in zip(accounts, total, strict=True)
    ]
    for index in range(1, len(tops)):
        tops[index] = max(tops[index], tops[index - 1] + total[index - 1] + GAP)
    return tuple(_box(account, x, top, heights) for account, top in zip(accounts, tops, strict=True))


def _box(account: GraphAccount, x: float, top: float, heights: Mapping[str, float]) -> Box:
    nodes, y = [], top + HEADER
    for node in account.nodes:
        height = heights.get(node.key, NODE)
        nodes.append((node, Rect(x + PAD, y, BOX_WIDTH - 2 * PAD, height)))
        y += height + PAD
    return Box(account, Rect(x, top, BOX_WIDTH, y - top), tuple(nodes))


def _curves(callers: Sequence[Box], roles: Sequence[Box], incoming: Mapping[str, list[Edge]]) -> tuple[Curve, ...]:
    """Edges into one role have ports from top to bottom in the order of their callers, so that they do not cross."""
    starts = {node.key: (shape.x + shape.width, shape.y + shape.height / 2) for box in callers for node, shape in box.nodes}
    curves = []
    for box in roles:
        for node, shape in box.nodes:
            edges = sorted(incoming.get(node.key, ()), key=lambda edge: starts[edge.source][1])
            y = shape.y + (shape.height - sum(map(_room, edges))) / 2
            for edge in edges:
                curves.append(Curve(edge, starts[edge.source], (shape.x, y + _room(edge) / 2)))
                y += _room(edge)
    return tuple(curves)
