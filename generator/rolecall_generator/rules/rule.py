"""Declaration, discovery and execution of rules, the context that they check, and suppression by the manifest.

A rule is a function with the `rule` decorator in a module of this package with a name ending in `_rules`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from rolecall_generator import manifest
from rolecall_generator import rules as package
from rolecall_generator.findings import UNUSED_SUPPRESSION, Finding, FindingKind, Severity, kinds_in
from rolecall_generator.iam import Access, Arn, PolicyDocument, Role, Statement

if TYPE_CHECKING:
    from rolecall_generator.manifest import Quotas, Suppression

Place = Callable[[str], tuple[str, int] | None]
"""Returns file (relative to the checked folder) and line (from 1) of the resource with this ARN; None if unknown."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The principal or policy that has a document, and a description of the document, such as `inline policy s3-read`."""

    arn: str
    what: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A violation in a document, independent of its owner.

    `hint` and `severity` override those of the rule. `statement` is the violating statement, `text` the string in it.
    """

    message: str
    hint: str | None = None
    severity: Severity | None = None
    statement: Statement | None = None
    text: str | None = None


Declared = Callable[[Statement, str | None], str | None]
"""Returns FILE:LINE of a statement in the manifest, or of a string in it; None if no permission set declares it."""


def no_declaration(_statement: Statement, _text: str | None) -> str | None:
    """A `Declared` for access without a manifest."""
    return None


def no_location(_arn: str) -> tuple[str, int] | None:
    """A `Place` for access without files."""
    return None


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The input of a rule.

    `subjects` maps ARNs of resources to the names of their customers and switch roles. `customer_roles`, `switch_roles` and
    `backend_roles` are ARNs. `external_ids` maps role ARNs to the expected external IDs. `documents` is computed: it maps
    each distinct permission document to its owners, so that rules check a document only once for 10,000 customers.
    """

    access: Access
    subjects: Mapping[str, str] = field(default_factory=dict)
    customer_roles: frozenset[str] = frozenset()
    switch_roles: frozenset[str] = frozenset()
    backend_roles: frozenset[str] = frozenset()
    external_ids: Mapping[str, str] = field(default_factory=dict)
    quotas: Quotas = field(default_factory=lambda: manifest.Quotas())  # noqa: PLW0108 - loads the manifest on first use
    place: Place = no_location
    declared: Declared = no_declaration
    documents: Mapping[PolicyDocument, tuple[Owner, ...]] = field(init=False, repr=False, compare=False)
    _sizes: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "documents", _owners_by_document(self.access))
        object.__setattr__(self, "_sizes", {})

    def trusts(self) -> Iterator[tuple[Role, PolicyDocument]]:
        """The roles with a known trust policy, each with that policy."""
        return ((role, role.trust) for role in self.access.roles.values() if role.trust is not None)

    def characters(self, document: PolicyDocument) -> int:
        """Size of a document of `access` as AWS counts it, cached by identity."""
        size = self._sizes.get(id(document))
        if size is None:
            size = self._sizes[id(document)] = document.size
        return size

    def subject(self, arn: str) -> str:
        """Name of the customer or switch role that the ARN belongs to; the ARN itself if there is none."""
        return self.subjects.get(arn, arn)

    def finding(self, kind: FindingKind, owner: Owner, hit: Hit) -> Finding:
        """The finding for a hit and its owner."""
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
    """The display form of an ARN: kind, path and name, then the account; other ARNs are unchanged."""
    parsed = Arn.parse(arn)
    return f"{parsed.resource} in {parsed.account_id}" if parsed and parsed.account_id else arn


def _owners_by_document(access: Access) -> dict[PolicyDocument, tuple[Owner, ...]]:
    # Group by identity first: most equal documents are the same object, and hashing documents is slow.
    by_identity: dict[int, tuple[PolicyDocument, list[Owner]]] = {}
    for document, owner in _documents_with_owners(access):
        by_identity.setdefault(id(document), (document, []))[1].append(owner)
    grouped: dict[PolicyDocument, list[Owner]] = {}
    for document, owners in by_identity.values():
        grouped.setdefault(document, []).extend(owners)
    return {document: tuple(owners) for document, owners in grouped.items()}


def _documents_with_owners(access: Access) -> Iterator[tuple[PolicyDocument, Owner]]:
    for principals in (access.roles, access.groups, access.users):
        for arn, principal in principals.items():
            for name, document in principal.inline.items():
                yield document, Owner(arn, f"inline policy {name}")
    for arn, policy in access.policies.items():
        yield policy.document, Owner(arn, "the document")


