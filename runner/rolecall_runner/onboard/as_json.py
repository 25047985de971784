"""How an onboarding ended, for machines."""

from __future__ import annotations

from rolecall_generator.text import json_text
from rolecall_runner.onboard.run import Onboarded
from rolecall_runner.results.shown import shown


def onboarded_json(ended: Onboarded) -> str:
    """One object, indented, with its last newline.

    `rehearsal`: a sandbox answered instead of AWS. `verified`: all is as agreed. `let_in`: the role was assumed.
    `unseen`: changes of the newest module that no call could show. `run`: the roll call's id, null where there was none.
    `verdict` is what `Verdict.to_json` says, `entry` the customer's entry of the status file, `letter` the text to send.
    """
    body = {
        "customer": ended.target.name,
        "account_id": ended.target.account_id,
        "rehearsal": ended.rehearsal,
        "verified": ended.verified,
        "let_in": ended.last.let_in,
        "unseen": list(ended.unseen),
        "seen": ended.last.what,
        "looks": ended.last.look,
        "waited_seconds": round(ended.last.waited_seconds, 3),
        "run": ended.run or None,
        "verdict": shown(ended.verdict).to_json(),
        "letter": ended.letter,
        "entry": ended.entry.to_json(),
    }
    return json_text(body, indent=2) + "\n"
