"""What policies allow as sets of requests: trust policies, policies of known callers, policies of organizations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from rolecall_generator.iam import PolicyDocument, Principal, Statement
from rolecall_generator.iam.evaluation import (
    SET_SOURCE_IDENTITY,
    TAG_SESSION,
    Caller,
    CallerProfiles,
    CompiledStatement,
    Compiler,
    IdentitySide,
    PolicyType,
    PrincipalKind,
    PrincipalReach,
    identity_of,
)
from rolecall_generator.iam.matching import PolicyVariables
from rolecall_generator.proof.symbolic.boxes import (
    EVERYTHING,
    FALSE,
    NOTHING,
    OPEN,
    TRUE,
    AllowedSet,
    complement,
    leaf,
    members,
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
_UNIQUE_ID = re.compile(r"[A-Z0-9]{16,}")
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
class KnownPolicies:
    """The policies of one known user or role. `identity` is None if they allow everything.

    `boundary` and `session` are None if there are none. `unknown`: some identity policy is not known; `unknown_boundary`:
    the boundary is not.
    """

    arn: str
    identity: tuple[PolicyDocument, ...] | None
    boundary: tuple[PolicyDocument, ...] | None
    session: tuple[PolicyDocument, ...] | None
    unknown: bool = False
    unknown_boundary: bool = False


@dataclass(frozen=True, slots=True)
class WorldPolicies:
    """The documents of a world, all in the form of identity policies."""

    world: World
    known: tuple[KnownPolicies, ...]
    service_control: tuple[tuple[str, tuple[PolicyLevel, ...]], ...]
    resource_control: tuple[PolicyLevel, ...]

    @classmethod
    def of(cls, world: World) -> WorldPolicies:
        """The documents of the world."""
        return cls(
            world,
            tuple(_known_policies(world)),
            tuple(world.service_control.items()),
            tuple(tuple(map(without_principal, level)) for level in world.resource_control),
        )

    @property
    def documents(self) -> Iterator[PolicyDocument]:
        """All documents."""
        for known in self.known:
            for documents in (known.identity, known.boundary, known.session):
                yield from documents or ()
        for levels in (*(levels for _, levels in self.service_control), self.resource_control):
            for level in levels:
                yield from level


@dataclass(frozen=True, slots=True)
class TrustSide:
    """One side of a comparison: a trust policy, and the policies of callers and organizations that limit it."""

    trust: PolicyDocument
    limits: WorldPolicies

    @property
    def documents(self) -> Iterator[tuple[PolicyDocument, PolicyType]]:
        """All documents with their type."""
        yield self.trust, PolicyType.TRUST
        for document in self.limits.documents:
            yield document, PolicyType.IDENTITY


def _known_policies(world: World) -> Iterator[KnownPolicies]:
    profiles = CallerProfiles(world.access, Compiler())
    for arn in sorted({*world.known, *world.session_policies}):
        session = world.session_policies.get(arn)
        if arn not in world.known:
            yield KnownPolicies(arn, None, None, session)
            continue
        profile = profiles.profile(Caller(arn, IdentitySide.KNOWN))
        boundary = profile.boundary
        yield KnownPolicies(
            arn,
            tuple(document.source for _, document in profile.policies),
            None if boundary is None else tuple(document.source for _, document in boundary),
            session,
            unknown=bool(profile.unknown_policies) or not (arn in world.access.roles or arn in world.access.users),
            unknown_boundary=bool(profile.unknown_boundary),
        )


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


_NO_LIMIT = _Effects(EVERYTHING, NOTHING)


class PolicySets:
    """The requests that one side of a comparison allows in a space."""

    def __init__(self, space: RequestSpace, side: TrustSide) -> None:
        self._space = space
        self._side = side
        self._limits = side.limits
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
        concerned = self._concerned([self._side.trust], PolicyType.TRUST, action)
        effects = self._effects(concerned)
        parts = [effects.deny.inverse]
        if self._limits.known:
            known = 0
            cases = []
            for policies in self._limits.known:
                known |= self._space.callers_with_arn(policies.arn)
                cases.append(self._allowed_known(policies, concerned, action))
            others = AllowedSet.exact(complement(leaf({0: known})))
            parts.append(AllowedSet.union((AllowedSet.intersection((others, effects.allow)), *cases)))
        else:
            parts.append(effects.allow)
        parts += (self._within(account, levels, action) for account, levels in self._limits.service_control)
        if self._limits.resource_control:
            parts.append(self._within(None, self._limits.resource_control, action))
        return AllowedSet.intersection(parts)

    # Statements

    def _concerned(self, documents: Iterable[PolicyDocument], side: PolicyType, action: str) -> list[CompiledStatement]:
        """The statements of the documents that concern the action on the role."""
        return [
            statement
            for document in documents
            for statement in self._space.compiler.compile(document, side).statements
            if self._concerns(statement, action)
        ]

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

    def _effects(self, statements: Iterable[CompiledStatement]) -> _Effects:
        allows, denies = [], []
        for statement in statements:
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

    # Policies of the caller and of organizations

    def _document_effects(self, documents: Iterable[PolicyDocument], action: str) -> _Effects:
        return self._effects(self._concerned(documents, PolicyType.IDENTITY, action))

    def _allowed_known(self, known: KnownPolicies, concerned: list[CompiledStatement], action: str) -> AllowedSet:
        """What is left of the trust policy's Allow statements for a caller whose own policies are known.

        As the evaluator decides: across accounts the identity policies must allow, within one account only if the trust
        policy names no more than the account. A boundary limits what is granted to a role, but not to a session. Whether it
        limits what is granted to a user is not documented.
        """
        identity = _NO_LIMIT if known.identity is None else self._document_effects(known.identity, action)
        if known.unknown:
            identity = _Effects(AllowedSet.union((identity.allow, OPEN)), AllowedSet.union((identity.deny, OPEN)))
        boundary = _NO_LIMIT if known.boundary is None else self._document_effects(known.boundary, action)
        if known.unknown_boundary:
            boundary = _Effects(OPEN, OPEN)
        session = _NO_LIMIT if known.session is None else self._document_effects(known.session, action)
        bounded = AllowedSet.intersection((boundary.allow, session.allow))
        own = AllowedSet.intersection((identity.allow, bounded))
        needed = dict.fromkeys((PrincipalReach.ACCOUNT, PrincipalReach.ROLE, PrincipalReach.DIRECT), own)
        who = identity_of(known.arn)
        chained = who.role is not None and action == SET_SOURCE_IDENTITY
        if who.account_id == identity_of(self._space.role.arn).account_id and not chained:
            needed[PrincipalReach.ROLE] = bounded
            if who.kind is PrincipalKind.USER:
                needed[PrincipalReach.DIRECT] = AllowedSet(bounded.sure, TRUE)
            else:
                needed[PrincipalReach.DIRECT] = bounded if known.unknown_boundary else EVERYTHING
        mask = self._space.callers_with_arn(known.arn)
        granted = [
            AllowedSet.intersection((self._requests(statement), AllowedSet.exact(leaf({0: reached})), needed[reach]))
            for statement in concerned
            if statement.source.effect != "Deny"
            for reach, reached in self._by_reach(statement, mask).items()
        ]
        denied = AllowedSet.union((identity.deny, boundary.deny, session.deny))
        return AllowedSet.intersection((AllowedSet.union(granted), denied.inverse))

    def _by_reach(self, statement: CompiledStatement, mask: int) -> dict[PrincipalReach, int]:
        """The cells of the mask by how directly the statement names them; undocumented principals count as direct."""
        found: dict[PrincipalReach, int] = {}
        for position in members(mask):
            caller = self._space.callers.cells[position].caller
            named = caller is not None and statement.refusal is None
            reach = statement.principals.reach(caller) if caller is not None and named else PrincipalReach.NONE
            reach = reach or PrincipalReach.DIRECT
            found[reach] = found.get(reach, 0) | 1 << position
        return found

    def _within(self, account: str | None, levels: Iterable[PolicyLevel], action: str) -> AllowedSet:
        """What levels of service control policies allow the principals of an account, or, for None, levels of resource
        control policies all callers.

        "SCPs do not affect any service-linked role." "RCPs can't be used to restrict service-linked roles." (AWS
        Organizations User Guide): whether such a role sends the request is not certain, so it is only in `maybe`.
        """
        affected = self._space.callers_where(lambda who: account is None or who.account_id == account)
        linked = affected & self._space.callers_where(lambda who: SERVICE_LINKED in (who.role or ""))
        allowed = AllowedSet.intersection(self._document_effects(level, action).allowed for level in levels)
        unaffected = leaf({0: self._space.callers.full & ~affected})
        return AllowedSet.union((AllowedSet.exact(unaffected), allowed, AllowedSet(FALSE, leaf({0: linked}))))


def _is_unclear(principal: Principal) -> bool:
    """Whether it is not certain which callers a principal of type AWS names."""
    text = principal.identifier
    return principal.type == "AWS" and text != "*" and _CLEAR_PRINCIPAL.fullmatch(text) is None
