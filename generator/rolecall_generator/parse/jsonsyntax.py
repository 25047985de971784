"""Terraform's JSON syntax (`.tf.json`) -> the same syntax trees as the native one.

Source: Terraform language documentation, "JSON Configuration Syntax", November 2026. JSON does not say what is a block and
what an argument; the names of the blocks that modules of this kind have are listed here, all else is an argument.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from rolecall_generator.parse import syntax as s
from rolecall_generator.parse.json_text import decoded
from rolecall_generator.parse.lexical import MAXIMUM_DEPTH, Unreadable, normalized
from rolecall_generator.parse.native import read_native, read_template

_LABELS = {"resource": 2, "data": 2, "ephemeral": 2, "variable": 1, "output": 1, "module": 1, "provider": 1, "check": 1}
_NESTED_LABELS = {"dynamic": 1, "provisioner": 1, "backend": 1, "provider_meta": 1}
_NESTED = frozenset({
    "condition", "connection", "content", "inline_policy", "lifecycle", "not_principals", "postcondition", "precondition",
    "principals", "required_providers", "statement", "timeouts", "validation", *_NESTED_LABELS,
})  # fmt: skip
# Arguments whose texts are references, not templates.
_REFERENCES = frozenset({"depends_on", "ignore_changes", "replace_triggered_by", "from", "to", "provider"})
# Arguments that Terraform reads without any scope: then a string is itself, `${` included (tried with Terraform 1.11.4).
_LITERAL = {"variable": frozenset({"default", "deprecated", "description", "ephemeral", "nullable", "sensitive", "type"})}

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')


def read_json(text: str, file: str) -> s.Body:
    """Blocks of a `.tf.json` file. Raises Unreadable."""
    return _Reader(text, file).root(_document(text))


def read_json_values(text: str, file: str) -> s.Body:
    """A `.tfvars.json` file: values by name, whose strings are no templates. Raises Unreadable."""
    reader = _Reader(text, file)
    values = {
        name: s.Attribute(reader.literal(value), reader.line(name))
        for name, value in _document(text).items()
        if name != "//"
    }
    return s.Body(values)


def _document(text: str) -> dict[str, Any]:
    try:
        document = decoded(text)
    except json.JSONDecodeError as error:
        raise Unreadable("not JSON", error.lineno) from None
    except ValueError as error:
        raise Unreadable(str(error), 1) from None
    except RecursionError:
        raise Unreadable("nested too deep", 1) from None
    if not isinstance(document, dict):
        raise Unreadable("not a JSON object", 1)
    _check_values(document)
    return document


def _check_values(document: dict[str, Any]) -> None:
    """Refuse what is nested too deep to be read, and halves of surrogate pairs, which Terraform replaces."""
    pending: list[tuple[Any, int]] = [(document, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                raise Unreadable("a string with half a surrogate pair", 1)
        elif isinstance(value, float) and not math.isfinite(value):
            raise Unreadable("a number that is not JSON, or too large", 1)
        elif isinstance(value, (dict, list)):
            if depth > MAXIMUM_DEPTH:
                raise Unreadable(f"nested more than {MAXIMUM_DEPTH} deep", 1)
            pending += [(item, depth + 1) for item in value]
            if isinstance(value, dict):
                pending += [(item, depth + 1) for item in value.values()]


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines = _lines(text)

    def line(self, name: str) -> int:
        """The line where a name stands for the first time: JSON's reader gives no places."""
        return self.lines.get(json.dumps(name, ensure_ascii=False), 1)

    def root(self, document: dict[str, Any]) -> s.Body:
        blocks: list[s.Block] = []
        for kind, value in document.items():
            if kind != "//":
                blocks.extend(self.blocks(kind, value, _LABELS.get(kind, 0)))
        return s.Body(blocks=tuple(blocks))

    def blocks(self, kind: str, value: Any, labels: int) -> Iterator[s.Block]:
        for names, body in _labelled(value, labels):
            if not isinstance(body, dict):
                raise Unreadable(f"{kind} is no JSON object", self.line(kind))
            line = self.line(names[-1] if names else kind)
            yield s.Block(kind, names, self.body(body, kind), self.file, line)

    def body(self, body: dict[str, Any], kind: str) -> s.Body:
        attributes: dict[str, s.Attribute] = {}
        blocks: list[s.Block] = []
        for name, value in body.items():
            if name == "//":
                continue
            if name in _NESTED and kind != "locals" and isinstance(value, (dict, list)):
                blocks.extend(self.blocks(name, value, _NESTED_LABELS.get(name, 0)))
            else:
                expression = self.argument(kind, name, value)
                attributes[name] = s.Attribute(expression, self.line(name))
        return s.Body(attributes, tuple(blocks))

    def argument(self, kind: str, name: str, value: Any) -> s.Expression:
        """The expression of one argument of a block of type `kind`."""
        if name in _LITERAL.get(kind, ()):
            return self.literal(value)
        if name in _REFERENCES:
            return self.reference(value)
        return self.expression(value)

    def literal(self, value: Any) -> s.Expression:
        """A value as it is, no string of it being a template."""
        if isinstance(value, dict):
            return s.Object(tuple((self.literal(key), self.literal(item)) for key, item in value.items()))
        if isinstance(value, list):
            return s.Tuple(tuple(self.literal(item) for item in value))
        return s.Literal(normalized(value) if isinstance(value, str) else value)

    def expression(self, value: Any) -> s.Expression:
        if isinstance(value, dict):
            return s.Object(tuple((self.expression(key), self.expression(item)) for key, item in value.items()))
        if isinstance(value, list):
            return s.Tuple(tuple(self.expression(item) for item in value))
        if isinstance(value, str):
            return read_template(value)
        return s.Literal(value)

    def reference(self, value: Any) -> s.Expression:
        if isinstance(value, list):
            return s.Tuple(tuple(self.reference(item) for item in value))
        if not isinstance(value, str):
            return s.Literal(value)
        return read_native(f"x = {value}\n", self.file).attributes["x"].expression


def _lines(text: str) -> dict[str, int]:
    """The line of every string's first occurrence, by the string as it is written."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        for match in _STRING.finditer(line):
            lines.setdefault(match.group(), number)
    return lines


def _labelled(value: Any, labels: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Bodies with their labels: an object a label, and a list wherever several may stand."""
    for item in value if isinstance(value, list) else [value]:
        if not labels:
            yield (), item
        elif not isinstance(item, dict):
            raise Unreadable("a block without its name", 1)
        else:
            for name, inner in item.items():
                if name == "//":
                    continue
                for names, body in _labelled(inner, labels - 1):
                    yield (name, *names), body
