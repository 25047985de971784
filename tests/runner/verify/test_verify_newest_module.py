"""Is the newest module applied? Each kind of change against an earlier module is seen in the sandbox, or said not to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rolecall_generator.iam.model import Access, Role
from rolecall_runner.inventory.targets import Target
from rolecall_runner.verify.agreed_access import EarlierModule, ModuleHistory, decode_access, encode_access
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.verdict import OLDER_MODULE, Check, Mark, Step, Verdict
from rolecall_runner.verify.verify_run import verify
from roll_rig import document
from sandbox_rig import allow
from verify_rig import BACKEND_ROLE, EXTERNAL_ID, TRUST, Stage

READ_ITSELF = ("iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies")
EC2_READ = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
NAMES = iter(range(10_000))


def role_of(
    target: Target, *actions: str, resource: Any = "*", condition: Any = None, deny: str = "", **changes: Any
) -> Access:
    """What a module grants the target's role."""
    inline = {name: document(body) for name, body in bodies(actions, resource, condition, deny).items()}
    return Access.of(replace(Role(target.role_arn, document(TRUST), inline), **changes))


def bodies(actions: tuple[str, ...], resource: Any = "*", condition: Any = None, deny: str = "") -> dict[str, Any]:
    """The inline policies of a role as AWS's JSON."""
    found = {"main": allow(*actions, resource=resource)} if actions else {}
    if condition is not None:
        found["main"]["Statement"][0]["Condition"] = condition
    if deny:
        statement = {"Effect": "Deny", "Action": deny, "Resource": "*"}
        found["deny"] = {"Version": "2012-10-17", "Statement": [statement]}
    return found


def kept(access: Access, *, gone: bool = False) -> EarlierModule:
    """An earlier module as it comes out of the status file."""
    return EarlierModule(decode_access(encode_access(access)), gone)


def made(stage: Stage, *actions: str, **policies: Any) -> Target:
    """A role in the sandbox that may do these actions."""
    return stage.role(f"newest{next(NAMES)}", *actions, **policies)


def called(stage: Stage, target: Target, now: Access, *then: EarlierModule) -> Verdict:
    """The roll call of the role where `then` are earlier modules."""
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


def causes(verdict: Verdict) -> list[str]:
    return [diagnosis.cause for diagnosis in verdict.diagnoses]


def test_a_withdrawn_action_that_still_works_is_a_module_not_applied(stage: Stage) -> None:
    """In every run, whatever its id: it is not left to a sample. No one is blamed for it."""
    target = made(stage, "ec2:DescribeVpcs", "sqs:ListQueues")
    then = kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues"))
    for run in ("one", "two", "three"):
        stage.context = replace(stage.context, assumer=replace(stage.context.assumer, run_id=run))
        found = called(stage, target, role_of(target, "ec2:DescribeVpcs"), then)

        assert (Mark.FAILED, ["newer-module-not-applied"]) == (mark(found), causes(found))
        assert ["sqs:ListQueues"] == [check.evidence["action"] for check in found.checks if check.step is Step.OUTSIDE]


