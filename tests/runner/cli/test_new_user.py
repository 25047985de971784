"""A new user: from `gen init` to a verified customer with only the printed next steps, each run as printed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import command_rig
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox

NEXT = re.compile(r"^next\b.*?:.*?((?:gen|runner) [^;\n]*)$", re.MULTILINE)
OWN_IDS = {"111111111111": "610000000001", "222222222222": "620000000002", "333333333333": "630000000003"}
"""The starter's account ids and those that the new user enters."""


def run(folder: Path, line: str, environ: Mapping[str, str] | None = None) -> str:
    """Run a command line in a shell and return its output. It must succeed."""
    program, *arguments = shlex.split(line)
    command = {"gen": command_rig.gen, "runner": command_rig.runner}[program]
    done = command(*arguments, cwd=folder, environ={"COLUMNS": "80", **(environ or {})})
    assert 0 == done.code, f"{line}\n{done.out}\n{done.err}"
    return done.out


def enter_own_ids(folder: Path) -> None:
    """Enter the values that gen init requests before its next step."""
    path = folder / "accounts.yaml"
    text = path.read_text()
    for old, new in OWN_IDS.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def test_printed_steps_lead_from_init_to_verified_customer(tmp_path: Path) -> None:
    """Each command is printed by the previous one; the last one verifies a customer and records it."""
    typed, outputs = ["gen init"], []
    while typed[-1] not in {"", "runner onboard customer1"} and len(typed) < 6:
        outputs.append(run(tmp_path, typed[-1]))
        if typed[-1] == "gen init":
            assert "account IDs" in outputs[-1]
            enter_own_ids(tmp_path)
        typed.append(next(iter(NEXT.findall(outputs[-1])), "").strip())
    with in_process_sandbox(tmp_path / "accounts.yaml", tmp_path / "output") as world:
        vendor = actor_environment(world.sandbox, world.backend)
        verified = run(tmp_path, typed[-1], vendor)
        (account,) = json.loads(run(tmp_path, "runner status customer1 --format json", vendor))["accounts"]

    assert [
        "gen init",
        "gen terraform accounts.yaml",
        "runner onboard customer1 --sandbox",
        "gen bundle customer1",
        "runner onboard customer1",
    ] == typed
    assert ["✓ customer1 is verified"] * 2 == re.findall("✓ customer1 is verified", outputs[2] + verified)
    assert re.search(r"your AWS account 620000000002 was checked", " ".join(outputs[2].split()))
    assert (tmp_path / "output" / "bundles" / "customer1.zip").is_file()
    assert ("verified", 64) == (account["state"], len(account["entry"]["handed_over"]["bundle"]))
