"""What each process makes for itself, once: clients, connections, sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that is made when first asked for, once in a process. Pickled, only its maker travels: never its secrets.

    `make` must be picklable where the value is to travel: a function of a module, or `functools.partial` of one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    @property
    def made(self) -> bool:
        """Whether the value is there already."""
        return bool(self._made)

    def get(self) -> T:
        """The value. Raises what its maker raises; the next call tries again."""
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]

    def __reduce__(self) -> tuple[type[PerProcess[T]], tuple[Callable[[], T]]]:
        return type(self), (self._make,)
