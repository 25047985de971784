"""Read the mappings of a play file: validate keys, types, and the variable names in expressions.

Problems are collected with line, column, and hint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from rolecall_generator.errors import Problem
from rolecall_generator.manifest.yaml_source import ListNode, MapNode, Place, YamlMark, place_at
from rolecall_generator.text import suggest
from rolecall_runner.inventory import Target
from rolecall_runner.plays.templating import (
    EMPTY_VALUE,
    FUNCTIONS,
    Expression,
    TemplateError,
    Value,
    compile_expression,
    compile_value,
)

T = TypeVar("T")


class PlayProblems:
    """Collects the problems of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def add(self, mark: YamlMark, what: str, hint: str) -> None:
        """Add a problem at a mark."""
        place = place_at(self.file, mark)
        self.problems.append(Problem(place.file, place.line, place.column, what, hint))

    def place(self, mark: YamlMark) -> Place:
        """Convert a mark to a place in the file, counted from 1."""
        return place_at(self.file, mark)


class Fields:
    """Typed access to the keys of one mapping. `owner` describes the mapping in messages: `a play`, `the task "x"`.

    Invalid values are reported, and the default is returned instead.
    """

    def __init__(self, node: MapNode, report: PlayProblems, owner: str) -> None:
        self.node = node
        self.report = report
        self.owner = owner

    def add_problem(self, key: str, what: str, hint: str) -> None:
        """Report a problem at the value of a key."""
        self.report.add(self.mark(key), what, hint)

    def mark(self, key: str) -> YamlMark:
        """Position of a key's value; that of the mapping if the key is missing."""
        return self.node.marks[key][1] if key in self.node else self.node.mark

    def places(self, key: str) -> list[YamlMark]:
        """Positions of the entries of a list, or of the single value given instead of a list."""
        found = self.node.get(key)
        return list(found.marks) if isinstance(found, ListNode) else [self.mark(key)]

    def check_keys(self, keys: Iterable[str]) -> None:
        """Report every key that is not in `keys`, with the nearest valid key as the hint."""
        names = list(keys)
        for key in self.node:
            if key not in names:
                self.report.add(
                    self.node.marks[key][0],
                    f"{key} is not a valid key of {self.owner}",
                    suggest(key, names, "remove it; valid keys"),
                )

    def string(self, key: str, default: str = "") -> str:
        """A non-empty string."""
        return self._validated(
            key,
            default,
            lambda found: isinstance(found, str) and bool(found.strip()),
            "a string",
            "use a string that is not empty",
        )

    def flag(self, key: str, default: bool = False) -> bool:
        """A Boolean."""
        return self._validated(key, default, lambda found: isinstance(found, bool), "a Boolean", "use true or false")

    def count(self, key: str, default: int) -> int:
        """An integer of at least 0."""

        def is_valid(found: Any) -> bool:
            return isinstance(found, int) and not isinstance(found, bool) and found >= 0

        return self._validated(key, default, is_valid, "an integer of at least 0", "use an integer of 0 or more")

    def number(self, key: str, default: float, most: float | None = None) -> float:
        """A number from 0 to `most`; None: no upper limit."""
        limit = f"from 0 to {most:g}" if most is not None else "of at least 0"

        def is_valid(found: Any) -> bool:
            number = isinstance(found, int | float) and not isinstance(found, bool)
            return number and found >= 0 and (most is None or found <= most)

        return float(self._validated(key, default, is_valid, f"a number {limit}", f"use a number {limit}"))

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """One of `choices`."""
        found = self.string(key, default)
        if found in choices:
            return found
        self.add_problem(key, f"{key} of {self.owner} is {found!r}", suggest(found, choices, "use one of"))
        return default

    def strings(self, key: str) -> tuple[str, ...]:
        """A list of strings, or one string that is split at commas. Empty if the key is missing or invalid."""
        found = self.node.get(key)
        if isinstance(found, str) and found.strip():
            return tuple(part.strip() for part in found.split(",") if part.strip())
        if isinstance(found, ListNode) and all(isinstance(item, str) and item.strip() for item in found):
            return tuple(found)
        if key in self.node:
            self.add_problem(key, f"{key} of {self.owner} is not a list of strings", f"use a list, as in {key}: [one, two]")
        return ()

    def maps(self, key: str) -> list[MapNode]:
        """A list of mappings. Other entries are reported and omitted."""
        found = self.node.get(key)
        if key not in self.node:
            return []
        if not isinstance(found, ListNode):
            self.add_problem(key, f"{key} of {self.owner} is not a list", "start each item with `- `")
            return []
        for index, item in enumerate(found):
            if not isinstance(item, MapNode):
                self.report.add(found.marks[index], f"an item of {key} is not a mapping", "start it with `- name: ...`")
        return [item for item in found if isinstance(item, MapNode)]

    def map(self, key: str) -> MapNode:
        """A mapping; empty if the key is missing, null, or invalid."""
        found = self.node.get(key)
        if isinstance(found, MapNode):
            return found
        if found is not None:
            self.add_problem(key, f"{key} of {self.owner} is not a mapping", "use `KEY: VALUE` lines")
        return MapNode(self.mark(key))

    def conditions(self, key: str) -> tuple[Expression, ...]:
        """One expression or a list of expressions, compiled; `false` for an invalid one. All of them must be true."""
        found = self.node.get(key)
        if key not in self.node:
            return ()
        items = found if isinstance(found, ListNode) else [found]
        compiled = []
        for item, mark in zip(items, self.places(key), strict=True):
            if isinstance(item, bool):
                compiled.append(compile_expression(str(item).lower()))
            elif isinstance(item, str) and item.strip():
                compiled.append(self._compiled(mark, partial(compile_expression, item), compile_expression("false")))
            else:
                self.report.add(
                    mark,
                    f"{key} of {self.owner} is not an expression",
                    f"use an expression, as in {key}: found.rows | length == 0",
                )
                compiled.append(compile_expression("false"))
        return tuple(compiled)

    def value(self, key: str) -> Value | None:
        """A value of any type, with its expressions compiled; None if the key is missing, EMPTY_VALUE if it is invalid."""
        if key not in self.node:
            return None
        problems = len(self.report.problems)
        for text, mark in strings_in(self.node[key], self.mark(key)):
            self._compiled(mark, partial(compile_value, text), EMPTY_VALUE)
        return compile_value(self.node[key]) if problems == len(self.report.problems) else EMPTY_VALUE

    def _compiled(self, mark: YamlMark, make: Callable[[], T], fallback: T) -> T:
        try:
            return make()
        except TemplateError as error:
            self.report.add(mark, error.what, error.hint or "fix the expression")
            return fallback

    def _validated(self, key: str, default: T, is_valid: Callable[[Any], bool], what: str, hint: str) -> T:
        if key not in self.node:
            return default
        found = self.node[key]
        if is_valid(found):
            return found  # type: ignore[no-any-return]
        suffix = "" if isinstance(found, MapNode | ListNode) else f" ({found!r})"
        self.add_problem(key, f"{key} of {self.owner} is not {what}{suffix}", hint)
        return default


