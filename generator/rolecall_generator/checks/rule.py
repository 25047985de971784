"""Rules over access: the decorator that declares one, and what a rule can look at.

A rule is a function under `@rule` in a module of this folder whose name ends in `_rules`; `checks/rules.py` finds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from rolecall_generator.checks.context import CheckContext, Hit, Owner
from rolecall_generator.checks.finding import Finding, FindingKind, Severity
from rolecall_generator.iam.access import Role
from rolecall_generator.iam.policy import PolicyDocument, Statement

Check = Callable[[CheckContext], Iterable[Finding]]
Judge = Callable[[CheckContext], Iterable[tuple[Owner, Hit]]]
_Judge = TypeVar("_Judge")


@dataclass(frozen=True, slots=True)
class Rule(FindingKind):
    """A rule over access: `check` depends only on the context."""

    check: Check


def rule(
    identifier: str, title: str, severity: Severity, over: Callable[[_Judge], Judge], *, hint: str
) -> Callable[[_Judge], Rule]:
    """Declare the decorated function as a rule. `over` says what the function looks at, as in `over_statements`.

    The function yields hits: a message that continues the name of the document, as in `the trust policy of role/x in
    222222222222 ...`. A hit without its own severity and hint has those given here.
    """

    def declare(judge: _Judge) -> Rule:
        over_context = over(judge)

        def check(context: CheckContext) -> Iterator[Finding]:
            return (context.finding(declared, owner, hit) for owner, hit in over_context(context))

        declared = Rule(identifier, title, severity, hint, check)
        return declared

    return declare


def over_access(judge: Judge) -> Judge:
    """The whole context: the function yields hits together with their owners."""
    return judge


def over_statements(judge: Callable[[Statement], Iterable[Hit]]) -> Judge:
    """Every statement of every permission document; equal documents are judged once."""

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        for document, owners in context.documents.items():
            hits = [_about(statement, hit) for statement in document.statements for hit in judge(statement)]
            yield from ((owner, hit) for owner in owners for hit in hits)

    return over_context


def _about(statement: Statement, hit: Hit) -> Hit:
    return hit if hit.statement is not None else replace(hit, statement=statement)


def over_trusts(judge: Callable[[CheckContext, Role, Statement], Iterable[Hit]]) -> Judge:
    """Every statement of every trust policy, with the role that has it."""

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        for role, trust in context.trusts():
            for statement in trust.statements:
                yield from ((trust_owner(role), hit) for hit in judge(context, role, statement))

    return over_context


def trust_owner(role: Role) -> Owner:
    """The owner of a role's trust policy."""
    return Owner(role.arn, "the trust policy")


def named(statement: Statement) -> str:
    """The statement by its id, for messages."""
    return f"statement {statement.sid}" if statement.sid else "a statement without Sid"


def over_all_statements(judge: Callable[[Statement], Iterable[Hit]]) -> Judge:
    """Every statement of every permission document and of every trust policy."""
    in_documents, in_trusts = over_statements(judge), over_trusts(lambda _context, _role, statement: judge(statement))

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        yield from in_trusts(context)
        yield from in_documents(context)

    return over_context


def allows(document: PolicyDocument) -> Iterator[Statement]:
    """The document's Allow statements."""
    return (statement for statement in document.statements if statement.effect == "Allow")
