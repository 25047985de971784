"""A disposable memory of files whose content was verified, so that an unchanged file costs one stat and no reading.

It works as git's index does: a file is trusted while its size and times are those that were seen when its content was the
locked one. Without the cache, or with a broken one, files are hashed. It is bound to the lock's bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CACHE_NAME = ".rolecall.cache"


@dataclass(frozen=True, slots=True)
class StatCache:
    """Stamps by module path, flat and in the order of the lock's file names.

    A file that changed in or after the clock tick in which the cache was written (`written_ns`) is not trusted: it may
    have changed again without another time stamp.
    """

    stamps: Mapping[str, Sequence[int]] = field(default_factory=dict)
    written_ns: int = 0

    def trusts(self, path: str, stamps: Sequence[int]) -> bool:
        """True when a module's files surely still have the content that was verified."""
        return self.stamps.get(path) == stamps and all(changed < self.written_ns for changed in stamps[2::3])


def load_cache(path: str, lock_digest: str) -> StatCache:
    """The cache for a lock; empty when absent, broken, or made for another lock."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            written_ns = os.fstat(file.fileno()).st_mtime_ns
            body = json.loads(file.read())
        if body["lock"] == lock_digest and isinstance(body["stamps"], dict):
            return StatCache(body["stamps"], written_ns)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass  # it only saves time
    return StatCache()


def encode_cache(stamps: Mapping[str, Sequence[int]], lock_digest: str) -> bytes:
    """The cache's bytes; `lock_digest` is the SHA-256 of the lock file that it belongs to."""
    return json.dumps({"lock": lock_digest, "stamps": dict(stamps)}, separators=(",", ":")).encode()
