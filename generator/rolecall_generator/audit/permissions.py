"""What a role may do: administrator access, privilege escalation, changes of IAM, access to data, further roles, services.

The evaluator decides each request, with identity policies, Deny statements and permissions boundary. The resource of a
request has a name that no policy contains, so that an allowed request represents every resource of its type. Where patterns
of several statements must overlap, as those of a policy and a boundary, the overlap is decided over all resources.
Conditions are assumed in favor of the role; `Capability.conditions` lists their keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cache, lru_cache

from rolecall_generator.audit.overlaps import EVERY_RESOURCE, OverlapQuestion, PatternOverlaps, account_of, without_variables
from rolecall_generator.audit.strangers import Stranger
from rolecall_generator.audit.tables import EscalationPath, escalation_paths, sensitive_actions
from rolecall_generator.iam import Access, Arn, PolicyDocument, Principal, Role, Statement, role_arn, root_arn
from rolecall_generator.iam.catalog import expand, find_action, services
from rolecall_generator.iam.evaluation import ASSUME_ROLE, AWS_MANAGED_DOCUMENTS, Caller, Effect, Evaluator, Request
from rolecall_generator.iam.matching import may_match, wildcard

_REGION = "us-east-1"
_ACCOUNT_PART = 4
_IAM = "iam:"
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


class Scope(IntEnum):
    """On which resources an action is allowed. UNKNOWN: the evaluator cannot decide, or a policy's document is missing."""

    NONE = 0
    UNKNOWN = 1
    SOME = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class Capability:
    """An action that is allowed. `conditions` are keys of conditions that must hold, in lower case."""

    action: str
    scope: Scope
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Escalation:
    """A path of privilege escalation that is allowed. `scope` and `conditions` are those of its actions together."""

    path: EscalationPath
    scope: Scope
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceActions:
    """The actions of one service that policies and boundary allow, whatever their resources and conditions.

    `total`: number of the service's actions.
    """

    service: str
    actions: frozenset[str]
    total: int

    @property
    def is_complete(self) -> bool:
        """Whether every action is allowed."""
        return len(self.actions) == self.total


