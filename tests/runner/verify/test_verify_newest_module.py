"""Is the newest module applied? Each kind of change since an earlier module is detected or reported as not detectable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rolecall_generator.iam.model import Access, Role
from rolecall_runner.inventory.targets import Target
from rolecall_runner.verify.context import EarlierModule, ModuleHistory, VerifyContext, decode_access, encode_access
from rolecall_runner.verify.verdict import OLDER_MODULE, Check, Mark, Step, Verdict
from rolecall_runner.verify.verify_target import verify
from sandbox_rig import allow
from verify_rig import BACKEND_ROLE, EXTERNAL_ID, TRUST, Stage
from verify_worlds import READ_ITSELF, causes, document

EC2_READ = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
NAMES = iter(range(10_000))


def role_of(
    target: Target, *actions: str, resource: Any = "*", condition: Any = None, deny: str = "", **changes: Any
) -> Access:
    """What a module grants to the target's role."""
    inline = {name: document(body) for name, body in bodies(actions, resource, condition, deny).items()}
    return Access.of(replace(Role(target.role_arn, document(TRUST), inline), **changes))


def bodies(actions: tuple[str, ...], resource: Any = "*", condition: Any = None, deny: str = "") -> dict[str, Any]:
    """The inline policies of a role as JSON documents."""
    found = {"main": allow(*actions, resource=resource)} if actions else {}
    if condition is not None:
        found["main"]["Statement"][0]["Condition"] = condition
    if deny:
        statement = {"Effect": "Deny", "Action": deny, "Resource": "*"}
        found["deny"] = {"Version": "2012-10-17", "Statement": [statement]}
    return found


def kept(access: Access, *, gone: bool = False) -> EarlierModule:
    """An earlier module as read from the status file."""
    return EarlierModule(decode_access(encode_access(access)), gone)


def made(stage: Stage, *actions: str, **policies: Any) -> Target:
    """A role in the sandbox that may do these actions."""
    return stage.role(f"newest{next(NAMES)}", *actions, **policies)


def called(stage: Stage, target: Target, now: Access, *then: EarlierModule) -> Verdict:
    """The verify run of the role where `then` are earlier modules."""
    options = replace(stage.context.options, outside_actions=0)
    context: VerifyContext = replace(
        stage.context,
        intended={target.role_arn: now},
        history=ModuleHistory({("customer", target.name): then}),
        options=options,
    )
    return verify(target, context)


def newest(verdict: Verdict) -> Check | None:
    return next((check for check in verdict.checks if check.step is Step.MODULE), None)


def mark(verdict: Verdict) -> Mark | None:
    found = newest(verdict)
    return found.mark if found is not None else None


def test_withdrawn_action_that_works_means_module_not_applied(stage: Stage) -> None:
    """Every run tries it, whatever its run ID, and the role does not fail."""
    target = made(stage, "ec2:DescribeVpcs", "sqs:ListQueues")
    then = kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues"))
    for run in ("one", "two", "three"):
        stage.context = replace(stage.context, assumer=replace(stage.context.assumer, run_id=run))
        found = called(stage, target, role_of(target, "ec2:DescribeVpcs"), then)

        assert (Mark.FAILED, ["newer-module-not-applied"]) == (mark(found), causes(found))
        assert ["sqs:ListQueues"] == [check.evidence["action"] for check in found.checks if check.step is Step.OUTSIDE]


def test_no_result_without_an_earlier_module(stage: Stage) -> None:
    """Nor if the earlier module grants the same."""
    target = made(stage, "ec2:DescribeVpcs")
    now = role_of(target, "ec2:DescribeVpcs")

    assert [None, None] == [mark(called(stage, target, now)), mark(called(stage, target, now, kept(now)))]


