"""Example requests: the cheapest request of a box, confirmed by the evaluator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice, product

from rolecall_generator.iam import Access, Condition, PolicyDocument, Role
from rolecall_generator.iam.evaluation import (
    Caller,
    Effect,
    Evaluator,
    Identity,
    IdentitySide,
    PolicyOutcome,
    PolicyType,
    PrincipalKind,
    Request,
    principal_context,
    scan_documents,
)
from rolecall_generator.iam.matching import Context, patterns_of
from rolecall_generator.proof.symbolic.boxes import members
from rolecall_generator.proof.symbolic.cells import Values, merge_contexts
from rolecall_generator.proof.symbolic.keys import (
    ACTION,
    CALLER,
    CALLER_KEYS,
    MFA_AGE,
    MFA_PRESENT,
    NOT_KEYS,
    PROVIDED_CONTEXTS,
    REQUEST_TAG,
    SESSION_NAME,
    SOURCE_IDENTITY,
    TAG_KEYS,
    TRANSITIVE_TAG_KEYS,
    CallerKind,
    dimension_of,
)
from rolecall_generator.proof.symbolic.language import instance
from rolecall_generator.proof.symbolic.policies import (
    SERVICE_LINKED,
    SET_CONTEXT,
    SET_SOURCE_IDENTITY,
    TAG_SESSION,
    TrustSide,
)
from rolecall_generator.proof.symbolic.relations import HOLDS, RelatedValue, Relation
from rolecall_generator.proof.symbolic.requests import DEFAULT_SESSION_NAME, RequestPoint, RequestWitness, rejection
from rolecall_generator.proof.symbolic.space import RequestSpace
from rolecall_generator.proof.symbolic.world import PolicyLevel

_CALLERS_TRIED = 8
_VALUES_TRIED = 4
_POINTS_TRIED = 32


class RequestOutcome(Enum):
    """Whether policies allow a request."""

    ALLOWED = "allowed"
    DENIED = "denied"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class RequestDecision:
    """Whether one side of a comparison allows a request, and why."""

    outcome: RequestOutcome
    reason: str


class WitnessFinder:
    """Finds confirmed requests in the boxes of a space. `rejections` are reasons why candidates were not taken."""

    def __init__(self, space: RequestSpace) -> None:
        self._space = space
        self._related = {
            name: (relation, each)
            for name, relation in space.related.items()
            for each in relation.related
            if each.dimension == name
        }
        self.rejections: dict[str, None] = {}

    def find(self, masks: Sequence[int], one: TrustSide, other: TrustSide) -> RequestWitness | None:
        """A request of the box that `one` allows and `other` denies, both for certain; None if none was confirmed."""
        for point in self._points(masks):
            if reason := rejection(point):
                self.rejections.setdefault(reason)
                continue
            denied = self.decide(other, point)
            if denied.outcome is RequestOutcome.DENIED and self.decide(one, point).outcome is RequestOutcome.ALLOWED:
                return RequestWitness.of(point, self._request(point, one), denied.reason)
            self.rejections.setdefault("the evaluator does not confirm the simplest requests")
        return None

    def point_of(self, cells: Sequence[int]) -> RequestPoint | None:
        """The request with these cells, one position for each dimension; None if one of them is the rest."""
        masks = [1 << position for position in cells]
        return self._point(masks, masks)

    # Points of a box

    def _points(self, masks: Sequence[int]) -> Iterator[RequestPoint]:
        """Requests of the box: by different callers, and with different values where keys are compared with each other."""
        related = [each for name, each in self._related.items() if masks[self._space.index[name]] == HOLDS]
        keys = (variable.key for _, each in related for variable in each.template.variables)
        names = {name for name in keys if not self._space.is_known(name)}
        varied = {0: self._callers(masks[0])}
        for index in {self._space.index[dimension_of(name)] for name in names} - {0}:
            varied[index] = list(islice(members(masks[index]), _VALUES_TRIED))
        for choice in islice(product(*varied.values()), _POINTS_TRIED):
            narrowed = list(masks)
            for index, position in zip(varied, choice, strict=True):
                narrowed[index] = 1 << position
            if (point := self._point_with_matches(narrowed, masks, related)) is not None:
                yield _with_companions(point)

    def _callers(self, mask: int) -> list[int]:
        """Callers of the mask: the first one of each kind, then others."""
        positions = list(islice(members(mask), _CALLERS_SEEN))
        kinds: dict[CallerKind, int] = {}
        for position in positions:
            kind = self._space.callers.cells[position].kind
            if kind is not None:
                kinds.setdefault(kind, position)
        return list(dict.fromkeys((*kinds.values(), *positions)))[:_CALLERS_TRIED]

    def _point_with_matches(
        self, narrowed: Sequence[int], masks: Sequence[int], related: Sequence[tuple[Relation, RelatedValue]]
    ) -> RequestPoint | None:
        """The cheapest request of the narrowed box, with values that make its relations hold; None if it is not known."""
        point = self._point(narrowed, masks)
        if point is None or not related:
            return point
        stated = {**self._space.role_context, **principal_context(point.caller, {}, known=False), **point.context}
        context = dict(point.context)
        for relation, each in related:
            context.update(self._matching_value(relation, each, stated))
        return replace(point, context=context)

    def _matching_value(self, relation: Relation, each: RelatedValue, stated: Context) -> dict[str, Values]:
        """The relation's key with a value that matches; empty if it cannot be chosen."""
        condition, key = relation.condition, relation.test.key
        if key in CALLER_KEYS or self._space.is_known(key):
            return {}
        names = {variable.key: stated.get(variable.key, ()) for variable in each.template.variables}
        single = Condition(condition.operator, condition.key, (each.value,))
        filled = patterns_of(single, names, frozenset(), variables=True)
        return {key: (instance(next(iter(filled))),)} if isinstance(filled, frozenset) and filled else {}

    def _point(self, narrowed: Sequence[int], masks: Sequence[int]) -> RequestPoint | None:
        """The cheapest request of the narrowed box; None if it is not known. What is shown depends on the whole box."""
        space = self._space
        cells = {
            dimension.name: dimension.cells[(mask & -mask).bit_length() - 1]
            for dimension, mask in zip(space.dimensions, narrowed, strict=True)
        }
        who = cells[CALLER].caller
        if who is None or any(cell.rest for cell in cells.values()):
            return None
        cut = {dimension.name for dimension, mask in zip(space.dimensions, masks, strict=True) if mask != dimension.full}
        context = merge_contexts(
            cell.context for name, cell in cells.items() if name not in NOT_KEYS and name not in self._related
        )
        if SESSION_NAME in context and SESSION_NAME not in cut:
            context[SESSION_NAME] = (DEFAULT_SESSION_NAME,)
        shown = {key: space.spelling(key) for key in context if key in space.related_keys or dimension_of(key) in cut}
        has_contexts = narrowed[space.index[PROVIDED_CONTEXTS]] == HOLDS
        return RequestPoint(who, cells[ACTION].action, context, has_contexts, shown)

    def _request(self, point: RequestPoint, side: TrustSide) -> Request:
        who, world = point.caller, side.limits.world
        arns = {who.arn, who.role or who.arn}
        known = not arns.isdisjoint(world.known)
        sessions = next((world.session_policies[arn] for arn in arns if arn in world.session_policies), ())
        role = who.role if _is_session(who) else None
        caller = Caller(who.arn, IdentitySide.KNOWN if known else IdentitySide.ALLOWS_ALL, role, tuple(sessions))
        return Request(caller, self._space.role.arn, point.action, point.context)

    # Decisions

    def decide(self, side: TrustSide, point: RequestPoint) -> RequestDecision:
        """Decide a request by the evaluator, and by the service and resource control policies around it."""
        request = self._request(point, side)
        return _strictest([*decide_by_trust(self._access(side), request, point), *self._by_levels(side, point)])

    def _access(self, side: TrustSide) -> Access:
        """What the evaluator sees of the side: the role with the trust policy, and the known principals."""
        world, role = side.limits.world, self._space.role
        declared = world.access.roles.get(role.arn) if role.arn in world.known else None
        assumed = replace(declared or role, trust=side.trust, tags=role.tags, existing=role.existing)
        known = {arn: each for arn, each in world.access.roles.items() if arn in world.known}
        users = {arn: user for arn, user in world.access.users.items() if arn in world.known}
        return Access({**known, role.arn: assumed}, world.access.policies, world.access.groups, users)

    def _by_levels(self, side: TrustSide, point: RequestPoint) -> Iterator[RequestDecision]:
        who = point.caller
        context = {**self._space.role_context, **principal_context(who, {}, known=False), **point.context}
        levels = [("resource", level) for level in side.limits.resource_control]
        for account, found in side.limits.service_control:
            levels += [("service", level) for level in found if account == who.account_id]
        for kind, level in levels:
            for action in _actions(point):
                outcome = self._by_level(level, action, context)
                if outcome is RequestOutcome.DENIED and SERVICE_LINKED in (who.role or ""):
                    outcome = RequestOutcome.OPEN
                yield RequestDecision(outcome, f"{kind} control policies do not allow {action}")

    def _by_level(self, level: PolicyLevel, action: str, context: Mapping[str, Values]) -> RequestOutcome:
        documents = [("control policy", self._space.compiler.compile(each, PolicyType.IDENTITY)) for each in level]
        outcome = scan_documents(documents, action.lower(), self._space.role.arn, context).outcome
        if outcome is PolicyOutcome.ALLOW:
            return RequestOutcome.ALLOWED
        return RequestOutcome.DENIED if outcome in {PolicyOutcome.DENY, PolicyOutcome.NOTHING} else RequestOutcome.OPEN


