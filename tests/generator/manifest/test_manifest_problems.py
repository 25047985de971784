"""Invalid manifests: each mistake is reported with line, column, message and hint."""

# ruff: noqa: E501, ISC004 - a table with one row per line

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from rolecall_generator.errors import ManifestError, Problem
from rolecall_generator.manifest.loader import load_manifest

HEAD = 'version: 1\nbackend: {account_id: "111111111111"}\npermission_sets: {s3: {managed_policies: [AmazonS3ReadOnlyAccess]}}\n'
SWITCH = '{name: s, trusting: {name: a, account_id: "222222222222"}, trusted: {name: b, account_id: "333333333333"}, role: r'


def problems_of(tmp_path: Path, text: str) -> tuple[Problem, ...]:
    file = tmp_path / "accounts.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        load_manifest(file)
    return caught.value.problems


def customers(*entries: str) -> str:
    return HEAD + "customers:\n" + "".join(f"  - {entry}\n" for entry in entries)


def switches(*entries: str) -> str:
    return HEAD + "switch_roles:\n" + "".join(f"  - {entry}\n" for entry in entries)


def statements(*entries: str) -> str:
    return "version: 1\npermission_sets:\n  p:\n    statements:\n" + "".join(f"      - {entry}\n" for entry in entries)


ONE = '{name: a, account_id: "222222222222"'
TWO = '{name: b, account_id: "333333333333"'
ALLOW = "actions: [s3:GetObject], resources: ['*']"
MANY_TAGS = ", ".join(f"k{number}: v" for number in range(51))

YAML_ROWS = {
    "empty": ("", 1, 1, "empty", "gen init"),
    "comment alone": ("# nothing\n", 1, 1, "empty", "gen init"),
    "unclosed bracket": ("version: [1\n", 1, 10, "not YAML", "close the bracket"),
    "unclosed quote": ('version: "1\n', 1, 10, "not YAML", "close the open quote"),
    "colon in text": ("version: a: b\n", 1, 11, "not YAML", "quote strings"),
    "tab": ("version: 1\n\tdefaults: {}\n", 2, 1, "not YAML", "spaces"),
    "bad indentation": ("version: 1\n x: 2\n", 2, 3, "not YAML", "indentation"),
    "control character": ("version: 1\nx: \x07\n", 2, 4, "control character U+0007", "UTF-8"),
    "two documents": ("version: 1\n---\nversion: 1\n", 2, 1, "second document", "include"),
    "duplicate key": ("version: 1\nversion: 1\n", 2, 1, "duplicate key version, first in line 1", "keep one"),
    "merge key": ("version: 1\ndefaults:\n  <<: {}\n", 3, 3, "merge keys", "defaults"),
    "boolean key": ("version: 1\ndefaults: {tags: {on: x}}\n", 2, 19, "key on is read by YAML as true or false", '"on"'),
    "number key": ("version: 1\ndefaults: {tags: {1: x}}\n", 2, 19, "key 1 is read by YAML as a number", '"1"'),
    "list as key": ("version: 1\n? [a]\n: b\n", 2, 3, "where a key is expected", "string"),
    "python tag": ("version: !!python/name:os.system 1\n", 1, 10, "tag !!python/name:os.system", "remove the tag"),
    "set tag": ("version: 1\ndefaults: !!set {}\n", 2, 11, "tag !!set", "remove the tag"),
    "unknown alias": ("version: *v\n", 1, 10, "*v has no anchor", "&v"),
    "alias in itself": ("version: 1\ncustomers: &c [*c]\n", 2, 16, "inside its own anchor", "write out the value"),
    "deep nesting": ("version: 1\nx: " + "[" * 100_000, 2, 67, "nested deeper than 64", "levels"),
}

