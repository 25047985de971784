"""Run shell scripts that call the AWS CLI against a sandbox, with the real CLI or with a recorder in its place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar

import aws_cli_server
from sandbox_rig import Rig


class Server(Protocol):
    """The CLI's endpoint: a sandbox or another emulator."""

    def cli_environment(self, account_id: str) -> Mapping[str, str]:
        """Endpoint and credentials of an administrator of an account, as environment variables."""


Called = TypeVar("Called", bound=Server)


@dataclass(frozen=True)
class CliShell(Generic[Called]):
    """A shell with the real AWS CLI on PATH, for the accounts of a server."""

    rig: Called
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
        return {
            "PATH": f"{self.folder}:{os.environ.get('PATH', '')}",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            **self.rig.cli_environment(account_id),
        }


Shell: TypeAlias = CliShell[Rig]


@contextmanager
def shell(rig: Called, folder: Path) -> Iterator[CliShell[Called]]:
    """Start the CLI for one block; `folder` is empty and its path short, because it contains a socket."""
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
            yield CliShell(rig, folder)
        finally:
            server.terminate()
