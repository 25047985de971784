"""Single requests: whether AWS can see such a request, and the AWS CLI command that sends it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rolecall_generator.iam import Arn
from rolecall_generator.iam.evaluation import ASSUME_ROLE, FEDERATED_ASSUME, Identity, PrincipalKind, Request
from rolecall_generator.iam.matching import OPERATORS
from rolecall_generator.proof.symbolic.callers import is_certain_name
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
    Setter,
    ValueType,
    is_role_key,
    key_facts,
)
from rolecall_generator.proof.symbolic.language import fits

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

    @property
    def shell_command(self) -> str:
        """The command as one line for a shell."""
        return shlex.join(self.command)


def rejection(point: RequestPoint) -> str:
    """Why AWS may never see such a request; empty if it can. The keys of a request are independent in the search."""
    for key, name in point.shown.items():
        if is_role_key(key):
            return f"it depends on {name}, which the role decides and which is not known"
    checks = (_bad_caller, _bad_values, _bad_tags, _bad_organization, _bad_combination)
    return next((reason for check in checks if (reason := check(point))), "")


def _is_set(key: str) -> bool:
    """Whether the role or the caller's session decides the key, so that a request does not set it."""
    return is_role_key(key) or key == KEPT_SOURCE_IDENTITY


def _bad_caller(point: RequestPoint) -> str:
    who = point.caller
    if who.kind is not PrincipalKind.EXTERNAL and not is_certain_name(who.role or who.arn):
        return "whether a principal with such a name can exist is not known"
    if who.kind in {PrincipalKind.ROLE, PrincipalKind.SESSION} and point.context.get(MFA_PRESENT) == ("true",):
        # "The temporary credentials returned by AssumeRole do not include MFA information in the context" (Secure API
        # access with MFA)
        return "whether a role can send a request with MFA is not known"
    return ""


def _bad_values(point: RequestPoint) -> str:
    for key, values in point.context.items():
        facts = key_facts(key)
        for value in values:
            if not fits(value, facts.shape) or not _has_type(value, facts.type):
                return f"AWS does not accept the value of {key}"
    return ""


def _bad_tags(point: RequestPoint) -> str:
    tags = [tag.lower() for tag in point.context.get(TAG_KEYS, ())]
    transitive = [tag.lower() for tag in point.context.get(TRANSITIVE_TAG_KEYS, ())]
    if len(set(tags)) < len(tags) or len(set(transitive)) < len(transitive) or len(tags) > _MAX_TAGS:
        return "a tag key would be passed twice, or too many of them"
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


def _command(point: RequestPoint, role: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The AWS CLI command, and the keys that it sets."""
    context = point.context
    name = context.get(SESSION_NAME, (DEFAULT_SESSION_NAME,))[0]
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
    if point.has_contexts:
        command += [
            "--provided-contexts",
            f"ProviderArn={_CONTEXT_PROVIDER},ContextAssertion=TOKEN",
        ]
    if _REGION in point.shown and (region := context.get(_REGION)):
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
