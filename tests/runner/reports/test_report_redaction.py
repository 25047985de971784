"""No report contains a secret, and identifiers are not redacted."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consoles import pipe
from rolecall_runner.reports.formatters.html import run_html
from rolecall_runner.reports.formatters.json import json_line, run_json
from rolecall_runner.reports.formatters.junit import run_junit
from rolecall_runner.reports.progress import VerifyProgress
from rolecall_runner.reports.summary import print_summary, tally
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from verdict_worlds import INFO, mixed, verdict

KEY_ID = "ASIAIOSFODNN7EXACDEF"
FORTY_CHARACTERS = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1"
TOKEN = "IQoJb3JpZ2luX2VjE" + "AbCd1234+/" * 30 + "=="
WORD = "swordfish"
SECRETS = (KEY_ID, FORTY_CHARACTERS, TOKEN, WORD)


def leaking() -> Verdict:
    """A verdict with secrets in every string."""
    text = f"the key {KEY_ID} with {FORTY_CHARACTERS} and {TOKEN}, SecretAccessKey: {WORD}"
    evidence = {"SecretAccessKey": WORD, "tried": [{"a": text}], text: 1}
    check = Check(Step.ASSUME, Mark.FAILED, text, f"Code {KEY_ID}", text, evidence)
    return Verdict("account1", "customer", "222222222222", "arn:role", (check,), (Diagnosis("cause", text, text),))


def recap_text(found: Verdict) -> str:
    file = io.StringIO()
    print_summary(pipe(file), INFO, [found])
    return file.getvalue()


def progress_line(found: Verdict) -> str:
    file = io.StringIO()
    with VerifyProgress(pipe(file)) as progress:
        progress.finished(found)
    return file.getvalue()


FACES: dict[str, Callable[[Verdict], str]] = {
    "json": lambda found: run_json(INFO, [found]),
    "jsonl": json_line,
    "junit": lambda found: run_junit(INFO, [found]),
    "html": lambda found: "".join(run_html(INFO, [found], picture_svg="")),
    "recap": recap_text,
    "progress": progress_line,
}


@pytest.mark.parametrize("face", FACES)
def test_reports_contain_no_secret(face: str) -> None:
    """Key IDs, secret keys, tokens and values after their names are redacted in every string."""
    text = FACES[face](leaking())

    assert [] == [secret for secret in SECRETS if secret in text]
    assert KEY_ID[-4:] in text


@given(st.text(alphabet="abcdefgh/ABCDEFGH123456", min_size=1, max_size=60))
def test_role_arn_is_not_redacted(path: str) -> None:
    """A long path and name can resemble a secret key."""
    arn = f"arn:aws:iam::222222222222:role/{path}"
    check = Check(Step.ASSUME, Mark.FAILED, f"{arn} cannot be assumed.", "AccessDenied", f"not authorized on {arn}")
    letter = Diagnosis("cause", f"look at {arn}", f"Please apply {arn}")
    found = Verdict("a", "customer", "222222222222", arn, (check,), (letter,)).redacted()

    assert f"not authorized on {arn}" == found.checks[0].message
    assert f"Please apply {arn}" == found.diagnoses[0].customer


def test_switch_role_is_labeled() -> None:
    """A customer may have the same name."""
    assert "two lines" == verdict("two\nlines").label
    assert "reena (switch role)" == verdict("reena", kind="switch-role").label


def test_json_lines_round_trip() -> None:
    lines = [json_line(found) for found in mixed()]

    assert [found.redacted() for found in mixed()] == [Verdict.from_json(json.loads(line)) for line in lines]
    assert [1] * len(lines) == [line.count("\n") for line in lines]


def test_run_object_counts_accounts_by_mark() -> None:
    body = json.loads(run_json(INFO, mixed()))

    assert {"ok": 2, "refused": 0, "skipped": 1, "inconclusive": 1, "unreachable": 1, "failed": 2} == body["accounts"]
    assert (False, "0a1b2c3d", 12.34) == (body["ok"], body["run"]["run_id"], body["run"]["seconds"])
    assert 7 == len(body["verdicts"])


@pytest.mark.parametrize(
    ("verdicts", "targets", "good", "headline", "rest"),
    [
        ([], 0, False, "No account selected", ""),
        ([verdict()], 0, True, "1 of 1 account passed", ""),
        ([verdict()] * 3, 0, True, "All 3 accounts passed", ""),
        ([verdict()] * 3, 5, False, "3 of 5 accounts passed", "2 not verified"),
        ([verdict(assume="failed")], 0, False, "0 of 1 account passed", "1 failed"),
        ([mixed()[5]], 0, False, "No account verified: all were skipped", "1 skipped"),
        ([mixed()[5], verdict()], 0, True, "1 of 1 account passed", "1 skipped"),
    ],
)
def test_headline_does_not_overstate_the_result(
    verdicts: list[Verdict], targets: int, good: bool, headline: str, rest: str
) -> None:
    """An empty or interrupted run is not ok; skipped accounts are not failures."""
    counted = tally(verdicts, targets)

    assert (good, headline, rest) == (counted.passed, counted.headline(), counted.rest())
