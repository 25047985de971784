"""What a rehearsal found: frozen values, and their JSON form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rolecall_generator.iam.difference import Change


class How(StrEnum):
    """What brought the modules into the sandbox."""

    TERRAFORM = "terraform"
    PARSED = "parsed modules"


class Outcome(StrEnum):
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
    outcome: Outcome
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

    how: How
    why: str
    modules: tuple[ModuleRehearsal, ...]
    accounts: tuple[AccountRehearsal, ...]
    kept: bool
    tool_version: str | None = None
    provider_version: str | None = None
    seconds: float = 0.0

    def with_outcome(self, outcome: Outcome) -> tuple[ModuleRehearsal, ...]:
        """The modules that came so far."""
        return tuple(module for module in self.modules if module.outcome is outcome)

    @property
    def passed(self) -> bool:
        """Whether all that was tried was applied, is as intended, and (unless kept) went without a trace."""
        modules = all(
            module.outcome is Outcome.SKIPPED or (module.outcome is Outcome.APPLIED and module.destroy_error is None)
            for module in self.modules
        )
        accounts = all(not (account.differences or account.left or account.problem) for account in self.accounts)
        return modules and accounts and bool(self.with_outcome(Outcome.APPLIED))


def rehearsal_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """The rehearsal as plain JSON values: seconds as numbers, outcomes as words, `passed` beside them."""
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
