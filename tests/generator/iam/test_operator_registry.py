"""One registry entry adds a condition operator to manifests, evaluator, rules and descriptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_fragments import condition
from rolecall_generator.errors import ManifestError
from rolecall_generator.iam.matching.conditions import (
    OPERATORS,
    STRING,
    Compare,
    Operator,
    Truth,
    UnsupportedError,
    compile_condition,
    find_operator,
)
from rolecall_generator.iam.policy import Condition, Statement
from rolecall_generator.iam.validation import condition_faults, unknown_operator_fault
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.proof.matrix import condition_names

KEY = "s3:prefix"
NEW = Condition("StringStartsWith", KEY, ("home/", "shared/"))


def starts_with(values: tuple[str, ...]) -> Compare:
    return lambda value: value.startswith(values)


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Operator:
    """An operator that IAM does not have, registered for one test."""
    added = Operator(
        NEW.operator, STRING, starts_with, describe=lambda key, values: f"{key} starting with {' or '.join(values)}"
    )
    monkeypatch.setitem(OPERATORS, added.name, added)
    return added


def manifest(folder: Path, operator: str) -> Path:
    path = folder / "accounts.yaml"
    path.write_text(
        'version: 1\nbackend: {account_id: "111111111111"}\npermission_sets:\n  p: {statements: ['
        f"{condition(operator, KEY, 'home/', 's3:ListBucket')}]}}\n"
        "defaults: {permissions: [p]}\n"
        'customers: [{name: acme, account_id: "222222222222", external_id: 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101}]\n'
    )
    return path


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("written", ["StringStartsWith", "ForAnyValue:StringStartsWith", "StringStartsWithIfExists"])
def test_registered_operator_is_accepted_by_the_manifest(tmp_path: Path, written: str) -> None:
    """With set prefix and IfExists, like any other operator."""
    assert load_manifest(manifest(tmp_path, written)).manifest.customers


@pytest.mark.usefixtures("operator")
def test_registered_operator_is_evaluated_and_described() -> None:
    """It compiles without faults and is described with its registered text."""
    test = compile_condition(NEW, variables=True)
    assert Truth.TRUE is test.run({KEY: ("home/ann",)})
    assert Truth.FALSE is test.run({KEY: ("logs/",)})
    assert Truth.FALSE is test.run({})
    assert [] == list(condition_faults(NEW, "aws"))
    assert ("s3:prefix starting with home/ or shared/",) == condition_names(Statement("Allow", conditions=(NEW,)))


def test_unregistered_operator_is_refused_everywhere(tmp_path: Path) -> None:
    """Without the entry, the operator is a manifest error, a fault, and is not evaluated."""
    with pytest.raises(ManifestError):
        load_manifest(manifest(tmp_path, NEW.operator))
    with pytest.raises(UnsupportedError):
        compile_condition(NEW, variables=True)
    assert [True] == [fault.refused for fault in condition_faults(NEW, "aws")]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("StringEquals\n", None),
        ("stringequals", "StringEquals"),
        ("foranyvalue:arnnotlikeIFEXISTS", "ArnNotLike"),
        ("NullIfExists", None),
        ("ForAllValues:Null", None),
        ("NULL", "Null"),
        ("ForSomeValues:StringEquals", None),
        ("StringEqualsIfExistsIfExists", None),
    ],
)
def test_case_is_ignored_only_on_request(written: str, canonical: str | None) -> None:
    """Evaluator and manifest accept only the documented spelling."""
    use = find_operator(written, any_case=True)
    assert canonical == (use.operator.name if use else None)
    assert find_operator(written) is None
    assert unknown_operator_fault(written) is not None


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("prefix", ["", "ForAnyValue:", "ForAllValues:"])
@pytest.mark.parametrize("suffix", ["", "IfExists"])
def test_absent_key_is_decided_as_registered(name: str, prefix: str, suffix: str) -> None:
    """`holds_when_absent`, which rules read, agrees with the evaluator."""
    use = find_operator(f"{prefix}{name}{suffix}")
    if use is None or use.operator.compare is None:
        assert "Null" == name
        return
    values = {"Bool": "true", "Null": "true", "BinaryEquals": "QQ=="}
    value = values.get(name) or {
        "IpAddress": "10.0.0.0/8",
        "Numeric": "10",
        "Date": "2027-01-31",
        "Arn": "arn:a:b:c:d:e",
    }.get(use.operator.family.name, "x")
    test = compile_condition(Condition(f"{prefix}{name}{suffix}", KEY, (value,)), variables=True)
    assert Truth(use.holds_when_absent) is test.run({})
