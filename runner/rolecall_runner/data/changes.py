"""Differences between two runs of the same query: added, removed, and changed rows, matched by a key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rolecall_runner.data.catalog import (
    PREVIOUS,
    Catalog,
    RecordedQuery,
    SqlError,
    TableLayout,
    layout_of,
    read_answers,
    read_rows,
    survey_rows,
)
from rolecall_runner.data.column_types import Scalar, quote_name
from rolecall_runner.data.database import Database, SqlResult, empty_database, quote_text
from rolecall_runner.query import Reason

_PLACE = ("account", "region")
_PLACE_COLUMNS = ("account", "account_id", "region")
_SIDES = ("old", "new")
_KEY_TYPES = frozenset({Scalar.STRING, Scalar.INTEGER, Scalar.LONG})
_KEY_SUFFIXES = ("id", "arn", "identifier", "name", "")


@dataclass(frozen=True, slots=True)
class RunChanges:
    """The changes between two runs.

    `key`: the columns that identify a row within an account and Region; if empty, whole rows were compared.
    `not_compared`: number of accounts and Regions left out because they did not answer in both runs.
    """

    answer: SqlResult
    key: tuple[str, ...]
    not_compared: int
    before: RecordedQuery
    after: RecordedQuery

    @property
    def rehearsal(self) -> bool:
        """Whether either run used the sandbox instead of AWS."""
        return self.before.record.rehearsal or self.after.record.rehearsal


@contextmanager
def compare_runs(catalog: Catalog, name: str, keys: Sequence[str] = (), output: Path | None = None) -> Iterator[RunChanges]:
    """Compare a table's run with the previous one, or the two runs that the catalog is limited to.

    The answer has a row for each changed column and for each added or removed row. Its columns: change (new, gone,
    changed), account, account_id, region, the key, column_name, value_before, value_after (JSON), rehearsal. `output`: the
    file that `SqlResult.write_parquet` may write.

    Raises SqlError unless the table has two runs and `keys` identifies rows, JournalError, ToolError.
    """
    before, after = _two_runs(catalog, name)
    runs = catalog.runs
    layout = layout_of(survey_rows(runs, [before, after])[0])
    with empty_database(catalog) as database:
        for side, query in zip(_SIDES, (before, after), strict=True):
            database.create(f"{side}_run", layout.types, map(layout.cells, read_rows(runs, [query])))
        both, not_compared = _places(runs, before, after)
        database.create("places", [(column, Scalar.STRING) for column in _PLACE], both)
        key = _validate_key(database, layout, keys) if keys and layout.columns else _detect_key(database, layout, after)
        _create_views(database, key, [column.name for column in layout.columns if column.name not in key])
        database.lock(output)
        rehearsal = before.record.rehearsal or after.record.rehearsal
        sql = (_KEYED_SQL if key else _WHOLE_SQL).format(rehearsal=str(rehearsal).lower())
        yield RunChanges(database.execute(sql), key, not_compared, before, after)


def _two_runs(catalog: Catalog, name: str) -> tuple[RecordedQuery, RecordedQuery]:
    table = catalog.find(name)
    queries = table.queries
    if len(queries) == 1:
        earlier = catalog.tables.get(table.name + PREVIOUS)
        if earlier is None:
            raise SqlError(
                f"{name} has only one run",
                where=str(catalog.runs),
                hint="run the query again, or specify two runs: --run ID --run last",
            )
        queries = (*queries, *earlier.queries)
    if len(queries) != 2:  # noqa: PLR2004 - two sides
        raise SqlError(f"{name} has {len(queries)} runs", where="--run", hint="specify the two runs to compare")
    return queries[1], queries[0]


def _places(runs: Path, before: RecordedQuery, after: RecordedQuery) -> tuple[list[tuple[str, str]], int]:
    """Return the accounts and Regions that answered in both runs, and the number of those that did not."""
    answered: list[set[tuple[str, str]]] = []
    queried: set[tuple[str, str]] = set()
    for query in (before, after):
        ok: set[tuple[str, str]] = set()
        for _, answer in read_answers(runs, query):
            queried.update((answer.account, place.region) for place in answer.places)
            if not answer.places:
                queried.add((answer.account, ""))
            ok.update((answer.account, place.region) for place in answer.places if place.reason is Reason.OK)
        answered.append(ok)
    both = answered[0] & answered[1]
    failed_accounts = {account for account, region in queried if not region} - {
        account for account, region in queried if region
    }
    return sorted(both), len({place for place in queried if place[1]} - both) + len(failed_accounts)


def _validate_key(database: Database, layout: TableLayout, keys: Sequence[str]) -> tuple[str, ...]:
    known = {column.name.lower(): column.name for column in layout.columns}
    missing = [key for key in keys if key.lower() not in known]
    if missing:
        raise SqlError(f"no such column: {missing[0]}", where="--key", hint=f"the columns are {', '.join(known.values())}")
    key = tuple(known[each.lower()] for each in keys)
    if not _is_unique(database, key):
        raise SqlError(
            f"{', '.join(key)} is null or not unique in an account and Region",
            where="--key",
            hint="specify more columns, separated by commas",
        )
    return key


def _detect_key(database: Database, layout: TableLayout, query: RecordedQuery) -> tuple[str, ...]:
    """The first column that identifies rows, if any. Columns named after the noun are tried first: InstanceId."""
    noun = re.sub(r"[^a-z0-9]", "", (query.name or query.noun).lower())
    stems = {"", noun, noun.removesuffix("s"), noun.removesuffix("es"), f"{noun.removesuffix('ies')}y"}
    stems |= {each.removeprefix(query.service) for each in stems}
    preferred = [f"{stem}{suffix}" for suffix in _KEY_SUFFIXES for stem in sorted(stems, key=len, reverse=True)]
    normalized = {column.name: re.sub(r"[^a-z0-9]", "", column.name.lower()) for column in layout.columns}
    candidates = [column.name for column in layout.columns if isinstance(column.kind, Scalar) and column.kind in _KEY_TYPES]
    named = sorted(
        (name for name in candidates if normalized[name] in preferred), key=lambda name: preferred.index(normalized[name])
    )
    for name in dict.fromkeys((*named, *candidates)):
        if _is_unique(database, (name,)):
            return (name,)
    return ()


def _is_unique(database: Database, key: tuple[str, ...]) -> bool:
    """Whether the key is not null and unique within each account and Region, in both runs."""
    columns = ", ".join(quote_name(name) for name in (*_PLACE, *key))
    present = " and ".join(f"{quote_name(name)} is not null" for name in key)
    once = f"count(*) = count(distinct ({columns})) filter ({present})"
    return all(database.fetch_value(f"{side}_run", once) for side in _SIDES)


def _create_views(database: Database, key: tuple[str, ...], values: Sequence[str]) -> None:
    """Create the views `old_all` and `new_all`: account, Region, key as an object, cells as a list, and row as JSON."""
    keys = ", ".join(f"{quote_text(name)}: {quote_name(name)}" for name in key)
    cells = ", ".join(f"{{'name': {quote_text(name)}, 'value': to_json({quote_name(name)})}}" for name in values)
    whole = ", ".join(f"{quote_text(name)}: {quote_name(name)}" for name in values)
    columns = [
        *_PLACE_COLUMNS,
        f"{{{keys}}} as key_of_row" if key else "null as key_of_row",
        f"[{cells}] as cells",
        f"to_json({{{whole}}}) as whole" if values else "null::json as whole",
    ]
    for side in _SIDES:
        database.derive(f"{side}_all", f"{side}_run", ", ".join(columns))


# The views have the same columns for every table, so these statements contain no column names of queries.
_KEYED_SQL = """
with old as (from old_all semi join places using (account, region)),
     new as (from new_all semi join places using (account, region))
select 'new' as change, account, account_id, region, unnest(key_of_row),
       null::varchar as column_name, null::json as value_before, null::json as value_after, {rehearsal} as rehearsal
from new anti join old using (account, region, key_of_row)
union all
select 'gone', account, account_id, region, unnest(key_of_row), null, null, null, {rehearsal}
from old anti join new using (account, region, key_of_row)
union all
select 'changed', account, account_id, region, unnest(key_of_row), pair[1].name, pair[1].value, pair[2].value, {rehearsal}
from (select new.account, new.account_id, new.region, new.key_of_row, unnest(list_zip(old.cells, new.cells)) as pair
      from new join old using (account, region, key_of_row))
where pair[1].value is distinct from pair[2].value
order by all
"""
_WHOLE_SQL = """
with old as (from old_all semi join places using (account, region)),
     new as (from new_all semi join places using (account, region))
select 'new' as change, account, account_id, region, null::varchar as column_name, null::json as value_before,
       whole as value_after, {rehearsal} as rehearsal
from (select account, account_id, region, whole from new except all select account, account_id, region, whole from old)
union all
select 'gone', account, account_id, region, null, whole, null, {rehearsal}
from (select account, account_id, region, whole from old except all select account, account_id, region, whole from new)
order by all
"""
