"""`runner status` on a fleet: counts first, then customers that need attention; filters, order, exit codes; 80 columns."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_rig import Ended, runner
from consoles import pipe, terminal
from rolecall_generator.generate import generate
from rolecall_generator.records import status_path
from rolecall_runner.inventory.inventory import read_inventory
from rolecall_runner.reports.status_output import age, print_status
from rolecall_runner.status.overview import StatusPlace, make_status_report, select_targets
from rolecall_runner.status.status_file import HandoverRecord, StatusEntry, change_status, read_status
from rolecall_runner.status.update import apply_verdict, read_output_digests
from rolecall_runner.verify.verdict import Verdict
from status_rig import drifted, not_there
from verdict_worlds import verdict

NOW = datetime.now(UTC)


def fleet(folder: Path, count: int, **changes: Any) -> Path:
    """A manifest of this many customers, every second one with the label tier=gold; its modules are written."""
    customers = [
        {"name": f"customer{number:03}", "account_id": f"{200000000000 + number}", "external_id": f"external-id-{number:03}"}
        | ({"labels": {"tier": "gold"}} if number % 2 else {})
        for number in range(count)
    ]
    body = {
        "version": 1,
        "backend": {"account_id": "111111111111"},
        "permission_sets": {"read": {"statements": [{"actions": ["s3:GetObject"], "resources": ["*"]}]}},
        "defaults": {"permissions": ["read"]},
        "customers": customers,
    } | changes
    (folder / "accounts.yaml").write_text(yaml.safe_dump(body))
    generate(folder / "accounts.yaml", folder / "output")
    return folder


def note(folder: Path, heard_of: Mapping[str, tuple[int, Verdict]], *, handed: Mapping[str, str] | None = None) -> None:
    """Write verdicts from some days ago and handovers by module digest to the status file."""
    modules = read_output_digests(folder / "output")
    targets = {target.name: target for target in read_inventory(folder / "accounts.yaml").targets}
    entries = {}
    for name, (days, found) in heard_of.items():
        entry, date = StatusEntry(targets[name].role_arn), (NOW - timedelta(days=days)).isoformat()
        entries[targets[name].key] = apply_verdict(
            entry, targets[name], found, date=date, run="a-run", module=modules.module(targets[name])
        )
    for name, module in (handed or {}).items():
        key = targets[name].key
        had = HandoverRecord(NOW.isoformat(), "", module)
        entries[key] = replace(entries.get(key, StatusEntry(targets[name].role_arn)), handed_over=had)
    change_status(status_path(folder / "output", rehearsal=False), lambda _before: entries)


def status(folder: Path, *arguments: str) -> Ended:
    return runner("status", *arguments, cwd=folder)


def states(folder: Path, *arguments: str) -> dict[str, str]:
    """State by name, in the order of the rows."""
    return {row["name"]: row["state"] for row in json.loads(status(folder, "--format", "json", *arguments).out)["accounts"]}


@pytest.fixture
def five(tmp_path: Path) -> Path:
    """Five customers: verified, stale, failing, drifting, and one without an entry."""
    folder = fleet(tmp_path, 5)
    gone = replace(not_there(), checks=(verdict().checks[0], *verdict(assume_again="failed").checks[1:]))
    note(
        folder,
        {
            "customer000": (1, verdict()),
            "customer001": (30, verdict()),
            "customer002": (2, gone),
            "customer003": (3, drifted()),
        },
    )
    return folder


def test_counts_precede_customers_that_need_attention(five: Path) -> None:
    """The most urgent first; below the table is the next command for the first customer of each state."""
    done = status(five)
    lines = done.out.splitlines()

    assert 0 == done.code, done.err
    assert "5 accounts: 1 failed, 1 drifting, 1 stale, 1 not handed over, 1 verified" == lines[0]
    assert ["customer002", "customer003", "customer001", "customer004", "customer000"] == [
        line.split()[0] for line in lines if line.startswith("customer")
    ]
    assert "failed: runner verify --limit customer002   for the reason" in lines
    assert any(line.startswith("not handed over: gen bundle customer004   ") for line in lines)


def test_selection_by_pattern_label_and_state_and_sorting(five: Path) -> None:
    """Patterns as for runner verify --limit; sorted by name, by age or as in the manifest."""
    assert ["customer001", "customer003"] == sorted(states(five, "--label", "tier=gold"))
    assert ["customer001"] == list(states(five, "customer00[12]", "--label", "tier=gold"))
    assert ["customer000", "customer004"] == sorted(states(five, "all:!customer001:!customer002:!customer003"))
    assert {"customer002": "failed", "customer001": "stale"} == states(five, "--state", "failed", "--state", "stale")
    assert ["customer004", "customer001", "customer003", "customer002", "customer000"] == list(states(five, "--sort", "age"))
    assert sorted(states(five)) == list(states(five, "--sort", "name")) == list(states(five, "--sort", "manifest"))


def test_stale_after_is_configurable(five: Path) -> None:
    assert "stale" == states(five)["customer001"]
    assert "verified" == states(five, "--stale-after", "31d")["customer001"]
    assert "stale" == states(five, "--stale-after", "12h")["customer000"]


def test_exit_codes_for_a_nightly_job(five: Path) -> None:
    """1 if a customer is in a given state, else 0; 2 for usage errors."""
    codes = [
        status(five, *arguments).code
        for arguments in (
            (),
            ("--fail-on", "failed"),
            ("--fail-on", "outdated", "--fail-on", "drifting"),
            ("--fail-on", "outdated"),
            ("customer000", "--fail-on", "failed"),
            ("nobody",),
            ("--label", "gold"),
            ("--state", "broken"),
        )
    ]

    assert [0, 1, 1, 0, 0, 2, 2, 2] == codes


@pytest.mark.parametrize(("arguments", "where"), [(("nobody*",), "NAME"), (("--label", "tier=lead"), "--label")])
def test_unknown_name_error_names_the_given_option(five: Path, arguments: tuple[str, ...], where: str) -> None:
    """Not --limit of runner verify, which has the same patterns."""
    ended = status(five, *arguments)

    assert 2 == ended.code
    assert f"error: {where}: " in ended.err


def test_handover_is_recorded(five: Path) -> None:
    """For the given customers with something to hand over, with the digest of the module."""
    noted = status(five, "customer004", "--handed-over", "--format", "json")
    entry = json.loads(noted.out)["accounts"][0]["entry"]
    nobody = status(five, "--handed-over")
    generate_nothing = status(fleet_without_modules(five), "customer004", "--handed-over")

    assert "handed-over" == states(five, "customer004")["customer004"]
    assert (64, "") == (len(entry["handed_over"]["module"]), entry["handed_over"]["bundle"])
    assert (2, True) == (nobody.code, "--handed-over" in nobody.err)
    assert (2, True) == (generate_nothing.code, "customer004" in generate_nothing.err)


def fleet_without_modules(folder: Path) -> Path:
    """The same manifest with an empty output folder."""
    other = folder / "other"
    other.mkdir()
    (other / "accounts.yaml").write_bytes((folder / "accounts.yaml").read_bytes())
    return other


def test_module_changed_after_handover_is_shown(tmp_path: Path) -> None:
    """The customer is outdated until the new module is handed over and verified."""
    folder = fleet(tmp_path, 2)
    status(folder, "all", "--handed-over")
    before = states(folder)
    fleet(tmp_path, 2, defaults={"permissions": ["read"], "max_session_seconds": 7200})
    changed = states(folder)
    shown = status(folder).out
    status(folder, "customer001", "--handed-over")

    assert {"customer000": "handed-over", "customer001": "handed-over"} == before
    assert {"customer000": "outdated", "customer001": "outdated"} == changed
    assert "outdated: gen bundle customer000   send it; then: runner onboard customer000" in shown
    assert {"customer000": "outdated", "customer001": "handed-over"} == states(folder)


def test_next_commands_have_required_options(five: Path) -> None:
    """Another manifest and output folder are included, quoted for a shell."""
    (five / "accounts.yaml").rename(five / "my accounts.yaml")
    (five / "output").rename(five / "modules")
    done = status(five, "--manifest", "my accounts.yaml", "--out", "modules")

    assert "failed: runner verify 'my accounts.yaml' --limit customer002 --out modules   for the reason" in done.out
    assert "gen bundle customer004 --manifest 'my accounts.yaml' --out modules" in done.out


def test_large_fleet_shows_at_most_fifty_rows(tmp_path: Path) -> None:
    """Healthy customers are only counted; --all, or a state, shows every one."""
    folder = fleet(tmp_path, 120)
    note(folder, {f"customer{number:03}": (1, verdict()) for number in range(60)})

    def rows(*arguments: str) -> int:
        return sum(line.startswith("customer") for line in status(folder, *arguments).out.splitlines())

    assert "120 accounts: 60 not handed over, 60 verified" == status(folder).out.splitlines()[0]
    assert [50, 120, 60, 0] == [rows(), rows("--all"), rows("--state", "verified"), rows("--state", "failed")]
    assert "and 10 more: use --all, --state or --format json" in status(folder).out


def test_table_fits_80_columns(five: Path) -> None:
    """Long names and findings are wrapped within their columns; colors only on a terminal with colors."""
    place = StatusPlace(five / "accounts.yaml", five / "output")
    found = make_status_report(place, select_targets(place, (), ()), now=NOW)
    long = [replace(row, target=replace(row.target, name="a-very-long-name-of-a-customer" * 3)) for row in found.rows]
    plain, coloured, file = io.StringIO(), io.StringIO(), io.StringIO()
    print_status(terminal(plain, width=80), replace(found, rows=long), every=True)
    print_status(terminal(coloured, width=80, colour=True), found, every=True)
    print_status(pipe(file), found, every=True)
    table = [line for line in plain.getvalue().splitlines() if "runner" not in line and "gen bundle" not in line]

    assert 80 >= max(map(len, table))
    assert "\x1b[" in coloured.getvalue()
    assert "\x1b[" not in file.getvalue()


def test_markup_and_escape_sequences_are_shown_literally(five: Path) -> None:
    place = StatusPlace(five / "accounts.yaml", five / "output")
    found = make_status_report(place, select_targets(place, ("customer000",), ()), now=NOW)
    evil = [replace(found.rows[0], what="[red]x[/] \x1b]0;title\x07")]
    file = io.StringIO()
    print_status(pipe(file), replace(found, rows=evil), every=True)

    assert "[red]x[/]" in file.getvalue()
    assert "\x1b" not in file.getvalue()


def test_sandbox_status_is_shown_separately(five: Path) -> None:
    """With --sandbox and marked as such; next commands have the option too."""
    done = status(five, "--sandbox")

    assert "5 accounts, rehearsal (sandbox): 5 not handed over" == done.out.splitlines()[0]
    assert "then: runner onboard customer000 --sandbox" in done.out


def test_status_does_not_write_the_file(five: Path) -> None:
    path = status_path(five / "output", rehearsal=False)
    before = path.read_bytes()
    status(five)

    assert before == path.read_bytes()
    assert 4 == len(read_status(path).entries)


def test_html_page_has_the_selected_accounts(five: Path) -> None:
    """One page on standard output; the exit code is that of --fail-on."""
    done = status(five, "--format", "html", "customer00[123]", "--fail-on", "failed")
    listed = re.findall(r'<th scope="row"><b>([^<]*)</b>', done.out)

    assert (1, "") == (done.code, done.err)
    assert done.out.startswith("<!doctype html>")
    assert ["customer002", "customer003", "customer001"] == listed


def test_html_page_of_a_sandbox_is_marked(five: Path) -> None:
    assert "rehearsal (sandbox)" in status(five, "--format", "html", "--sandbox").out


def test_customer_pages_are_written_besides_the_report(five: Path) -> None:
    """For the shown customers; a page has neither another customer nor an external ID."""
    done = status(five, "customer00[01]", "--customer-pages", "public", "--format", "json")
    pages = {path.name: path.read_text() for path in (five / "public").iterdir()}

    assert (0, 2) == (done.code, len(json.loads(done.out)["accounts"]))
    assert done.err.endswith("wrote 2 pages to public\n")
    assert {"customer000.html", "customer001.html"} == set(pages)
    assert "200000000000" in pages["customer000.html"]
    other = ("customer001", "200000000001", "external-id-000", "external-id-001", "a-run", str(five))
    assert [] == [each for each in other if each in pages["customer000.html"]]


def test_file_that_is_not_a_page_is_kept(five: Path) -> None:
    """Exit code 5, with the file and a hint; the status is not printed."""
    (five / "public").mkdir()
    (five / "public" / "customer000.html").write_text("mine")
    done = status(five, "--customer-pages", "public")

    assert (5, "") == (done.code, done.out)
    assert "error: public/customer000.html: " in done.err
    assert "hint: " in done.err
    assert "mine" == (five / "public" / "customer000.html").read_text()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "now"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400 * 400, "400 d"), (-5, "now")]
)
def test_ages_are_short(seconds: int, words: str) -> None:
    """In the largest unit that fits; with a clock that is behind, the age is zero."""
    assert words == age(NOW - timedelta(seconds=seconds), NOW)
    assert "" == age(None, NOW)
