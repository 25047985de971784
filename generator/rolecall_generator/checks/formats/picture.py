"""The picture of who reaches what: the graph, and its faces as Mermaid, SVG and sentences."""

from rolecall_generator.checks.formats.picture_build import reaches
from rolecall_generator.checks.formats.picture_graph import Account, Edge, Graph, Node, Standing, describe
from rolecall_generator.checks.formats.picture_mermaid import to_mermaid
from rolecall_generator.checks.formats.picture_svg import to_svg

__all__ = ["Account", "Edge", "Graph", "Node", "Standing", "describe", "reaches", "to_mermaid", "to_svg"]
