"""The written modules of a plan: from the cache if nothing changed, parsed if something did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checking.fleet import Bench, read_modules
from rolecall_generator.checking.module import Verdict
from rolecall_generator.checks.finding import Finding
from rolecall_generator.disk import output_error
from rolecall_generator.lock import Lock
from rolecall_generator.output_state import OutputState
from rolecall_generator.plan import Plan
from rolecall_generator.unplanned import unplanned


def unplanned_findings(out: Path, plan: Plan, lock: Lock) -> tuple[Finding, ...]:
    """Folders and Terraform files of the output folder that the manifest does not plan. Raises OutputError."""
    try:
        return tuple(unplanned(str(out), {module.path for module in plan.modules}, lock.modules.keys()))
    except OSError as error:
        raise output_error(error, str(out)) from error


@dataclass(frozen=True, slots=True)
class Written:
    """Verdicts by index of the modules that are not as planned, and how many modules were read."""

    verdicts: Mapping[int, Verdict]
    read: int


def read_written(
    bench: Bench,
    indices: Sequence[int],
    state: OutputState,
    *,
    processes: int | None = None,
    progress: Callable[[int], None],
) -> Written:
    """Find out which of the modules with these indices are not as planned, and record the others in `state`.

    Raises OutputError.
    """
    unread = [index for index in indices if not state.known(bench.modules[index])]
    known = len(indices) - len(unread)
    verdicts: dict[int, Verdict] = {}
    for read in read_modules(bench, unread, processes=processes, progress=lambda done: progress(known + done)):
        if read.verdict is not None:
            verdicts[read.index] = read.verdict
        elif read.stamp is not None:
            module = bench.modules[read.index]
            state.record_checked(module.path, module.fingerprint, read.stamp)
    state.keep_only({module.path for module in bench.modules})
    progress(len(indices))
    return Written(verdicts, len(unread))
