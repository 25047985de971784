"""Whom the programs talk to: the generator to no one, the runner to AWS only, as the roles of the manifest only."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest

from command_rig import runner
from manifests import NOTES
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.manifest.models import resolve_customers
from rolecall_generator.planning.backend import customer_role_arn
from rolecall_runner.aws.clients import Transport
from rolecall_runner.sandbox.provisioning.seed import InProcessSandbox, actor_environment, in_process_sandbox

COMMANDS = (
    "terraform",
    "check",
    "prove",
    "bundle",
    "bundle-check output/bundles/account1",
    "diff",
    "customer list",
    "profiles",
)
RUN = """
import sys
from {package}.cli import app

for line in sys.argv[1:]:
    sys.argv[:] = [{program!r}, *line.split()]
    try:
        app(prog_name={program!r})
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    if code != {code}:
        sys.exit(f"{{line}}: exit code {{code}}")
"""
# An audit hook sees every socket of the interpreter, whatever library opens it; child processes get it as well.
HOOK = """
import os, sys

def seen(event, arguments):
    if event == "subprocess.Popen":
        with open(os.environ["CONNECTIONS"], "a") as file:
            file.write(f"{event} {arguments[0]} -\\n")
    if event in {"socket.connect", "socket.getaddrinfo"}:
        target = arguments[1] if event == "socket.connect" else arguments[:2]
        if isinstance(target, tuple):
            with open(os.environ["CONNECTIONS"], "a") as file:
                file.write(f"{event} {target[0]} {target[1]}\\n")

sys.addaudithook(seen)
"""


def connections(program: str, *lines: str, cwd: Path, environ: Mapping[str, str] | None = None, code: int = 0) -> set[str]:
    """Where the commands of `gen` or `runner` connected to, as `HOST PORT`, and `PROGRAM -` for what they ran.

    `code`: the exit code that each must end with.
    """
    hook = cwd / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    record = cwd / "connections"
    record.write_text("")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PYTHON"))}
    paths = os.pathsep.join([str(hook), *(path for path in sys.path if path)])
    environment = kept | {"HOME": str(cwd), "PYTHONPATH": paths, "CONNECTIONS": str(record)} | dict(environ or {})
    package = "rolecall_generator" if program == "gen" else "rolecall_runner"
    text = RUN.format(package=package, program=program, code=code)
    done = subprocess.run(
        [sys.executable, "-c", text, *lines], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return {line.split(" ", 1)[1] for line in record.read_text().splitlines()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the example accounts."""
    shutil.copy(NOTES, tmp_path / "accounts.yaml")
    return tmp_path


@pytest.fixture(scope="module")
def world() -> Iterator[InProcessSandbox]:
    """A sandbox with the example accounts."""
    with in_process_sandbox(NOTES, Path("nowhere")) as found:
        yield found


def test_the_generator_opens_no_connection(folder: Path) -> None:
    """Generating, checking, proving, comparing and bundling need neither a network nor credentials."""
    assert set() == connections("gen", *COMMANDS, cwd=folder)


def test_an_audit_of_a_file_opens_no_connection(folder: Path) -> None:
    """The data of an account stays on the machine."""
    shutil.copy(NOTES.parent / "authorization-details.json", folder / "account.json")

    assert set() == connections("gen", "audit account.json --quiet", "audit account.json --format html", cwd=folder, code=1)


def test_nothing_in_a_returned_folder_is_run(folder: Path) -> None:
    """A data source that runs a program, a provisioner, a test: findings, and neither a program nor a connection."""
    connections("gen", "terraform", cwd=folder)
    returned = folder / "returned"
    shutil.copytree(folder / "output" / "customers" / "account1", returned)
    touch = f"touch {folder / 'ran'}"
    (returned / "more.tf").write_text(
        f'data "external" "it" {{\n  program = ["sh", "-c", "{touch}"]\n}}\n'
        f'resource "terraform_data" "it" {{\n  provisioner "local-exec" {{\n    command = "{touch}"\n  }}\n}}\n'
        'module "other" {\n  source = "git::http://127.0.0.1:9/other"\n}\n'
    )

    assert set() == connections("gen", "check --path account1=returned", cwd=folder, code=1)
    assert not (folder / "ran").exists()


def test_the_runner_connects_to_aws_only(world: InProcessSandbox, folder: Path) -> None:
    """A whole verification reaches the endpoint that stands for AWS, and nothing else: no telemetry, no update check."""
    environment = actor_environment(world.sandbox, world.backend)
    url = urlsplit(world.sandbox.url)

    assert {f"{url.hostname} {url.port}"} == connections("runner", "verify", cwd=folder, environ=environment)


def test_the_hook_sees_a_connection(folder: Path) -> None:
    """The check has teeth: an attempt to connect is noted, whether it succeeds or not."""
    code = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9))"
    (folder / "sitecustomize.py").write_text(HOOK)
    environment = {**os.environ, "PYTHONPATH": str(folder), "CONNECTIONS": str(folder / "seen")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)

    assert "socket.connect 127.0.0.1 9\n" == (folder / "seen").read_text()


def test_only_roles_of_the_manifest_are_assumed(world: InProcessSandbox, folder: Path) -> None:
    """Every AssumeRole that leaves names a role of a customer in the manifest, also those that must be refused."""
    assumed: set[str] = set()
    send = Transport.send

    def record(self: Any, request: Any, **event: object) -> Any:
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
        query = parse_qs(body)
        if query.get("Action", [""])[0].startswith("AssumeRole"):
            assumed.update(query["RoleArn"])
        return send(self, request, **event)

    with mock.patch.object(Transport, "send", record):
        done = runner("verify", "--format", "json", cwd=folder, environ=actor_environment(world.sandbox, world.backend))

    manifest = load_manifest(NOTES).manifest
    known = {customer_role_arn(manifest.partition, customer) for customer in resolve_customers(manifest)}
    assert 0 == done.code
    assert 3 == len(known & assumed)
    assert [] == sorted(arn for arn in assumed - known if not re.fullmatch(r".*:role/reena-assumedRole", arn))
    assert json.loads(done.out)["verdicts"]