SHAPE_ROWS = {
    "list on top": ("- a\n", 1, 1, "the file is a list", "KEY: VALUE"),
    "no version": ("defaults: {}\n", 1, 1, "the manifest has no version", "add version"),
    "other version": ("version: 2\n", 1, 10, "version 2 is not known", "version: 1"),
    "unknown key": ("version: 1\ncustomer: []\n", 2, 1, "unknown key customer", "write customers"),
    "far unknown key": ("version: 1\nzzz: []\n", 2, 1, "unknown key zzz", "known here: version"),
    "unknown deep key": (customers(ONE + ", regoins: []}"), 5, 43, "unknown key regoins", "write regions"),
    "octal id": (customers("{name: a, account_id: 012345671234}"), 5, 27, "012345671234 is read by YAML as a number and loses", '"012345671234"'),
    "zero id": (customers("{name: a, account_id: 012345678901}"), 5, 27, "012345678901 is read by YAML as a number and loses", '"012345678901"'),
    "short number id": (customers("{name: a, account_id: 1234}"), 5, 27, "1234 is read by YAML as a number", "12 digits in quotes"),
    "short text id": (customers('{name: a, account_id: "1234"}'), 5, 27, '"1234" is not an AWS account ID', "12 digits"),
    "number external ID": (customers(ONE + ", external_id: 1234567}"), 5, 56, "external_id 1234567 is read by YAML as a number", '"1234567"'),
    "exponent external ID": (customers(ONE + ", external_id: 12e345}"), 5, 56, "12e345 is read by YAML as a number", '"12e345"'),
    "boolean role": (customers(ONE + ", role: yes}"), 5, 49, "role yes is read by YAML as true or false", '"yes"'),
    "date label": (customers(ONE + ", labels: {since: 2026-11-01}}"), 5, 59, "2026-11-01 is read by YAML as a date", '"2026-11-01"'),
    "bad name": (customers('{name: a/b, account_id: "222222222222"}'), 5, 12, '"a/b" is not a valid folder name', "start with a letter"),
    "name that leaves": (customers('{name: "../x", account_id: "222222222222"}'), 5, 12, "not a valid folder name", "letter"),
    "bad role name": (customers(ONE + ", role: a b}"), 5, 49, '"a b" has characters that AWS refuses', "ASCII letters"),
    "long role name": (customers(ONE + f", role: {'r' * 65}}}"), 5, 49, "role has 65 characters, and 64 are allowed", "64"),
    "bad external ID": (customers(ONE + ", external_id: 'a b'}"), 5, 56, "is not a valid external ID", "ASCII letters"),
    "bad path": (customers(ONE + ", path: vendor}"), 5, 49, '"vendor" is not an IAM path', "/vendor/"),
    "bad region": (customers(ONE + ", regions: [Frankfurt]}"), 5, 53, '"Frankfurt" is not a Region', "eu-central-1"),
    "missing id": (customers("{name: a}"), 5, 5, "customer a has no account_id", "12 digits in quotes"),
    "null name": (customers('{name: , account_id: "222222222222"}'), 5, 12, "name has no value", "write a value"),
    "text for list": (customers(ONE + ", permissions: s3}"), 5, 56, "single value where a list is expected", "[s3]"),
    "list for text": (customers(ONE + ", role: [r]}"), 5, 49, "role is a list where a string is expected", "a single string"),
    "text for keys": ("version: 1\nbackend: x\n", 2, 10, "backend is a single value where keys are expected", "KEY: VALUE"),
    "bad choice": (customers(ONE + ", trust: role_arn}"), 5, 50, "trust role_arn is not a valid choice", "write role-arn"),
    "short session": (customers(ONE + ", max_session_seconds: 60}"), 5, 64, "60 is too small", "3600 or more"),
    "long session": (customers(ONE + ", max_session_seconds: 50000}"), 5, 64, "50000 is too large", "43200 or less"),
    "text session": (customers(ONE + ", max_session_seconds: 1h}"), 5, 64, "1h is not a whole number", "without quotes"),
    "text boolean": (customers(ONE + ", session_tags: maybe}"), 5, 57, "maybe is neither true nor false", "write true or false"),
    "bad tag key": ("version: 1\ndefaults: {tags: {'a!': b}}\n", 2, 19, "the key a! in tags", "letters, digits"),
    "bad action": (statements("{actions: [GetObject], resources: ['*']}"), 5, 20, '"GetObject" is not an action', "s3:GetObject"),
    "bad effect": (statements(f"{{effect: allow, {ALLOW}}}"), 5, 18, "effect allow", "write Allow"),
    "boolean condition": (
        statements(f"{{{ALLOW}, conditions: {{Bool: {{'aws:SecureTransport': true}}}}}}"),
        5, 96, "is read by YAML as true or false", '"true"',
    ),
    "external ID on a switch role": (switches(SWITCH + ", group: g, external_id: abc}"), 5, 131, "external ID on a switch role", "require_mfa"),
    "number group": (switches(SWITCH + ", group: 12}"), 5, 128, "group 12 is read by YAML as a number", '"12"'),
    "group without name": (switches(SWITCH + ", group: {path: /x/}}"), 5, 128, "group has no name", "add name"),
}  # fmt: skip

