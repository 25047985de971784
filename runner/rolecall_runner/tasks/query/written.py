"""A question as a command line says it: service and operation, or a query of a file, with options over it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rolecall_runner.tasks.query.asked import Wanted, make_question
from rolecall_runner.tasks.query.named import find_query, load_query
from rolecall_runner.tasks.query.operations import read_regions
from rolecall_runner.tasks.query.question import QueryError, Question


@dataclass(frozen=True, slots=True)
class Said:
    """The words of the command line. `columns` has commas; `params` are NAME=VALUE."""

    service: str | None = None
    operation: str | None = None
    params: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    select: str | None = None
    where: str | None = None
    columns: str | None = None
    named: str | None = None
    file: Path | None = None
    rows: int | None = None
    page_size: int | None = None
    reveal: bool = False


def question_of(said: Said, partition: str = "aws") -> Question:
    """The checked question. Options of the command line win over what a query file says. Raises QueryError."""
    wanted = _base(said)
    changes: dict[str, Any] = {"page_size": said.page_size, "reveal": said.reveal}
    if said.regions:
        changes["regions"] = read_regions(said.regions, partition)
    if said.select is not None:
        changes |= {"select": said.select, "columns": ()}
    if said.where is not None:
        changes["where"] = said.where
    if said.columns is not None:
        changes["columns"] = tuple(name.strip() for name in said.columns.split(",") if name.strip())
    if said.rows is not None:
        changes["limit"] = said.rows
    return make_question(replace(wanted, **changes), said.params)


def _base(said: Said) -> Wanted:
    ways = [said.service is not None, said.named is not None, said.file is not None]
    if sum(ways) != 1:
        what = "nothing is asked" if not any(ways) else "only one of service, --named and --file can be asked"
        raise QueryError(what, where="query", mend="runner query SERVICE OPERATION, or --named NAME (see --list), or --file")
    if said.named is not None:
        return find_query(said.named)
    if said.file is not None:
        return load_query(said.file)
    if said.operation is None:
        raise QueryError(f"what is asked of {said.service}?", where="query", mend=f"runner query {said.service} OPERATION")
    return Wanted(str(said.service), said.operation)
