"""Static evaluation: an expression and what its names stand for -> a value, or Unresolvable with the reason.

Values: see `functions`. Names give `Namespace` objects, whose parts are looked up when they are asked for, so that only
what a module uses is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rolecall_generator.parse import syntax as s
from rolecall_generator.parse.functions import Unresolvable, as_map, bounded, call, same, text

MAXIMUM_STEPS = 2_000_000
"""Evaluation steps of one module; a grant for ten thousand customers takes some 50,000."""

MAXIMUM_NUMBER = 10**30
MAXIMUM_INDEX_DIGITS = 9


class Names(Protocol):
    """What the first name of a reference stands for."""

    def root(self, name: str, line: int) -> Any:
        """The value or Namespace behind a name. Raises Unresolvable."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """Something with parts that are looked up by name, as `var` or one resource."""

    get: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of the module, and over them those of the place: `each`, `count`, the variables of a `for`."""

    names: Names
    local: Mapping[str, Any]
    file: str
    budget: list[int]

    def root(self, name: str, line: int) -> Any:
        """The value or Namespace behind a name. Raises Unresolvable."""
        if name in self.local:
            return self.local[name]
        return self.names.root(name, line)

    def within(self, **local: Any) -> Scope:
        """This scope with more names."""
        return Scope(self.names, {**self.local, **local}, self.file, self.budget)


def evaluate_attribute(attribute: s.Attribute, scope: Scope) -> Any:
    """The value of an argument. Raises Unresolvable that knows its file and line."""
    try:
        value = evaluate(attribute.expression, scope)
        if isinstance(value, Namespace):
            raise Unresolvable("a whole resource is no value here")
        return value
    except Unresolvable as error:
        if error.file is None:
            error.file = scope.file
            error.line = error.line or attribute.line
        raise
    except RecursionError:
        raise Unresolvable("an expression too deep to be evaluated", attribute.line, scope.file) from None


def spend(scope: Scope, steps: int) -> None:
    """Count evaluation steps of the module. Raises Unresolvable when they are too many."""
    scope.budget[0] -= steps
    if scope.budget[0] < 0:
        raise Unresolvable("the module takes too long to be evaluated")


def evaluate(expression: s.Expression, scope: Scope) -> Any:
    """The value of an expression. Raises Unresolvable."""
    scope.budget[0] -= 1
    if scope.budget[0] < 0:
        raise Unresolvable("the module takes too long to be evaluated")
    if isinstance(expression, s.Literal):
        return expression.value
    return _EVALUATORS[type(expression)](expression, scope)


def _template(expression: s.Template, scope: Scope) -> Any:
    values = [evaluate(part, scope) for part in expression.parts]
    if len(values) == 1:
        # `"${x}"` is x itself, whatever its type.
        return values[0]
    return bounded("".join([text(value) for value in values]))


def _tuple(expression: s.Tuple, scope: Scope) -> list[Any]:
    return [evaluate(item, scope) for item in expression.items]


def _object(expression: s.Object, scope: Scope) -> dict[str, Any]:
    return {text(evaluate(key, scope)): evaluate(value, scope) for key, value in expression.items}


def _name(expression: s.Name, scope: Scope) -> Any:
    return scope.root(expression.name, expression.line)


def part(base: Any, key: Any) -> Any:
    """`base[key]` and `base.key`. Raises Unresolvable."""
    if isinstance(base, Namespace):
        return base.get(text(key))
    if isinstance(base, dict) and text(key) in base:
        return base[text(key)]
    if isinstance(base, list):
        if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= MAXIMUM_INDEX_DIGITS:
            key = int(key)
        if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(base):
            return base[key]
    raise Unresolvable(f"there is no part {key!r} here")


def _index(expression: s.Index, scope: Scope) -> Any:
    return part(evaluate(expression.base, scope), evaluate(expression.key, scope))


