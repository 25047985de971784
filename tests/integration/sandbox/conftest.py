"""A shell with the AWS CLI that runs the scripts of a bundle against a sandbox."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_cli_rig import Shell, shell
from sandbox_rig import running, service_trust


@pytest.fixture(scope="module")
def terminal() -> Iterator[Shell]:
    """One sandbox and one shell for all tests of a module; each test restores its account."""
    with running() as rig, tempfile.TemporaryDirectory() as folder:
        rig.clock.now = rig.clock.now.replace(year=2035)  # the CLI compares the expiry with its own clock
        rig.role("111111111111", "backend_role", service_trust())
        with shell(rig, Path(folder)) as terminal:
            yield terminal
