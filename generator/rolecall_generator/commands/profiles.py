"""`gen profiles`: AWS CLI profiles of the manifest's roles."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import typer

from rolecall_generator.command_line import DEFAULT_MANIFEST
from rolecall_generator.console import emit
from rolecall_generator.errors import SelectionError
from rolecall_generator.options import ManifestArgument, OnlyOption

EXAMPLES = """Examples:

gen profiles >> ~/.aws/config                              on an instance that runs under the backend role

gen profiles --source-profile vendor --only account1       from a profile of your own

aws --profile account1 sts get-caller-identity"""

# What would end the name of a profile, or its line, in ~/.aws/config.
_NOT_IN_A_PREFIX = re.compile(r"""[^\S]|[\[\]"'#;\\]|[^ -~]""")
_NOT_IN_A_PROFILE = re.compile(r"[\x00-\x1f\x7f]")


def _one_line(option: str, text: str, unfit: re.Pattern[str]) -> None:
    if found := unfit.search(text):
        mend = "leave it out: the AWS CLI could not read the profile"
        raise SelectionError(f"{found.group()!r} cannot stand in a profile", where=option, mend=mend)


def profiles(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    only: OnlyOption = None,
    credential_source: Annotated[
        Literal["Ec2InstanceMetadata", "EcsContainer", "Environment"],
        typer.Option("--credential-source", help="Where the AWS CLI finds the backend role's credentials."),
    ] = "Ec2InstanceMetadata",
    source_profile: Annotated[
        str | None, typer.Option("--source-profile", help="A profile to start from, in place of --credential-source.")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Put before each profile's name.")] = "",
) -> None:
    """Print AWS CLI profiles for every customer's role, and for people who switch roles."""
    from rolecall_generator.manifest.load import load_manifest  # noqa: PLC0415 - pydantic loads only where needed
    from rolecall_generator.profiles import profiles_text  # noqa: PLC0415 - as above

    _one_line("--prefix", prefix, _NOT_IN_A_PREFIX)
    _one_line("--source-profile", source_profile or "", _NOT_IN_A_PROFILE)
    loaded = load_manifest(manifest)
    text = profiles_text(
        loaded.manifest, only or (), credential_source=credential_source, source_profile=source_profile, prefix=prefix
    )
    emit(text, end="")
