"""The libraries for data, loaded where they are needed: they are an extra, and take their time."""

from __future__ import annotations

import importlib
from typing import Any

from rolecall_generator.errors import ToolError
from rolecall_generator.extras import missing_extra


def library(name: str) -> Any:
    """The module of this name: `pyarrow`, `pyarrow.parquet`, `duckdb`. Raises ToolError where it is missing or broken."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        raise missing from error
    except ImportError as error:
        package = name.partition(".")[0]
        raise ToolError(
            f"{package} cannot be loaded: {error}", mend="pip install --force-reinstall 'rolecall[data]'"
        ) from error
