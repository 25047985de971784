"""Validation of IAM's parameters, quotas and policy documents, which moto 5.2.5 does not check.

Messages are those of IAM, from its API reference and from public bug reports of Terraform's AWS provider; where none is
documented the message is the sandbox's own. Limits: "IAM and AWS STS quotas" and botocore 1.44.5's model of IAM. November
2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rolecall_generator.iam import Arn, PolicyDocument, Principal, Statement, quotas
from rolecall_generator.iam.matching import compile_condition
from rolecall_runner.sandbox.protocol.error_catalog import (
    CONFLICT,
    NOT_FOUND,
    AwsRefusalError,
    constraint_error,
    validation_error,
)

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/|/[\x21-\x7e]+/", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """Adjustable quotas of IAM, with their defaults."""

    trust_policy_characters: int = quotas.TRUST_POLICY_CHARACTERS
    role_managed_policies: int = quotas.ROLE_MANAGED_POLICIES
    user_managed_policies: int = quotas.USER_MANAGED_POLICIES
    group_managed_policies: int = quotas.GROUP_MANAGED_POLICIES


_NAME_CHARACTERS: Mapping[str, int] = {
    "Role": quotas.ROLE_NAME_CHARACTERS,
    "User": quotas.USER_NAME_CHARACTERS,
    "Group": quotas.GROUP_NAME_CHARACTERS,
    "Policy": quotas.POLICY_NAME_CHARACTERS,
    "InstanceProfile": 128,
}
_INLINE_CHARACTERS: Mapping[str, int] = {
    "Role": quotas.ROLE_INLINE_CHARACTERS,
    "User": quotas.USER_INLINE_CHARACTERS,
    "Group": quotas.GROUP_INLINE_CHARACTERS,
}


def check_new(kind: str, form: Mapping[str, str], backend: Any) -> None:
    """Check name and path of a new role, user, group, policy or instance profile. Raises AwsRefusalError."""
    check_name(kind, form.get(f"{kind}Name", ""))
    check_path(form.get("Path", "/"))
    check_unique(kind, form.get(f"{kind}Name", ""), backend)


def check_name(kind: str, name: str) -> None:
    """Check length and characters of a name. Raises AwsRefusalError."""
    parameter = f"{kind[0].lower()}{kind[1:]}Name"
    most = _NAME_CHARACTERS[kind]
    if len(name) > most:
        raise constraint_error(parameter, name, f"have length less than or equal to {most}")
    if not name:
        raise constraint_error(parameter, name, "have length greater than or equal to 1")
    if not _NAME.fullmatch(name):
        raise validation_error(
            f"The specified value for {parameter} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-"
        )


def check_path(path: str) -> None:
    """Check length and format of a path. Raises AwsRefusalError."""
    if len(path) > quotas.PATH_CHARACTERS:
        raise constraint_error("path", path, f"have length less than or equal to {quotas.PATH_CHARACTERS}")
    if not _PATH.fullmatch(path):
        raise validation_error(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters "
            "and/or / characters."
        )


def check_unique(kind: str, name: str, backend: Any) -> None:
    """Check that the name is free. "Names are not distinguished by case" (IAM identifiers), but moto compares case.

    Raises AwsRefusalError.
    """
    collections = {"InstanceProfile": "instance_profiles", "Policy": "managed_policies"}
    stored = list(getattr(backend, collections.get(kind, f"{kind.lower()}s")).values())
    if name.lower() in {each.name.lower() for each in stored if ":iam::aws:" not in each.arn}:
        text = f"{kind} with name {name} already exists."
        if kind == "Policy":
            text = f"A policy called {name} already exists. Duplicate names are not allowed."
        raise AwsRefusalError("EntityAlreadyExists", text, CONFLICT)


def check_session_seconds(form: Mapping[str, str]) -> None:
    """Check MaxSessionDuration of a role: 3,600 to 43,200 seconds. Raises AwsRefusalError."""
    text = form.get("MaxSessionDuration")
    if text is None or not text.isdecimal():
        return
    if int(text) < quotas.MINIMUM_MAX_SESSION_SECONDS:
        bound = f"greater than or equal to {quotas.MINIMUM_MAX_SESSION_SECONDS}"
    elif int(text) > quotas.MAXIMUM_MAX_SESSION_SECONDS:
        bound = f"less than or equal to {quotas.MAXIMUM_MAX_SESSION_SECONDS}"
    else:
        return
    raise constraint_error("maxSessionDuration", text, f"have value {bound}")


def check_managed_size(text: str) -> None:
    """Check the size of a managed policy. Raises AwsRefusalError."""
    if policy_length(text) > quotas.MANAGED_POLICY_CHARACTERS:
        raise limit_exceeded(f"Cannot exceed quota for PolicySize: {quotas.MANAGED_POLICY_CHARACTERS}")


def check_inline_size(kind: str, holder: Any, policy_name: str, text: str) -> None:
    """Check the total size of an identity's inline policies with this one. Raises AwsRefusalError."""
    others = [policy_length(other) for name, other in list(holder.policies.items()) if name != policy_name]
    if sum(others) + policy_length(text) > _INLINE_CHARACTERS[kind]:
        raise limit_exceeded(
            f"Maximum policy size of {_INLINE_CHARACTERS[kind]} bytes exceeded for {kind.lower()} {holder.name}"
        )


def check_attachment(kind: str, holder: Any, arn: str, limits: Limits) -> None:
    """Check the number of managed policies of an identity with this one. Raises AwsRefusalError."""
    most: int = getattr(limits, f"{kind.lower()}_managed_policies")
    if arn not in holder.managed_policies and len(holder.managed_policies) >= most:
        raise limit_exceeded(f"Cannot exceed quota for PoliciesPer{kind}: {most}")


