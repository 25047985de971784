"""Output for customers and changes: readable on a narrow terminal, complete in a pipe, and summarized for many customers."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from consoles import pipe, terminal
from manifests import NOTES
from rolecall_generator.cli.customer_output import (
    print_customer,
    print_customers,
    print_difference,
    print_proposal,
    print_steps,
)
from rolecall_generator.customers.edits import AccessDifference, ModuleDifference, NextStep, remove_entries
from rolecall_generator.customers.listing import list_customers, show_customer
from rolecall_generator.iam.difference import Change
from rolecall_generator.manifest.loader import load_manifest

MANIFEST = """version: 1
backend: {account_id: "111111111111"}
suppress: [{rule: RC101, subject: c00, reason: known}]
customers:
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Thirty customers; the first has every field that a report can contain."""
    first = """, previous_external_id: "old", external_id: "new", tags: {t: x}, path: "/[red]/",
     permissions_boundary: "arn:aws:iam::aws:policy/P\""""
    lines = [f'  - {{name: c{n:02}, account_id: "{n:012}"{first if n == 0 else ""}}}\n' for n in range(30)]
    (tmp_path / "accounts.yaml").write_text(MANIFEST + "".join(lines))
    return tmp_path / "accounts.yaml"


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def difference(*texts: str) -> AccessDifference:
    changes = tuple(Change("added", "arn", text, True) for text in texts)
    return AccessDifference((ModuleDifference("backend", "changed", changes),), 0)


def test_lines_are_wrapped_only_on_a_terminal() -> None:
    """Continuation lines are indented and ARNs are not split; in a pipe there is one line."""
    arn = "arn:aws:iam::999999999999:role/a-name-with-hyphens"
    narrow, wide = terminal(io.StringIO(), width=60), pipe(io.StringIO())
    for console in (narrow, wide):
        print_difference(console, difference(f"the role may now also do something long on {arn} and more"))

    assert [
        "access",
        "~ backend",
        "    widens the role may now also do something long on",
        f"      {arn}",
        "      and more",
    ] == shown(narrow).splitlines()
    assert f"    widens the role may now also do something long on {arn} and more" == shown(wide).splitlines()[-1]


def test_changes_of_many_customers_are_summarized(manifest: Path) -> None:
    """Twenty modules and lines are listed and the rest is counted; notes are last."""
    console = pipe(io.StringIO())
    print_proposal(console, remove_entries(manifest, manifest.parent / "output", [f"c{n:02}" for n in range(30)]))

    # the first entry has two lines; the line of the list itself is removed and added
    assert "    and 13 more lines\n" in shown(console)
    assert "    and 11 more modules\n" in shown(console)  # the backend's module is first
    assert shown(console).endswith("note: the suppression for c00 no longer matches anything\n")


def test_note_of_difference_is_shown() -> None:
    """It states why all modules are listed as new."""
    console = pipe(io.StringIO())
    print_difference(console, AccessDifference((), 3, "the manifest as it stands cannot be planned"))

    assert ["access", "    the manifest as it stands cannot be planned", "    no changes"] == shown(console).splitlines()


def test_steps_are_next_to_their_reasons_on_a_wide_terminal() -> None:
    """On a narrow terminal the reason is on the next line, so that the command can be copied."""
    steps = [NextStep("gen terraform", "write the modules"), NextStep("gen bundle a", "what you hand over")]
    narrow, wide = terminal(io.StringIO(), width=30), pipe(io.StringIO())
    for console in (narrow, wide):
        print_steps(console, steps)

    assert ["next", "    gen terraform", "        write the modules", "    gen bundle a", "        what you hand over"] == (
        shown(narrow).splitlines()
    )
    assert ["next", "    gen terraform   write the modules", "    gen bundle a    what you hand over"] == shown(
        wide
    ).splitlines()


def test_account_ids_are_not_split_in_a_narrow_table(manifest: Path) -> None:
    """At 80 columns account IDs are not split; brackets in paths are printed literally."""
    console = terminal(io.StringIO(), width=80)
    print_customers(console, list_customers(manifest, manifest.parent / "output", ["c0*"]))

    assert "│ 000000000009 │" in shown(console)
    assert "[red]/" in shown(console)
    assert "10 customers" in shown(console)


def test_names_are_not_split_in_a_narrow_table(tmp_path: Path) -> None:
    """At 60 columns neither the name nor the state of the module is split."""
    path = tmp_path / "accounts.yaml"
    path.write_bytes(NOTES.read_bytes())
    console = terminal(io.StringIO(), width=60)
    print_customers(console, list_customers(path, tmp_path / "output"))

    assert "│ account1 │ 222222222222 │" in shown(console)
    assert "│ not written │" in shown(console)
    assert "labels" not in shown(console)  # an empty column is omitted
    assert 60 >= max(map(len, shown(console).splitlines()))


def test_value_cannot_control_the_terminal(tmp_path: Path) -> None:
    """A value with line breaks and brackets stays on its line and is not markup; manifests reject escape sequences."""
    path = tmp_path / "accounts.yaml"
    path.write_text(
        'version: 1\nbackend: {account_id: "111111111111"}\n'
        'customers: [{name: a, account_id: "222222222222", variables: {x: "[red]x[/]\\n::error::y", y: "é 日本"}}]\n'
    )
    console = pipe(io.StringIO())
    print_customer(console, show_customer(load_manifest(path), tmp_path / "output", "a"), "")

    assert "\nvariables    x=[red]x[/] ::error::y, y=é 日本\n" in shown(console)


def test_empty_list_prints_a_message() -> None:
    console = pipe(io.StringIO())
    print_customers(console, ())

    assert "no customer\n" == shown(console)


def test_customer_during_rotation_has_both_ids(manifest: Path) -> None:
    """Both IDs and the boundary are shown; a customer without an external ID has a link instead."""
    first, second = pipe(io.StringIO()), pipe(io.StringIO())
    print_customer(
        first, show_customer(load_manifest(manifest), manifest.parent / "output", "c00"), "[profile c00]\nregion = x\n"
    )
    print_customer(second, show_customer(load_manifest(manifest), manifest.parent / "output", "c01"), "")

    lines = shown(first).splitlines()
    assert "external ID  new" in lines
    assert "             old is also accepted: a rotation is under way" in lines
    assert "boundary     arn:aws:iam::aws:policy/P" in lines
    assert "    [profile c00]" in lines
    assert "external ID  none: the role can be assumed without one" in shown(second)
    assert "console      https://signin.aws.amazon.com/switchrole?account=000000000001" in shown(second)
