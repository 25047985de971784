"""What policies allow as sets of requests: trust policies, and policies of organizations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from rolecall_generator.iam import PolicyDocument, Principal, Statement
from rolecall_generator.iam.evaluation import (
    SET_SOURCE_IDENTITY,
    TAG_SESSION,
    CompiledStatement,
    PolicyType,
    PrincipalReach,
)
from rolecall_generator.iam.matching import PolicyVariables
from rolecall_generator.proof.symbolic.boxes import (
    FALSE,
    OPEN,
    AllowedSet,
    leaf,
)
from rolecall_generator.proof.symbolic.keys import (
    ACTION,
    CALLER,
    PROVIDED_CONTEXTS,
    SOURCE_IDENTITY,
    TAG_KEYS,
    TRANSITIVE_TAG_KEYS,
)
from rolecall_generator.proof.symbolic.space import ACTIONS, RequestSpace
from rolecall_generator.proof.symbolic.world import PolicyLevel, World

SET_CONTEXT = "sts:SetContext"
_CLEAR_PRINCIPAL = re.compile(
    r"[0-9]{12}"
    r"|arn:[a-z-]+:iam::[0-9]{12}:(?:root|(?:role|user)/(?:[!-\x7f]+/)?[\w+=,.@-]+)"
    r"|arn:[a-z-]+:sts::[0-9]{12}:(?:assumed-role/[\w+=,.@-]+|federated-user)/[\w+=,.@-]+",
    re.ASCII,
)
"""Principals of type AWS of which it is certain what they name (AWS JSON policy elements: Principal)."""
_VARIABLE = re.compile(r"\$\{[^}]*\}")
SERVICE_LINKED = ":role/aws-service-role/"


@dataclass(frozen=True, slots=True)
class TrustSide:
    """One side of a comparison: a trust policy, and the policies of organizations that limit it, as identity policies."""

    trust: PolicyDocument
    service_control: Mapping[str, tuple[PolicyLevel, ...]]
    resource_control: tuple[PolicyLevel, ...]

    @classmethod
    def of(cls, trust: PolicyDocument, world: World) -> TrustSide:
        """The trust policy in a world."""
        levels = tuple(tuple(map(without_principal, level)) for level in world.resource_control)
        return cls(trust, world.service_control, levels)

    @property
    def documents(self) -> Iterator[tuple[PolicyDocument, PolicyType]]:
        """All documents with their type."""
        yield self.trust, PolicyType.TRUST
        for levels in (*self.service_control.values(), self.resource_control):
            yield from ((document, PolicyType.IDENTITY) for level in levels for document in level)


def without_principal(document: PolicyDocument) -> PolicyDocument:
    """A resource control policy in the form of an identity policy. Its Principal is always `*`; a statement with another one
    keeps it, so that it is not evaluated.
    """
    return PolicyDocument(tuple(map(_statement_without_principal, document.statements)), document.version)


def _statement_without_principal(statement: Statement) -> Statement:
    names = [principal.identifier for principal in statement.principals]
    return replace(statement, principals=()) if names == ["*"] and not statement.not_principals else statement


@dataclass(frozen=True, slots=True)
class _Effects:
    """The requests for which statements allow, and for which they deny, one action."""

    allow: AllowedSet
    deny: AllowedSet

    @property
    def allowed(self) -> AllowedSet:
        """The requests that some statement allows and none denies."""
        return AllowedSet.intersection((self.allow, self.deny.inverse))


class PolicySets:
    """The requests that one side of a comparison allows in a space."""

    def __init__(self, space: RequestSpace, side: TrustSide) -> None:
        self._space = space
        self._side = side
        self._statements: dict[int, AllowedSet] = {}

    def allowed_set(self) -> AllowedSet:
        """The requests that the trust policy allows within its limits.

        "In addition to the action that matches the API operation, you must have the following permissions-only action in
        your policy: sts:TagSession" (Pass session tags in AWS STS); likewise sts:SetSourceIdentity for a source identity and
        sts:SetContext for provided contexts.
        """
        space = self._space
        action = space.index[ACTION]
        operations = AllowedSet.union(
            AllowedSet.intersection((AllowedSet.exact(leaf({action: 1 << position})), self._allowed_action(name)))
            for position, name in enumerate(ACTIONS)
        )
        without_contexts = AllowedSet.exact(leaf({space.index[PROVIDED_CONTEXTS]: 0b01}))
        untagged = AllowedSet.intersection(map(self._absent, (TAG_KEYS, TRANSITIVE_TAG_KEYS)))
        return AllowedSet.intersection(
            (
                operations,
                AllowedSet.union((untagged, self._allowed_action(TAG_SESSION))),
                AllowedSet.union((self._absent(SOURCE_IDENTITY), self._allowed_action(SET_SOURCE_IDENTITY))),
                AllowedSet.union((without_contexts, self._allowed_action(SET_CONTEXT))),
            )
        )

    def _absent(self, key: str) -> AllowedSet:
        absent = AllowedSet.exact(self._space.values_where(key, lambda values: not values))
        rest = self._space.unclear_values(key)
        return absent if rest is FALSE else AllowedSet.union((absent, AllowedSet(FALSE, rest)))

    def _allowed_action(self, action: str) -> AllowedSet:
        effects = self._effects([self._side.trust], PolicyType.TRUST, action)
        parts = [effects.deny.inverse, effects.allow]
        parts += (self._within(account, levels, action) for account, levels in self._side.service_control.items())
        if self._side.resource_control:
            parts.append(self._within(None, self._side.resource_control, action))
        return AllowedSet.intersection(parts)

    # Statements

    def _concerns(self, statement: CompiledStatement, action: str) -> bool:
        source, role = statement.source, self._space.role.arn
        if statement.refusal is None and not self._has_variable_resource(statement):
            return statement.applies_to(action.lower(), role, {})
        if bool(source.actions) != bool(source.not_actions):
            names = PolicyVariables(name.lower() for name in source.actions or source.not_actions)
            if names.match(action.lower(), {}) is not bool(source.actions):
                return False
        widest = PolicyVariables(_VARIABLE.sub("*", resource) for resource in source.resources)
        return statement.refusal is not None or not widest.any or widest.match(role, {})

    def _has_variable_resource(self, statement: CompiledStatement) -> bool:
        source = statement.source
        return self._space.has_variables(statement) and any("${" in r for r in (*source.resources, *source.not_resources))

    def _effects(self, documents: Iterable[PolicyDocument], side: PolicyType, action: str) -> _Effects:
        allows, denies = [], []
        for document in documents:
            for statement in self._space.compiler.compile(document, side).statements:
                if not self._concerns(statement, action):
                    continue
                requests = self._requests(statement)
                # A statement with an unknown effect may do both.
                if statement.source.effect != "Deny":
                    allows.append(requests)
                if statement.source.effect != "Allow":
                    denies.append(requests)
        return _Effects(AllowedSet.union(allows), AllowedSet.union(denies))

    def _requests(self, statement: CompiledStatement) -> AllowedSet:
        """The requests to which the statement applies, whatever their action."""
        found = self._statements.get(id(statement))
        if found is None:
            found = self._statements[id(statement)] = self._make_requests(statement)
        return found

    def _make_requests(self, statement: CompiledStatement) -> AllowedSet:
        if statement.refusal is not None:
            return OPEN
        variables = self._space.has_variables(statement)
        parts = [self._space.set_of(condition, variables=variables) for condition in statement.source.conditions]
        if statement.source.principals:
            parts.append(self._principals(statement))
        if self._has_variable_resource(statement):
            parts.append(self._space.resource_set(statement))
        return AllowedSet.intersection(parts)

    def _principals(self, statement: CompiledStatement) -> AllowedSet:
        """The callers that the Principal element names.

        Open for all callers if it has a principal that is not the ARN of a user, role, session or account: a unique ID is
        that of a principal which is not known, and the meaning of other ARNs is not documented.
        """
        callers = self._space.callers
        reached = self._space.callers_where(lambda who: statement.principals.reach(who) is not PrincipalReach.NONE)
        maybe = reached | callers.rest
        if any(map(_is_unclear, statement.source.principals)):
            maybe = callers.full
            self._space.reasons.setdefault("a principal is not the ARN of a user, role, session or account")
        names = (principal.identifier for principal in statement.source.principals)
        self._space.add_label(CALLER, ["named by Principal"], names, reached)
        return AllowedSet.of_masks(0, reached, maybe)

    # Policies of organizations

    def _within(self, account: str | None, levels: Iterable[PolicyLevel], action: str) -> AllowedSet:
        """What levels of service control policies allow the principals of an account, or, for None, levels of resource
        control policies all callers.

        "SCPs do not affect any service-linked role." "RCPs can't be used to restrict service-linked roles." (AWS
        Organizations User Guide): whether such a role sends the request is not certain, so it is only in `maybe`.
        """
        affected = self._space.callers_where(lambda who: account is None or who.account_id == account)
        linked = affected & self._space.callers_where(lambda who: SERVICE_LINKED in (who.role or ""))
        allowed = AllowedSet.intersection(self._effects(level, PolicyType.IDENTITY, action).allowed for level in levels)
        unaffected = leaf({0: self._space.callers.full & ~affected})
        return AllowedSet.union((AllowedSet.exact(unaffected), allowed, AllowedSet(FALSE, leaf({0: linked}))))


def _is_unclear(principal: Principal) -> bool:
    """Whether it is not certain which callers a principal of type AWS names."""
    text = principal.identifier
    return principal.type == "AWS" and text != "*" and _CLEAR_PRINCIPAL.fullmatch(text) is None
