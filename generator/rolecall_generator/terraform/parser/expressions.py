"""Static evaluation of expressions: the result is a value, or Unresolvable with the reason.

Source: github.com/hashicorp/hcl, `hclsyntax` and `ops.go`, versions 2.16 to 2.24 (Terraform 1.5 to 1.15), November 2026.
If the versions differ, as in `&&` with an error in one operand, the result is Unresolvable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.conversion import convert, text, truth, unify
from rolecall_generator.terraform.parser.functions import call, result_type
from rolecall_generator.terraform.parser.values import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    Collection,
    Document,
    ListValue,
    MapValue,
    Namespace,
    Null,
    Number,
    ObjectType,
    ObjectValue,
    SetValue,
    TerraformError,
    TupleType,
    TupleValue,
    Type,
    Unresolvable,
    Value,
    elements,
    equal,
    exact,
    is_null,
    plain,
    string,
    type_of,
    weight,
)

MAXIMUM_STEPS = 2_000_000
"""Maximum number of evaluation steps of a module; a backend role for 10,000 customers takes about 50,000."""

_CHARACTERS_OF_A_STEP = 100

_ITEM = "*"
"""Name of a splat's current element in a scope; not an identifier, so no module can use it."""


class ReferenceScope(Protocol):
    """Resolves the first name of a reference."""

    def root(self, name: str, line: int) -> Value:
        """The value or Namespace of a name. Raises Unresolvable."""


@dataclass(frozen=True, slots=True)
class EvaluationScope:
    """The names of the module, and local names that hide them: `each`, `count`, variables of a `for`.

    `trying` is true within `try` and `can`, whose result depends on whether Terraform reports an error.
    """

    names: ReferenceScope
    local: Mapping[str, Value]
    file: str
    budget: list[int]
    trying: bool = False

    def root(self, name: str, line: int) -> Value:
        """The value or Namespace of a name. Raises Unresolvable."""
        if name in self.local:
            return self.local[name]
        return self.names.root(name, line)

    def within(self, local: Mapping[str, Value]) -> EvaluationScope:
        """This scope with further local names."""
        return EvaluationScope(self.names, {**self.local, **local}, self.file, self.budget, self.trying)


def evaluate_attribute(attribute: s.Attribute, scope: EvaluationScope) -> Value:
    """The value of an argument. Raises Unresolvable with file and line."""
    try:
        value = evaluate(attribute.expression, scope)
        if isinstance(value, Namespace):
            raise Unresolvable("a whole resource cannot be used as a value here")
        return value
    except Unresolvable as error:
        if error.file is None:
            error.file = scope.file
            error.line = error.line or attribute.line
        raise
    except RecursionError:
        raise Unresolvable("an expression too deep to be evaluated", attribute.line, scope.file) from None


def count_steps(scope: EvaluationScope, steps: int) -> None:
    """Count evaluation steps of the module. Raises Unresolvable if there are too many."""
    scope.budget[0] -= steps
    if scope.budget[0] < 0:
        raise Unresolvable("the module takes too long to be evaluated")


def count_values(scope: EvaluationScope, values: Sequence[Value]) -> None:
    """Count nested values as evaluation steps, if all are read. Raises Unresolvable if there are too many."""
    if any(isinstance(value, (str, list, dict)) for value in values):
        count_steps(scope, weight(*values))


def evaluate(expression: s.Expression, scope: EvaluationScope) -> Value:
    """The value of an expression. Raises Unresolvable."""
    scope.budget[0] -= 1
    if scope.budget[0] < 0:
        raise Unresolvable("the module takes too long to be evaluated")
    if isinstance(expression, s.Literal):
        return expression.value
    return _EVALUATORS[type(expression)](expression, scope)


