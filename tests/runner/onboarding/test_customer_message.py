"""One message to a customer, by the way that the customer used; what a sandbox said is marked in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rolecall_runner.verify.causes import CAUSES, diagnosis_of
from rolecall_runner.verify.update_message import UPDATES, Form, customer_message
from rolecall_runner.verify.verdict import Verdict
from status_rig import not_there, target

WHO = target(backend_role_arn="arn:aws:iam::111111111111:role/backend_role")


def finding(*causes: str, form: str = "", rehearsal: bool = False) -> Verdict:
    diagnoses = tuple(diagnosis_of(cause, WHO, "the detail") for cause in causes)
    return replace(not_there(), diagnoses=diagnoses, form=form, rehearsal=rehearsal)


def plain(message: str) -> str:
    return " ".join(message.split())


@pytest.mark.parametrize("form", list(Form))
def test_a_known_way_is_the_only_one_that_is_named(form: Form) -> None:
    """No one is sent into EntityAlreadyExists."""
    text = plain(customer_message(finding("external-id-differs", form=form)))
    named = [each for each in Form if UPDATES[each].format(account=WHO.account_id).partition(": ")[2] in text]

    assert [form] == named
    assert "terraform apply" in text or form is not Form.TERRAFORM
    assert "EntityAlreadyExists" not in text


@pytest.mark.parametrize("form", ["", "something-newer"])
def test_an_unknown_way_is_not_guessed(form: str) -> None:
    """All ways shortly, how to tell, and the reason to stay with one."""
    text = plain(customer_message(finding("external-id-differs", form=form)))

    assert all(UPDATES[each].format(account=WHO.account_id) in text for each in Form)
    assert "EntityAlreadyExists" in text


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_no_cause_assumes_terraform(cause: str) -> None:
    """The way to apply is said once, by the message itself."""
    text = customer_message(finding(cause, form="console"))

    assert "terraform" not in text.lower()
    assert (text == "") == (CAUSES[cause].customer == "")


def test_several_findings_are_one_message() -> None:
    """Numbered; one greeting, one way to update, one thanks; lines fit a terminal."""
    text = customer_message(
        finding("role-missing", "permission-missing", "throttled", "trust-policy-denies", form="aws-cli")
    )

    assert (1, 1, 1) == (text.count("Hello,"), text.count("To update"), text.count("Thank you."))
    assert ["1.", "2.", "3."] == [line[:2] for line in text.splitlines() if line[:1].isdigit() and line[1:2] == "."]
    assert 78 >= max(map(len, text.splitlines()))


def test_what_needs_no_update_says_no_way() -> None:
    """An organization's policy is not changed by applying a module."""
    assert "To update" not in customer_message(finding("organization-policy"))


def test_a_rehearsal_is_not_to_be_sent() -> None:
    """The first line says so."""
    marked, live = (customer_message(finding("role-missing", rehearsal=each)) for each in (True, False))

    assert "[rehearsal (sandbox): do not send this]" == marked.splitlines()[0]
    assert "rehearsal" not in live
