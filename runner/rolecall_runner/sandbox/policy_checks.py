"""What IAM holds against a policy document before it keeps it. Pure: who exists is asked through an argument.

Texts: as IAM sends them, from its API reference and from public bug reports of Terraform's AWS provider, November 2026;
where none is documented the wording is the sandbox's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.conditions import compile_condition
from rolecall_generator.iam.policy import PolicyDocument, Principal, Statement, policy_from_json
from rolecall_runner.sandbox.aws_refusal import CONFLICT, AwsRefusalError

Exists = Callable[[str], bool]
"""Whether the role, user or role session of an ARN has a principal behind it."""

_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_SERVICE = re.compile(r"[a-z0-9.-]+\.(?:amazonaws\.com(?:\.cn)?|amazon\.com|aws\.internal)", re.ASCII)


def malformed(message: str) -> AwsRefusalError:
    """The document is no policy (MalformedPolicyDocument, HTTP 400)."""
    return AwsRefusalError("MalformedPolicyDocument", message)


def limit(message: str) -> AwsRefusalError:
    """A quota would be exceeded (LimitExceeded, HTTP 409)."""
    return AwsRefusalError("LimitExceeded", message, CONFLICT)


def characters(text: str) -> int:
    """The size of a document as IAM counts it: "IAM doesn't count white space" (IAM quotas), outside of strings."""
    return len(_SPACE.sub(lambda match: match.group(1) or "", text))


def check_identity_document(text: str) -> PolicyDocument:
    """Hold a permissions policy against the grammar. Raises AwsRefusalError."""
    document = _read(text)
    for statement in document.statements:
        if statement.principals or statement.not_principals:
            raise malformed("Policy document should not specify a principal.")
        if bool(statement.resources) + bool(statement.not_resources) != 1:
            raise malformed("Policy statement must contain resources.")
    return document


def check_trust_document(text: str, characters_allowed: int, exists: Exists, partition: str) -> PolicyDocument:
    """Hold a trust policy against the grammar, its size and its principals. Raises AwsRefusalError."""
    document = _read(text)
    if characters(text) > characters_allowed:
        raise limit(f"Cannot exceed quota for ACLSizePerRole: {characters_allowed}")
    for statement in document.statements:
        if statement.resources or statement.not_resources:
            raise malformed("Has prohibited field Resource")
        if statement.not_principals:
            raise malformed("Has prohibited field NotPrincipal")
        if not statement.principals:
            raise malformed("Missing required field Principal")
        for principal in statement.principals:
            _check_principal(principal, exists, partition)
        _check_trust_actions(statement)
    return document


def _read(text: str) -> PolicyDocument:
    try:
        body = json.loads(text, object_pairs_hook=_no_duplicates)
        if not isinstance(body, dict):
            raise malformed("Syntax errors in policy.")
        document = policy_from_json(body)
    except json.JSONDecodeError as error:
        raise malformed("This policy contains invalid Json") from error
    except (ValueError, RecursionError) as error:
        raise malformed("Syntax errors in policy.") from error
    if set(body) - {"Version", "Id", "Statement"} or document.version not in {"2012-10-17", "2008-10-17"}:
        raise malformed("Syntax errors in policy.")
    if not document.statements:
        raise malformed("Syntax errors in policy.")
    sids = [statement.sid for statement in document.statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise malformed("Statement IDs (SID) in a single policy must be unique.")
    for statement in document.statements:
        _check_statement(statement, variables=document.version == "2012-10-17")
    return document


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON's objects with every key once: of two, one would silently be lost."""
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a key comes twice")
    return body


def _check_statement(statement: Statement, *, variables: bool) -> None:
    if statement.effect not in {"Allow", "Deny"}:
        raise malformed(f"Invalid effect: {statement.effect}")
    if bool(statement.actions) == bool(statement.not_actions):
        raise malformed("Policy statement must contain actions.")
    for action in (*statement.actions, *statement.not_actions):
        if action != "*" and not re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+", action):
            raise malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    for condition in statement.conditions:
        if not condition.key:
            raise malformed("Syntax errors in policy.")
        try:
            compile_condition(condition, variables=variables)
        except ValueError as error:
            raise malformed("Syntax errors in policy.") from error


def _check_trust_actions(statement: Statement) -> None:
    for action in (*statement.actions, *statement.not_actions):
        if action != "*" and not action.lower().startswith("sts:"):
            raise malformed("AssumeRole policy may only specify STS AssumeRole actions.")


def _check_principal(principal: Principal, exists: Exists, partition: str) -> None:
    kind, text = principal.type, principal.identifier
    if kind == "*" or (kind == "AWS" and text == "*"):
        if text != "*":
            raise malformed(f'Invalid principal in policy: "{text}"')
        return
    if kind == "AWS":
        fine = _aws_principal(text, exists, partition)
    elif kind == "Service":
        fine = bool(_SERVICE.fullmatch(text))
    elif kind == "Federated":
        fine = parse_arn(text) is not None or "." in text
    else:
        fine = False
    if not fine:
        raise malformed(f'Invalid principal in policy: "{kind if kind == "AWS" else kind.upper()}":"{text}"')


def _aws_principal(text: str, exists: Exists, partition: str) -> bool:
    if _ACCOUNT.fullmatch(text):
        return True
    parsed = parse_arn(text)
    if parsed is None or parsed.partition != partition or not _ACCOUNT.fullmatch(parsed.account_id):
        return False
    if parsed.service == "iam" and parsed.resource == "root":
        return True
    return (parsed.service, parsed.kind) in {("iam", "role"), ("iam", "user"), ("sts", "assumed-role")} and exists(text)
