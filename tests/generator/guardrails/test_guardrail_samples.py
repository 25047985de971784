"""Random policies and requests: the answers agree with the evaluator on requests that were not made from cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from guardrail_policies import ROLE, Judge, policy
from rolecall_generator.guardrails import CustomerModule, Guardrails, ReviewSettings, review_guardrails
from rolecall_generator.iam import Condition, PolicyDocument, Statement
from rolecall_generator.iam.evaluation import PolicyOutcome
from rolecall_generator.proof.symbolic import (
    ActionForms,
    ActionScope,
    LimitState,
    ResourceOwner,
    SearchBudget,
    compare_limits,
    limit_permission,
)

ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "ec2:RunInstances", "iam:GetRole", "kms:Decrypt")
ACTION_PATTERNS = ("*", "s3:*", "s3:Get*", "s3:*Object", "ec2:*", "iam:*", "kms:Decrypt", "s3:ListBucket", "*:Get*")
RESOURCES = (
    "arn:aws:s3:::data",
    "arn:aws:s3:::data/a/b",
    "arn:aws:s3:::other/a",
    "arn:aws:kms:eu-west-1:222222222222:key/1",
    "*",
)
RESOURCE_PATTERNS = (
    "arn:aws:s3:::data",
    "arn:aws:s3:::data/*",
    "arn:aws:s3:::*/a",
    "arn:aws:kms:*:222222222222:key/?",
    "arn:*",
)
ADMIN = "arn:aws:iam::222222222222:role/Admin"
REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")
CALLERS = (ROLE, "arn:aws:iam::222222222222:role/pipeline/x", "arn:aws:iam::333333333333:role/role1")
CONDITIONS = (
    Condition("StringNotEquals", "aws:RequestedRegion", ("eu-west-1", "eu-central-1")),
    Condition("StringEquals", "aws:RequestedRegion", ("us-east-1",)),
    Condition("StringLike", "aws:RequestedRegion", ("eu-*",)),
    Condition("ArnNotLike", "aws:PrincipalArn", ("arn:aws:iam::*:role/pipeline/*",)),
    Condition("ArnEquals", "aws:PrincipalArn", (ROLE,)),
    Condition("StringNotEqualsIfExists", "aws:SourceVpc", ("vpc-1",)),
    Condition("Null", "aws:SourceVpc", ("true",)),
    Condition("IpAddress", "aws:SourceIp", ("10.0.0.0/8",)),
    Condition("NotIpAddressIfExists", "aws:SourceIp", ("192.0.2.0/24",)),
    Condition("Bool", "aws:SecureTransport", ("false",)),
    Condition("NumericLessThan", "s3:max-keys", ("10",)),
    Condition("ForAnyValue:StringLike", "aws:TagKeys", ("team", "cost*")),
    Condition("ForAllValues:StringEquals", "aws:TagKeys", ("team",)),
    Condition("StringEquals", "aws:SourceVpc", ("${aws:PrincipalAccount}",)),
)
SHARED_KEY = "arn:aws:kms:eu-west-1:444444444444:key/1"
OWNER_CONDITIONS = (
    Condition("StringNotEqualsIfExists", "aws:ResourceOrgID", ("o-customer01",)),
    Condition("StringNotEquals", "aws:ResourceOrgID", ("${aws:PrincipalOrgID}",)),
    Condition("StringEquals", "aws:ResourceAccount", ("222222222222", "555555555555")),
    Condition("StringNotEquals", "aws:ResourceAccount", ("${aws:PrincipalAccount}",)),
    Condition("ForAnyValue:StringLike", "aws:ResourceOrgPaths", ("o-customer01/*/ou-a/*",)),
    Condition("ForAllValues:StringNotLike", "aws:PrincipalOrgPaths", ("o-customer01/r-1/ou-b/*",)),
    Condition("StringNotEqualsIfExists", "aws:PrincipalOrgID", ("o-customer01", "o-other")),
    Condition("BoolIfExists", "aws:PrincipalIsAWSService", ("false",)),
    Condition("Null", "aws:SourceAccount", ("false",)),
)
ORGANIZATION = {"aws:principalorgid": ("o-customer01",), "aws:principalorgpaths": ("o-customer01/r-1/ou-a/",)}
FULL = PolicyDocument((Statement("Allow", ("*",), ("*",)),))


def statement(rng: Random, effect: str, conditions: Sequence[Condition] = CONDITIONS) -> Statement:
    actions = tuple(rng.sample(ACTION_PATTERNS, rng.choice((1, 1, 2, 3))))
    resources = ("*",) if rng.random() < 0.6 else tuple(rng.sample(RESOURCE_PATTERNS, rng.choice((1, 2))))
    negated, elsewhere = rng.random() < 0.25, rng.random() < 0.2 and resources != ("*",)
    return Statement(
        effect,
        () if negated else actions,
        () if elsewhere else resources,
        conditions=tuple(rng.sample(conditions, rng.choice((0, 0, 1, 1, 2)))),
        not_actions=actions if negated else (),
        not_resources=resources if elsewhere else (),
    )


def levels_of(rng: Random, conditions: Sequence[Condition] = CONDITIONS) -> list[tuple[PolicyDocument, ...]]:
    found: list[tuple[PolicyDocument, ...]] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        denials = PolicyDocument(tuple(statement(rng, "Deny", conditions) for _ in range(rng.choice((0, 1, 2)))))
        allows = FULL if rng.random() < 0.7 else PolicyDocument(tuple(statement(rng, "Allow") for _ in range(2)))
        found.append((allows, denials))
    return found


def context_of(rng: Random, caller: str) -> dict[str, tuple[str, ...]]:
    """A random context; keys that are absent have no values."""
    account = caller.split(":")[4]
    return {
        "aws:principalarn": (caller,),
        "aws:principalaccount": (account,),
        "aws:requestedregion": (rng.choice(REGIONS),),
        "aws:securetransport": (rng.choice(("true", "false")),),
        "aws:sourcevpc": rng.choice(((), ("vpc-1",), ("vpc-2",), (account,))),
        "aws:sourceip": rng.choice(((), ("10.1.2.3",), ("192.0.2.7",))),
        "s3:max-keys": rng.choice(((), ("5",), ("50",))),
        "aws:tagkeys": rng.choice(((), ("team",), ("costs", "team"), ("other",))),
    }


def requests(rng: Random, callers: Sequence[str], count: int) -> list[tuple[str, str, dict[str, tuple[str, ...]]]]:
    """Random requests: action, resource, context. Requests of IAM are always made to us-east-1, and only those of Amazon S3
    have its keys.
    """
    found = []
    for _ in range(count):
        action, context = rng.choice(ACTIONS), context_of(rng, rng.choice(callers))
        found.append((action, rng.choice(RESOURCES), {**context, **_region_of(action), **_keys_of(action)}))
    return found


def _keys_of(action: str) -> dict[str, tuple[str, ...]]:
    return {} if action.startswith("s3:") else {"s3:max-keys": ()}


def _region_of(action: str) -> dict[str, tuple[str, ...]]:
    return {"aws:requestedregion": ("us-east-1",)} if action.startswith("iam:") else {}


@pytest.mark.parametrize("seed", range(4))
def test_sampled_requests_agree_with_answers(seed: int) -> None:
    """Not stopped: no request is. Stopped: no request is allowed. And each example is stopped."""
    rng = Random(seed)  # noqa: S311 - a reproducible sample
    states = set()
    for _ in range(60):
        levels, permission = levels_of(rng), statement(rng, "Allow")
        scope = ActionScope("aws", "222222222222", ROLE, tuple(ActionForms(name) for name in ACTIONS))
        found = limit_permission(scope, permission, levels)
        states.add(found.state)
        judge, own = Judge(), PolicyDocument((permission,))
        for action, resource, context in requests(rng, [ROLE], 60):
            if judge.outcome([own], action, resource, context) is not PolicyOutcome.ALLOW:
                continue
            allowed = judge.allowed(levels, action, resource, context)
            assert not (found.state is LimitState.NONE and allowed is not True), (levels, permission, action, context)
            assert not (found.state is LimitState.ALL and allowed is True), (levels, permission, action, context)
        for limit in found.limits:
            for each in limit.sets:
                if each.sample is None:
                    continue
                context = {
                    **dict.fromkeys(context_of(rng, ROLE), ()),
                    "aws:principalarn": (ROLE,),
                    "aws:principalaccount": ("222222222222",),
                    "aws:requestedregion": ("eu-west-1",),
                    "aws:securetransport": ("true",),
                    **_region_of(each.sample.action),
                    **{key.lower(): values for key, values in each.sample.context.items()},
                }
                assert judge.outcome([own], each.sample.action, each.sample.resource, context) is PolicyOutcome.ALLOW
                assert judge.allowed(levels, each.sample.action, each.sample.resource, context) is False

    assert {LimitState.NONE, LimitState.ALL, LimitState.PART} <= states


def owned_requests(rng: Random, count: int) -> list[tuple[str, str, dict[str, tuple[str, ...]]]]:
    """Random requests of the role for resources of its account, for none, and for a key of another account."""
    found = []
    for action, resource, context in requests(rng, [ROLE], count):
        if rng.random() < 0.3:
            keys = {
                "aws:resourceaccount": ("444444444444",),
                "aws:resourceorgid": rng.choice(((), ("o-customer01",), ("o-other",))),
                "aws:resourceorgpaths": rng.choice(((), ("o-customer01/r-1/ou-a/x/",), ("o-other/r-2/",))),
            }
            found.append((action, SHARED_KEY, {**context, **ORGANIZATION, **_CALLER_KEYS, **keys}))
        else:
            keys = {"aws:resourceaccount": ("222222222222",), "aws:resourceorgid": ("o-customer01",)}
            paths = {"aws:resourceorgpaths": ORGANIZATION["aws:principalorgpaths"]}
            found.append((action, resource, {**context, **ORGANIZATION, **_CALLER_KEYS, **keys, **paths}))
    return found


_CALLER_KEYS = {"aws:principalisawsservice": ("false",), "aws:sourceaccount": (), "aws:principaltype": ("AssumedRole",)}


@pytest.mark.parametrize("seed", range(4))
def test_sampled_requests_agree_with_resource_policies(seed: int) -> None:
    rng = Random(seed)  # noqa: S311 - a reproducible sample
    owner = ResourceOwner("222222222222", "o-customer01", "o-customer01/r-1/ou-a/", ("arn:aws:kms:*:444444444444:key/*",))
    actions = tuple(ActionForms(name, None, has_rcps=name.startswith(("s3:", "kms:"))) for name in ACTIONS)
    scope = ActionScope("aws", "222222222222", ROLE, actions, context=ORGANIZATION, owner=owner)
    states = set()
    stopped_by_rcps = 0
    for _ in range(60):
        conditions = (*CONDITIONS, *OWNER_CONDITIONS)
        scps, rcps = levels_of(rng, conditions)[:1], levels_of(rng, conditions)
        permission = statement(rng, "Allow")
        found = limit_permission(scope, permission, scps, rcps)
        states.add(found.state)
        judge, own = Judge(), PolicyDocument((permission,))
        for action, resource, context in owned_requests(rng, 60):
            if judge.outcome([own], action, resource, context) is not PolicyOutcome.ALLOW:
                continue
            restricted = action.startswith(("s3:", "kms:")) and resource not in ("*", SHARED_KEY)
            by_scps = judge.allowed(scps, action, resource, context)
            by_rcps = judge.allowed(rcps, action, resource, context) if restricted else True
            stopped_by_rcps += by_rcps is False and by_scps is True
            allowed = False if False in (by_scps, by_rcps) else None if None in (by_scps, by_rcps) else True
            where = (scps, rcps, permission, action, resource, context)
            assert not (found.state is LimitState.NONE and allowed is not True), where
            assert not (found.state is LimitState.ALL and allowed is True), where

    assert {LimitState.NONE, LimitState.ALL, LimitState.PART} <= states
    assert stopped_by_rcps > 20


@pytest.mark.parametrize("seed", range(4))
def test_sampled_requests_agree_with_compared_versions(seed: int) -> None:
    """A change that is proven exact allows only intended requests in addition, and stops none in addition."""
    rng = Random(seed)  # noqa: S311 - a reproducible sample
    proven = refuted = 0
    for _ in range(80):
        old = levels_of(rng)
        new = [list(level) for level in old]
        changed = PolicyDocument(
            tuple(
                Statement(
                    each.effect,
                    each.actions,
                    each.resources,
                    conditions=(
                        *each.conditions,
                        *rng.choice(((), (Condition("ArnNotEquals", "aws:PrincipalArn", (ROLE,)),))),
                    ),
                    not_actions=each.not_actions,
                    not_resources=each.not_resources,
                )
                for each in new[0][1].statements
                if rng.random() < 0.9
            )
        )
        new[0][1] = changed
        intended = Statement("Deny", ("*",), ("*",) if rng.random() < 0.7 else ("arn:aws:s3:::data/*",))
        found = compare_limits(ActionScope(), old, [tuple(level) for level in new], [(intended, ROLE)])
        proven += found.is_exact is True
        refuted += found.is_exact is False
        judge, wanted = Judge(), PolicyDocument((Statement("Allow", intended.actions, intended.resources),))
        for action, resource, context in requests(rng, CALLERS, 60):
            before, after = (judge.allowed(levels, action, resource, context) for levels in (old, new))
            is_intended = context["aws:principalarn"] == (ROLE,) and (
                judge.outcome([wanted], action, resource, context) is PolicyOutcome.ALLOW
            )
            if found.is_exact is True:
                assert not (before is False and after is True and not is_intended), (old, changed, action, context)
                assert not (before is True and after is False), (old, changed, action, context)

    assert proven
    assert refuted


@pytest.mark.parametrize("seed", range(2))
def test_sampled_requests_agree_with_exemptions(
    account1: CustomerModule, rails: Callable[..., Guardrails], seed: int
) -> None:
    """An exemption that is proven exact opens only the requests that it names, and stops none in addition."""
    rng = Random(seed)  # noqa: S311 - a reproducible sample
    settings = ReviewSettings(backend_organization="none", administrator=ADMIN)
    proven = opened = 0
    for _ in range(25):
        body = policy(*(statement(rng, "Deny").to_json() for _ in range(rng.choice((1, 2)))))
        judge = Judge()
        for exemption in review_guardrails(account1, rails({"root": body}), settings).exemptions:
            if exemption.is_exact is not True or exemption.before is None:
                continue
            proven += 1
            old, new = (PolicyDocument.from_json(each) for each in (exemption.before, exemption.after))
            for action, resource, context in requests(rng, (*CALLERS, ADMIN), 60):
                target = rng.choice((resource, resource, ROLE))
                before, after = (judge.allowed([(FULL, each)], action, target, context) for each in (old, new))
                whole = f"requests of {context['aws:principalarn'][0]}"
                intended = whole in exemption.opens or f"{whole} on {target}" in exemption.opens
                opened += before is False and after is True
                assert not (before is False and after is True and not intended), (body, action, target, context)
                assert not (before is True and after is False), (body, action, target, context)

    assert proven > 10
    assert opened > 10


def test_exception_for_pattern_of_names_is_refuted() -> None:
    """One character more than the role's name is another role."""
    old = PolicyDocument((Statement("Deny", ("s3:*",), ("*",)),))
    wide = PolicyDocument(
        (Statement("Deny", ("s3:*",), ("*",), conditions=(Condition("ArnNotLike", "aws:PrincipalArn", (f"{ROLE}*",)),)),)
    )
    found = compare_limits(ActionScope(), [(FULL, old)], [(FULL, wide)], [(Statement("Deny", ("*",), ("*",)), ROLE)])

    assert found.is_exact is False
    assert found.surplus


