"""The status file: hand-overs, verifications and the resulting state of each customer and switch role."""

from rolecall_runner.status.overview import (
    CustomerState,
    StatusPlace,
    StatusReport,
    StatusRow,
    by_urgency,
    confirm_applied,
    make_status_report,
    parse_date,
    record_handover,
    select_targets,
    set_form,
)
from rolecall_runner.status.status_file import (
    ModuleVersion,
    PastRun,
    RunOutcome,
    StatusEntry,
    StatusError,
    read_module_history,
    read_status,
)
from rolecall_runner.status.update import (
    HISTORY_KEPT,
    OutputDigests,
    bundle_folders,
    read_output_digests,
    record_verdicts,
    store_handover,
)

__all__ = [
    "HISTORY_KEPT",
    "CustomerState",
    "ModuleVersion",
    "OutputDigests",
    "PastRun",
    "RunOutcome",
    "StatusEntry",
    "StatusError",
    "StatusPlace",
    "StatusReport",
    "StatusRow",
    "bundle_folders",
    "by_urgency",
    "confirm_applied",
    "make_status_report",
    "parse_date",
    "read_module_history",
    "read_output_digests",
    "read_status",
    "record_handover",
    "record_verdicts",
    "select_targets",
    "set_form",
    "store_handover",
]
