"""What is new, gone or changed between two runs that asked the same, by the key of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rolecall_runner.results.arrow_batches import Layout, batches, layout_of
from rolecall_runner.results.arrow_library import library
from rolecall_runner.results.arrow_question import RunQuestion
from rolecall_runner.results.arrow_rows import answers_of, records_of, survey
from rolecall_runner.results.arrow_types import Scalar
from rolecall_runner.sql.answered import Answered
from rolecall_runner.sql.catalogue import PREVIOUS, Catalogue
from rolecall_runner.sql.database import Database, connected, quoted
from rolecall_runner.sql.errors import SqlError
from rolecall_runner.tasks.query.answers import Reason

_PLACE = ("account", "region")
_PLACE_SHOWN = ("account", "account_id", "region")
_SIDES = ("old", "new")
_KEY_TYPES = frozenset({Scalar.STRING, Scalar.INTEGER, Scalar.LONG})
_ENDINGS = ("id", "arn", "identifier", "name", "")


@dataclass(frozen=True, slots=True)
class Compared:
    """The changes. `key`: the columns that tell rows apart within an account and Region, none: rows were compared whole.

    `apart`: accounts and Regions that did not answer in both runs, and are not compared: nobody knows what is gone there.
    """

    answered: Answered
    key: tuple[str, ...]
    apart: int
    before: RunQuestion
    after: RunQuestion


@contextmanager
def compared(catalogue: Catalogue, name: str, keys: Sequence[str] = ()) -> Iterator[Compared]:
    """The changes of a table between its run and the one before, or between the two runs that the catalogue is of.

    Columns: change (new, gone, changed), account, account_id, region, the key, column_name, value_before, value_after
    (JSON); a row for each changed column, one for a row that is new or gone.
    Raises SqlError for a table without two runs and for a key that does not tell rows apart, JournalError, ToolError.
    """
    before, after = _two(catalogue, name)
    runs = catalogue.runs
    layout = layout_of(survey(runs, [before, after]).columns)
    with connected(catalogue) as database:
        for side, question in zip(_SIDES, (before, after), strict=True):
            _load(database, runs, layout, f"{side}_run", question)
        both, apart = _places(runs, before, after)
        _load_places(database, both)
        key = _given_key(database, layout, keys) if keys and layout.columns else _found_key(database, layout, after)
        _shape(database, key, [column.name for column in layout.columns if column.name not in key])
        database.lock()
        yield Compared(database.ask(_KEYED_SQL if key else _WHOLE_SQL), key, apart, before, after)


def _two(catalogue: Catalogue, name: str) -> tuple[RunQuestion, RunQuestion]:
    table = catalogue.find(name)
    questions = table.questions
    if len(questions) == 1:
        earlier = catalogue.tables.get(table.name + PREVIOUS)
        if earlier is None:
            raise SqlError(
                f"{name} has one run alone",
                where=str(catalogue.runs),
                mend="repeat the same query, or name two runs: --run ID --run last",
            )
        questions = (*questions, *earlier.questions)
    if len(questions) != 2:  # noqa: PLR2004 - two sides
        raise SqlError(f"{name} has {len(questions)} runs here", where="--run", mend="name the two runs to compare")
    return questions[1], questions[0]


def _load(database: Database, runs: Path, layout: Layout, side: str, question: RunQuestion) -> None:
    reader = library("pyarrow").RecordBatchReader.from_batches(layout.schema, batches(layout, records_of(runs, [question])))
    database.create(side, reader)


def _load_places(database: Database, places: Sequence[tuple[str, str]]) -> None:
    pa = library("pyarrow")
    columns = {name: pa.array([place[index] for place in places], pa.string()) for index, name in enumerate(_PLACE)}
    database.create("places", pa.table(columns).to_reader())


def _places(runs: Path, before: RunQuestion, after: RunQuestion) -> tuple[list[tuple[str, str]], int]:
    """Accounts and Regions that answered in both runs, and the number of those that did in one, or in none, of them."""
    answered: list[set[tuple[str, str]]] = []
    asked: set[tuple[str, str]] = set()
    for question in (before, after):
        good: set[tuple[str, str]] = set()
        for _, answer in answers_of(runs, question):
            asked.update((answer.account, place.region) for place in answer.places)
            if not answer.places:
                asked.add((answer.account, ""))
            good.update((answer.account, place.region) for place in answer.places if place.reason is Reason.OK)
        answered.append(good)
    both = answered[0] & answered[1]
    silent = {account for account, region in asked if not region} - {account for account, region in asked if region}
    return sorted(both), len({place for place in asked if place[1]} - both) + len(silent)


def _given_key(database: Database, layout: Layout, keys: Sequence[str]) -> tuple[str, ...]:
    known = {column.name.lower(): column.name for column in layout.columns}
    missing = [key for key in keys if key.lower() not in known]
    if missing:
        raise SqlError(
            f"there is no column {missing[0]}", where="--key", mend=f"the columns are {', '.join(known.values())}"
        )
    key = tuple(known[each.lower()] for each in keys)
    if not _tells_apart(database, key):
        raise SqlError(
            f"{', '.join(key)} is empty or the same in several rows of an account and Region",
            where="--key",
            mend="name more columns, with commas",
        )
    return key


def _found_key(database: Database, layout: Layout, question: RunQuestion) -> tuple[str, ...]:
    """The first column that tells rows apart, those called as the table's things before: InstanceId of ec2_instances."""
    things = re.sub(r"[^a-z0-9]", "", (question.name or question.noun).lower())
    stems = {"", things, things.removesuffix("s"), things.removesuffix("es"), f"{things.removesuffix('ies')}y"}
    stems |= {each.removeprefix(question.service) for each in stems}
    wanted = [f"{stem}{ending}" for ending in _ENDINGS for stem in sorted(stems, key=len, reverse=True)]
    plain = {column.name: re.sub(r"[^a-z0-9]", "", column.name.lower()) for column in layout.columns}
    able = [column.name for column in layout.columns if isinstance(column.kind, Scalar) and column.kind in _KEY_TYPES]
    named = sorted((name for name in able if plain[name] in wanted), key=lambda name: wanted.index(plain[name]))
    for name in dict.fromkeys((*named, *able)):
        if _tells_apart(database, (name,)):
            return (name,)
    return ()


