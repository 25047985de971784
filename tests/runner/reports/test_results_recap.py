"""The recap resembles Ansible's, explains failures, and is short for many accounts."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from consoles import pipe
from consoles import terminal as show_on
from rolecall_runner.reports.summary import EXPLAINED, print_summary
from rolecall_runner.verify.customer_message import customer_message
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from verdict_worlds import INFO, REFUSAL, many, mixed, refused, verdict, without_external_id


def recap(verdicts: Iterable[Verdict], *, width: int = 100, terminal: bool = False, colour: bool = False) -> str:
    """The recap in a file or on a `terminal`, with or without `colour`."""
    file = io.StringIO()
    console = show_on(file, width=width, colour=colour) if terminal else pipe(file)
    print_summary(console, INFO, verdicts)
    return file.getvalue()


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(r" : ok=\d", line)]


def test_every_account_has_a_line_of_counts() -> None:
    """Names and order of the counts are as documented; accounts are in input order."""
    found = lines(recap(mixed()))

    assert "account1                      : ok=5 refused=3 failed=0 inconclusive=0 unreachable=0 skipped=1" == found[0]
    assert "account3                      : ok=0 refused=0 failed=1 inconclusive=0 unreachable=0 skipped=5" == found[2]
    assert [item.name for item in mixed()] == [line.split()[0] for line in found]


def test_counts_are_aligned() -> None:
    longer = verdict("b")
    wide = Verdict("b", "customer", "2", "arn", longer.checks * 4)
    found = lines(recap([verdict("a"), wide]))

    assert len({line.index("refused=") for line in found}) == 1
    assert len({line.index("skipped=") for line in found}) == 1
    assert "ok=20" in found[1]


def test_undetectable_newest_module_is_reported_with_next_command() -> None:
    """The account is ok, so its line would not show it."""
    found = verdict("acme")
    unseen = Check(Step.MODULE, Mark.SKIPPED, "cannot be seen", evidence={"unseen": ["tags"]})
    text = recap([replace(found, checks=(*found.checks, unseen)), verdict("globex")])
    (line,) = [each for each in text.splitlines() if each.startswith("newest module: ")]

    assert "runner status acme --applied" in line
    assert "globex" not in line


def test_failure_is_explained_below_its_line() -> None:
    """The check, AWS's message, the likely cause with its ID, and the customer message between two marks."""
    text = recap([refused()])

    assert "✗ assume  The role could not be assumed. (2 attempts)" in text
    assert f"AWS: AccessDenied: {REFUSAL}" in text
    assert "likely cause: The role does not exist yet, or trusts another principal. [not-applied]" in text
    assert (
        "-------- message to account3 --------\nHello,\n\nPlease apply it.\n\nThank you.\n"
        "-------- end of the message --------"
    ) in text


@pytest.mark.parametrize("terminal", [True, False])
def test_customer_message_can_be_copied(terminal: bool) -> None:
    """It has no indent and no added line breaks, on a terminal of any width."""
    assert f"\n{customer_message(without_external_id())}" in recap([without_external_id()], width=60, terminal=terminal)


def test_long_explanations_are_wrapped_with_their_indent() -> None:
    """On a terminal, except for the customer message."""
    text = recap([refused()], width=60, terminal=True)
    explained = [line for line in text.splitlines() if line.startswith("    ")]

    assert len(explained) > 4
    assert 60 >= max(map(len, explained))


def test_more_than_fifty_accounts_omit_ok_ones() -> None:
    """They are only counted; fifty are all shown."""
    text = recap(many(1000, 2))

    assert ["customer-998", "customer-999"] == [line.split()[0] for line in lines(text)]
    assert "998 other accounts are ok\n" in text
    assert 50 == len(lines(recap(many(50))))
    assert [] == lines(recap(many(51)))


def test_explanations_are_limited_to_fifty() -> None:
    """Further failed accounts have their line, and the recap refers to the report with the rest."""
    text = recap(many(60, 60))

    assert (60, EXPLAINED) == (len(lines(text)), text.count("likely cause:"))
    assert "10 more accounts are not explained here; use --format html or json" in text


def test_last_line_is_a_summary() -> None:
    """Counts by result, duration, and run ID."""
    assert (
        "2 of 6 accounts passed: 2 failed, 1 unreachable, 1 inconclusive, 1 skipped (12.3 s, run 0a1b2c3d)"
        == recap(mixed()).splitlines()[-1]
    )
    assert "All 3 accounts passed (12.3 s, run 0a1b2c3d)" == recap(many(3)).splitlines()[-1]


def test_colors_match_results() -> None:
    """The name of a failed account is red, of an ok one green, and zeros are dim."""
    text = recap([verdict("good"), without_external_id("bad")], terminal=True, colour=True)

    assert "\x1b[32mgood" in text
    assert "\x1b[1;31mbad" in text
    assert "\x1b[2mfailed=0" in text


def test_escape_sequences_and_markup_are_neutralized() -> None:
    """Escape sequences of a manifest or a reply are replaced, and markup is literal."""
    letter = Diagnosis("cause", "\x1b]0;owned\x07 \u202eright", "\x1b[31m[bold]letter[/bold]")
    hostile = replace(without_external_id("\x1b[2Jname\n[red]"), diagnoses=(letter,))
    text = recap([hostile], terminal=True)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\ufffd[2Jname [red]" in text
    assert "[bold]letter[/bold]" in text