_CALLERS_SEEN = 512
_ORDER = (RequestOutcome.DENIED, RequestOutcome.OPEN, RequestOutcome.ALLOWED)


def _strictest(decisions: Iterable[RequestDecision]) -> RequestDecision:
    return min(decisions, key=lambda decision: _ORDER.index(decision.outcome))


def decide_by_trust(access: Access, request: Request, point: RequestPoint) -> Iterator[RequestDecision]:
    """The evaluator's decisions about the operation, and about provided contexts, which it does not look for itself."""
    evaluator = Evaluator(access)
    actions = (request.action, SET_CONTEXT) if point.has_contexts else (request.action,)
    for action in actions:
        decision = evaluator.may_assume(replace(request, action=action))
        yield RequestDecision(_OUTCOMES[decision.effect], decision.reason)


def confirm(point: RequestPoint, role: Role, one: PolicyDocument, other: PolicyDocument) -> RequestWitness | None:
    """The witness of a request that `one` allows and `other` denies on the role, without known limits; None if not so."""
    caller = Caller(point.caller.arn, IdentitySide.ALLOWS_ALL, point.caller.role if _is_session(point.caller) else None)
    request = Request(caller, role.arn, point.action, point.context)
    decisions = [
        _strictest(decide_by_trust(Access({role.arn: replace(role, trust=trust)}), request, point)) for trust in (one, other)
    ]
    if [each.outcome for each in decisions] != [RequestOutcome.ALLOWED, RequestOutcome.DENIED] or rejection(point):
        return None
    return RequestWitness.of(point, request, decisions[1].reason)


