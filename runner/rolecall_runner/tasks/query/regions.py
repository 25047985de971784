"""In which Regions an account is asked: those given, the manifest's, or those that the account has enabled."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from rolecall_generator.iam.arn import PARTITIONS
from rolecall_runner.clients import Clients
from rolecall_runner.failures import REFUSALS
from rolecall_runner.targets import Target
from rolecall_runner.tasks.query.models import home_region, is_region
from rolecall_runner.tasks.query.question import QueryError, Question, RegionChoice

_ENABLED = ["ENABLED", "ENABLED_BY_DEFAULT"]


def read_regions(texts: tuple[str, ...], partition: str | None = "aws") -> tuple[str, ...] | RegionChoice:
    """The Regions of `--regions`: `manifest`, `enabled`, or names with commas.

    Raises QueryError for what is no Region of the partition; None: of any.
    """
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    if not names:
        return RegionChoice.MANIFEST
    if len(names) == 1 and names[0] in set(RegionChoice):
        return RegionChoice(names[0])
    for name in names:
        if not any(is_region(name, each) for each in ([partition] if partition else PARTITIONS)):
            raise QueryError(
                f"{name!r} is no Region of the partition {partition}" if partition else f"{name!r} is no Region",
                where="--regions",
                mend="give Regions with commas, or `manifest`, or `enabled`",
            )
    return tuple(dict.fromkeys(names))


def planned_regions(question: Question, target: Target) -> tuple[str, ...] | None:
    """Regions known before any call: a global service's one home, those given or the manifest's; None: ask the account."""
    home = home_region(question.service, question.operation, target.partition)
    if home is not None:
        return (home,)
    if question.regions is RegionChoice.ENABLED:
        return None
    regions = question.regions if isinstance(question.regions, tuple) else target.regions
    return regions or (PARTITIONS[target.partition].default_region,)


def is_global(question: Question, target: Target) -> bool:
    """Whether the question is asked once for the whole account."""
    return home_region(question.service, question.operation, target.partition) is not None


def enabled_regions(clients: Clients, target: Target) -> tuple[str, ...]:
    """Regions that the account has enabled, sorted; to be called inside `account`.

    Asks EC2, and Account Management where EC2 refuses. Raises botocore's ClientError (EC2's) and connection errors.
    """
    home = target.regions[0] if target.regions else PARTITIONS[target.partition].default_region
    try:
        found = clients.client("ec2", home).describe_regions(AllRegions=False)
        return tuple(sorted(each["RegionName"] for each in found["Regions"]))
    except ClientError as error:
        if error.response["Error"]["Code"] not in REFUSALS:
            raise
        try:
            return _listed_regions(clients, target)
        except ClientError:
            raise error from None


def _listed_regions(clients: Clients, target: Target) -> tuple[str, ...]:
    client: Any = clients.client("account", home_region("account", "ListRegions", target.partition) or "us-east-1")
    pages = client.get_paginator("list_regions").paginate(RegionOptStatusContains=_ENABLED)
    return tuple(sorted(each["RegionName"] for page in pages for each in page["Regions"]))
