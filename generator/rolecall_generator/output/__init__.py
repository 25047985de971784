"""The only writer of the output folder: lock file, state cache and atomic writes."""

from rolecall_generator.output.atomic_write import (
    STAGING_PREFIX,
    Disk,
    Placer,
    alone,
    output_error,
    read_regular,
    regular_stamp,
    remove_leftovers,
    remove_tree,
)
from rolecall_generator.output.lock import (
    BUNDLES,
    JOURNAL_NAME,
    LOCK_NAME,
    Lock,
    LockedModule,
    encode_journal,
    encode_lock,
    read_lock,
)
from rolecall_generator.output.output_state import (
    CheckResult,
    FolderStamp,
    ModuleSource,
    OutputState,
    load_state,
    sha256,
    stamp_folder,
)
from rolecall_generator.output.unplanned import unplanned
from rolecall_generator.output.writer import WriteCounts, WriteReport, one_run_at_a_time, write_output

__all__ = [
    "BUNDLES",
    "JOURNAL_NAME",
    "LOCK_NAME",
    "STAGING_PREFIX",
    "CheckResult",
    "Disk",
    "FolderStamp",
    "Lock",
    "LockedModule",
    "ModuleSource",
    "OutputState",
    "Placer",
    "WriteCounts",
    "WriteReport",
    "alone",
    "encode_journal",
    "encode_lock",
    "load_state",
    "one_run_at_a_time",
    "output_error",
    "read_lock",
    "read_regular",
    "regular_stamp",
    "remove_leftovers",
    "remove_tree",
    "sha256",
    "stamp_folder",
    "unplanned",
    "write_output",
]
