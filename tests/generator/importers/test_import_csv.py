"""CSV files become customers; all invalid cells are reported, and then nothing is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall_generator.errors import SelectionError
from rolecall_generator.importers.csv_table import parse_columns, read_csv_accounts
from rolecall_generator.importers.import_plan import ImportedAccount, ImportProblemsError


def accounts(
    folder: Path, text: str, *columns: str, encoding: str = "utf-8", told: str | None = None
) -> list[ImportedAccount]:
    """The accounts of a CSV file with this content."""
    path = folder / "fleet.csv"
    path.write_bytes(text.encode(encoding))
    return list(read_csv_accounts(path, parse_columns(columns), encoding=told).accounts)


def problems(folder: Path, text: str) -> list[tuple[int, int, str]]:
    """Line, column and message of every error in a CSV file."""
    with pytest.raises(ImportProblemsError) as caught:
        accounts(folder, text)
    return [(problem.line, problem.column, problem.what) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("name,account_id\nacme,222222222222\n", "utf-8"),
        ("name;account_id\r\nacme;222222222222\r\n", "utf-8-sig"),
        ("Account Name\tAWS Account ID\nacme\t222222222222", "utf-16"),
        ("sep=;\nCustomer;Account\nacme;222222222222\n", "utf-8"),
        ('Name|Account Number\nacme|="222222222222"\n', "utf-8"),
        ("\n\nName, Account-ID\n\n acme , 2222-2222-2222 \n,,\n", "utf-8"),
    ],
)
def test_csv_variants_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    """Delimiters, byte order marks, line ends, blank lines, other headers, and account IDs in groups of four digits."""
    (account,) = accounts(tmp_path, text, encoding=encoding)

    assert ("acme", {"account_id": "222222222222"}) == (account.name, account.fields)


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    """`--column FIELD=Header` takes precedence over the names of the headers."""
    text = "name,Firma,Konto\nignored,acme,222222222222\n"
    (account,) = accounts(tmp_path, text, "name=firma", "account_id=Konto")

    assert ("acme", "222222222222") == (account.name, account.account_id)


def test_every_field_of_a_customer_can_be_read(tmp_path: Path) -> None:
    """Lists are separated by spaces, commas or semicolons; tags, labels and variables have one column per key."""
    text = (
        "name,role_arn,external_id,permissions,regions,max_session_seconds,session_tags,label:tier,Tag:Owner,variable:vpc\n"
        'acme,arn:aws:iam::222222222222:role/v/Vendor,id-1,"a b;c",eu-west-1,7200,yes,gold,me,vpc-1\n'
    )
    (account,) = accounts(tmp_path, text)

    assert {
        "account_id": "222222222222", "role": "Vendor", "path": "/v/", "external_id": "id-1",
        "permissions": ("a", "b", "c"), "regions": ("eu-west-1",), "max_session_seconds": 7200, "session_tags": True,
        "labels": {"tier": "gold"}, "tags": {"Owner": "me"}, "variables": {"vpc": "vpc-1"},
    } == account.fields  # fmt: skip


def test_ignored_columns_are_reported(tmp_path: Path) -> None:
    """So that a misspelled header is noticed."""
    path = tmp_path / "fleet.csv"
    path.write_text("name,account_id,Contact,extrenal_id\nacme,222222222222,me,x\n", "utf-8")

    assert ("Contact", "extrenal_id") == read_csv_accounts(path, {}).ignored


@pytest.mark.parametrize("cell", ["22222222222", "2.22222E+11", "222222222222.0", "2,22E+11"])
def test_account_ids_shortened_by_a_spreadsheet_are_rejected(tmp_path: Path, cell: str) -> None:
    """Lost leading zeros are not restored, because the result could be another account's ID."""
    assert [(2, 2, f'account_id "{cell}" was changed to a number by a spreadsheet')] == problems(
        tmp_path, f"name;account_id\nacme;{cell}\n"
    )


def test_all_invalid_rows_are_reported_in_one_pass(tmp_path: Path) -> None:
    """Each has its line and column; a cell with several lines does not shift the lines of the following rows."""
    text = 'name,account_id,role_arn\n"a\nb",123,\nok,222222222222,\nc,,arn:aws:s3:::bucket\nd,333333333333,,x\n'

    assert [
        (2, 2, 'account_id "123" was changed to a number by a spreadsheet'),
        (5, 3, 'role_arn "arn:aws:s3:::bucket" is not the ARN of a role'),
        (6, 4, "the row has 4 cells, the header 3"),
    ] == problems(tmp_path, text)


@pytest.mark.parametrize("order", [("account_id", "role", "role_arn"), ("role_arn", "role", "account_id")])
def test_columns_that_contradict_the_role_arn_are_rejected(tmp_path: Path, order: tuple[str, ...]) -> None:
    """In any order of the columns."""
    cells = {"account_id": "333333333333", "role": "Other", "role_arn": "arn:aws:iam::222222222222:role/x/Reader"}
    text = f"{','.join(order)}\n{','.join(cells[field] for field in order)}\n"
    column = order.index("role_arn") + 1

    assert [
        (2, column, "role_arn has account_id 222222222222, the column account_id has 333333333333"),
        (2, column, "role_arn has role Reader, the column role has Other"),
    ] == problems(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file has no header row"),
        (b"name,account_id\nM\xfcller,222222222222\n", "the file is not utf-8 text: byte 0xfc"),
        (b'name,account_id\n"acme,222222222222\n', "not a table: unexpected end of data"),
        (b"name,account_id\n\0,2\n", "the file contains the control character U+0000, as binary files do"),
    ],
)
def test_invalid_csv_file_is_error_with_line_and_hint(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "fleet.csv"
    path.write_bytes(content)
    with pytest.raises(ImportProblemsError) as caught:
        read_csv_accounts(path, {})

    assert said == caught.value.problems[0].what
    assert "nothing was imported" in str(caught.value)


def test_encoding_can_be_given(tmp_path: Path) -> None:
    """Older spreadsheets use the encoding of their system."""
    (account,) = accounts(tmp_path, "name,account_id\nMüller,222222222222\n", encoding="cp1252", told="cp1252")

    assert "Müller" == account.name


@pytest.mark.parametrize(
    ("columns", "where"),
    [
        (["nonsense"], "--column"),
        (["nope=Header"], "--column"),
        (["name=A", "name=B"], "--column"),
        (["name=Missing"], "--column name=Missing"),
        (["name=name", "role=name"], "--column role=name"),
        (["role=account_id"], ""),
    ],
)
def test_invalid_column_mapping_is_usage_error(tmp_path: Path, columns: list[str], where: str) -> None:
    """An unknown field, a missing header, a field or column mapped twice, and no column left for the account IDs."""
    with pytest.raises(SelectionError) as caught:
        accounts(tmp_path, "name,account_id\nacme,222222222222\n", *columns)

    assert (caught.value.where or "").startswith(where)
    assert caught.value.hint
