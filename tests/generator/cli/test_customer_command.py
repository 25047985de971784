"""`gen customer` on the command line: preview, confirmation, changes and next steps."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import command_rig
from command_rig import GEN, PLAIN, Ended
from manifests import NOTES

ACME = ("acme", "--account-id", "999999999999", "--external-id", "agreed")


def gen(*arguments: str | Path, cwd: Path) -> Ended:
    """Run `gen customer` in this process, with pipes as streams."""
    return command_rig.gen("customer", *arguments, cwd=cwd)


def on_a_terminal(*arguments: str, cwd: Path, answer: str) -> tuple[int, str]:
    """Run `gen customer` on a terminal and type an answer: the exit code and everything printed on the terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", GEN, "customer", *arguments],
        cwd=cwd,
        env={**os.environ, **PLAIN},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    os.write(master, answer.encode())
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # Linux raises EIO when the other side has closed the terminal
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    return process.wait(), shown.decode().replace("\r\n", "\n")


def manifest(folder: Path) -> str:
    return (folder / "accounts.yaml").read_text()


def test_yes_adds_customer_without_confirmation(notes: Path) -> None:
    done = gen("add", *ACME, "--label", "tier=gold", "--region", "eu-central-1", "--yes", cwd=notes)
    line = (
        '  - {name: acme, account_id: "999999999999", external_id: "agreed", regions: [eu-central-1], labels: {tier: gold}}'
    )

    assert (0, "") == (done.code, done.err)
    assert f"\n    +{line}\n" in done.out
    assert "+ customers/acme (new)" in done.out
    assert "widens acme/VendorAccess trusts backend/backend_role with external ID agreed" in done.out
    assert "gen bundle acme" in done.out
    assert [line] == [new for new in manifest(notes).splitlines() if new not in NOTES.read_text().splitlines()]


def test_new_external_id_is_generated(notes: Path) -> None:
    """Two customers get different IDs of 128 bits."""
    for name, account in (("one", "888888888888"), ("two", "777777777777")):
        assert 0 == gen("add", name, "--account-id", account, "--yes", cwd=notes).code
    listed = json.loads(gen("list", "one", "two", "--format", "json", cwd=notes).out)

    assert [32, 32] == [len(entry["external_id"]) for entry in listed]
    assert 2 == len({entry["external_id"] for entry in listed})


def test_dry_run_prints_changes_and_writes_nothing(notes: Path) -> None:
    done = gen("remove", "account1", "--dry-run", cwd=notes)

    assert 0 == done.code
    assert "- customers/account1 (removed)" in done.out
    assert NOTES.read_text() == manifest(notes)


def test_confirmation_requires_a_terminal(notes: Path) -> None:
    """A script must pass --yes; otherwise the exit code is 2 and the file is unchanged."""
    done = gen("remove", "account1", cwd=notes)

    assert 2 == done.code
    assert "confirmation requires a terminal" in done.err
    assert "--yes" in done.err
    assert NOTES.read_text() == manifest(notes)


@pytest.mark.parametrize(
    ("answer", "code", "gone"), [("y\n", 0, True), ("\n", 130, False), ("no\n", 130, False), ("\x04", 130, False)]
)
def test_confirmation_on_a_terminal(notes: Path, answer: str, code: int, gone: bool) -> None:
    ended, shown = on_a_terminal("remove", "account2", cwd=notes, answer=answer)

    assert code == ended
    assert shown.index("- customers/account2 (removed)") < shown.index("Write these changes? [y/N]")
    assert gone == ("account2" not in manifest(notes))
    assert gone == ("terraform destroy" in shown)
    if answer == "\x04":  # the message starts on a new line
        assert "Write these changes? [y/N]: \nerror: not confirmed; nothing was written\n" in shown


def test_json_output_is_one_object(notes: Path) -> None:
    done = gen("rename", "account1", "acme", "--yes", "--format", "json", cwd=notes)
    body = json.loads(done.out)

    assert body["written"]
    assert [("customers/acme", "moved", "customers/account1")] == [
        (module["path"], module["state"], module["moved_from"]) for module in body["access"]["modules"]
    ]
    assert ["gen terraform", "gen bundle acme"] == [step["command"] for step in body["next"]]
    assert 2 == gen("remove", "acme", "--format", "json", cwd=notes).code
    assert not json.loads(gen("remove", "acme", "--format", "json", "--dry-run", cwd=notes).out)["written"]


def test_rename_prints_moved_block(notes: Path) -> None:
    """For users who call the folder as a child module."""
    done = gen("rename", "account1", "acme", "--yes", cwd=notes)

    assert "customers/account1 is now customers/acme\n    only the folder is renamed; no AWS resource changes\n" in done.out
    assert "moved {\n  from = module.account1\n  to   = module.acme\n}\n" in done.out


