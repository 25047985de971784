"""Output folders for tests: modules from dicts, trees as dicts of bytes, and a disk that fails or stops at a chosen step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rolecall_generator.output.atomic_write import Disk
from rolecall_generator.output.output_state import ModuleSource
from rolecall_generator.output.writer import WriteReport, write_output

Modules = Mapping[str, Mapping[str, str]]


def sources(modules: Modules) -> list[ModuleSource]:
    return [ModuleSource(path, fingerprint(files), lambda files=files: files) for path, files in modules.items()]  # type: ignore[misc]


def fingerprint(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()


def write(out: Path, modules: Modules, **options: Any) -> WriteReport:
    return write_output(out, sources(modules), **{"assignment": {}, **options})


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder by relative path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tree(out: Path) -> dict[str, bytes]:
    """All files below a folder except rolecall's own state files, by relative path."""
    return {name: content for name, content in contents(out).items() if "rolecall." not in name}


def wanted(modules: Modules) -> dict[str, bytes]:
    return {f"{path}/{name}": text.encode() for path, files in modules.items() for name, text in files.items()}


def times(out: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (out, *out.rglob("*"))}


class KilledError(BaseException):
    """Simulates a process that is killed: nothing is written after it."""


class CountingDisk:
    """Counts changes of the disk and calls `trouble` before each one, with its number, from 0."""

    def __init__(self, trouble: Callable[[int], None] = lambda _step: None) -> None:
        self.steps = 0
        self.trouble = trouble

    def disk(self) -> Disk:
        real = Disk()
        return Disk(**{part.name: self._counted(getattr(real, part.name)) for part in fields(Disk)})

    def _counted(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            step, self.steps = self.steps, self.steps + 1
            self.trouble(step)
            return operation(*arguments)

        return counted


def dies_at(step: int) -> Disk:
    """A disk on which every operation from a step on is lost, as after a kill."""

    def trouble(number: int) -> None:
        if number >= step:
            raise KilledError

    return CountingDisk(trouble).disk()


def fails_at(step: int, error: int) -> Disk:
    """A disk on which one operation fails with an error number."""

    def trouble(number: int) -> None:
        if number == step:
            raise OSError(error, "injected")

    return CountingDisk(trouble).disk()
