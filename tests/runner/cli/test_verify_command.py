"""The command `runner verify`: formats, exit codes, selection, retry, resume, usage errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from command_rig import Ended, runner
from manifests import NOTES
from rolecall_runner.sandbox.provisioning.seed import InProcessSandbox, actor_environment, in_process_sandbox

QUICK = ("--actions", "none", "--no-drift")


@pytest.fixture(scope="module")
def world() -> Iterator[InProcessSandbox]:
    """A sandbox with the example accounts, shared by tests that do not change it."""
    with in_process_sandbox(NOTES, Path("nowhere")) as found:
        yield found


def verify(world: InProcessSandbox, folder: Path, *arguments: str) -> Ended:
    return runner("verify", *arguments, cwd=folder, environ=actor_environment(world.sandbox, world.backend))


def test_example_accounts_pass(world: InProcessSandbox, notes: Path) -> None:
    """The recap has one line per customer, and the run is in the history."""
    done = verify(world, notes)
    history = json.loads(runner("history", "--format", "json", cwd=notes).out)

    assert 0 == done.code, done.out + done.err
    lines = [line for line in done.out.splitlines() if re.match(r"account\d +: ok=\d+ +refused=\d+ ", line)]
    assert 3 == len(lines)
    assert "All 3 accounts passed" in done.out
    assert [(4, {"ok": 3, "skipped": 1})] == [(run["total"], run["counts"]) for run in history]


def test_machine_readable_formats(world: InProcessSandbox, notes: Path) -> None:
    done = {form: verify(world, notes, *QUICK, "--format", form).out for form in ("json", "jsonl", "junit", "html")}
    names = ["account1", "account2", "account3", "reena-in-sumesh"]

    assert names == [verdict["name"] for verdict in json.loads(done["json"])["verdicts"]]
    assert names == sorted(json.loads(line)["name"] for line in done["jsonl"].splitlines())
    assert 4 == len(Xml.fromstring(done["junit"]).findall("testsuite"))  # noqa: S314 - trusted XML
    assert done["html"].lower().startswith("<!doctype html>")
    assert "<svg" in done["html"]


def test_output_and_journal_contain_no_secret(world: InProcessSandbox, notes: Path) -> None:
    texts = []
    for form in ("table", "json", "html"):
        done = verify(world, notes, "--verbose", "--limit", "account1:reena-in-sumesh", "--format", form)
        texts += [done.out, done.err]
    texts += [path.read_text() for path in (notes / ".rolecall").rglob("*") if path.is_file()]
    token = actor_environment(world.sandbox, world.backend)["AWS_CONTAINER_AUTHORIZATION_TOKEN"]

    assert [] == [found for text in texts for found in re.findall(r"\bA(?:SIA|KIA)[A-Z0-9]{16}\b", text)]
    assert not any(token in text for text in texts)


def test_selection_uses_ansible_patterns(world: InProcessSandbox, notes: Path) -> None:
    done = json.loads(verify(world, notes, *QUICK, "--limit", "account*:!account2", "--format", "json").out)
    sample = json.loads(verify(world, notes, *QUICK, "--sample", "2", "--seed", "3", "--format", "json").out)
    wrong = verify(world, notes, "--limit", "acount1")

    assert ["account1", "account3"] == [verdict["name"] for verdict in done["verdicts"]]
    assert 2 == len(sample["verdicts"])
    assert (2, True) == (wrong.code, "did you mean account1?" in wrong.err)


def test_usage_error_has_exit_code_and_hint(world: InProcessSandbox, notes: Path) -> None:
    """No credentials, a missing run, a broken manifest, a run of another manifest."""
    verify(world, notes, *QUICK)
    nobody = runner("verify", cwd=notes)
    missing = verify(world, notes, "--resume", "0000")
    text = (notes / "accounts.yaml").read_text()
    (notes / "accounts.yaml").write_text(text.replace("role: role3", "role: role9"))
    other = verify(world, notes, "--resume", "last")
    (notes / "accounts.yaml").write_text("version: 7\n")
    broken = verify(world, notes)

    assert [8, 2, 5, 3] == [done.code for done in (nobody, missing, other, broken)]
    for done, words in (
        (nobody, "no AWS credentials"),
        (missing, "no such run: 0000"),
        (other, "the manifest has changed"),
        (broken, "accounts.yaml:1:"),
    ):
        assert words in done.err
        assert "hint: " in done.err
        assert "Traceback" not in done.err
