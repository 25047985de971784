"""For any content of a file, an import reports an error or returns accounts that are valid in the manifest."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests import manifest_of
from rolecall_generator.errors import RolecallError
from rolecall_generator.importers.csv_table import read_csv_accounts
from rolecall_generator.importers.import_plan import ImportSettings, Reading, plan_import
from rolecall_generator.importers.terraform_outputs import read_output_accounts
from rolecall_generator.manifest.models import Customer

HEADERS = ["name", "account_id", "role", "role_arn", "external_id", "permissions", "regions", "max_session_seconds",
           "session_tags", "label:tier", "tag:a", "variable:v", "path", "Owner", ""]  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(
        ["acme", "222222222222", "read", "7200", "yes", "=1+1", "arn:aws:iam::222222222222:role/x/R", "\x1b[31m"]
    ),
    st.text(max_size=20),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just("arn:aws:iam::222222222222:role/R"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role_arn", "external_id", "value", "outputs", "values", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of control characters and invisible characters; unassigned ones are displayed as a box."""
QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def taken_or_said(read: Any) -> None:
    """Each new entry is a valid customer, or there is an error with a hint and without control characters."""
    try:
        reading: Reading = read()
        plan = plan_import(reading, manifest_of(1), ImportSettings(lambda: "fresh-id"))
    except RolecallError as error:
        text = str(error)
        assert "hint: " in text
        assert [] == [character for character in text if unicodedata.category(character) in HIDDEN and character != "\n"]
        return
    for entry in plan.added:
        Customer.model_validate(dict(entry))


@QUICK
@given(data=st.binary(max_size=200))
def test_any_bytes_as_csv(tmp_path: Path, data: bytes) -> None:
    """Binary files, truncated encodings and unbalanced quotes."""
    path = tmp_path / "t.csv"
    path.write_bytes(data)

    taken_or_said(lambda: read_csv_accounts(path, {}))


@QUICK
@given(
    header=st.lists(st.sampled_from(HEADERS), min_size=1, max_size=8), rows=st.lists(st.lists(CELLS, max_size=8), max_size=5)
)
def test_any_cells_as_csv(tmp_path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Formulas, control characters, numbers instead of strings, short and long rows."""
    path = tmp_path / "t.csv"
    quoted = ['"' + cell.replace('"', '""') + '"' for row in rows for cell in row]
    cells = iter(quoted)
    lines = [",".join(header), *(",".join(next(cells) for _ in row) for row in rows)]
    path.write_bytes("\r\n".join(lines).encode("utf-8", "replace"))

    taken_or_said(lambda: read_csv_accounts(path, {}))


@QUICK
@given(body=VALUES)
def test_any_json_as_outputs(tmp_path: Path, body: Any) -> None:
    """Outputs of any structure, with values of any type."""
    path = tmp_path / "acme.json"
    path.write_text(json.dumps(body), "utf-8")

    taken_or_said(lambda: read_output_accounts([path]))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"role_arn": {"value": ' + "[" * 100_000, '{"role_arn": {"value": ' + "1" * 5000 + "}}"],
    ids=["nesting", "nested value", "number of 5,000 digits"],
)
def test_deep_nesting_and_huge_numbers_as_outputs(tmp_path: Path, text: str) -> None:
    """They exceed the limits of Python's JSON parser."""
    path = tmp_path / "deep.json"
    path.write_text(text, "utf-8")

    taken_or_said(lambda: read_output_accounts([path]))
