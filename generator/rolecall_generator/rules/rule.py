"""What rules look at: an access, who its parts belong to, and its documents grouped so that equal ones cost once.

Rules over access: the decorator that declares one, and what a rule can look at. A rule is a function under `@rule` in a
module of this folder whose name ends in `_rules`; `rules/registry.py` finds it there.

The manifest's `suppress` entries applied: what is reported, and what is not, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rolecall_generator.findings import UNUSED_SUPPRESSION, Finding, FindingKind, Severity
from rolecall_generator.iam import Access, PolicyDocument, Role, Statement, parse_arn
from rolecall_generator.iam.evaluation import name_matcher
from rolecall_generator.manifest import Quotas, Suppression

Place = Callable[[str], tuple[str, int] | None]
"""File (relative to the checked folder) and line, counting from 1, of what has this ARN."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a document hangs on, and what it is there, as in `inline policy s3-read`."""

    arn: str
    what: str


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule finds in a document, independent of its owner.

    `hint` and `severity` replace the rule's own. `statement` is the statement with the problem, `text` the string in it.
    """

    message: str
    hint: str | None = None
    severity: Severity | None = None
    statement: Statement | None = None
    text: str | None = None


Declared = Callable[[Statement, str | None], str | None]
"""FILE:LINE of a statement in the manifest, or of a text in it; None for what no permission set of the manifest says."""


def undeclared(_statement: Statement, _text: str | None) -> str | None:
    """A `Declared` for access that comes from no manifest."""
    return None


def nowhere(_arn: str) -> tuple[str, int] | None:
    """A `Place` for access that comes from no file."""
    return None


@dataclass(frozen=True, slots=True)
class CheckContext:
    """Everything that a rule may ask.

    `subjects` names customers and switch roles by the ARNs of their parts. `customer_roles`, `switch_roles` and
    `backend_roles` are ARNs. `external_ids` is what the manifest expects by role ARN. `documents` is derived: every
    permission document with all its owners, so that 10,000 customers with equal permissions are judged once.
    """

    access: Access
    subjects: Mapping[str, str] = field(default_factory=dict)
    customer_roles: frozenset[str] = frozenset()
    switch_roles: frozenset[str] = frozenset()
    backend_roles: frozenset[str] = frozenset()
    external_ids: Mapping[str, str] = field(default_factory=dict)
    quotas: Quotas = field(default_factory=Quotas)
    place: Place = nowhere
    declared: Declared = undeclared
    documents: Mapping[PolicyDocument, tuple[Owner, ...]] = field(init=False, repr=False, compare=False)
    _sizes: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The way of frozen dataclasses to fill derived fields.
        object.__setattr__(self, "documents", _grouped(self.access))
        object.__setattr__(self, "_sizes", {})

    def trusts(self) -> Iterator[tuple[Role, PolicyDocument]]:
        """Roles whose trust policy is known."""
        return ((role, role.trust) for role in self.access.roles.values() if role.trust is not None)

    def characters(self, document: PolicyDocument) -> int:
        """Size of one of the access's documents as AWS counts it; measured once, by identity."""
        size = self._sizes.get(id(document))
        if size is None:
            size = self._sizes[id(document)] = document.size
        return size

    def subject(self, arn: str) -> str:
        """The customer or switch role that the ARN belongs to; the ARN itself when no one is known."""
        return self.subjects.get(arn, arn)

    def finding(self, kind: FindingKind, owner: Owner, hit: Hit) -> Finding:
        """The finding of a hit at its owner."""
        file, line = self.place(owner.arn) or (None, None)
        return kind.finding(
            self.subject(owner.arn),
            f"{owner.what} of {short(owner.arn)} {hit.message}".strip(),
            file,
            line,
            severity=hit.severity,
            hint=hit.hint,
            declared=self.declared(hit.statement, hit.text) if hit.statement else None,
        )


def short(arn: str) -> str:
    """An ARN as people say it: kind, path and name, then the account."""
    parsed = parse_arn(arn)
    return f"{parsed.resource} in {parsed.account_id}" if parsed and parsed.account_id else arn


def matches_any(patterns: Iterable[str], action: str) -> bool:
    """True when one of a statement's actions, wildcards and any case, covers the action."""
    lower = action.lower()
    return any(name_matcher(pattern.lower())(lower) for pattern in patterns)


def _grouped(access: Access) -> dict[PolicyDocument, tuple[Owner, ...]]:
    # Two levels: most equal documents are the same object, and identity is cheaper to ask than equality.
    by_identity: dict[int, tuple[PolicyDocument, list[Owner]]] = {}
    for document, owner in _owned(access):
        by_identity.setdefault(id(document), (document, []))[1].append(owner)
    grouped: dict[PolicyDocument, list[Owner]] = {}
    for document, owners in by_identity.values():
        grouped.setdefault(document, []).extend(owners)
    return {document: tuple(owners) for document, owners in grouped.items()}


def _owned(access: Access) -> Iterator[tuple[PolicyDocument, Owner]]:
    for principals in (access.roles, access.groups, access.users):
        for arn, principal in principals.items():
            for name, document in principal.inline.items():
                yield document, Owner(arn, f"inline policy {name}")
    for arn, policy in access.policies.items():
        yield policy.document, Owner(arn, "the document")


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


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that is not reported, with the manifest's reason."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """Findings after suppression; `active` ends with a note for each suppression that hides nothing."""

    active: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The worst severity that is reported; None when nothing is."""
        return max((finding.severity for finding in self.active), default=None)


def apply_suppressions(findings: Iterable[Finding], suppressions: Iterable[Suppression], *, complete: bool = True) -> Report:
    """Split findings by the first suppression that names them.

    `complete` False says that only a part was checked (one customer), where an unused suppression means nothing.
    """
    entries = tuple(suppressions)
    active: list[Finding] = []
    suppressed: list[Suppressed] = []
    used: set[int] = set()
    for finding in findings:
        matching = [index for index, entry in enumerate(entries) if entry.covers(finding.rule, finding.subject)]
        used.update(matching)
        if matching:
            suppressed.append(Suppressed(finding, entries[matching[0]].reason))
        else:
            active.append(finding)
    if complete:
        active += [_unused(entry) for index, entry in enumerate(entries) if index not in used]
    return Report(tuple(active), tuple(suppressed))


def _unused(entry: Suppression) -> Finding:
    return UNUSED_SUPPRESSION.finding(entry.subject, f"the suppression of {entry.rule} for {entry.subject} hides nothing")