@pytest.mark.parametrize(
    ("then", "now", "unseen"),
    [
        ({"actions": ("ec2:DescribeVpcs", "s3:PutObject")}, {}, "s3:PutObject"),
        ({"max_session_seconds": 7200}, {}, "session duration"),
        ({"tags": {"team": "a"}}, {"tags": {"team": "b"}}, "tags"),
        ({}, {"boundary": "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"}, "permissions boundary"),
        ({"actions": ("ec2:DescribeVpcs", "s3:DeleteObject")}, {"actions": ("ec2:DescribeVpcs", "s3:PutObject")},
         "s3:DeleteObject"),
        ({"resource": "*"}, {"condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}, "ec2:DescribeVpcs"),
        ({"attached": frozenset({"arn:aws:iam::222222222222:policy/nobody-knows-it"})}, {}, "nobody-knows-it"),
    ],
    ids=["unsafe action", "session", "tags", "boundary", "unsafe for unsafe", "unknown condition", "unknown policy"],
)  # fmt: skip
def test_undetectable_change_is_reported(stage: Stage, then: dict[str, Any], now: dict[str, Any], unseen: str) -> None:
    """The verify run is ok, and does not report the newest module as applied."""
    target = made(stage, "ec2:DescribeVpcs")

    def access(changes: dict[str, Any]) -> Access:
        rest = dict(changes)
        return role_of(target, *rest.pop("actions", ("ec2:DescribeVpcs",)), **rest)

    found = called(stage, target, access(now), kept(access(then)))
    check = newest(found)

    assert check is not None
    assert (Mark.OK, Mark.SKIPPED) == (found.mark, check.mark)
    assert any(unseen in each for each in check.unseen)


@pytest.mark.parametrize("applied", [False, True])
def test_added_mfa_condition_is_detected(stage: Stage, applied: bool) -> None:
    """A role session has no MFA, so the newest module refuses the call."""
    target = made(stage, *([] if applied else ["sqs:ListQueues"]))
    now = role_of(target, "sqs:ListQueues", condition=MFA)
    found = called(stage, target, now, kept(role_of(target, "sqs:ListQueues")))

    assert mark(found) in ({Mark.OK, Mark.SKIPPED} if applied else {Mark.FAILED, Mark.SKIPPED})
    assert Mark.FAILED is not found.mark or causes(found) == ["newer-module-not-applied"]


VPCS, QUEUES = "ec2:DescribeVpcs", "sqs:ListQueues"
ONLY_HERE = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
NOT_THERE = {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}
TWO_REGIONS = {"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}
ONE_QUEUE = "arn:aws:sqs:us-east-1:222222222222:one"
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "withdrawn action": ({"actions": (VPCS, QUEUES)}, {"actions": (VPCS,)}),
    "new permission": ({"actions": (VPCS,)}, {"actions": (VPCS, QUEUES)}),
    # A list action requires `*`: on a single resource it is refused.
    "narrowed resource": ({"actions": (QUEUES,)}, {"actions": (QUEUES,), "resource": ONE_QUEUE}),
    "added deny": ({"actions": (QUEUES, VPCS)}, {"actions": (QUEUES, VPCS), "deny": QUEUES}),
    # In the default Region both modules give the same result.
    "added Region": ({"actions": (QUEUES,)}, {"actions": (QUEUES,), "condition": ONLY_HERE}),
    "added Region, negated": ({"actions": (QUEUES,)}, {"actions": (QUEUES,), "condition": NOT_THERE}),
    "narrowed Regions": ({"actions": (QUEUES,), "condition": TWO_REGIONS}, {"actions": (QUEUES,), "condition": ONLY_HERE}),
    # If the role may read itself, changes that no call shows are detected too, and the earlier role is not drift.
    "withdrawn write, read by drift": ({"actions": (VPCS, *READ_ITSELF, "s3:PutObject")}, {"actions": (VPCS, *READ_ITSELF)}),
}


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize(("then", "now"), CHANGES.values(), ids=CHANGES)
def test_change_is_detected(stage: Stage, then: dict[str, Any], now: dict[str, Any], applied: bool) -> None:
    """The role matches the newest or the earlier module; in the latter case the missing apply is the only cause."""
    target = made(stage, **bodies(**(now if applied else then)))

    def access(changes: dict[str, Any]) -> Access:
        return role_of(target, *changes["actions"], **{key: value for key, value in changes.items() if key != "actions"})

    found = called(stage, target, access(now), kept(access(then)))

    assert (Mark.OK if applied else Mark.FAILED) is mark(found), found.checks
    assert ([] if applied else ["newer-module-not-applied"]) == causes(found)


@pytest.mark.parametrize("applied", [False, True])
def test_detached_policy_is_detected(stage: Stage, applied: bool) -> None:
    """By calls that the policy is known to allow and the newest module does not."""
    target = made(stage, QUEUES, *([] if applied else ["ec2:Describe*"]))
    then = kept(role_of(target, QUEUES, attached=frozenset({EC2_READ})))
    found = called(stage, target, role_of(target, QUEUES), then)

    assert (Mark.OK if applied else Mark.FAILED) is mark(found)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": ["arn:aws:s3:::a/*"]},
         {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]}),
        ({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"},
         {"Effect": "Allow", "NotAction": ["iam:*", "s3:Put*"], "Resource": "*"}),
        ({"Effect": "Allow", "Action": "*", "Resource": "*"},
         {"Effect": "Allow", "Action": ["*:Describe*", "*:List*", "*:Get*"], "Resource": "*"}),
        ({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"},
         [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"},
          {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::secret/*"}]),
        ({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::a/*"},
         {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::a/x/*"}),
    ],
    ids=["NotResource", "NotAction", "all actions", "Deny of all", "narrower resource"],
)  # fmt: skip
def test_change_not_compared_by_action_is_not_assumed_applied(stage: Stage, then: Any, now: Any) -> None:
    """It must be detected by a call, or is reported as undetectable."""

    def access(statements: Any) -> Access:
        body = {"Version": "2012-10-17", "Statement": statements if isinstance(statements, list) else [statements]}
        return Access.of(Role(target.role_arn, document(TRUST), {"main": document(body)}))

    target = made(stage, main={"Version": "2012-10-17", "Statement": [then]})
    found = called(stage, target, access(now), kept(access(then)))

    assert mark(found) in {Mark.SKIPPED, Mark.FAILED}


def test_split_or_renamed_statements_are_not_a_change(stage: Stage) -> None:
    """The same access in other statements requires no call."""
    target = made(stage, "ec2:DescribeVpcs", "sqs:ListQueues")
    now = Access.of(
        Role(
            target.role_arn,
            document(TRUST),
            {"one": document(allow("ec2:DescribeVpcs")), "two": document(allow("sqs:ListQueues"))},
        )
    )
    found = called(stage, target, now, kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues")))

    assert (Mark.OK, Mark.OK) == (found.mark, mark(found))


def test_every_change_in_a_row_must_be_detected(stage: Stage) -> None:
    """The second module was applied and the third was not: what only the third withdrew still works."""
    target = made(stage, "ec2:DescribeVpcs", "sqs:ListQueues")
    first = kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues", "sns:ListTopics"))
    second = kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues"))
    found = called(stage, target, role_of(target, "ec2:DescribeVpcs"), first, second)

    assert Mark.FAILED is mark(found)
    only_first = called(stage, target, role_of(target, "ec2:DescribeVpcs"), first)
    assert (Mark.FAILED, ["newer-module-not-applied"]) == (mark(only_first), causes(only_first))


def test_withdrawn_action_that_works_again_fails(stage: Stage) -> None:
    """Once the newest module was seen, the role has more than the manifest grants."""
    target = made(stage, "ec2:DescribeVpcs", "sqs:ListQueues")
    then = kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues"), gone=True)
    found = called(stage, target, role_of(target, "ec2:DescribeVpcs"), then)

    assert (Mark.FAILED, None, ["more-than-agreed"]) == (found.mark, mark(found), causes(found))


def test_changed_external_id_is_detected_by_assume(stage: Stage) -> None:
    """The earlier trust policy would have refused it. The snapshot has only the digest of the earlier ID."""
    target = made(stage, "ec2:DescribeVpcs")
    now = role_of(target, "ec2:DescribeVpcs")
    statement = {**TRUST["Statement"][0], "Condition": {"StringEquals": {"sts:ExternalId": "the-former-id"}}}
    before = kept(role_of(target, "ec2:DescribeVpcs", trust=document({**TRUST, "Statement": [statement]})))
    found = called(stage, target, now, before)

    assert "the-former-id" not in str(before)
    assert (Mark.OK, Mark.OK) == (found.mark, mark(found))


def test_assume_refused_by_earlier_trust_means_module_not_applied(stage: Stage) -> None:
    """It is the first of the candidates, before a different external ID."""
    target = replace(made(stage, "ec2:DescribeVpcs"), external_id="the-newest-id")
    statement = {**TRUST["Statement"][0], "Condition": {"StringEquals": {"sts:ExternalId": "the-newest-id"}}}
    now = role_of(target, "ec2:DescribeVpcs", trust=document({**TRUST, "Statement": [statement]}))
    found = called(stage, target, now, kept(role_of(target, "ec2:DescribeVpcs")))

    assert ("newer-module-not-applied", Mark.FAILED) == (causes(found)[0], mark(found))
    assert found.checks[0].evidence[OLDER_MODULE]


def test_untested_trust_change_is_reported(stage: Stage) -> None:
    """A withdrawn second principal does not affect any assume of the run."""
    target = made(stage, "ec2:DescribeVpcs")
    statement = {**TRUST["Statement"][0], "Principal": {"AWS": [BACKEND_ROLE, "arn:aws:iam::111111111111:role/other"]}}
    before = kept(role_of(target, "ec2:DescribeVpcs", trust=document({**TRUST, "Statement": [statement]})))
    check = newest(called(stage, target, role_of(target, "ec2:DescribeVpcs"), before))

    assert check is not None
    assert (Mark.SKIPPED, ("the trust policy",)) == (check.mark, check.unseen)


@pytest.mark.parametrize("options", [{"actions": "none"}, {"actions": "none", "drift": False}])
def test_run_without_actions_detects_no_change(stage: Stage, options: dict[str, bool]) -> None:
    """With `--actions none` the customer may still have the earlier module."""
    target = made(stage, "ec2:DescribeVpcs")
    before = stage.context
    stage.with_options(**options)
    try:
        found = called(stage, target, role_of(target, "ec2:DescribeVpcs"), kept(role_of(target, "sqs:ListQueues")))
    finally:
        stage.context = before

    assert (Mark.OK, Mark.SKIPPED) == (found.mark, mark(found))


def test_snapshot_round_trips_without_external_id(stage: Stage) -> None:
    """The file that it is written to may be committed."""
    target = made(stage, "ec2:DescribeVpcs")
    access = role_of(target, "ec2:DescribeVpcs", tags={"a": "b"}, attached=frozenset({EC2_READ}), max_session_seconds=7200)
    body = encode_access(access)

    assert EXTERNAL_ID not in str(body)
    assert body == encode_access(decode_access(body))
