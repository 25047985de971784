"""Queries in files: YAML with a name, a description and what is asked. A good set of them ships with the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rolecall_runner.tasks.query.asked import Wanted
from rolecall_runner.tasks.query.operations import read_regions
from rolecall_runner.tasks.query.question import FollowUp, QueryError

_PACKAGE = "rolecall_runner.queries"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class FollowUpSpec(_Strict):
    """A further call for each row."""

    service: str = Field("", description="The service; the query's own when left out.")
    operation: str = Field(description="The operation, as in list_mfa_devices.")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="Parameters; {item.COLUMN} is the row's.")
    into: str = Field(min_length=1, description="The column that takes the answer; *: its keys.")
    select: str | None = Field(None, description="JMESPath over the answer.")
    missing: tuple[str, ...] = Field((), description="Error codes that mean: there is none.")


class QuerySpec(_Strict):
    """A query file."""

    name: str = Field(min_length=1, description="The name, as in unattached-volumes.")
    description: str = Field("", description="One sentence: what the rows are.")
    service: str = Field(description="The service, as boto3 calls it.")
    operation: str = Field(description="The operation, as in describe_volumes.")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="Parameters; placeholders as in {name}.")
    regions: str | tuple[str, ...] = Field("manifest", description="manifest, enabled, or Regions.")
    select: str | None = Field(None, description="JMESPath over the answer: its finds are the rows.")
    columns: tuple[str, ...] = Field((), description="Columns in tables and CSV, in this order.")
    for_each: tuple[FollowUpSpec, ...] = Field((), description="Further calls for each row.")
    where: str | None = Field(None, description="JMESPath over a finished row: rows for which it is true stay.")
    limit: int | None = Field(None, ge=1, description="Rows from each account and Region at the most.")


def shipped() -> tuple[Wanted, ...]:
    """The queries that come with the package, by name. Raises QueryError when one is broken."""
    return tuple(
        read_query(entry.read_text("utf-8"), entry.name)
        for entry in sorted(files(_PACKAGE).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    )


def find_query(name: str) -> Wanted:
    """The shipped query of this name. Raises QueryError with the nearest names."""
    known = {each.name: each for each in shipped()}
    if name not in known:
        close = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
        raise QueryError(f"no query is called {name!r}", where="--named", mend=f"did you mean {', '.join(close)}?")
    return known[name]


def load_query(path: Path) -> Wanted:
    """A query file of one's own. Raises QueryError for what cannot be read."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise QueryError(f"the query cannot be read: {reason}", where=str(path), mend="name a YAML file") from None
    return read_query(text, str(path))


def read_query(text: str, where: str) -> Wanted:
    """A query of a file's text; `where` names the file in errors. Raises QueryError."""
    try:
        body = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise QueryError(f"it is no YAML: {error.problem}", where=f"{where}{line}", mend="mend that line") from None
    except yaml.YAMLError as error:
        raise QueryError(f"it is no YAML: {error}", where=where, mend="write plain text") from None
    if not isinstance(body, Mapping):
        raise QueryError("a query is a mapping", where=where, mend="write name:, service: and operation:")
    try:
        spec = QuerySpec.model_validate(body)
    except ValidationError as error:
        raise QueryError(
            "; ".join(_problems(error)), where=where, mend=f"keys are {', '.join(QuerySpec.model_fields)}"
        ) from None
    return _wanted(spec)


def _wanted(spec: QuerySpec) -> Wanted:
    regions = (spec.regions,) if isinstance(spec.regions, str) else spec.regions
    return Wanted(
        spec.service,
        spec.operation,
        spec.parameters,
        read_regions(regions, None),
        spec.select,
        spec.columns,
        tuple(_follow_up(each, spec.service) for each in spec.for_each),
        spec.where,
        limit=spec.limit,
        name=spec.name,
        description=spec.description,
    )


def _follow_up(spec: FollowUpSpec, service: str) -> FollowUp:
    return FollowUp(spec.service or service, spec.operation, spec.into, spec.parameters, spec.select, spec.missing)


def _problems(error: ValidationError) -> Iterator[str]:
    for each in error.errors():
        yield f"{'.'.join(str(part) for part in each['loc']) or 'it'}: {each['msg'][:1].lower()}{each['msg'][1:]}"
