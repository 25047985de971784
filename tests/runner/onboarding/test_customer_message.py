"""One message per customer for the customer's apply method; messages about a sandbox are marked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rolecall_runner.verify.causes import CAUSES, UPDATES, Form, customer_message, diagnosis_of
from rolecall_runner.verify.verdict import Verdict
from status_rig import not_there, target

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
