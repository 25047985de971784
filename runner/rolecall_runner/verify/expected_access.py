"""Bounds of the agreed access where documents of AWS managed policies are not known.

A manifest names AWS managed policies without their documents. If the role may read them, the deployed document is used. Else
`data/well_known_policies.json` has bounds for some: `allows` has a few actions that the policy certainly allows, `services`
all services that it covers; `reads_except` adds all `reads` except the listed ones. There are no documents, since AWS
changes them, mostly by adding to them. A test checks the table against moto's policy documents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rolecall_generator.iam import Access, ManagedPolicy, PolicyDocument, Statement
from rolecall_generator.iam.catalog import managed_policy_name
from rolecall_generator.iam.evaluation import AWS_MANAGED_DOCUMENTS, Caller, Evaluator, Request
from rolecall_generator.iam.matching import wildcard
from rolecall_generator.iam_replies import UnreadableDocumentError, document_of
from rolecall_runner.aws import DeadlineExceededError, SigningCredentials, account
from rolecall_runner.inventory import Target
from rolecall_runner.verify.context import VerifyContext


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower and upper bound of the agreed access.

    `unknown`: policies without any bounds; neither `least` nor `most` has what they allow.
    """

    least: Access
    most: Access
    unknown: tuple[str, ...] = ()


def bounds_of(target: Target, intended: Access, credentials: SigningCredentials, context: VerifyContext) -> Bounds:
    """The bounds of the target's role. Reads documents of managed policies if the agreed access allows the role to."""
    role = intended.roles[target.role_arn]
    named = [arn for arn in sorted(role.attached | {role.boundary or ""}) if arn and arn not in intended.policies]
    by_name = {arn: managed_policy_name(arn) or "" for arn in named}
    wanted = {arn: name for arn, name in by_name.items() if name and name not in AWS_MANAGED_DOCUMENTS}
    known = _with(intended, {arn: WELL_KNOWN[each].least for arn, each in wanted.items() if each in WELL_KNOWN})
    documents = {arn: _read(arn, known, target, credentials, context) for arn in wanted}
    read = {arn: document for arn, document in documents.items() if document is not None}
    bounded = {arn: WELL_KNOWN[each] for arn, each in wanted.items() if arn not in read and each in WELL_KNOWN}
    not_known = [
        arn for arn in named if arn not in read and arn not in bounded and by_name[arn] not in AWS_MANAGED_DOCUMENTS
    ]
    return Bounds(
        _with(intended, read | {arn: policy.least for arn, policy in bounded.items()}),
        _with(intended, read | {arn: policy.most for arn, policy in bounded.items()}),
        tuple(not_known),
    )


def _with(access: Access, documents: Mapping[str, PolicyDocument]) -> Access:
    added = {arn: ManagedPolicy(arn, document) for arn, document in documents.items()}
    return replace(access, policies={**access.policies, **added})


def _read(
    arn: str, known: Access, target: Target, credentials: SigningCredentials, context: VerifyContext
) -> PolicyDocument | None:
    """The policy's document in the account; None if the role may not read it or the call fails."""
    evaluator = Evaluator(known)
    caller = Caller(target.role_arn)
    if not all(evaluator.may(Request(caller, arn, f"iam:{name}")).allowed for name in ("GetPolicy", "GetPolicyVersion")):
        return None
    iam = context.clients.client("iam", context.assumer.caller.region)
    try:
        with account(credentials):
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            answer = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        return document_of(answer["Document"], where=arn, partition=target.partition)
    except (ClientError, BotoCoreError, UnreadableDocumentError, DeadlineExceededError):
        return None  # not a failure: iam:GetPolicy is itself among the granted actions that are tried


def statements_of(role_arn: str, access: Access) -> Iterator[Statement]:
    """All statements of the role's policies whose document is in `access` or built in."""
    role = access.roles[role_arn]
    for document in role.inline.values():
        yield from document.statements
    for arn in sorted(role.attached):
        policy = access.policies.get(arn)
        found = policy.document if policy is not None else AWS_MANAGED_DOCUMENTS.get(managed_policy_name(arn) or "")
        yield from found.statements if found is not None else ()


def covers(statement: Statement, action: str) -> bool:
    """Whether the action is among the statement's actions, whatever its resources and conditions."""
    lower = action.lower()
    if statement.not_actions:
        return not any(wildcard(pattern.lower())(lower) for pattern in statement.not_actions)
    return any(wildcard(pattern.lower())(lower) for pattern in statement.actions)


def model_of(context: VerifyContext, region: str) -> Callable[[str], Any]:
    """Botocore's service models by service name, from the shared clients, so that none is loaded twice."""
    return lambda service: context.clients.client(service, region).meta.service_model


@dataclass(frozen=True, slots=True)
class WellKnown:
    """Bounds of an AWS managed policy: action patterns allowed on every resource, and services (empty: all)."""

    allows: tuple[str, ...]
    services: tuple[str, ...] = ()

    @property
    def least(self) -> PolicyDocument:
        """The lower bound."""
        return PolicyDocument((Statement("Allow", self.allows, ("*",)),))

    @property
    def most(self) -> PolicyDocument:
        """The upper bound."""
        wide = tuple(f"{service}:*" for service in self.services) or ("*",)
        return PolicyDocument((Statement("Allow", wide, ("*",)),))


def _well_known(entry: Mapping[str, Any]) -> WellKnown:
    reads = [action for action in READS if action not in entry["reads_except"]] if "reads_except" in entry else []
    return WellKnown((*reads, *entry["allows"]), tuple(entry.get("services", ())))


_TABLE: Any = json.loads(files(__package__ or "").joinpath("data", "well_known_policies.json").read_text(encoding="utf-8"))

READS: Sequence[str] = tuple(_TABLE["reads"])
"""Read actions of many services whose safe call needs no parameter, which a test checks."""

WELL_KNOWN: Mapping[str, WellKnown] = {name: _well_known(entry) for name, entry in _TABLE["policies"].items()}
"""Bounds by path and name of the policy, for example `job-function/ViewOnlyAccess`."""
