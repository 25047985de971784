"""The graph of who can assume which role, as SVG and Mermaid."""

from rolecall_generator.reports.graph.graph_model import EdgeState, Graph, GraphNode, access_graph, describe, to_mermaid
from rolecall_generator.reports.graph.svg import (
    BOX_WIDTH,
    HEADER,
    LINE,
    PAD,
    TOP,
    Curve,
    GraphLayout,
    Rect,
    lay_out,
    to_svg,
)

__all__ = [
    "BOX_WIDTH",
    "HEADER",
    "LINE",
    "PAD",
    "TOP",
    "Curve",
    "EdgeState",
    "Graph",
    "GraphLayout",
    "GraphNode",
    "Rect",
    "access_graph",
    "describe",
    "lay_out",
    "to_mermaid",
    "to_svg",
]
