"""Example requests: the cheapest request of a box, confirmed by the evaluator, and the AWS CLI command that sends it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice

from rolecall_generator.iam import Access, Arn, Condition
from rolecall_generator.iam.evaluation import (
    ASSUME_ROLE,
    FEDERATED_ASSUME,
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
from rolecall_generator.iam.matching import OPERATORS, PolicyTemplate, patterns_of
from rolecall_generator.proof.symbolic.boxes import members
from rolecall_generator.proof.symbolic.callers import is_certain_name
from rolecall_generator.proof.symbolic.cells import KeyCell, Values, merged
from rolecall_generator.proof.symbolic.keys import (
    ACTION,
    CALLER,
    CALLER_KEYS,
    EXTERNAL_ID,
    KEPT_SOURCE_IDENTITY,
    MFA_PRESENT,
    ORGANIZATION_ID,
    ORGANIZATION_PATHS,
    PRINCIPAL_TAG,
    REQUEST_TAG,
    RESOURCE_TAGS,
    SESSION_NAME,
    SOURCE_IDENTITY,
    TAG_KEYS,
    TRANSITIVE_TAG_KEYS,
    CallerKind,
    Setter,
    ValueType,
    caller_kind,
    is_role_key,
    key_facts,
)
from rolecall_generator.proof.symbolic.language import fits, instance
from rolecall_generator.proof.symbolic.policies import SERVICE_LINKED, SET_SOURCE_IDENTITY, TAG_SESSION, TrustSide
from rolecall_generator.proof.symbolic.space import HOLDS, Relation, RequestSpace
from rolecall_generator.proof.symbolic.world import PolicyLevel

_CALLERS_TRIED = 8
_MAX_TAGS = 50
_DURATION = "sts:durationseconds"
_REGION = "aws:requestedregion"
_SERVICE_NAME = "aws:principalservicename"
_USER_ID = "aws:userid"
_SOURCE_ACCOUNT, _SOURCE_ARN = "aws:sourceaccount", "aws:sourcearn"
_TIME, _EPOCH = "aws:currenttime", "aws:epochtime"
_DEFAULT_SESSION_NAME = "rolecall"


class RequestOutcome(Enum):
    """Whether policies allow a request."""

    ALLOWED = "allowed"
    DENIED = "denied"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class RequestWitness:
    """A request that one policy allows and another does not, as the evaluator confirmed.

    `keys` are the condition keys that the difference depends on, with their values, as the policies spell them; keys that
    the role or the caller decides are not among them. `denial` is why the other policy does not allow it. `command` is the
    AWS CLI command that sends the request, and `remarks` are what the command cannot express: who runs it, from where, when.
    """

    request: Request
    denial: str
    keys: Mapping[str, Values]
    command: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def shell_command(self) -> str:
        """The command as one line for a shell."""
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class RequestPoint:
    """One request of a box. `cut` are the dimensions that the box restricts."""

    caller: Identity
    action: str
    context: dict[str, Values]
    cut: frozenset[str]


@dataclass(frozen=True, slots=True)
class RequestDecision:
    """Whether one side of a comparison allows a request, and why."""

    outcome: RequestOutcome
    reason: str


class WitnessFinder:
    """Finds confirmed requests in the boxes of a space. `rejections` are reasons why candidates were not taken."""

    def __init__(self, space: RequestSpace) -> None:
        self._space = space
        self.rejections: dict[str, None] = {}

    def find(self, masks: Sequence[int], one: TrustSide, other: TrustSide) -> RequestWitness | None:
        """A request of the box that `one` allows and `other` denies, both for certain; None if none was confirmed."""
        for point in self._points(masks):
            if reason := self._unacceptable(point):
                self.rejections.setdefault(reason)
                continue
            denied = self.decide(other, point)
            if denied.outcome is RequestOutcome.DENIED and self.decide(one, point).outcome is RequestOutcome.ALLOWED:
                return self._witness(point, self._request(point, one), denied.reason)
            self.rejections.setdefault("the evaluator does not confirm the simplest requests")
        return None

    def point_of(self, cells: Sequence[int]) -> RequestPoint | None:
        """The request with these cells, one position for each dimension; None if one of them is the rest."""
        return self._point([1 << position for position in cells], cells[0])

    # Points of a box

    def _points(self, masks: Sequence[int]) -> Iterator[RequestPoint]:
        """Requests of the box, by different callers: the first one of each kind, then others."""
        positions = list(islice(members(masks[0]), _MANY))
        kinds: dict[CallerKind, int] = {}
        for position in positions:
            caller = self._space.callers.cells[position].caller
            if caller is not None:
                kinds.setdefault(caller_kind(caller.kind, caller.arn), position)
        for position in islice(dict.fromkeys((*kinds.values(), *positions)), _CALLERS_TRIED):
            point = self._point(masks, position)
            if point is not None:
                yield point

    def _point(self, masks: Sequence[int], caller: int) -> RequestPoint | None:
        space = self._space
        cells: dict[str, KeyCell] = {
            dimension.name: dimension.cells[(mask & -mask).bit_length() - 1]
            for dimension, mask in zip(space.dimensions, masks, strict=True)
        }
        cells[CALLER] = space.callers.cells[caller]
        who = cells[CALLER].caller
        if who is None or any(cell.rest for cell in cells.values()):
            return None
        cut = frozenset(
            dimension.name for dimension, mask in zip(space.dimensions, masks, strict=True) if mask != dimension.full
        )
        relations = {relation.dimension: relation for relation in space.relations.values()}
        keys = [cell.context for name, cell in cells.items() if name not in {CALLER, ACTION} and name not in relations]
        context = merged(keys)
        self._name_session(context, cut)
        for name, relation in relations.items():
            if masks[space.index[name]] == HOLDS:
                self._fill(relation, who, context)
        return RequestPoint(who, cells[ACTION].action, context, cut)

    @staticmethod
    def _name_session(context: dict[str, Values], cut: frozenset[str]) -> None:
        if SESSION_NAME in context and SESSION_NAME not in cut:
            context[SESSION_NAME] = (_DEFAULT_SESSION_NAME,)

    def _fill(self, relation: Relation, who: Identity, context: dict[str, Values]) -> None:
        """Give the key of a relation a value that matches, with the variables as they are in the context."""
        if relation.test.key in CALLER_KEYS or self._space.is_known(relation.test.key):
            return
        stated = {**self._space.role_context, **principal_context(who, {}, known=False), **context}
        condition = relation.condition
        for value in condition.values:
            names = {variable.key: stated.get(variable.key, ()) for variable in PolicyTemplate(value).variables}
            filled = patterns_of(Condition(condition.operator, condition.key, (value,)), names, frozenset(), variables=True)
            if isinstance(filled, frozenset) and filled:
                context[relation.test.key] = (instance(next(iter(filled))),)
                return

    def _request(self, point: RequestPoint, side: TrustSide) -> Request:
        who, world = point.caller, side.limits.world
        arns = {who.arn, who.role or who.arn}
        known = not arns.isdisjoint(world.known)
        sessions = next((world.session_policies[arn] for arn in arns if arn in world.session_policies), ())
        role = who.role if who.kind is PrincipalKind.SESSION else None
        caller = Caller(who.arn, IdentitySide.KNOWN if known else IdentitySide.ALLOWS_ALL, role, tuple(sessions))
        return Request(caller, self._space.role.arn, point.action, point.context)

    # Decisions

    def decide(self, side: TrustSide, point: RequestPoint) -> RequestDecision:
        """Decide a request by the evaluator, and by the service and resource control policies around it."""
        decision = Evaluator(self._access(side)).may_assume(self._request(point, side))
        if decision.effect in {Effect.IMPLICIT_DENY, Effect.EXPLICIT_DENY}:
            return RequestDecision(RequestOutcome.DENIED, decision.reason)
        outcome = RequestOutcome.OPEN if decision.effect is Effect.REFUSED else RequestOutcome.ALLOWED
        decisions = [RequestDecision(outcome, decision.reason), *self._by_levels(side, point)]
        order = (RequestOutcome.DENIED, RequestOutcome.OPEN, RequestOutcome.ALLOWED)
        return min(decisions, key=lambda each: order.index(each.outcome))

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
            for action in self._actions(point.action, context):
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

    @staticmethod
    def _actions(action: str, context: Mapping[str, Values]) -> Iterator[str]:
        yield action
        if context.get(TAG_KEYS) or context.get(TRANSITIVE_TAG_KEYS):
            yield TAG_SESSION
        if context.get(SOURCE_IDENTITY):
            yield SET_SOURCE_IDENTITY

    # Acceptance

    def _unacceptable(self, point: RequestPoint) -> str:
        """Why AWS may never see such a request; empty if it can."""
        for name in point.cut:
            if name not in {CALLER, ACTION} and is_role_key(name):
                return f"it depends on {name}, which the role decides and which is not known"
        checks = (self._bad_caller, self._bad_values, self._bad_tags, self._bad_organization, self._bad_combination)
        return next((reason for check in checks if (reason := check(point))), "")

    @staticmethod
    def _bad_caller(point: RequestPoint) -> str:
        who = point.caller
        if who.kind is not PrincipalKind.EXTERNAL and not is_certain_name(who.role or who.arn):
            return "whether a principal with such a name can exist is not known"
        if caller_kind(who.kind, who.arn) is CallerKind.ROLE and point.context.get(MFA_PRESENT) == ("true",):
            # "The temporary credentials returned by AssumeRole do not include MFA information in the context" (Secure API
            # access with MFA)
            return "whether a role can send a request with MFA is not known"
        return ""

    @staticmethod
    def _bad_values(point: RequestPoint) -> str:
        for key, values in point.context.items():
            facts = key_facts(key)
            for value in values:
                if not fits(value, facts.shape) or not _has_type(value, facts.type):
                    return f"AWS does not accept the value of {key}"
        return ""

    @staticmethod
    def _bad_tags(point: RequestPoint) -> str:
        tags = [tag.lower() for tag in point.context.get(TAG_KEYS, ())]
        transitive = [tag.lower() for tag in point.context.get(TRANSITIVE_TAG_KEYS, ())]
        if len(set(tags)) < len(tags) or len(set(transitive)) < len(transitive) or len(tags) > _MAX_TAGS:
            return "a tag key would be passed twice, or too many of them"
        return "" if set(transitive) <= set(tags) else "a transitive tag key would not be among the tag keys"

    @staticmethod
    def _bad_organization(point: RequestPoint) -> str:
        has_id, has_paths = ORGANIZATION_ID in point.context, ORGANIZATION_PATHS in point.context
        if not (has_id and has_paths):
            return ""
        organization, paths = point.context[ORGANIZATION_ID], point.context[ORGANIZATION_PATHS]
        agree = all(path.startswith(f"{organization[0]}/") for path in paths) if organization else not paths
        return "" if agree and bool(organization) == bool(paths) else "the caller's organization and its paths do not agree"

    @staticmethod
    def _bad_combination(point: RequestPoint) -> str:
        context, who = point.context, point.caller
        cut = point.cut
        if {_TIME, _EPOCH} <= cut:
            parse = OPERATORS["DateEquals"].family.parse
            times = [parse(context[key][0]) for key in (_TIME, _EPOCH)] if parse is not None else []
            if None in times or len({int(time) for time in times}) > 1:
                return "the two keys for the time do not agree"
        account, arn = context.get(_SOURCE_ACCOUNT), context.get(_SOURCE_ARN)
        parsed = Arn.parse(arn[0]) if arn else None
        if account and parsed is not None and parsed.account_id and parsed.account_id != account[0]:
            return "aws:SourceAccount and aws:SourceArn do not agree"
        if context.get(_SERVICE_NAME, (who.arn,)) not in {(), (who.arn,)}:
            return "aws:PrincipalServiceName is not the caller"
        if _USER_ID in cut and who.kind is not PrincipalKind.EXTERNAL:
            prefix, is_user = ("AIDA", True) if who.kind is PrincipalKind.USER else ("AROA", False)
            user_id, _, session = context[_USER_ID][0].partition(":")
            named = who.kind is PrincipalKind.SESSION and session != who.name
            if not user_id.startswith(prefix) or is_user is bool(session) or named:
                return "the caller cannot have such an aws:userid"
        return ""

    # What is shown

    def _witness(self, point: RequestPoint, request: Request, denial: str) -> RequestWitness:
        keys = {
            self._space.spelling(key): values
            for key, values in point.context.items()
            if values and self._matters(key, point)
        }
        command, expressed = _command(point, self._space)
        return RequestWitness(request, denial, keys, command, tuple(_remarks(point, keys, expressed)))

    def _matters(self, key: str, point: RequestPoint) -> bool:
        if key.startswith(RESOURCE_TAGS) or key == KEPT_SOURCE_IDENTITY:
            return False
        return key in point.cut or key in self._space.related_keys


_MANY = 512


def _has_type(value: str, value_type: ValueType) -> bool:
    if value_type is ValueType.INTEGER:
        return value.isascii() and value.isdigit()
    if value_type is ValueType.BOOL:
        return value in {"true", "false"}
    family = {ValueType.DATE: "DateEquals", ValueType.IP: "IpAddress"}.get(value_type)
    if family is None:
        return True
    compare = OPERATORS[family].compare
    try:
        return compare is not None and compare((value,))(value)
    except ValueError:
        return False


def _command(point: RequestPoint, space: RequestSpace) -> tuple[tuple[str, ...], frozenset[str]]:
    """The AWS CLI command, and the keys that it sets."""
    context, role = point.context, space.role.arn
    name = context.get(SESSION_NAME, (_DEFAULT_SESSION_NAME,))[0]
    if point.action == FEDERATED_ASSUME[0]:
        saml = ("--principal-arn", point.caller.arn, "--saml-assertion", "file://assertion.xml")
        return ("aws", "sts", "assume-role-with-saml", "--role-arn", role, *saml), frozenset()
    if point.action == FEDERATED_ASSUME[1]:
        token = ("--role-session-name", name, "--web-identity-token", "file://token")
        return ("aws", "sts", "assume-role-with-web-identity", "--role-arn", role, *token), frozenset({SESSION_NAME})
    command = ["aws", "sts", "assume-role", "--role-arn", role, "--role-session-name", name]
    for key, option in (
        (EXTERNAL_ID, "--external-id"),
        (SOURCE_IDENTITY, "--source-identity"),
        (_DURATION, "--duration-seconds"),
    ):
        if (values := context.get(key)) and not (key == SOURCE_IDENTITY and context.get(KEPT_SOURCE_IDENTITY)):
            command += [option, values[0]]
    if tags := context.get(TAG_KEYS):
        command += ["--tags", *(f"Key={tag},Value={_tag_value(tag, context)}" for tag in tags)]
    if transitive := context.get(TRANSITIVE_TAG_KEYS):
        command += ["--transitive-tag-keys", *transitive]
    if context.get(MFA_PRESENT) == ("true",):
        path = point.caller.arn.partition(":user")[0]
        command += ["--serial-number", f"{path}:mfa/{point.caller.name}", "--token-code", "123456"]
    if _REGION in point.cut and (region := context.get(_REGION)):
        command += ["--region", region[0]]
    expressed = {EXTERNAL_ID, SOURCE_IDENTITY, _DURATION, TAG_KEYS, TRANSITIVE_TAG_KEYS, MFA_PRESENT, _REGION, SESSION_NAME}
    return tuple(command), frozenset({*expressed, *(key for key in context if key.startswith(REQUEST_TAG))})


def _tag_value(tag: str, context: Mapping[str, Values]) -> str:
    values = context.get(REQUEST_TAG + tag.lower(), ())
    return values[0] if values else ""


_CALLER_REMARKS = {
    PrincipalKind.USER: "Run it with credentials of the user {}.",
    PrincipalKind.ROLE: "Run it with credentials of the role {}.",
    PrincipalKind.SESSION: "Run it with credentials of the role session {}.",
}


def _remarks(point: RequestPoint, keys: Mapping[str, Values], expressed: frozenset[str]) -> Iterator[str]:
    who = point.caller
    if who.kind in _CALLER_REMARKS:
        yield _CALLER_REMARKS[who.kind].format(who.arn)
    elif point.action == ASSUME_ROLE:
        yield f"The service {who.arn} sends the request; it cannot be sent from a command line."
    else:
        yield f"The token is from the identity provider {who.arn}."
    if kept := point.context.get(KEPT_SOURCE_IDENTITY):
        yield f"The role session has the source identity {kept[0]}."
    for name, values in keys.items():
        key = name.lower()
        if key in expressed:
            continue
        setter, shown = key_facts(key).setter, ", ".join(values)
        if key.startswith(PRINCIPAL_TAG):
            yield f"The caller has the tag {name.partition('/')[2]} = {shown}."
        elif setter is Setter.NETWORK or setter is Setter.TIME:
            yield f"The request is sent with {name} = {shown}."
        else:
            yield f"{name} is {shown}."
