"""The status file: hand-overs, verifications and the resulting state of each customer and switch role."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.status.earlier_modules import read_history
    from rolecall_runner.status.overview import (
        CustomerState,
        StatusPlace,
        StatusReport,
        StatusRow,
        chosen,
        hand_over,
        note_as_applied,
        report,
        set_form,
    )
    from rolecall_runner.status.status_file import StatusEntry, StatusError, read_status
    from rolecall_runner.status.update import OutputDigests, bundle_folders, note_hand_over, note_verdicts, written

__all__ = [
    "CustomerState",
    "OutputDigests",
    "StatusEntry",
    "StatusError",
    "StatusPlace",
    "StatusReport",
    "StatusRow",
    "bundle_folders",
    "chosen",
    "hand_over",
    "note_as_applied",
    "note_hand_over",
    "note_verdicts",
    "read_history",
    "read_status",
    "report",
    "set_form",
    "written",
]

__getattr__ = exports(
    __name__,
    {
        "earlier_modules": ("read_history",),
        "overview": (
            "CustomerState",
            "StatusPlace",
            "StatusReport",
            "StatusRow",
            "chosen",
            "hand_over",
            "note_as_applied",
            "report",
            "set_form",
        ),
        "status_file": (
            "StatusEntry",
            "StatusError",
            "read_status",
        ),
        "update": (
            "OutputDigests",
            "bundle_folders",
            "note_hand_over",
            "note_verdicts",
            "written",
        ),
    },
)
