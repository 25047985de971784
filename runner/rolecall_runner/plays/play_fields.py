"""Reads the keys of a mapping in a play file: checks types, and the names that expressions may use.

Errors are reported with line, column, and hint.
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
from rolecall_runner.plays.templating import FUNCTIONS, NOTHING, Expression, TemplateError, Value, expression, value

T = TypeVar("T")


class PlayProblems:
    """Collects the problems of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def add(self, mark: YamlMark, what: str, hint: str) -> None:
        """One more problem."""
        place = place_at(self.file, mark)
        self.problems.append(Problem(place.file, place.line, place.column, what, hint))

    def place(self, mark: YamlMark) -> Place:
        """A mark as people count."""
        return place_at(self.file, mark)


class Fields:
    """The keys of one mapping. `owner` is what the mapping is, for messages: `a play`, `the task "x"`."""

    def __init__(self, node: MapNode, report: PlayProblems, owner: str) -> None:
        self.node = node
        self.report = report
        self.owner = owner

    def bad(self, key: str, what: str, hint: str) -> None:
        """A problem at a key's value."""
        self.report.add(self.mark(key), what, hint)

    def mark(self, key: str) -> YamlMark:
        """Where a key's value stands; the mapping's own mark when the key is not there."""
        return self.node.marks[key][1] if key in self.node else self.node.mark

    def places(self, key: str) -> list[YamlMark]:
        """Where each entry of a list stands, or the single value that stands in its place."""
        found = self.node.get(key)
        return list(found.marks) if isinstance(found, ListNode) else [self.mark(key)]

    def known(self, keys: Iterable[str]) -> None:
        """Every other key is a problem, with the nearest known one."""
        names = list(keys)
        for key in self.node:
            if key not in names:
                self.report.add(
                    self.node.marks[key][0],
                    f"{self.owner} has no key {key}",
                    suggest(key, names, "remove it; known here"),
                )

    def text(self, key: str, default: str = "") -> str:
        """A text that is not empty."""
        return self._one(key, default, lambda found: isinstance(found, str) and bool(found.strip()), "text", "write text")

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        return self._one(key, default, lambda found: isinstance(found, bool), "true or false", "write true or false")

    def count(self, key: str, default: int, least: int = 0) -> int:
        """A whole number, `least` or more."""

        def good(found: Any) -> bool:
            return isinstance(found, int) and not isinstance(found, bool) and found >= least

        return self._one(key, default, good, f"a whole number from {least}", f"write a number, {least} or more")

    def number(self, key: str, default: float, most: float | None = None) -> float:
        """A number from 0."""
        limit = f" to {most:g}" if most is not None else ""

        def good(found: Any) -> bool:
            number = isinstance(found, int | float) and not isinstance(found, bool)
            return number and found >= 0 and (most is None or found <= most)

        return float(self._one(key, default, good, f"a number from 0{limit}", f"write a number from 0{limit}"))

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """One of some words."""
        found = self.text(key, default)
        if found in choices:
            return found
        self.bad(key, f"{key} of {self.owner} is {found!r}", suggest(found, choices, "write one of"))
        return default

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; a single one may stand alone, or several with commas."""
        found = self.node.get(key)
        if isinstance(found, str) and found.strip():
            return tuple(part.strip() for part in found.split(",") if part.strip())
        if isinstance(found, ListNode) and all(isinstance(item, str) and item.strip() for item in found):
            return tuple(found)
        if key in self.node:
            self.bad(key, f"{key} of {self.owner} is not a list of texts", f"write {key}: [one, two]")
        return ()

    def maps(self, key: str) -> list[MapNode]:
        """A list of mappings; what is none is a problem and left out."""
        found = self.node.get(key)
        if key not in self.node:
            return []
        if not isinstance(found, ListNode):
            self.bad(key, f"{key} of {self.owner} is not a list", "start each entry with `- `")
            return []
        for index, item in enumerate(found):
            if not isinstance(item, MapNode):
                self.report.add(
                    found.marks[index], f"an entry of {key} is not a mapping", "write `- name: ...` and its keys"
                )
        return [item for item in found if isinstance(item, MapNode)]

    def map(self, key: str) -> MapNode:
        """A mapping; nothing at all counts as an empty one."""
        found = self.node.get(key)
        if isinstance(found, MapNode):
            return found
        if found is not None:
            self.bad(key, f"{key} of {self.owner} is not a mapping", "write `KEY: VALUE` lines below it")
        return MapNode(self.mark(key))

    def conditions(self, key: str) -> tuple[Expression, ...]:
        """Expressions of which all must be true: one, or a list of them."""
        found = self.node.get(key)
        if key not in self.node:
            return ()
        items = found if isinstance(found, ListNode) else [found]
        made = []
        for item, mark in zip(items, self.places(key), strict=True):
            if isinstance(item, bool):
                made.append(expression(str(item).lower()))
            elif isinstance(item, str) and item.strip():
                made.append(self._compiled(mark, partial(expression, item), expression("false")))
            else:
                self.report.add(mark, f"{key} of {self.owner} is no expression", f"write {key}: found.rows | length == 0")
                made.append(expression("false"))
        return tuple(made)

    def value(self, key: str) -> Value | None:
        """Any value, its texts compiled; None when the key is not there."""
        if key not in self.node:
            return None
        problems = len(self.report.problems)
        for text, mark in texts_in(self.node[key], self.mark(key)):
            self._compiled(mark, partial(value, text), NOTHING)
        return value(self.node[key]) if problems == len(self.report.problems) else NOTHING

    def _compiled(self, mark: YamlMark, make: Callable[[], T], instead: T) -> T:
        try:
            return make()
        except TemplateError as error:
            self.report.add(mark, error.what, error.hint or "fix the expression")
            return instead

    def _one(self, key: str, default: T, good: Callable[[Any], bool], what: str, hint: str) -> T:
        if key not in self.node:
            return default
        found = self.node[key]
        if good(found):
            return found  # type: ignore[no-any-return]
        shown = "" if isinstance(found, MapNode | ListNode) else f" ({found!r})"
        self.bad(key, f"{key} of {self.owner} is not {what}{shown}", hint)
        return default


def texts_in(tree: Any, mark: YamlMark) -> Iterator[tuple[str, YamlMark]]:
    """Every text of a tree, at any depth, with its place; keys are none."""
    if isinstance(tree, str):
        yield tree, mark
    elif isinstance(tree, MapNode):
        for key, item in tree.items():
            yield from texts_in(item, tree.marks[key][1])
    elif isinstance(tree, ListNode):
        for item, at in zip(tree, tree.marks, strict=True):
            yield from texts_in(item, at)


ACCOUNT = frozenset(
    {
        "name", "account_id", "partition", "role_arn", "regions", "labels", "tags", "variables", "kind", "check_mode",
        "item", "result",
    }
)  # fmt: skip
"""Names that a play's variables and registered results may not take."""
_LOOP, _RESULT = "item", "result"