def test_without_an_earlier_module_nothing_is_said(stage: Stage) -> None:
    """Nor where the earlier one grants the same."""
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
def test_what_no_call_can_show_is_said(stage: Stage, then: dict[str, Any], now: dict[str, Any], unseen: str) -> None:
    """The roll call ends well, and claims nothing of the newest module."""
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
def test_an_mfa_condition_that_was_added_is_seen(stage: Stage, applied: bool) -> None:
    """A session of a role has no MFA: under the newest module the call is refused."""
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
    # A list action needs `*`: narrowed to one resource it is refused.
    "narrowed resource": ({"actions": (QUEUES,)}, {"actions": (QUEUES,), "resource": ONE_QUEUE}),
    "added deny": ({"actions": (QUEUES, VPCS)}, {"actions": (QUEUES, VPCS), "deny": QUEUES}),
    # In the Region where calls are usually made both modules answer alike.
    "added Region": ({"actions": (QUEUES,)}, {"actions": (QUEUES,), "condition": ONLY_HERE}),
    "added Region, negated": ({"actions": (QUEUES,)}, {"actions": (QUEUES,), "condition": NOT_THERE}),
    "narrowed Regions": (
        {"actions": (QUEUES,), "condition": TWO_REGIONS},
        {"actions": (QUEUES,), "condition": ONLY_HERE},
    ),
    # Where the role may read itself, also what no call can show is seen, and the earlier role is no drift.
    "withdrawn write, read by drift": ({"actions": (VPCS, *READ_ITSELF, "s3:PutObject")}, {"actions": (VPCS, *READ_ITSELF)}),
}


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize(("then", "now"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(stage: Stage, then: dict[str, Any], now: dict[str, Any], applied: bool) -> None:
    """The role is as the newest module has it, or as the earlier one had it: the only cause is then the missing apply."""
    target = made(stage, **bodies(**(now if applied else then)))

    def access(changes: dict[str, Any]) -> Access:
        return role_of(target, *changes["actions"], **{key: value for key, value in changes.items() if key != "actions"})

    found = called(stage, target, access(now), kept(access(then)))

    assert (Mark.OK if applied else Mark.FAILED) is mark(found), found.checks
    assert ([] if applied else ["newer-module-not-applied"]) == causes(found)


@pytest.mark.parametrize("applied", [False, True])
def test_a_detached_policy_is_seen(stage: Stage, applied: bool) -> None:
    """By calls that it surely allowed and the newest module does not."""
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
def test_a_change_that_only_looks_equal_is_not_taken_as_seen(stage: Stage, then: Any, now: Any) -> None:
    """What is not compared action by action is a change that has to be seen, or is said not to be."""

    def access(statements: Any) -> Access:
        body = {"Version": "2012-10-17", "Statement": statements if isinstance(statements, list) else [statements]}
        return Access.of(Role(target.role_arn, document(TRUST), {"main": document(body)}))

    target = made(stage, main={"Version": "2012-10-17", "Statement": [then]})
    found = called(stage, target, access(now), kept(access(then)))

    assert mark(found) in {Mark.SKIPPED, Mark.FAILED}


def test_statements_that_are_split_or_renamed_are_no_change(stage: Stage) -> None:
    """The same access in other statements needs no call."""
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


def test_several_changes_in_a_row_are_all_to_be_seen(stage: Stage) -> None:
    """The second module was applied and the third was not: what only the third withdrew still works."""
    target = made(stage, "ec2:DescribeVpcs", "sqs:ListQueues")
    first = kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues", "sns:ListTopics"))
    second = kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues"))
    found = called(stage, target, role_of(target, "ec2:DescribeVpcs"), first, second)

    assert Mark.FAILED is mark(found)
    only_first = called(stage, target, role_of(target, "ec2:DescribeVpcs"), first)
    assert (Mark.FAILED, ["newer-module-not-applied"]) == (mark(only_first), causes(only_first))


def test_what_is_gone_is_tried_in_later_runs_too(stage: Stage) -> None:
    """A withdrawn action that works again is no module that waits: the role does more than agreed."""
    target = made(stage, "ec2:DescribeVpcs", "sqs:ListQueues")
    then = kept(role_of(target, "ec2:DescribeVpcs", "sqs:ListQueues"), gone=True)
    found = called(stage, target, role_of(target, "ec2:DescribeVpcs"), then)

    assert (Mark.FAILED, None, ["more-than-agreed"]) == (found.mark, mark(found), causes(found))


def test_a_changed_external_id_is_seen_by_the_assume(stage: Stage) -> None:
    """The earlier trust policy would have refused it. The snapshot knows the earlier ID by its digest alone."""
    target = made(stage, "ec2:DescribeVpcs")
    now = role_of(target, "ec2:DescribeVpcs")
    statement = {**TRUST["Statement"][0], "Condition": {"StringEquals": {"sts:ExternalId": "the-former-id"}}}
    before = kept(role_of(target, "ec2:DescribeVpcs", trust=document({**TRUST, "Statement": [statement]})))
    found = called(stage, target, now, before)

    assert "the-former-id" not in str(before)
    assert (Mark.OK, Mark.OK) == (found.mark, mark(found))


def test_an_assume_that_the_earlier_trust_refuses_is_a_module_not_applied(stage: Stage) -> None:
    """First of the candidates: no one chose another external ID."""
    target = replace(made(stage, "ec2:DescribeVpcs"), external_id="the-newest-id")
    statement = {**TRUST["Statement"][0], "Condition": {"StringEquals": {"sts:ExternalId": "the-newest-id"}}}
    now = role_of(target, "ec2:DescribeVpcs", trust=document({**TRUST, "Statement": [statement]}))
    found = called(stage, target, now, kept(role_of(target, "ec2:DescribeVpcs")))

    assert ("newer-module-not-applied", Mark.FAILED) == (causes(found)[0], mark(found))
    assert found.checks[0].evidence[OLDER_MODULE]


def test_a_trust_condition_that_nobody_tried_is_said(stage: Stage) -> None:
    """A second principal that was withdrawn shows in none of our own assumes."""
    target = made(stage, "ec2:DescribeVpcs")
    statement = {**TRUST["Statement"][0], "Principal": {"AWS": [BACKEND_ROLE, "arn:aws:iam::111111111111:role/other"]}}
    before = kept(role_of(target, "ec2:DescribeVpcs", trust=document({**TRUST, "Statement": [statement]})))
    check = newest(called(stage, target, role_of(target, "ec2:DescribeVpcs"), before))

    assert check is not None
    assert (Mark.SKIPPED, ("the trust policy",)) == (check.mark, check.unseen)


@pytest.mark.parametrize("options", [{"actions": "none"}, {"actions": "none", "drift": False}])
def test_a_run_that_tries_no_actions_sees_nothing(stage: Stage, options: dict[str, bool]) -> None:
    """`--actions none`: the customer may still have the earlier module."""
    target = made(stage, "ec2:DescribeVpcs")
    before = stage.context
    stage.with_options(**options)
    try:
        found = called(stage, target, role_of(target, "ec2:DescribeVpcs"), kept(role_of(target, "sqs:ListQueues")))
    finally:
        stage.context = before

    assert (Mark.OK, Mark.SKIPPED) == (found.mark, mark(found))


def test_a_snapshot_has_no_external_id_and_comes_back(stage: Stage) -> None:
    """It is kept in a file that may be committed."""
    target = made(stage, "ec2:DescribeVpcs")
    access = role_of(target, "ec2:DescribeVpcs", tags={"a": "b"}, attached=frozenset({EC2_READ}), max_session_seconds=7200)
    body = encode_access(access)

    assert EXTERNAL_ID not in str(body)
    assert body == encode_access(decode_access(body))
