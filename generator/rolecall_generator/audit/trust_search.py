"""Divides the requests that a trust policy allows by caller, and decides whether there is a request of a kind.

The callers are the principals, accounts, services and identity providers that the policy names, other principals, and a
remainder, which must be empty. Whether there is such a request is decided over all requests (see `proof.symbolic`). The
requests assume the worst case: the caller's account allows everything. An outcome that is not documented is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from rolecall_generator.audit.outsiders import ANY, ANY_SERVICE, OutsiderKind, OwnAccounts
from rolecall_generator.audit.strangers import ORGANIZATION, ORGANIZATION_PATHS, Stranger
from rolecall_generator.iam import ACCOUNT_ID_PATTERN, Arn, Condition, PolicyDocument, Principal, Role, Statement, root_arn
from rolecall_generator.iam.evaluation import ASSUME_ROLE, FEDERATED_ASSUME, PrincipalKind, identity_of
from rolecall_generator.iam.matching import wildcard
from rolecall_generator.proof.symbolic import RequestSets

EXTERNAL_ID_KEY = "sts:externalid"
_WILDCARD = re.compile(r"[*?]")
_ORGANIZATION_VARIABLE = "${aws:ResourceOrgID}"
_SAME_ORGANIZATION = "o-ofthisaccount"
"""A placeholder for the organization of the role's account, which is the value of the variable."""
_REASONS = 2
_ACCOUNT_PART = 4
DISTINGUISHING_KEYS = frozenset({
    "aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:username", "aws:userid",
})  # fmt: skip
"""Keys (lower case) by which conditions distinguish principals of one account and kind."""
_KINDS = {
    PrincipalKind.ROLE: OutsiderKind.ROLE,
    PrincipalKind.USER: OutsiderKind.USER,
    PrincipalKind.SESSION: OutsiderKind.SESSION,
}
# "AROA" for roles, "AIDA" for users (IAM identifiers, Unique IDs, November 2026).
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}", re.ASCII)
_USER_OR_ROLE = Condition("ArnLike", "aws:PrincipalArn", ("arn:*:iam::*:*",))
_IS_SERVICE = Condition("Bool", "aws:PrincipalIsAWSService", ("true",))
_EVERYONE = (Principal("*", "*"),)
_ACCOUNT_ID = re.compile(ACCOUNT_ID_PATTERN, re.ASCII)
_ACCOUNT_IN_TEXT = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])", re.ASCII)
_ARN, _ACCOUNT, _USER_ID = "aws:principalarn", "aws:principalaccount", "aws:userid"
_SERVICE_NAME = "aws:principalservicename"
_BY_SAML, _BY_OIDC = FEDERATED_ASSUME
_UNDECIDED = "AWS does not document the outcome"


@dataclass(frozen=True, slots=True)
class CallerGroup:
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


TRUST = 0
"""Position of the trust policy."""


