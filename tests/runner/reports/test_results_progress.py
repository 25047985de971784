"""Progress output: one line per account without a terminal, a bar on a terminal, and thread safety."""

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
    """The output of a run with these verdicts."""
    file = io.StringIO()
    console = show_on(file, width=width) if terminal else pipe(file)
    with VerifyProgress(console, **options, clock=lambda: INFO.seconds) as progress:
        progress.started(len(verdicts))
        for found in verdicts:
            progress.finished(found)
    return file.getvalue()


def test_without_terminal_each_account_is_one_plain_line() -> None:
    """A CI log gets number, symbol, name, mark and reason, without control sequences."""
    text = run(mixed(), terminal=False)

    assert "\x1b" not in text
    assert "[1/7] ✓ account1: ok (0.3 s)" == text.splitlines()[0]
    assert f"[3/7] ✗ account3: failed: assume: AccessDenied: {REFUSAL}" == text.splitlines()[2]
    assert "[6/7] - initech: skipped: assume: Not selected for probing." == text.splitlines()[5]
    assert 7 == len(text.splitlines())


def test_terminal_shows_bar_and_lines_only_if_verbose() -> None:
    """--verbose adds the lines above the bar."""
    quiet_lines, lines = run(mixed(), terminal=True), run(mixed(), terminal=True, verbose=True)

    assert "7/7" in quiet_lines
    assert "ok 2  failed 2  unreachable 1  inconclusive 1  skipped 1" in quiet_lines
    assert "account3: failed" not in quiet_lines
    assert "account3: failed" in lines


def test_narrow_terminal_shows_bar_and_counts() -> None:
    """Long names are truncated; bar, number, time and counts are complete."""
    file = io.StringIO()
    console = show_on(file, width=60)
    with VerifyProgress(console) as progress:
        progress.started(20)
        progress.finished(verdict("first"))
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", file.getvalue())]

    assert any(line.startswith("━") and " 1/20 0:00:0" in line for line in lines)
    assert any(line.rstrip() == "ok 1" for line in lines)
    assert 60 >= max(map(len, lines))


def test_dumb_terminal_gets_lines() -> None:
    """TERM=dumb, as in editors, cannot show a bar."""
    file = io.StringIO()
    with VerifyProgress(show_on(file, kind="dumb")) as progress:
        progress.started(1)
        progress.finished(verdict("account1"))

    assert "[1/1] ✓ account1: ok (0.3 s)\n" == file.getvalue()


def test_quiet_writes_nothing() -> None:
    """With and without a terminal."""
    assert ("", "") == (run(mixed(), terminal=True, quiet=True), run(mixed(), terminal=False, quiet=True, verbose=True))


def test_concurrent_reports_are_counted_once() -> None:
    """Lines are not interleaved."""
    file = io.StringIO()
    with VerifyProgress(pipe(file)) as progress, ThreadPoolExecutor(8) as pool:
        progress.started(200)
        list(pool.map(progress.finished, many(200)))
    lines = file.getvalue().splitlines()

    assert {f"[{number:3}/200]" for number in range(1, 201)} == {line[:9] for line in lines}
    assert {f"customer-{number}" for number in range(200)} == {line.split()[-4].rstrip(":") for line in lines}


def test_rate_is_shown_after_the_first_second() -> None:
    """And only once an account is finished."""
    assert ("", "", "12.5/s") == (rate_text(3, 0.5), rate_text(0, 9.0), rate_text(25, 2.0))


def test_counts_omit_zeros() -> None:
    """A run without findings has one number."""
    assert "ok 3" == counts_text(tally([verdict()] * 3)).plain


def test_line_breaks_and_control_characters_are_replaced() -> None:
    """A reply cannot forge further lines of the log."""
    found = refused("name\n[2/2] ✓ forged: ok")
    line = finished_line(found, tally([found]))

    assert 1 == len(line.splitlines())
    assert "\x1b" not in finished_line(refused("\x1b[2J"), tally([found]))