CROSS_ROWS = {
    "same name": (customers(ONE + "}", '{name: A, account_id: "333333333333"}'), 6, 12, "differs from a only in case", "different name"),
    "folded name": (customers('{name: a-b, account_id: "222222222222"}', '{name: a_b, account_id: "333333333333"}'), 6, 12, "in ._-", "different name"),
    "same switch name": (switches(SWITCH + ", group: g}", SWITCH.replace("role: r", "role: q") + ", group: h}"), 6, 12, "switch role s has the name", "different name"),
    "same set name": ("version: 1\npermission_sets:\n  p: {managed_policies: [A]}\n  P: {managed_policies: [B]}\n", 4, 3, "permission set P", "names that differ"),
    "same external ID": (customers(ONE + ", external_id: same}", TWO + ", external_id: same}"), 6, 56, "same as that of customer a", "fresh"),
    "another's previous id": (customers(ONE + ", external_id: aa}", TWO + ", external_id: bb, previous_external_id: aa}"), 6, 82, "previous_external_id is the same", "fresh"),
    "previous alone": (customers(ONE + ", previous_external_id: aa}"), 5, 65, "but no external_id", "add external_id"),
    "previous the same": (customers(ONE + ", external_id: aa, previous_external_id: aa}"), 5, 82, "the same as external_id", "remove"),
    "same role": (customers(ONE + ", role: R}", '{name: b, account_id: "222222222222", role: r, path: /x/}'), 6, 49, "already that of customer a", "path and case"),
    "role of a switch role": (
        HEAD + f"customers: [{ONE}, role: R}}]\nswitch_roles: [{SWITCH}, group: g}}]\n",
        5, 129, "switch role s: role r of account 222222222222 is already that of customer a", "another role name",
    ),
    "role of the backend": (customers('{name: a, account_id: "111111111111", role: backend_role}'), 5, 49, "already that of the backend", "another"),
    "no such set": (customers(ONE + ", permissions: [s33]}"), 5, 57, "there is no permission set s33", "write s3"),
    "no such default set": (HEAD + "defaults: {permissions: [zzz]}\n", 4, 26, "there is no permission set zzz", "s3"),
    "no such set for people": (switches(SWITCH + ", group: g, permissions: [zzz]}"), 5, 145, "no permission set zzz", "write one of"),
    "no backend": (f"version: 1\ncustomers: [{ONE}}}]\n", 2, 13, "no backend account", "add `backend:`"),
    "role and roles": ('version: 1\nbackend: {account_id: "111111111111", role: {name: a}, roles: [{name: b}]}\n', 2, 39, "both role and roles", "keep one"),
    "backend role twice": ('version: 1\nbackend: {account_id: "111111111111", roles: [{name: b}, {name: B}]}\n', 2, 65, "backend role B is listed twice", "different name"),
    "no such backend role": (customers(ONE + ", backend_role: backendrole}"), 5, 57, "no backend role backendrole", "write backend_role"),
    "fixed role names": (
        "version: 1\nbackend: {account_id: '111111111111', grant: fixed-role-name}\n"
        f"customers:\n  - {ONE}}}\n  - {TWO}}}\n  - {{name: c, account_id: '444444444444', role: x}}\n",
        6, 49, "c has role /x, the other customers /VendorAccess", "explicit",
    ),
    "new group twice": (
        switches(SWITCH + ", group: g}", SWITCH.replace("name: s", "name: t").replace("role: r", "role: q") + ", group: G}"),
        6, 128, "already created by s", "existing: true",
    ),
    "policy twice": (
        switches(SWITCH + ", group: g}", SWITCH.replace("name: s", "name: t").replace("2222", "4444") + ", group: h}"),
        6, 128, "would overwrite that of s", "policy: NAME",
    ),
    "group spelled in two ways": (
        switches(SWITCH + ", group: g}", SWITCH.replace("name: s", "name: t").replace("role: r", "role: q") + ", group: {name: G, existing: true}}"),
        6, 128, "is /g in s", "the same name and path",
    ),
    "user below two paths": (
        switches(
            SWITCH + ", group: g, users: [{name: u}]}",
            SWITCH.replace("name: s", "name: t").replace("role: r", "role: q")
            + ", group: {name: g, existing: true}, users: [{name: u, path: /x/, existing: true}]}",
        ),
        6, 170, "is /u in s", "the same name and path",
    ),
    "new user twice": (
        switches(
            SWITCH + ", group: g, users: [{name: u}]}",
            SWITCH.replace("name: s", "name: t").replace("role: r", "role: q") + ", group: h, users: [{name: U}]}",
        ),
        6, 146, "already created by s", "existing: true on the second",
    ),
    "user twice in one": (switches(SWITCH + ", group: g, users: [{name: u}, {name: u, existing: true}]}"), 5, 157, "is listed twice in s", "remove"),
    "password on existing": (switches(SWITCH + ", group: g, users: [{name: u, existing: true, console_password: true}]}"), 5, 165, "on existing user", "remove"),
    "key without password": (switches(SWITCH + ", group: g, users: [{name: u, pgp_key: AAAA}]}"), 5, 149, "no console password", "console_password: true"),
    "trust in nobody": (switches(SWITCH + ", group: g, trust: users}"), 5, 138, "trust: users, but there are no users", "add users"),
    "long link": (switches(SWITCH + f"r, path: /{'p' * 62}/, group: g}}"), 5, 118, "65 characters together", "64"),
    "both actions": (statements(f"{{{ALLOW}, not_actions: [s3:PutObject]}}"), 5, 53, "both actions and not_actions", "keep one"),
    "no actions": (statements("{resources: ['*']}"), 5, 9, "neither actions nor not_actions", "add actions"),
    "no resources": (statements("{actions: [s3:GetObject]}"), 5, 9, "neither resources nor not_resources", "add resources"),
    "same sid": (statements(f"{{sid: A, {ALLOW}}}", f"{{sid: A, {ALLOW}}}"), 6, 15, "duplicate sid A", "different sid"),
    "empty set": ("version: 1\npermission_sets: {p: {}}\n", 2, 19, "permission set p is empty", "remove the set"),
    "ampersand brace": (statements("{actions: [s3:GetObject], resources: ['arn:aws:s3:::b/&{aws:username}']}"), 5, 47, "&{", "write ${"),
    "operator": (statements(f"{{{ALLOW}, conditions: {{StringEqual: {{a: b}}}}}}"), 5, 66, "no condition operator StringEqual", "write StringEquals"),
    "set operator": (statements(f"{{{ALLOW}, conditions: {{'ForAnyValue:Stringlike': {{a: b}}}}}}"), 5, 66, "no condition operator", "ForAnyValue:StringLike"),
    "many tags": (customers(ONE + f", tags: {{{MANY_TAGS}}}}}"), 5, 49, "51 tags", "labels"),
    "tags in case": ("version: 1\ndefaults: {tags: {team: a, Team: b}}\n", 2, 28, "tag Team differs from tag team only in case", "write team"),
    "aws tag": ("version: 1\ndefaults: {tags: {'AWS:x': a}}\n", 2, 19, "starts with aws:", "another name"),
    "not normal": (customers(ONE + ", labels: {city: 'Ko\u0308ln'}}"), 5, 58, "not Unicode NFC", "Köln"),
    "other partition": (HEAD.replace("Amazon", "arn:aws-cn:iam::aws:policy/Amazon"), 3, 43, "partition aws-cn", "arn:aws:iam"),
}  # fmt: skip

