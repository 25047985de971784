"""The secret of the operator's access key: random for each start of a sandbox, and known only where the sandbox runs.

A process runs one sandbox at a time. Whoever acts as its operator (provisioning, rehearsal) runs in the same process and
finds the secret here by the sandbox's address; worker processes find it in their environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

OPERATOR_VARIABLE = "ROLECALL_SANDBOX_OPERATOR_SECRET"
"""Environment variable that hands the secret to worker processes of a command with `--sandbox`."""

_SECRETS: dict[str, str] = {}


def keep_secret(url: str, secret: str) -> None:
    """Let this process find the secret of the sandbox at `url`."""
    _SECRETS[url] = secret


def forget_secret(url: str) -> None:
    """The sandbox at `url` has ended."""
    _SECRETS.pop(url, None)


def operator_secret(url: str, environ: Mapping[str, str] | None = None) -> str:
    """The operator's secret key at `url`; a string that no sandbox accepts when it is not known."""
    variables = os.environ if environ is None else environ
    return _SECRETS.get(url) or variables.get(OPERATOR_VARIABLE) or "unknown"
