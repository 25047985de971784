"""Keys of a play's mapping read one by one: each of its type, else a problem with line, column and mend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from rolecall_generator.errors import Problem
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.tree import ListNode, MapNode, Mark, Place, place_at
from rolecall_runner.play.errors import TemplateError
from rolecall_runner.play.templating import NOTHING, Expression, Value, expression, value

T = TypeVar("T")


class Report:
    """Collects the problems of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def add(self, mark: Mark, what: str, mend: str) -> None:
        """One more problem."""
        place = place_at(self.file, mark)
        self.problems.append(Problem(place.file, place.line, place.column, what, mend))

    def place(self, mark: Mark) -> Place:
        """A mark as people count."""
        return place_at(self.file, mark)


class Fields:
    """The keys of one mapping. `owner` is what the mapping is, for messages: `a play`, `the task "x"`."""

    def __init__(self, node: MapNode, report: Report, owner: str) -> None:
        self.node = node
        self.report = report
        self.owner = owner

    def bad(self, key: str, what: str, mend: str) -> None:
        """A problem at a key's value."""
        self.report.add(self.mark(key), what, mend)

    def mark(self, key: str) -> Mark:
        """Where a key's value stands; the mapping's own mark when the key is not there."""
        return self.node.marks[key][1] if key in self.node else self.node.mark

    def places(self, key: str) -> list[Mark]:
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

    def _compiled(self, mark: Mark, make: Callable[[], T], instead: T) -> T:
        try:
            return make()
        except TemplateError as error:
            self.report.add(mark, error.what, error.mend or "mend the expression")
            return instead

    def _one(self, key: str, default: T, good: Callable[[Any], bool], what: str, mend: str) -> T:
        if key not in self.node:
            return default
        found = self.node[key]
        if good(found):
            return found  # type: ignore[no-any-return]
        shown = "" if isinstance(found, MapNode | ListNode) else f" ({found!r})"
        self.bad(key, f"{key} of {self.owner} is not {what}{shown}", mend)
        return default


def texts_in(tree: Any, mark: Mark) -> Iterator[tuple[str, Mark]]:
    """Every text of a tree, at any depth, with its place; keys are none."""
    if isinstance(tree, str):
        yield tree, mark
    elif isinstance(tree, MapNode):
        for key, item in tree.items():
            yield from texts_in(item, tree.marks[key][1])
    elif isinstance(tree, ListNode):
        for item, at in zip(tree, tree.marks, strict=True):
            yield from texts_in(item, at)
