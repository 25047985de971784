"""Values of input variables, and type constraints with `optional()`.

Source: `ext/typeexpr` of github.com/hashicorp/hcl, and `internal/terraform/eval_variable.go` and `internal/configs` of
github.com/hashicorp/terraform, versions 1.5 to 1.15, November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.conversion import convert, truth
from rolecall_generator.terraform.parser.lexer import Unreadable
from rolecall_generator.terraform.parser.readers import read_native
from rolecall_generator.terraform.parser.values import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    Collection,
    ListValue,
    MapValue,
    ObjectType,
    ObjectValue,
    SetValue,
    TupleType,
    TupleValue,
    Type,
    Unresolvable,
    Value,
    is_null,
    without_optional,
)

_ARGUMENTS = frozenset({"type", "default", "description", "sensitive", "nullable", "ephemeral", "deprecated"})
_NAMED = {"string": STRING, "number": NUMBER, "bool": BOOL, "any": DYNAMIC}
_COLLECTIONS = ("list", "set", "map")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A type constraint. `defaults` are those of optional attributes; `inner` holds constraints by attribute or position.

    The key in `inner` is "" for the elements of a collection.
    """

    type: Type
    defaults: Mapping[str, Value] = field(default_factory=dict)
    inner: Mapping[str, Constraint] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """True if no attribute at any level has a default."""
        return not self.defaults and not self.inner


def variable_value(
    block: s.Block,
    given: Callable[[], Value] | None,
    evaluate: Callable[[s.Attribute], Value],
) -> Value:
    """The value of a variable, from a variable definitions file or its default. Raises Unresolvable.

    `given` evaluates the value in a variable definitions file (None: there is none), `evaluate` an argument of the block.
    """
    arguments = block.body.attributes
    unknown = sorted(set(arguments) - _ARGUMENTS)
    if unknown:
        raise Unresolvable(f"the argument {unknown[0]} of a variable is not supported", block.line, block.file)
    constraint = constraint_of(arguments["type"].expression, evaluate) if "type" in arguments else Constraint(DYNAMIC)
    default = conform(evaluate(arguments["default"]), constraint) if "default" in arguments else None
    value = default if given is None else conform(given(), constraint)
    if given is None and "default" not in arguments:
        known = without_optional(constraint.type)
        raise Unresolvable(f"the variable {block.labels[0]} has no default", value_type=None if known == DYNAMIC else known)
    if is_null(value) and "nullable" in arguments and not truth(evaluate(arguments["nullable"])):
        if is_null(default):
            raise Unresolvable(f"the variable {block.labels[0]} is null but not nullable", block.line, block.file)
        return default
    return value


def conform(value: Value, constraint: Constraint) -> Value:
    """Convert a value to a type constraint, with defaults for missing and null attributes. Raises Unresolvable."""
    return convert(_with_defaults(value, constraint), constraint.type)


def _with_defaults(value: Value, constraint: Constraint) -> Value:
    if is_null(value) or constraint.plain:
        return value
    if isinstance(value, (TupleValue, ListValue, SetValue)):
        return TupleValue(
            [
                _inside(item, constraint, str(position) if isinstance(constraint.type, TupleType) else "")
                for position, item in enumerate(value)
            ]
        )
    if not isinstance(value, (ObjectValue, MapValue)):
        return value
    named = isinstance(constraint.type, ObjectType)
    result = ObjectValue({name: _inside(item, constraint, name if named else "") for name, item in value.items()})
    for name, default in constraint.defaults.items():
        if is_null(result.get(name)):
            result[name] = _inside(default, constraint, name)
    return result


def _inside(value: Value, constraint: Constraint, name: str) -> Value:
    inner = constraint.inner.get(name)
    return value if inner is None else _with_defaults(value, inner)


def constraint_of(expression: s.Expression, evaluate: Callable[[s.Attribute], Value]) -> Constraint:
    """Parse a type constraint; `evaluate` evaluates defaults. Raises Unresolvable."""
    match expression:
        case s.Literal(str(code)):
            # JSON syntax; in the native syntax Terraform rejects quotes here.
            return constraint_of(_code(code), evaluate)
        case s.Name(name) if name in _NAMED:
            return Constraint(_NAMED[name])
        case s.Name(name) if name in ("list", "map"):
            return Constraint(Collection(name, DYNAMIC))
        case s.Call(name, (inner,), False) if name in _COLLECTIONS:
            element = constraint_of(inner, evaluate)
            return Constraint(Collection(name, element.type), inner={} if element.plain else {"": element})
        case s.Call("tuple", (s.Tuple(items),), False):
            elements = [constraint_of(item, evaluate) for item in items]
            nested = {str(position): element for position, element in enumerate(elements) if not element.plain}
            return Constraint(TupleType(tuple([element.type for element in elements])), inner=nested)
        case s.Call("object", (s.Object(items),), False):
            return _object(items, evaluate)
    raise Unresolvable("a type that is not supported")


def _code(code: str) -> s.Expression:
    try:
        return read_native(f"x {{\n  type = {code}\n}}\n", "").blocks[0].body.attributes["type"].expression
    except (Unreadable, KeyError, IndexError):
        raise Unresolvable("a type that is not supported") from None


def _object(items: tuple[tuple[s.Expression, s.Expression], ...], evaluate: Callable[[s.Attribute], Value]) -> Constraint:
    attributes: dict[str, Type] = {}
    optional: set[str] = set()
    defaults: dict[str, Value] = {}
    inner: dict[str, Constraint] = {}
    for key, expression in items:
        if not isinstance(key, s.Literal) or not isinstance(key.value, str) or key.value in attributes:
            raise Unresolvable("an object type with an unusual or repeated attribute")
        name, of = key.value, expression
        default: Value = None
        match expression:
            case s.Call("optional", (of, *rest), False) if len(rest) <= 1:
                optional.add(name)
                default = evaluate(s.Attribute(rest[0], expression.line)) if rest else None
        constraint = constraint_of(of, evaluate)
        attributes[name] = constraint.type
        if default is not None:
            defaults[name] = convert(default, constraint.type)
        if not constraint.plain:
            inner[name] = constraint
    return Constraint(ObjectType(tuple(sorted(attributes.items())), frozenset(optional)), defaults, inner)
