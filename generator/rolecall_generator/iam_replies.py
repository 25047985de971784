"""Converts items of IAM's replies: policy documents, tags, boundaries and attached policies.

The replies are those of boto3 and of the AWS CLI, which names the same fields. Source: botocore 1.44.5, service model iam;
November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.iam import PolicyDocument, Principal, Statement, root_arn
from rolecall_generator.records import OWNER_TAG

SERVICE_LINKED_PATH = "/aws-service-role/"
"""Path of roles that only AWS services can change or delete (IAM User Guide, November 2026)."""


UNREADABLE_DOCUMENT = "the policy document cannot be read"


class UnreadableDocumentError(RolecallError):
    """A policy document in IAM is invalid, so the access of its account is unknown."""

    exit_code = ExitCode.FINDINGS


def document_of(value: object, *, where: str, partition: str = "aws") -> PolicyDocument:
    """Parse a policy document as boto3 returns it: an object, or a string that may be URL-encoded (RFC 3986).

    An account ID as principal becomes the root ARN, as in IAM. Raises UnreadableDocumentError with `where` (an ARN), but
    without the content.
    """
    try:
        # JSON starts with a brace, URL-encoded JSON with %7B. Plain JSON must not be URL-decoded.
        encoded = isinstance(value, str) and value.lstrip()[:1] == "%"
        body = json.loads(unquote(value) if encoded else value) if isinstance(value, str) else value
        if not isinstance(body, Mapping):
            raise ValueError("it is not an object")
        document = PolicyDocument.from_json(body)
    except ValueError as error:
        reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise UnreadableDocumentError(
            f"{UNREADABLE_DOCUMENT}: {reason}", where=where, hint="save the policy again in IAM"
        ) from error
    return replace(document, statements=tuple(_with_root_arns(item, partition) for item in document.statements))


def _with_root_arns(statement: Statement, partition: str) -> Statement:
    """Convert `"AWS": "222222222222"` to the equivalent `arn:aws:iam::222222222222:root`, which IAM returns."""

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
    """The tags of an item, without the owner tag of bundle scripts; empty if the reply has none."""
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags") or () if tag["Key"] != OWNER_TAG}


def boundary_of(item: Mapping[str, Any]) -> str | None:
    """The ARN of the permissions boundary, or None."""
    arn: str | None = (item.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return arn


def attached_of(policies: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The ARNs of attached managed policies."""
    return frozenset(policy["PolicyArn"] for policy in policies)


def partition_of(arn: str) -> str:
    """The partition of an ARN."""
    return arn.split(":", 2)[1]


def inline_of(item: Mapping[str, Any], key: str) -> dict[str, PolicyDocument]:
    """The inline policies of an item, by name. `key` is the list's name, such as `RolePolicyList`.

    Raises UnreadableDocumentError.
    """
    arn = item["Arn"]
    return {
        policy["PolicyName"]: document_of(
            policy["PolicyDocument"], where=f"{arn}, inline policy {policy['PolicyName']}", partition=partition_of(arn)
        )
        for policy in item.get(key) or ()
    }
