"""The graph as SVG, standalone or in a page, in light and dark, with its sentences as text alternative.

Layout: callers on the left, roles on the right, a box per account, a port per edge. All lengths are in SVG user units, which
are CSS pixels at the original size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rolecall_generator.html_page import asset
from rolecall_generator.reports.graph.graph_model import Edge, EdgeState, Graph, GraphAccount, GraphNode, describe
from rolecall_generator.text import escape_markup

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
    legend = _place_legend(graph, bottom + LEGEND)
    height = max((y for _, _, y in legend), default=bottom) + LEGEND - 4
    return GraphLayout(WIDTH, height, callers, roles, _curves(callers, roles, incoming), legend)


def _place_legend(graph: Graph, top: float) -> tuple[tuple[EdgeState, float, float], ...]:
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


SENTENCES = 60
"""Maximum number of sentences in the text alternative."""

_NAME_CHARACTERS = 28
_LABEL_CHARACTERS = 36
_CHARACTER = 7.0
"""Width of a character of a label in SVG user units, slightly more than the mean of common sans-serif fonts."""

_LABEL_GAP = 20
_STRAIGHT = 190
"""Maximum length of the straight part of an edge, in SVG user units; the rest is the bend."""

_CLASSES = {
    EdgeState.UNINTENDED: "rc-bad",
    EdgeState.BROKEN: "rc-warn",
    EdgeState.UNDECIDED: "rc-warn",
    EdgeState.DELEGATED: "rc-open",
}
_LEGENDS = {
    EdgeState.INTENDED: "intended, and proven",
    EdgeState.DELEGATED: "decided by the account, as intended",
    EdgeState.TRUSTED: "trusted by the role",
    EdgeState.UNINTENDED: "not intended, but allowed",
    EdgeState.BROKEN: "intended, but refused",
    EdgeState.UNDECIDED: "could not be decided",
}


def to_svg(graph: Graph) -> str:
    """The SVG element, with the graph as text in `title` and `desc`. Ends with a newline."""
    layout = lay_out(graph)
    size = f'width="{layout.width:g}" height="{layout.height:g}" viewBox="0 0 {layout.width:g} {layout.height:g}"'
    # Failed edges are drawn last, so that nothing covers them.
    curves = sorted(layout.curves, key=lambda curve: curve.edge.state.failed)
    failed = {key for edge in graph.edges if edge.state.failed for key in (edge.source, edge.target)}
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rc-picture" role="img" aria-labelledby="rc-title rc-desc" {size}>',
        f'<title id="rc-title">{escape_markup(_title(graph))}</title>',
        f'<desc id="rc-desc">{escape_markup(_description(graph))}</desc>',
        f"<style>{asset('graph.css')}</style>",
        f'<rect class="rc-paper" width="{layout.width:g}" height="{layout.height:g}"/>',
        f'<text class="rc-head" x="{MARGIN}" y="20">CALLER</text>',
        f'<text class="rc-head" x="{MARGIN + BOX_WIDTH + MIDDLE}" y="20">ROLE</text>',
        *(part for box in (*layout.callers, *layout.roles) for part in _frame(box)),
        *(_curve(curve) for curve in curves),
        *(part for box in (*layout.callers, *layout.roles) for part in _nodes(box, failed)),
        *(_label(curve) for curve in curves),
        *_legend(layout),
        "</svg>\n",
    )
    return "\n".join(parts)


def _title(graph: Graph) -> str:
    wrong = sum(edge.state.failed for edge in graph.edges)
    if not wrong:
        return "Who can assume which role"
    return f"Who can assume which role: {wrong:,} {'result is' if wrong == 1 else 'results are'} not as intended"


def _description(graph: Graph) -> str:
    sentences = [f"{sentence}." for sentence in islice(describe(graph), SENTENCES)]
    left = len(graph.edges) - len(sentences)
    return " ".join([*sentences, f"And {left:,} more."] if left else sentences) or "No principal can assume any role."


def _frame(box: Box) -> Iterator[str]:
    if box.account.title:
        yield f'<rect class="rc-box" rx="9" {_rect(box.shape)}/>'
        title = _shortened(box.account.title, _NAME_CHARACTERS + 6)
        x, y = box.shape.x + PAD + 2, box.shape.y + HEADER - 8
        yield f'<text class="rc-soft" x="{x:g}" y="{y:g}">{escape_markup(title)}</text>'


def _nodes(box: Box, failed: Iterable[str]) -> Iterator[str]:
    for node, shape in box.nodes:
        state = " rc-failed" if node.key in failed else ""
        full = node.name if node.count > 1 else f"{node.key} ({node.note})" if node.note else node.key
        yield f"<g><title>{escape_markup(full)}</title>"
        if node.count > 1:
            behind = Rect(shape.x + 4, shape.y + 4, shape.width, shape.height)
            yield f'<rect class="rc-many" rx="6" {_rect(behind)}/>'
        yield f'<rect class="rc-node{state}" rx="6" {_rect(shape)}/>'
        note = f"{node.kind} of {node.note}" if node.kind and node.note else node.note or node.kind
        middle = shape.y + shape.height / 2
        yield _line(node.name, "rc-name", shape.x + 10, middle + (-2 if note else 4))
        if note:
            yield _line(note, "rc-soft", shape.x + 10, middle + 12)
        yield "</g>"


def _line(text: str, style: str, x: float, y: float) -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}">{escape_markup(_shortened(text, _NAME_CHARACTERS))}</text>'


def _curve(curve: Curve) -> str:
    """A bend, then a straight part for the label."""
    (x1, y1), (x2, y2) = curve.start, curve.end
    level = x2 - _LABEL_GAP - min(_label_width(_lines(curve)), _STRAIGHT)
    bend = (level - x1) * 0.5
    path = f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {level - bend:g} {y2:g} {level:g} {y2:g}H{x2 - 7:g}"
    arrow = f"M{x2:g} {y2:g}l-9 -4.5v9z"
    return f'<g{_class(curve)}><path class="rc-edge" d="{path}"/><path class="rc-tip" d="{arrow}"/></g>'


def _label(curve: Curve) -> str:
    """The label in front of the role."""
    (x, y), lines = curve.end, _lines(curve)
    right, top, height, width = x - _LABEL_GAP, y - LINE * len(lines) / 2, LINE * len(lines), _label_width(lines)
    plate = f'<rect class="rc-plate" rx="3" {_rect(Rect(right - width + 3, top, width, height))}/>'
    spans = "".join(
        f'<tspan x="{right:g}" y="{top + LINE * number + 11:g}">{escape_markup(line)}</tspan>'
        for number, line in enumerate(lines)
    )
    return f'<g{_class(curve)}>{plate}<text class="rc-label" text-anchor="end">{spans}</text></g>'


def _lines(curve: Curve) -> list[str]:
    return [_shortened(line, _LABEL_CHARACTERS) for line in curve.edge.label]


def _label_width(lines: list[str]) -> float:
    return _CHARACTER * max(map(len, lines)) + 6


def _class(curve: Curve) -> str:
    name = _CLASSES.get(curve.edge.state)
    return f' class="{name}"' if name else ""


def _legend(layout: GraphLayout) -> Iterator[str]:
    for state, x, y in layout.legend:
        yield f'<g class="{_CLASSES.get(state, "rc-good")}"><path class="rc-edge" d="M{x:g} {y:g}h26"/></g>'
        yield f'<text class="rc-soft" x="{x + 34:g}" y="{y + 4:g}">{_LEGENDS[state]}</text>'


def _rect(shape: Rect) -> str:
    return f'x="{shape.x:g}" y="{shape.y:g}" width="{shape.width:g}" height="{shape.height:g}"'


def _shortened(text: str, length: int) -> str:
    """The text, with its middle replaced by an ellipsis if it is too long."""
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[: length - 1 - half]}…{text[len(text) - half :]}"