@dataclass(frozen=True, slots=True)
class RolePermissions:
    """What a role may do.

    Attributes:
        administrator: Whether every action is allowed on every resource; `administrator_conditions` must hold.
        almost_everything: Whether every action is allowed except those of some services, such as IAM.
        escalations: Allowed paths of privilege escalation; empty for an administrator.
        iam_changes: Allowed actions that change IAM and that are not part of `escalations`.
        data: Allowed actions that read data, on every resource.
        assume: Whether sts:AssumeRole is allowed, on every role or on some.
        assume_everywhere: Whether sts:AssumeRole is allowed on every role of every account.
        assume_elsewhere: Resources of other accounts for which sts:AssumeRole is allowed, as in the policies.
        services: Allowed actions by service, sorted by service; empty if all services are allowed.
        unknown: ARNs of policies whose documents are not in the data, and other reasons why permissions are not known.
    """

    administrator: bool = False
    administrator_conditions: tuple[str, ...] = ()
    almost_everything: bool = False
    escalations: tuple[Escalation, ...] = ()
    iam_changes: tuple[Capability, ...] = ()
    data: tuple[Capability, ...] = ()
    assume: Scope = Scope.NONE
    assume_everywhere: bool = False
    assume_elsewhere: tuple[str, ...] = ()
    services: tuple[ServiceActions, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(slots=True)
class PermissionReader:
    """Reads the permissions of the roles of one account. Roles with equal policies share the result.

    Service control policies and resource-based policies are not part of the data. `unreadable`: why managed policies cannot
    be read, by ARN.
    """

    access: Access
    unreadable: Mapping[str, str] = field(default_factory=dict)
    evaluator: Evaluator = field(init=False)
    _known: dict[tuple[object, ...], RolePermissions] = field(init=False, default_factory=dict)
    _tagged: dict[int, bool] = field(init=False, default_factory=dict)
    _texts: dict[int, str] = field(init=False, default_factory=dict)
    _strangers: dict[str, Stranger] = field(init=False, default_factory=dict)
    _overlaps: PatternOverlaps = field(init=False, default_factory=PatternOverlaps)

    def __post_init__(self) -> None:
        self.evaluator = Evaluator(self.access)

    def read(self, role: Role) -> RolePermissions:
        """The permissions of a role of the account."""
        # By identity: equal documents are the same object.
        tags = tuple(sorted(role.tags.items())) if self._depends_on_tags(role) else ()
        key = (role.attached, tuple(map(id, role.inline.values())), role.boundary, tags)
        if key not in self._known:
            self._known[key] = self._read(role)
        found = self._known[key]
        return found if found.administrator else _with_own_role(self, role, found)

    def _read(self, role: Role) -> RolePermissions:
        unknown = [
            f"{arn} cannot be read: {self.unreadable[arn]}"
            if arn in self.unreadable
            else f"the document of {arn} is missing"
            for arn in (*sorted(role.attached), role.boundary)
            if arn and self._document(arn) is None
        ]
        watched = _watched()
        found: dict[str, Capability] = {}
        for action in sorted(action for action in self._possible(role) if action in watched):
            capability = self.capability(role, action)
            if capability.scope is Scope.UNKNOWN:
                unknown.append(f"{action} cannot be decided")
            elif capability.scope is not Scope.NONE:
                found[action] = capability
        every = self._every_action(role)
        grants = any(action in found and found[action].scope is Scope.ALL for action in _GRANTING)
        administrator = every is not None and grants
        escalations = () if administrator else tuple(self._escalations(role, found))
        used = {action for each in escalations for action in each.path.actions}
        changes = (found[a] for a in iam_changes() if a in found and a not in used)
        reads = (found[a] for a in sensitive_actions() if a in found and found[a].scope is Scope.ALL)
        return RolePermissions(
            administrator,
            every.conditions if administrator and every is not None else (),
            every is not None and not administrator,
            escalations,
            () if administrator else tuple(changes),
            () if administrator else tuple(reads),
            found[ASSUME_ROLE].scope if ASSUME_ROLE in found else Scope.NONE,
            ASSUME_ROLE in found
            and self.allows(role, ASSUME_ROLE, _role_of(role, self._stranger(role), self._stranger(role).account_id)),
            () if administrator or ASSUME_ROLE not in found else tuple(self._elsewhere(role)),
            () if every is not None else tuple(self._services(role)),
            tuple(unknown),
        )

    def allows(self, role: Role, action: str, resource: str) -> bool:
        """Whether the role may perform an action on one resource, if its conditions hold."""
        return self._decide(role, action, resource, {})[0] is Scope.ALL

    def capability(self, role: Role, action: str, context: Mapping[str, str | tuple[str, ...]] | None = None) -> Capability:
        """Whether the role may perform an action, and on which resources. `context`: known keys of the request."""
        stated = context or {}
        unknown = False
        for scope, resources in (
            (Scope.ALL, ((each, each) for each in _every_resource(role, action, self._stranger(role)))),
            (Scope.SOME, self._listed(role, action)),
        ):
            for _, resource in resources:
                outcome, conditions = self._decide(role, action, resource, stated)
                if outcome is Scope.ALL:
                    return Capability(action, scope, conditions)
                unknown = unknown or outcome is Scope.UNKNOWN
        if unknown:
            return Capability(action, Scope.UNKNOWN)
        # Of actions that only read data, those on listed resources are not reported.
        return self._overlap(role, action, stated) if action in _on_listed() else Capability(action, Scope.NONE)

    def _overlap(
        self,
        role: Role,
        action: str,
        context: Mapping[str, str | tuple[str, ...]],
        pattern: str = EVERY_RESOURCE,
        *,
        outside: bool = False,
    ) -> Capability:
        """Whether the policies and the boundary together allow the action on some resource that matches a pattern, where
        patterns of several statements must overlap. `outside`: only in other accounts.
        """
        boundary = self._boundary(role)
        identity, limit = (
            tuple(each for document in documents for each in document.statements if _covers(each, action))
            for documents in (self._documents(role), () if boundary is None else (boundary,))
        )
        if boundary is not None and not limit:
            return Capability(action, Scope.NONE)
        question = OverlapQuestion(
            role,
            action,
            identity,
            limit,
            {key.lower(): (value,) if isinstance(value, str) else value for key, value in context.items()},
            pattern,
            outside,
        )
        name = self._stranger(role).name
        found = self._overlaps.exists(question, name, lambda each: self._decide(role, action, each, context)[0] is Scope.ALL)
        if not found:
            return Capability(action, Scope.UNKNOWN if found is None else Scope.NONE)
        keys = (c.key.lower() for each in (*identity, *limit) if each.effect == "Allow" for c in each.conditions)
        return Capability(action, Scope.SOME, tuple(dict.fromkeys(key for key in keys if key not in question.context)))

    def may_assume(self, caller: str, target: str, context: Mapping[str, str] | None = None) -> bool:
        """Whether a role or a session may assume a role of the account, if its conditions hold. UNKNOWN counts as no.

        `context`: known keys of the request.
        """
        return self.evaluator.may_assume(Request(Caller(caller), target, context=context or {}, free=True)).allowed

    def _decide(
        self, role: Role, action: str, resource: str, context: Mapping[str, str | tuple[str, ...]]
    ) -> tuple[Scope, tuple[str, ...]]:
        """ALL if the request is allowed, with the keys that it needs; NONE or UNKNOWN otherwise."""
        request = Request(Caller(role.arn), resource, action, context, free=True)
        if action == ASSUME_ROLE:
            # A role with any name, which leaves the decision to its callers' accounts.
            trust = PolicyDocument((_trust_of_account(role.arn),))
            target = replace(role, trust=trust) if resource == role.arn else Role(resource, trust)
            decision = Evaluator(Access({role.arn: role, resource: target}, self.access.policies)).may_assume(request)
        else:
            decision = self.evaluator.may(request)
        if decision.effect is Effect.REFUSED:
            return Scope.UNKNOWN, ()
        return (Scope.ALL, decision.assumed) if decision.allowed else (Scope.NONE, ())

    def _every_action(self, role: Role) -> Capability | None:
        """The capability of an action that no policy lists, which only a policy for all actions allows; None if denied."""
        name = self._stranger(role).name
        resource = f"arn:{_partition(role)}:{name}:{_REGION}:{_account(role)}:{name}"
        scope, conditions = self._decide(role, f"{name}:{name}", resource, {})
        return Capability("*", Scope.ALL, conditions) if scope is Scope.ALL else None

    def _escalations(self, role: Role, found: Mapping[str, Capability]) -> Iterator[Escalation]:
        for path in escalation_paths():
            if not all(action in found for action in path.actions):
                continue
            capabilities = [found[action] for action in path.actions]
            if path.passed_to:
                passed = self.capability(role, PASS_ROLE, {"iam:PassedToService": path.passed_to})
                capabilities = [passed if c.action == PASS_ROLE else c for c in capabilities]
            scope = min(c.scope for c in capabilities)
            if scope >= Scope.SOME:
                keys = (key for c in capabilities for key in c.conditions if key != "iam:passedtoservice")
                yield Escalation(path, scope, tuple(dict.fromkeys(keys)))

    def _depends_on_tags(self, role: Role) -> bool:
        """Whether a policy of the role can depend on tags, which the role hands on to its sessions."""
        documents = self._all_documents(role)
        for document in documents:
            if id(document) not in self._tagged:
                self._tagged[id(document)] = _mentions_tags(document)
        return any(self._tagged[id(document)] for document in documents)

    def _stranger(self, role: Role) -> Stranger:
        """The stranger of all policies of the role, and of its boundary."""
        if role.arn not in self._strangers:
            self._strangers[role.arn] = Stranger.of("\n".join(map(self._text, self._all_documents(role))))
        return self._strangers[role.arn]

    def _text(self, document: PolicyDocument) -> str:
        """The strings of a document with which it can single out a resource."""
        if id(document) not in self._texts:
            self._texts[id(document)] = "\n".join(
                text
                for statement in document.statements
                for text in (*statement.actions, *statement.not_actions, *statement.resources, *statement.not_resources)
            )
        return self._texts[id(document)]

    def _document(self, arn: str) -> PolicyDocument | None:
        policy = self.access.policies.get(arn)
        if policy is not None:
            return policy.document
        head, _, name = arn.partition(":iam::aws:policy/")
        return AWS_MANAGED_DOCUMENTS.get(name) if head.startswith("arn:") else None

    def _documents(self, role: Role) -> Iterator[PolicyDocument]:
        """Known identity policies of a role."""
        yield from role.inline.values()
        yield from filter(None, map(self._document, sorted(role.attached)))

    def _boundary(self, role: Role) -> PolicyDocument | None:
        """The document of the permissions boundary; None if there is none or it is not known."""
        return None if role.boundary is None else self._document(role.boundary)

    def _all_documents(self, role: Role) -> tuple[PolicyDocument, ...]:
        """Known identity policies of a role, and its boundary."""
        boundary = self._boundary(role)
        return *self._documents(role), *(() if boundary is None else (boundary,))

    def _possible(self, role: Role) -> set[str]:
        """Watched actions that an Allow statement lists, whatever its resources and conditions."""
        found: set[str] = set()
        for document in self._documents(role):
            for statement in document.statements:
                if statement.effect == "Allow":
                    found.update(*map(_watched_actions, statement.actions))
                    if statement.not_actions:
                        found |= _watched() - frozenset().union(*map(_watched_actions, statement.not_actions))
        return found

    def _elsewhere(self, role: Role) -> Iterator[str]:
        """Listed roles of other accounts that the role's policies allow to assume."""
        for pattern, resource in dict.fromkeys(self._listed(role, ASSUME_ROLE)):
            if resource.split(":", 5)[4:5] != [_account(role)] and (
                self.allows(role, ASSUME_ROLE, resource)
                or self._overlap(role, ASSUME_ROLE, {}, without_variables(pattern, role), outside=True).scope is Scope.SOME
            ):
                yield pattern

    def _listed(self, role: Role, action: str) -> Iterator[tuple[str, str]]:
        """Resources of a type that the action supports, as a policy lists them, and with wildcards replaced by a name.

        Besides identity policies, the boundary and a Deny with NotResource can limit an action to resources that they list.
        """
        known = find_action(action)
        forms = known.resource_forms if known is not None else ()
        stranger = self._stranger(role)
        for document in self._all_documents(role):
            for statement in document.statements:
                listed = statement.resources if statement.effect == "Allow" else statement.not_resources
                if listed and _covers(statement, action):
                    for resource in listed:
                        filled = without_variables(resource, role)
                        if resource == "*" or "${" in filled or not any(may_match(filled, form) for form in forms):
                            continue
                        # No action on IAM works on another account.
                        if not action.startswith(_IAM):
                            yield resource, _without_wildcards(filled, stranger, stranger.account_id)
                        elif wildcard(account_of(filled))(_account(role)):
                            yield resource, _without_wildcards(filled, stranger, _account(role))

    def _services(self, role: Role) -> Iterator[ServiceActions]:
        """Allowed actions by service. A Deny counts if it is unconditional and for every resource."""
        allowed = _actions_of(self._documents(role), "Allow")
        denied = _actions_of(self._documents(role), "Deny")
        if (boundary := self._boundary(role)) is not None:
            limit = _actions_of([boundary], "Allow")
            if _EVERY_SERVICE in allowed:
                allowed = limit
            elif _EVERY_SERVICE not in limit:
                allowed = {service: names & limit.get(service, _NOTHING) for service, names in allowed.items()}
            for service, names in _actions_of([boundary], "Deny").items():
                denied[service] = denied.get(service, _NOTHING) | names
        for service in sorted(allowed):
            names = allowed[service] - denied.get(service, _NOTHING)
            if names:
                yield ServiceActions(service, names, len(expand(f"{service}:*")))


PASS_ROLE = "iam:PassRole"  # noqa: S105 - an action, no password
_GRANTING = ("iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:CreatePolicyVersion")
_OWN_ROLE_ACTIONS = ("iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy")
# Allowed in many policies of AWS services; a service-linked role can only be used by its service.
_HARMLESS = frozenset({"iam:CreateServiceLinkedRole", "iam:ChangePassword", PASS_ROLE})
_NOTHING: frozenset[str] = frozenset()
_EVERY_SERVICE = "*"


@cache
def iam_changes() -> tuple[str, ...]:
    """Actions that change IAM, sorted."""
    actions = (find_action(text) for text in expand("iam:*"))
    return tuple(sorted(str(a) for a in actions if a is not None and a.writes and str(a) not in _HARMLESS))


@cache
def _watched() -> frozenset[str]:
    """Actions that the audit examines."""
    return _on_listed().union(sensitive_actions())


@cache
def _on_listed() -> frozenset[str]:
    """Watched actions that are reported if they are allowed on listed resources only."""
    return frozenset((*(action for path in escalation_paths() for action in path.actions), *iam_changes(), ASSUME_ROLE))


@lru_cache(maxsize=16_384)
def _watched_actions(pattern: str) -> frozenset[str]:
    """The watched actions that an action pattern of a policy covers."""
    matches = wildcard(pattern.lower())
    return frozenset(action for action in _watched() if matches(action.lower()))


def _every_resource(role: Role, action: str, stranger: Stranger) -> list[str]:
    """ARNs of resources that no policy contains: one for each type that the action supports, or `*` without a type."""
    if action == ASSUME_ROLE:
        return [_role_of(role, stranger, account) for account in (_account(role), stranger.account_id)]
    known = find_action(action)
    forms = known.resource_forms if known is not None else ()
    fixed = {"Partition": _partition(role), "Account": _account(role), "Region": _REGION}
    return [_PLACEHOLDER.sub(lambda found: fixed.get(found[1], stranger.name), form) for form in forms] or ["*"]


def _covers(statement: Statement, action: str) -> bool:
    """Whether the actions of a statement include a watched action."""
    listed = any(action in _watched_actions(pattern) for pattern in statement.actions or statement.not_actions)
    return listed is bool(statement.actions)


def _role_of(role: Role, stranger: Stranger, account: str) -> str:
    return role_arn(_partition(role), account, "/", stranger.name)


def _without_wildcards(resource: str, stranger: Stranger, account: str) -> str:
    """An ARN that the pattern matches; a pattern for the account becomes this account if it matches."""
    parts = resource.split(":", 5)
    if len(parts) > _ACCOUNT_PART and wildcard(parts[_ACCOUNT_PART])(account):
        parts[_ACCOUNT_PART] = account
    return stranger.fill(":".join(parts))


def _actions_of(documents: Iterable[PolicyDocument], effect: str) -> dict[str, frozenset[str]]:
    """Action names by service; `*` if the documents allow the actions of every service."""
    found: dict[str, frozenset[str]] = {}
    for document in documents:
        for statement in document.statements:
            if statement.effect != effect or (effect == "Deny" and not _is_unconditional(statement)):
                continue
            for pattern in statement.actions or ("*",):
                for service in _services_of(pattern, statement.resources):
                    names = frozenset(expand(f"{service}:{pattern.partition(':')[2] or '*'}"))
                    found[service] = found.get(service, _NOTHING) | names
    return found


def _is_unconditional(statement: Statement) -> bool:
    return not statement.conditions and "*" in statement.resources and bool(statement.actions)


def _services_of(pattern: str, resources: Sequence[str]) -> Iterable[str]:
    """Service prefixes that an action pattern covers. With the pattern `*`, the resources limit the services."""
    prefix = pattern.lower().partition(":")[0]
    if prefix == "*" and resources and "*" not in resources:
        return sorted({parsed.service for text in resources if (parsed := Arn.parse(text)) and parsed.service in services()})
    if prefix == "*":
        return (_EVERY_SERVICE,)
    if "*" not in prefix and "?" not in prefix:
        return (prefix,) if prefix in services() else ()
    matches = wildcard(prefix)
    return sorted(filter(matches, services()))


def _mentions_tags(document: PolicyDocument) -> bool:
    return any(
        "tag/" in text.lower()
        for statement in document.statements
        for text in (
            *statement.resources,
            *statement.not_resources,
            *(text for condition in statement.conditions for text in (condition.key, *condition.values)),
        )
    )


def _with_own_role(reader: PermissionReader, role: Role, found: RolePermissions) -> RolePermissions:
    """Add paths that the role can use on itself only."""
    known = {each.path.id for each in found.escalations if each.scope is Scope.ALL}
    single = {path.actions[0]: path for path in escalation_paths() if len(path.actions) == 1}
    own = [
        Escalation(single[action], Scope.ALL)
        for action in _OWN_ROLE_ACTIONS
        if single[action].id not in known and reader.allows(role, action, role.arn)
    ]
    if not own:
        return found
    replaced = {each.path.id for each in own}
    return replace(found, escalations=(*own, *(each for each in found.escalations if each.path.id not in replaced)))


def _trust_of_account(arn: str) -> Statement:
    parsed = Arn.parse(arn)
    root = root_arn(parsed.partition, parsed.account_id) if parsed else arn
    return Statement("Allow", (ASSUME_ROLE,), principals=(Principal("AWS", root),))


def _partition(role: Role) -> str:
    return role.arn.split(":", 2)[1]


def _account(role: Role) -> str:
    return role.arn.split(":", 5)[4]
