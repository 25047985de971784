"""Edits of hand-written YAML files: every supported style, and every style that is rejected with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rolecall_generator.errors import ManifestError
from rolecall_generator.manifest.editing.manifest_edits import (
    AddCustomer,
    Edit,
    RemoveEntry,
    RenameEntry,
    SetField,
    UnsetField,
    apply_edits,
)
from rolecall_generator.manifest.editing.text_edits import EditedManifestError, EditError

MAIN = """version: 1
backend: {account_id: "111111111111"}
"""
A_BLOCK = '  - name: a\n    account_id: "222222222222"\n'
B_BLOCK = '  - name: b\n    account_id: "333333333333"\n'
NEW_BLOCK = '  - name: new\n    account_id: "999999999999"\n'
A = '{name: a, account_id: "222222222222"}'
B = '{name: b, account_id: "333333333333"}'
C = '{name: c, account_id: "444444444444"}'
ADDED = '{name: new, account_id: "999999999999"}'
NEW = AddCustomer({"name": "new", "account_id": "999999999999"})


def changed(folder: Path, text: str, *edits: Edit) -> str:
    """The text after the edits, without the first two lines of every manifest."""
    path = folder / "accounts.yaml"
    path.write_bytes((MAIN + text).encode())
    edited = apply_edits(path, edits)
    return edited.files[path].after.decode().removeprefix(MAIN)


FORMS: dict[str, tuple[str, Edit, str]] = {
    "the first customer takes the place of an empty list": (
        "customers: []   # none yet\n",
        NEW,
        f"customers:   # none yet\n{NEW_BLOCK}",
    ),
    "a manifest without customers gets the section": ("# no one yet\n", NEW, f"\ncustomers:\n{NEW_BLOCK}# no one yet\n"),
    "indentation and kind of quotes follow the neighbour": (
        "customers:\n- name: a\n  account_id: '222222222222'\n",
        NEW,
        "customers:\n- name: a\n  account_id: '222222222222'\n- name: new\n  account_id: '999999999999'\n",
    ),
    "a comment inside the last entry stays with it": (
        'customers:\n  -   name: a\n      account_id: "222222222222"\n      # role: later\n\n# the end\n',
        NEW,
        (
            'customers:\n  -   name: a\n      account_id: "222222222222"\n      # role: later\n'
            '  -   name: new\n      account_id: "999999999999"\n\n# the end\n'
        ),
    ),
    "a list in brackets over several lines": (
        f"customers: [\n  {A}   # first\n]\n",
        NEW,
        f"customers: [\n  {A},   # first\n  {ADDED}\n]\n",
    ),
    "a comma behind the last entry is kept up": (
        f"customers: [\n  {A},\n]\n",
        NEW,
        f"customers: [\n  {A},\n  {ADDED},\n]\n",
    ),
    "where each entry has a comment above, it goes with its entry": (
        f"customers:\n  # first\n  - {A}\n\n  # second\n  - {B}\n",
        RemoveEntry("a"),
        f"customers:\n  # second\n  - {B}\n",
    ),
    "a comment that heads the list stays": (
        f"customers:\n  # the paying ones\n  - {A}\n  - {B}\n",
        RemoveEntry("a"),
        f"customers:\n  # the paying ones\n  - {B}\n",
    ),
    "without its last entry the list is empty, not gone": (
        f"customers:   # ours\n  - {A}\ndefaults: {{}}\n",
        RemoveEntry("a"),
        "customers: []   # ours\ndefaults: {}\n",
    ),
    "the last entry in brackets takes the comma before it": (
        f"customers: [{A}, {B}]\n",
        RemoveEntry("b"),
        f"customers: [{A}]\n",
    ),
    "a list over several lines gives way to one on the key's line": (
        (
            f"customers:\n{A_BLOCK}    permissions:   # all\n      - p\n      - q\n    trust: role-arn\n"
            "permission_sets: {p: {managed_policies: [A]}, q: {managed_policies: [B]}}\n"
        ),
        SetField("a", "permissions", ["q"]),
        (
            f"customers:\n{A_BLOCK}    permissions: [q]   # all\n    trust: role-arn\n"
            "permission_sets: {p: {managed_policies: [A]}, q: {managed_policies: [B]}}\n"
        ),
    ),
    "a key with nothing behind it is filled": (
        f"customers:\n{A_BLOCK}    role:\n    trust: role-arn\n",
        SetField("a", "role", "Auditor"),
        f"customers:\n{A_BLOCK}    role: Auditor\n    trust: role-arn\n",
    ),
    "a tag goes with the value that it was for": (
        f"customers:\n{A_BLOCK}    external_id: !!str 12   # old\n",
        SetField("a", "external_id", "34"),
        f'customers:\n{A_BLOCK}    external_id: "34"   # old\n',
    ),
    "a new key stands where the documentation has it": (
        f"customers:\n{A_BLOCK}    external_id: one\n    trust: role-arn\n",
        SetField("a", "previous_external_id", "zero"),
        (f'customers:\n{A_BLOCK}    external_id: one\n    previous_external_id: "zero"\n    trust: role-arn\n'),
    ),
    "the key in the dash's line leaves the dash": (
        'customers:\n  - tags: {a: b}\n    name: a\n    account_id: "222222222222"\n',
        UnsetField("a", "tags"),
        f"customers:\n{A_BLOCK}",
    ),
    "a dash in a line of its own goes with its entry": (
        ('customers:\n  -\n    name: a\n    account_id: "222222222222"\n  -\n    name: b\n    account_id: "333333333333"\n'),
        RemoveEntry("a"),
        'customers:\n  -\n    name: b\n    account_id: "333333333333"\n',
    ),
    "quoted keys and values stay quoted": (
        '"customers":\n  - {"name": "a", "account_id": "222222222222"}\n',
        RenameEntry("a", "b"),
        '"customers":\n  - {"name": "b", "account_id": "222222222222"}\n',
    ),
    "a repeated value is written out where it changes": (
        (f'customers:\n  - &a\n    name: a\n    account_id: "222222222222"\n    tags: &t {{x: y}}\n{B_BLOCK}    tags: *t\n'),
        SetField("b", "tags", {"z": "1"}),
        (
            f'customers:\n  - &a\n    name: a\n    account_id: "222222222222"\n    tags: &t {{x: y}}\n{B_BLOCK}'
            '    tags: {z: "1"}\n'
        ),
    ),
    "a suppression that is repeated is changed once": (
        f"customers: [{A}]\nsuppress:\n  - &s {{rule: RC101, subject: a, reason: r}}\n  - *s\n",
        RenameEntry("a", "b"),
        (
            'customers: [{name: b, account_id: "222222222222"}]\nsuppress:\n'
            "  - &s {rule: RC101, subject: b, reason: r}\n  - *s\n"
        ),
    ),
    "the only entry in brackets takes its comma": (f"customers: [{A}, ]\n", RemoveEntry("a"), "customers: []\n"),
    "the only entry in brackets takes its line": (f"customers: [\n  {A},\n]\n", RemoveEntry("a"), "customers: []\n"),
    "an entry in brackets that has its lines takes them with their comment": (
        f"customers: [   # all\n  {A},  # one\n  {B},  # two\n  {C}  # three\n]\n",
        RemoveEntry("b"),
        f"customers: [   # all\n  {A},  # one\n  {C}  # three\n]\n",
    ),
    "the last entry in brackets takes its own comment alone": (
        f"customers: [\n  {A},  # one\n  {B}  # two\n  # end\n]\n",
        RemoveEntry("b"),
        f"customers: [\n  {A},  # one\n  # end\n]\n",
    ),
    "a text over several lines ends where its last line does": (
        f"customers:\n{A_BLOCK}    variables:\n      note: |\n        one\n\n        two\n\n# end\n",
        NEW,
        (f"customers:\n{A_BLOCK}    variables:\n      note: |\n        one\n\n        two\n{NEW_BLOCK}\n# end\n"),
    ),
    "numbers are numbers": (
        f"customers:\n{A_BLOCK}    max_session_seconds: 3600\n    session_tags: no\n",
        SetField("a", "max_session_seconds", 7200),
        f"customers:\n{A_BLOCK}    max_session_seconds: 7200\n    session_tags: no\n",
    ),
    "true is true": (
        'customers:\n  - {name: a, account_id: "222222222222", session_tags: no}\n',
        SetField("a", "session_tags", True),
        'customers:\n  - {name: a, account_id: "222222222222", session_tags: true}\n',
    ),
}


@pytest.mark.parametrize(("before", "edit", "after"), FORMS.values(), ids=FORMS)
def test_edit_keeps_the_style_of_the_file(tmp_path: Path, before: str, edit: Edit, after: str) -> None:
    """New text has the style of the existing entries; all other lines are kept."""
    assert after == changed(tmp_path, before, edit)


REFUSED: dict[str, tuple[str, Edit, str, str, str]] = {
    "an entry that others repeat from": (
        f"customers:\n{A_BLOCK}    tags: &t {{x: y}}\n{B_BLOCK}    tags: *t\n",
        RemoveEntry("a"),
        "6:11",
        "the anchor &t is used in line 9",
        "write out the value in line 9",
    ),
    "a value that others repeat": (
        f"customers:\n{A_BLOCK}    tags: &t {{x: y}}\n{B_BLOCK}    tags: *t\n",
        SetField("a", "tags", {"z": "1"}),
        "6:11",
        "the anchor &t is used",
        "write out the value",
    ),
    "a comment between brackets": (
        f"customers: [{A}, # one\n  {B}]\n",
        RemoveEntry("a"),
        "3:50",
        "a comment between entries in brackets",
        "in an editor",
    ),
    "a comment above an entry in brackets": (
        f"customers: [\n  {A},\n  # about b\n  {B},  # two\n]\n",
        RemoveEntry("b"),
        "4:40",
        "a comment between entries in brackets",
        "in an editor",
    ),
    "a list with an anchor loses its last entry": (
        f"customers: &all\n  - {A}\n",
        RemoveEntry("a"),
        "3:12",
        "the list has an anchor or a tag",
        "in an editor",
    ),
    "a comment in the dash's line": (
        'customers:\n  - tags: {a: b}   # see below\n    name: a\n    account_id: "222222222222"\n',
        UnsetField("a", "tags"),
        "4:5",
        "tags shares its line with other parts of the entry",
        "in an editor",
    ),
    "keys with question marks": (
        'customers:\n  - ? name\n    : a\n    ? role\n    : r\n    ? account_id\n    : "222222222222"\n',
        UnsetField("a", "role"),
        "6:7",
        "role shares its line with other parts of the entry",
        "in an editor",
    ),
    "a new key among keys with question marks": (
        'customers:\n  - ? name\n    : a\n    ? account_id\n    : "222222222222"\n',
        SetField("a", "role", "r"),
        "accounts.yaml",
        "a style that cannot be edited safely",
        "in an editor",
    ),
    "an empty list with a comment": (
        "customers: [  # nobody\n]\n",
        NEW,
        "3:12",
        "the empty list has a comment",
        "in an editor",
    ),
}


@pytest.mark.parametrize(("text", "edit", "place", "what", "hint"), REFUSED.values(), ids=REFUSED)
def test_unsupported_style_is_rejected_with_reason(
    tmp_path: Path, text: str, edit: Edit, place: str, what: str, hint: str
) -> None:
    """The error has location, reason and hint."""
    with pytest.raises(EditError) as caught:
        changed(tmp_path, text, edit)

    assert what in str(caught.value)
    assert hint in str(caught.value.hint)
    assert str(caught.value.where).endswith(place)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("customers:\n\t- {name: a}\n", "not YAML"),
        ("customers:\n  - &a {name: a, account_id: '222222222222'}\n  - <<: *a\n    name: b\n", "merge keys"),
        ("customers:\n  - {name: a, name: b, account_id: '222222222222'}\n", "duplicate key name"),
    ],
)
def test_edit_of_invalid_manifest_raises_manifest_error(tmp_path: Path, text: str, what: str) -> None:
    """Tabs, merge keys and duplicate keys are rejected by the manifest reader before any edit."""
    with pytest.raises(ManifestError) as caught:
        changed(tmp_path, text, NEW)

    assert what in str(caught.value)
    assert not isinstance(caught.value, EditedManifestError)


WHOLE = """{
  "version": 1,
  "backend": {"account_id": "111111111111"},
  "customers": [
    {"name": "a", "account_id": "222222222222"}
  ]
}
"""


def test_json_manifest_is_valid_json_after_edits(tmp_path: Path) -> None:
    """Braces, brackets and commas are correct after an addition, a change and a removal; values are quoted."""
    path = tmp_path / "accounts.yaml"
    path.write_text(WHOLE)
    new = AddCustomer({"name": "new", "account_id": "999999999999"})
    edited = apply_edits(path, [new, SetField("a", "role", "r")]).files[path].after.decode()
    path.write_text(edited)
    removed = apply_edits(path, [RemoveEntry("a")]).files[path].after.decode()

    first = '    {"name": "a", "account_id": "222222222222", "role": "r"},\n'
    assert first + '    {"name": "new", "account_id": "999999999999"}\n' in edited
    assert "r" == json.loads(edited)["customers"][0]["role"]
    assert ["new"] == [entry["name"] for entry in json.loads(removed)["customers"]]


@pytest.mark.parametrize(
    "whole",
    [
        '{version: 1, backend: {account_id: "111111111111"}}\n',
        '{version: 1, backend: {account_id: "111111111111"}, customers: []}\n',
    ],
)
def test_first_customer_is_added_to_flow_style_manifest(tmp_path: Path, whole: str) -> None:
    """With an empty list and without a list."""
    path = tmp_path / "accounts.yaml"
    path.write_text(whole)
    edited = apply_edits(path, [NEW]).files[path].after.decode()

    assert (
        '{version: 1, backend: {account_id: "111111111111"}, customers: [{name: new, account_id: "999999999999"}]}\n'
        == edited
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'customers: [{name: a, account_id: "222222222222"}, {name: b, account_id: "333333333333"}]\n',
            'customers: [{name: new, account_id: "999999999999"}, {name: own, account_id: "888888888888"}]\n',
        ),
        (
            'customers: [\n  {name: a, account_id: "222222222222"},\n  {name: b, account_id: "333333333333"},\n  # end\n]\n',
            (
                'customers: [\n  {name: new, account_id: "999999999999"},\n'
                '  {name: own, account_id: "888888888888"},\n  # end\n]\n'
            ),
        ),
    ],
)
def test_all_entries_of_flow_sequence_are_replaced_in_one_call(tmp_path: Path, before: str, after: str) -> None:
    """Two are removed and two are added: the new ones have the positions and the style of the old ones."""
    own = AddCustomer({"name": "own", "account_id": "888888888888"})

    assert after == changed(tmp_path, before, RemoveEntry("a"), NEW, RemoveEntry("b"), own)


def test_replacing_flow_entries_with_comments_is_rejected(tmp_path: Path) -> None:
    """The comments would be left next to the new entry; the error has the location of the comment."""
    text = 'customers: [\n  {name: a, account_id: "222222222222"},  # one\n  {name: b, account_id: "333333333333"}\n]\n'
    with pytest.raises(EditError, match="a comment between entries") as caught:
        changed(tmp_path, text, RemoveEntry("a"), RemoveEntry("b"), NEW)

    assert str(caught.value.where).endswith(":4:40")


def test_two_changes_of_one_value_are_rejected(tmp_path: Path) -> None:
    """One of them would be lost."""
    with pytest.raises(EditError, match="two changes overlap"):
        changed(
            tmp_path,
            'customers: [{name: a, account_id: "222222222222", role: x}]\n',
            SetField("a", "role", "y"),
            SetField("a", "role", "z"),
        )


def test_anchor_and_its_alias_are_removed_together(tmp_path: Path) -> None:
    """Both the anchor and its only alias are in removed entries."""
    text = """customers:
  - {name: a, account_id: "222222222222", tags: &t {x: y}}
  - {name: b, account_id: "333333333333", tags: *t}
  - {name: c, account_id: "444444444444"}
"""

    assert 'customers:\n  - {name: c, account_id: "444444444444"}\n' == changed(
        tmp_path, text, RemoveEntry("a"), RemoveEntry("b")
    )


def test_switch_role_is_renamed_and_removed(tmp_path: Path) -> None:
    """The edit names the section."""
    entry = (
        'trusting: {name: t, account_id: "222222222222"}, trusted: {name: p, account_id: "333333333333"}, role: r, group: g'
    )
    text = f"switch_roles:\n  - {{name: s, {entry}}}\n"

    assert f"switch_roles:\n  - {{name: z, {entry}}}\n" == changed(tmp_path, text, RenameEntry("s", "z", "switch_roles"))
    assert "switch_roles: []\n" == changed(tmp_path, text, RemoveEntry("s", "switch_roles"))
