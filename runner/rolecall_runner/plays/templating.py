"""Expressions and templates of plays, evaluated in Jinja's sandbox.

Only expressions are allowed, no statements, and undefined names are errors. A string that consists of a single
`{{ expression }}` keeps the type of the expression; other templates give strings. Results are never evaluated again, so a
customer's tag that contains `{{ ... }}` remains a string.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

from rolecall_generator.errors import ExitCode, RolecallError


class TemplateError(RolecallError):
    """An expression cannot be read, or has no value for an account."""

    exit_code = ExitCode.USAGE


MAXIMUM_REPEATED = 1_000_000
"""How long a text or list may become by `*`."""
MAXIMUM_EXPONENT = 1_000
FUNCTIONS = frozenset({"range"})
"""Names that every expression knows."""
_RESULT = "rolecall_value"
Escape = Callable[[Any], Any]


class _Sandbox(ImmutableSandboxedEnvironment):
    """No attribute that starts with `_`, no change of what it is given, no number or text of astronomic size."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and not (isinstance(right, int | float) and abs(right) <= MAXIMUM_EXPONENT):
            raise SecurityError(f"an exponent above {MAXIMUM_EXPONENT:,}")
        if operator == "*":
            for many, count in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(count, int) and len(many) * count > MAXIMUM_REPEATED:
                    raise SecurityError(f"a text or list of more than {MAXIMUM_REPEATED:,} parts")
        return super().call_binop(context, operator, left, right)


def _environment() -> Environment:
    made = _Sandbox(undefined=StrictUndefined)
    made.globals = {"range": safe_range}  # what else a template language brings is for pages
    return made


_JINJA = _environment()


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression, compiled. `names` are the variables that it reads."""

    text: str
    names: frozenset[str]
    _template: Template = field(repr=False, compare=False)

    def value(self, variables: Mapping[str, Any]) -> Any:
        """The expression's value. Raises TemplateError that names what is undefined."""
        context = self._template.new_context(dict(variables))
        try:
            for _ in self._template.root_render_func(context):
                pass
            found = context.vars[_RESULT]
            if isinstance(found, Undefined):
                found._fail_with_undefined_error()
        except (JinjaError, ArithmeticError, TypeError, ValueError, AttributeError, LookupError, RecursionError) as error:
            words = str(error) or type(error).__name__
            raise TemplateError(words, where=f"{{{{ {self.text} }}}}", hint=_hint(words)) from None
        return found

    def true(self, variables: Mapping[str, Any]) -> bool:
        """Whether the value counts as true. Raises TemplateError."""
        return bool(self.value(variables))


def _hint(words: str) -> str:
    if "undefined" in words or "has no attribute" in words:
        return "use `is defined` or `| default(...)`, or see to it that the task which registers it has run"
    return "fix the expression"


def expression(text: str) -> Expression:
    """Compile an expression, as in `when`. Raises TemplateError."""
    if "{{" in text or "{%" in text:
        raise TemplateError("an expression stands here without {{ }}", hint="write the expression alone")
    tree = _parse("{{ " + text + "\n}}", text)
    found = list(_parts(tree, text))
    if len(found) != 1 or isinstance(found[0], str):
        raise TemplateError(f"{text!r} is not one expression", hint="write one expression")
    return _compiled(found[0], text)


@dataclass(frozen=True, slots=True)
class Text:
    """A text with expressions in it; plain parts are str."""

    parts: tuple[str | Expression, ...]

    def render(self, variables: Mapping[str, Any], escape: Escape) -> Any:
        """The text for one account; one expression alone keeps its type. Raises TemplateError."""
        values = [part if isinstance(part, str) else escape(part.value(variables)) for part in self.parts]
        return values[0] if len(values) == 1 else "".join(str(value) for value in values)


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a play, at any depth, whose texts may hold expressions. `names` are the variables that they read."""

    body: Any
    names: frozenset[str]

    @property
    def constant(self) -> bool:
        """Whether it is the same for every account."""
        return self.body is None or not any(_texts(self.body))

    def render(self, variables: Mapping[str, Any], escape: Escape = lambda value: value) -> Any:
        """The value for one account. `escape` is applied to what expressions give. Raises TemplateError."""
        return _render(self.body, variables, escape)


NOTHING = Value(None, frozenset())
"""No value at all."""


def value(tree: Any) -> Value:
    """Compile all texts of a tree. Raises TemplateError."""
    body = _body(tree)
    return Value(body, frozenset(name for text in _texts(body) for name in _names(text)))


def text_of(text: str) -> str | Text:
    """A text, compiled when it holds expressions. Raises TemplateError."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    parts = tuple(part if isinstance(part, str) else _compiled(part, text) for part in _parts(_parse(text, text), text))
    return Text(parts)


def _parse(source: str, text: str) -> nodes.Template:
    try:
        return _JINJA.parse(source)
    except TemplateSyntaxError as error:
        raise TemplateError(f"{text!r} is no expression: {error.message}", hint="see Jinja's expressions") from None


def _parts(tree: nodes.Template, text: str) -> Iterator[str | nodes.Expr]:
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            raise TemplateError(f"{text!r} holds a statement", hint="write expressions in {{ }} alone")
        for part in node.nodes:
            yield part.data if isinstance(part, nodes.TemplateData) else part


def _compiled(node: nodes.Expr, text: str) -> Expression:
    shown = text.strip().removeprefix("{{").removesuffix("}}").strip()
    try:
        names = find_undeclared_variables(_whole(nodes.Output([node], lineno=1)))
        template = _JINJA.from_string(_whole(nodes.Assign(nodes.Name(_RESULT, "store"), node, lineno=1)))
    except JinjaError as error:  # an unknown filter or test
        raise TemplateError(f"{shown!r} is no expression: {error.message}", hint="see Jinja's filters and tests") from None
    return Expression(shown, frozenset(names), template)


def _whole(node: nodes.Node) -> nodes.Template:
    tree = nodes.Template([node], lineno=1)
    tree.set_environment(_JINJA)
    return tree


def _body(tree: Any) -> Any:
    if isinstance(tree, str):
        return text_of(tree)
    if isinstance(tree, Mapping):
        return {str(key): _body(item) for key, item in tree.items()}
    return [_body(item) for item in tree] if isinstance(tree, list | tuple) else tree


def _texts(body: Any) -> Iterator[Text]:
    if isinstance(body, Text):
        yield body
    elif isinstance(body, Mapping):
        yield from (text for item in body.values() for text in _texts(item))
    elif isinstance(body, list):
        yield from (text for item in body for text in _texts(item))


def _names(text: Text) -> Iterator[str]:
    return (name for part in text.parts if isinstance(part, Expression) for name in part.names)


def _render(body: Any, variables: Mapping[str, Any], escape: Escape) -> Any:
    if isinstance(body, Text):
        return body.render(variables, escape)
    if isinstance(body, Mapping):
        return {key: _render(item, variables, escape) for key, item in body.items()}
    return [_render(item, variables, escape) for item in body] if isinstance(body, list) else body
