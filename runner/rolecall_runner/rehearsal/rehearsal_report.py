"""Results and progress of a rehearsal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rolecall_generator.iam.difference import Change


class RehearsalMethod(StrEnum):
    """How the modules were applied."""

    TERRAFORM = "terraform"
    PARSED = "parsed modules"


class ModuleOutcome(StrEnum):
    """The result of applying a module."""

    APPLIED = "applied"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class ModuleRehearsal:
    """The result of one module. `error`: Terraform's error, or why it was skipped; `destroy_error`: error of the destroy."""

    path: str
    account_id: str
    outcome: ModuleOutcome
    seconds: float = 0.0
    error: str | None = None
    destroyed: bool = False
    destroy_error: str | None = None


@dataclass(frozen=True, slots=True)
class AccountRehearsal:
    """The result of one account.

    `differences`: from the intended access to the access found after the apply. `leftovers`: from the access before the
    apply to the access found after the destroy. `problem`: why the account could not be prepared or read.
    """

    account_id: str
    differences: tuple[Change, ...] = ()
    leftovers: tuple[Change, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result of a rehearsal, with modules in the order of the plan. `reason` explains the `method` in a sentence."""

    method: RehearsalMethod
    reason: str
    modules: tuple[ModuleRehearsal, ...]
    accounts: tuple[AccountRehearsal, ...]
    kept: bool
    tool_version: str | None = None
    provider_version: str | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether at least one module was applied, none failed, and no account has differences, leftovers or problems."""
        modules = all(
            module.outcome is ModuleOutcome.SKIPPED
            or (module.outcome is ModuleOutcome.APPLIED and module.destroy_error is None)
            for module in self.modules
        )
        accounts = all(not (account.differences or account.leftovers or account.problem) for account in self.accounts)
        return modules and accounts and any(module.outcome is ModuleOutcome.APPLIED for module in self.modules)


def rehearsal_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """The rehearsal as JSON values."""
    return {
        "passed": rehearsal.passed,
        "method": str(rehearsal.method),
        "reason": rehearsal.reason,
        "tool_version": rehearsal.tool_version,
        "provider_version": rehearsal.provider_version,
        "kept": rehearsal.kept,
        "seconds": round(rehearsal.seconds, 3),
        "modules": [asdict(module) | {"seconds": round(module.seconds, 3)} for module in rehearsal.modules],
        "accounts": [
            {
                "account_id": account.account_id,
                "differences": [asdict(change) for change in account.differences],
                "leftovers": [asdict(change) for change in account.leftovers],
                "problem": account.problem,
            }
            for account in rehearsal.accounts
        ],
    }


class Stage(StrEnum):
    """Stages of a rehearsal, in order."""

    PROVIDER = "provider"
    PREPARE = "prepare"
    APPLY = "apply"
    COMPARE = "compare"
    AFTER_APPLY = "after apply"
    DESTROY = "destroy"
    CHECK = "check for leftovers"


@dataclass(frozen=True, slots=True)
class RehearsalProgress:
    """Start (`ok` is None) or end of a stage, of one module or (`path` is None) of all; `seconds` is its duration."""

    stage: Stage
    path: str | None = None
    ok: bool | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AppliedModules:
    """Applied modules and their account IDs, and the URL of the sandbox."""

    url: str
    modules: tuple[str, ...]
    accounts: tuple[str, ...]


ProgressListener = Callable[[RehearsalProgress], None]
"""Called from several threads, but never concurrently."""


@dataclass(slots=True)
class StageResult:
    """The result of a step. The block sets `ok` to False if the step failed; `seconds` is set after the block."""

    ok: bool = True
    seconds: float = 0.0


class Steps:
    """Reports the start and end of steps to a listener. Thread-safe."""

    def __init__(self, listener: ProgressListener, clock: Callable[[], float]) -> None:
        self._listener = listener
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: Stage, path: str | None = None) -> Iterator[StageResult]:
        """Report the start and end of the block as a step. The step has failed if the block raises an exception."""
        result = StageResult()
        self._report(RehearsalProgress(stage, path))
        started = self._clock()
        try:
            yield result
        except BaseException:
            result.ok = False
            raise
        finally:
            result.seconds = self._clock() - started
            self._report(RehearsalProgress(stage, path, result.ok, result.seconds))

    def _report(self, progress: RehearsalProgress) -> None:
        with self._lock:
            self._listener(progress)
