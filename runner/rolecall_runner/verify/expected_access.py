"""What was agreed of a role, with the texts of its policies as far as they are known: the least and the most it grants.

A manifest names AWS's managed policies, but does not hold their texts. Where the role may read them, the account's own
answer counts. Else a few well-known ones are known by bounds: actions that they surely allow, services they stay within.

Reads that need no parameter, and AWS's well-known read-only policies by the bounds of what they allow. AWS changes the
text of its managed policies, mostly by adding to it. So `data/well_known_policies.json` holds no text but bounds:
`allows` has a few actions that the policy exists for, `services` those that it stays within; `reads_except` adds all
`reads` but the listed ones. A test checks the table against moto's policy documents.
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
from rolecall_generator.iam.evaluation import BUILT_IN, Caller, Evaluator, Request
from rolecall_generator.iam.matching import name_matcher
from rolecall_runner.aws import SigningCredentials, TimeIsUpError, account
from rolecall_runner.inventory import Target
from rolecall_runner.live import UnreadableDocumentError, document_of
from rolecall_runner.verify.context import VerifyContext


@dataclass(frozen=True, slots=True)
class Bounds:
    """The agreed access twice: with the least that unread policies surely allow, and with the most that they may allow.

    `unknown`: policies of which nothing is known, so that `most` misses what they allow.
    """

    least: Access
    most: Access
    unknown: tuple[str, ...] = ()


def bounds_of(target: Target, intended: Access, credentials: SigningCredentials, context: VerifyContext) -> Bounds:
    """The bounds of the target's role. Reads texts of AWS's policies where the agreed access lets the role do so."""
    role = intended.roles[target.role_arn]
    named = [arn for arn in sorted(role.attached | {role.boundary or ""}) if arn and arn not in intended.policies]
    by_name = {arn: managed_policy_name(arn) or "" for arn in named}
    wanted = {arn: name for arn, name in by_name.items() if name and name not in BUILT_IN}
    known = _with(intended, {arn: WELL_KNOWN[each].least for arn, each in wanted.items() if each in WELL_KNOWN})
    texts = {arn: _read(arn, known, target, credentials, context) for arn in wanted}
    read = {arn: text for arn, text in texts.items() if text is not None}
    bounded = {arn: WELL_KNOWN[each] for arn, each in wanted.items() if arn not in read and each in WELL_KNOWN}
    not_known = [arn for arn in named if arn not in read and arn not in bounded and by_name[arn] not in BUILT_IN]
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
    """The policy's text as the account shows it; None where the role may not look, or IAM does not answer."""
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
    except (ClientError, BotoCoreError, UnreadableDocumentError, TimeIsUpError):
        return None  # it is a help, no check: whether iam:GetPolicy works is tried among the granted actions


def statements_of(role_arn: str, access: Access) -> Iterator[Statement]:
    """All statements of the role's own and attached policies whose text is in `access`, the built-in ones included."""
    role = access.roles[role_arn]
    for document in role.inline.values():
        yield from document.statements
    for arn in sorted(role.attached):
        policy = access.policies.get(arn)
        text = policy.document if policy is not None else BUILT_IN.get(managed_policy_name(arn) or "")
        yield from text.statements if text is not None else ()


def covers(statement: Statement, action: str) -> bool:
    """Whether the statement speaks of the action, on whatever resource and condition."""
    lower = action.lower()
    if statement.not_actions:
        return not any(name_matcher(pattern.lower())(lower) for pattern in statement.not_actions)
    return any(name_matcher(pattern.lower())(lower) for pattern in statement.actions)


def model_of(context: VerifyContext, region: str) -> Callable[[str], Any]:
    """Botocore's service models as the shared clients hold them: none is loaded a second time."""
    return lambda service: context.clients.client(service, region).meta.service_model


@dataclass(frozen=True, slots=True)
class WellKnown:
    """Bounds of an AWS managed policy: action patterns allowed on every resource, and services (empty: all of them)."""

    allows: tuple[str, ...]
    services: tuple[str, ...] = ()

    @property
    def least(self) -> PolicyDocument:
        """What the policy allows at least."""
        return PolicyDocument((Statement("Allow", self.allows, ("*",)),))

    @property
    def most(self) -> PolicyDocument:
        """An upper bound of what the policy allows."""
        wide = tuple(f"{service}:*" for service in self.services) or ("*",)
        return PolicyDocument((Statement("Allow", wide, ("*",)),))


def _well_known(entry: Mapping[str, Any]) -> WellKnown:
    reads = [action for action in READS if action not in entry["reads_except"]] if "reads_except" in entry else []
    return WellKnown((*reads, *entry["allows"]), tuple(entry.get("services", ())))


_TABLE: Any = json.loads(files(__package__ or "").joinpath("data", "well_known_policies.json").read_text(encoding="utf-8"))

READS: Sequence[str] = tuple(_TABLE["reads"])
"""Actions over many services whose safe call needs no parameter. A test checks that each has one and only reads."""

WELL_KNOWN: Mapping[str, WellKnown] = {name: _well_known(entry) for name, entry in _TABLE["policies"].items()}
"""Bounds by path and name of the policy, for example `job-function/ViewOnlyAccess`."""
