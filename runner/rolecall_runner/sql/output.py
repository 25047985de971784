"""Answers as table, JSON, JSON lines, CSV or a Parquet file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from rolecall_generator.console import SafeConsole
from rolecall_generator.errors import OutputError
from rolecall_generator.text import json_text, one_line
from rolecall_runner.private_files import create_private_file
from rolecall_runner.results.arrow_library import library
from rolecall_runner.results.csv_text import csv_line
from rolecall_runner.results.rows_flat import cell_of
from rolecall_runner.sql.answered import Answered

Write = Callable[[str], object]
TABLE_ROWS = 1000
"""Rows that a table for people shows at most; its widths need all of them at once."""
WIDE = 200
"""Characters of a line where a table goes into a file."""
_UNFOLDED = 1_000_000


def write_json(answered: Answered, write: Write) -> None:
    """One object: `{"columns": [{"name", "type"}], "rows": [{...}]}`, rows as they come."""
    columns = [{"name": name, "type": kind} for name, kind in answered.columns]
    write('{\n  "columns": ' + json_text(columns) + ',\n  "rows": [')
    first = True
    for row in answered.rows():
        write(("\n    " if first else ",\n    ") + json_text(row))
        first = False
    write("]\n}\n" if first else "\n  ]\n}\n")


def write_lines(answered: Answered, write: Write) -> None:
    """A line of JSON a row, ASCII alone."""
    for row in answered.rows():
        write(json_text(row, separators=(",", ":")) + "\n")


def write_csv(answered: Answered, write: Write) -> None:
    """CSV with a header for a file; see `csv_text`."""
    _write_csv(answered, write, on_terminal=False)


def write_csv_to_terminal(answered: Answered, write: Write) -> None:
    """CSV with a header, each row on one line."""
    _write_csv(answered, write, on_terminal=True)


def _write_csv(answered: Answered, write: Write, *, on_terminal: bool) -> None:
    write(csv_line(answered.names, on_terminal=on_terminal))
    for row in answered.rows():
        write(csv_line((row[name] for name in answered.names), on_terminal=on_terminal))


WRITERS: Mapping[str, Callable[[Answered, Write], None]] = {"json": write_json, "jsonl": write_lines, "csv": write_csv}
"""What writes text, by the form's name."""


def write_file(answered: Answered, form: str, path: Path) -> None:
    """The answer in a file, whole or not at all, for its owner alone. `form`: of WRITERS, parquet, or table.

    Raises OutputError, SqlError.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        # Rows may hold what an account keeps to itself: for the owner alone, as the journal.
        with os.fdopen(create_private_file(temporary), "wb") as file:
            if form == "parquet":
                _write_parquet(answered, file)
            else:
                with io.TextIOWrapper(file, "utf-8", newline="") as text:
                    _write_text(answered, form, text)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"the file cannot be written: {error.strerror or error}", where=str(path), mend="see to space and permissions"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_text(answered: Answered, form: str, text: io.TextIOWrapper) -> None:
    if form in WRITERS:
        WRITERS[form](answered, text.write)
    else:
        write_table(answered, SafeConsole(file=text, width=WIDE))


def _write_parquet(answered: Answered, file: Any) -> None:
    with library("pyarrow.parquet").ParquetWriter(file, answered.schema(), compression="zstd") as writer:
        for batch in answered.batches():
            writer.write_batch(batch)


def write_table(answered: Answered, console: Console) -> None:
    """A table for people: the first thousand rows, and how many more there are."""
    rows = answered.rows()
    shown = list(islice(rows, TABLE_ROWS))
    print_table(console, answered.names, shown)
    more = sum(1 for _ in rows)
    if more:
        console.print(f"and {more:,} more rows: ask with `limit`, or take --format csv", style="dim", markup=False)


def print_table(console: Console, names: tuple[str, ...], rows: list[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    """Rows under their columns; wide cells are folded."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(one_line(name), overflow="fold")
    for row in rows:
        table.add_row(*(one_line(cell_of(row[name])) for name in names))
    # Through a pipe nothing is folded: who reads lines wants whole rows.
    width = console.width if console.is_terminal else max(console.width, _natural(console, table))
    console.print(table, width=width, crop=False)


def _natural(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=_UNFOLDED), table).maximum
