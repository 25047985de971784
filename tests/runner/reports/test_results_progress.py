"""The live display: a line an account where no one watches, a bar where someone does, and one truth from many threads."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor

from consoles import pipe
from consoles import terminal as show_on
from rolecall_runner.reports.progress import VerifyProgress, counts_text, finished_line, rate_text
from rolecall_runner.reports.summary import tally
from rolecall_runner.verify.verdict import Verdict
from verdict_worlds import INFO, REFUSAL, many, mixed, refused, verdict


def run(verdicts: list[Verdict], *, terminal: bool, width: int = 160, **options: bool) -> str:
    """What a run of these verdicts writes."""
    file = io.StringIO()
    console = show_on(file, width=width) if terminal else pipe(file)
    with VerifyProgress(console, **options, clock=lambda: INFO.seconds) as progress:
        progress.started(len(verdicts))
        for found in verdicts:
            progress.finished(found)
    return file.getvalue()


def test_without_a_terminal_every_finished_account_is_one_plain_line() -> None:
    """A build's log gets number, sign, name, mark and the reason, and nothing that only a terminal understands."""
    text = run(mixed(), terminal=False)

    assert "\x1b" not in text
    assert "[1/7] ✓ account1: ok (0.3 s)" == text.splitlines()[0]
    assert f"[3/7] ✗ account3: failed: assume: AccessDenied: {REFUSAL}" == text.splitlines()[2]
    assert "[6/7] - initech: skipped: assume: Not selected for probing." == text.splitlines()[5]
    assert 7 == len(text.splitlines())


def test_a_terminal_has_a_bar_and_no_lines_unless_asked_for() -> None:
    """The bar says how far the run is; --verbose adds the lines above it."""
    quiet_lines, lines = run(mixed(), terminal=True), run(mixed(), terminal=True, verbose=True)

    assert "7/7" in quiet_lines
    assert "ok 2  failed 2  unreachable 1  inconclusive 1  skipped 1" in quiet_lines
    assert "account3: failed" not in quiet_lines
    assert "account3: failed" in lines


def test_a_narrow_terminal_still_shows_bar_and_counts() -> None:
    """Long names are cut at the edge; bar, number, time and counts stay whole."""
    file = io.StringIO()
    console = show_on(file, width=60)
    with VerifyProgress(console) as progress:
        progress.started(20)
        progress.finished(verdict("first"))
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", file.getvalue())]

    assert any(line.startswith("━") and " 1/20 0:00:0" in line for line in lines)
    assert any(line.rstrip() == "ok 1" for line in lines)
    assert 60 >= max(map(len, lines))


def test_a_terminal_that_cannot_move_its_cursor_gets_lines() -> None:
    """TERM=dumb, as in editors: a bar would be silence there."""
    file = io.StringIO()
    with VerifyProgress(show_on(file, kind="dumb")) as progress:
        progress.started(1)
        progress.finished(verdict("account1"))

    assert "[1/1] ✓ account1: ok (0.3 s)\n" == file.getvalue()


def test_quiet_writes_nothing() -> None:
    """--quiet means it, with and without a terminal."""
    assert ("", "") == (run(mixed(), terminal=True, quiet=True), run(mixed(), terminal=False, quiet=True, verbose=True))


def test_threads_may_report_at_the_same_time() -> None:
    """No account is lost or counted twice, and lines never run into one another."""
    file = io.StringIO()
    with VerifyProgress(pipe(file)) as progress, ThreadPoolExecutor(8) as pool:
        progress.started(200)
        list(pool.map(progress.finished, many(200)))
    lines = file.getvalue().splitlines()

    assert {f"[{number:3}/200]" for number in range(1, 201)} == {line[:9] for line in lines}
    assert {f"customer-{number}" for number in range(200)} == {line.split()[-4].rstrip(":") for line in lines}


def test_a_rate_is_given_once_it_means_something() -> None:
    """Not in the first second, nor before anything is done."""
    assert ("", "", "12.5/s") == (rate_text(3, 0.5), rate_text(0, 9.0), rate_text(25, 2.0))


def test_counts_leave_out_what_did_not_occur() -> None:
    """A good run shows one number."""
    assert "ok 3" == counts_text(tally([verdict()] * 3)).plain


def test_a_line_stays_one_line_without_control_characters() -> None:
    """A reply with line breaks or escape sequences cannot forge further lines of the log."""
    found = refused("name\n[2/2] ✓ forged: ok")
    line = finished_line(found, tally([found]))

    assert 1 == len(line.splitlines())
    assert "\x1b" not in finished_line(refused("\x1b[2J"), tally([found]))