ROWS = {**YAML_ROWS, **SHAPE_ROWS, **CROSS_ROWS}


@pytest.mark.parametrize(("text", "line", "column", "what", "hint"), ROWS.values(), ids=list(ROWS))
def test_mistake_is_one_problem_with_location_and_hint(
    tmp_path: Path, text: str, line: int, column: int, what: str, hint: str
) -> None:
    """Each invalid manifest has exactly one problem, with the expected line, column and message."""
    (problem,) = problems_of(tmp_path, text)
    assert (line, column) == (problem.line, problem.column), problem
    assert what in problem.what
    assert hint in problem.hint


def test_all_problems_are_reported_in_one_pass_by_line(tmp_path: Path) -> None:
    """An invalid value, an unknown key, a duplicate and an invalid reference in one file are all reported, sorted by line."""
    text = dedent(
        """\
        version: 1
        backend: {account_id: 111}
        custmers: []
        customers:
          - {name: a, account_id: "222222222222", external_id: same, permissions: [nope]}
          - {name: b, account_id: "333333333333", external_id: same, role: "x y"}
        """
    )
    assert [2, 3, 5, 6, 6] == [problem.line for problem in problems_of(tmp_path, text)]


def test_reference_to_invalid_entry_is_no_second_problem(tmp_path: Path) -> None:
    """References to a permission set that has a problem itself are not reported as unknown."""
    text = f"version: 1\nbackend: {{account_id: 1}}\npermission_sets: {{p: {{sid: 1}}}}\ncustomers: [{ONE}, permissions: [p]}}]\n"
    whats = [problem.what for problem in problems_of(tmp_path, text)]
    assert not [what for what in whats if "there is no" in what or "no backend" in what]


def test_alias_bomb_is_rejected_before_expansion(tmp_path: Path) -> None:
    """Nine levels of nine aliases each would be 387 million values; the file is rejected at a limit."""
    levels = ["x0: &x0 [a, a, a, a, a, a, a, a, a]"]
    levels += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "aliases repeat more than 8,000,000" in problems_of(tmp_path, "\n".join(levels))[0].what


def test_repeated_long_string_is_rejected_as_alias_bomb(tmp_path: Path) -> None:
    """A thousand aliases of a string of 10,000 characters are rejected, although they are only a thousand values."""
    text = f"version: 1\nx: &x {'a' * 10_000}\ny: [{', '.join(['*x'] * 1_000)}]\n"
    assert "aliases repeat more than 8,000,000" in problems_of(tmp_path, text)[0].what


def test_few_aliases_are_accepted(tmp_path: Path) -> None:
    """They are read as the value that they repeat."""
    file = tmp_path / "accounts.yaml"
    file.write_text(customers(ONE + ", regions: &r [eu-west-1]}", TWO + ", regions: *r}"))
    assert ("eu-west-1",) == load_manifest(file).manifest.customers[1].regions
