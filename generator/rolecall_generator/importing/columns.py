"""Which column of a table is which field of a customer: named on the command line, else by what people call it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from rolecall_generator.errors import SelectionError
from rolecall_generator.manifest.csvfile import COLUMNS, MAP_COLUMNS, PLAIN_COLUMNS
from rolecall_generator.manifest.scalars import clip
from rolecall_generator.text import nearest

ROLE_ARN = "role_arn"
"""A column that gives account id, path and role in one."""
FIELDS = (*PLAIN_COLUMNS, ROLE_ARN)

_CALLED: Mapping[str, tuple[str, ...]] = {
    "name": ("accountname", "customer", "customername", "company", "alias", "accountalias"),
    "account_id": ("account", "awsaccount", "awsaccountid", "accountnumber", "awsaccountnumber", "accountno"),
    "role": ("rolename", "iamrole"),
    ROLE_ARN: ("arn", "iamrolearn"),
    "external_id": ("stsexternalid",),
    "permissions": ("permissionsets", "permissionset"),
    "regions": ("region", "awsregion", "awsregions"),
}
_KNOWN = {key: field for field in FIELDS for key in (field.replace("_", ""), *_CALLED.get(field, ()))}
_NO_LETTER = re.compile(r"[^a-z0-9]")


def parse_columns(texts: Iterable[str]) -> dict[str, str]:
    """`FIELD=Header` of the command line, as header by field. Raises SelectionError."""
    wanted: dict[str, str] = {}
    for text in texts:
        field, equals, header = (part.strip() for part in text.partition("="))
        if not (equals and field and header):
            raise SelectionError(
                f"{text} maps no column", where="--column", mend='write FIELD=HEADER, as in --column name="Account Name"'
            )
        if not is_field(field):
            near = nearest(field, COLUMNS)
            mend = f"write {near}" if near else f"a customer has: {', '.join((*COLUMNS, ROLE_ARN))}"
            raise SelectionError(f"a customer has no field {field}", where="--column", mend=mend)
        if field in wanted:
            raise SelectionError(f"{field} is mapped twice", where="--column", mend="leave one out")
        wanted[field] = header
    return wanted


def is_field(name: str) -> bool:
    """Whether a customer has such a field: a plain one, or `tag:KEY`, `label:KEY`, `variable:KEY`."""
    prefix, colon, key = name.partition(":")
    return name in FIELDS or bool(colon and prefix in MAP_COLUMNS and key)


def match_columns(header: Sequence[str], wanted: Mapping[str, str]) -> tuple[dict[int, str], tuple[str, ...]]:
    """The field of each column by its number from 0, and the headers of columns that are none.

    `wanted`: headers by field; what it names counts before what a column is called. Raises SelectionError for a header
    that is not there, that two columns have, or that
    two fields name.
    """
    fields: dict[int, str] = {}
    for field, name in wanted.items():
        found = [number for number, cell in enumerate(header) if cell.casefold() == name.casefold()]
        if len(found) != 1:
            what = f"the table has no column {name}" if not found else f"{len(found)} columns are called {name}"
            raise SelectionError(what, where=f"--column {field}={name}", mend=f"it has: {headers_of(header)}")
        if found[0] in fields:
            what = f"the column {name} is {fields[found[0]]} already"
            raise SelectionError(what, where=f"--column {field}={name}", mend="a column is one field: leave one out")
        fields[found[0]] = field
    taken = set(fields.values())
    for number, cell in enumerate(header):
        meant = _called(cell)
        if number not in fields and meant is not None and meant not in taken:
            fields[number] = meant
            taken.add(meant)
    return fields, tuple(cell for number, cell in enumerate(header) if cell and number not in fields)


def headers_of(header: Sequence[str]) -> str:
    """The columns of a table for a message."""
    return ", ".join(clip(cell) for cell in header if cell) or "none with a heading"


def _called(cell: str) -> str | None:
    """The field that a header means; None when it means none."""
    prefix, colon, key = (part.strip() for part in cell.partition(":"))
    if colon and prefix.casefold() in MAP_COLUMNS and key:
        return f"{prefix.casefold()}:{key}"
    return _KNOWN.get(_NO_LETTER.sub("", cell.casefold()))
