"""Which names an expression may use, known before anything is run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.tree import Mark
from rolecall_runner.play.errors import TemplateError
from rolecall_runner.play.fields import Report, texts_in
from rolecall_runner.play.templating import FUNCTIONS, Expression, Value, value
from rolecall_runner.targets import Target

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
class Names:
    """Names known at one place of a play: its variables, what was registered by then, `item` in a loop."""

    variables: Collection[str]
    registered: Collection[str]
    report: Report
    more: frozenset[str] = frozenset()

    def inside(self, *, looping: bool) -> Names:
        """The names inside a task."""
        return replace(self, more=self.more | {_LOOP}) if looping else self

    def with_result(self) -> Names:
        """The names where the task's own result is known."""
        return replace(self, more=self.more | {_RESULT})

    def check_tree(self, tree: Any, mark: Mark) -> None:
        """Report names in the texts of a tree that nothing gives a value, each at its own text."""
        for text, at in texts_in(tree, mark):
            try:
                self.check(at, value(text))
            except TemplateError:
                continue  # reported where it was compiled

    def check_each(self, marks: Iterable[Mark], conditions: Iterable[Expression]) -> None:
        """Report names in conditions, each at its own."""
        for mark, condition in zip(marks, conditions, strict=False):  # without the key there is a place alone
            self.check(mark, condition)

    def check(self, mark: Mark, *values: Value | Expression) -> None:
        """Report names that nothing gives a value."""
        own = ACCOUNT - {_LOOP, _RESULT}
        known = own | set(self.variables) | set(self.registered) | self.more
        for name in sorted({name for each in values for name in each.names} - known - FUNCTIONS):
            if name == _LOOP:
                self.report.add(mark, "item is known in a loop alone", "add loop: with a list")
            else:
                mend = suggest(name, sorted(known), "add it to vars, or register it in an earlier task; known are")
                self.report.add(mark, f"nothing is called {name}", mend)
