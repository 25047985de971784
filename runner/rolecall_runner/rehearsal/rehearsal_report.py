"""What a rehearsal found: frozen values, and their JSON form.

What a rehearsal tells while it goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rolecall_generator.iam.difference import Change


class RehearsalMethod(StrEnum):
    """What brought the modules into the sandbox."""

    TERRAFORM = "terraform"
    PARSED = "parsed modules"


class ModuleOutcome(StrEnum):
    """How far a module came."""

    APPLIED = "applied"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class ModuleRehearsal:
    """One module. `error` is Terraform's own words, or why it was skipped; `destroy_error` likewise for its end."""

    path: str
    account_id: str
    outcome: ModuleOutcome
    seconds: float = 0.0
    error: str | None = None
    destroyed: bool = False
    destroy_error: str | None = None


@dataclass(frozen=True, slots=True)
class AccountRehearsal:
    """One account: how it differed from what was intended once all was applied, and what was left after the destroy.

    `differences` go from intended to found. `problem`: why it could not be read, or why comparing would say nothing.
    """

    account_id: str
    differences: tuple[Change, ...] = ()
    left: tuple[Change, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A whole rehearsal, modules in the order of the plan. `why` says in a sentence why it went this way (`how`)."""

    how: RehearsalMethod
    why: str
    modules: tuple[ModuleRehearsal, ...]
    accounts: tuple[AccountRehearsal, ...]
    kept: bool
    tool_version: str | None = None
    provider_version: str | None = None
    seconds: float = 0.0

    def with_outcome(self, outcome: ModuleOutcome) -> tuple[ModuleRehearsal, ...]:
        """The modules that came so far."""
        return tuple(module for module in self.modules if module.outcome is outcome)

    @property
    def passed(self) -> bool:
        """Whether all that was tried was applied, is as intended, and (unless kept) went without a trace."""
        modules = all(
            module.outcome is ModuleOutcome.SKIPPED
            or (module.outcome is ModuleOutcome.APPLIED and module.destroy_error is None)
            for module in self.modules
        )
        accounts = all(not (account.differences or account.left or account.problem) for account in self.accounts)
        return modules and accounts and bool(self.with_outcome(ModuleOutcome.APPLIED))


def rehearsal_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """The rehearsal as plain JSON values: seconds as numbers, outcomes as words, `passed` next to them."""
    return {
        "passed": rehearsal.passed,
        "how": str(rehearsal.how),
        "why": rehearsal.why,
        "tool_version": rehearsal.tool_version,
        "provider_version": rehearsal.provider_version,
        "kept": rehearsal.kept,
        "seconds": round(rehearsal.seconds, 3),
        "modules": [_plain(asdict(module)) for module in rehearsal.modules],
        "accounts": [
            {
                "account_id": account.account_id,
                "differences": _changes(account.differences),
                "left": _changes(account.left),
                "problem": account.problem,
            }
            for account in rehearsal.accounts
        ],
    }


def _plain(module: dict[str, Any]) -> dict[str, Any]:
    return module | {"outcome": str(module["outcome"]), "seconds": round(module["seconds"], 3)}


def _changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [asdict(change) for change in changes]


class Stage(StrEnum):
    """The stages of a rehearsal, in their order."""

    PROVIDER = "provider"
    PREPARE = "prepare"
    APPLY = "apply"
    COMPARE = "compare"
    AFTER_APPLY = "after apply"
    DESTROY = "destroy"
    CHECK = "check that nothing is left"


@dataclass(frozen=True, slots=True)
class Progress:
    """A stage that begins (`ok` is None) or has ended, for one module or (`path` is None) for all; `seconds` it took."""

    stage: Stage
    path: str | None = None
    ok: bool | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Applied:
    """What stands in the sandbox between apply and destroy: its address, module paths and account ids."""

    url: str
    modules: tuple[str, ...]
    accounts: tuple[str, ...]


Listener = Callable[[Progress], None]
"""Hears the progress; called from several threads, one at a time."""


@dataclass(slots=True)
class StageEnding:
    """How a step ends: the block says whether it went well; `seconds` is known after the block."""

    ok: bool = True
    seconds: float = 0.0


class Steps:
    """Tells a listener when steps begin and how they end, one at a time whatever thread they are in."""

    def __init__(self, listener: Listener, clock: Callable[[], float]) -> None:
        self._listener = listener
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: Stage, path: str | None = None) -> Iterator[StageEnding]:
        """A step from here to the end of the block; what the block raises is a step that went badly."""
        ending = StageEnding()
        self._tell(Progress(stage, path))
        started = self._clock()
        try:
            yield ending
        except BaseException:
            ending.ok = False
            raise
        finally:
            ending.seconds = self._clock() - started
            self._tell(Progress(stage, path, ending.ok, ending.seconds))

    def _tell(self, what: Progress) -> None:
        with self._lock:
            self._listener(what)
