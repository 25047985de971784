"""Fleets in every state with a history of verifications, for the pages of `runner status`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_runner.inventory.targets import Target
from rolecall_runner.status.overview import (
    STALE_AFTER,
    CurrentDigests,
    StatusPlace,
    StatusReport,
    by_urgency,
    counts,
    overview,
)
from rolecall_runner.status.status_file import HandoverRecord, ModuleVersion, StatusEntry, StatusFile, stamp
from rolecall_runner.status.update import apply_verdict
from rolecall_runner.verify.context import encode_access
from rolecall_runner.verify.verdict import Diagnosis, Verdict
from status_rig import NEW, NOW, OLD, drifted, not_there, switch_role
from verdict_worlds import verdict, without_external_id

PLACE = StatusPlace(Path("accounts.yaml"), Path("output"))
BACKEND_ROLE = "arn:aws:iam::111111111111:role/backend_role"


def customer(number: int, name: str = "") -> Target:
    """A customer; its external ID is `id-of-customer-NUMBER`."""
    account = str(200_000_000_000 + number)
    return Target(
        name or f"customer-{number:03}",
        account,
        "aws",
        f"arn:aws:iam::{account}:role/VendorAccess",
        f"id-of-customer-{number}",
        backend_role_arn=BACKEND_ROLE,
    )


def module_of(target: Target) -> dict[str, Any]:
    """A snapshot of a module that lets the backend role read one bucket."""
    condition = Condition("StringEquals", "sts:ExternalId", (target.external_id or "",))
    trust = Statement(
        "Allow", ("sts:AssumeRole",), (), principals=(Principal("AWS", BACKEND_ROLE),), conditions=(condition,)
    )
    grant = Statement(
        "Allow", ("s3:GetObject", "s3:ListBucket"), (f"arn:aws:s3:::{target.name}", f"arn:aws:s3:::{target.name}/*")
    )
    role = Role(target.role_arn, PolicyDocument((trust,)), {"main": PolicyDocument((grant,))})
    return encode_access(Access.of(role))


def nightly(
    target: Target,
    verdicts: Sequence[Verdict],
    entry: StatusEntry | None = None,
    *,
    days_ago: int = 0,
    module: str = NEW,
) -> StatusEntry:
    """The entry after one verification per night, the last one this many days ago."""
    found = entry or StatusEntry(target.role_arn)
    for night, each in enumerate(verdicts):
        date = stamp(NOW - timedelta(days=days_ago + len(verdicts) - 1 - night, hours=10))
        own = replace(each, name=target.name, account_id=target.account_id, role_arn=target.role_arn)
        found = apply_verdict(
            found, target, own, date=date, run=f"run-{night}", module=module, access=lambda: module_of(target)
        )
    return found


def handed_over(target: Target, module: str = NEW, days_ago: int = 3) -> StatusEntry:
    """The entry of a customer that has received a module and not applied it."""
    date = stamp(NOW - timedelta(days=days_ago))
    versions = (ModuleVersion(module, date, module_of(target)),)
    return StatusEntry(
        target.role_arn, handed_over=HandoverRecord(date, "b" * 64, module), form="cloudformation", versions=versions
    )


def open_role() -> Verdict:
    """A role that can be assumed without an external ID."""
    return without_external_id()


def refused_role() -> Verdict:
    """A role that has never been assumed."""
    return replace(not_there(), diagnoses=(Diagnosis("role-missing", "Have it applied.", "please apply it."),))


def mixed_fleet() -> list[tuple[Target, StatusEntry]]:
    """Every state, and every outcome of a run."""
    ok = verdict()
    names = ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka", "tyrell", "cyberdyne", "massive"]
    one = [customer(number, name) for number, name in enumerate(names)]
    return [
        (one[0], nightly(one[0], [ok] * 25 + [open_role()] * 5)),
        (one[1], nightly(one[1], [ok] * 10 + [drifted()] * 2 + [ok] * 12 + [drifted()] * 3)),
        (one[2], nightly(one[2], [ok] * 30, days_ago=12)),
        (one[3], handed_over(one[3])),
        (one[4], nightly(one[4], [refused_role()] * 4, handed_over(one[4], days_ago=9))),
        (one[5], nightly(one[5], [ok] * 12 + [verdict(assume="inconclusive")] + [ok] * 17)),
        (one[6], nightly(one[6], [open_role()] * 2 + [ok] * 20 + [verdict(assume="unreachable")] * 2)),
        (one[7], replace(nightly(one[7], [ok] * 30, module=OLD), form="terraform")),
        (one[8], StatusEntry(one[8].role_arn)),
        (one[9], nightly(one[9], [ok] * 30)),
        (one[10], StatusEntry(one[10].role_arn, applied=stamp(NOW - timedelta(hours=2)))),
        (switch_role(), StatusEntry(switch_role().role_arn)),
    ]


def fleet(count: int, failing: int = 0) -> Iterator[tuple[Target, StatusEntry]]:
    """This many customers with 30 verifications; the last `failing` of them fail now and then."""
    ok = verdict()
    for number in range(count):
        target = customer(number)
        unsteady = [ok, ok, open_role(), ok, drifted()] * 6
        yield target, nightly(target, unsteady if number >= count - failing else [ok] * 30)


def report_of(
    entries: Sequence[tuple[Target, StatusEntry]], *, module: str = NEW, place: StatusPlace = PLACE
) -> StatusReport:
    """The report on these accounts. `module`: digest of each account's written module."""
    status = StatusFile({target.key: entry for target, entry in entries})
    digests = CurrentDigests(module, "b" * 64)
    rows = overview([target for target, _ in entries], status, lambda _target: digests, now=NOW, stale_after=STALE_AFTER)
    return StatusReport(place, by_urgency(rows), counts(rows), NOW)
