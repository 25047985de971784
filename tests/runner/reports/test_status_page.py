"""The status page: its size for small and large fleets, the picture of a history, and the mark of a rehearsal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hostile_text import HOSTILE, leaks
from rolecall_runner.reports.status_output import (
    HISTORY_LINES,
    MAX_PAGE_BYTES,
    STATUS_FORMATS,
    history_lines,
    history_view,
    status_page,
)
from rolecall_runner.status.status_file import PastRun, Pending, RunOutcome
from status_rig import NEW
from status_worlds import PLACE, customer, fleet, mixed_fleet, nightly, open_role, report_of
from verdict_worlds import verdict

WORDS = {outcome: str(outcome) for outcome in RunOutcome}


def rows(page: str) -> list[str]:
    """Names in the table, in their order."""
    return re.findall(r'<th scope="row"><b>([^<]*)</b>', page)


def runs(outcomes: str) -> list[PastRun]:
    """One run per day of November: o for ok, f for failed, ? for inconclusive."""
    kinds = {"o": RunOutcome.OK, "f": RunOutcome.FAILED, "?": RunOutcome.INCONCLUSIVE}
    return [PastRun(f"2026-11-{day:02}T02:00:00+00:00", kinds[each]) for day, each in enumerate(outcomes, 1)]


def test_each_format_of_the_command_is_registered() -> None:
    assert ("table", "html", "json") == STATUS_FORMATS.names()


@pytest.mark.parametrize("failing", [0, 40, 200])
def test_page_of_200_accounts_lists_all_of_them(failing: int) -> None:
    """In at most 300 KB, also if each of them has failed every other night and has a long reason."""
    page = status_page(report_of(list(fleet(200, failing))))

    assert 200 == len(rows(page))
    assert len(page.encode()) <= MAX_PAGE_BYTES == 300_000
    assert 'id="omitted"' not in page


def test_larger_fleet_lists_the_most_urgent_accounts() -> None:
    """The others are counted by state, and the header counts all."""
    report = report_of(list(fleet(1_200, 30)))
    page = status_page(report)
    listed = rows(page)
    omitted = re.search(r'id="omitted">([\d,]+) of 1,200 accounts are not listed[^:]*: ([\d,]+) verified', page)

    assert len(page.encode()) <= MAX_PAGE_BYTES
    assert 250 < len(listed) < 1_200
    assert {f"customer-{number}" for number in range(1_170, 1_200)} <= set(listed[:30])
    assert omitted is not None
    assert [1_200 - len(listed)] * 2 == [int(each.replace(",", "")) for each in omitted.groups()]
    assert "1,170 of 1,200 accounts verified" in page


def test_omitted_accounts_are_the_least_urgent_in_any_order() -> None:
    """A page sorted by name keeps its order and leaves out verified accounts."""
    report = report_of(list(fleet(1_000, 30)))
    by_name = replace(report, rows=sorted(report.rows, key=lambda row: row.target.name))
    listed = rows(status_page(by_name))

    assert {f"customer-{number}" for number in range(970, 1_000)} <= set(listed)
    assert sorted(listed) == listed


def test_page_without_accounts_is_complete() -> None:
    page = status_page(replace(report_of([]), counts={}))

    assert [] == rows(page)
    assert "0 of 0 accounts verified" in page


def test_long_reasons_keep_the_limit() -> None:
    """A reason of 300 characters that take five bytes each when they are escaped."""
    entries = []
    for target, entry in fleet(200, 200):
        problem = entry.failed or entry.drifting
        assert problem is not None
        entries.append((target, replace(entry, failed=replace(problem, what="&" * 300))))
    page = status_page(report_of(entries))

    assert len(page.encode()) <= MAX_PAGE_BYTES
    assert 0 < len(rows(page)) < 200
    assert 'id="omitted"' in page


def test_picture_has_one_mark_per_run_with_the_newest_on_the_right() -> None:
    """Consecutive runs of the same outcome are one line of four units per run; 30 runs fill the 120 units."""
    view = history_view(runs("oofo"), WORDS)

    assert {("ok", "M104 4h8M116 4h4"), ("failed", "M112 12h4")} == set(view.paths)
    assert "4 runs: 3 ok, 1 failed" == view.label


def test_account_without_history_has_no_picture() -> None:
    """A status file of an earlier version has none."""
    ((target, entry),) = list(fleet(1))
    page = status_page(report_of([(target, replace(entry, history=()))]))

    assert () == tuple(history_view((), WORDS).paths)
    assert "<svg" not in page


def test_history_as_text_joins_equal_runs() -> None:
    """The newest first; after some lines the earlier runs are counted."""
    assert ["2026-11-04: ok", "2026-11-03: failed", "2026-11-01 to 2026-11-02: ok (2 runs)"] == list(
        history_lines(runs("oofo"), WORDS)
    )
    assert ["2026-11-01: ok (2 runs)"] == list(history_lines(runs("o") * 2, WORDS))
    many = list(history_lines(runs("of" * 10), WORDS))
    assert (HISTORY_LINES + 1, "and 14 earlier runs") == (len(many), many[-1])


def test_rehearsal_is_marked() -> None:
    """In the title and the header; a page on live accounts has no such mark."""
    place = replace(PLACE, rehearsal=True, own_sandbox=True)
    page = status_page(report_of(mixed_fleet(), place=place))

    assert "<title>rehearsal (sandbox): Status of accounts.yaml" in page
    assert 'id="verdict">✗ rehearsal (sandbox): ' in page
    assert "runner verify --limit acme --sandbox" in page
    assert "rehearsal" not in status_page(report_of(mixed_fleet()))


def test_unseen_changes_of_the_newest_module_are_in_the_details() -> None:
    """With the command that records the customer's answer."""
    target = customer(1, "acme")
    entry = nightly(target, [verdict()])
    waiting = Pending(entry.runs[0].date, entry.runs[0].date, "r", "a change cannot be seen", NEW, ("a tag",))
    page = status_page(report_of([(target, replace(entry, pending=waiting))]))

    assert "a tag" in page
    assert "runner status acme --applied" in page


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_sanitized(text: str) -> None:
    """Control and invisible characters, forged workflow commands and markup."""
    target = customer(1, text)
    entry = nightly(target, [open_role()])
    assert entry.failed is not None
    problem = replace(entry.failed, what=text, causes=(text,))
    page = status_page(report_of([(target, replace(entry, failed=problem, form=text))]))

    assert [] == leaks(page)
