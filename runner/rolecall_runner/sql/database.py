"""A DuckDB in memory that can answer questions and nothing else: no file, no network, no extension, no setting changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rolecall_runner.results.arrow_library import library
from rolecall_runner.sql.answered import Answered, unique
from rolecall_runner.sql.catalogue import Catalogue, named_in
from rolecall_runner.sql.errors import SqlError
from rolecall_runner.sql.loading import load_errors, load_runs, load_table
from rolecall_runner.sql.plays import TABLE as PLAY_RESULTS
from rolecall_runner.sql.plays import load_plays

_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
_FEED = "rolecall_feed"


class Database:
    """An open database. Use `opened`."""

    def __init__(self, connection: Any, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue

    def create(self, name: str, reader: Any) -> None:
        """Make a table from an Arrow reader, whose batches are taken one at a time."""
        self._connection.register(_FEED, reader)
        try:
            self._connection.table(_FEED).create(quoted(name))
        finally:
            self._connection.unregister(_FEED)

    def derive(self, name: str, source: str, columns: str) -> None:
        """Make a view of expressions over a table. For our own SQL alone."""
        self._connection.table(source).project(columns).create_view(name)

    def fact(self, source: str, expression: str) -> Any:
        """One aggregate over a table. For our own SQL alone."""
        return self._connection.table(source).aggregate(expression).fetchall()[0][0]

    def lock(self) -> None:
        """From now on nothing outside can be reached, and no table or setting changed."""
        self._connection.execute("set enable_external_access = false")
        self._connection.execute("set lock_configuration = true")
        self._connection.execute("begin transaction read only")

    def ask(self, sql: str) -> Answered:
        """The answer, not yet taken. Raises SqlError: for anything but one question, and with what DuckDB says of it."""
        duckdb = library("duckdb")
        try:
            statements = duckdb.extract_statements(sql)
            self._check(duckdb, statements)
            return self._answered(duckdb, statements[0])
        except duckdb.Error as error:
            raise self.explained(error) from None

    def _answered(self, duckdb: Any, statement: Any) -> Answered:
        try:
            relation = self._connection.sql(statement.query)
        except duckdb.Error:
            # A relation's errors lack the place in the SQL, those of `execute` have it; its Arrow output, on the other
            # hand, would hold all rows twice (DuckDB 2.0.1).
            self._connection.execute(statement)
            raise
        columns = zip(unique(relation.columns), map(str, relation.types), strict=True)
        return Answered(tuple(columns), library("pyarrow").RecordBatchReader.from_stream(relation), self.explained)

    def _check(self, duckdb: Any, statements: list[Any]) -> None:
        asking = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
        if len(statements) != 1:
            what = f"{len(statements)} statements at once" if statements else "nothing is asked"
            raise SqlError(what, where="sql", mend="ask one question at a time")
        if statements[0].type not in asking:
            raise SqlError(
                f"{statements[0].type.name} is no question: rows can be read alone",
                where="sql",
                mend="ask with select, from, with, describe or summarize",
            )

    def explained(self, error: Exception) -> SqlError:
        """DuckDB's message with its place in the SQL; for a table that is not there, the nearest of ours."""
        text = str(error).strip()
        missing = re.search(r"Table with name (\S+) does not exist", text)
        if missing is not None:
            name = missing.group(1).strip("\"'!")
            what, excerpt = f"there is no table {name}", _split(text)[1]
            return SqlError(what, where="sql", mend=self._catalogue.hint(name), excerpt=excerpt)
        if "disabled by configuration" in text or "has been locked" in text:
            return SqlError(text, where="sql", mend="only tables can be read: `runner sql --tables`")
        what, excerpt = _split(text)
        return SqlError(what, where="sql", mend="`runner sql --tables` lists tables and columns", excerpt=excerpt)


def _split(text: str) -> tuple[str, str]:
    """DuckDB's message, and the line of the SQL with the mark below it, empty where DuckDB names none."""
    place = re.search(r"\n(LINE \d+: [^\n]*\n *\^[~^]*)", text)
    return (" ".join(text.split()), "") if place is None else (" ".join(text[: place.start()].split()), place[1])


def quoted(name: str) -> str:
    """A name as SQL takes any."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


@contextmanager
def connected(catalogue: Catalogue) -> Iterator[Database]:
    """An empty database, not locked yet. Raises ToolError without DuckDB."""
    connection = library("duckdb").connect(":memory:", config=_CONFIG)
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield Database(connection, catalogue)
    finally:
        connection.close()


@contextmanager
def opened(catalogue: Catalogue, sql: str) -> Iterator[Database]:
    """A locked database with the tables that a question names, `runs`, `errors` and `play_results`.

    Raises ToolError without DuckDB or pyarrow, JournalError.
    """
    with connected(catalogue) as database:
        tables = list(named_in(sql, catalogue))
        for table in tables:
            load_table(database.create, catalogue.runs, table)
        load_runs(database.create, catalogue)
        load_plays(database.create, catalogue.runs, filled=PLAY_RESULTS in sql.lower())
        # Of all that can be asked, not of the named tables alone: `select * from errors` names none.
        shown = tables or [catalogue.tables[name] for name in catalogue.listed]
        load_errors(database.create, catalogue.runs, shown)
        database.lock()
        yield database
