"""A run's verdicts into the status file: one write, however many accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rolecall_generator.status_file import status_path
from rolecall_runner.status.digests import Written
from rolecall_runner.status.entry import Entry
from rolecall_runner.status.file import Key, Status, change_status, key_of, stamp
from rolecall_runner.status.noting import heard
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.changed import same_access
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.snapshot import encode_access
from rolecall_runner.tasks.verify.verdict import Verdict


def note_verdicts(
    out: Path,
    targets: Iterable[Target],
    verdicts: Iterable[Verdict],
    *,
    now: datetime,
    run: str,
    rehearsal: bool,
    context: VerifyContext,
    modules: Written,
) -> Status:
    """Note what a roll call found. `verdicts` are taken once. Raises StatusError.

    `context` is the run's: it has what the newest modules grant. `modules` are those that were written when the run began.
    """
    date = stamp(now)
    by_key = {key_of(target): target for target in targets}

    def change(before: Status) -> Mapping[Key, Entry]:
        found: dict[Key, Entry] = {}
        for verdict in verdicts:
            key = (verdict.kind, verdict.name)
            target = by_key[key]
            found[key] = heard(
                before.of(target),
                target,
                verdict,
                date=date,
                run=run,
                module=modules.module(target) if _is_current(target, context) else "",
                access=lambda target=target: _snapshot(target, context),  # type: ignore[misc]
            )
        return found

    return change_status(status_path(out, rehearsal=rehearsal), change)


def _is_current(target: Target, context: VerifyContext) -> bool:
    """Whether the written module grants what the manifest says: a roll call is held against the manifest."""
    found, wanted = context.written.get(target.role_arn), context.intended.get(target.role_arn)
    if found is None or wanted is None:
        return True
    return found == wanted or same_access(found, wanted)


def _snapshot(target: Target, context: VerifyContext) -> dict[str, Any] | None:
    access = context.intended.get(target.role_arn)
    return None if access is None else encode_access(access)
