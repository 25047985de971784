"""Jinja expressions and templates in plays, evaluated in a sandbox.

Expressions are allowed, statements are not, and undefined names are errors. A string that consists of a single
`{{ expression }}` keeps the type of the result; other templates render to strings. Results are never evaluated again: a
customer's tag that contains `{{ ... }}` remains a string.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import StrictUndefined, Template, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

from rolecall_generator.errors import ExitCode, RolecallError


class TemplateError(RolecallError):
    """An expression is invalid, or cannot be evaluated for an account."""

    exit_code = ExitCode.USAGE


MAXIMUM_REPEATED = 1_000_000
"""Maximum length of a string or list that the operator `*` returns."""
MAXIMUM_EXPONENT = 1_000
FUNCTIONS = frozenset({"range"})
"""Functions that are defined in every expression."""
_RESULT = "rolecall_value"
Escape = Callable[[Any], Any]


class _Sandbox(ImmutableSandboxedEnvironment):
    """A sandbox without private attributes and mutation of variables, and with limits on the size of results."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and not (isinstance(right, int | float) and abs(right) <= MAXIMUM_EXPONENT):
            raise SecurityError(f"the exponent is greater than {MAXIMUM_EXPONENT:,}")
        if operator == "*":
            for many, count in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(count, int) and len(many) * count > MAXIMUM_REPEATED:
                    raise SecurityError(f"the string or list has more than {MAXIMUM_REPEATED:,} items")
        return super().call_binop(context, operator, left, right)


_JINJA = _Sandbox(undefined=StrictUndefined)
_JINJA.globals = {"range": safe_range}  # Jinja's other defaults (dict, lipsum, cycler) are for generating text


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `names`: the variables that it uses."""

    text: str
    names: frozenset[str]
    _template: Template = field(repr=False, compare=False)

    def value(self, variables: Mapping[str, Any]) -> Any:
        """Evaluate the expression. Raises TemplateError; for an undefined variable, the message contains its name."""
        context = self._template.new_context(dict(variables))
        try:
            for _ in self._template.root_render_func(context):
                pass
            found = context.vars[_RESULT]
            if isinstance(found, Undefined):
                found._fail_with_undefined_error()
        except (JinjaError, ArithmeticError, TypeError, ValueError, AttributeError, LookupError, RecursionError) as error:
            message = str(error) or type(error).__name__
            raise TemplateError(message, where=f"{{{{ {self.text} }}}}", hint=_hint(message)) from None
        return found

    def is_true(self, variables: Mapping[str, Any]) -> bool:
        """Whether the value is truthy. Raises TemplateError."""
        return bool(self.value(variables))


def _hint(message: str) -> str:
    if "undefined" in message or "has no attribute" in message:
        return "use `is defined` or `| default(...)`, or make sure that the task that registers it has run"
    return "fix the expression"


def compile_expression(text: str) -> Expression:
    """Compile an expression, as in `when`. Raises TemplateError."""
    if "{{" in text or "{%" in text:
        raise TemplateError("expressions have no {{ }} here", hint="remove the {{ }}")
    tree = _parse("{{ " + text + "\n}}", text)
    found = list(_parts(tree, text))
    if len(found) != 1 or isinstance(found[0], str):
        raise TemplateError(f"{text!r} is not a single expression", hint="use a single expression")
    return _compiled(found[0], text)


@dataclass(frozen=True, slots=True)
class StringTemplate:
    """A string that contains expressions. Literal parts are of type str."""

    parts: tuple[str | Expression, ...]

    def render(self, variables: Mapping[str, Any], escape: Escape) -> Any:
        """Render the string for one account. A single expression keeps the type of its value. Raises TemplateError."""
        values = [part if isinstance(part, str) else escape(part.value(variables)) for part in self.parts]
        return values[0] if len(values) == 1 else "".join(str(value) for value in values)


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a play whose strings, at any depth, may contain expressions. `names`: the variables that they use."""

    body: Any
    names: frozenset[str]

    @property
    def constant(self) -> bool:
        """Whether the value contains no expression, so that it is the same for every account."""
        return self.body is None or not any(_templates(self.body))

    def render(self, variables: Mapping[str, Any], escape: Escape = lambda value: value) -> Any:
        """Render the value for one account. `escape` is applied to the results of expressions. Raises TemplateError."""
        return _render(self.body, variables, escape)


EMPTY_VALUE = Value(None, frozenset())
"""The value null; also in place of an invalid value."""


def compile_value(tree: Any) -> Value:
    """Compile the expressions in all strings of a tree. Raises TemplateError."""
    body = _compile_tree(tree)
    return Value(body, frozenset(name for text in _templates(body) for name in _names(text)))


def compile_string(text: str) -> str | StringTemplate:
    """Compile a string; a string without expressions is returned unchanged. Raises TemplateError."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    parts = tuple(part if isinstance(part, str) else _compiled(part, text) for part in _parts(_parse(text, text), text))
    return StringTemplate(parts)


def _parse(source: str, text: str) -> nodes.Template:
    try:
        return _JINJA.parse(source)
    except TemplateSyntaxError as error:
        raise TemplateError(
            f"{text!r} is not a valid expression: {error.message}", hint="see the Jinja documentation"
        ) from None


def _parts(tree: nodes.Template, text: str) -> Iterator[str | nodes.Expr]:
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            raise TemplateError(f"{text!r} contains a statement", hint="use only {{ expressions }}")
        for part in node.nodes:
            yield part.data if isinstance(part, nodes.TemplateData) else part


def _compiled(node: nodes.Expr, text: str) -> Expression:
    shown = text.strip().removeprefix("{{").removesuffix("}}").strip()
    try:
        names = find_undeclared_variables(_as_template(nodes.Output([node], lineno=1)))
        template = _JINJA.from_string(_as_template(nodes.Assign(nodes.Name(_RESULT, "store"), node, lineno=1)))
    except JinjaError as error:  # an unknown filter or test
        raise TemplateError(
            f"{shown!r} is not a valid expression: {error.message}", hint="see Jinja's filters and tests"
        ) from None
    return Expression(shown, frozenset(names), template)


def _as_template(node: nodes.Node) -> nodes.Template:
    tree = nodes.Template([node], lineno=1)
    tree.set_environment(_JINJA)
    return tree


def _compile_tree(tree: Any) -> Any:
    if isinstance(tree, str):
        return compile_string(tree)
    if isinstance(tree, Mapping):
        return {str(key): _compile_tree(item) for key, item in tree.items()}
    return [_compile_tree(item) for item in tree] if isinstance(tree, list | tuple) else tree


def _templates(body: Any) -> Iterator[StringTemplate]:
    if isinstance(body, StringTemplate):
        yield body
    elif isinstance(body, Mapping):
        yield from (text for item in body.values() for text in _templates(item))
    elif isinstance(body, list):
        yield from (text for item in body for text in _templates(item))


def _names(text: StringTemplate) -> Iterator[str]:
    return (name for part in text.parts if isinstance(part, Expression) for name in part.names)


def _render(body: Any, variables: Mapping[str, Any], escape: Escape) -> Any:
    if isinstance(body, StringTemplate):
        return body.render(variables, escape)
    if isinstance(body, Mapping):
        return {key: _render(item, variables, escape) for key, item in body.items()}
    return [_render(item, variables, escape) for item in body] if isinstance(body, list) else body
