"""Query journals written directly: replies of accounts, without requests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import Result
from rolecall_runner.execution.journal import Journal, RunRecord
from rolecall_runner.query.execute import Reason, RegionResult, outcome_of

BEGIN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Answering:
    """Result of an account in one Region: rows, or a reason for none."""

    account: str
    rows: Sequence[Mapping[str, Any]] = ()
    region: str = "us-east-1"
    reason: Reason = Reason.OK
    error: str = ""


def write_run(  # noqa: PLR0913 - each has a default, and its test
    runs: Path,
    number: int,
    answers: Iterable[Answering],
    *,
    service: str = "ec2",
    operation: str = "DescribeInstances",
    name: str = "",
    task: str = "query",
    failed: Iterable[str] = (),
    rehearsal: bool = False,
    **question: Any,
) -> str:
    """A run whose ID sorts by `number`. `question`: other fields of its record; `failed`: targets without a session."""
    moment = BEGIN + timedelta(hours=number)
    run_id = f"{moment:%Y%m%d-%H%M%S}-{number:06x}"
    body = {"query": name or f"{service} {operation}", "service": service, "operation": operation, **question}
    whole = list(answers)
    record = RunRecord(
        run_id,
        task,
        "accounts.yaml",
        "f",
        "all",
        len(whole),
        moment.isoformat(),
        json.dumps(body),
        "0",
        moment.isoformat(),
        rehearsal,
    )
    by_account: dict[str, list[RegionResult]] = {}
    for each in whole:
        code = "" if each.reason is Reason.OK else "AccessDenied"
        place = RegionResult(each.region, each.reason, moment.isoformat(), tuple(each.rows), code, each.error)
        by_account.setdefault(each.account, []).append(place)
    with Journal.start(runs, record) as journal:
        for index, (account, places) in enumerate(by_account.items()):
            outcome = outcome_of(f"{222222222222 + index}", places)
            journal.add(Result(account, task, outcome.status, moment, data=outcome.data, error=outcome.error))
        for account in failed:
            journal.add(Result(account, task, Status.UNREACHABLE, moment, error="no route to STS", code="EndpointError"))
    return run_id