def strings_in(tree: Any, mark: YamlMark) -> Iterator[tuple[str, YamlMark]]:
    """Yield each string in a tree, at any depth, with its position. Keys are not included."""
    if isinstance(tree, str):
        yield tree, mark
    elif isinstance(tree, MapNode):
        for key, item in tree.items():
            yield from strings_in(item, tree.marks[key][1])
    elif isinstance(tree, ListNode):
        for item, at in zip(tree, tree.marks, strict=True):
            yield from strings_in(item, at)


RESERVED_VARIABLES = frozenset(
    {
        "name", "account_id", "partition", "role_arn", "regions", "labels", "tags", "variables", "kind", "check_mode",
        "item", "result",
    }
)  # fmt: skip
"""Reserved names: not allowed for variables and registered results."""
_LOOP, _RESULT = "item", "result"


def account_variables(target: Target, *, check: bool) -> dict[str, object]:
    """Variables that describe an account, for use in expressions."""
    return {
        "name": target.name,
        "account_id": target.account_id,
        "partition": target.partition,
        "role_arn": target.role_arn,
        "regions": list(target.regions),
        "labels": dict(target.labels),
        "tags": dict(target.tags),
        "variables": dict(target.variables),
        "kind": str(target.kind),
        "check_mode": check,
    }


@dataclass(frozen=True, slots=True)
class ExpressionNames:
    """Names defined at one point of a play: its variables, the results registered so far, and `more` (`item`, `result`)."""

    variables: Collection[str]
    registered: Collection[str]
    report: PlayProblems
    more: frozenset[str] = frozenset()

    def in_task(self, *, has_loop: bool) -> ExpressionNames:
        """The names inside a task. `has_loop` adds `item`."""
        return replace(self, more=self.more | {_LOOP}) if has_loop else self

    def with_result(self) -> ExpressionNames:
        """The names in conditions on the result of a task. Adds `result`."""
        return replace(self, more=self.more | {_RESULT})

    def check_tree(self, tree: Any, mark: YamlMark) -> None:
        """Report undefined names in the strings of a tree, each at the position of its string."""
        for text, at in strings_in(tree, mark):
            try:
                self.check(at, compile_value(text))
            except TemplateError:
                continue  # reported where it was compiled

    def check_each(self, marks: Iterable[YamlMark], conditions: Iterable[Expression]) -> None:
        """Report undefined names in conditions, each at the position of its condition."""
        for mark, condition in zip(marks, conditions, strict=False):  # without the key, there is a mark but no condition
            self.check(mark, condition)

    def check(self, mark: YamlMark, *values: Value | Expression) -> None:
        """Report undefined names in values and expressions."""
        own = RESERVED_VARIABLES - {_LOOP, _RESULT}
        known = own | set(self.variables) | set(self.registered) | self.more
        for name in sorted({name for each in values for name in each.names} - known - FUNCTIONS):
            if name == _LOOP:
                self.report.add(mark, "item is defined only in a loop", "add loop: with a list")
            else:
                hint = suggest(name, sorted(known), "add it to vars, or register it in an earlier task; defined variables")
                self.report.add(mark, f"{name} is undefined", hint)
