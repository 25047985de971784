"""What a rule is, and the two ways to write one: over one document, or over the whole context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rolecall_generator.checks.context import CheckContext, Hit, Owner
from rolecall_generator.checks.finding import Finding, Severity
from rolecall_generator.iam.access import Role
from rolecall_generator.iam.policy import PolicyDocument, Statement

Check = Callable[[CheckContext], Iterable[Finding]]
Judge = Callable[[CheckContext], Iterable[tuple[Owner, Hit]]]


@dataclass(frozen=True, slots=True)
class Described:
    """What reports say of a kind of finding. `page` is its page below `docs/`."""

    id: str
    title: str
    severity: Severity
    page: str


@dataclass(frozen=True, slots=True)
class Rule(Described):
    """One rule over access: `check` is a function of the context alone."""

    check: Check


def described(identifier: str, title: str, severity: Severity) -> Described:
    """A kind of finding that comes from elsewhere than a rule over access: the reader, the difference, the proof."""
    return Described(identifier, title, severity, _page(identifier))


def rule(identifier: str, title: str, severity: Severity, judge: Judge) -> Rule:
    """A rule whose judge says what is wrong with whom; places and subjects are filled in here."""

    def check(context: CheckContext) -> Iterator[Finding]:
        return (context.finding(identifier, severity, owner, hit) for owner, hit in judge(context))

    return Rule(identifier, title, severity, _page(identifier), check)


def _page(identifier: str) -> str:
    return f"rules/{identifier}.md"


def over_statements(judge: Callable[[Statement], Iterable[Hit]]) -> Judge:
    """A judge of every statement of every permission document; equal documents are judged once."""

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        for document, owners in context.documents.items():
            hits = [_about(statement, hit) for statement in document.statements for hit in judge(statement)]
            yield from ((owner, hit) for owner in owners for hit in hits)

    return over_context


def _about(statement: Statement, hit: Hit) -> Hit:
    return hit if hit.statement is not None else replace(hit, statement=statement)


def over_trusts(judge: Callable[[CheckContext, Role, Statement], Iterable[Hit]]) -> Judge:
    """A judge of every statement of every trust policy, with the role that has it."""

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


def union_of(*judges: Judge) -> Judge:
    """One judge of several, in their order."""

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        for judge in judges:
            yield from judge(context)

    return over_context


def allows(document: PolicyDocument) -> Iterator[Statement]:
    """The document's Allow statements."""
    return (statement for statement in document.statements if statement.effect == "Allow")
