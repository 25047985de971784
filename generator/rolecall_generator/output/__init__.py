"""Reading and writing the output folder: lock file, journal, cache and atomic writes."""

from rolecall_generator.output.atomic_write import (
    Disk,
    Placer,
    folder_lock,
    hash_regular,
    output_error,
    read_regular,
    remove_empty,
    sha256,
)
from rolecall_generator.output.lock import BUNDLES, LOCK_NAME, Lock, LockedModule, read_lock
from rolecall_generator.output.output_state import (
    CheckResult,
    FolderStamp,
    ModuleSource,
    OutputState,
    find_unplanned,
    load_state,
    stamp_folder,
)
from rolecall_generator.output.writer import OutputFolder, WriteCounts, WriteReport, open_output, write_output

__all__ = [
    "BUNDLES",
    "LOCK_NAME",
    "CheckResult",
    "Disk",
    "FolderStamp",
    "Lock",
    "LockedModule",
    "ModuleSource",
    "OutputFolder",
    "OutputState",
    "Placer",
    "WriteCounts",
    "WriteReport",
    "find_unplanned",
    "folder_lock",
    "hash_regular",
    "load_state",
    "open_output",
    "output_error",
    "read_lock",
    "read_regular",
    "remove_empty",
    "sha256",
    "stamp_folder",
    "write_output",
]
