"""Determines which outsiders can assume a role, and what a request needs.

`outsiders_of` is the only place that determines who can assume a role and under which request. The proof finds the callers
that the trust policy distinguishes (a role that no one is intended to assume has a counterexample for each of them), and
the evaluator decides each request. Requests assume the worst case: the caller's account allows everything, and the caller
chooses all keys that AWS does not set. An outcome that is not documented is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from rolecall_generator.audit.strangers import (
    GUARD_KEYS,
    NO_ORGANIZATION,
    ORGANIZATION,
    ORGANIZATION_PATHS,
    SOURCE_KEYS,
    Keys,
    Stranger,
)
from rolecall_generator.audit.tables import SharedIssuer, shared_issuers
from rolecall_generator.iam import Access, Arn, Condition, PolicyDocument, Role, Statement
from rolecall_generator.iam.evaluation import (
    ASSUME_ROLE,
    FEDERATED_ASSUME,
    Effect,
    Evaluator,
    PrincipalKind,
    Request,
    identity_of,
)
from rolecall_generator.iam.matching import NoPatterns, UnsupportedError, patterns_of
from rolecall_generator.proof import (
    OTHER_PREFIX,
    STRANGER_PREFIX,
    Budget,
    Case,
    Cell,
    Witnesses,
    condition_names,
    find_external_ids,
    is_generated_name,
    prove,
)


class OutsiderKind(StrEnum):
    """Kind of outsider. The value is its name in reports."""

    ANYONE = "anyone"
    ORGANIZATION = "organization"
    ACCOUNT = "account"
    PRINCIPALS = "principals of an account"
    ROLE = "role"
    USER = "user"
    SESSION = "session"
    SERVICE = "service"
    SAML = "SAML provider"
    OIDC = "OIDC provider"
    DELETED = "deleted principal"
    UNKNOWN = "unknown"


PRINCIPAL_KINDS = frozenset({
    OutsiderKind.ANYONE, OutsiderKind.ORGANIZATION, OutsiderKind.ACCOUNT, OutsiderKind.PRINCIPALS, OutsiderKind.ROLE,
    OutsiderKind.USER, OutsiderKind.SESSION,
})  # fmt: skip
"""Kinds of outsiders that are principals of AWS accounts."""


class Requirement(StrEnum):
    """Whether a request needs something. IGNORED: the trust policy mentions it, but a request without it is allowed."""

    REQUIRED = "required"
    IGNORED = "ignored"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExternalIdRequirement:
    """The external IDs that an outsider can use.

    `values` are accepted IDs that the trust policy lists. `accepts_others`: IDs that it does not list are accepted, by a
    wildcard or a negated condition. `companions`: actions such as sts:TagSession that are allowed without an external ID,
    although sts:AssumeRole is not. `reason`: why the requirement is unknown.
    """

    state: Requirement
    values: tuple[str, ...] = ()
    accepts_others: bool = False
    companions: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outsider:
    """An outsider that can assume a role.

    Attributes:
        kind: Kind of outsider.
        name: As in the trust policy: account ID, ARN, service or provider; the pattern for PRINCIPALS.
        account_id: Account of a principal; empty if there is no such account.
        conditions: Short names of the conditions of the statement that allows it.
        external_id: For principals of AWS accounts.
        mfa: Whether every request needs MFA.
        guarded: Whether a condition that the outsider cannot choose must hold: the caller's organization or network for
            principals, the source account for services, the tenant or subject for identity providers. UNKNOWN if the
            evaluator cannot decide.
        guards: Keys of these conditions, as in the trust policy.
        reason: Why it is not known whether the outsider can assume the role; empty if it can.
    """

    kind: OutsiderKind
    name: str
    account_id: str = ""
    conditions: tuple[str, ...] = ()
    external_id: ExternalIdRequirement | None = None
    mfa: bool = False
    guarded: Requirement = Requirement.MISSING
    guards: tuple[str, ...] = ()
    reason: str = ""

    @property
    def decided(self) -> bool:
        """Whether the outsider certainly can assume the role."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class OwnAccounts:
    """Accounts and organizations whose principals are not outsiders, by ID."""

    accounts: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()


