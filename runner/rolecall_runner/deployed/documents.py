"""Policy documents, tags and boundaries as IAM's answers carry them -> the access model's values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.handover.layout import OWNER_TAG
from rolecall_generator.iam.arn import root_arn
from rolecall_generator.iam.policy import PolicyDocument, Principal, Statement, policy_from_json


class UnreadableDocumentError(RolecallError):
    """IAM holds a policy document that is no policy: nothing can be said about its account."""

    exit_code = ExitCode.FINDINGS


def document_of(value: object, *, where: str, partition: str = "aws") -> PolicyDocument:
    """A document as boto3 hands it over: an object, or text that may still be URL-encoded (RFC 3986, as IAM sends it).

    An account id as principal becomes its root ARN, as IAM itself stores it. Raises UnreadableDocumentError, which names
    `where` (an ARN) and shows nothing of the text.
    """
    try:
        body = _decoded(value) if isinstance(value, str) else value
        if not isinstance(body, Mapping):
            raise ValueError("it is not an object")
        document = policy_from_json(body)
    except ValueError as error:
        reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise UnreadableDocumentError(
            f"the policy document cannot be read: {reason}", where=where, mend="save the policy again in IAM"
        ) from error
    return replace(document, statements=tuple(_with_root_arns(item, partition) for item in document.statements))


def _decoded(text: str) -> Any:
    # JSON starts with a brace, its URL-encoded form with %7B: what is JSON already must not be decoded a second time.
    return json.loads(unquote(text) if text.lstrip()[:1] == "%" else text)


def _with_root_arns(statement: Statement, partition: str) -> Statement:
    """`"AWS": "222222222222"` as `arn:aws:iam::222222222222:root`: the same principal, and the form that IAM answers."""

    def full(principal: Principal) -> Principal:
        if principal.type == "AWS" and principal.identifier.isdigit():
            return Principal("AWS", root_arn(partition, principal.identifier))
        return principal

    return replace(
        statement,
        principals=tuple(map(full, statement.principals)),
        not_principals=tuple(map(full, statement.not_principals)),
    )


def tags_of(item: Mapping[str, Any]) -> dict[str, str]:
    """The tags of an answer's item without the mark of a bundle's script; none when IAM leaves them out."""
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags") or () if tag["Key"] != OWNER_TAG}


def boundary_of(item: Mapping[str, Any]) -> str | None:
    """ARN of the permissions boundary, None without one."""
    arn: str | None = (item.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return arn


def attached_of(policies: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """ARNs of attached managed policies."""
    return frozenset(policy["PolicyArn"] for policy in policies)


def partition_of(arn: str) -> str:
    """The partition that an ARN names."""
    return arn.split(":", 2)[1]
