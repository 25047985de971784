"""The message to the customer: what was checked, what the role can do, how to remove it, or what to fix."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from onboard_rig import START
from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_runner.onboarding import SentBundle, failure_message, success_message
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from sandbox_rig import allow
from status_rig import not_there, target
from verdict_worlds import verdict

WHO = target(backend_role_arn="arn:aws:iam::111111111111:role/backend_role")
READS = PolicyDocument.from_json(json.loads(json.dumps(allow("s3:GetObject", resource="arn:aws:s3:::example-bucket/*"))))
ROLE = Role(WHO.role_arn, None, {"read": READS}, frozenset({"arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"}))
RUN = "20261124-120000-0a1b2c"


def tried(step: Step, mark: Mark, *actions: str) -> tuple[Check, ...]:
    return tuple(Check(step, mark, "...", evidence={"action": action}) for action in actions)


def letter(found: Verdict | None = None, sent: SentBundle | None = None) -> str:
    access = Access.of(ROLE)
    return success_message(WHO, found or verdict(), access, sent or SentBundle(), now=START, run=RUN)


def section(text: str, title: str) -> list[str]:
    """The list items below a heading."""
    return next(part for part in text.split("\n\n") if part.startswith(f"{title}:")).splitlines()[1:]


def test_message_lists_what_was_checked() -> None:
    """The right external ID is accepted, wrong ones are refused, granted actions work; what is not checkable is listed."""
    checks = (*verdict().checks[:6], *tried(Step.GRANTED, Mark.OK, "s3:GetObject", "ec2:DescribeVpcs"), verdict().checks[-1])
    saw = section(letter(replace(verdict(), checks=checks)), "What we verified")

    assert (
        "- Our role arn:aws:iam::111111111111:role/backend_role can assume arn:aws:iam::222222222222:role/role1 "
        "with the external ID that we agreed on."
    ) == saw[0]
    assert "without an external ID, with another customer's external ID and with a made-up external ID" in saw[1]
    assert "- Of the permissions that you granted, we tried s3:GetObject and ec2:DescribeVpcs: they work." == saw[2]
    assert "- The role may not read its own policies, so we cannot see later changes to them." == saw[3]


def test_message_lists_only_checks_that_ran() -> None:
    """A skipped check is not reported as a refusal; a role that reads itself is reported as unchanged."""
    saw = section(letter(verdict(other_external_id="skipped", drift="ok")), "What we verified")

    assert "another customer's" not in " ".join(saw)
    assert "- The role is as it was handed over to you." == saw[-1]


def test_message_lists_granted_and_refused_actions() -> None:
    """From the intended access, worded as in the bundle review, with refused actions as an example."""
    found = replace(verdict(), checks=(*verdict().checks, *tried(Step.OUTSIDE, Mark.REFUSED, "iam:ListUsers")))
    text = letter(found)

    can = section(text, "What we can do")
    assert "- Allows s3:GetObject on arn:aws:s3:::example-bucket/*." == can[0]
    assert [True] == ["AmazonEC2ReadOnlyAccess" in line for line in can[1:]]
    assert "- We tried iam:ListUsers: AWS refused, as intended." == section(text, "What we cannot do")[-1]


def test_long_list_of_actions_is_truncated() -> None:
    """Eight are listed, the rest is counted."""
    checks = tried(Step.GRANTED, Mark.OK, *(f"ec2:Describe{number}" for number in range(12)))
    text = letter(replace(verdict(), checks=checks))

    assert "ec2:Describe6, ec2:Describe7 and 4 more: they work." in text


def test_message_explains_how_to_remove_access() -> None:
    """With the methods of the bundle, or all methods if no bundle is known. The console needs no files."""
    ways = [
        {line[2:].partition(":")[0] for line in section(letter(sent=sent), "How you can revoke it")}
        for sent in (SentBundle(), SentBundle(frozenset({"terraform", "review"})))
    ]

    assert {"Immediately", "Running sessions", "Terraform", "CloudFormation", "AWS CLI", "Console"} == ways[0]
    assert {"Immediately", "Running sessions", "Terraform", "Console"} == ways[1]


def test_message_names_session_in_cloudtrail() -> None:
    """The session name is that of the run."""
    assert "this check has the session name rolecall-0a1b2c;" in letter()


def test_single_cause_has_its_own_message() -> None:
    """With greeting, file and thanks once each."""
    found = replace(not_there(), diagnoses=(Diagnosis("drift", "", "the role differs."),))

    assert (
        "Hello,\n\nthe role differs.\n\nThe newest files are in acme.zip, sent on 2026-11-16; its README.md has the\n"
        "details.\n\nThank you.\n"
    ) == failure_message(found, SentBundle(frozenset(), "acme.zip", "2026-11-16T12:00:00+00:00"))


def test_several_causes_are_numbered() -> None:
    """The most likely first, one sentence each; the vendor's own causes are left out."""
    found = replace(
        not_there(), diagnoses=(*not_there().diagnoses[:2], Diagnosis("backend-policy-not-applied", "Ours.", ""))
    )
    text = failure_message(found, SentBundle())

    assert ["1. Please apply it.", "2. Please apply it."] == [line for line in text.splitlines() if line[:1].isdigit()]
    assert text.startswith("Hello,\n\nthe access to your AWS account 222222222222 is not as agreed yet.")
    assert 1 == text.count("Hello,") == text.count("Thank you.")
    assert "Ours" not in text


def test_vendor_causes_need_no_message() -> None:
    """The customer has nothing to do."""
    assert "" == failure_message(replace(not_there(), diagnoses=(Diagnosis("throttled", "Wait.", ""),)), SentBundle())


@pytest.mark.parametrize("secret", ["AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"])
def test_message_contains_no_secret(secret: str) -> None:
    """Even if the AWS message in a verdict has one."""
    bad = Diagnosis("drift", "", f"it shows {secret}.")
    texts = (
        letter(replace(verdict(), checks=tried(Step.GRANTED, Mark.OK, secret))),
        failure_message(replace(not_there(), diagnoses=(bad,)), SentBundle()),
    )

    assert [False, False] == [secret in text for text in texts]
