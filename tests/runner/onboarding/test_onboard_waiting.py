"""The wait for the customer's apply, its result, and the documentation of both."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest

from consoles import pipe, terminal
from onboard_rig import Day
from rolecall_generator.records import status_path
from rolecall_runner.onboarding import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    VERIFY_ATTEMPTS,
    OnboardingResult,
    PollAttempt,
    PollOptions,
    describe,
    pause_seconds,
    wait_for_role,
)
from rolecall_runner.reports.onboarding_output import WaitDisplay, format_duration, headline, next_step, onboarding_json
from rolecall_runner.reports.status_output import ALL_SHOWN
from rolecall_runner.status.overview import STALE_AFTER, CustomerState, StatusPlace
from rolecall_runner.status.status_file import Pending, StatusEntry, read_status
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from status_rig import MONDAY, NEW, not_there, target
from verdict_worlds import verdict

NEVER = [not_there()] * 10_000


def with_causes(*causes: str, mark: Mark = Mark.FAILED) -> Verdict:
    """An attempt that failed with these causes."""
    check = Check(Step.ASSUME, mark, "...")
    return replace(verdict(), checks=(check,), diagnoses=tuple(Diagnosis(cause, "", "") for cause in causes))


def waited(
    looks: Iterable[Verdict], poll_options: PollOptions, day: Day | None = None
) -> tuple[list[PollAttempt], list[float]]:
    """The result and the pauses."""
    left = iter(looks)
    heard: list[PollAttempt] = []
    here = day or Day()
    last = wait_for_role(lambda: next(left), poll_options, here.runtime(), heard.append)

    assert last == heard[-1] or here.runtime().stop.is_set()
    return heard, here.pauses


def test_wait_ends_with_first_successful_assume() -> None:
    """Every attempt is reported; no pause follows the last one."""
    heard, pauses = waited([not_there(), not_there(), verdict()], PollOptions())

    assert [(1, False, 5.0), (2, False, 7.5), (3, True, None)] == [
        (each.number, each.can_assume, each.pause_seconds) for each in heard
    ]
    assert ([5.0, 7.5], 12.5) == (pauses, heard[-1].waited_seconds)


def test_pauses_grow_to_the_given_interval() -> None:
    """Attempts in the first minute are frequent, since the customer may be on the phone."""
    _, pauses = waited(NEVER, PollOptions(every_seconds=30, timeout_seconds=200))

    assert [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0, 30.0] == pauses[:8]
    assert 200 == sum(pauses)


def test_wait_ends_at_timeout() -> None:
    heard, pauses = waited(NEVER, PollOptions(every_seconds=30, timeout_seconds=60))

    assert (60, 60, False) == (sum(pauses), heard[-1].waited_seconds, heard[-1].can_assume)
    assert None is heard[-1].pause_seconds


def test_once_makes_a_single_attempt() -> None:
    """For scheduled jobs."""
    heard, pauses = waited([not_there()], PollOptions(once=True))

    assert (1, []) == (len(heard), pauses)


def test_inconclusive_attempts_back_off() -> None:
    """Up to five minutes, then back to the interval after the first conclusive attempt."""
    unclear = with_causes("throttled", mark=Mark.INCONCLUSIVE)
    poll_options = PollOptions(every_seconds=30)
    _, pauses = waited([*[not_there()] * 6, *[unclear] * 5, not_there(), verdict()], poll_options)

    assert [60, 120, 240, 300, 300, 30] == pauses[6:]
    assert 600 == pause_seconds(9, 9, PollOptions(every_seconds=600), 0.5)


def test_pauses_have_ten_percent_jitter() -> None:
    """Concurrent waits do not call at the same time."""
    assert [27.0, 30.0, 33.0] == [pytest.approx(pause_seconds(50, 0, PollOptions(), chance)) for chance in (0.0, 0.5, 1.0)]
    assert pause_seconds(1_000_000, 1_000_000, PollOptions(), 0.5) <= 330


@pytest.mark.parametrize("cause", ["wrong-caller", "own-credentials-expired", "own-credentials-invalid"])
def test_cause_not_fixed_by_apply_ends_the_wait(cause: str) -> None:
    """The customer cannot fix the vendor's credentials."""
    heard, pauses = waited([with_causes(cause)], PollOptions())

    assert (1, []) == (len(heard), pauses)


