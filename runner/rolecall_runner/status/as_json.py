"""The fleet's state for machines."""

from __future__ import annotations

from rolecall_generator.text import json_text
from rolecall_runner.status.report import Report
from rolecall_runner.status.states import State


def status_json(report: Report) -> str:
    """The object `{"status": FILE, "rehearsal": bool, "counts": {state: number}, "accounts": [...]}` with its newline.

    Each account has name, kind, account_id, state, since (ISO 8601 or null), what, and the file's own entry.
    """
    body = {
        "status": str(report.place.status),
        "rehearsal": report.place.rehearsal,
        "counts": {str(state): report.counts.get(state, 0) for state in State},
        "accounts": [
            {
                "name": row.target.name,
                "kind": str(row.target.kind),
                "account_id": row.target.account_id,
                "state": str(row.state),
                "since": row.since.isoformat() if row.since is not None else None,
                "what": row.what,
                "bundle_is_old": row.bundle_is_old,
                "entry": row.entry.to_json(),
            }
            for row in report.rows
        ],
    }
    return json_text(body, indent=2) + "\n"
