"""A new user: from `gen init` to a verified customer with the printed next steps alone, each run as it is printed."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox

NEXT = re.compile(r"^next\b.*?:.*?((?:gen|runner) [^;\n]*)$", re.MULTILINE)
OWN_IDS = {"111111111111": "610000000001", "222222222222": "620000000002", "333333333333": "630000000003"}
"""The starter's account ids and those that the new user puts in."""


@dataclass(frozen=True, slots=True)
class Shell:
    """A folder in which commands are typed, with `gen` and `runner` on the path and no AWS but what `variables` say."""

    folder: Path
    programs: Path
    variables: Mapping[str, str]

    def type(self, line: str) -> str:
        """Run a line as a shell does; its output. It must succeed."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        environ = {
            **kept, "NO_COLOR": "1", "COLUMNS": "80", "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(self.folder),
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}", **self.variables,
        }  # fmt: skip
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=self.folder, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert 0 == done.returncode, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with `gen` and `runner`, whichever Python runs the tests."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, package in (("gen", "rolecall_generator"), ("runner", "rolecall_runner")):
        path = folder / name
        path.write_text(f"#!{sys.executable}\nfrom {package}.cli import app\napp(prog_name={name!r})\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


def next_steps(output: str) -> list[str]:
    """The commands of the lines that start with `next`."""
    return [match.strip() for match in NEXT.findall(output)]


def put_in_own_ids(folder: Path) -> None:
    """What gen init asks for before its next step."""
    path = folder / "accounts.yaml"
    text = path.read_text()
    for old, new in OWN_IDS.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def test_from_init_to_a_verified_customer_by_the_printed_steps(tmp_path: Path, programs: Path) -> None:
    """Four commands, the first one known from the README, each next one printed: the customer is verified on the way."""
    home = tmp_path / "home"
    home.mkdir()
    shell = Shell(home, programs, {})
    typed, outputs = ["gen init"], []
    while typed[-1] and len(typed) < 6:
        outputs.append(shell.type(typed[-1]))
        if typed[-1] == "gen init":
            assert "gen terraform" in outputs[-1]
            put_in_own_ids(home)
        typed.append(next(iter(next_steps(outputs[-1])), ""))
        if typed[-1] == "runner onboard customer1":
            break

    assert [
        "gen init",
        "gen terraform accounts.yaml",
        "runner onboard customer1 --sandbox",
        "gen bundle customer1",
        "runner onboard customer1",
    ] == typed
    assert "✓ customer1 is verified: all is as agreed" in outputs[2]
    assert "the access to your AWS account 620000000002 was checked: everything is as agreed" in outputs[2]
    assert (home / "output" / "bundles" / "customer1.zip").is_file()


def test_the_last_step_verifies_a_customer_that_has_applied(tmp_path: Path, programs: Path) -> None:
    """In a sandbox in AWS's place, where the customer has applied, `runner onboard` ends with the verdict on record."""
    home = tmp_path / "home"
    home.mkdir()
    Shell(home, programs, {}).type("gen init")
    put_in_own_ids(home)
    written = Shell(home, programs, {}).type("gen terraform accounts.yaml")
    (hand_over,) = [step for step in next_steps(written) if step.startswith("gen bundle")]
    (onboard,) = next_steps(Shell(home, programs, {}).type(f"{hand_over} customer1"))
    with in_process_sandbox(home / "accounts.yaml", home / "output") as world:
        vendor = Shell(home, programs, actor_environment(world.sandbox, world.backend))
        said = vendor.type(onboard)
        shown = json.loads(vendor.type("runner status customer1 --format json"))
    (account,) = shown["accounts"]

    assert "runner onboard customer1" == onboard
    assert "✓ customer1 is verified" in said
    assert "verified" == account["state"]
    assert 64 == len(account["entry"]["handed_over"]["bundle"])