Check = Callable[[CheckContext], Iterable[Finding]]
RuleFunction = Callable[[CheckContext], Iterable[tuple[Owner, Hit]]]
_Function = TypeVar("_Function")


@dataclass(frozen=True, slots=True)
class Rule(FindingKind):
    """A rule. `check` returns its findings for a context."""

    check: Check


def rule(
    identifier: str, title: str, severity: Severity, over: Callable[[_Function], RuleFunction], *, hint: str
) -> Callable[[_Function], Rule]:
    """Declare the decorated function as a rule. `over` determines its arguments, see for example `over_statements`.

    The function yields hits. The finding's message is the name of the document, such as `the trust policy of role/x in
    222222222222`, followed by the message of the hit. `severity` and `hint` are defaults for the hits.
    """

    def declare(function: _Function) -> Rule:
        over_context = over(function)

        def check(context: CheckContext) -> Iterator[Finding]:
            return (context.finding(declared, owner, hit) for owner, hit in over_context(context))

        declared = Rule(identifier, title, severity, hint, check)
        return declared

    return declare


def over_access(function: RuleFunction) -> RuleFunction:
    """Call the function with the context; it yields hits with their owners."""
    return function


def over_statements(function: Callable[[Statement], Iterable[Hit]]) -> RuleFunction:
    """Call the function with each statement of the permission documents. Equal documents are checked only once."""

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        for document, owners in context.documents.items():
            hits = [_with_statement(statement, hit) for statement in document.statements for hit in function(statement)]
            yield from ((owner, hit) for owner in owners for hit in hits)

    return over_context


def _with_statement(statement: Statement, hit: Hit) -> Hit:
    return hit if hit.statement is not None else replace(hit, statement=statement)


def over_trusts(function: Callable[[CheckContext, Role, Statement], Iterable[Hit]]) -> RuleFunction:
    """Call the function with each statement of the trust policies, and its role."""

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        for role, trust in context.trusts():
            for statement in trust.statements:
                yield from ((trust_owner(role), hit) for hit in function(context, role, statement))

    return over_context


def trust_owner(role: Role) -> Owner:
    """The owner of a role's trust policy."""
    return Owner(role.arn, "the trust policy")


def named(statement: Statement) -> str:
    """The name of a statement in messages, with its Sid."""
    return f"statement {statement.sid}" if statement.sid else "a statement without Sid"


def over_all_statements(function: Callable[[Statement], Iterable[Hit]]) -> RuleFunction:
    """Call the function with each statement of the trust policies and the permission documents."""
    in_documents, in_trusts = over_statements(function), over_trusts(lambda _context, _role, statement: function(statement))

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        yield from in_trusts(context)
        yield from in_documents(context)

    return over_context


def allows(document: PolicyDocument) -> Iterator[Statement]:
    """The document's Allow statements."""
    return (statement for statement in document.statements if statement.effect == "Allow")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A suppressed finding, with the reason in the manifest."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """Findings after suppression. `active` ends with a note for each unused suppression."""

    active: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The highest severity of the active findings; None if there are none."""
        return max((finding.severity for finding in self.active), default=None)


def apply_suppressions(findings: Iterable[Finding], suppressions: Iterable[Suppression], *, complete: bool = True) -> Report:
    """Split findings into active and suppressed ones. The reason is that of the first matching suppression.

    `complete`: report unused suppressions. Use False if only part of the manifest was checked, such as one customer.
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
    return UNUSED_SUPPRESSION.finding(entry.subject, f"the suppression of {entry.rule} for {entry.subject} is unused")


_MODULE_SUFFIX = "_rules"


@cache
def all_rules() -> tuple[Rule, ...]:
    """All rules of the `*_rules` modules in this package, sorted by ID."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name.endswith(_MODULE_SUFFIX))
    modules = (importlib.import_module(f"{package.__name__}.{name}") for name in names)
    found = (kind for module in modules for kind in kinds_in(vars(module)) if isinstance(kind, Rule))
    return tuple(sorted(found, key=lambda rule: rule.id))


def run_rules(context: CheckContext) -> tuple[Finding, ...]:
    """Findings of all rules without duplicates, sorted by severity, subject, rule and location."""
    found = {finding for rule in all_rules() for finding in rule.check(context)}
    return tuple(sorted(found, key=_sort_key))


def _sort_key(finding: Finding) -> tuple[int, str, str, str, int, str]:
    place = (finding.file or "", finding.line or 0)
    return (-finding.severity, finding.subject, finding.rule, *place, finding.message)
