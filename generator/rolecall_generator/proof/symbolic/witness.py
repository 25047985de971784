"""Example requests: the cheapest request of a box, confirmed by the evaluator, and the AWS CLI command that sends it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice, product
from typing import Any

from rolecall_generator.iam import Access, Arn, Condition, PolicyDocument, Role, quotas
from rolecall_generator.iam.evaluation import (
    ASSUME_ROLE,
    FEDERATED_ASSUME,
    SET_SOURCE_IDENTITY,
    TAG_SESSION,
    Caller,
    Effect,
    Evaluator,
    Identity,
    IdentitySide,
    PolicyOutcome,
    PolicyType,
    PrincipalKind,
    Request,
    identity_of,
    principal_context,
    scan_documents,
)
from rolecall_generator.iam.matching import OPERATORS, Context, patterns_of
from rolecall_generator.proof.symbolic.boxes import members
from rolecall_generator.proof.symbolic.callers import is_certain_caller
from rolecall_generator.proof.symbolic.cells import Values, merge_contexts
from rolecall_generator.proof.symbolic.keys import (
    ACTION,
    CALLER,
    CALLER_KEYS,
    CURRENT_TIME,
    DURATION,
    EPOCH_TIME,
    EXTERNAL_ID,
    KEPT_SOURCE_IDENTITY,
    MFA_AGE,
    MFA_PRESENT,
    NOT_KEYS,
    ORGANIZATION_ID,
    ORGANIZATION_PATHS,
    PRINCIPAL_TAG,
    PROVIDED_CONTEXTS,
    REQUEST_TAG,
    SESSION_NAME,
    SOURCE_IDENTITY,
    TAG_KEYS,
    TRANSITIVE_TAG_KEYS,
    CallerKind,
    KeyFacts,
    Setter,
    ValueType,
    dimension_of,
    is_role_key,
    key_facts,
    may_exist,
)
from rolecall_generator.proof.symbolic.language import fits, instance, matches
from rolecall_generator.proof.symbolic.policies import SERVICE_LINKED, SET_CONTEXT, TrustSide
from rolecall_generator.proof.symbolic.relations import HOLDS, RelatedValue, Relation
from rolecall_generator.proof.symbolic.space import RequestSpace
from rolecall_generator.proof.symbolic.world import PolicyLevel

DEFAULT_SESSION_NAME = "rolecall"
_CONTEXT_PROVIDER = "arn:aws:iam::aws:contextProvider/IdentityCenter"
_MAX_TAGS = 50
_REGION = "aws:requestedregion"
_SERVICE_NAME = "aws:principalservicename"
_USER_ID = "aws:userid"
_SOURCE_ACCOUNT, _SOURCE_ARN = "aws:sourceaccount", "aws:sourcearn"


@dataclass(frozen=True, slots=True)
class RequestPoint:
    """One request, without the role. `context` has lower-case keys.

    `shown` are the keys on which the decision depends, with their spelling in the policies. `has_contexts`: it passes
    ProvidedContexts.
    """

    caller: Identity
    action: str
    context: dict[str, Values]
    has_contexts: bool
    shown: Mapping[str, str]


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
    point: RequestPoint = field(repr=False)

    @classmethod
    def of(cls, point: RequestPoint, request: Request, denial: str) -> RequestWitness:
        """The witness of a confirmed request."""
        keys = {name: point.context[key] for key, name in point.shown.items() if point.context[key] and not _is_set(key)}
        command, expressed = _command(point, request.resource)
        return cls(request, denial, keys, command, tuple(_remarks(point, keys, expressed)), point)

    @classmethod
    def of_request(cls, request: Request, denial: str) -> RequestWitness:
        """A given request as a witness. `denial`: why it is not allowed, or not intended."""
        values = {key: (value,) if isinstance(value, str) else value for key, value in request.context.items()}
        context = {key.lower(): value for key, value in values.items()}
        shown = {key.lower(): key for key, value in values.items() if value}
        point = RequestPoint(identity_of(request.principal.arn), request.action, context, has_contexts=False, shown=shown)
        return cls.of(point, request, denial)

    @property
    def shell_command(self) -> str:
        """The command as one line for a shell."""
        return shlex.join(self.command)


def rejection(point: RequestPoint) -> str:
    """Why AWS may never see such a request; empty if it can. The keys of a request are independent in the search."""
    for key, name in point.shown.items():
        if is_role_key(key):
            return f"it depends on {name}, which the role decides and which is not known"
        if point.context[key] and not may_exist(key):
            return f"AWS does not document that a request to AWS STS can have the key {name}"
    checks = (_bad_values, _bad_caller, _bad_tags, _bad_organization, _bad_combination)
    return next((reason for check in checks if (reason := check(point))), "")


def _is_set(key: str) -> bool:
    """Whether the role or the caller's session decides the key, so that a request does not set it."""
    return is_role_key(key) or key == KEPT_SOURCE_IDENTITY


