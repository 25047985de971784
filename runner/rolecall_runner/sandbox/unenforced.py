"""What the sandbox does not enforce, by the calls that would ask for it: they are refused, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Mapping

from rolecall_runner.sandbox.wire import ApiCall

UNENFORCED: Mapping[str, str] = {
    "dynamodb:PutResourcePolicy": "policies on tables",
    "ecr:SetRepositoryPolicy": "policies on repositories",
    "iam:CreateServiceLinkedRole": "service-linked roles",
    "kms:CreateGrant": "grants on keys",
    "kms:PutKeyPolicy": "policies on keys",
    "lambda:AddPermission": "policies on functions",
    "organizations:AttachPolicy": "service and resource control policies",
    "organizations:CreatePolicy": "service and resource control policies",
    "s3:PutAccessPointPolicy": "policies on access points",
    "s3:PutAccountPublicAccessBlock": "public access",
    "s3:PutBucketPolicy": "policies on buckets",
    "secretsmanager:PutResourcePolicy": "policies on secrets",
    "sns:AddPermission": "policies on topics",
    "sqs:AddPermission": "policies on queues",
}
"""Actions that write what the sandbox does not enforce, with the words for it."""


def unenforced(call: ApiCall) -> str | None:
    """Why the sandbox refuses to store what the call asks for; None when it enforces what the call can ask for."""
    what = UNENFORCED.get(call.action)
    if what is None and "Policy" in _attributes(call):
        what = "policies on queues and topics"
    return None if what is None else f"The sandbox does not enforce {what}, so it refuses {call.action}."


def _attributes(call: ApiCall) -> tuple[str, ...]:
    """Names of the attributes that a call to SQS or SNS sets."""
    if call.service not in {"sqs", "sns"} or not call.operation.startswith(("Create", "Set")):
        return ()
    attributes = call.parameters.get("Attributes")
    names = tuple(attributes) if isinstance(attributes, Mapping) else ()
    return (*names, str(call.parameters.get("AttributeName", "")))
