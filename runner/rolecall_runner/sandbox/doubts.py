"""Where a decision hangs on what is not known here: a key's value, or the resource itself.

The evaluator takes a key that a request does not say as absent. That is right for keys that the action never carries; for
one that it may carry, a Deny could hold and an Allow could fail, so nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from rolecall_generator.iam.compiled import CompiledStatement, Placed, Side
from rolecall_generator.iam.conditions import Truth
from rolecall_generator.iam.policy import Statement
from rolecall_runner.sandbox.request_context import carries_unsaid

Context = Mapping[str, tuple[str, ...]]
Layer = tuple[Placed, ...] | None
"""Policies of one kind, of which one must allow; None where there are none of that kind, and nothing is asked."""


@dataclass(frozen=True, slots=True)
class _Hint:
    """One statement that may concern the call, and the reason why that is not sure (empty: it is)."""

    allow: bool
    why: str


def doubt(layers: tuple[Layer, ...], action: str, resource: str | None, context: Context) -> str:
    """Why the call cannot be decided, or nothing. `resource` None says that the request does not tell it.

    No doubt where a sure statement allows in every layer and no unsure one denies, or where some layer has no statement
    that could allow.
    """
    hints = [list(_hints(layer, action, resource, context)) for layer in layers if layer is not None]
    if any(not any(hint.allow for hint in layer) for layer in hints):
        return ""
    for layer in hints:
        for hint in layer:
            if hint.why and not hint.allow:
                return hint.why
    for layer in hints:
        if not any(hint.allow and not hint.why for hint in layer):
            return next(hint.why for hint in layer if hint.allow)
    return ""


def _hints(layer: tuple[Placed, ...], action: str, resource: str | None, context: Context) -> Iterator[_Hint]:
    for _, document in layer:
        for statement in document.statements:
            why = _reach(statement, action, resource, context)
            if why is None:
                continue
            if statement.refusal:
                yield _Hint(statement.allow, statement.refusal)
                continue
            truth, unsaid = _holds(statement, action, context)
            if truth is not Truth.FALSE:
                yield _Hint(statement.allow, unsaid or why)


def _reach(statement: CompiledStatement, action: str, resource: str | None, context: Context) -> str | None:
    """None: the statement is about something else; empty: it is about the call; else why that is not sure."""
    source = statement.source
    if resource is not None and statement.concerns(action.lower(), resource, context):
        return ""
    if not _widened(replace(source, conditions=())).concerns(action.lower(), "*", context):
        return None
    if resource is None:
        everything = "*" in source.resources
        return "" if everything else "the request does not tell the resource"
    if resource.endswith("??????"):
        # A secret that is named without the six characters which AWS puts to its name.
        stem = resource.removesuffix("??????")
        if any(pattern.startswith(stem) for pattern in (*source.resources, *source.not_resources)):
            return "the request does not tell the secret's full ARN"
    return None


@lru_cache(maxsize=4_096)
def _widened(statement: Statement) -> CompiledStatement:
    """The statement about its actions alone."""
    return CompiledStatement(replace(statement, resources=("*",), not_resources=()), Side.IDENTITY, variables=True)


def _holds(statement: CompiledStatement, action: str, context: Context) -> tuple[Truth, str]:
    """Whether the conditions on known keys hold, and the first key whose value is not known."""
    unsaid = ""
    for test in statement.tests:
        unknown = next((key for key in (test.key, *test.variables) if carries_unsaid(action, context, key)), "")
        if unknown:
            unsaid = unsaid or f"the value of {unknown} is not known here"
        elif test.run(context) is Truth.FALSE:
            return Truth.FALSE, ""
    return Truth.TRUE, unsaid
