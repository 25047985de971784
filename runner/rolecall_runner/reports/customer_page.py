"""The page about a customer's own access, which a vendor may publish to that customer: `runner status --customer-pages`.

A page is made of one target and its entry in the status file, so that it cannot show another customer. Of the entry it uses
dates, outcomes, IDs of causes and the recorded grants: no messages of AWS, no run IDs, and no paths. External IDs are left
out, although AWS does not treat them as secrets: a page may be readable by more people than the customer's administrators.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from rolecall_generator.bundle import GrantDescription, PhraseValue, RevocationMethod, grants_of, trusted_principals
from rolecall_generator.errors import OutputError, SelectionError
from rolecall_generator.html_page import html_page
from rolecall_generator.iam import Access, Condition, Role
from rolecall_generator.output import Disk, Placer, folder_lock, read_regular
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.onboarding import revocations
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.reports.status_output import history_lines, history_view, utc
from rolecall_runner.status import (
    CustomerState,
    ModuleVersion,
    RunOutcome,
    StatusEntry,
    StatusError,
    StatusReport,
    StatusRow,
    parse_date,
)
from rolecall_runner.verify import CAUSES, decode_access

MARKER = "rolecall-customer-page"
"""ID of an element of every page. Other files are not overwritten."""


class _Verdict(NamedTuple):
    """A state in the words of the customer's page. `style`: class of the header."""

    style: str
    sign: str
    title: str
    meaning: str


_VERDICTS: Mapping[CustomerState, _Verdict] = {
    CustomerState.VERIFIED: _Verdict("good", "✓", "Verified", "At the last check, the access was as agreed."),
    CustomerState.STALE: _Verdict(
        "doubt", "?", "Not checked recently", "At the last complete check, the access was as agreed. A new check is due."
    ),
    CustomerState.FAILED: _Verdict("bad", "✗", "Not as agreed", "A check found a difference from what was agreed."),
    CustomerState.DRIFTING: _Verdict(
        "bad", "≠", "Changed", "The role in your account differs from the files that you received."
    ),
    CustomerState.OUTDATED: _Verdict(
        "doubt", "!", "Newer version", "There is a newer version of the files; no check has shown that it is applied."
    ),
    CustomerState.APPLIED: _Verdict("none", "…", "Applied", "The files are applied, as far as we know. A check is due."),
    CustomerState.HANDED_OVER: _Verdict(
        "none", "…", "Waiting for you", "You have received files that are not applied yet, as far as we can see."
    ),
    CustomerState.NOT_HANDED_OVER: _Verdict("none", "-", "Not set up", "No files have been handed over to you yet."),
}

_OUTCOMES: Mapping[RunOutcome, str] = {
    RunOutcome.OK: "as agreed",
    RunOutcome.FAILED: "not as agreed",
    RunOutcome.DRIFTING: "the role was changed",
    RunOutcome.OUTDATED: "an earlier version was applied",
    RunOutcome.NOT_APPLIED: "not applied yet",
    RunOutcome.INCONCLUSIVE: "not decided",
    RunOutcome.UNREACHABLE: "AWS could not be reached",
}

_FORMS: Mapping[str, str] = {
    "terraform": "Terraform",
    "cloudformation": "CloudFormation",
    "aws-cli": "the AWS CLI script",
    "console": "the IAM console",
}


