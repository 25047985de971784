"""What rules look at: an access, who its parts belong to, and its documents grouped so that equal ones cost once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rolecall_generator.checks.finding import Finding, FindingKind, Severity
from rolecall_generator.iam.access import Access, Role
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.globs import name_matcher
from rolecall_generator.iam.policy import PolicyDocument, Statement
from rolecall_generator.manifest.models import Quotas

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
        """The customer or switch role that the ARN belongs to; the ARN itself when nobody is known."""
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