def _bad_caller(point: RequestPoint) -> str:
    who = point.caller
    if not is_certain_caller(who):
        return "whether a principal with such a name can exist is not known"
    if who.kind not in {PrincipalKind.ROLE, PrincipalKind.SESSION}:
        return ""
    if point.context.get(MFA_PRESENT) == ("true",):
        # "The temporary credentials returned by AssumeRole do not include MFA information in the context" (Secure API
        # access with MFA)
        return "whether a role can send a request with MFA is not known"
    if (duration := point.context.get(DURATION)) and int(duration[0]) > quotas.CHAINED_SESSION_SECONDS:
        # "Role chaining limits your AWS CLI or AWS API role session to a maximum of one hour." (STS API: AssumeRole)
        return "a role cannot assume another one for more than an hour"
    return ""


def _bad_values(point: RequestPoint) -> str:
    for key, values in point.context.items():
        if not all(accepts_value(key, value, point.caller.partition or "aws") for value in values):
            return f"AWS does not accept the value of {key}"
    return ""


def accepts_value(key: str, value: str, partition: str = "aws") -> bool:
    """Whether AWS is certain to accept the value of a key (lower case), as far as its form is documented."""
    facts = key_facts(key)
    shape = key_facts(f"{REQUEST_TAG}x").shape if key.startswith(PRINCIPAL_TAG) else facts.shape
    certain = shape.certain_in(partition)
    return fits(value, shape) and _has_type(value, facts) and not (certain and not matches(certain, value))


def _bad_tags(point: RequestPoint) -> str:
    tags = [tag.lower() for tag in point.context.get(TAG_KEYS, ())]
    transitive = [tag.lower() for tag in point.context.get(TRANSITIVE_TAG_KEYS, ())]
    if len(set(tags)) < len(tags) or len(set(transitive)) < len(transitive) or len(tags) > _MAX_TAGS:
        return "a tag key would be passed twice, or too many of them"
    absent = {
        key.removeprefix(REQUEST_TAG) for key, values in point.context.items() if key.startswith(REQUEST_TAG) and not values
    }
    if absent.intersection(tags):
        return "a tag that the request must not have would be among the tag keys"
    return "" if set(transitive) <= set(tags) else "a transitive tag key would not be among the tag keys"


def _bad_organization(point: RequestPoint) -> str:
    has_id, has_paths = ORGANIZATION_ID in point.context, ORGANIZATION_PATHS in point.context
    if not (has_id and has_paths):
        return ""
    organization, paths = point.context[ORGANIZATION_ID], point.context[ORGANIZATION_PATHS]
    agree = all(path.startswith(f"{organization[0]}/") for path in paths) if organization else not paths
    return "" if agree and bool(organization) == bool(paths) else "the caller's organization and its paths do not agree"


def _bad_combination(point: RequestPoint) -> str:
    context, who = point.context, point.caller
    if {CURRENT_TIME, EPOCH_TIME} <= point.shown.keys():
        parse = OPERATORS["DateEquals"].family.parse
        times = [parse(context[key][0]) for key in (CURRENT_TIME, EPOCH_TIME)] if parse is not None else []
        if None in times or len({int(time) for time in times}) > 1:
            return "the two keys for the time do not agree"
    account, arn = context.get(_SOURCE_ACCOUNT), context.get(_SOURCE_ARN)
    parsed = Arn.parse(arn[0]) if arn else None
    if account and parsed is not None and parsed.account_id and parsed.account_id != account[0]:
        return "aws:SourceAccount and aws:SourceArn do not agree"
    if context.get(_SERVICE_NAME, (who.arn,)) not in {(), (who.arn,)}:
        return "aws:PrincipalServiceName is not the caller"
    if _USER_ID in point.shown and who.kind is not PrincipalKind.EXTERNAL:
        prefix, is_user = ("AIDA", True) if who.kind is PrincipalKind.USER else ("AROA", False)
        user_id, _, session = context[_USER_ID][0].partition(":")
        named = who.kind is PrincipalKind.SESSION and session != who.name
        if not user_id.startswith(prefix) or is_user is bool(session) or named:
            return "the caller cannot have such an aws:userid"
    return ""