EXTERNAL_ID = "sts:ExternalId"
_MFA, _MFA_AGE = "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge"
_COMPANIONS = ("sts:TagSession", "sts:SetSourceIdentity")
# "AROA" for roles, "AIDA" for users (IAM identifiers, Unique IDs, November 2026).
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}", re.ASCII)
_STEPS = 20_000
_MOST_REQUESTS = 500
"""Requests per caller with which a stranger is tried; beyond that, the guard is unknown."""

_WEAKEST = (Requirement.MISSING, Requirement.IGNORED, Requirement.UNKNOWN, Requirement.REQUIRED)
"""The weakest requirement first."""


def outsiders_of(role: Role, own: OwnAccounts) -> tuple[Outsider, ...]:
    """All outsiders that can assume the role, or for which this is not known."""
    if role.trust is None:
        return (Outsider(OutsiderKind.UNKNOWN, "?", reason="the trust policy cannot be read"),)
    if not _names_outsider(role.trust, own):
        return ()
    search = _OutsiderSearch(role, role.trust, own)
    return tuple(sorted(search.find(), key=lambda each: (list(OutsiderKind).index(each.kind), each.name)))


@dataclass(slots=True)
class OutsiderReader:
    """Finds the outsiders of the roles of one account. Roles with equal trust policies share the search.

    Trust policies are also equal if only their external IDs differ, and these are compared only as a whole.
    """

    own: OwnAccounts
    _known: dict[tuple[object, ...], tuple[Outsider, ...]] = field(init=False, default_factory=dict)

    def read(self, role: Role) -> tuple[Outsider, ...]:
        """As `outsiders_of`."""
        if role.trust is None:
            return outsiders_of(role, self.own)
        shape, values = _shape(role.trust)
        key = (shape, tuple(sorted(role.tags.items())) if _depends_on_tags(shape) else ())
        if key not in self._known:
            self._known[key] = outsiders_of(replace(role, trust=shape), self.own)
        return tuple(_with_values(outsider, values) for outsider in self._known[key]) if values else self._known[key]


_EXTERNAL_ID_FORM = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)


def _shape(trust: PolicyDocument) -> tuple[PolicyDocument, Mapping[str, str]]:
    """The trust policy with its external IDs replaced by short ones, and the IDs that they stand for.

    Unchanged, without IDs, if anything but an exact comparison depends on them.
    """
    key = EXTERNAL_ID.lower()
    conditions = [condition for statement in trust.statements for condition in statement.conditions]
    values = list(dict.fromkeys(v for c in conditions if c.key.lower() == key for v in c.values))
    exact = all(
        c.operator == "StringEquals" if c.key.lower() == key else not any(key in value.lower() for value in c.values)
        for c in conditions
    )
    if not values or not exact or not all(map(_EXTERNAL_ID_FORM.fullmatch, values)):
        return trust, {}
    short = {value: f"{number:02}" for number, value in enumerate(values)}
    statements = tuple(
        replace(
            statement,
            conditions=tuple(
                replace(c, values=tuple(short[value] for value in c.values)) if c.key.lower() == key else c
                for c in statement.conditions
            ),
        )
        for statement in trust.statements
    )
    return replace(trust, statements=statements), {number: value for value, number in short.items()}


def _depends_on_tags(trust: PolicyDocument) -> bool:
    return any(
        "resourcetag/" in text.lower()
        for statement in trust.statements
        for condition in statement.conditions
        for text in (condition.key, *condition.values)
    )


def _with_values(outsider: Outsider, values: Mapping[str, str]) -> Outsider:
    if outsider.external_id is None:
        return outsider
    listed = tuple(values[value] for value in outsider.external_id.values)
    return replace(outsider, external_id=replace(outsider.external_id, values=listed))


def _names_outsider(trust: PolicyDocument, own: OwnAccounts) -> bool:
    """Whether any statement may allow an outsider; False is certain."""
    return any(
        statement.not_principals
        or any(
            principal.type != "AWS" or (principal.identifier == "*" or _account_of(principal.identifier) not in own.accounts)
            for principal in statement.principals
        )
        for statement in trust.statements
        if statement.effect != "Deny"
    )


