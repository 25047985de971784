"""What a run of a query asked, read from its record, and the name that its rows have as a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name

from rolecall_runner.results.arrow_model import row_type
from rolecall_runner.results.arrow_types import ListOf, Struct
from rolecall_runner.results.journal import RunRecord, read_json

TASK = "query"
RESERVED_NAMES = frozenset({"runs", "errors", "play_results"})
_VERBS = re.compile(r"(?:batch_)?(?:describe|list|get|search|lookup|select|head|scan|query)_(?=.)")


@dataclass(frozen=True, slots=True)
class RunQuestion:
    """A run and its question. `name` is that of a named query, else ""; `operation` is boto3's (describe_instances).

    `body` is all that the record says of the question.
    """

    record: RunRecord
    name: str
    service: str
    operation: str
    select: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """The table's name: a named query's own, else service and the operation's noun: ec2_instances."""
        return table_name(self.name) if self.name else table_name(f"{self.service}_{self.noun}")

    @property
    def full_name(self) -> str:
        """The name under which a query without one is found as well: ec2_describe_instances."""
        return table_name(self.name or f"{self.service}_{self.operation}")

    @property
    def noun(self) -> str:
        """The operation without its verb: `instances` of describe_instances."""
        return _VERBS.sub("", self.operation, count=1)

    @property
    def sameness(self) -> str:
        """Two runs with the same text asked the same: runs are compared with their like alone."""
        return json.dumps({key: value for key, value in self.body.items() if key != "levels"}, sort_keys=True)

    def model(self) -> tuple[Struct, str | None]:
        """Columns as AWS's model has them, and the field that holds the rows where the model wraps them.

        The rows of describe_instances are reservations, each with `Instances`: a field that is called as the noun, where
        nothing was selected, holds the rows; what stands beside it is repeated for each of them.
        """
        known = row_type(self.service, self.operation, self.select)
        if self.select is None:
            for name, kind in known.fields.items():
                if name.lower() == self.noun.replace("_", "") and isinstance(kind, ListOf) and isinstance(kind.item, Struct):
                    beside = {key: value for key, value in known.fields.items() if key != name}
                    return Struct(
                        {**kind.item.fields, **{k: v for k, v in beside.items() if k not in kind.item.fields}}
                    ), name
        return known, None


def read_question(record: RunRecord) -> RunQuestion | None:
    """The question of a run; None when the run is no query, or its record does not say what it asked."""
    if record.task != TASK:
        return None
    try:
        body = read_json(record.what.encode())
        service, operation, title = str(body["service"]), str(body["operation"]), str(body["query"])
    except (ValueError, TypeError, KeyError):
        return None
    name = "" if title == f"{service} {operation}" else title
    select = body.get("select")
    return RunQuestion(record, name, service, xform_name(operation), select if isinstance(select, str) else None, body)


def table_name(text: str) -> str:
    """A name that SQL takes without quotes: small letters, digits and _; not one of this program's own tables."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "query"
    if name[0].isdigit():
        name = f"q_{name}"
    return f"{name}_rows" if name in RESERVED_NAMES else name


def unwrapped(row: Mapping[str, Any], inside: str | None) -> Iterator[Mapping[str, Any]]:
    """The rows that a row holds in the field `inside`, with what stands beside it; the row itself where there is no list."""
    items = row.get(inside) if inside is not None else None
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        yield row
        return
    beside = {key: value for key, value in row.items() if key != inside}
    for item in items:
        yield {**item, **{key: value for key, value in beside.items() if key not in item}}