def check_boundary(arn: str, backend: Any) -> None:
    """Check that a permissions boundary exists. Raises AwsRefusalError."""
    if arn not in backend.managed_policies:
        raise AwsRefusalError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", NOT_FOUND)


def check_no_attachment(arn: str, backend: Any) -> None:
    """Check that a policy to delete is not attached. Raises AwsRefusalError."""
    for holders in (backend.roles, backend.users, backend.groups):
        if any(arn in holder.managed_policies for holder in list(holders.values())):
            raise AwsRefusalError("DeleteConflict", "Cannot delete a policy attached to entities.", CONFLICT)


Exists = Callable[[str], bool]
"""Whether the role, the user or the role of the session with an ARN exists."""

_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_SERVICE = re.compile(r"[a-z0-9.-]+\.(?:amazonaws\.com(?:\.cn)?|amazon\.com|aws\.internal)", re.ASCII)


def malformed_policy(message: str) -> AwsRefusalError:
    """MalformedPolicyDocument, HTTP 400: the document is not a valid policy."""
    return AwsRefusalError("MalformedPolicyDocument", message)


def limit_exceeded(message: str) -> AwsRefusalError:
    """LimitExceeded, HTTP 409: a quota would be exceeded."""
    return AwsRefusalError("LimitExceeded", message, CONFLICT)


def policy_length(text: str) -> int:
    """The size of a document without white space outside of strings, which IAM does not count (IAM quotas)."""
    return len(_SPACE.sub(lambda match: match.group(1) or "", text))


def check_identity_document(text: str) -> PolicyDocument:
    """Parse and check a permissions policy. Raises AwsRefusalError."""
    document = _read(text)
    for statement in document.statements:
        if statement.principals or statement.not_principals:
            raise malformed_policy("Policy document should not specify a principal.")
        if bool(statement.resources) + bool(statement.not_resources) != 1:
            raise malformed_policy("Policy statement must contain resources.")
    return document


def check_trust_document(text: str, characters_allowed: int, exists: Exists, partition: str) -> PolicyDocument:
    """Parse a trust policy and check its grammar, size and principals. Raises AwsRefusalError."""
    document = _read(text)
    if policy_length(text) > characters_allowed:
        raise limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {characters_allowed}")
    for statement in document.statements:
        if statement.resources or statement.not_resources:
            raise malformed_policy("Has prohibited field Resource")
        if statement.not_principals:
            raise malformed_policy("Has prohibited field NotPrincipal")
        if not statement.principals:
            raise malformed_policy("Missing required field Principal")
        for principal in statement.principals:
            _check_principal(principal, exists, partition)
        _check_trust_actions(statement)
    return document


def _read(text: str) -> PolicyDocument:
    try:
        body = json.loads(text, object_pairs_hook=_no_duplicates)
        if not isinstance(body, dict):
            raise malformed_policy("Syntax errors in policy.")
        document = PolicyDocument.from_json(body)
    except json.JSONDecodeError as error:
        raise malformed_policy("This policy contains invalid Json") from error
    except (ValueError, RecursionError) as error:
        raise malformed_policy("Syntax errors in policy.") from error
    if set(body) - {"Version", "Id", "Statement"} or document.version not in {"2012-10-17", "2008-10-17"}:
        raise malformed_policy("Syntax errors in policy.")
    if not document.statements:
        raise malformed_policy("Syntax errors in policy.")
    sids = [statement.sid for statement in document.statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise malformed_policy("Statement IDs (SID) in a single policy must be unique.")
    for statement in document.statements:
        _check_statement(statement, variables=document.version == "2012-10-17")
    return document


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for duplicate keys."""
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("duplicate key")
    return body


def _check_statement(statement: Statement, *, variables: bool) -> None:
    if statement.effect not in {"Allow", "Deny"}:
        raise malformed_policy(f"Invalid effect: {statement.effect}")
    if bool(statement.actions) == bool(statement.not_actions):
        raise malformed_policy("Policy statement must contain actions.")
    for action in (*statement.actions, *statement.not_actions):
        if action != "*" and not re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+", action):
            raise malformed_policy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    for condition in statement.conditions:
        if not condition.key:
            raise malformed_policy("Syntax errors in policy.")
        try:
            compile_condition(condition, variables=variables)
        except ValueError as error:
            raise malformed_policy("Syntax errors in policy.") from error


def _check_trust_actions(statement: Statement) -> None:
    for action in (*statement.actions, *statement.not_actions):
        if action != "*" and not action.lower().startswith("sts:"):
            raise malformed_policy("AssumeRole policy may only specify STS AssumeRole actions.")


def _check_principal(principal: Principal, exists: Exists, partition: str) -> None:
    kind, text = principal.type, principal.identifier
    if kind == "*" or (kind == "AWS" and text == "*"):
        if text != "*":
            raise malformed_policy(f'Invalid principal in policy: "{text}"')
        return
    if kind == "AWS":
        valid = _aws_principal(text, exists, partition)
    elif kind == "Service":
        valid = bool(_SERVICE.fullmatch(text))
    elif kind == "Federated":
        valid = Arn.parse(text) is not None or "." in text
    else:
        valid = False
    if not valid:
        raise malformed_policy(f'Invalid principal in policy: "{kind if kind == "AWS" else kind.upper()}":"{text}"')


def _aws_principal(text: str, exists: Exists, partition: str) -> bool:
    if _ACCOUNT.fullmatch(text):
        return True
    parsed = Arn.parse(text)
    if parsed is None or parsed.partition != partition or not _ACCOUNT.fullmatch(parsed.account_id):
        return False
    if parsed.service == "iam" and parsed.resource == "root":
        return True
    return (parsed.service, parsed.kind) in {("iam", "role"), ("iam", "user"), ("sts", "assumed-role")} and exists(text)
