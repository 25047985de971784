"""Findings about the policies themselves: quotas of AWS Organizations, and the syntax of SCPs and RCPs.

Sources: see `policies`.
"""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.findings import Severity
from rolecall_generator.guardrails.answers import GuardrailFinding
from rolecall_generator.guardrails.coverage import RCP_SERVICES
from rolecall_generator.guardrails.policies import QUOTAS, GuardrailKind, GuardrailPolicy, Guardrails
from rolecall_generator.iam import PolicyDocument, Statement
from rolecall_generator.text import clip, pluralize

_OTHER_KINDS = "policies of VPC endpoints, buckets and other resources are not examined"
_ARN_PARTS = 6
_WITH_SERVICE = 3  # arn, partition, service


def findings_of(guardrails: Guardrails) -> Iterator[GuardrailFinding]:
    """Everything that AWS would refuse."""
    for level in guardrails.levels:
        for kind, (characters, attached) in QUOTAS.items():
            policies = level.of_kind(kind)
            if len(policies) > attached:
                message = f"{pluralize(len(policies), kind)} attached; the quota is {attached}"
                yield GuardrailFinding(Severity.ERROR, level.name, message, "join policies, or attach some to a level above")
            for policy in policies:
                if policy.characters > characters:
                    message = f"the {kind} has {policy.characters:,} characters; the quota is {characters:,}"
                    yield GuardrailFinding(Severity.ERROR, policy.where, message, "split it into two policies")
                yield from _syntax(policy)


def _syntax(policy: GuardrailPolicy) -> Iterator[GuardrailFinding]:
    if policy.document.version != PolicyDocument.VERSION:
        message = f"the policy version is {policy.document.version}, so policy variables are literal strings"
        hint = f'write "Version": "{PolicyDocument.VERSION}"'
        yield GuardrailFinding(Severity.WARNING, policy.where, message, hint)
    sids = [statement.sid for statement in policy.document.statements if statement.sid]
    for sid in sorted({sid for sid in sids if sids.count(sid) > 1}):
        yield GuardrailFinding(Severity.ERROR, policy.where, f"several statements have the Sid {sid}", "give each its own")
    for number, statement in enumerate(policy.document.statements, start=1):
        own = _scp_faults(statement) if policy.kind is GuardrailKind.SCP else _rcp_faults(statement, policy)
        for message, hint in (*_action_faults(statement), *_resource_faults(statement), *own):
            name = f"statement {statement.sid or number}: {message}"
            yield GuardrailFinding(Severity.ERROR, policy.where, name, hint)


def _action_faults(statement: Statement) -> Iterator[tuple[str, str]]:
    """An action is `*` or has the prefix of a service (IAM JSON policy elements: Action)."""
    for action in (*statement.actions, *statement.not_actions):
        if ":" not in action and action != "*":
            yield f"the action {clip(action)!r} has no service prefix", "write SERVICE:ACTION, or * for all actions"


def _resource_faults(statement: Statement) -> Iterator[tuple[str, str]]:
    """A resource is `*` or an ARN; parts that are missing after a final `*` are `*` (IAM JSON policy elements: Resource)."""
    for text in (*statement.resources, *statement.not_resources):
        parts = text.split(":", _ARN_PARTS - 1)
        short = len(parts) < _ARN_PARTS and not text.endswith("*")
        if text != "*" and (parts[0] != "arn" or len(parts) < _WITH_SERVICE or short):
            what = f"the resource {clip(text)!r} is neither an ARN nor *, which AWS refuses (MalformedPolicyDocument)"
            yield what, "write arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, or * for all resources"


def _scp_faults(statement: Statement) -> Iterator[tuple[str, str]]:
    if statement.principals or statement.not_principals:
        yield (
            "an SCP has no Principal",
            f"use a condition on aws:PrincipalArn, or pass the policy with --rcp; {_OTHER_KINDS}",
        )


def _rcp_faults(statement: Statement, policy: GuardrailPolicy) -> Iterator[tuple[str, str]]:
    """Sources: RCP syntax, and IAM Access Analyzer policy checks (RCP_SYNTAX_ERROR_PRINCIPAL, _NOTACTION, _ACTION)."""
    if policy.aws_managed or (policy.name == GuardrailKind.RCP.full_access and statement.effect == "Allow"):
        return
    if statement.effect == "Allow":
        yield "only RCPFullAWSAccess can allow in an RCP", f"write a Deny statement; {_OTHER_KINDS}"
    if [principal.identifier for principal in statement.principals] != ["*"] or statement.not_principals:
        yield 'the Principal of an RCP is "*"', f'write "Principal": "*" and a condition; {_OTHER_KINDS}'
    if statement.not_actions:
        yield "an RCP has no NotAction", "list the actions"
    for action in statement.actions:
        service = action.partition(":")[0].lower()
        if service not in RCP_SERVICES:
            yield f"RCPs do not support the action {action}", "list actions of services that support RCPs"