def write_customer_pages(report: StatusReport, folder: Path) -> int:
    """Write `FOLDER/NAME.html` for each customer of the report, each of them atomically. Returns the number of pages.

    Raises SelectionError if the report has no customer, StatusError for a damaged entry, and OutputError if a file cannot
    be written or was not written by this function.
    """
    rows = [row for row in report.rows if row.target.kind is TargetKind.CUSTOMER]
    if not rows:
        raise SelectionError(
            "no customers are selected", where="--customer-pages", hint="switch roles have no page; select a customer"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(folder), closing(Placer(Disk(), str(folder))) as placer:
            for row in rows:
                _check_replaceable(folder / _file_name(row))
            for row in rows:
                placer.place_file(_file_name(row), customer_page(report, row).encode())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        hint = "choose a folder that you can write to, and check its disk space"
        raise OutputError(f"the customers' pages cannot be written: {reason}", where=str(folder), hint=hint) from error
    return len(rows)


def _file_name(row: StatusRow) -> str:
    return f"{row.target.name}.html"


def _check_replaceable(path: Path) -> None:
    """Raise OutputError if there is something that this module has not written, or OSError if it cannot be read."""
    try:
        ours = MARKER.encode() in read_regular(str(path))
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.EISDIR}:
            raise
        ours = False
    if not ours:
        hint = "move it away, or choose another folder"
        raise OutputError("refusing to overwrite a file that is not a customer's page", where=os.fspath(path), hint=hint)


def customer_page(report: StatusReport, row: StatusRow) -> str:
    """The page of one customer. Raises StatusError if the recorded grants cannot be read."""
    target, entry = row.target, row.entry
    known = _received(entry)
    access = _access(report, row, known)
    role = access.roles.get(target.role_arn) if access is not None else None
    view: dict[str, Any] = {
        "marker": MARKER,
        "rehearsal": f"{REHEARSAL}, do not publish: " if report.place.rehearsal else "",
        "verdict": _VERDICTS[row.state],
        "name": target.name,
        "account_id": target.account_id,
        "time": f"{utc(report.now)} UTC",
        "todo": _todo(row),
        "facts": list(_facts(row)),
        "trust": list(_trust(role)),
        "granted": role is not None,
        "grants": _grants(target, role, access),
        "note": _note(row, known) if role is not None else "",
        "history": history_view(entry.runs, _OUTCOMES),
        "history_lines": list(history_lines(entry.runs, _OUTCOMES)),
        "revocations": _revocations(target, entry, access),
    }
    return html_page("customer", view)


def _received(entry: StatusEntry) -> ModuleVersion | None:
    """The newest module that the customer received or applied; None if what it grants is not recorded.

    A module that is only in the output folder does not concern the customer until it is handed over.
    """
    known = next((version for version in reversed(entry.versions) if not version.gone), None)
    handed = entry.handed_over
    newer = known is not None and handed is not None and handed.module != known.module and handed.date > known.date
    return None if newer else known


def _access(report: StatusReport, row: StatusRow, known: ModuleVersion | None) -> Access | None:
    if known is None:
        return None
    try:
        return decode_access(known.access)
    except ValueError as error:
        what = f"the status file is damaged ({row.target.name}: {error})"
        hint = "restore it from version control, or delete it: runner verify writes a new one"
        raise StatusError(what, where=str(report.place.status), hint=hint) from error


def _note(row: StatusRow, known: ModuleVersion | None) -> str:
    """What differs from the shown grants at present; empty if nothing does."""
    if row.state in {CustomerState.FAILED, CustomerState.DRIFTING}:
        return "This is what was agreed. The last check found that the role in your account differs from it."
    verified = row.entry.verified
    if verified is not None and known is not None and verified.module != known.module:
        return "This is the newest version that you received. Until you apply it, the earlier version stays in force."
    return "The files grant this once you apply them." if verified is None and row.entry.applied is None else ""


def _todo(row: StatusRow) -> Sequence[str]:
    """What the customer has to do, as sentences."""
    if row.state is CustomerState.HANDED_OVER:
        return _apply_steps(row.entry, row.target)
    if row.state in {CustomerState.FAILED, CustomerState.DRIFTING}:
        return _problem_steps(row)
    if row.state is CustomerState.OUTDATED:
        return (
            "If you have received newer files than those that you applied, apply them. Otherwise you have nothing to do.",
        )
    return ("You have nothing to do.",)


def _apply_steps(entry: StatusEntry, target: Target) -> Sequence[str]:
    when = f", which you received on {entry.handed_over.date[:10]}" if entry.handed_over is not None else ""
    apply = f"Apply the files{when}, in account {target.account_id}. Their README.md describes how."
    again = "If you have applied earlier files, use the same way again; another one fails because the role exists."
    form = _form(entry)
    return (apply, f"According to our records, you use {form} for this." if form else again)


