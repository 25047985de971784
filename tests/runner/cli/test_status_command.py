"""`runner status` on a fleet: counts first, then who needs someone; filters, orders, exit codes; 80 columns."""

from __future__ import annotations

import io
import json
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
    """A manifest of so many customers, every second one with the label tier=gold; its modules are written."""
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
    """Put verdicts of some days ago into the status file, and hand-overs by the digest of their module."""
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
    """Five customers: verified, stale, failing, drifting, and one of whom nothing is known."""
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


def test_counts_come_first_then_who_needs_somebody(five: Path) -> None:
    """The most urgent first; under the table the command that leads on, for the first of each state."""
    done = status(five)
    lines = done.out.splitlines()

    assert 0 == done.code, done.err
    assert "5 accounts: 1 failed, 1 drifting, 1 stale, 1 not handed over, 1 verified" == lines[0]
    assert ["customer002", "customer003", "customer001", "customer004", "customer000"] == [
        line.split()[0] for line in lines if line.startswith("customer")
    ]
    assert "failed: runner verify --limit customer002   for the reason" in lines
    assert any(line.startswith("not handed over: gen bundle customer004   ") for line in lines)


def test_selection_states_labels_and_orders(five: Path) -> None:
    """Patterns as of runner verify --limit, labels, states; by name, by age, as in the manifest."""
    assert ["customer001", "customer003"] == sorted(states(five, "--label", "tier=gold"))
    assert ["customer001"] == list(states(five, "customer00[12]", "--label", "tier=gold"))
    assert ["customer000", "customer004"] == sorted(states(five, "all:!customer001:!customer002:!customer003"))
    assert {"customer002": "failed", "customer001": "stale"} == states(five, "--state", "failed", "--state", "stale")
    assert ["customer004", "customer001", "customer003", "customer002", "customer000"] == list(states(five, "--sort", "age"))
    assert sorted(states(five)) == list(states(five, "--sort", "name")) == list(states(five, "--sort", "manifest"))


def test_stale_is_what_one_asks_for(five: Path) -> None:
    """Seven days when nothing is said."""
    assert "stale" == states(five)["customer001"]
    assert "verified" == states(five, "--stale-after", "31d")["customer001"]
    assert "stale" == states(five, "--stale-after", "12h")["customer000"]


def test_exit_codes_for_a_nightly_job(five: Path) -> None:
    """1 when someone shown is in a state that was named, else 0; 2 for what cannot be meant."""
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
def test_who_is_not_there_is_said_of_the_option_that_was_given(five: Path, arguments: tuple[str, ...], where: str) -> None:
    """The patterns are those of runner verify --limit, but no one wrote that here."""
    ended = status(five, *arguments)

    assert 2 == ended.code
    assert f"error: {where}: " in ended.err


def test_hand_overs_can_be_noted(five: Path) -> None:
    """For those that are named, when there is something to hand over; the note has the module's digest."""
    noted = status(five, "customer004", "--handed-over", "--format", "json")
    entry = json.loads(noted.out)["accounts"][0]["entry"]
    nobody = status(five, "--handed-over")
    generate_nothing = status(fleet_without_modules(five), "customer004", "--handed-over")

    assert "handed-over" == states(five, "customer004")["customer004"]
    assert (64, "") == (len(entry["handed_over"]["module"]), entry["handed_over"]["bundle"])
    assert (2, True) == (nobody.code, "--handed-over" in nobody.err)
    assert (2, True) == (generate_nothing.code, "customer004" in generate_nothing.err)


def fleet_without_modules(folder: Path) -> Path:
    """The same manifest next to an empty output folder."""
    other = folder / "other"
    other.mkdir()
    (other / "accounts.yaml").write_bytes((folder / "accounts.yaml").read_bytes())
    return other


def test_a_module_that_changed_after_the_hand_over_is_shown(tmp_path: Path) -> None:
    """The customer has an older one until the new one is handed over and verified."""
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


def test_commands_that_lead_on_have_the_options_that_are_needed(five: Path) -> None:
    """Another manifest and another folder are named in them, as a shell takes them."""
    (five / "accounts.yaml").rename(five / "my accounts.yaml")
    (five / "output").rename(five / "modules")
    done = status(five, "--manifest", "my accounts.yaml", "--out", "modules")

    assert "failed: runner verify 'my accounts.yaml' --limit customer002 --out modules   for the reason" in done.out
    assert "gen bundle customer004 --manifest 'my accounts.yaml' --out modules" in done.out


def test_of_a_large_fleet_those_that_are_well_are_counted_alone(tmp_path: Path) -> None:
    """Fifty rows at most; --all, or a state, shows every one."""
    folder = fleet(tmp_path, 120)
    note(folder, {f"customer{number:03}": (1, verdict()) for number in range(60)})

    def rows(*arguments: str) -> int:
        return sum(line.startswith("customer") for line in status(folder, *arguments).out.splitlines())

    assert "120 accounts: 60 not handed over, 60 verified" == status(folder).out.splitlines()[0]
    assert [50, 120, 60, 0] == [rows(), rows("--all"), rows("--state", "verified"), rows("--state", "failed")]
    assert "and 10 more: use --all, --state or --format json" in status(folder).out


def test_the_table_fits_80_columns(five: Path) -> None:
    """Long names and findings are folded within their columns; colours only where there are any."""
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


def test_what_a_name_holds_is_shown_as_text(five: Path) -> None:
    """Neither markup nor an escape sequence of a finding reaches the terminal."""
    place = StatusPlace(five / "accounts.yaml", five / "output")
    found = make_status_report(place, select_targets(place, ("customer000",), ()), now=NOW)
    evil = [replace(found.rows[0], what="[red]x[/] \x1b]0;title\x07")]
    file = io.StringIO()
    print_status(pipe(file), replace(found, rows=evil), every=True)

    assert "[red]x[/]" in file.getvalue()
    assert "\x1b" not in file.getvalue()


def test_what_sandboxes_said_is_shown_apart(five: Path) -> None:
    """With --sandbox, and said so; commands that lead on stay in the sandbox."""
    done = status(five, "--sandbox")

    assert "5 accounts, rehearsal (sandbox): 5 not handed over" == done.out.splitlines()[0]
    assert "then: runner onboard customer000 --sandbox" in done.out


def test_reading_writes_nothing(five: Path) -> None:
    """The file is the same after it was shown."""
    path = status_path(five / "output", rehearsal=False)
    before = path.read_bytes()
    status(five)

    assert before == path.read_bytes()
    assert 4 == len(read_status(path).entries)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400 * 400, "400 d"), (-5, "now")],
)
def test_ages_are_short(seconds: int, words: str) -> None:
    """In the largest unit that fits; a clock that is behind makes nothing of it."""
    assert words == age(NOW - timedelta(seconds=seconds), NOW)
    assert "" == age(None, NOW)
