"""Randomly broken manifests are loaded or have problems, and never raise another exception."""

from __future__ import annotations

import copy
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.errors import ManifestError, Problem
from rolecall_generator.manifest.loader import load_manifest, starter_manifest

STARTER: dict[str, Any] = yaml.safe_load(starter_manifest())
JUNK: list[Any] = [
    None, True, 0, 1.5, "", "x", "\u0301", "${a}", "x" * 3000,
    [], {}, [[]], [None], {"a": None}, {"name": 1}, ["a", {"b": []}],
]  # fmt: skip


def mutate(tree: Any, chance: random.Random) -> Any:
    """A copy of the tree in which one node is replaced, removed, duplicated or given an unknown key."""
    tree = copy.deepcopy(tree)
    nodes = list(_containers(tree))
    node = chance.choice(nodes)
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return tree
    key = chance.choice(keys)
    action = chance.choice(["junk", "remove", "add", "swap"])
    if action == "junk":
        node[key] = chance.choice(JUNK)
    elif action == "remove":
        del node[key]
    elif action == "swap":
        node[key] = copy.deepcopy(chance.choice(nodes))
    elif isinstance(node, dict):
        node[chance.choice(["role", "bogus", "external_id", "tags", "users", "1"])] = chance.choice(JUNK)
    else:
        node.append(copy.deepcopy(node[key]))
    return tree


def _containers(node: Any) -> Any:
    if isinstance(node, dict | list):
        yield node
        for item in node.values() if isinstance(node, dict) else node:
            yield from _containers(item)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(min_value=0), steps=st.integers(1, 4))
def test_randomly_broken_manifest_has_problems_with_locations(seed: int, steps: int) -> None:
    """For any replacement, removal or duplication in a valid manifest, loading succeeds or has problems inside the file."""
    chance = random.Random(seed)  # noqa: S311 - shrinkable mutations, not secrets
    tree = STARTER
    for _ in range(steps):
        tree = mutate(tree, chance)
    text = json.dumps(tree, indent=1)  # JSON is YAML without anchors
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "accounts.yaml"
        file.write_text(text, encoding="utf-8")
        problems = problems_of(file)
    lines = text.count("\n") + 1
    assert [] == [problem for problem in problems if not (1 <= problem.line <= lines and problem.what and problem.hint)]


def problems_of(file: Path) -> tuple[Problem, ...]:
    try:
        load_manifest(file)
    except ManifestError as error:
        return error.problems
    return ()
