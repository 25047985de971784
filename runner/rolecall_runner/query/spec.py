"""The specification of a query: which operation to call, where, and which part of each reply to keep.

`QuerySpec` is the only declaration of these settings. The options of `runner query`, the keys of query files and plays, the
arguments of the Python API, and run records derive their names, defaults, descriptions, and limits from its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rolecall_generator.errors import ExitCode, RolecallError


class QueryError(RolecallError):
    """The query is invalid; no request was sent."""

    exit_code = ExitCode.USAGE


class RegionChoice(StrEnum):
    """Source of the Regions if they are not given by name."""

    MANIFEST = "manifest"
    ENABLED = "enabled"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A further call for each row. Its reply is added to the row as a column."""

    service: str = field(metadata={"description": "AWS service; defaults to the query's own."})
    operation: str = field(metadata={"description": "Operation, for example list_mfa_devices."})
    into: str = field(metadata={"description": "Column for the reply; *: one column per key of the reply.", "min_length": 1})
    parameters: Mapping[str, Any] = field(
        default_factory=dict, metadata={"description": "Parameters; {item.COLUMN} is a column of the row."}
    )
    select: str | None = field(
        default=None, metadata={"description": "JMESPath expression over the reply; the whole reply by default."}
    )
    missing: tuple[str, ...] = field(
        default=(),
        metadata={"description": "Error codes that mean that the object does not exist; the column is then null."},
    )


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """One read operation for every account and Region.

    `validate_query` returns the validated form, with `operation` spelled as in the service model (DescribeInstances) and
    `parameters` converted to the types of the model. Only this form can be executed.
    """

    service: str = field(metadata={"description": "AWS service by its boto3 name, for example ec2.", "min_length": 1})
    operation: str = field(metadata={"description": "Operation, for example describe_instances.", "min_length": 1})
    parameters: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={"description": "Parameter of the operation: JSON or a string; {name} is a placeholder."},
    )
    regions: tuple[str, ...] | RegionChoice = field(
        default=RegionChoice.MANIFEST,
        metadata={"description": "Regions separated by commas, `manifest`, or `enabled`."},
    )
    select: str | None = field(
        default=None, metadata={"description": "JMESPath expression over the reply; each match becomes a row."}
    )
    columns: tuple[str, ...] = field(
        default=(), metadata={"description": "Columns of tables and CSV, in this order, separated by commas."}
    )
    for_each: tuple[FollowUp, ...] = field(default=(), metadata={"description": "Further calls for each row."})
    where: str | None = field(
        default=None, metadata={"description": "JMESPath expression over a row; rows for which it is true are kept."}
    )
    page_size: int | None = field(
        default=None,
        metadata={"description": "Items per page, for operations that accept a page size.", "ge": 1, "strict": True},
    )
    limit: int | None = field(
        default=None, metadata={"description": "Maximum number of rows per account and Region.", "ge": 1, "strict": True}
    )
    reveal: bool = field(
        default=False, metadata={"description": "Show values that AWS's service models mark as sensitive.", "strict": True}
    )
    name: str = field(default="", metadata={"description": "Name of the query, for example unattached-volumes."})
    description: str = field(default="", metadata={"description": "Description of the rows, in one sentence."})

    @property
    def title(self) -> str:
        """The name of the query, or else its service and operation."""
        return self.name or f"{self.service} {self.operation}"

    @property
    def calls(self) -> tuple[tuple[str, str], ...]:
        """Service and operation of every call: the first call, then those for each row."""
        return ((self.service, self.operation), *((each.service, each.operation) for each in self.for_each))


PER_RUN = frozenset({"page_size", "reveal"})
"""Settings that a query file cannot contain, so that the user who runs the query decides on sensitive values."""
FILE_KEYS = tuple(name for name in QuerySpec.__dataclass_fields__ if name not in PER_RUN)
"""Keys of a query file."""
