"""Edits of customers in CSV files: only the customer's row changes, all other rows are kept byte for byte."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.errors import SelectionError
from rolecall_generator.manifest.editing.manifest_edits import (
    AddCustomer,
    Edit,
    RemoveEntry,
    RenameEntry,
    SetField,
    UnsetField,
    apply_edits,
    write_edited,
)
from rolecall_generator.manifest.editing.text_edits import EditError, Value
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.manifest.models import Customer

MAIN = 'version: 1\nbackend: {account_id: "111111111111"}\ninclude: [fleet.csv]\n'


def edited(folder: Path, text: str, *edits: Edit) -> tuple[str, tuple[Customer, ...]]:
    """The CSV file after the edits, and the customers of the manifest."""
    (folder / "accounts.yaml").write_text(MAIN)
    (folder / "fleet.csv").write_bytes(text.encode())
    write_edited(apply_edits(folder / "accounts.yaml", edits))
    return (folder / "fleet.csv").read_bytes().decode(), load_manifest(folder / "accounts.yaml").manifest.customers


@pytest.mark.parametrize(
    ("before", "edit", "after"),
    [
        pytest.param(
            "name,account_id\na,222222222222\n",
            AddCustomer({"name": "b", "account_id": "333333333333"}),
            "name,account_id\na,222222222222\nb,333333333333\n",
            id="a new row",
        ),
        pytest.param(
            "name,account_id\r\na,222222222222",
            AddCustomer({"name": "b", "account_id": "333333333333", "labels": {"tier": "gold"}}),
            "name,account_id,label:tier\r\na,222222222222\r\nb,333333333333,gold",
            id="a column that is missing joins the header; rows may be shorter",
        ),
        pytest.param(
            '"name","account_id"\n"a","222222222222"\n',
            AddCustomer({"name": "b", "account_id": "333333333333"}),
            '"name","account_id"\n"a","222222222222"\n"b","333333333333"\n',
            id="all cells in quotes",
        ),
        pytest.param(
            "name, account_id\na, 222222222222\n",
            AddCustomer({"name": "b", "account_id": "333333333333"}),
            "name, account_id\na, 222222222222\nb, 333333333333\n",
            id="a space behind each comma",
        ),
        pytest.param(
            "account_id,name,regions\n222222222222,a,us-east-1\n\n333333333333,b,\n",
            SetField("b", "regions", ["eu-central-1", "us-east-1"]),
            "account_id,name,regions\n222222222222,a,us-east-1\n\n333333333333,b,eu-central-1 us-east-1\n",
            id="a cell is filled, blank rows stay",
        ),
        pytest.param(
            'name,account_id,variable:note\na,222222222222,"two\nlines"\nb,333333333333,x\n',
            RemoveEntry("a"),
            "name,account_id,variable:note\nb,333333333333,x\n",
            id="a row over two lines goes as a whole",
        ),
        pytest.param(
            'name,account_id,variable:note\n "a", 222222222222 ,"say ""hi"", twice"\n',
            RenameEntry("a", "b"),
            'name,account_id,variable:note\n "b", 222222222222 ,"say ""hi"", twice"\n',
            id="other cells of the row stay as they are written",
        ),
        pytest.param(
            "name,account_id,variable:note\na,222222222222\n",
            SetField("a", "variables", {"note": "two\nlines"}),
            'name,account_id,variable:note\na,222222222222,"two\nlines"\n',
            id="a cell with a line break is put in quotes",
        ),
        pytest.param(
            "name,account_id,tag:x,tag:y\na,222222222222,1,2\n",
            UnsetField("a", "tags"),
            "name,account_id,tag:x,tag:y\na,222222222222,,\n",
            id="a mapping is dropped in all its columns",
        ),
        pytest.param(
            "\ufeffname,account_id,session_tags\na,222222222222,no\n",
            SetField("a", "session_tags", True),
            "\ufeffname,account_id,session_tags\na,222222222222,true\n",
            id="the byte order mark stays",
        ),
    ],
)
def test_edited_row_keeps_the_dialect_of_the_file(tmp_path: Path, before: str, edit: Edit, after: str) -> None:
    """Line ends, quotes, spaces, short rows and blank rows are kept."""
    assert after == edited(tmp_path, before, edit)[0]


CELL = st.sampled_from(["", "x", "a b", 'say "hi"', "one, two", "two\nlines", " ", "é", "#"])


@st.composite
def fleets(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """A CSV file of customers with an additional column, and its rows of cells."""
    rows = [[f"c{number}", f"{number:012}", draw(CELL)] for number in range(draw(st.integers(1, 4)))]
    stream = io.StringIO()
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    everything = draw(st.booleans())
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL, lineterminator=newline)
    writer.writerow(["name", "account_id", "variable:note"])
    for row in rows:
        writer.writerow(row)
        stream.write(draw(st.sampled_from(["", "", "\n"])))
    return stream.getvalue(), rows


@given(fleets(), st.data())
@settings(max_examples=80, deadline=None)
def test_other_rows_are_unchanged(fleet: tuple[str, Sequence[Sequence[str]]], data: st.DataObject) -> None:
    """For any edit of one customer, all other rows are identical, and the model has the expected change."""
    text, rows = fleet
    number = data.draw(st.integers(0, len(rows) - 1))
    kind = data.draw(st.sampled_from(["set", "remove", "rename", "add"]))
    note = data.draw(CELL.filter(str.strip))  # a cell with only spaces has no value
    edits: dict[str, Edit] = {
        "set": SetField(f"c{number}", "role", "Auditor"),
        "remove": RemoveEntry(f"c{number}"),
        "rename": RenameEntry(f"c{number}", "renamed"),
        "add": AddCustomer({"name": "new", "account_id": "999999999999", "variables": {"note": note}}),
    }
    with tempfile.TemporaryDirectory() as folder:
        after, customers = edited(Path(folder), text, edits[kind])

    names = [f"c{i}" for i in range(len(rows))]
    wanted = {"set": names, "remove": [n for n in names if n != f"c{number}"], "add": [*names, "new"]}
    wanted["rename"] = ["renamed" if n == f"c{number}" else n for n in names]
    assert wanted[kind] == [customer.name for customer in customers]
    kept = [name for name in names if kind == "add" or name != f"c{number}"]
    assert [] == [name for name in kept if _row(text, name) not in after]


def _row(text: str, name: str) -> str:
    """The text of a row, up to the name in the next row."""
    start = min(found for found in (text.find(f"\n{name},"), text.find(f'\n"{name}",')) if found >= 0) + 1
    following = f"c{int(name[1:]) + 1}"
    ends = [found for found in (text.find(f"\n{following},"), text.find(f'\n"{following}",')) if found >= 0]
    return text[start : min(ends)] if ends else text[start:].rstrip("\r\n")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("permissions", []),
        ("variables", {"note": ""}),
        ("variables", {"note": " spaces "}),
    ],
)
def test_value_that_a_cell_cannot_represent_is_rejected(tmp_path: Path, field: str, value: Value) -> None:
    """An empty cell means that there is no value, and spaces around a value are ignored when reading."""
    with pytest.raises(EditError, match="a CSV cell cannot represent one of the values") as caught:
        edited(tmp_path, "name,account_id\na,222222222222\n", SetField("a", field, value))
    assert "give another value, or move the customer to a YAML file" == caught.value.hint


@pytest.mark.parametrize("where", ["fleet.csv", "accounts.yaml"])
def test_undecodable_bytes_are_rejected(tmp_path: Path, where: str) -> None:
    """Terminals with another encoding send them: in names, strings, and keys and values of mappings."""
    (tmp_path / "accounts.yaml").write_text(MAIN)
    (tmp_path / "fleet.csv").write_text("name,account_id\na,222222222222\n")
    new = {"name": "b\udcff", "account_id": "333333333333"}
    edits: list[Edit] = [AddCustomer(new, tmp_path / where), RenameEntry("a", "\udcff"), SetField("a", "role", "r\udcff")]
    edits += [SetField("a", "labels", {"k": "\udcff"}), SetField("a", "labels", {"\udcff": "v"})]

    for edit in edits:
        with pytest.raises(SelectionError, match="not valid UTF-8"):
            apply_edits(tmp_path / "accounts.yaml", [edit])
