"""The libraries for data, loaded where they are needed: they are an extra, and take their time."""

from __future__ import annotations

import importlib
from typing import Any

from rolecall_generator.errors import ToolError


def library(name: str) -> Any:
    """The module of this name: `pyarrow`, `pyarrow.parquet`, `duckdb`. Raises ToolError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ToolError(
            f"Parquet and SQL need {package}, which cannot be loaded: {error}",
            where=package,
            mend="pip install 'rolecall[data]'",
        ) from error
