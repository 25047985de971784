"""What a rehearsal tells while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@dataclass(slots=True)
class Ending:
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
    def __call__(self, stage: Stage, path: str | None = None) -> Iterator[Ending]:
        """A step from here to the end of the block; what the block raises is a step that went badly."""
        ending = Ending()
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