def _template(expression: s.Template, scope: EvaluationScope) -> Value:
    if len(expression.parts) == 1:
        # `"${x}"` is x, of any type.
        return evaluate(expression.parts[0], scope)
    values = [evaluate(part, scope) for part in expression.parts]
    result = string("".join([value if isinstance(value, str) else plain(text(value)) for value in values]))
    count_steps(scope, len(result) // _CHARACTERS_OF_A_STEP)
    return result


def _tuple(expression: s.Tuple, scope: EvaluationScope) -> Value:
    return TupleValue([evaluate(item, scope) for item in expression.items])


def _object(expression: s.Object, scope: EvaluationScope) -> Value:
    result = ObjectValue()
    for key, value in expression.items:
        name = plain(text(evaluate(key, scope)))
        result[name] = evaluate(value, scope)
    return result


def _name(expression: s.Name, scope: EvaluationScope) -> Value:
    return scope.root(expression.name, expression.line)


def _item(_expression: s.Item, scope: EvaluationScope) -> Value:
    return scope.local[_ITEM]


def part(base: Value, key: Value) -> Value:
    """`base[key]` and `base.key`. Raises Unresolvable."""
    if isinstance(base, Namespace):
        return base.get(plain(text(key)))
    if is_null(base) or is_null(key):
        raise TerraformError("null has no elements, and cannot be an index")
    if isinstance(base, (ObjectValue, MapValue)):
        name = plain(text(key))
        if name in base:
            return base[name]
    elif isinstance(base, (TupleValue, ListValue)):
        index = convert(key, NUMBER)
        if isinstance(index, int) and 0 <= index < len(base):
            return base[index]
    raise TerraformError(
        f"there is no element {key!r} here" if isinstance(key, (str, int)) else "there is no such element here"
    )


def _index(expression: s.Index, scope: EvaluationScope) -> Value:
    return part(evaluate(expression.base, scope), evaluate(expression.key, scope))


def _splat(expression: s.Splat, scope: EvaluationScope) -> Value:
    base = evaluate(expression.base, scope)
    if not isinstance(base, (TupleValue, ListValue, SetValue)):
        if is_null(base):
            of = type_of(base)
            if isinstance(of, TupleType) or (isinstance(of, Collection) and of.kind != "map"):
                raise TerraformError("a splat of a null list")
            return TupleValue()
        return TupleValue([evaluate(expression.each, scope.within({_ITEM: base}))])
    items = [evaluate(expression.each, scope.within({_ITEM: item})) for item in elements(base)]
    count_values(scope, items)
    if isinstance(base, TupleValue):
        return TupleValue(items)
    if not items:
        return ListValue(_selected(base.element, expression.each))
    types = list(dict.fromkeys(map(type_of, items)))
    if len(types) > 1:
        if DYNAMIC in types:
            raise Unresolvable("a splat with nulls without a type")
        raise TerraformError("a splat of elements with different types")
    return ListValue(types[0], items)


def _selected(element: Type, each: s.Expression) -> Type:
    """The type of a splat's result for an element of a type. Raises Unresolvable."""
    if isinstance(each, s.Item):
        return element
    if isinstance(each, s.Index) and isinstance(each.key, s.Literal):
        base = _selected(element, each.base)
        if isinstance(base, ObjectType) and (of := dict(base.attributes).get(str(each.key.value))) is not None:
            return of
        if isinstance(base, Collection) and base.kind == "map":
            return base.element
    raise Unresolvable("a splat of an empty list")


def _call(expression: s.Call, scope: EvaluationScope) -> Value:
    if expression.name in ("try", "can", "core::try", "core::can"):
        return _try(expression, scope)
    arguments = [evaluate(argument, scope) for argument in expression.arguments]
    if expression.expand:
        last = arguments.pop()
        if not isinstance(last, (TupleValue, ListValue, SetValue)):
            type_of(last)
            raise TerraformError("only a list, set or tuple can be expanded", expression.line)
        arguments += elements(last)
    if scope.trying and expression.name.removeprefix("core::") == "nonsensitive":
        raise Unresolvable("nonsensitive within try or can, which differs between versions of Terraform")
    try:
        count_values(scope, arguments)
        result = call(expression.name, arguments)
        count_values(scope, [result])
    except Unresolvable as error:
        error.line = error.line or expression.line
        raise
    return result


def _try(expression: s.Call, scope: EvaluationScope) -> Value:
    """`try` and `can`: a later argument is evaluated only after a certain error of Terraform."""
    if expression.expand or not expression.arguments:
        raise Unresolvable("an unsupported form of try or can", expression.line)
    inner = replace(scope, trying=True)
    if expression.name.endswith("can"):
        if len(expression.arguments) > 1:
            raise TerraformError("wrong number of arguments", expression.line)
        try:
            evaluate(expression.arguments[0], inner)
        except TerraformError:
            return False
        return True
    for argument in expression.arguments:
        try:
            return evaluate(argument, inner)
        except TerraformError:
            continue
    raise TerraformError("no expression succeeds", expression.line)


def _conditional(expression: s.Conditional, scope: EvaluationScope) -> Value:
    condition = truth(evaluate(expression.condition, scope))
    chosen, other = (expression.yes, expression.no) if condition else (expression.no, expression.yes)
    value = evaluate(chosen, scope)
    count_values(scope, [value])
    # Both results are evaluated for their common type; an error in the result not selected is not reported.
    try:
        other_type: Type | None = _type_of_branch(evaluate(other, scope))
    except TerraformError:
        other_type = _type_after_error(other)
    except Unresolvable as error:
        other_type = _type_of_unknown(other, error)
        # If Terraform reports an error for it, the value is not converted: both must be the same.
        if other_type is not None and unify([_type_of_branch(value), other_type]) != _type_of_branch(value):
            other_type = None
    if other_type is not None:
        return _joined(value, other_type)
    if isinstance(value, (str, Document)) and not scope.trying:
        # A string remains a string with every type that can be unified with it; otherwise the plan fails.
        return value
    raise Unresolvable("a conditional whose other result has an unknown type")


def _type_after_error(expression: s.Expression) -> Type | None:
    """The type that Terraform assumes after an error in an expression; None if it is not fixed."""
    if isinstance(expression, s.Template) and len(expression.parts) == 1:
        return _type_after_error(expression.parts[0])
    if isinstance(expression, (s.Binary, s.Unary)):
        return NUMBER if expression.operator in ("+", "-", "*", "/", "%") else BOOL
    while isinstance(expression, s.Index) and isinstance(expression.key, s.Literal):
        expression = expression.base
    return DYNAMIC if isinstance(expression, (s.Call, s.Name)) else None


def _type_of_unknown(expression: s.Expression, error: Unresolvable) -> Type | None:
    """The type of an expression with an unknown value; None if it depends on the value."""
    if isinstance(expression, s.Template):
        return STRING if expression.parts[1:] else _type_of_unknown(expression.parts[0], error)
    if isinstance(expression, (s.Binary, s.Unary)):
        return _type_after_error(expression)
    if isinstance(expression, s.Call):
        return result_type(expression.name)
    keys: list[object] = []
    while isinstance(expression, s.Index) and isinstance(expression.key, s.Literal):
        keys.append(expression.key.value)
        expression = expression.base
    if isinstance(expression, s.Name):
        if expression.name == "var" and len(keys) == 1:
            return error.type
        if (expression.name == "data" or expression.name.startswith("aws_")) and keys[:1] and keys[0] in _STRING_ATTRIBUTES:
            return STRING
    return None


_STRING_ATTRIBUTES = ("arn", "id", "name", "unique_id")
"""Attributes that are strings in every resource type that has them."""


def _type_of_branch(value: Value) -> Type:
    return STRING if isinstance(value, str) else type_of(value)


def _joined(value: Value, other: Type) -> Value:
    """Convert a value to the common type of its own type and another. Raises Unresolvable."""
    own = _type_of_branch(value)
    if other in (own, DYNAMIC):
        return value
    if value is None:
        return Null(other)
    common = unify([own, other])
    if common is None:
        raise TerraformError("the two results of a conditional have no type in common")
    return convert(value, common)


def _binary(expression: s.Binary, scope: EvaluationScope) -> Value:
    operator = expression.operator
    if operator in ("&&", "||"):
        return _logical(expression, scope)
    left, right = evaluate(expression.left, scope), evaluate(expression.right, scope)
    if operator in ("==", "!="):
        count_values(scope, [left, right])
        return equal(left, right) is (operator == "==")
    one, other = _operand(left), _operand(right)
    if operator in _COMPARISONS:
        return _COMPARISONS[operator](one, other)
    if operator in _ARITHMETIC:
        return exact(_ARITHMETIC[operator](one, other))
    raise Unresolvable(f"the operator {operator} is not evaluated")


def _operand(value: Value) -> Number:
    number = convert(value, NUMBER)
    if isinstance(number, (int, Fraction)) and not isinstance(number, bool):
        return number
    raise TerraformError("an operand that is null")


def _logical(expression: s.Binary, scope: EvaluationScope) -> bool:
    sides: list[bool | TerraformError] = []
    for side in (expression.left, expression.right):
        try:
            value = evaluate(side, scope)
        except TerraformError as error:
            sides.append(error)
            continue
        value = convert(value, BOOL)
        if not isinstance(value, bool):
            raise Unresolvable("an operand that is null")
        sides.append(value)
    decisive = expression.operator == "||"
    errors = [side for side in sides if isinstance(side, TerraformError)]
    if errors:
        if decisive in sides:
            # An error up to Terraform 1.11; from 1.12 on the other operand determines the result.
            raise Unresolvable(f"an error next to {expression.operator}: {errors[0].reason}")
        raise errors[0]
    return decisive if decisive in sides else not decisive


def _product(left: Number, right: Number) -> Number:
    if (left == 0 or right == 0) and (left < 0 or right < 0):
        raise Unresolvable("a negative zero")
    return left * right


def _quotient(left: Number, right: Number) -> Number:
    if right == 0 or (left == 0 and right < 0):
        raise Unresolvable("a division by zero, or a negative zero")
    return Fraction(left) / Fraction(right)


def _remainder(left: Number, right: Number) -> Number:
    if not isinstance(left, int) or not isinstance(right, int) or left < 0 or right <= 0:
        raise Unresolvable("a remainder of numbers that are not positive integers")
    return left % right


_ARITHMETIC: dict[str, Callable[[Number, Number], Number]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": _product,
    "/": _quotient,
    "%": _remainder,
}
_COMPARISONS: dict[str, Callable[[Number, Number], bool]] = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}