def _tells_apart(database: Database, key: tuple[str, ...]) -> bool:
    """Whether the key is there in every row, and no two rows of an account and Region share it; in both runs."""
    columns = ", ".join(quoted(name) for name in (*_PLACE, *key))
    present = " and ".join(f"{quoted(name)} is not null" for name in key)
    once = f"count(*) = count(distinct ({columns})) filter ({present})"
    return all(database.fact(f"{side}_run", once) for side in _SIDES)


def _shape(database: Database, key: tuple[str, ...], values: Sequence[str]) -> None:
    """Views `old` and `new` of one form for all tables: place, key as an object, cells as a list, whole row as JSON."""
    keys = ", ".join(f"{_text(name)}: {quoted(name)}" for name in key)
    cells = ", ".join(f"{{'name': {_text(name)}, 'value': to_json({quoted(name)})}}" for name in values)
    whole = ", ".join(f"{_text(name)}: {quoted(name)}" for name in values)
    columns = [
        *_PLACE_SHOWN,
        f"{{{keys}}} as key_of_row" if key else "null as key_of_row",
        f"[{cells}] as cells",
        f"to_json({{{whole}}}) as whole" if values else "null::json as whole",
    ]
    for side in _SIDES:
        database.derive(f"{side}_all", f"{side}_run", ", ".join(columns))


def _text(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"


# Views `old_all` and `new_all` are of one form, whatever the table: so the questions are fixed texts.
_KEYED_SQL = """
with old as (from old_all semi join places using (account, region)),
     new as (from new_all semi join places using (account, region))
select 'new' as change, account, account_id, region, unnest(key_of_row),
       null::varchar as column_name, null::json as value_before, null::json as value_after
from new anti join old using (account, region, key_of_row)
union all
select 'gone', account, account_id, region, unnest(key_of_row), null, null, null
from old anti join new using (account, region, key_of_row)
union all
select 'changed', account, account_id, region, unnest(key_of_row), pair[1].name, pair[1].value, pair[2].value
from (select new.account, new.account_id, new.region, new.key_of_row, unnest(list_zip(old.cells, new.cells)) as pair
      from new join old using (account, region, key_of_row))
where pair[1].value is distinct from pair[2].value
order by all
"""
_WHOLE_SQL = """
with old as (from old_all semi join places using (account, region)),
     new as (from new_all semi join places using (account, region))
select 'new' as change, account, account_id, region, null::varchar as column_name, null::json as value_before,
       whole as value_after
from (select account, account_id, region, whole from new except all select account, account_id, region, whole from old)
union all
select 'gone', account, account_id, region, null, whole, null
from (select account, account_id, region, whole from old except all select account, account_id, region, whole from new)
order by all
"""