def _has_type(value: str, facts: KeyFacts) -> bool:
    value_type = facts.type
    if value_type is ValueType.INTEGER:
        if not (value.isascii() and value.isdigit()):
            return False
        return facts.smallest <= int(value) and (facts.largest is None or int(value) <= facts.largest)
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


def _command(point: RequestPoint, role: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The AWS CLI command, and the keys that it sets."""
    context = point.context
    parameters: dict[str, Any] = {"RoleArn": role}
    name = context.get(SESSION_NAME, (DEFAULT_SESSION_NAME,))[0]
    if point.action == FEDERATED_ASSUME[0]:
        parameters["PrincipalArn"] = point.caller.arn
        files = ("--saml-assertion", "file://assertion.xml")
        return (*_cli("assume-role-with-saml", parameters), *files), frozenset()
    parameters["RoleSessionName"] = name
    if point.action == FEDERATED_ASSUME[1]:
        files = ("--web-identity-token", "file://token")
        return (*_cli("assume-role-with-web-identity", parameters), *files), frozenset({SESSION_NAME})
    for key, parameter in ((EXTERNAL_ID, "ExternalId"), (SOURCE_IDENTITY, "SourceIdentity"), (DURATION, "DurationSeconds")):
        if (values := context.get(key)) and not (key == SOURCE_IDENTITY and context.get(KEPT_SOURCE_IDENTITY)):
            parameters[parameter] = int(values[0]) if key == DURATION else values[0]
    if tags := context.get(TAG_KEYS):
        parameters["Tags"] = [{"Key": tag, "Value": _tag_value(tag, context)} for tag in tags]
    if transitive := context.get(TRANSITIVE_TAG_KEYS):
        parameters["TransitiveTagKeys"] = list(transitive)
    if context.get(MFA_PRESENT) == ("true",):
        path = point.caller.arn.partition(":user")[0]
        parameters |= {"SerialNumber": f"{path}:mfa/{point.caller.name}", "TokenCode": "123456"}
    if point.has_contexts:
        parameters["ProvidedContexts"] = [{"ProviderArn": _CONTEXT_PROVIDER, "ContextAssertion": "TOKEN"}]
    command = _cli("assume-role", parameters)
    if _REGION in point.shown and (region := context.get(_REGION)):
        command += ("--region", region[0])
    expressed = {EXTERNAL_ID, SOURCE_IDENTITY, DURATION, TAG_KEYS, TRANSITIVE_TAG_KEYS, MFA_PRESENT, _REGION, SESSION_NAME}
    return command, frozenset({*expressed, *(key for key in context if key.startswith(REQUEST_TAG))})


_PLAIN = re.compile(r"(?!-|file:|fileb:|https?:)[\w+=,.@:/-]+", re.ASCII)
"""Values that the AWS CLI takes as they are: it reads files and URLs of `file://` and others, and `-` starts an option."""
_PLAIN_TAG = re.compile(r"[\w+.@:/ -]*", re.ASCII)
"""Tags that its shorthand syntax can have. Quotes, commas, brackets and equals signs have a meaning there."""


def _cli(operation: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The command with an option for each parameter, or with all in JSON if the AWS CLI would interpret a value."""
    command = ["aws", "sts", operation]
    if not all(map(_is_plain, parameters.values())):
        body = json.dumps(parameters, ensure_ascii=False)
        return (*command, "--cli-input-json", body if body.isprintable() else json.dumps(parameters))
    for name, value in parameters.items():
        values = value if isinstance(value, list) else [value]
        command.append("--" + _WORD.sub(r"-\1", name).lower().lstrip("-"))
        command += [
            ",".join(f"{field}={text}" for field, text in each.items()) if isinstance(each, dict) else str(each)
            for each in values
        ]
    return tuple(command)


_WORD = re.compile(r"([A-Z][a-z]+)")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_PLAIN_TAG.fullmatch(text) for text in value.values())
    return _PLAIN.fullmatch(str(value)) is not None


