"""SQL and Parquet over runs."""

from rolecall_runner.data.catalog import Catalog, SqlError, list_tables, named_tables, read_catalog
from rolecall_runner.data.changes import compare_runs
from rolecall_runner.data.data_output import (
    ANSWER_FORMATS,
    DatasetSummary,
    ParquetRows,
    SqlFormat,
    check_dataset_folder,
    print_table,
    temporary_path,
    write_file,
)
from rolecall_runner.data.database import SqlResult, open_database

__all__ = [
    "ANSWER_FORMATS",
    "Catalog",
    "DatasetSummary",
    "ParquetRows",
    "SqlError",
    "SqlFormat",
    "SqlResult",
    "check_dataset_folder",
    "compare_runs",
    "list_tables",
    "named_tables",
    "open_database",
    "print_table",
    "read_catalog",
    "temporary_path",
    "write_file",
]
