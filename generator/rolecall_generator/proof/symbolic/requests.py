"""Single requests: whether AWS can see such a request, and the AWS CLI command that sends it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall_generator.iam import Arn, quotas
from rolecall_generator.iam.evaluation import ASSUME_ROLE, FEDERATED_ASSUME, Identity, PrincipalKind, Request, identity_of
from rolecall_generator.iam.matching import OPERATORS
from rolecall_generator.proof.symbolic.callers import is_certain_caller
from rolecall_generator.proof.symbolic.cells import Values
from rolecall_generator.proof.symbolic.keys import (
    EXTERNAL_ID,
    KEPT_SOURCE_IDENTITY,
    MFA_PRESENT,
    ORGANIZATION_ID,
    ORGANIZATION_PATHS,
    PRINCIPAL_TAG,
    REQUEST_TAG,
    SESSION_NAME,
    SOURCE_IDENTITY,
    TAG_KEYS,
    TRANSITIVE_TAG_KEYS,
    KeyFacts,
    Setter,
    ValueType,
    is_role_key,
    key_facts,
    may_exist,
)
from rolecall_generator.proof.symbolic.language import fits, matches

DEFAULT_SESSION_NAME = "rolecall"
_CONTEXT_PROVIDER = "arn:aws:iam::aws:contextProvider/IdentityCenter"
_MAX_TAGS = 50
_DURATION = "sts:durationseconds"
_REGION = "aws:requestedregion"
_SERVICE_NAME = "aws:principalservicename"
_USER_ID = "aws:userid"
_SOURCE_ACCOUNT, _SOURCE_ARN = "aws:sourceaccount", "aws:sourcearn"
_TIME, _EPOCH = "aws:currenttime", "aws:epochtime"


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
    if (duration := point.context.get(_DURATION)) and int(duration[0]) > quotas.CHAINED_SESSION_SECONDS:
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
    if {_TIME, _EPOCH} <= point.shown.keys():
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
    for key, parameter in ((EXTERNAL_ID, "ExternalId"), (SOURCE_IDENTITY, "SourceIdentity"), (_DURATION, "DurationSeconds")):
        if (values := context.get(key)) and not (key == SOURCE_IDENTITY and context.get(KEPT_SOURCE_IDENTITY)):
            parameters[parameter] = int(values[0]) if key == _DURATION else values[0]
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
    expressed = {EXTERNAL_ID, SOURCE_IDENTITY, _DURATION, TAG_KEYS, TRANSITIVE_TAG_KEYS, MFA_PRESENT, _REGION, SESSION_NAME}
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
