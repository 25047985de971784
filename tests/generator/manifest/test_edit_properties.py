"""Properties of every edit of every manifest: the model changes as requested, and other lines are kept byte for byte."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_styles import FIELDS, Dressed, dressed, unique
from rolecall_generator.errors import RolecallError
from rolecall_generator.manifest.editing.manifest_edits import (
    AddCustomer,
    Edit,
    Edited,
    RemoveEntry,
    RenameEntry,
    SetField,
    UnsetField,
    apply_edits,
    write_edited,
)
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.manifest.models import Customer

FIELD = st.sampled_from(sorted(FIELDS))


def edited(before: Dressed, edits: Sequence[Edit]) -> tuple[bytes, tuple[Customer, ...], Sequence[Any]]:
    """The file's bytes after the edits, its customers, and its suppressions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accounts.yaml"
        path.write_bytes(before.data)
        write_edited(apply_edits(path, edits))
        loaded = load_manifest(path).manifest
        return path.read_bytes(), loaded.customers, loaded.suppress


def models(entries: Sequence[Mapping[str, Any]]) -> tuple[Customer, ...]:
    return tuple(Customer.model_validate(entry) for entry in entries)


def lines_of(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def one_run(short: list[bytes], long: list[bytes]) -> list[bytes] | None:
    """The lines that must be inserted into `short` at one position to make `long`; None if there is no such position."""
    extra = len(long) - len(short)
    for start in range(len(short) + 1):
        if extra >= 0 and long[:start] == short[:start] and long[start + extra :] == short[start:]:
            return long[start : start + extra]
    return None


def with_break(lines: list[bytes]) -> list[bytes]:
    """The lines without line ends, since text appended below adds one to the last line."""
    return [line.rstrip(b"\r\n") for line in lines]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_set_field_changes_only_its_own_lines(data: st.DataObject) -> None:
    """The customer has the new value; in a block list all other lines are kept in order."""
    before = data.draw(dressed(1))
    number = data.draw(st.integers(0, len(before.customers) - 1))
    field = data.draw(FIELD)
    entry = unique(number + 10, {field: data.draw(FIELDS[field])})
    after, found, _ = edited(before, [SetField(f"c{number}", field, entry[field])])

    wanted = [dict(customer) for customer in before.customers]
    wanted[number] |= entry
    assert models(wanted) == found
    old, new = lines_of(before.data), lines_of(after)
    same_start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    same_end = next(
        (i for i, (a, b) in enumerate(zip(old[::-1], new[::-1], strict=False)) if a != b), min(len(old), len(new))
    )
    if before.block:
        touched = b"".join(old[same_start : len(old) - same_end])
        others = [f"c{i}" for i in range(len(before.customers)) if i != number]
        assert [] == [name for name in others if f"name: {name}".encode() in touched]
    else:
        assert len(old) == len(new)
        assert len(old) - 1 <= same_start + same_end


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_new_customer_is_one_block_of_new_lines(data: st.DataObject) -> None:
    """The new customer is last, with every field; in a block list no other line changes."""
    before = data.draw(dressed())
    entry = {"name": "new", "account_id": "999999999999"} | unique(99, data.draw(st.fixed_dictionaries({}, optional=FIELDS)))
    after, found, _ = edited(before, [AddCustomer(entry)])

    assert models([*before.customers, entry]) == found
    if before.block and before.customers:
        assert one_run(with_break(lines_of(before.data)), with_break(lines_of(after)))
    assert before.data.endswith(b"\n") == after.endswith(b"\n")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_removed_customer_removes_only_its_own_lines(data: st.DataObject) -> None:
    """The others are kept in order; in a block list one block of lines is removed, with no part of another customer."""
    before = data.draw(dressed(2))
    number = data.draw(st.integers(0, len(before.customers) - 1))
    after, found, _ = edited(before, [RemoveEntry(f"c{number}")])

    rest = [entry for entry in before.customers if entry["name"] != f"c{number}"]
    assert models(rest) == found
    if before.block:
        gone = one_run(with_break(lines_of(after)), with_break(lines_of(before.data)))
        assert gone is not None
        assert [] == [entry["name"] for entry in rest if f"about {entry['name']}".encode() in b"".join(gone)]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_unset_field_changes_no_other_field(data: st.DataObject) -> None:
    """The field is removed, and the rest of the document is equal as parsed by PyYAML."""
    before = data.draw(dressed(1))
    number = data.draw(st.integers(0, len(before.customers) - 1))
    field = data.draw(FIELD)
    after, found, _ = edited(before, [UnsetField(f"c{number}", field)])

    wanted = [dict(customer) for customer in before.customers]
    dropped = wanted[number].pop(field, None)
    assert models(wanted) == found
    plain = yaml.safe_load(before.data)
    plain["customers"][number].pop(field, None)
    assert plain == yaml.safe_load(after)
    assert dropped is not None or before.data == after


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_rename_changes_name_and_suppressions(data: st.DataObject) -> None:
    """The entry and its suppression have the new name, and the number of lines is unchanged."""
    before = data.draw(dressed(1))
    after, found, suppressions = edited(before, [RenameEntry("c0", "renamed")])

    assert models([dict(before.customers[0]) | {"name": "renamed"}, *before.customers[1:]]) == found
    assert ["renamed"] == [suppression.subject for suppression in suppressions]
    old, new = lines_of(before.data), lines_of(after)
    assert len(old) == len(new)
    assert 2 == sum(a != b for a, b in zip(old, new, strict=True))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_edits_in_one_call_equal_separate_edits(data: st.DataObject) -> None:
    """A change, a removal and two additions together have the same result as one after the other."""
    before = data.draw(dressed(2))
    gone = data.draw(st.integers(0, len(before.customers) - 1))
    changed = (gone + 1) % len(before.customers)
    new = [{"name": f"new{i}", "account_id": f"{900 + i:012}"} for i in range(2)]
    edits: list[Edit] = [
        SetField(f"c{changed}", "role", "Changed"),
        SetField(f"c{changed}", "previous_external_id", "before-it"),
        SetField(f"c{changed}", "external_id", "new-one"),
        RemoveEntry(f"c{gone}"),
        *(AddCustomer(entry) for entry in new),
    ]
    _, found, _ = edited(before, edits)

    wanted = [dict(customer) for customer in before.customers]
    wanted[changed] |= {"role": "Changed", "external_id": "new-one", "previous_external_id": "before-it"}
    del wanted[gone]
    assert models([*wanted, *new]) == found


SNIPPETS = [
    " ", "\n", "# x\n", " # x", "&a ", "*a", "!!str ", "\t", '"', "'", ",", "{", "}", "[", "]", "- ", "? ", ": ", "|", "\r",
    "\u2028", "\x85", "---\n", "...\n", "\n\n", "[], ", "#", "\ufeff", "- &e {name: e, account_id: '888888888888'}\n",
]  # fmt: skip


EDITS: Sequence[Edit] = (
    RemoveEntry("c0"),
    RemoveEntry("c1"),
    RenameEntry("c0", "zz"),
    SetField("c1", "role", "R"),
    UnsetField("c0", "role"),
    AddCustomer({"name": "zz", "account_id": "999999999999"}),
)


@given(
    dressed(2), st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(SNIPPETS)), max_size=3), st.sampled_from(EDITS)
)
@settings(max_examples=250, deadline=None)
def test_hostile_file_is_edited_correctly_or_rejected(before: Dressed, typed: list[tuple[int, str]], edit: Edit) -> None:
    """With random text inserted into a manifest, the edit is rejected with a hint or changes only the requested values."""
    text = before.data.decode()
    for place, snippet in typed:
        at = place % (len(text) + 1)
        text = text[:at] + snippet + text[at:]
    found = outcome(text, edit)

    if isinstance(found, Edited):
        entries = [customer.model_dump(exclude_unset=True) for customer in found.before.manifest.customers]
        assert models(asked(entries, edit)) == found.after.manifest.customers
    else:
        assert typed  # the original file is never rejected
        assert "\n  hint: " in found


def outcome(text: str, edit: Edit) -> Edited | str:
    """The result of the edit, or the error message."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accounts.yaml"
        path.write_bytes(text.encode())
        try:
            return apply_edits(path, [edit])
        except RolecallError as error:
            return str(error)


def asked(entries: list[dict[str, Any]], edit: Edit) -> list[dict[str, Any]]:
    """The expected entries after the edit."""
    entry = {entry["name"]: entry for entry in entries}
    match edit:
        case RemoveEntry(name):
            entries.remove(entry[name])
        case RenameEntry(old, new):
            entry[old]["name"] = new
        case SetField(name, field, value):
            entry[name][field] = value
        case UnsetField(name, field):
            entry[name].pop(field, None)
        case AddCustomer(values):
            entries.append(dict(values))
    return entries
