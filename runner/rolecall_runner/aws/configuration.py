"""The AWS configuration of a process: botocore sessions as boto3 makes them, and errors that name the wrong setting."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as aws
from botocore.session import Session

from rolecall_generator.errors import CallerError, RolecallError
from rolecall_runner.redact import redact

CREDENTIALS_HINT = (
    "run on an instance with the backend role, or set AWS_PROFILE or --profile; to try it without AWS: --sandbox, or "
    'eval "$(runner sandbox env)"'
)
_AWSCRT = (
    "with pipx: pipx inject rolecall 'boto3[crt]'; with uv: add --with 'boto3[crt]'; in a virtual environment: "
    "pip install 'boto3[crt]'"
)
_MESSAGES: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((aws.ProfileNotFound,), "the profile does not exist", "aws configure list-profiles lists the profiles"),
    ((aws.ConfigParseError,), "{error}", "correct the file, or check AWS_CONFIG_FILE"),
    ((aws.SSOError,), "no valid SSO token: {error}", "aws sso login{option}"),
    ((aws.MissingDependencyException,), "profiles of aws login need awscrt: {error}", _AWSCRT),
    ((aws.LoginError,), "no valid session of aws login: {error}", "aws login{option}"),
    ((aws.BotoCoreError,), "the AWS credentials could not be loaded: {error}", CREDENTIALS_HINT),
    ((OSError,), "{error}", "check credential_process and web_identity_token_file, or AWS_WEB_IDENTITY_TOKEN_FILE"),
    # What botocore raises if the output of credential_process is not a JSON object.
    (
        (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError),
        "credential_process did not print credentials as a JSON object",
        "run its command in a shell to see the output",
    ),
    ((ValueError,), "a setting is invalid: {error}", "correct it in the environment or the AWS configuration"),
)
"""Errors, the first that matches counts: message and hint."""


def new_session(profile: str | None = None) -> Any:
    """A botocore session with a profile of the AWS CLI's files; None: that of the environment, if it is not empty."""
    names = [name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if os.environ.get(name)]
    return Session(profile=profile or None, session_vars={"profile": (None, names, None, None)})


@contextmanager
def configuration_errors(profile: str | None) -> Iterator[None]:
    """Raise CallerError in place of the errors of botocore's configuration and credential providers in the block."""
    try:
        yield
    except RolecallError:
        raise
    except Exception as error:
        name = profile or os.environ.get("AWS_DEFAULT_PROFILE") or os.environ.get("AWS_PROFILE")
        for types, what, hint in _MESSAGES:
            if isinstance(error, types):
                option = f" --profile {name}" if name else ""
                raise CallerError(
                    what.format(error=_text(error)), where=profile_place(name), hint=hint.format(option=option)
                ) from error
        raise


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return redact(str(error))


def profile_place(profile: str | None) -> str:
    """Where an error of the AWS configuration is."""
    return f"profile {profile}" if profile else "AWS configuration"