def _with_companions(point: RequestPoint) -> RequestPoint:
    """The request with the keys that AWS sets together with those that it has, where no condition distinguishes these: the
    keys of its tags and of transitive tags are among aws:TagKeys, and a time since MFA follows MFA.
    """
    context = dict(point.context)
    listed = context.get(TAG_KEYS, ())
    lower = {tag.lower() for tag in listed}
    tags = [
        point.shown.get(key, key)[len(REQUEST_TAG) :]
        for key, values in context.items()
        if values and key.startswith(REQUEST_TAG)
    ]
    further = {tag.lower(): tag for tag in (*tags, *context.get(TRANSITIVE_TAG_KEYS, ())) if tag.lower() not in lower}
    if further:
        context[TAG_KEYS] = (*listed, *further.values())
    if context.get(MFA_AGE) and MFA_PRESENT not in context:
        context[MFA_PRESENT] = ("true",)
    return replace(point, context=context)


def _is_session(caller: Identity) -> bool:
    return caller.kind is PrincipalKind.SESSION


_OUTCOMES = {
    Effect.ALLOW: RequestOutcome.ALLOWED,
    Effect.EXPLICIT_DENY: RequestOutcome.DENIED,
    Effect.IMPLICIT_DENY: RequestOutcome.DENIED,
    Effect.REFUSED: RequestOutcome.OPEN,
}


def _actions(point: RequestPoint) -> Iterator[str]:
    yield point.action
    if point.context.get(TAG_KEYS) or point.context.get(TRANSITIVE_TAG_KEYS):
        yield TAG_SESSION
    if point.context.get(SOURCE_IDENTITY):
        yield SET_SOURCE_IDENTITY
    if point.has_contexts:
        yield SET_CONTEXT