def _unary(expression: s.Unary, scope: EvaluationScope) -> Value:
    value = evaluate(expression.operand, scope)
    if expression.operator == "!":
        return not truth(value)
    number = _operand(value)
    if number == 0:
        raise Unresolvable("a negative zero")
    return -number


def _for(expression: s.For, scope: EvaluationScope) -> Value:
    source = evaluate(expression.source, scope)
    if not source and isinstance(source, (list, dict)) and expression.condition is not None and scope.trying:
        # Terraform checks the condition even if there are no elements.
        raise Unresolvable("a for expression with a condition and without elements")
    items: list[Value] = []
    keys: list[str] = []
    for key, value in _pairs(source):
        names = (key, value) if expression.names[1:] else (value,)
        inner = scope.within(dict(zip(expression.names, names, strict=True)))
        if expression.condition is not None and not truth(evaluate(expression.condition, inner)):
            continue
        if expression.key is not None:
            keys.append(plain(text(evaluate(expression.key, inner))))
        items.append(evaluate(expression.value, inner))
    count_values(scope, items)
    if expression.key is None:
        return TupleValue(items)
    if expression.group:
        return _grouped(keys, items)
    if len(set(keys)) != len(keys):
        raise TerraformError("a for expression with a repeated key")
    return ObjectValue(zip(keys, items, strict=True))