def _account_of(principal: str) -> str:
    if principal.isdigit():
        return principal
    parsed = Arn.parse(principal)
    return parsed.account_id if parsed is not None else ""


@dataclass(slots=True)
class _OutsiderSearch:
    """The search for the outsiders of one role."""

    role: Role
    trust: PolicyDocument
    own: OwnAccounts
    evaluator: Evaluator = field(init=False)
    named: frozenset[str] = field(init=False)
    types: Mapping[str, str] = field(init=False)
    text: str = field(init=False)
    stranger: Stranger = field(init=False)
    witnesses: Witnesses | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.evaluator = Evaluator(Access({self.role.arn: self.role}))
        self.types = {
            principal.identifier: principal.type
            for statement in self.trust.statements
            if statement.effect != "Deny"
            for principal in statement.principals
        }
        self.named = frozenset(self.types)
        values = (value for statement in self.trust.statements for c in statement.conditions for value in c.values)
        self.text = "\n".join((*sorted(self.named), *values))
        self.stranger = Stranger.of(self.text)

    def find(self) -> Iterator[Outsider]:
        """Yield the outsiders, each once."""
        for name, kind in sorted(self.types.items()):
            if kind == "AWS" and _UNIQUE_ID.fullmatch(name):
                yield Outsider(OutsiderKind.DELETED, name)
        cells = [cell for cell in prove(Access({self.role.arn: self.role}), ()).failures if self._is_outsider(cell)]
        groups: dict[tuple[OutsiderKind, str], list[Cell]] = {}
        for cell in cells:
            groups.setdefault(self._group(cell), []).append(cell)
        anyone = (OutsiderKind.ANYONE, "*") in groups
        for (kind, name), members in groups.items():
            # A statement for everyone also allows services and providers, which it does not name.
            if anyone and name not in self.named and kind in {OutsiderKind.SERVICE, OutsiderKind.SAML, OutsiderKind.OIDC}:
                continue
            if kind is OutsiderKind.PRINCIPALS and (OutsiderKind.ACCOUNT, name.split(":", 5)[4]) in groups:
                continue
            yield from self._outsider(kind, name, members)

    def _is_outsider(self, cell: Cell) -> bool:
        """Whether the caller of a cell is an outsider that can use the action."""
        arn = cell.request.principal.arn
        who = identity_of(arn)
        if who.kind is not PrincipalKind.EXTERNAL:
            return who.account_id not in self.own.accounts and not self._is_in_own_organization(cell)
        if _UNIQUE_ID.fullmatch(arn):
            return False
        if arn not in self.named and self._allowed(cell, NO_ORGANIZATION) is Requirement.REQUIRED:
            return False
        return cell.request.action in _actions_of(self._external_kind(arn))

    def _is_in_own_organization(self, cell: Cell) -> bool:
        """Whether only principals of own organizations are allowed."""
        listed = self._organizations() if self.own.organizations else {}
        if not listed or any(
            self._allowed(cell, stated) is not Requirement.REQUIRED
            for stated in (self.stranger.organization_keys, NO_ORGANIZATION)
        ):
            return False
        accepted = {name for name, stated in listed.items() if self._allowed(cell, stated) is not Requirement.REQUIRED}
        return bool(accepted) and accepted <= self.own.organizations

    def _external_kind(self, name: str) -> OutsiderKind:
        if ":saml-provider/" in name:
            return OutsiderKind.SAML
        if ":oidc-provider/" in name or self.types.get(name) == "Federated":
            return OutsiderKind.OIDC
        return OutsiderKind.SERVICE if self.types.get(name, "Service") == "Service" else OutsiderKind.UNKNOWN

    def _group(self, cell: Cell) -> tuple[OutsiderKind, str]:
        """Kind and name of the outsider that the caller of a cell represents."""
        arn = cell.request.principal.arn
        who = identity_of(arn)
        if cell.case is Case.STRANGER or is_generated_name(arn, STRANGER_PREFIX):
            return self._anyone_or_organization(cell)
        if who.kind is PrincipalKind.EXTERNAL:
            kind = self._external_kind(arn)
            return kind, arn if arn in self.named else f"any {kind.value}"
        if arn in self.named:
            kinds = {PrincipalKind.ROLE: OutsiderKind.ROLE, PrincipalKind.USER: OutsiderKind.USER}
            return kinds.get(who.kind, OutsiderKind.SESSION), arn
        if who.account_id not in self.text:
            return self._anyone_or_organization(cell)
        if is_generated_name(arn, OTHER_PREFIX):
            return OutsiderKind.ACCOUNT, who.account_id
        return OutsiderKind.PRINCIPALS, self._pattern_of(arn)

    def _pattern_of(self, arn: str) -> str:
        """The value of a condition on the caller's ARN that matches the ARN; the ARN itself if there is none."""
        account = identity_of(arn).account_id
        values = [
            value
            for statement in self.trust.statements
            for condition in statement.conditions
            if condition.key.lower() == "aws:principalarn"
            for value in condition.values
            if account in value
        ]
        return values[0] if values else arn

    def _anyone_or_organization(self, cell: Cell) -> tuple[OutsiderKind, str]:
        """ANYONE, unless only principals of listed organizations are allowed."""
        listed = self._organizations()
        if listed and self._allowed(cell, self.stranger.organization_keys) is Requirement.REQUIRED:
            accepted = [name for name, stated in listed.items() if self._allowed(cell, stated) is not Requirement.REQUIRED]
            if accepted:
                return OutsiderKind.ORGANIZATION, ", ".join(accepted)
        return OutsiderKind.ANYONE, "*"

    def _organizations(self) -> Mapping[str, Keys]:
        """Organization IDs in the trust policy, each with the keys of a request by one of its principals."""
        found: dict[str, Keys] = {}
        for condition in self._conditions("aws:PrincipalOrgPaths"):
            for value in condition.values:
                path = value.replace("*", "x").replace("?", "x")
                organization = path.partition("/")[0]
                found[organization] = {ORGANIZATION: organization, ORGANIZATION_PATHS: (path,)}
        for condition in self._conditions("aws:PrincipalOrgID"):
            for value in condition.values:
                found.setdefault(value, {ORGANIZATION: value})
        return found

    def _allowed(self, cell: Cell, stated: Keys) -> Requirement:
        """MISSING if the request of a cell is allowed with these keys, REQUIRED if it is denied, or UNKNOWN."""
        request = cell.request
        decision = self.evaluator.may_assume(
            Request(request.principal, request.resource, request.action, {**request.context, **stated}, free=True)
        )
        if decision.effect is Effect.REFUSED:
            return Requirement.UNKNOWN
        return Requirement.MISSING if decision.allowed else Requirement.REQUIRED

    def _outsider(self, kind: OutsiderKind, name: str, cells: list[Cell]) -> Iterator[Outsider]:
        """Yield the outsider that the callers of the cells represent; each of its fields is that of the weakest one."""
        decided = [cell for cell in cells if cell.decision.effect is not Effect.REFUSED]
        if kind is OutsiderKind.ORGANIZATION and set(name.split(", ")) <= self.own.organizations:
            return
        first = (decided or cells)[0]
        statements = dict.fromkeys(cell.decision.statement for cell in decided if cell.decision.statement is not None)
        conditions = tuple(dict.fromkeys(text for statement in statements for text in condition_names(statement)))
        account = (
            "" if kind in {OutsiderKind.ANYONE, OutsiderKind.ORGANIZATION} else _account_of(first.request.principal.arn)
        )
        if not decided:
            reason = first.decision.reason.removeprefix("refused: ")
            yield Outsider(kind, name, account, conditions, guarded=Requirement.UNKNOWN, reason=reason)
            return
        guarded = [self._guard(kind, cell) for cell in decided]
        weakest = min(guarded, key=_WEAKEST.index)
        of_account = kind in PRINCIPAL_KINDS
        yield Outsider(
            kind,
            name,
            account if of_account else "",
            conditions,
            _weakest_external_id([self._external_id(cell) for cell in decided]) if of_account else None,
            of_account and all(map(self._requires_mfa, decided)),
            weakest,
            self._guards(kind, statements) if weakest is Requirement.REQUIRED else (),
        )

    def _guard(self, kind: OutsiderKind, cell: Cell) -> Requirement:
        """Whether a condition must hold that the outsider cannot choose."""
        requests: Iterable[Keys]
        if kind is OutsiderKind.OIDC:
            requests = self._tenants(cell)
        elif kind is OutsiderKind.SERVICE:
            requests = self._foreign_sources(cell)
        elif kind in PRINCIPAL_KINDS:
            ranges = (value for condition in self._conditions("aws:SourceIp") for value in condition.values)
            requests = self.stranger.requests(ranges)
        else:
            return Requirement.MISSING
        weakest = Requirement.REQUIRED
        for number, stated in enumerate(requests):
            weakest = min(weakest, self._allowed(cell, stated), key=_WEAKEST.index)
            if weakest is Requirement.MISSING:
                break
            if number == _MOST_REQUESTS:
                return Requirement.UNKNOWN
        return weakest

    def _guards(self, kind: OutsiderKind, statements: Iterable[Statement]) -> tuple[str, ...]:
        """Keys of conditions that the outsider cannot choose, as in the trust policy."""
        if kind is OutsiderKind.OIDC:
            keys = dict.fromkeys(c.key for s in statements for c in s.conditions)
            claims = tuple(key for key in keys if not key.lower().startswith("aws:"))
            return tuple(key for key in claims if not key.lower().endswith(":aud")) or claims
        relevant = SOURCE_KEYS if kind is OutsiderKind.SERVICE else GUARD_KEYS
        return tuple(dict.fromkeys(c.key for s in statements for c in s.conditions if c.key.lower() in relevant))

    def _requires_mfa(self, cell: Cell) -> bool:
        contexts: tuple[Keys, ...] = (
            {_MFA: (), _MFA_AGE: ()},
            {_MFA: "false", _MFA_AGE: ()},
        )
        return all(self._allowed(cell, context) is Requirement.REQUIRED for context in contexts)

    def _conditions(self, key: str) -> list[Condition]:
        return [c for statement in self.trust.statements for c in statement.conditions if c.key.lower() == key.lower()]

    def _foreign_sources(self, cell: Cell) -> Iterator[Keys]:
        """Requests of a service for resources of another account, and without a source."""
        service = cell.request.principal.arn.partition(".")[0]
        arns = [f"arn:aws:{service}:us-east-1:{self.stranger.account_id}:{self.stranger.name}"]
        for condition in self._conditions("aws:SourceArn"):
            arns += filter(None, (_in_foreign_account(value, self.stranger) for value in condition.values))
        return self.stranger.sources(arns)

    def _tenants(self, cell: Cell) -> list[Keys]:
        """Requests with tokens of a stranger: another tenant of a shared issuer, or another subject of any other issuer."""
        arn = cell.request.principal.arn
        issuer = arn.partition(":oidc-provider/")[2] or arn
        shared = shared_issuers().get(issuer)
        prefix = f"{issuer}:".lower()
        name = self.stranger.name
        if shared is not None:
            claim = f"{prefix}{shared.claim}"
            values = [value for condition in self._conditions(claim) for value in condition.values]
            subjects = _subjects(shared, values, self.stranger.name)
            others = {f"{prefix}{claim}": name for claim in shared.other_claims}
        else:
            claim = f"{prefix}sub"
            subjects = [name, f"system:serviceaccount:{name}:{name}"]
            keys = (condition.key.lower() for statement in self.trust.statements for condition in statement.conditions)
            # All identities of an issuer have the same audience.
            others = {key: name for key in keys if key.startswith(prefix) and key not in {claim, f"{prefix}aud"}}
        return [{**others, claim: subject} for subject in subjects]

    def _external_id(self, cell: Cell) -> ExternalIdRequirement:
        """The external IDs with which the caller of a cell can assume the role."""
        conditions = self._conditions(EXTERNAL_ID)
        absent = self._allowed(cell, {EXTERNAL_ID: ()})
        if absent is Requirement.MISSING:
            return ExternalIdRequirement(Requirement.IGNORED if conditions else Requirement.MISSING)
        literal = tuple(
            dict.fromkeys(
                value
                for condition in conditions
                for value in condition.values
                if self._allowed(cell, {EXTERNAL_ID: value}) is Requirement.MISSING and not re.search(r"[*?$]", value)
            )
        )
        others, reason = self._accepts_others(cell, conditions, literal)
        if absent is Requirement.UNKNOWN or reason:
            return ExternalIdRequirement(Requirement.UNKNOWN, literal, others, reason=reason or "a condition is not decided")
        return ExternalIdRequirement(Requirement.REQUIRED, literal, others, self._open_companions(cell))

    def _accepts_others(self, cell: Cell, conditions: Iterable[Condition], listed: tuple[str, ...]) -> tuple[bool, str]:
        """Whether an external ID that is not listed is accepted, and the reason if this is not known."""
        variables = self.trust.version == PolicyDocument.VERSION
        patterns = []
        reason = ""
        for condition in conditions:
            try:
                found = patterns_of(condition, {}, frozenset({EXTERNAL_ID.lower()}), variables=variables)
            except UnsupportedError as error:
                return False, str(error)
            if isinstance(found, frozenset):
                patterns.append(found)
            elif found is not NoPatterns.NONE_NEEDED or any("${" in value for value in condition.values):
                reason = f"{condition.operator} on {condition.key} depends on another key"
        if self.witnesses is None:
            self.witnesses = find_external_ids(tuple(dict.fromkeys(patterns)), Budget(_STEPS))
        witnesses = self.witnesses
        lower = {value.lower() for value in listed}
        answers = {
            self._allowed(cell, {EXTERNAL_ID: value}) for value in witnesses.found.values() if value.lower() not in lower
        }
        if Requirement.MISSING in answers:
            return True, ""
        if not witnesses.complete:
            return False, "searching the patterns of external ids takes too long"
        return False, reason or ("a condition is not decided" if Requirement.UNKNOWN in answers else "")

    def _open_companions(self, cell: Cell) -> tuple[str, ...]:
        """Companion actions that are allowed without an external ID."""
        return tuple(
            action
            for action in _COMPANIONS
            if self.evaluator.may_assume(
                Request(cell.request.principal, self.role.arn, action, {EXTERNAL_ID: ()}, free=True)
            ).allowed
        )


