"""Types of a query's rows as AWS's model has them: shapes of botocore, followed through JMESPath."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rolecall_runner.results.arrow_types import ListOf, MapOf, Scalar, Struct, Type, merge
from rolecall_runner.tasks.query.answers import VALUE, compiled
from rolecall_runner.tasks.query.execute import default_select
from rolecall_runner.tasks.query.operations import find_operation
from rolecall_runner.tasks.query.spec import QueryError

_SCALARS = {
    "boolean": Scalar.BOOLEAN,
    "integer": Scalar.LONG,  # some services send more than their model's 32 bits
    "long": Scalar.LONG,
    "float": Scalar.DOUBLE,  # written as decimals: 32 bits would show other digits
    "double": Scalar.DOUBLE,
    "string": Scalar.STRING,
    "timestamp": Scalar.TIMESTAMP,
    "blob": Scalar.BLOB,
}
_DEEPEST = 24


def row_type(service: str, operation: str, select: str | None) -> Struct:
    """Columns that the model promises for rows of a query; none where it cannot tell. Columns from lists have no names yet.

    A service or operation that this botocore does not know (a run of another version) promises nothing.
    """
    try:
        found = find_operation(service, operation)
        chosen = select or default_select(found)
        reply = shape_type(found.model.output_shape)
        kind = reply if chosen is None else selected_type(compiled(chosen).parsed, reply)
    except QueryError:
        return Struct({})
    if isinstance(kind, ListOf):
        kind = kind.item
    if isinstance(kind, Struct):
        return kind
    return Struct({}) if kind is Scalar.NULL or not isinstance(kind, Scalar) else Struct({VALUE: kind})


def shape_type(shape: Any, above: tuple[str, ...] = ()) -> Type:
    """The type of a shape of botocore.

    What may hold itself (DynamoDB's AttributeValue) and free documents are JSON; what is sensitive is not typed: it may be
    hidden, and a text then.
    """
    if shape is None or shape.metadata.get("sensitive"):
        return Scalar.NULL
    if shape.name in above or len(above) > _DEEPEST or getattr(shape, "is_document_type", False):
        return Scalar.JSON
    inside = (*above, shape.name)
    if shape.type_name == "structure":
        fields = {name: shape_type(member, inside) for name, member in shape.members.items() if name != "ResponseMetadata"}
        return Struct(fields) if len({name.lower() for name in fields}) == len(fields) else Scalar.JSON
    if shape.type_name == "list":
        return ListOf(shape_type(shape.member, inside))
    if shape.type_name == "map":
        return MapOf(shape_type(shape.value, inside))
    return _SCALARS.get(shape.type_name, Scalar.NULL)


def selected_type(node: Mapping[str, Any], kind: Type) -> Type:
    """What an expression, parsed by jmespath, finds in a value of the type; NULL where only values can tell."""
    name, children = node["type"], node["children"]
    if name in {"subexpression", "pipe", "index_expression"}:
        for child in children:
            kind = selected_type(child, kind)
        return kind
    if name in {"projection", "filter_projection", "value_projection"}:
        return _projected(node, kind)
    if name in {"or_expression", "and_expression"}:
        # The first may be an empty list or false where the second is something else: values widen it then.
        return merge(selected_type(children[0], kind), selected_type(children[1], kind))
    simple = _SIMPLE.get(name)
    return simple(node, kind) if simple is not None else Scalar.NULL


def _projected(node: Mapping[str, Any], kind: Type) -> Type:
    source = selected_type(node["children"][0], kind)
    if node["type"] == "value_projection":
        each: Type = source.value if isinstance(source, MapOf) else Scalar.NULL
    else:
        each = source.item if isinstance(source, ListOf) else Scalar.NULL
    return ListOf(selected_type(node["children"][1], each))


def _field(node: Mapping[str, Any], kind: Type) -> Type:
    if isinstance(kind, Struct):
        return kind.fields.get(node["value"], Scalar.NULL)
    return kind.value if isinstance(kind, MapOf) else Scalar.NULL


def _flatten(node: Mapping[str, Any], kind: Type) -> Type:
    source = selected_type(node["children"][0], kind)
    if isinstance(source, ListOf) and isinstance(source.item, ListOf):
        return source.item
    return source if isinstance(source, ListOf) else Scalar.NULL


def _hash(node: Mapping[str, Any], kind: Type) -> Type:
    return Struct({pair["value"]: selected_type(pair["children"][0], kind) for pair in node["children"]})


def _item(_node: Mapping[str, Any], kind: Type) -> Type:
    return kind.item if isinstance(kind, ListOf) else Scalar.NULL


def _function(node: Mapping[str, Any], _kind: Type) -> Type:
    return _FUNCTIONS.get(node["value"], Scalar.NULL)


_FUNCTIONS: Mapping[str, Type] = {
    "length": Scalar.LONG,
    "contains": Scalar.BOOLEAN,
    "starts_with": Scalar.BOOLEAN,
    "ends_with": Scalar.BOOLEAN,
    "join": Scalar.STRING,
    "type": Scalar.STRING,
    "keys": ListOf(Scalar.STRING),
    "avg": Scalar.DOUBLE,
}
_SIMPLE: Mapping[str, Callable[[Mapping[str, Any], Type], Type]] = {
    "field": _field,
    "flatten": _flatten,
    "multi_select_dict": _hash,
    "index": _item,
    "slice": lambda _node, kind: kind,
    "identity": lambda _node, kind: kind,
    "current": lambda _node, kind: kind,
    "comparator": lambda _node, _kind: Scalar.BOOLEAN,
    "not_expression": lambda _node, _kind: Scalar.BOOLEAN,
    "function_expression": _function,
}
