"""The names that a manifest's entries have, for completion in a shell: quick, and of a manifest with mistakes too."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rolecall_generator.errors import Problem
from rolecall_generator.manifest.source import parse_source
from rolecall_generator.manifest.textfile import read_text

MOST_FILES = 2_000
"""How many included files are looked into: whoever waits for a completion waits for no more."""


def names_in(path: Path, *sections: str) -> list[str]:
    """Names of the entries of `sections` (customers, switch_roles) in the order of the files, none twice.

    Nothing is validated, and what cannot be read has no names: no models are loaded, so it takes a quarter of the time.
    """
    tree = _tree(path)
    trees = [tree, *(_tree(file) for file in _included(path, tree))]
    found = (name for section in sections for each in trees for name in _names(each, section))
    return list(dict.fromkeys(found))


def _tree(path: Path) -> Any:
    text = read_text(path, str(path))
    if isinstance(text, Problem):
        return None
    if path.suffix.lower() == ".csv":
        return {"customers": list(csv.DictReader(text.splitlines()))}
    return parse_source(text, str(path)).tree


def _included(path: Path, tree: Any) -> Iterator[Path]:
    """The files that `include` names, as far as they stand below the manifest."""
    patterns = tree.get("include") if isinstance(tree, dict) else None
    left = MOST_FILES
    for pattern in patterns if isinstance(patterns, list) else ():
        if isinstance(pattern, str) and pattern and not Path(pattern).is_absolute() and ".." not in Path(pattern).parts:
            files = sorted(file for file in path.parent.glob(pattern) if file.is_file())[:left]
            left -= len(files)
            yield from files


def _names(tree: Any, section: str) -> Iterator[str]:
    entries = tree.get(section) if isinstance(tree, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and name:
            yield name
