"""Shell scripts that call the AWS CLI, run against a sandbox with the real CLI, or with a recorder in its place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aws_cli_server
from rolecall_runner.sandbox.sessions import OPERATOR_ROLE
from sandbox_rig import OPERATOR, Rig, taken


@dataclass(frozen=True)
class Shell:
    """A shell with the real AWS CLI on its path, for the accounts of a sandbox."""

    rig: Rig
    folder: Path

    def run(self, script: bytes, *arguments: str, account_id: str, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script as administrator of an account; `answers` is its standard input."""
        path = self.folder / "script.sh"
        path.write_bytes(script)
        return subprocess.run(
            ["sh", str(path), *arguments],
            env=self._environment(account_id),
            input=answers,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def _environment(self, account_id: str) -> Mapping[str, str]:
        role = f"arn:{self.rig.sandbox.partition}:iam::{account_id}:role/{OPERATOR_ROLE}"
        sts = self.rig.client("sts", OPERATOR, self.rig.sandbox.region)
        key = taken(sts.assume_role(RoleArn=role, RoleSessionName="cli"))
        return {
            "PATH": f"{self.folder}:{os.environ.get('PATH', '')}",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "AWS_ENDPOINT_URL": self.rig.sandbox.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_SESSION_TOKEN": key.session_token or "",
        }


@contextmanager
def shell(rig: Rig, folder: Path) -> Iterator[Shell]:
    """Start the CLI for one block; `folder` is empty and short, since a socket lies in it."""
    path = str(folder / "cli")
    client = folder / "aws"
    client.write_text(aws_cli_server.CLIENT.format(python=sys.executable, path=path))
    client.chmod(0o755)
    command = [sys.executable, aws_cli_server.__file__, path]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            assert "ready\n" == server.stdout.readline()
            yield Shell(rig, folder)
        finally:
            server.terminate()