def test_customer_of_another_backend_role_ends_the_wait() -> None:
    """A skipped attempt would be skipped again."""
    heard, _ = waited([with_causes(mark=Mark.SKIPPED)], PollOptions())

    assert 1 == len(heard)


def test_stop_ends_pause_and_wait() -> None:
    day = Day()
    runtime = day.runtime()
    day.in_pauses.append(runtime.stop.set)
    last = wait_for_role(not_there, PollOptions(), runtime, lambda _sighting: None)

    assert (1, [5.0]) == (last.number, day.pauses)


def test_attempt_is_described() -> None:
    """With the three most likely causes of a refusal; a cause without a description is shown by ID."""
    assert (
        "AWS refuses: the role does not exist, or it refuses our external ID, or its trust policy names another principal"
    ) == describe(not_there())
    assert "AWS cannot be reached" == describe(with_causes("network", mark=Mark.UNREACHABLE))
    assert "AWS refuses: identity differs" == describe(with_causes("identity-differs"))
    assert ["AWS refuses", "inconclusive"] == [describe(with_causes(mark=mark)) for mark in (Mark.FAILED, Mark.INCONCLUSIVE)]


def test_without_terminal_each_change_is_one_line() -> None:
    file = io.StringIO()
    with WaitDisplay(pipe(file), "account1") as display:
        waiting = PollAttempt(not_there(), 1, 0.0, 5.0)
        for attempt in (
            waiting,
            replace(waiting, number=2),
            PollAttempt(with_causes("throttled", mark=Mark.INCONCLUSIVE), 3, 9.0, 5.0),
        ):
            display.update(attempt)
        display.update(PollAttempt(verdict(), 4, 12.0))
        display.update(PollAttempt(verdict(granted="failed"), 4, 12.0, 30.0))

    assert [
        f"account1: not yet: {describe(not_there())}",
        "account1: not yet: AWS throttles the calls",
        "account1: the role can be assumed",
        "account1: the role can be assumed, but other checks do not pass yet",
    ] == file.getvalue().splitlines()


def test_quiet_prints_nothing() -> None:
    files = [io.StringIO(), io.StringIO()]
    for console in (pipe(files[0]), terminal(files[1])):
        with WaitDisplay(console, "account1", quiet=True) as display:
            display.update(PollAttempt(not_there(), 1, 0.0, 5.0))

    assert ["", ""] == [file.getvalue() for file in files]


def test_terminal_line_shows_time_of_next_attempt() -> None:
    """Also the current result, elapsed time, number of the attempt, and how to stop."""
    file = io.StringIO()
    seconds = [100.0]
    with WaitDisplay(terminal(file, width=80), "account1", clock=lambda: seconds[0]) as display:
        display.update(PollAttempt(not_there(), 3, 61.0, 30.0))
        seconds[0] = 112.0
        display._live.refresh()  # type: ignore[union-attr]

    shown = file.getvalue()
    assert "account1: not yet: AWS refuses: the role does not exist" in shown
    assert "waiting for 12 s, attempt 3, the next in 18 s; Ctrl-C ends the wait" in shown


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (59.9, "59 s"), (185, "3 min 05 s"), (3720, "1 h 02 min")])
def test_durations_are_formatted(seconds: float, words: str) -> None:
    """In the two largest units."""
    assert words == format_duration(seconds)


