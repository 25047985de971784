"""Golden folders: compare generated files with the stored ones, or rewrite these on request (`make golden`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def assert_golden(folder: Path, made: Mapping[str, str]) -> None:
    """Fail if the generated files differ from the folder's; rewrite the folder under ROLECALL_REWRITE_GOLDEN."""
    if os.environ.get("ROLECALL_REWRITE_GOLDEN"):
        for old in sorted(folder.rglob("*"), reverse=True):
            if old.is_file():
                old.unlink()
        for name, content in made.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    kept = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}
    assert sorted(kept) == sorted(made)
    for name, content in made.items():
        assert kept[name] == content, f"{name} differs; if that is meant: make golden"
