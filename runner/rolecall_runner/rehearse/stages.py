"""What a rehearsal tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


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
