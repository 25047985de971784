"""A program run as an account: the assumed session in its environment, and nothing else of the caller's AWS."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from rolecall_generator.errors import ToolError
from rolecall_runner.credentials import Credentials

_CALLERS_OWN = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "ROLECALL_SANDBOX_OPERATOR_SECRET",
)
"""Variables by which a program would act as the caller instead of the account."""


def environment_for(
    credentials: Credentials, region: str, *, name: str, endpoint_url: str | None = None, environ: Mapping[str, str]
) -> dict[str, str]:
    """The environment in which AWS's tools act as the session; `name` is for the person's prompt (ROLECALL_ACCOUNT)."""
    kept = {key: value for key, value in environ.items() if key not in _CALLERS_OWN}
    session = {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token or "",
        "AWS_CREDENTIAL_EXPIRATION": credentials.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        # Without it a program whose session has ended would fall back on the instance's own role.
        "AWS_EC2_METADATA_DISABLED": "true",
        "ROLECALL_ACCOUNT": name,
    }
    return kept | session | ({"AWS_ENDPOINT_URL": endpoint_url} if endpoint_url else {})


def run_as(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program in that environment, with this terminal; gives its exit code (128 + number for a signal).

    Raises ToolError when it cannot be started.
    """
    try:
        done = subprocess.run(list(command), env=dict(environment), check=False)  # noqa: S603 - what the user asked for
    except OSError as error:
        raise ToolError(
            f"{command[0]} cannot be started: {error.strerror}", mend="name a program that is on PATH"
        ) from error
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def login_shell(environ: Mapping[str, str] | None = None) -> str:
    """The person's shell."""
    return (os.environ if environ is None else environ).get("SHELL") or "/bin/sh"
