"""Whatever a file holds, an import says what is wrong with it or gives accounts that the manifest takes; it never breaks."""

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
from rolecall_generator.importing.from_csv import read_csv_accounts
from rolecall_generator.importing.from_outputs import read_output_accounts
from rolecall_generator.importing.model import Reading
from rolecall_generator.importing.planning import Settings, plan_import
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
"""Categories of characters that control a terminal or are invisible; unassigned ones are shown as a box."""
QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def taken_or_said(read: Any) -> None:
    """Either every new entry is a customer, or there is an error with a message of one line a problem and a mend."""
    try:
        reading: Reading = read()
        plan = plan_import(reading, manifest_of(1), Settings(lambda: "fresh-id"))
    except RolecallError as error:
        text = str(error)
        assert "mend: " in text
        assert [] == [character for character in text if unicodedata.category(character) in HIDDEN and character != "\n"]
        return
    for entry in plan.added:
        Customer.model_validate(dict(entry))


@QUICK
@given(data=st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_a_table(tmp_path: Path, data: bytes) -> None:
    """Binary files, cut encodings, odd quotes."""
    path = tmp_path / "t.csv"
    path.write_bytes(data)

    taken_or_said(lambda: read_csv_accounts(path, {}))


@QUICK
@given(
    header=st.lists(st.sampled_from(HEADERS), min_size=1, max_size=8), rows=st.lists(st.lists(CELLS, max_size=8), max_size=5)
)
def test_no_cells_break_an_import(tmp_path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Formulas, control characters, numbers where texts belong, short and long rows."""
    path = tmp_path / "t.csv"
    quoted = ['"' + cell.replace('"', '""') + '"' for row in rows for cell in row]
    cells = iter(quoted)
    lines = [",".join(header), *(",".join(next(cells) for _ in row) for row in rows)]
    path.write_bytes("\r\n".join(lines).encode("utf-8", "replace"))

    taken_or_said(lambda: read_csv_accounts(path, {}))


@QUICK
@given(body=VALUES)
def test_no_json_breaks_the_reading_of_outputs(tmp_path: Path, body: Any) -> None:
    """Outputs of any shape, values of any kind."""
    path = tmp_path / "acme.json"
    path.write_text(json.dumps(body), "utf-8")

    taken_or_said(lambda: read_output_accounts([path]))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"role_arn": {"value": ' + "[" * 100_000, '{"role_arn": {"value": ' + "1" * 5000 + "}}"],
    ids=["nesting", "nested value", "number of 5,000 digits"],
)
def test_endless_values_are_no_json_here(tmp_path: Path, text: str) -> None:
    """It must not end in a traceback."""
    path = tmp_path / "deep.json"
    path.write_text(text, "utf-8")

    taken_or_said(lambda: read_output_accounts([path]))