def account_variables(target: Target, *, check: bool) -> dict[str, object]:
    """What expressions know of an account."""
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
    """Names known at one place of a play: its variables, what was registered by then, `item` in a loop."""

    variables: Collection[str]
    registered: Collection[str]
    report: PlayProblems
    more: frozenset[str] = frozenset()

    def inside(self, *, looping: bool) -> ExpressionNames:
        """The names inside a task."""
        return replace(self, more=self.more | {_LOOP}) if looping else self

    def with_result(self) -> ExpressionNames:
        """The names where the task's own result is known."""
        return replace(self, more=self.more | {_RESULT})

    def check_tree(self, tree: Any, mark: YamlMark) -> None:
        """Report names in the texts of a tree that nothing gives a value, each at its own text."""
        for text, at in texts_in(tree, mark):
            try:
                self.check(at, value(text))
            except TemplateError:
                continue  # reported where it was compiled

    def check_each(self, marks: Iterable[YamlMark], conditions: Iterable[Expression]) -> None:
        """Report names in conditions, each at its own."""
        for mark, condition in zip(marks, conditions, strict=False):  # without the key there is a place alone
            self.check(mark, condition)

    def check(self, mark: YamlMark, *values: Value | Expression) -> None:
        """Report names that nothing gives a value."""
        own = ACCOUNT - {_LOOP, _RESULT}
        known = own | set(self.variables) | set(self.registered) | self.more
        for name in sorted({name for each in values for name in each.names} - known - FUNCTIONS):
            if name == _LOOP:
                self.report.add(mark, "item is known in a loop alone", "add loop: with a list")
            else:
                hint = suggest(name, sorted(known), "add it to vars, or register it in an earlier task; known are")
                self.report.add(mark, f"nothing is called {name}", hint)