def test_condition_that_is_not_represented_does_not_hide_change() -> None:
    """The same unknown part in both versions is compared exactly; a different one is unknown."""
    odd = Condition("StringResembles", "aws:RequestedRegion", ("eu",))
    variable = Condition("ForAnyValue:StringEquals", "aws:TagKeys", ("${aws:username}",))
    exempt = Condition("ArnNotEquals", "aws:PrincipalArn", (ROLE,))
    intended = [(Statement("Deny", ("*",), ("*",)), ROLE)]
    for condition in (odd, variable):
        old, same, other = (
            PolicyDocument((Statement("Deny", ("s3:*",), ("*",), conditions=conditions),))
            for conditions in ((condition,), (condition, exempt), (exempt,))
        )
        states = [compare_limits(ActionScope(), [(FULL, old)], [(FULL, new)], intended).is_exact for new in (same, other)]
        assert states[1] is None or states[1] is False
        if condition is variable:
            assert states[0] is True


def test_budget_that_is_too_small_is_unknown() -> None:
    """Patterns that distinguish too many strings never end as an answer that is not certain."""
    patterns = tuple(f"*a{'?' * 18}{number}" for number in range(8))
    level = (FULL, PolicyDocument(tuple(Statement("Deny", ("s3:*",), (each,)) for each in patterns)))
    scope = ActionScope("aws", "222222222222", ROLE, (ActionForms("s3:GetObject"),))
    permission = Statement("Allow", ("s3:*",), ("arn:aws:s3:::data/*",))
    small = limit_permission(scope, permission, [level], budget=SearchBudget(2_000, None))
    large = limit_permission(scope, permission, [level], budget=SearchBudget(60_000, None))

    assert LimitState.UNKNOWN is small.state
    assert large.state in {LimitState.UNKNOWN, LimitState.PART}
    assert small.reasons
    assert large.reasons
