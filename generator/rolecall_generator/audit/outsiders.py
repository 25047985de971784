"""Determines which outsiders can assume a role, and what a request needs.

`outsiders_of` is the only place that determines who can assume a role and under which request. It divides the requests that
the trust policy allows by caller: the principals, accounts, services and identity providers that the policy names, other
principals, and a remainder, which must be empty. Whether there is such a request is decided over all requests (see
`proof.symbolic`). The requests assume the worst case: the caller's account allows everything, and the caller chooses all
keys that AWS does not set. An outcome that is not documented is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from rolecall_generator.audit.strangers import GUARD_KEYS, ORGANIZATION, ORGANIZATION_PATHS, SOURCE_KEYS, Stranger
from rolecall_generator.audit.tables import SharedIssuer, shared_issuers
from rolecall_generator.iam import ACCOUNT_ID_PATTERN, Arn, Condition, PolicyDocument, Principal, Role, Statement, root_arn
from rolecall_generator.iam.evaluation import ASSUME_ROLE, FEDERATED_ASSUME, PrincipalKind, identity_of
from rolecall_generator.iam.matching import name_matcher, wildcard
from rolecall_generator.proof import condition_names
from rolecall_generator.proof.symbolic import RequestSets


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
_ID_KEY = EXTERNAL_ID.lower()
_MFA, _MFA_AGE = "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge"
_COMPANIONS = ("sts:TagSession", "sts:SetSourceIdentity")
# "AROA" for roles, "AIDA" for users (IAM identifiers, Unique IDs, November 2026).
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}", re.ASCII)
_MOST_VALUES = 100
"""Maximum number of external IDs of a trust policy that are examined; the result for more of them is unknown."""


def outsiders_of(role: Role, own: OwnAccounts, *, problem: str = "") -> tuple[Outsider, ...]:
    """All outsiders that can assume the role, or for which this is not known. `problem`: why there is no trust policy."""
    if role.trust is None:
        reason = "the trust policy cannot be read" + (f": {problem}" if problem else "")
        return (Outsider(OutsiderKind.UNKNOWN, "?", reason=reason),)
    if not _names_outsider(role.trust, own):
        return ()
    search = _OutsiderSearch(role, role.trust, own)
    return tuple(sorted(search.find(), key=lambda each: (list(OutsiderKind).index(each.kind), each.name)))


@dataclass(slots=True)
class OutsiderReader:
    """Finds the outsiders of the roles of one account. Roles whose trust policies have equal shapes share the search.

    A shape has short names in place of external IDs, and of users, roles and accounts, where these are compared only as a
    whole. Measured on a generated account of 1,000 roles: a third of the time of all searches.
    """

    own: OwnAccounts
    _known: dict[tuple[object, ...], tuple[Outsider, ...]] = field(init=False, default_factory=dict)

    def read(self, role: Role, *, problem: str = "") -> tuple[Outsider, ...]:
        """As `outsiders_of`."""
        if role.trust is None:
            return outsiders_of(role, self.own, problem=problem)
        shape = _shape_of(role, role.trust, self.own)
        key = (shape.trust, tuple(sorted(role.tags.items())) if _depends_on_tags(shape.trust) else ())
        if key not in self._known:
            self._known[key] = outsiders_of(replace(role, trust=shape.trust), self.own)
        found = self._known[key]
        return tuple(map(shape.with_names, found)) if shape.ids or shape.principals else found


_EXTERNAL_ID_FORM = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_PRINCIPAL_FORM = re.compile(r"arn:([a-z-]+):iam::([0-9]{12}):(?:root|(role|user)/[\w+=,.@-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A trust policy with short names. `ids`, `principals`, `accounts`: the names that these stand for."""

    trust: PolicyDocument
    ids: Mapping[str, str]
    principals: Mapping[str, str]
    accounts: Mapping[str, str]

    def with_names(self, outsider: Outsider) -> Outsider:
        """An outsider of the shape as an outsider of the trust policy."""
        name = outsider.name
        if outsider.kind in PRINCIPAL_KINDS:
            name = self.principals.get(name) or self.accounts.get(name) or name
        account = self.accounts.get(outsider.account_id, outsider.account_id)
        required = outsider.external_id
        if required is not None and self.ids:
            required = replace(required, values=tuple(self.ids[value] for value in required.values))
        return replace(outsider, name=name, account_id=account, external_id=required)