def _weakest_external_id(requirements: list[ExternalIdRequirement]) -> ExternalIdRequirement:
    """The requirement that each of the callers meets who meets any of these."""
    weakest = min(requirements, key=lambda each: _WEAKEST.index(each.state))
    return replace(
        weakest,
        values=tuple(dict.fromkeys(value for each in requirements for value in each.values)),
        accepts_others=any(each.accepts_others for each in requirements),
        companions=tuple(dict.fromkeys(action for each in requirements for action in each.companions)),
    )


def _actions_of(kind: OutsiderKind) -> tuple[str, ...]:
    """STS actions that an outsider of this kind can call; a service only assumes roles with AssumeRole."""
    return {OutsiderKind.SAML: FEDERATED_ASSUME[:1], OutsiderKind.OIDC: FEDERATED_ASSUME[1:]}.get(kind, (ASSUME_ROLE,))


_ACCOUNT_PART = 4


def _in_foreign_account(pattern: str, stranger: Stranger) -> str | None:
    """An ARN of the stranger's account that matches the pattern; None if it only matches ARNs of listed accounts."""
    parts = pattern.split(":", 5)
    if len(parts) <= _ACCOUNT_PART:
        return pattern.replace("*", stranger.account_id).replace("?", "x")
    if not re.fullmatch(r"[*?]*", parts[_ACCOUNT_PART]):
        return None
    parts[_ACCOUNT_PART] = stranger.account_id
    return stranger.fill(":".join(parts))


def _subjects(shared: SharedIssuer, values: Iterable[str], name: str) -> list[str]:
    """Values of the tenant's claim that a stranger with this name can have: typical ones, and instances of the values."""
    typical = [form.replace("{name}", name) for form in shared.subjects]
    found = dict.fromkeys(typical)
    for value in values:
        for filling in (name, *typical):
            instance = value.replace("*", filling, 1).replace("*", name).replace("?", "x")
            tenant = shared.tenant.search(instance)
            # The stranger chooses the name of the tenant only if the pattern leaves it open.
            if tenant is not None and name in tenant[1]:
                found.setdefault(instance)
    return list(found)
