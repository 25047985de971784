"""Removed modules: what other switch roles still need is named, and the loss of every customer is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manifests import manifest_of, switch_role
from rolecall_generator.errors import OutputError
from rolecall_generator.generate import generate


def access(name: str, number: int, *, creates: bool) -> dict[str, Any]:
    people = {"group": {"name": "ops", "existing": not creates}, "users": [{"name": "ann", "existing": not creates}]}
    return switch_role(name, f"22222222222{number}", "333333333333", **people)


def run(folder: Path, *entries: dict[str, Any]) -> tuple[str, ...]:
    """One run over a manifest with these switch roles; its notes."""
    (folder / "accounts.yaml").write_text(json.dumps({"version": 1, "switch_roles": entries}), encoding="utf-8")
    return generate(folder / "accounts.yaml", folder / "output").notes


def removed(folder: Path, count: int, **options: Any) -> int:
    """One run over a manifest of n customers; how many modules it removed."""
    body = manifest_of(count).model_dump(mode="json", exclude_unset=True)
    (folder / "accounts.yaml").write_text(json.dumps(body), "utf-8")
    return len(generate(folder / "accounts.yaml", folder / "output", **options).report.removed)


PROD, DEV = access("prod", 1, creates=True), access("dev", 2, creates=False)


def test_who_still_needs_what_the_module_created_is_named(tmp_path: Path) -> None:
    """Once, at the run that deletes its files; a state that lies there is not to be destroyed."""
    assert () == run(tmp_path, PROD, DEV)
    (note,) = run(tmp_path, DEV)

    assert note.startswith("switch-roles/prod/trusted created group ops, user ann, which switch-roles/dev/trusted ")
    assert () == run(tmp_path, DEV)


@pytest.mark.parametrize("left", [[PROD], [access("dev", 2, creates=True)], []], ids=["other", "creates", "nobody"])
def test_nothing_is_said_where_nothing_is_left_behind(tmp_path: Path, left: list[dict[str, Any]]) -> None:
    """The others left, another creates them from now on, or no one needs them."""
    assert () == run(tmp_path, PROD, DEV)
    assert () == run(tmp_path, *left)


def test_loss_of_every_customer_is_refused(tmp_path: Path) -> None:
    """An empty list, or a lost include, removes nothing without `prune_all`."""
    removed(tmp_path, 3)
    before = sorted((tmp_path / "output").rglob("*"))

    with pytest.raises(OutputError, match="none of the 3 customers of the last run is in the manifest"):
        removed(tmp_path, 0)

    assert before == sorted((tmp_path / "output").rglob("*"))
    assert 0 == removed(tmp_path, 0, prune=False)
    removed(tmp_path, 3)
    assert 3 == removed(tmp_path, 0, prune_all=True)


def test_customers_leave_without_confirmation(tmp_path: Path) -> None:
    """Where some customers stay, or the only one leaves, the modules of the others are removed."""
    assert [0, 2, 1] == [removed(tmp_path, count) for count in (3, 1, 0)]