def _shape_of(role: Role, trust: PolicyDocument, own: OwnAccounts) -> _Shape:
    conditions = [condition for statement in trust.statements for condition in statement.conditions]
    ids = _short_ids(conditions)
    principals: dict[str, str] = {}
    accounts: dict[str, str] = {}
    distinguishes = any(c.key.lower() in _DISTINGUISHING or any("${" in value for value in c.values) for c in conditions)
    if not distinguishes and not any(statement.not_principals for statement in trust.statements):
        used = "\n".join((*own.accounts, role.arn, *(value for c in conditions for value in c.values)))
        names = dict.fromkeys(p.identifier for s in trust.statements for p in s.principals if p.type == "AWS")
        principals, accounts = _short_principals(names, role, own, used)
    statements = tuple(
        replace(
            statement,
            principals=tuple(
                replace(p, identifier=principals.get(p.identifier, p.identifier)) if p.type == "AWS" else p
                for p in statement.principals
            ),
            conditions=tuple(
                replace(c, values=tuple(ids[value] for value in c.values)) if ids and c.key.lower() == _ID_KEY else c
                for c in statement.conditions
            ),
        )
        for statement in trust.statements
    )
    return _Shape(replace(trust, statements=statements), *(_inverse(names) for names in (ids, principals, accounts)))


def _inverse(names: Mapping[str, str]) -> dict[str, str]:
    return {short: name for name, short in names.items()}


def _short_ids(conditions: Iterable[Condition]) -> dict[str, str]:
    """Short external IDs; none if anything but an exact comparison depends on the IDs."""
    conditions = list(conditions)
    values = list(dict.fromkeys(v for c in conditions if c.key.lower() == _ID_KEY for v in c.values))
    exact = all(
        c.operator == "StringEquals" if c.key.lower() == _ID_KEY else not any(_ID_KEY in v.lower() for v in c.values)
        for c in conditions
    )
    if not values or not exact or not all(map(_EXTERNAL_ID_FORM.fullmatch, values)):
        return {}
    return {value: f"{number:02}" for number, value in enumerate(values)}


