"""Every documented form of an access-denied message is parsed: policy type, kind of deny, and policy ARN."""

from __future__ import annotations

import pytest

from rolecall_runner.verify.causes import CAUSES, customer_message
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.diagnosis import (
    DENIALS,
    Denial,
    cause_of_refused_assume,
    cause_of_refused_call,
    denial_of,
    diagnose,
)
from rolecall_runner.verify.verdict import Check, Mark, Step, Verdict
from status_rig import target

WHO = "User: arn:aws:sts::111111111111:assumed-role/backend_role/rolecall-0a1b2c is not authorized to perform: "
ASSUME = f"{WHO}sts:AssumeRole on resource: arn:aws:iam::222222222222:role/role1 "
CALL = f'{WHO}s3:GetObject on resource: "arn:aws:s3:::amzn-s3-demo-bucket1/object-name" '
RCP = "arn:aws:organizations::987654321098:policy/o-qv5af4abcd/resource_control_policy/p-2kgnabcd"
TARGET = target(backend_role_arn="arn:aws:iam::111111111111:role/backend_role")
KINDS = (
    ("identity-based policy", "an identity-based policy"),
    ("session policy", "a session policy"),
    ("session policy", "a sessions policy"),
    ("permissions boundary", "a permissions boundary"),
    ("service control policy", "a service control policy"),
    ("resource control policy", "a resource control policy"),
    ("vpc endpoint policy", "a VPC endpoint policy"),
    ("role trust policy", "the role trust policy"),
    ("resource-based policy", "a resource-based policy"),
)


@pytest.mark.parametrize(("kind", "words"), KINDS, ids=[words for _, words in KINDS])
@pytest.mark.parametrize("start", [ASSUME, CALL, f"{WHO}codecommit:ListRepositories "], ids=["assume", "call", "bare"])
def test_explicit_deny_is_parsed_with_policy_arn(kind: str, words: str, start: str) -> None:
    """With and without an ARN, at the end of a sentence, across lines, and before further text."""
    arn = "arn:aws:iam::111111111111:policy/team/deny-all"

    assert Denial(kind, explicit=True) == denial_of(f"{start}with an explicit deny in {words}")
    for after in (f": {arn}", f": {arn}.", f": {arn} Encoded authorization failure message: AbC", f':\n"{arn}"'):
        assert Denial(kind, explicit=True, arn=arn) == denial_of(f"{start}with\nan explicit deny in {words}{after}")


@pytest.mark.parametrize("kind", sorted(DENIALS))
@pytest.mark.parametrize("action", ["sts:AssumeRole", "sts:TagSession", "s3:GetObject"])
def test_implicit_deny_is_parsed(kind: str, action: str) -> None:
    """`because no KIND allows the ACTION action`, in upper or lower case."""
    text = f"{WHO}{action} because no {kind} allows the {action} action"

    assert Denial(kind, explicit=False) == denial_of(text)
    assert Denial(kind, explicit=False) == denial_of(text.replace(kind, kind.upper()))
    assert Denial(kind, explicit=False, arn=RCP) == denial_of(f"{text}: {RCP}")


def test_deny_through_another_policy_names_that_policy() -> None:
    """The AWS documentation then refers to service control policies."""
    text = f"{CALL}with an explicit deny in a VPC endpoint policy transitively through a service control policy"

    assert Denial("service control policy", explicit=True) == denial_of(text)


@pytest.mark.parametrize("text", ["", ASSUME, "Access Denied", "no policy of yours", f"{CALL}because of a session policy"])
def test_message_without_reason_names_no_policy(text: str) -> None:
    assert denial_of(text) is None


def test_every_cause_in_the_table_is_registered() -> None:
    """A policy type without a cause has an empty string."""
    causes = {
        cause
        for meaning in DENIALS.values()
        for cause in (meaning.assume_explicit, meaning.assume_implicit, meaning.call_explicit, meaning.call_implicit)
    }

    assert causes - {""} <= set(CAUSES)
    assert "own-endpoint-policy" == cause_of_refused_assume(Denial("vpc endpoint policy", explicit=True))
    assert "permission-missing" == cause_of_refused_call(Denial("identity-based policy", explicit=False))


def first_cause(step: Step, message: str) -> Verdict:
    check = Check(step, Mark.FAILED, "", "AccessDenied", message, {"action": "s3:GetObject"})
    nothing: VerifyContext = None  # type: ignore[assignment]
    return diagnose(Verdict("acme", "customer", TARGET.account_id, TARGET.role_arn, (check,)), TARGET, nothing)


@pytest.mark.parametrize(
    ("step", "words", "cause"),
    [
        (Step.ASSUME, "with an explicit deny in an identity-based policy", "own-policy-denies"),
        (Step.ASSUME, "because no session policy allows the sts:AssumeRole action", "own-session-policy"),
        (Step.ASSUME, "with an explicit deny in a session policy", "own-session-policy"),
        (Step.ASSUME, "with an explicit deny in a VPC endpoint policy", "own-endpoint-policy"),
        (Step.ASSUME, "because no VPC endpoint policy allows the sts:AssumeRole action", "own-endpoint-policy"),
        (Step.ASSUME, "because no identity-based policy allows the sts:AssumeRole action", "backend-policy-lacks-role"),
        (Step.ASSUME, "because no service control policy allows the sts:AssumeRole action", "own-organization-policy"),
        (Step.ASSUME, "with an explicit deny in the role trust policy", "trust-policy-denies"),
        (Step.GRANTED, "with an explicit deny in an identity-based policy", "role-policy-denies"),
        (Step.GRANTED, "with an explicit deny in a VPC endpoint policy", "own-endpoint-policy"),
        (Step.GRANTED, "with an explicit deny in a resource-based policy", "resource-policy-denies"),
        (Step.GRANTED, "because no service control policy allows the s3:GetObject action", "organization-policy"),
    ],
)
def test_named_policy_is_the_only_cause(step: Step, words: str, cause: str) -> None:
    """No further call is made, and neither a missing role nor the external ID is a candidate."""
    found = first_cause(step, (ASSUME if step is Step.ASSUME else CALL) + words)

    assert [cause] == [diagnosis.cause for diagnosis in found.diagnoses]
    if cause.startswith(("own-", "backend-")):
        assert "" == customer_message(found)


@pytest.mark.parametrize("kind", ["an identity-based policy", "a service control policy", "a resource control policy"])
def test_arn_of_denying_policy_is_shown(kind: str) -> None:
    """The vendor sees it, and so does the customer in the message if the customer must change that policy."""
    found = first_cause(Step.ASSUME, f"{ASSUME}with an explicit deny in {kind}: {RCP}")

    assert RCP in found.diagnoses[0].vendor
    assert (RCP in customer_message(found).replace("\n", "")) == (kind == "a resource control policy")


def test_resource_control_policy_message_has_both_exemptions() -> None:
    """The account in aws:PrincipalAccount, and the tag of AWS's example policy; code is not wrapped."""
    lines = customer_message(
        first_cause(Step.ASSUME, f"{ASSUME}with an explicit deny in a resource control policy")
    ).splitlines()

    assert '        "aws:PrincipalAccount": ["111111111111"]' in lines
    assert "    aws iam tag-role --role-name role1 --tags Key=dp:exclude:identity,Value=true" in lines
    assert '        "aws:ResourceTag/dp:exclude:identity": "true"' in lines
