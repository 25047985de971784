"""Clients and error messages for the few AWS calls of the generator, all of which only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rolecall_generator.errors import CallerError


@dataclass(frozen=True, slots=True)
class AwsService:
    """An AWS service as one caller uses it.

    Attributes:
        name: Name of the client in botocore.
        title: Name in messages.
        hint: The credentials that the calls need.
        errors: Message and hint by error code.
    """

    name: str
    title: str
    hint: str
    errors: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def client(self, profile: str | None) -> Any:
        """Create a client with the profile, or with the default credential chain. Raises CallerError."""
        try:
            session = botocore.session.Session(profile=profile)
            region = session.get_config_variable("region") or "us-east-1"
            # IAM and AWS Organizations have low rate limits.
            config = Config(retries={"mode": "standard", "total_max_attempts": 10})
            return session.create_client(self.name, region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            message = f"the AWS credentials could not be loaded: {error}"
            raise CallerError(message, where=_place(profile), hint=self.hint) from error

    @contextmanager
    def calls(self, profile: str | None) -> Iterator[None]:
        """Raise CallerError in place of errors of botocore in the block."""
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            message, hint = self.errors.get(code, (f"{self.title} returned an error: {code}", self.hint))
            raise CallerError(message, where=_place(profile), hint=hint) from error
        except BotoCoreError as error:
            raise CallerError(f"the call to {self.title} failed: {error}", where=_place(profile), hint=self.hint) from error


def _place(profile: str | None) -> str | None:
    return f"profile {profile}" if profile else None
