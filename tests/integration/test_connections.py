"""Network connections: the generator opens none, the runner connects only to AWS, only as roles in the manifest."""

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
from shared_cache import SHARED_CACHE

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
# An audit hook reports every socket of the interpreter, from any library; child processes have it as well.
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
    """Connections of the `gen` or `runner` commands, as `HOST PORT`, and `PROGRAM -` for programs they started.

    `code`: the expected exit code of each command.
    """
    hook = cwd / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    record = cwd / "connections"
    record.write_text("")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PYTHON"))}
    paths = os.pathsep.join([str(hook), *(path for path in sys.path if path)])
    hooked = {"HOME": str(cwd), "PYTHONPATH": paths, "CONNECTIONS": str(record)}
    environment = kept | SHARED_CACHE | hooked | dict(environ or {})
    package = "rolecall_generator" if program == "gen" else "rolecall_runner"
    text = RUN.format(package=package, program=program, code=code)
    done = subprocess.run(
        [sys.executable, "-c", text, *lines], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return {line.split(" ", 1)[1] for line in record.read_text().splitlines()}


@pytest.fixture(scope="module")
def world() -> Iterator[InProcessSandbox]:
    """A sandbox with the example accounts."""
    with in_process_sandbox(NOTES, Path("nowhere")) as found:
        yield found


def test_generator_opens_no_connection(notes: Path) -> None:
    """Generating, checking, proving, comparing and bundling work without network and credentials."""
    assert set() == connections("gen", *COMMANDS, cwd=notes)


def test_audit_of_a_file_opens_no_connection(notes: Path) -> None:
    """The data of an account stays on the machine."""
    shutil.copy(NOTES.parent / "authorization-details.json", notes / "account.json")

    assert set() == connections("gen", "audit account.json --quiet", "audit account.json --format html", cwd=notes, code=1)


def test_nothing_in_a_returned_folder_is_executed(notes: Path) -> None:
    """A data source that runs a program, a provisioner and a test are findings; nothing starts or connects."""
    connections("gen", "terraform", cwd=notes)
    returned = notes / "returned"
    shutil.copytree(notes / "output" / "customers" / "account1", returned)
    touch = f"touch {notes / 'ran'}"
    (returned / "more.tf").write_text(
        f'data "external" "it" {{\n  program = ["sh", "-c", "{touch}"]\n}}\n'
        f'resource "terraform_data" "it" {{\n  provisioner "local-exec" {{\n    command = "{touch}"\n  }}\n}}\n'
        'module "other" {\n  source = "git::http://127.0.0.1:9/other"\n}\n'
    )

    assert set() == connections("gen", "check --path account1=returned", cwd=notes, code=1)
    assert not (notes / "ran").exists()


def test_runner_connects_only_to_aws(world: InProcessSandbox, notes: Path) -> None:
    """A complete verify run connects only to the endpoint configured as AWS: no telemetry, no update check."""
    environment = actor_environment(world.sandbox, world.backend)
    url = urlsplit(world.sandbox.url)

    assert {f"{url.hostname} {url.port}"} == connections("runner", "verify", cwd=notes, environ=environment)


def test_hook_reports_a_connection(notes: Path) -> None:
    """A connection attempt is recorded, whether it succeeds or not."""
    code = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9))"
    (notes / "sitecustomize.py").write_text(HOOK)
    environment = {**os.environ, "PYTHONPATH": str(notes), "CONNECTIONS": str(notes / "seen")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)

    assert "socket.connect 127.0.0.1 9\n" == (notes / "seen").read_text()


def test_only_roles_of_the_manifest_are_assumed(world: InProcessSandbox, notes: Path) -> None:
    """Every AssumeRole call is for a role of a customer in the manifest, also those that must be denied."""
    assumed: set[str] = set()
    send = Transport.send

    def record(self: Any, request: Any, **event: object) -> Any:
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
        query = parse_qs(body)
        if query.get("Action", [""])[0].startswith("AssumeRole"):
            assumed.update(query["RoleArn"])
        return send(self, request, **event)

    with mock.patch.object(Transport, "send", record):
        done = runner("verify", "--format", "json", cwd=notes, environ=actor_environment(world.sandbox, world.backend))

    manifest = load_manifest(NOTES).manifest
    known = {customer_role_arn(manifest.partition, customer) for customer in resolve_customers(manifest)}
    assert 0 == done.code
    assert 3 == len(known & assumed)
    assert [] == sorted(arn for arn in assumed - known if not re.fullmatch(r".*:role/reena-assumedRole", arn))
    assert json.loads(done.out)["verdicts"]
