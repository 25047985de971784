"""The message to the customer: what was checked and granted, or what to fix and how the customer applies it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from onboard_rig import START
from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_runner.onboarding import SentBundle, failure_message, success_message
from rolecall_runner.verify.causes import CAUSES, diagnosis_of
from rolecall_runner.verify.customer_message import UPDATES, Form, customer_message
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from sandbox_rig import allow
from status_rig import not_there, target
from verdict_worlds import verdict

WHO = target(backend_role_arn="arn:aws:iam::111111111111:role/backend_role")


def finding(*causes: str, form: str = "", rehearsal: bool = False) -> Verdict:
    diagnoses = tuple(diagnosis_of(cause, WHO, "the detail") for cause in causes)
    return replace(not_there(), diagnoses=diagnoses, form=form, rehearsal=rehearsal)


def plain(message: str) -> str:
    return " ".join(message.split())


@pytest.mark.parametrize("form", list(Form))
def test_known_apply_method_is_the_only_one_named(form: Form) -> None:
    """Another method would end in EntityAlreadyExists."""
    text = plain(customer_message(finding("external-id-differs", form=form)))
    named = [each for each in Form if UPDATES[each].format(account=WHO.account_id).partition(": ")[2] in text]

    assert [form] == named
    assert "terraform apply" in text or form is not Form.TERRAFORM
    assert "EntityAlreadyExists" not in text


@pytest.mark.parametrize("form", ["", "something-newer"])
def test_unknown_apply_method_lists_all(form: str) -> None:
    """A short entry per method, how to tell them apart, and why to keep the one in use."""
    text = plain(customer_message(finding("external-id-differs", form=form)))

    assert all(UPDATES[each].format(account=WHO.account_id) in text for each in Form)
    assert "EntityAlreadyExists" in text


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_causes_do_not_assume_terraform(cause: str) -> None:
    """The message itself gives the apply method, once."""
    text = customer_message(finding(cause, form="console"))

    assert "terraform" not in text.lower()
    assert (text == "") == (CAUSES[cause].customer == "")


def test_several_findings_are_one_message() -> None:
    """Numbered findings, one greeting, one update instruction, one thanks; lines fit the terminal."""
    text = customer_message(
        finding("role-missing", "permission-missing", "throttled", "trust-policy-denies", form="aws-cli")
    )

    assert (1, 1, 1) == (text.count("Hello,"), text.count("To update"), text.count("Thank you."))
    assert ["1.", "2.", "3."] == [line[:2] for line in text.splitlines() if line[:1].isdigit() and line[1:2] == "."]
    assert 78 >= max(map(len, text.splitlines()))


def test_finding_without_update_names_no_apply_method() -> None:
    """A change to a policy of the organization does not require applying a module."""
    assert "To update" not in customer_message(finding("organization-policy"))


def test_rehearsal_message_is_marked_as_not_to_be_sent() -> None:
    """In its first line."""
    marked, live = (customer_message(finding("role-missing", rehearsal=each)) for each in (True, False))

    assert "[rehearsal (sandbox): do not send this]" == marked.splitlines()[0]
    assert "rehearsal" not in live


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
    assert "this check has the session name rolecall-0a1b2c;" in letter()


def test_single_cause_has_its_own_message() -> None:
    """With greeting, file and thanks once each."""
    found = replace(not_there(), diagnoses=(Diagnosis("drift", "", "the role differs."),))

    assert (
        "Hello,\n\nthe role differs.\n\nThe newest files are in acme.zip, sent on 2026-11-16; its README.md has the\n"
        "details.\n\nThank you.\n"
    ) == failure_message(found, SentBundle(frozenset(), "acme.zip", "2026-11-16T12:00:00+00:00"))


@pytest.mark.parametrize("secret", ["AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"])
def test_message_contains_no_secret(secret: str) -> None:
    """Even if the AWS message in a verdict has one."""
    bad = Diagnosis("drift", "", f"it shows {secret}.")
    texts = (
        letter(replace(verdict(), checks=tried(Step.GRANTED, Mark.OK, secret))),
        failure_message(replace(not_there(), diagnoses=(bad,)), SentBundle()),
    )

    assert [False, False] == [secret in text for text in texts]