def _splat(expression: s.Splat, scope: Scope) -> list[Any]:
    base = evaluate(expression.base, scope)
    items = base if isinstance(base, list) else [] if base is None else [base]
    keys = [evaluate(key, scope) for key in expression.keys]
    result = []
    for item in items:
        value = item
        for key in keys:
            value = part(value, key)
        result.append(value)
    return result


def _call(expression: s.Call, scope: Scope) -> Any:
    arguments = [evaluate(argument, scope) for argument in expression.arguments]
    if expression.expand and arguments and isinstance(arguments[-1], list):
        arguments[-1:] = arguments[-1]
    if expression.name == "try" and arguments:
        # Everything was resolved, so the first one is without error.
        return arguments[0]
    try:
        return call(expression.name, arguments)
    except Unresolvable as error:
        error.line = error.line or expression.line
        raise


def truth(value: Any) -> bool:
    """A condition's value. Raises Unresolvable when it is none."""
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    raise Unresolvable("a condition that is neither true nor false")


def _conditional(expression: s.Conditional, scope: Scope) -> Any:
    chosen = expression.yes if truth(evaluate(expression.condition, scope)) else expression.no
    return evaluate(chosen, scope)


def _binary(expression: s.Binary, scope: Scope) -> Any:
    left, right = evaluate(expression.left, scope), evaluate(expression.right, scope)
    operator = expression.operator
    if operator in ("==", "!="):
        return same(left, right) is (operator == "==")
    if operator in ("&&", "||"):
        both = (truth(left), truth(right))
        return all(both) if operator == "&&" else any(both)
    if not all(isinstance(side, (int, float)) and not isinstance(side, bool) for side in (left, right)):
        raise Unresolvable(f"{operator} with something that is no number")
    if operator not in _ARITHMETIC:
        raise Unresolvable(f"the operator {operator} is not evaluated")
    result = _ARITHMETIC[operator](left, right)
    if abs(result) > MAXIMUM_NUMBER:
        raise Unresolvable("a number too large to be evaluated")
    return result


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}


def _unary(expression: s.Unary, scope: Scope) -> Any:
    value = evaluate(expression.operand, scope)
    if expression.operator == "!":
        return not truth(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return -value
    raise Unresolvable("the negative of something that is no number")


def _for(expression: s.For, scope: Scope) -> Any:
    if expression.group:
        raise Unresolvable("a for expression that groups is not evaluated")
    source = evaluate(expression.source, scope)
    if isinstance(source, dict):
        pairs = [(key, source[key]) for key in sorted(source)]
    elif isinstance(source, list):
        pairs = list(enumerate(source))
    else:
        raise Unresolvable("a for expression over something that is no list or map")
    items: list[Any] = []
    keys: list[str] = []
    for key, value in pairs:
        names = (key, value) if expression.names[1:] else (value,)
        inner = scope.within(**dict(zip(expression.names, names, strict=True)))
        if expression.condition is not None and not truth(evaluate(expression.condition, inner)):
            continue
        if expression.key is not None:
            keys.append(text(evaluate(expression.key, inner)))
        items.append(evaluate(expression.value, inner))
    if expression.key is None:
        return items
    if len(set(keys)) != len(keys):
        raise Unresolvable("a for expression that makes one key twice")
    return as_map(dict(zip(keys, items, strict=True)))


def _unsupported(expression: s.Unsupported, _scope: Scope) -> Any:
    raise Unresolvable(f"{expression.what} is not evaluated", expression.line)


_EVALUATORS: dict[type, Callable[[Any, Scope], Any]] = {
    s.Template: _template,
    s.Tuple: _tuple,
    s.Object: _object,
    s.Name: _name,
    s.Index: _index,
    s.Splat: _splat,
    s.Call: _call,
    s.Conditional: _conditional,
    s.Binary: _binary,
    s.Unary: _unary,
    s.For: _for,
    s.Unsupported: _unsupported,
}