class TrustSearch:
    """The search for the outsiders of one role.

    Each question is whether there is a request that several documents allow and others do not. The documents are collected
    first, because they are read together. `deleted` are the unique IDs of deleted principals that the trust policy names.
    `stranger` is one that the trust policy does not single out.
    """

    def __init__(self, role: Role, trust: PolicyDocument, own: OwnAccounts) -> None:
        self._role = role
        self._partition = role.arn.split(":")[1]
        self._own = own
        self.deleted, self._trust = _without_deleted(_without_own(_with_organization(trust), own))
        self._documents: dict[PolicyDocument, int] = {self._trust: TRUST}
        self._sets: RequestSets | None = None
        self._allowing = [statement for statement in self._trust.statements if statement.effect != "Deny"]
        self._conditions: dict[str, list[Condition]] = {}
        for statement in self._trust.statements:
            for condition in statement.conditions:
                self._conditions.setdefault(condition.key.lower(), []).append(condition)
        texts = [value for each in self._conditions.values() for condition in each for value in condition.values]
        names = sorted(principal.identifier for statement in self._allowing for principal in statement.principals)
        self.stranger = Stranger.of("\n".join((*names, *texts)))
        self._mentions = "\n".join((*self._conditions, *texts)).lower()

    def start(self) -> None:
        """Read the documents. After it, no further document can be added."""
        self._sets = RequestSets(self._role, tuple(self._documents))

    def has_remainder(self, groups: Iterable[CallerGroup]) -> bool | None:
        """Whether the trust policy allows an outsider that is in none of the groups; None if it is not known."""
        # The first document of a group names its callers.
        return self.exists((TRUST,), {*(position for group in groups for position in group.within[:1]), *self._inside})

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

    def groups(self) -> Iterator[CallerGroup]:
        """Yield the callers that the trust policy may allow, by group. Only before the first question."""
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
            yield CallerGroup(_KINDS[who.kind], tuple(names), tuple(within), inside, account)
        if is_open:
            text = "\n".join(v for key in (_ARN, _ACCOUNT) for c in self._conditions.get(key, ()) for v in c.values)
            whole.update(accounts, set(_accounts_in(text)) - self._own.accounts)
        yield from self._account_groups({account: accounts.get(account, []) for account in whole}, inside)
        yield from self._external_groups(inside, is_open=is_open)
        if is_open:
            everyone = self.requests((_USER_OR_ROLE,))
            known = [self.callers(Principal("AWS", root_arn(self._partition, account))) for account in sorted(whole)]
            yield CallerGroup(OutsiderKind.ANYONE, ("*",), (everyone,), (*inside, *known))

    def _distinction(self, name: str) -> object:
        """Equal for principals of one account and kind that the trust policy does not distinguish."""
        if "${" in self._mentions or not DISTINGUISHING_KEYS.isdisjoint(self._conditions):
            return name
        positions = (
            number
            for number, statement in enumerate(self._trust.statements)
            if any(name == principal.identifier for principal in (*statement.principals, *statement.not_principals))
        )
        return _account_of(name), identity_of(name).kind, tuple(positions)

    def _account_groups(self, accounts: Mapping[str, list[int]], inside: tuple[int, ...]) -> Iterator[CallerGroup]:
        """The principals of each account that the trust policy does not name."""
        for account, named in sorted(accounts.items()):
            root = root_arn(self._partition, account)
            strangers = (f"{kind}/{self.stranger.name}" for kind in ("role", "user"))
            whole = self.callers(*(Principal("AWS", f"{root.removesuffix('root')}{each}") for each in strangers))
            members = self.callers(Principal("AWS", root))
            yield CallerGroup(OutsiderKind.ACCOUNT, (account,), (members,), (*named, *inside), account, whole)

    def _external_groups(self, inside: tuple[int, ...], *, is_open: bool) -> Iterator[CallerGroup]:
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
            yield CallerGroup(OutsiderKind.SERVICE, (name,), (members, *named))
        for name, members in of_providers.items():
            arn = Arn.parse(name)
            kind = OutsiderKind.SAML if arn is not None and arn.kind == "saml-provider" else OutsiderKind.OIDC
            yield CallerGroup(kind, (name,), (members, *self._without_other_claims(name)))
        if is_open or "Service" in open_types:
            members = self.requests((_IS_SERVICE,))
            others = (self.requests([Condition("StringNotEquals", _SERVICE_NAME, tuple(listed))]),) if listed else ()
            yield CallerGroup(OutsiderKind.SERVICE, (ANY_SERVICE,), (members, *others), tuple(of_services.values()))
        if is_open or "Federated" in open_types:
            for kind, action in ((OutsiderKind.SAML, _BY_SAML), (OutsiderKind.OIDC, _BY_OIDC)):
                members = self.requests((), actions=(action,))
                yield CallerGroup(kind, (f"{ANY}{kind.value}",), (members,), (*of_providers.values(), *inside))

    def _listed_services(self) -> Iterator[str]:
        """Services that conditions single out among those that a statement for everyone allows."""
        for value in (value for condition in self._conditions.get(_SERVICE_NAME, ()) for value in condition.values):
            if ".amazonaws." in value and not _WILDCARD.search(value) and "${" not in value:
                yield value

    def _without_other_claims(self, provider: str) -> tuple[int, ...]:
        """Requests without claims of other providers."""
        own = f"{issuer_of(provider).lower()}:"
        others = [key for key in self._conditions if "." in key.partition(":")[0] and not key.startswith(own)]
        return (self.requests([Condition("Null", key, ("true",)) for key in others]),) if others else ()

    def organizations(self) -> dict[str, int]:
        """Organizations that the trust policy lists, each with the document that allows its principals."""
        ids = [value for condition in self._conditions.get(ORGANIZATION, ()) for value in condition.values]
        paths = [value for condition in self._conditions.get(ORGANIZATION_PATHS, ()) for value in condition.values]
        found = dict.fromkeys((*ids, *(path.partition("/")[0] for path in paths)))
        return {each: self._in_organizations(each) for each in found if each and not re.search(r"[*?$]", each)}

    # Facts for details

    def patterns(self) -> dict[str, list[str]]:
        """Values of conditions by key, in lower case."""
        return {key: [value for c in conditions for value in c.values] for key, conditions in self._conditions.items()}

    def listed_ids(self) -> list[str]:
        """External IDs that conditions compare, with patterns."""
        return [v for c in self._conditions.get(EXTERNAL_ID_KEY, ()) if c.operator.lower() != "null" for v in c.values]

    def mentions(self, text: str) -> bool:
        """Whether a condition has the string (lower case) in its key or values."""
        return text in self._mentions

    def statements_for(self, group: CallerGroup) -> list[Statement]:
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


def may_name_outsider(statement: Statement, own: OwnAccounts) -> bool:
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


def issuer_of(provider: str) -> str:
    """Host and path of an OIDC provider, the prefix of its keys."""
    return provider.partition(":oidc-provider/")[2] or provider


def _covers(statement: Statement, action: str) -> bool:
    """Whether the actions of a statement include one."""
    listed = any(wildcard(each.lower())(action.lower()) for each in statement.actions or statement.not_actions)
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


def restore_organization(text: str) -> str:
    """A string of a report with the policy variable in place of the role's organization."""
    return text.replace(_SAME_ORGANIZATION, _ORGANIZATION_VARIABLE)


def _without_own(trust: PolicyDocument, own: OwnAccounts) -> PolicyDocument:
    """The trust policy without statements that can only allow principals of own accounts."""
    kept = (s for s in trust.statements if s.effect == "Deny" or may_name_outsider(s, own))
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
