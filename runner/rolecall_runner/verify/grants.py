"""Checks of permissions: samples of granted read actions, which must work, and of others, which AWS must refuse.

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
from rolecall_generator.iam.catalog import expand, managed_policy_name
from rolecall_generator.iam.evaluation import AWS_MANAGED_DOCUMENTS, Caller, Effect, Evaluator, Request
from rolecall_generator.iam.matching import wildcard
from rolecall_generator.iam_replies import UnreadableDocumentError, document_of
from rolecall_runner.aws import DeadlineExceededError, SigningCredentials, account, allowed_name
from rolecall_runner.inventory import Target
from rolecall_runner.verify.context import NOT_AGREED, VerifyContext
from rolecall_runner.verify.probe_call import (
    ProbeResult,
    ProbeVerdict,
    SafeCall,
    is_excluded,
    is_read_only,
    offered,
    safe_call,
    try_call,
)
from rolecall_runner.verify.verdict import Check, Mark, Step


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
    iam = context.client("iam")
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


SERVICES_SAMPLED = 8
"""Sample size: services per target. Each needs a service model and a connection."""

Granted = tuple[str, str]
"""An action and a resource of one statement."""


def try_grants(target: Target, credentials: SigningCredentials, context: VerifyContext) -> Iterator[Check]:
    """One check per granted action that is tried; a single skipped check if none can be tried.

    Calls are made in the target's first Region, or in all of them. A target's sample is the same in every run. Actions that
    another agreed policy denies, or whose conditions the call does not meet, are not tried.
    """
    intended = context.agreed(target)
    if intended is None:
        yield Check(Step.GRANTED, Mark.SKIPPED, NOT_AGREED)
        return
    bounds = bounds_of(target, intended, credentials, context)
    tried = 0
    regions = target.regions or (context.assumer.caller.region,)
    for region in regions if context.options.all_regions else regions[:1]:
        evaluator = Evaluator(bounds.least)
        for call in _calls(target, bounds.least, evaluator, region, context):
            tried += 1
            if call.absent and not _may(evaluator, target, "s3:ListBucket", call.resource.partition("/")[0], region):
                yield _ambiguous(call, region)
            else:
                yield check_of_probe(Step.GRANTED, try_call(call, region, credentials, context))
    if not tried:
        yield Check(
            Step.GRANTED, Mark.SKIPPED, _no_granted_action(bounds), evidence={"unknown_policies": list(bounds.unknown)}
        )


def granted_reads(role_arn: str, access: Access) -> dict[str, list[Granted]]:
    """The read actions in the role's Allow statements with their resources, by service.

    A statement for every action, or with NotAction, contributes only the actions of READS that it covers.
    """
    found: dict[str, dict[Granted, None]] = {}
    for statement in statements_of(role_arn, access):
        if statement.effect != "Allow":
            continue
        for action in _actions(statement):
            if action.lower() != "s3:getobject" and is_excluded(action):
                continue
            if is_read_only(action):
                resources = statement.resources or ("*",)
                found.setdefault(action.partition(":")[0], {}).update(dict.fromkeys((action, each) for each in resources))
    return {service: list(granted) for service, granted in sorted(found.items())}


def _actions(statement: Statement) -> Iterator[str]:
    if statement.not_actions:
        yield from (action for action in READS if covers(statement, action))
    for pattern in statement.actions:
        if pattern in {"*", "*:*"}:
            yield from READS
        else:
            yield from expand(pattern)


def _calls(target: Target, access: Access, evaluator: Evaluator, region: str, context: VerifyContext) -> Iterator[SafeCall]:
    """The calls to make, each action once: all of them, or a sample of a few per service."""
    everything = context.options.all_actions
    by_service = granted_reads(target.role_arn, access)
    services = sorted(by_service)
    # Each name has its own rank: the sample differs between targets, is the same in every run, and does not shift when a
    # service or action is added or removed.
    services.sort(key=lambda service: context.drawn(target, "granted", service))
    served = 0
    for service in services:
        # Commonly used actions first.
        granted = sorted(
            by_service[service], key=lambda each: (each[0] not in READS, context.drawn(target, "granted", *each))
        )
        calls = _of_service(target, granted, evaluator, region, context)
        before = served
        for number, call in enumerate(calls):
            served = before + 1
            yield call
            if not everything and number + 1 >= context.options.actions_per_service:
                break
        if not everything and served >= SERVICES_SAMPLED:
            return


def _of_service(
    target: Target, granted: list[Granted], evaluator: Evaluator, region: str, context: VerifyContext
) -> Iterator[SafeCall]:
    done: set[str] = set()
    absent = allowed_name(f"rolecall-{context.assumer.run_id}-absent")
    for action, resource in granted:
        if action in done:
            continue
        call = safe_call(action, resource, model_of(context, region), absent_name=absent)
        if call is None or not offered(call.service, region, target.partition):
            continue
        if _may(evaluator, target, action, call.resource, region):
            done.add(action)
            yield call


def _may(evaluator: Evaluator, target: Target, action: str, resource: str, region: str) -> bool:
    context = {"aws:requestedregion": region, "aws:securetransport": "true"}
    return evaluator.may(Request(Caller(target.role_arn), resource, action, context)).allowed


def _ambiguous(call: SafeCall, region: str) -> Check:
    """S3: "If you don't have the s3:ListBucket permission, Amazon S3 returns an HTTP status code 403 error" for a key that
    does not exist (HeadObject, S3 API reference, November 2026): so the call is not made.
    """
    what = f"{call.action} is not checkable: without s3:ListBucket S3 returns 403 for an object that does not exist"
    return Check(Step.GRANTED, Mark.SKIPPED, what, evidence=ProbeResult(call, region, ProbeVerdict.UNCLEAR).evidence)


_RESULTS: Mapping[Step, Mapping[ProbeVerdict, tuple[Mark, str]]] = {
    Step.GRANTED: {
        ProbeVerdict.ALLOWED: (Mark.OK, "{action} in {region} works"),
        ProbeVerdict.PROBABLY_ALLOWED: (Mark.OK, "{action} in {region} works"),
        ProbeVerdict.REFUSED: (Mark.FAILED, "{action} in {region} was granted, but is refused"),
        ProbeVerdict.NOT_OFFERED: (Mark.SKIPPED, "{action} in {region}: {reason}"),
        ProbeVerdict.UNCLEAR: (Mark.INCONCLUSIVE, "whether {action} in {region} works could not be determined"),
    },
    Step.OUTSIDE: {
        ProbeVerdict.ALLOWED: (
            Mark.FAILED, "{action} is allowed, but was not granted: the role allows more than was agreed",
        ),
        ProbeVerdict.PROBABLY_ALLOWED: (Mark.INCONCLUSIVE, "whether {action} is refused could not be determined"),
        ProbeVerdict.REFUSED: (Mark.REFUSED, "{action} is refused: it was not granted"),
        ProbeVerdict.NOT_OFFERED: (Mark.SKIPPED, "{action}: {reason}"),
        ProbeVerdict.UNCLEAR: (Mark.INCONCLUSIVE, "whether {action} is refused could not be determined"),
    },
}  # fmt: skip


def check_of_probe(step: Step, tried: ProbeResult) -> Check:
    """The check of a call that was tried, under Step.GRANTED or Step.OUTSIDE."""
    mark, what = _RESULTS[step][tried.answer]
    return tried.check(step, mark, what.format(action=tried.call.action, region=tried.region, reason=tried.not_rehearsed))


def _no_granted_action(bounds: Bounds) -> str:
    if bounds.unknown:
        return f"not checkable: the document of {', '.join(bounds.unknown)} is not known"
    return "nothing to try: no granted action has a safe call"


def try_outside(
    target: Target, credentials: SigningCredentials, context: VerifyContext, tried: frozenset[str] = frozenset()
) -> Iterator[Check]:
    """One check per action of a sample that the role must not have; a single skipped check if no action qualifies.

    A target's sample is the same in every run; actions in `tried` were already probed. An action qualifies if the agreed
    policies do not allow it on any resource, or deny it; none does if the document of a policy is not known.
    """
    intended = context.agreed(target)
    if intended is None:
        yield Check(Step.OUTSIDE, Mark.SKIPPED, NOT_AGREED)
        return
    bounds = bounds_of(target, intended, credentials, context)
    region = context.first_region(target)
    calls = [call for call in _sample(target, bounds, region, context) if call.action not in tried]
    if not calls and not tried:
        yield Check(
            Step.OUTSIDE, Mark.SKIPPED, _no_outside_action(bounds), evidence={"unknown_policies": list(bounds.unknown)}
        )
    for call in calls:
        yield check_of_probe(Step.OUTSIDE, try_call(call, region, credentials, context))


def outside_of(role_arn: str, access: Access, actions: Sequence[str] = READS) -> tuple[str, ...]:
    """Those actions that the role's policies in `access` do not allow on any resource."""
    statements = [statement for statement in statements_of(role_arn, access) if statement.effect == "Allow"]
    evaluator = Evaluator(access)

    def outside(action: str) -> bool:
        if not any(covers(statement, action) for statement in statements):
            return True
        return evaluator.may(Request(Caller(role_arn), "*", action)).effect is Effect.EXPLICIT_DENY

    return tuple(action for action in actions if outside(action))


def _sample(target: Target, bounds: Bounds, region: str, context: VerifyContext) -> Iterator[SafeCall]:
    if bounds.unknown:
        return
    actions = list(outside_of(target.role_arn, bounds.most))
    # Ranked as in `_calls`.
    actions.sort(key=lambda action: context.drawn(target, "outside", action))
    left = len(actions) if context.options.all_actions else context.options.outside_actions
    for action in actions:
        if left <= 0:
            return
        call = safe_call(action, "*", model_of(context, region))
        if call is not None and offered(call.service, region, target.partition):
            left -= 1
            yield call


def _no_outside_action(bounds: Bounds) -> str:
    if bounds.unknown:
        return f"not checkable: the document of {', '.join(bounds.unknown)} is not known and may grant any action"
    return "nothing to try: the role was granted every action that has a safe call"