def _form(entry: StatusEntry) -> str:
    """How the customer applies files; empty if not known."""
    return _FORMS.get(entry.form or "", "")


def _problem_steps(row: StatusRow) -> Sequence[str]:
    entry = row.entry
    problem = entry.failed if row.state is CustomerState.FAILED else entry.drifting
    causes = [CAUSES[cause] for cause in (problem.causes if problem is not None else ()) if cause in CAUSES]
    if causes and not any(cause.customer for cause in causes):
        return ("You have nothing to do at the moment: the likely cause is on our side.",)
    message = "Our message to you names what differs, and what to change."
    if not any(cause.update for cause in causes):
        return (message,)
    form = _form(entry)
    how = f" with {form}" if form else ", in the same way as before"
    return (message, f"If you have not changed the role on purpose, apply the newest files that you received again{how}.")


def _facts(row: StatusRow) -> Iterator[tuple[str, str]]:
    """Labels and values, without those that are not known."""
    target, entry = row.target, row.entry
    yield "Role in your account", target.role_arn
    yield "Last verified", _when(entry.verified.date) if entry.verified is not None else "never"
    last = entry.runs[-1] if entry.history else None
    if last is not None and (entry.verified is None or last.date > entry.verified.date):
        yield "Last attempt", f"{_when(last.date)}: {_OUTCOMES[last.outcome]}"
    problem = {CustomerState.FAILED: entry.failed, CustomerState.DRIFTING: entry.drifting}.get(row.state)
    if problem is not None:
        yield "Different since", _when(problem.since)
    if entry.handed_over is not None:
        yield "Files received", _when(entry.handed_over.date)
    if entry.applied is not None:
        yield "First used", _when(entry.applied)
    if form := _form(entry):
        yield "Method", form


def _trust(role: Role | None) -> Iterator[tuple[str, Any]]:
    """Who may assume the role, in the words of the security review, and whether an external ID is required."""
    if role is None or role.trust is None:
        return
    yield "Who may assume it", trusted_principals(role)
    allowing = [statement.conditions for statement in role.trust.statements if statement.effect == "Allow"]
    if allowing and all(any(_requires_external_id(each) for each in conditions) for conditions in allowing):
        yield "External ID", "Every request must have the external ID that you received with the files."
    elif any(each.key.lower() == _EXTERNAL_ID for statement in role.trust.statements for each in statement.conditions):
        yield "External ID", "The conditions are in the security review that you received with the files."
    else:
        yield "External ID", "Not required."


_EXTERNAL_ID = "sts:externalid"


def _requires_external_id(condition: Condition) -> bool:
    return condition.key.lower() == _EXTERNAL_ID and condition.operator == "StringEquals"


def _when(date: str) -> str:
    found: datetime = parse_date(date)
    return f"{utc(found)} UTC"


def _grants(target: Target, role: Role | None, access: Access | None) -> Sequence[GrantDescription]:
    """The permissions in the words of the security review, without external IDs."""
    if role is None or access is None:
        return ()
    secrets = [each for each in (target.external_id, target.previous_external_id, target.retired_external_id) if each]

    def visible(part: str | PhraseValue) -> str | PhraseValue:
        hidden = isinstance(part, PhraseValue) and any(secret in part.text for secret in secrets)
        return PhraseValue("(external ID)") if hidden else part

    return [
        replace(grant, sentence=replace(grant.sentence, parts=tuple(map(visible, grant.sentence.parts))))
        for grant in grants_of(role, access)
    ]


def _revocations(target: Target, entry: StatusEntry, access: Access | None) -> Sequence[RevocationMethod]:
    """Empty if nothing was handed over. Without recorded grants, of a role with the target's ARN."""
    if access is None and entry.handed_over is None and entry.applied is None and entry.verified is None:
        return ()
    known = access or Access.of(Role(target.role_arn, None, max_session_seconds=target.max_session_seconds))
    return revocations(target, known, {entry.form} if entry.form else ())
