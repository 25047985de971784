"""Runs a task over many targets: engines, results and the journal."""

from rolecall_runner.execution.execution_options import ExecutionOptions, engine_names
from rolecall_runner.execution.interface import (
    DEFAULT_WORKERS,
    EngineSettings,
    Outcome,
    ProcessLocal,
    Result,
    Runtime,
    Task,
)
from rolecall_runner.execution.journal import (
    RUNS,
    Journal,
    JournalError,
    RunRecord,
    counts_of,
    find_run,
    keys_to_retry,
    list_runs,
    narrow_targets,
    new_run_id,
    read_json,
    read_results,
    record_results,
)
from rolecall_runner.execution.threads import stops_on_ctrl_c

__all__ = [
    "DEFAULT_WORKERS",
    "RUNS",
    "EngineSettings",
    "ExecutionOptions",
    "Journal",
    "JournalError",
    "Outcome",
    "ProcessLocal",
    "Result",
    "RunRecord",
    "Runtime",
    "Task",
    "counts_of",
    "engine_names",
    "find_run",
    "keys_to_retry",
    "list_runs",
    "narrow_targets",
    "new_run_id",
    "read_json",
    "read_results",
    "record_results",
    "stops_on_ctrl_c",
]
