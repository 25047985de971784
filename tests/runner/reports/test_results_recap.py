"""The recap says what Ansible users expect, explains what is wrong, and stays short for many accounts."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from consoles import pipe
from consoles import terminal as show_on
from rolecall_runner.reports.summary import EXPLAINED, print_summary
from rolecall_runner.verify.update_message import customer_message
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from verdict_worlds import INFO, REFUSAL, many, mixed, refused, verdict, without_external_id


def recap(verdicts: Iterable[Verdict], *, width: int = 100, terminal: bool = False, colour: bool = False) -> str:
    """The recap as a file or, on a `terminal`, as a person gets it, with or without `colour`."""
    file = io.StringIO()
    console = show_on(file, width=width, colour=colour) if terminal else pipe(file)
    print_summary(console, INFO, verdicts)
    return file.getvalue()


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(r" : ok=\d", line)]


def test_every_account_has_its_line_of_counts() -> None:
    """The names and the order of the counts are those of the documentation; the input's order stays."""
    found = lines(recap(mixed()))

    assert "account1                      : ok=5 refused=3 failed=0 inconclusive=0 unreachable=0 skipped=1" == found[0]
    assert "account3                      : ok=0 refused=0 failed=1 inconclusive=0 unreachable=0 skipped=5" == found[2]
    assert [item.name for item in mixed()] == [line.split()[0] for line in found]


def test_counts_stand_below_one_another() -> None:
    """Counts of different lengths do not push the later columns."""
    longer = verdict("b")
    wide = Verdict("b", "customer", "2", "arn", longer.checks * 4)
    found = lines(recap([verdict("a"), wide]))

    assert len({line.index("refused=") for line in found}) == 1
    assert len({line.index("skipped=") for line in found}) == 1
    assert "ok=20" in found[1]


def test_a_newest_module_that_no_call_shows_is_said_with_the_command_that_leads_on() -> None:
    """The account is ok, and its line alone would hide it."""
    found = verdict("acme")
    unseen = Check(Step.MODULE, Mark.SKIPPED, "cannot be seen", evidence={"unseen": ["tags"]})
    text = recap([replace(found, checks=(*found.checks, unseen)), verdict("globex")])
    (line,) = [each for each in text.splitlines() if each.startswith("newest module: ")]

    assert "runner status acme --applied" in line
    assert "globex" not in line


def test_a_failure_is_explained_below_its_line() -> None:
    """The check, AWS's own words, the likely cause with its id, and the text for the customer, between two marks."""
    text = recap([refused()])

    assert "✗ assume  The role could not be assumed. (2 attempts)" in text
    assert f"AWS: AccessDenied: {REFUSAL}" in text
    assert "likely cause: The role does not exist yet, or trusts another principal. [not-applied]" in text
    assert (
        "-------- message to account3 --------\nHello,\n\nPlease apply it.\n\nThank you.\n"
        "-------- end of the message --------"
    ) in text


@pytest.mark.parametrize("terminal", [True, False])
def test_the_text_for_the_customer_can_be_copied_as_it_is(terminal: bool) -> None:
    """It stands at the left edge and no line of it is broken, however narrow the terminal is."""
    assert f"\n{customer_message(without_external_id())}" in recap([without_external_id()], width=60, terminal=terminal)


def test_long_explanations_are_wrapped_with_their_indent() -> None:
    """On a terminal no line of an explanation, the letter aside, is longer than the terminal is wide."""
    text = recap([refused()], width=60, terminal=True)
    explained = [line for line in text.splitlines() if line.startswith("    ")]

    assert len(explained) > 4
    assert 60 >= max(map(len, explained))


def test_of_many_accounts_only_those_that_are_not_ok_are_shown() -> None:
    """With more than fifty the good ones become one number; fifty are still all shown."""
    text = recap(many(1000, 2))

    assert ["customer-998", "customer-999"] == [line.split()[0] for line in lines(text)]
    assert "998 other accounts are ok\n" in text
    assert 50 == len(lines(recap(many(50))))
    assert [] == lines(recap(many(51)))


def test_the_explanations_of_many_failures_end_somewhere() -> None:
    """Beyond fifty every failing account still has its line, and the report names where the rest is."""
    text = recap(many(60, 60))

    assert (60, EXPLAINED) == (len(lines(text)), text.count("likely cause:"))
    assert "10 more accounts are not explained here; use --format html or json" in text


def test_the_last_line_sums_up() -> None:
    """How many answer, what became of the others, how long it took, and the run's id for later."""
    assert (
        "2 of 6 accounts passed: 2 failed, 1 unreachable, 1 inconclusive, 1 skipped (12.3 s, run 0a1b2c3d)"
        == recap(mixed()).splitlines()[-1]
    )
    assert "All 3 accounts passed (12.3 s, run 0a1b2c3d)" == recap(many(3)).splitlines()[-1]


def test_colours_say_what_the_words_say() -> None:
    """A failed account's name is red, a good one's green, and what did not occur is dim."""
    text = recap([verdict("good"), without_external_id("bad")], terminal=True, colour=True)

    assert "\x1b[32mgood" in text
    assert "\x1b[1;31mbad" in text
    assert "\x1b[2mfailed=0" in text


def test_a_hostile_text_cannot_steer_the_terminal() -> None:
    """Escape sequences of a manifest or a reply are shown as replaced characters, and markup as text."""
    letter = Diagnosis("cause", "\x1b]0;owned\x07 \u202eright", "\x1b[31m[bold]letter[/bold]")
    hostile = replace(without_external_id("\x1b[2Jname\n[red]"), diagnoses=(letter,))
    text = recap([hostile], terminal=True)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\ufffd[2Jname [red]" in text
    assert "[bold]letter[/bold]" in text
