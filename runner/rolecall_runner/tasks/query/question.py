"""What a query asks: one operation with its parameters, where, and which part of the answer is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rolecall_generator.errors import ExitCode, RolecallError


class QueryError(RolecallError):
    """The question itself is wrong; nothing was asked."""

    exit_code = ExitCode.USAGE


class RegionChoice(StrEnum):
    """Where the Regions come from when they are not given by name."""

    MANIFEST = "manifest"
    ENABLED = "enabled"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A further call for each row, of the same service unless named: its answer becomes a column of the row; with `into` `*`
    each of its keys does.

    `select` is JMESPath over the answer; without it the whole answer. Error codes in `missing` mean that there is no such
    thing: the column is then None. Parameters may hold `{item.COLUMN}`.
    """

    service: str
    operation: str
    into: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    select: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question that was checked: see `asked.make_question`.

    `operation` is written as in the service model (DescribeInstances). `parameters` have the model's types, strings may hold
    placeholders. `regions`: names, or where to take them from. `select`, `where`: JMESPath, over the answer and over each
    finished row. `limit`: rows from each account and Region at the most. `reveal`: show what the model calls sensitive.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    regions: tuple[str, ...] | RegionChoice = RegionChoice.MANIFEST
    select: str | None = None
    columns: tuple[str, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    where: str | None = None
    page_size: int | None = None
    limit: int | None = None
    reveal: bool = False
    name: str = ""
    description: str = ""

    @property
    def title(self) -> str:
        """The query's name, else service and operation."""
        return self.name or f"{self.service} {self.operation}"

    @property
    def calls(self) -> tuple[tuple[str, str], ...]:
        """Service and operation of every call that it makes, the first one first."""
        return ((self.service, self.operation), *((each.service, each.operation) for each in self.follow_ups))