def test_switch_role_is_renamed_with_its_option(notes: Path) -> None:
    done = gen("rename", "reena-in-sumesh", "reena", "--switch-role", "--yes", cwd=notes)

    assert 0 == done.code
    assert "> switch-roles/reena-in-sumesh/trusted is now switch-roles/reena/trusted" in done.out
    assert "  - name: reena\n    trusting:" in manifest(notes)


def test_fields_are_set_and_unset(notes: Path) -> None:
    done = gen("set", "account1", "--role", "Auditor", "--unset", "permissions", "--tag", "team=a", "--yes", cwd=notes)

    assert 0 == done.code
    assert "AWS cannot rename a role: role1 is deleted and Auditor is created" in done.out
    wanted = '{name: account1, account_id: "222222222222", role: Auditor, external_id: "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"'
    assert f"{wanted}, tags: {{team: a}}}}" in manifest(notes)
    assert "No changes" in gen("set", "account1", "--role", "Auditor", cwd=notes).out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "acme", "--account-id", "12"), 3, 'accounts.yaml:28:30: account_id "12" is not an AWS account ID'),
        (("add", "account1", "--account-id", "999999999999"), 3, "has the name of another"),
        (("add", *ACME, "--permissions", "s3-raed"), 3, "write s3-read"),
        (("add", *ACME, "--tag", "gold"), 2, "--tag: gold is not KEY=VALUE"),
        (("add", *ACME, "--file", "../x.yaml"), 2, "a file of customers must be below"),
        (("remove", "acount1"), 2, "write account1"),
        (("rename", "account1", "account2"), 3, "has the name of another"),
        (("rename", "account1", "no/slash"), 3, "is not a valid folder name"),
        (("set", "account1"), 2, "nothing to set"),
        (("set", "account1", "--unset", "name"), 3, "nothing was written"),
        (("set", "account1", "--unset", "account-id"), 2, "hint: write account_id"),
        (("set", "account1", "--unset", "role", "--role", "x"), 2, "role is both set and unset"),
        (("remove", "account*"), 2, "hint: use full names: account1, account2, account3"),
        (("remove", "reena-in-sumesh"), 2, "a switch role has that name: rename and remove take --switch-role"),
        (("rename", "account1", "x", "--switch-role"), 2, "a customer has that name: leave --switch-role out"),
        (("show", "nobody"), 2, "there is no customer named nobody"),
        (("list", "--label", "x"), 2, "is not KEY=VALUE"),
        (("list", "--manifest", "missing.yaml"), 3, "there is no such file"),
    ],
)
def test_invalid_arguments_are_errors_with_hint(notes: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = gen(*arguments, *(["--yes"] if arguments[0] not in ("show", "list") else []), cwd=notes)

    assert code == done.code
    assert said in done.err
    assert "Traceback" not in done.err
    assert NOTES.read_text() == manifest(notes)


def test_list_and_show_print_customers(notes: Path) -> None:
    listed = gen("list", "account*", cwd=notes).out
    shown = gen("show", "account1", cwd=notes).out

    assert "│ account1 │ 222222222222 │ role1 │ s3-read, ec2-read │ not written │" in listed
    assert "3 customers" in listed
    assert "arn:aws:iam::222222222222:role/role1" in shown
    assert "rolecall-assume-customers-backend_role-1" in shown
    assert "    [profile account1]\n    role_arn = arn:aws:iam::222222222222:role/role1\n" in shown


def test_show_as_json_has_resolved_values(notes: Path) -> None:
    body = json.loads(gen("show", "account2", "--format", "json", cwd=notes).out)

    assert (["s3-read"], ["us-east-1"], {"managed-by": "rolecall"}) == (body["permissions"], body["regions"], body["tags"])
    assert "[profile account2]" in body["profile"]


def test_customer_in_included_file_is_edited(notes: Path) -> None:
    gen("add", *ACME, "--file", "customers/acme.yaml", "--yes", cwd=notes)
    gen("add", "zeta", "--account-id", "888888888888", "--external-id", "e", "--yes", cwd=notes)
    gen("set", "acme", "--label", "tier=gold", "--yes", cwd=notes)

    head = (
        'customers:\n  - name: acme\n    account_id: "999999999999"\n    external_id: "agreed"\n    labels: {tier: gold}\n'
    )
    assert head == (notes / "customers" / "acme.yaml").read_text()
    assert "include:\n  - customers/acme.yaml\n" in manifest(notes)
