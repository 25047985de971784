"""Verdicts to display: a small verify run with one account per kind of failure, and large ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from rolecall_runner.verify.customer_message import customer_message
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from rolecall_runner.verify.verify_target import RunInfo

INFO = RunInfo(
    run_id="0a1b2c3d",
    manifest="accounts.yaml",
    selection="all",
    started=datetime(2026, 11, 24, 9, 0, tzinfo=UTC),
    ended=datetime(2026, 11, 24, 9, 0, tzinfo=UTC) + timedelta(seconds=12.34),
    caller_arn="arn:aws:sts::111111111111:assumed-role/backend_role/i-0123456789abcdef0",
    version="0.1.0",
)

REFUSAL = (
    "User: arn:aws:sts::111111111111:assumed-role/backend_role/rolecall-0a1b2c3d is not authorized to perform: "
    "sts:AssumeRole on resource: arn:aws:iam::222222222222:role/role1"
)

ASSUME_STEPS = (
    Check(Step.ASSUME, Mark.OK, "The role was assumed with its external ID.", seconds=0.11),
    Check(Step.IDENTITY, Mark.OK, "The session belongs to the role, in the expected account.", seconds=0.02),
    Check(Step.NO_EXTERNAL_ID, Mark.REFUSED, "Without external ID it was refused.", "AccessDenied", REFUSAL, seconds=0.05),
    Check(Step.OTHER_EXTERNAL_ID, Mark.REFUSED, "With another customer's id it was refused.", "AccessDenied", REFUSAL),
    Check(Step.MADE_UP_EXTERNAL_ID, Mark.REFUSED, "With a made-up id it was refused.", "AccessDenied", REFUSAL),
    Check(Step.ASSUME_AGAIN, Mark.OK, "With the right id it was assumed again.", seconds=0.08),
    Check(Step.GRANTED, Mark.OK, "ec2:DescribeInstances in us-east-1 is allowed.", "DryRunOperation"),
    Check(Step.GRANTED, Mark.OK, "s3:ListBucket on example-bucket is allowed."),
    Check(Step.DRIFT, Mark.SKIPPED, "Not checkable: the role may not read itself."),
)

LETTER = (
    "the role role1 in your account 222222222222 can be assumed without our external ID. Please apply the module that we "
    "sent you again:\n\n    terraform apply"
)


def verdict(name: str = "account1", *, number: int = 0, kind: str = "customer", **changed: object) -> Verdict:
    """A verdict in which all is ok; keywords in lowercase replace the mark of a step: `assume_again="failed"`."""
    account = str(222_222_222_222 + number)
    marks = {Step(key.replace("_", "-")): Mark(str(mark)) for key, mark in changed.items()}
    checks = tuple(_with(check, marks[check.step]) if check.step in marks else check for check in ASSUME_STEPS)
    return Verdict(name, kind, account, f"arn:aws:iam::{account}:role/role1", checks)


def without_external_id(name: str = "account2", number: int = 1) -> Verdict:
    """A role that can be assumed without an external ID, with its diagnosis."""
    found = verdict(name, number=number)
    opened = Check(
        Step.NO_EXTERNAL_ID, Mark.FAILED, "The role was assumed without any external ID.", evidence={"external_id": None}
    )
    checks = (*found.checks[:2], opened, *found.checks[3:])
    vendor = "The trust policy has no condition on sts:ExternalId; ask the customer to apply the module again."
    diagnosis = Diagnosis("no-external-id-condition", vendor, LETTER)
    return Verdict(found.name, found.kind, found.account_id, found.role_arn, checks, (diagnosis,))


def refused(name: str = "account3", number: int = 2) -> Verdict:
    """A role that cannot be assumed at all."""
    account = str(222_222_222_222 + number)
    checks = (
        Check(Step.ASSUME, Mark.FAILED, "The role could not be assumed.", "AccessDenied", REFUSAL, {"tried": 2}, 0.31, 2),
        *(Check(check.step, Mark.SKIPPED, "Not tried: the role cannot be assumed.") for check in ASSUME_STEPS[1:6]),
    )
    diagnosis = Diagnosis("not-applied", "The role does not exist yet, or trusts another principal.", "Please apply it.")
    return Verdict(name, "customer", account, f"arn:aws:iam::{account}:role/role1", checks, (diagnosis,))


def mixed() -> list[Verdict]:
    """One of every kind."""
    return [
        verdict("account1"),
        without_external_id(),
        refused(),
        verdict("acme-production-europe", number=3, other_external_id="inconclusive"),
        verdict("globex", number=4, assume="unreachable"),
        Verdict("initech", "customer", "222222222227", "arn:aws:iam::222222222227:role/role1", (
            Check(Step.ASSUME, Mark.SKIPPED, "Not selected for probing."),
        )),
        verdict("reena-in-sumesh", number=5, kind="switch-role"),
    ]  # fmt: skip


def many(count: int, failing: int = 0) -> Iterator[Verdict]:
    """This many customers; the last `failing` of them can be assumed without an external ID."""
    for number in range(count):
        name = f"customer-{number}"
        yield without_external_id(name, number) if number >= count - failing else verdict(name, number=number)


def _with(check: Check, mark: Mark) -> Check:
    message = "Rate exceeded" if mark is Mark.INCONCLUSIVE else "Could not connect to the endpoint URL"
    return Check(check.step, mark, f"{check.what} Or not.", "Throttling", message, seconds=check.seconds, attempts=3)


MESSAGE = customer_message(without_external_id()).rstrip("\n")
"""The complete message to the customer of `without_external_id`."""
