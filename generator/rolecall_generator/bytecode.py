"""Compiled templates kept between runs: compiling them would be a fifth of a run that changes one customer."""

from __future__ import annotations

from contextlib import suppress

from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket


def bytecode_cache() -> FileSystemBytecodeCache | None:
    """Jinja2's cache in a temporary folder that only its owner may enter; None where there cannot be one."""
    try:
        return _PatientCache()
    except (OSError, RuntimeError):
        return None


class _PatientCache(FileSystemBytecodeCache):
    """A cache that cannot be read or written only costs time."""

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, TypeError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)
