"""Removed modules: resources that other switch roles need are reported, and removing all customers is rejected."""

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
    (folder / "accounts.yaml").write_text(json.dumps({"version": 1, "switch_roles": entries}), encoding="utf-8")
    return generate(folder / "accounts.yaml", folder / "output").notes


def removed(folder: Path, count: int, **options: Any) -> int:
    body = manifest_of(count).model_dump(mode="json", exclude_unset=True)
    (folder / "accounts.yaml").write_text(json.dumps(body), "utf-8")
    return len(generate(folder / "accounts.yaml", folder / "output", **options).report.removed)


PROD, DEV = access("prod", 1, creates=True), access("dev", 2, creates=False)


def test_removed_module_is_reported_if_others_need_its_resources(tmp_path: Path) -> None:
    """Once, by the run that deletes its files; the resources must not be destroyed."""
    assert () == run(tmp_path, PROD, DEV)
    (note,) = run(tmp_path, DEV)

    assert note.startswith("switch-roles/prod/trusted created group ops, user ann, which switch-roles/dev/trusted ")
    assert () == run(tmp_path, DEV)


@pytest.mark.parametrize("left", [[PROD], [access("dev", 2, creates=True)], []], ids=["other", "creates", "nobody"])
def test_removed_module_is_not_reported_if_no_others_need_it(tmp_path: Path, left: list[dict[str, Any]]) -> None:
    assert () == run(tmp_path, PROD, DEV)
    assert () == run(tmp_path, *left)


def test_removal_of_all_customers_requires_prune_all(tmp_path: Path) -> None:
    removed(tmp_path, 3)
    before = sorted((tmp_path / "output").rglob("*"))

    with pytest.raises(OutputError, match="none of the 3 customers of the last run is in the manifest"):
        removed(tmp_path, 0)

    assert before == sorted((tmp_path / "output").rglob("*"))
    assert 0 == removed(tmp_path, 0, prune=False)
    removed(tmp_path, 3)
    assert 3 == removed(tmp_path, 0, prune_all=True)


def test_removed_customers_need_no_confirmation(tmp_path: Path) -> None:
    assert [0, 2, 1] == [removed(tmp_path, count) for count in (3, 1, 0)]