def _grouped(keys: Sequence[str], items: Sequence[Value]) -> Value:
    groups: dict[str, TupleValue] = {}
    for key, item in zip(keys, items, strict=True):
        groups.setdefault(key, TupleValue()).append(item)
    return ObjectValue(groups)


def _pairs(source: Value) -> Iterator[tuple[Value, Value]]:
    """Yield keys and values in the order of a `for` expression. Raises Unresolvable."""
    if isinstance(source, (ObjectValue, MapValue)):
        yield from [(key, source[key]) for key in sorted(source)]
    elif isinstance(source, SetValue):
        yield from [(item, item) for item in elements(source)]
    elif isinstance(source, (TupleValue, ListValue)):
        yield from enumerate(source)
    else:
        type_of(source)
        raise TerraformError("a for expression over a value that is not a list, set or map")


def _unsupported(expression: s.Unsupported, _scope: EvaluationScope) -> Value:
    raise Unresolvable(f"{expression.what} is not evaluated", expression.line)


_EVALUATORS: dict[type, Callable[..., Value]] = {
    s.Template: _template,
    s.Tuple: _tuple,
    s.Object: _object,
    s.Name: _name,
    s.Index: _index,
    s.Item: _item,
    s.Splat: _splat,
    s.Call: _call,
    s.Conditional: _conditional,
    s.Binary: _binary,
    s.Unary: _unary,
    s.For: _for,
    s.Unsupported: _unsupported,
}