def _tag_value(tag: str, context: Mapping[str, Values]) -> str:
    values = context.get(REQUEST_TAG + tag.lower(), ())
    return values[0] if values else ""


_SOURCE_IP = "aws:sourceip"
_CALLER_REMARKS = {
    PrincipalKind.USER: "Run it with credentials of the user {}.",
    PrincipalKind.ROLE: "Run it with credentials of the role {}.",
    PrincipalKind.SESSION: "Run it with credentials of the role session {}.",
}


def _remarks(point: RequestPoint, keys: Mapping[str, Values], expressed: frozenset[str]) -> Iterator[str]:
    who = point.caller
    if who.kind in _CALLER_REMARKS:
        of_role = f"{who.arn} of the role {who.role}" if who.kind is PrincipalKind.SESSION and _has_path(who) else who.arn
        yield _CALLER_REMARKS[who.kind].format(of_role)
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
        setter, shown = key_facts(key).setter, ", ".join(value or "an empty string" for value in values)
        if key.startswith(PRINCIPAL_TAG):
            yield f"The caller has the tag {name.partition('/')[2]} = {shown}."
        elif setter is Setter.NETWORK or setter is Setter.TIME:
            yield f"The request is sent with {name} = {shown}."
        else:
            yield f"{name} is {shown}."
    if _SOURCE_IP in point.shown and not point.context[_SOURCE_IP]:
        # A request from a command line has an address, so the command does not show the difference from everywhere.
        yield f"The request is sent without {point.shown[_SOURCE_IP]}, as through a VPC endpoint."


def _has_path(session: Identity) -> bool:
    """Whether the role of a session has a path, which the session's ARN does not show."""
    return session.role is not None and session.role.count("/") > 1


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
                return RequestWitness.of(point, _request(point, self._space.role), denied.reason)
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
        filled = patterns_of(single, names, variables=True)
        return {key: (instance(next(iter(filled))),)} if filled else {}

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

    # Decisions

    def decide(self, side: TrustSide, point: RequestPoint) -> RequestDecision:
        """Decide a request by the evaluator, and by the service and resource control policies around it."""
        return _strictest([*_decide_by_trust(point, self._space.role, side.trust), *self._by_levels(side, point)])

    def _by_levels(self, side: TrustSide, point: RequestPoint) -> Iterator[RequestDecision]:
        who = point.caller
        context = {**self._space.role_context, **principal_context(who, {}, known=False), **point.context}
        levels = [("resource", level) for level in side.resource_control]
        for account, found in side.service_control.items():
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


def _request(point: RequestPoint, role: Role) -> Request:
    """The request on a role by a caller whose account allows everything."""
    who = point.caller
    caller = Caller(who.arn, IdentitySide.ALLOWS_ALL, who.role if who.kind is PrincipalKind.SESSION else None)
    return Request(caller, role.arn, point.action, point.context)


def _decide_by_trust(point: RequestPoint, role: Role, trust: PolicyDocument) -> Iterator[RequestDecision]:
    """The evaluator's decisions about the operation, and about provided contexts, which it does not look for itself."""
    evaluator, request = Evaluator(Access({role.arn: replace(role, trust=trust)})), _request(point, role)
    for action in (request.action, SET_CONTEXT) if point.has_contexts else (request.action,):
        decision = evaluator.may_assume(replace(request, action=action))
        yield RequestDecision(_OUTCOMES[decision.effect], decision.reason)


def confirm(point: RequestPoint, role: Role, one: PolicyDocument, other: PolicyDocument) -> RequestWitness | None:
    """The witness of a request that `one` allows and `other` denies on the role, without known limits; None if not so."""
    decisions = [_strictest(_decide_by_trust(point, role, trust)) for trust in (one, other)]
    if [each.outcome for each in decisions] != [RequestOutcome.ALLOWED, RequestOutcome.DENIED] or rejection(point):
        return None
    return RequestWitness.of(point, _request(point, role), decisions[1].reason)


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
