"""YAML files as trees with source positions."""

from rolecall_generator.manifest.yaml_source.nodes import (
    START,
    ListNode,
    Loc,
    MapNode,
    NodeRef,
    Place,
    Point,
    SourceMap,
    YamlMark,
    mark_of,
    place_at,
    walk,
)
from rolecall_generator.manifest.yaml_source.yaml_loader import (
    AMBIGUOUS_STARTS,
    MAXIMUM_BYTES,
    YamlSource,
    kind_of,
    parse_source,
    read_text,
    resolve_plain,
    text_of,
)

__all__ = [
    "AMBIGUOUS_STARTS",
    "MAXIMUM_BYTES",
    "START",
    "ListNode",
    "Loc",
    "MapNode",
    "NodeRef",
    "Place",
    "Point",
    "SourceMap",
    "YamlMark",
    "YamlSource",
    "kind_of",
    "mark_of",
    "parse_source",
    "place_at",
    "read_text",
    "resolve_plain",
    "text_of",
    "walk",
]