def test_warning_stays_above_progress_and_wraps_at_words() -> None:
    """On a terminal of 80 columns; in a pipe it is one line."""
    sentence = (
        "the generated module does not have the manifest's external ID: "
        "run gen terraform and gen bundle account1, then send the bundle"
    )
    shown, piped = io.StringIO(), io.StringIO()
    with WaitDisplay(terminal(shown, width=80), "account1") as display:
        display.warn(sentence)
    with WaitDisplay(pipe(piped), "account1") as display:
        display.warn(sentence)
    words = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()).split()

    assert f"warning: account1: {sentence}\n" == piped.getvalue()
    assert f"warning: account1: {sentence}".split() == words[: len(sentence.split()) + 2]


def ended(*unseen: str, rehearsal: bool = False) -> OnboardingResult:
    pending = Pending(MONDAY, MONDAY, "r", "cannot be seen", NEW, unseen) if unseen else None
    found = replace(verdict(), rehearsal=rehearsal)
    entry = StatusEntry(target().role_arn, pending=pending)
    return OnboardingResult(target(), PollAttempt(found, 1, 0.0), found, "20261124-120000-0a1b2c", "", entry)


def test_undetectable_change_does_not_end_as_verified() -> None:
    """The change is named, and the next step is to confirm that the customer has applied it."""
    unseen = ended("s3:PutObject (withdrawn)")

    assert (True, False) == (ended().verified, unseen.verified)
    assert headline(unseen).startswith("? ")
    assert "s3:PutObject (withdrawn)" in headline(unseen)
    assert next_step(unseen, StatusPlace()).startswith("runner status account1 --applied")
    assert (False, ["s3:PutObject (withdrawn)"]) == (
        (body := json.loads(onboarding_json(unseen)))["verified"],
        body["unseen"],
    )


def test_changes_are_unseen_only_after_a_full_run() -> None:
    """During a rotation the previous ID can pass without a full run; an earlier run's record then says nothing about it."""
    found = ended("s3:PutObject (withdrawn)")

    assert (("s3:PutObject (withdrawn)",), ()) == (found.unseen, replace(found, run="").unseen)


def test_rehearsal_is_marked_in_headline_and_json() -> None:
    assert [True, False] == [headline(ended(rehearsal=each)).startswith("rehearsal (sandbox): ") for each in (True, False)]
    assert [True, False] == [json.loads(onboarding_json(ended(rehearsal=each)))["rehearsal"] for each in (True, False)]


PAGE = (Path(__file__).resolve().parents[3] / "docs" / "onboarding.md").read_text("utf-8")
KEYS = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)


def test_documented_states_match_code_by_urgency() -> None:
    """The table has each state once, in the order of the code."""
    assert [str(state) for state in CustomerState] == re.findall(
        r"^\| `([a-z-]+)` \| [A-Z][^|]+\.[^|]*\|[^|]*\|$", PAGE, re.MULTILINE
    )


def test_example_is_valid_status_file_with_every_key(tmp_path: Path) -> None:
    """Each of its keys has a row in the table."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    status_path(tmp_path, rehearsal=False).write_text(example)
    (entry,) = read_status(status_path(tmp_path, rehearsal=False)).entries.values()
    explained = re.findall(r"`(\w+)`", " ".join(KEYS.findall(PAGE.partition("| Key | Meaning |")[2])))

    assert json.loads(example)["customers"]["acme"] == json.loads(json.dumps(entry.to_json()))
    assert {field.name for field in fields(StatusEntry)} == set(entry.to_json()) == set(explained)


def test_documented_numbers_match_code() -> None:
    assert (5, 300, 30, 7200) == (
        FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, PollOptions().every_seconds, PollOptions().timeout_seconds,
    )  # fmt: skip
    for words in ("after five seconds", "pauses grow to five minutes", "`--every` (30 s)", "`--timeout` (2 h)"):
        assert words in PAGE
    assert (3, True) == (VERIFY_ATTEMPTS, "three times in all" in PAGE)
    assert (timedelta(days=7), True) == (STALE_AFTER, "`--stale-after` (7 days)" in PAGE)
    assert (20, True) == (ALL_SHOWN, "With more than 20 accounts" in PAGE)