def _short_principals(
    names: Iterable[str], role: Role, own: OwnAccounts, used: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Short users, roles and accounts; none if a principal is another one, or in an own account."""
    partition = role.arn.split(":")[1]
    principals: dict[str, str] = {}
    accounts: dict[str, str] = {}
    for name in names:
        found = _PRINCIPAL_FORM.fullmatch(name)
        if found is None or found[1] != partition or found[2] in own.accounts or found[2] in used:
            return {}, {}
        short = accounts.setdefault(found[2], f"{len(accounts) + 1:012}")
        if short in used:
            return {}, {}
        principals[name] = root_arn(partition, short) if found[3] is None else (
            f"arn:{partition}:iam::{short}:{found[3]}/x{len(principals)}"
        )  # fmt: skip
    return principals, accounts


def _depends_on_tags(trust: PolicyDocument) -> bool:
    return any(
        "resourcetag/" in text.lower()
        for statement in trust.statements
        for condition in statement.conditions
        for text in (condition.key, *condition.values)
    )


def _names_outsider(trust: PolicyDocument, own: OwnAccounts) -> bool:
    """Whether any statement may allow an outsider; False is certain."""
    return any(_may_name_outsider(statement, own) for statement in trust.statements if statement.effect != "Deny")


def _may_name_outsider(statement: Statement, own: OwnAccounts) -> bool:
    """Whether a principal of a statement may be an outsider, or there is none, which AWS does not accept."""
    if statement.not_principals or not statement.principals:
        return True
    return any(
        principal.type != "AWS" or principal.identifier == "*" or _account_of(principal.identifier) not in own.accounts
        for principal in statement.principals
    )


def _account_of(principal: str) -> str:
    if principal.isdigit():
        return principal
    parsed = Arn.parse(principal)
    return parsed.account_id if parsed is not None else ""


_USER_OR_ROLE = Condition("ArnLike", "aws:PrincipalArn", ("arn:*:iam::*:*",))
_IS_SERVICE = Condition("Bool", "aws:PrincipalIsAWSService", ("true",))
_EVERYONE = (Principal("*", "*"),)
_ACCOUNT_ID = re.compile(ACCOUNT_ID_PATTERN, re.ASCII)
_ACCOUNT_IN_TEXT = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])", re.ASCII)
_ARN, _ACCOUNT, _USER_ID = "aws:principalarn", "aws:principalaccount", "aws:userid"
_SERVICE_NAME = "aws:principalservicename"
_BY_SAML, _BY_OIDC = FEDERATED_ASSUME
_PROVIDERS = frozenset({OutsiderKind.SAML, OutsiderKind.OIDC})
_UNDECIDED = "AWS does not document the outcome"


@dataclass(frozen=True, slots=True)
class _Group:
    """Callers of one kind: those that all documents of `within` allow and none of `outside`, by position.

    Several `names` are principals that the trust policy does not distinguish. `whole`: for an account, a document that
    allows principals which no condition singles out.
    """

    kind: OutsiderKind
    names: tuple[str, ...]
    within: tuple[int, ...]
    outside: tuple[int, ...] = ()
    account_id: str = ""
    whole: int | None = None


_TRUST = 0
"""Position of the trust policy."""


class _OutsiderSearch:
    """The search for the outsiders of one role.

    Each question is whether there is a request that several documents allow and others do not. The documents are collected
    first, because they are read together.
    """

    def __init__(self, role: Role, trust: PolicyDocument, own: OwnAccounts) -> None:
        self._role = role
        self._partition = role.arn.split(":")[1]
        self._own = own
        self._deleted, self._trust = _without_deleted(_without_own(_with_organization(trust), own))
        self._documents: dict[PolicyDocument, int] = {self._trust: _TRUST}
        self._sets: RequestSets | None = None
        self._allowing = [statement for statement in self._trust.statements if statement.effect != "Deny"]
        self._conditions: dict[str, list[Condition]] = {}
        for statement in self._trust.statements:
            for condition in statement.conditions:
                self._conditions.setdefault(condition.key.lower(), []).append(condition)
        texts = [value for each in self._conditions.values() for condition in each for value in condition.values]
        names = sorted(principal.identifier for statement in self._allowing for principal in statement.principals)
        self._stranger = Stranger.of("\n".join((*names, *texts)))
        self._mentions = "\n".join((*self._conditions, *texts)).lower()

    def find(self) -> Iterator[Outsider]:
        """Yield the outsiders, each once."""
        yield from (Outsider(OutsiderKind.DELETED, name) for name in self._deleted)
        groups = list(self._groups())
        details = [_GroupDetails(self, group) for group in groups]
        # The first document of a group names its callers.
        covered = {position for group in groups for position in group.within[:1]}
        covered.update(self._inside)
        self._sets = RequestSets(self._role, tuple(self._documents))
        found = [outsider for each in details for outsider in each.outsiders()]
        anyone = any(outsider.kind is OutsiderKind.ANYONE for outsider in found)
        for outsider in found:
            # A statement for everyone also allows services and providers, which it does not name.
            if not (anyone and outsider.name.startswith(_ANY)):
                yield outsider
        # A statement that cannot be evaluated is undecided for all callers; its principals are reported already.
        if all(outsider.decided for outsider in found) and self.exists((_TRUST,), covered) is not False:
            yield Outsider(OutsiderKind.UNKNOWN, "?", guarded=Requirement.UNKNOWN, reason=self.reason)

    # Documents and questions

    def document(self, *statements: Statement) -> int:
        """The position of a document with these statements. Only before the first question."""
        return self._documents.setdefault(PolicyDocument(statements), len(self._documents))

    def requests(self, *alternatives: Iterable[Condition], actions: Sequence[str] = ("sts:*",)) -> int:
        """The position of a document that allows everyone the requests for which the conditions of an alternative hold."""
        return self.document(
            *(Statement("Allow", tuple(actions), principals=_EVERYONE, conditions=tuple(each)) for each in alternatives)
        )

    def callers(self, *principals: Principal) -> int:
        """The position of a document that allows principals everything."""
        return self.document(Statement("Allow", ("sts:*",), principals=principals))

    def exists(self, within: Iterable[int], outside: Iterable[int] = ()) -> bool | None:
        """Whether all documents of `within` allow a request that none of `outside` does; None if it is not known."""
        return None if self._sets is None else self._sets.has_request(within, outside)

    @property
    def reason(self) -> str:
        """Why something is not known."""
        reasons = self._sets.reasons if self._sets is not None else ()
        return "; ".join(reasons[:_REASONS]) or _UNDECIDED

    # Groups

    @cached_property
    def _inside(self) -> tuple[int, ...]:
        """Documents that allow principals of own accounts, as far as the trust policy can allow them, and organizations."""
        return (*self._own_accounts, *self._own_organizations)

    @cached_property
    def _own_accounts(self) -> tuple[int, ...]:
        named = {_account_of(name) for name, kind in self._named if kind == "AWS"}
        if not self._is_open and named.isdisjoint(self._own.accounts):
            return ()
        mentioned = self._own.accounts.intersection(
            _accounts_in("\n".join((self._mentions, *(name for name, _ in self._named))))
        )
        accounts = sorted({self._role.arn.split(":")[4], *mentioned})
        return (self.callers(*(Principal("AWS", root_arn(self._partition, account)) for account in accounts)),)

    @cached_property
    def _is_open(self) -> bool:
        """Whether a statement may allow everyone: with NotPrincipal, or a principal that cannot be read."""
        return any(each.not_principals or not each.principals for each in self._allowing) or any(
            not _is_single(name, kind) for name, kind in self._named
        )

    @cached_property
    def _own_organizations(self) -> tuple[int, ...]:
        if not self._own.organizations:
            return ()
        return (self._in_organizations(*sorted(self._own.organizations), _SAME_ORGANIZATION),)

    def _in_organizations(self, *organizations: str) -> int:
        paths = Condition("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", tuple(f"{each}/*" for each in organizations))
        return self.requests((Condition("StringEquals", "aws:PrincipalOrgID", organizations),), (paths,))

    @cached_property
    def _named(self) -> list[tuple[str, str]]:
        """Principals of Allow statements with their types, sorted."""
        return sorted({(each.identifier, each.type) for statement in self._allowing for each in statement.principals})

    def _groups(self) -> Iterator[_Group]:
        inside, is_open = self._inside, self._is_open
        accounts: dict[str, list[int]] = {}
        whole: set[str] = set()
        single: dict[object, list[str]] = {}
        for name, kind in self._named:
            account = _account_of(name)
            if kind != "AWS" or not _ACCOUNT_ID.fullmatch(account) or account in self._own.accounts:
                continue
            if identity_of(name).kind in _KINDS:
                single.setdefault(self._distinction(name), []).append(name)
            else:
                whole.add(account)
        for names in single.values():
            account, who = _account_of(names[0]), identity_of(names[0])
            members = self.callers(*(Principal("AWS", name) for name in names))
            accounts.setdefault(account, []).append(members)
            within = [members]
            if who.kind is PrincipalKind.SESSION and _USER_ID in self._conditions:
                # "role-id:caller-specified-role-session-name" (AWS global condition context keys, aws:userid)
                within.append(self.requests([Condition("StringLike", _USER_ID, (f"*:{who.name}",))]))
            yield _Group(_KINDS[who.kind], tuple(names), tuple(within), inside, account)
        if is_open:
            text = "\n".join(v for key in (_ARN, _ACCOUNT) for c in self._conditions.get(key, ()) for v in c.values)
            whole.update(accounts, set(_accounts_in(text)) - self._own.accounts)
        yield from self._account_groups({account: accounts.get(account, []) for account in whole}, inside)
        yield from self._external_groups(inside, is_open=is_open)
        if is_open:
            everyone = self.requests((_USER_OR_ROLE,))
            known = [self.callers(Principal("AWS", root_arn(self._partition, account))) for account in sorted(whole)]
            yield _Group(OutsiderKind.ANYONE, ("*",), (everyone,), (*inside, *known))

    def _distinction(self, name: str) -> object:
        """Equal for principals of one account and kind that the trust policy does not distinguish."""
        if "${" in self._mentions or not _DISTINGUISHING.isdisjoint(self._conditions):
            return name
        positions = (
            number
            for number, statement in enumerate(self._trust.statements)
            if any(name == principal.identifier for principal in (*statement.principals, *statement.not_principals))
        )
        return _account_of(name), identity_of(name).kind, tuple(positions)

    def _account_groups(self, accounts: Mapping[str, list[int]], inside: tuple[int, ...]) -> Iterator[_Group]:
        """The principals of each account that the trust policy does not name."""
        for account, named in sorted(accounts.items()):
            root = root_arn(self._partition, account)
            strangers = (f"{kind}/{self._stranger.name}" for kind in ("role", "user"))
            whole = self.callers(*(Principal("AWS", f"{root.removesuffix('root')}{each}") for each in strangers))
            members = self.callers(Principal("AWS", root))
            yield _Group(OutsiderKind.ACCOUNT, (account,), (members,), (*named, *inside), account, whole)

    def _external_groups(self, inside: tuple[int, ...], *, is_open: bool) -> Iterator[_Group]:
        """Services and identity providers."""
        services = [name for name, kind in self._named if kind == "Service" and not _WILDCARD.search(name)]
        providers = [name for name, kind in self._named if kind == "Federated" and not _WILDCARD.search(name)]
        # AWS does not accept wildcards in services and providers. The statements of these are undecided.
        open_types = {kind for name, kind in self._named if _WILDCARD.search(name)}
        listed = sorted(set(self._listed_services())) if is_open else []
        services = list(dict.fromkeys((*services, *listed)))
        of_services = {name: self.callers(Principal("Service", name)) for name in services}
        of_providers = {name: self.callers(Principal("Federated", name)) for name in providers}
        for name, members in of_services.items():
            named = (self.requests([Condition("StringEquals", _SERVICE_NAME, (name,))]),) if name in listed else ()
            yield _Group(OutsiderKind.SERVICE, (name,), (members, *named))
        for name, members in of_providers.items():
            kind = OutsiderKind.SAML if ":saml-provider/" in name else OutsiderKind.OIDC
            yield _Group(kind, (name,), (members, *self._without_other_claims(name)))
        if is_open or "Service" in open_types:
            members = self.requests((_IS_SERVICE,))
            others = (self.requests([Condition("StringNotEquals", _SERVICE_NAME, tuple(listed))]),) if listed else ()
            yield _Group(OutsiderKind.SERVICE, (ANY_SERVICE,), (members, *others), tuple(of_services.values()))
        if is_open or "Federated" in open_types:
            for kind, action in ((OutsiderKind.SAML, _BY_SAML), (OutsiderKind.OIDC, _BY_OIDC)):
                members = self.requests((), actions=(action,))
                yield _Group(kind, (f"{_ANY}{kind.value}",), (members,), (*of_providers.values(), *inside))

    def _listed_services(self) -> Iterator[str]:
        """Services that conditions single out among those that a statement for everyone allows."""
        for value in (value for condition in self._conditions.get(_SERVICE_NAME, ()) for value in condition.values):
            if ".amazonaws." in value and not _WILDCARD.search(value) and "${" not in value:
                yield value

    def _without_other_claims(self, provider: str) -> tuple[int, ...]:
        """Requests without claims of other providers."""
        own = f"{_issuer(provider).lower()}:"
        others = [key for key in self._conditions if "." in key.partition(":")[0] and not key.startswith(own)]
        return (self.requests([Condition("Null", key, ("true",)) for key in others]),) if others else ()

    def organizations(self) -> dict[str, int]:
        """Organizations that the trust policy lists, each with the document that allows its principals."""
        ids = [value for condition in self._conditions.get(ORGANIZATION, ()) for value in condition.values]
        paths = [value for condition in self._conditions.get(ORGANIZATION_PATHS, ()) for value in condition.values]
        found = dict.fromkeys((*ids, *(path.partition("/")[0] for path in paths)))
        return {each: self._in_organizations(each) for each in found if each and not re.search(r"[*?$]", each)}

    # Facts for details

    @property
    def stranger(self) -> Stranger:
        """A stranger of the trust policy."""
        return self._stranger

    def patterns(self) -> dict[str, list[str]]:
        """Values of conditions by key, in lower case."""
        return {key: [value for c in conditions for value in c.values] for key, conditions in self._conditions.items()}

    def listed_ids(self) -> list[str]:
        """External IDs that conditions compare, with patterns."""
        return [v for c in self._conditions.get(_ID_KEY, ()) if c.operator.lower() != "null" for v in c.values]

    def mentions(self, text: str) -> bool:
        """Whether a condition has the string (lower case) in its key or values."""
        return text in self._mentions

    def statements_for(self, group: _Group) -> list[Statement]:
        """Allow statements that name the callers of a group, or everyone."""
        accounts = {group.account_id, root_arn(self._partition, group.account_id)} if group.account_id else set()
        names = {*group.names, "*", *accounts}
        return [
            each
            for each in self._allowing
            if each.not_principals or any(principal.identifier in names for principal in each.principals)
        ]

    @property
    def denying(self) -> list[Statement]:
        """Deny statements."""
        return [statement for statement in self._trust.statements if statement.effect == "Deny"]

    def companion_policy(self, action: str) -> int | None:
        """A document that allows sts:AssumeRole where the trust policy allows a companion action; None if it allows none."""
        covering = (statement for statement in self._trust.statements if _covers(statement, action))
        found = [replace(statement, actions=(ASSUME_ROLE,), not_actions=()) for statement in covering]
        if not any(statement.effect != "Deny" for statement in found):
            return None
        return self._documents.setdefault(PolicyDocument(tuple(found), self._trust.version), len(self._documents))

    def pattern_in(self, account: str) -> str:
        """How conditions name principals of an account: a value on aws:PrincipalArn, or all principals of the account."""
        values = [value for condition in self._conditions.get(_ARN, ()) for value in condition.values]
        for value in values:
            parts = value.split(":", 5)
            if len(parts) > _ACCOUNT_PART and wildcard(parts[_ACCOUNT_PART])(account):
                return ":".join((*parts[:_ACCOUNT_PART], account, *parts[_ACCOUNT_PART + 1 :]))
        return f"arn:{self._partition}:iam::{account}:*"


_ANY = "any "
ANY_SERVICE = f"{_ANY}service"
"""Name of the outsider that stands for all services that the trust policy does not name."""
_WILDCARD = re.compile(r"[*?]")
_ORGANIZATION_VARIABLE = "${aws:ResourceOrgID}"
_SAME_ORGANIZATION = "o-ofthisaccount"
"""Stands for the organization of the role's account, which the variable has."""
_REASONS = 2
_ACCOUNT_PART = 4
_DISTINGUISHING = frozenset({"aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:username", "aws:userid"})
"""Keys (lower case) by which conditions distinguish principals of one account and kind."""
_KINDS = {
    PrincipalKind.ROLE: OutsiderKind.ROLE,
    PrincipalKind.USER: OutsiderKind.USER,
    PrincipalKind.SESSION: OutsiderKind.SESSION,
}
_NO_EXTERNAL_ID = (Condition("Null", EXTERNAL_ID, ("true",)),)
_NO_MFA = ((Condition("Null", _MFA, ("true",)),), (Condition("Bool", _MFA, ("false",)),))


class _GroupDetails:
    """What a request of a group needs. The documents are collected on creation."""

    def __init__(self, search: _OutsiderSearch, group: _Group) -> None:
        self._search = search
        self._group = group
        self._within = (_TRUST, *group.within)
        self._outside = group.outside
        self._organizations = search.organizations() if group.kind is OutsiderKind.ANYONE else {}
        self._of_account = group.kind in PRINCIPAL_KINDS
        self._stranger = self._stranger_requests()
        needs_mfa = self._of_account and search.mentions("aws:multifactorauth")
        self._without_mfa = search.requests(*_NO_MFA) if needs_mfa else None
        self._ids: _ExternalIdDocuments | None = None
        if self._of_account and search.mentions(_ID_KEY):
            self._ids = _ExternalIdDocuments(search)

    def outsiders(self) -> list[Outsider]:
        """An outsider for each name of the group; none if no request of the group is allowed."""
        reached = self._exists()
        if reached is False:
            return []
        found = self._outsider(is_certain=reached is True)
        return [found] if len(self._group.names) == 1 else [replace(found, name=name) for name in self._group.names]

    def _outsider(self, *, is_certain: bool) -> Outsider:
        kind, name = self._group.kind, self._group.names[0]
        if self._organizations and self._exists(outside=self._organizations.values()) is False:
            accepted = [each for each, members in self._organizations.items() if self._exists((members,)) is not False]
            kind, name = OutsiderKind.ORGANIZATION, _restored(", ".join(accepted))
        elif self._group.whole is not None and self._exists((self._group.whole,)) is False:
            kind, name = OutsiderKind.PRINCIPALS, self._search.pattern_in(self._group.account_id)
        statements = self._search.statements_for(self._group)
        texts = (text for statement in statements for text in condition_names(_without_ids(statement)))
        conditions = tuple(dict.fromkeys(map(_restored, texts)))
        account = self._group.account_id
        if not is_certain:
            return Outsider(kind, name, account, conditions, guarded=Requirement.UNKNOWN, reason=self._search.reason)
        guarded = self._guard()
        return Outsider(
            kind,
            name,
            account,
            conditions,
            self._external_id() if self._of_account else None,
            self._without_mfa is not None and self._exists((self._without_mfa,)) is False,
            guarded,
            self._guards((*statements, *self._search.denying)) if guarded is Requirement.REQUIRED else (),
        )

    def _exists(self, within: Iterable[int] = (), outside: Iterable[int] = ()) -> bool | None:
        """Whether a request of the group is allowed by all documents of `within` and by none of `outside`."""
        return self._search.exists((*self._within, *within), (*self._outside, *outside))

    def _guard(self) -> Requirement:
        """Whether a condition must hold that the outsider cannot choose."""
        return Requirement.MISSING if self._stranger is None else _requirement(self._exists((self._stranger,)))

    def _stranger_requests(self) -> int | None:
        """The document that allows a stranger's requests; None if no condition restricts them."""
        search, patterns = self._search, self._search.patterns()
        if self._of_account:
            alternatives = list(search.stranger.requests(patterns))
        elif self._group.kind is OutsiderKind.SERVICE:
            alternatives = list(search.stranger.sources(self._group.names[0].split(".")[0].split()[-1], patterns))
        elif self._group.kind is OutsiderKind.OIDC:
            alternatives = list(_tenants(_issuer(self._group.names[0]), search.stranger, patterns))
        else:
            return None
        return search.requests(*alternatives) if any(alternatives) else None

    def _guards(self, statements: Iterable[Statement]) -> tuple[str, ...]:
        """Keys of conditions that the outsider cannot choose, as in the trust policy."""
        keys = dict.fromkeys(condition.key for statement in statements for condition in statement.conditions)
        if self._group.kind is OutsiderKind.OIDC:
            claims = tuple(key for key in keys if not key.lower().startswith("aws:"))
            return tuple(key for key in claims if not key.lower().endswith(":aud")) or claims
        relevant = SOURCE_KEYS if self._group.kind is OutsiderKind.SERVICE else GUARD_KEYS
        return tuple(key for key in keys if key.lower() in relevant)

    def _external_id(self) -> ExternalIdRequirement:
        """The external IDs with which the group can assume the role."""
        ids = self._ids
        if ids is None:
            return ExternalIdRequirement(Requirement.MISSING)
        absent = self._exists((ids.absent,))
        if absent:
            return ExternalIdRequirement(Requirement.IGNORED)
        values = tuple(value for value, position in ids.listed.items() if self._exists((position,)))
        others = self._exists((ids.present,), ids.any_listed)
        if absent is None or others is None or ids.is_incomplete:
            reason = "there are too many external IDs" if ids.is_incomplete else self._search.reason
            return ExternalIdRequirement(Requirement.UNKNOWN, values, bool(others), reason=reason)
        companions = tuple(
            action for action, policy in ids.companions.items() if self._search.exists(
                (policy, *self._group.within, ids.absent), self._outside
            )
        )  # fmt: skip
        return ExternalIdRequirement(Requirement.REQUIRED, values, others, companions)


class _ExternalIdDocuments:
    """Positions of the documents about external IDs. `is_incomplete`: there are more listed IDs than are examined."""

    def __init__(self, search: _OutsiderSearch) -> None:
        values = [value for value in search.listed_ids() if not re.search(r"[*?$]", value)]
        listed = list(dict.fromkeys(values))
        self.is_incomplete = len(listed) > _MOST_VALUES
        self.absent = search.requests(_NO_EXTERNAL_ID)
        self.present = search.requests((Condition("Null", EXTERNAL_ID, ("false",)),))
        self.listed = {
            value: search.requests((Condition("StringEquals", EXTERNAL_ID, (value,)),)) for value in listed[:_MOST_VALUES]
        }
        # Another case of a listed ID is accepted by StringEqualsIgnoreCase, which lists it.
        any_listed = (Condition("StringEqualsIgnoreCase", EXTERNAL_ID, tuple(listed)),)
        self.any_listed = (search.requests(any_listed),) if listed else ()
        policies = {action: search.companion_policy(action) for action in _COMPANIONS}
        self.companions = {action: policy for action, policy in policies.items() if policy is not None}


def _requirement(is_possible_without: bool | None) -> Requirement:
    if is_possible_without is None:
        return Requirement.UNKNOWN
    return Requirement.MISSING if is_possible_without else Requirement.REQUIRED


def _accounts_in(text: str) -> list[str]:
    return sorted(set(_ACCOUNT_IN_TEXT.findall(text)))


def _is_single(name: str, kind: str) -> bool:
    """Whether a principal is a user, role, session, account, or of the type of services or providers, and not everyone or
    unreadable.
    """
    if kind in {"Service", "Federated"}:
        return True
    if name == "*" or kind != "AWS":
        return False
    return bool(_ACCOUNT_ID.fullmatch(name)) or identity_of(name).kind is not PrincipalKind.EXTERNAL


def _issuer(provider: str) -> str:
    return provider.partition(":oidc-provider/")[2] or provider


def _covers(statement: Statement, action: str) -> bool:
    """Whether the actions of a statement include one."""
    listed = any(name_matcher(each.lower())(action.lower()) for each in statement.actions or statement.not_actions)
    return listed is bool(statement.actions)


def _with_organization(trust: PolicyDocument) -> PolicyDocument:
    """The trust policy with the organization of the role's account in place of its variable."""
    if trust.version != PolicyDocument.VERSION:
        return trust

    def replaced(condition: Condition) -> Condition:
        values = (_ORGANIZATION_PATTERN.sub(_SAME_ORGANIZATION, value) for value in condition.values)
        return replace(condition, values=tuple(values))

    statements = (replace(each, conditions=tuple(map(replaced, each.conditions))) for each in trust.statements)
    return replace(trust, statements=tuple(statements))


_ORGANIZATION_PATTERN = re.compile(re.escape(_ORGANIZATION_VARIABLE), re.IGNORECASE)


def _restored(text: str) -> str:
    return text.replace(_SAME_ORGANIZATION, _ORGANIZATION_VARIABLE)


def _without_ids(statement: Statement) -> Statement:
    """The statement without the values of conditions on external IDs, which no report contains."""
    conditions = (replace(c, values=("...",)) if c.key.lower() == _ID_KEY else c for c in statement.conditions)
    return replace(statement, conditions=tuple(conditions))


def _without_own(trust: PolicyDocument, own: OwnAccounts) -> PolicyDocument:
    """The trust policy without statements that can only allow principals of own accounts."""
    kept = (s for s in trust.statements if s.effect == "Deny" or _may_name_outsider(s, own))
    return replace(trust, statements=tuple(kept))


def _without_deleted(trust: PolicyDocument) -> tuple[list[str], PolicyDocument]:
    """The unique IDs that Allow statements name, and the trust policy without unique IDs, which match no one."""
    deleted: dict[str, None] = {}
    statements = []
    for statement in trust.statements:
        gone = [each for each in statement.principals if each.type == "AWS" and _UNIQUE_ID.fullmatch(each.identifier)]
        if statement.effect != "Deny":
            deleted.update(dict.fromkeys(principal.identifier for principal in gone))
        left = tuple(principal for principal in statement.principals if principal not in gone)
        if left or not gone:
            statements.append(replace(statement, principals=left) if gone else statement)
    return sorted(deleted), replace(trust, statements=tuple(statements))


def _tenants(issuer: str, stranger: Stranger, patterns: Mapping[str, Sequence[str]]) -> Iterator[tuple[Condition, ...]]:
    """Yield conditions on claims that hold for a stranger's tokens: of another tenant of a shared issuer, or with another
    subject of any other issuer. Claims other than the tenant or subject may be absent.
    """
    shared = shared_issuers().get(issuer)
    prefix = f"{issuer}:".lower()
    name = stranger.name[:_TENANT_CHARACTERS]
    if shared is not None:
        claim = f"{prefix}{shared.claim}"
        subjects = _subjects(shared, patterns.get(claim, ()), name)
        others = [f"{prefix}{each}" for each in shared.other_claims if f"{prefix}{each}" in patterns]
    else:
        claim = f"{prefix}sub"
        subjects = [name, f"system:serviceaccount:{name}:{name}"]
        # All identities of an issuer have the same audience.
        others = [key for key in patterns if key.startswith(prefix) and key not in {claim, f"{prefix}aud"}]
    tenant = (Condition("StringEquals", claim, tuple(subjects)),) if claim in patterns else ()
    of_others = [(key, _claim_values(patterns[key], stranger)) for key in others]
    # A claim can have several values, all of which are the stranger's.
    present = (Condition("Null", key, ("false",)) for key in others)
    yield (*tenant, *(Condition("ForAllValues:StringEquals", *each) for each in of_others), *present)
    if others:
        yield (*tenant, *(Condition("Null", key, ("true",)) for key in others))


def _claim_values(patterns: Iterable[str], stranger: Stranger) -> tuple[str, ...]:
    """Values of a claim of a stranger: its name, and patterns that leave the beginning open."""
    return tuple(dict.fromkeys((stranger.name, *(stranger.fill(each) for each in patterns if each[:1] in {"*", "?"}))))


_TENANT_CHARACTERS = 8
"""Length of a stranger's name as a tenant. Measured: long values take a third of the time of a search."""
_MOST_SUBJECTS = 100
"""Maximum number of subjects of a stranger that are examined; if there are more of them, an open pattern is among them."""


def _subjects(shared: SharedIssuer, values: Iterable[str], name: str) -> list[str]:
    """Values of the tenant's claim that a stranger with this name can have: typical ones, and instances of the values."""
    typical = [form.replace("{name}", name) for form in shared.subjects]
    found = dict.fromkeys(typical)
    for value in values:
        for filling in (name, *typical):
            instance = value.replace("*", filling, 1).replace("*", name)
            tenant = shared.tenant.search(instance)
            # The stranger chooses the name of the tenant only if the pattern leaves it open.
            is_open = name in tenant[1] or "?" in tenant[1] if tenant is not None else shared.is_open(value)
            if is_open:
                found.setdefault(instance.replace("?", "x"))
                if len(found) == _MOST_SUBJECTS:
                    return list(found)
    return list(found)
