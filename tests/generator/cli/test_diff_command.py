"""`gen diff` of trust policies: the sets of requests that widen and narrow the access, in JSON and on a terminal."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from command_rig import gen
from rolecall_generator.cli.terraform import print_comparison
from rolecall_generator.generate import compare
from rolecall_generator.terminal import SafeConsole
from rolecall_generator.text import sanitize_lines

ROLE = "arn:aws:iam::222222222222:role/role1"
BACKEND = "arn:aws:iam::111111111111:role/backend_role"
STRANGER = "arn:aws:iam::999999999999:role/eve"
EXTERNAL_ID = "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"
WITH_ID = ("StringEquals", "sts:ExternalId", EXTERNAL_ID)
TRUST = re.compile(r'data "aws_iam_policy_document" "trust" \{\n.*?\n\}\n', re.DOTALL)
Condition = tuple[str, str, str]
EXAMPLE = "       example: "


def statement(*conditions: Condition, principals: Iterable[str] = (BACKEND,), actions: str = '"sts:AssumeRole"') -> str:
    """A statement of a trust policy in Terraform."""
    blocks = (
        f"test = {json.dumps(test)}\nvariable = {json.dumps(key)}\nvalues = [{json.dumps(value)}]"
        for test, key, value in conditions
    )
    parts = [f"condition {{\n{block}\n}}" for block in blocks]
    callers = f'principals {{\n      type = "AWS"\n      identifiers = {json.dumps(list(principals))}\n    }}'
    return "\n    ".join(["  statement {", f"actions = [{actions}]", callers, *parts]) + "\n  }"


def write_trust(folder: Path, *statements: str) -> None:
    path = folder / "output/customers/account1/main.tf"
    document = 'data "aws_iam_policy_document" "trust" {\n' + "\n".join(statements) + "\n}\n"
    text, count = TRUST.subn(lambda _: document, path.read_text("utf-8"))
    assert 1 == count
    path.write_text(text, "utf-8")


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "accounts.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def module(folder: Path) -> dict[str, Any]:
    done = gen("diff", "--format", "json", cwd=folder)
    (found,) = json.loads(done.out)["modules"]

    assert (1, "customers/account1") == (done.code, found["path"])
    return dict(found)


def trust(folder: Path) -> dict[str, Any]:
    (found,) = module(folder)["trusts"]

    assert ROLE == found["role"]
    return dict(found)


def callers(sets: Iterable[Mapping[str, Any]]) -> list[str]:
    return [each["witness"]["principal"] for each in sets]


def printed(folder: Path, width: int = 80) -> str:
    """What a terminal of this width shows."""
    console = SafeConsole(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    print_comparison(console, compare(folder / "accounts.yaml", folder / "output"))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_removed_condition_widens(generated: Path) -> None:
    """The written policy also requires an address; the next run allows requests from others."""
    write_trust(generated, statement(WITH_ID, ("IpAddress", "aws:SourceIp", "192.0.2.0/24")))
    found = trust(generated)

    assert (True, [], [BACKEND]) == (found["complete"], found["narrows"], callers(found["widens"]))
    assert {"aws:SourceIp", "sts:ExternalId", "Caller", "Action"} <= found["widens"][0]["constraints"].keys()
    assert EXTERNAL_ID in found["widens"][0]["witness"]["command"]


def test_removed_principal_narrows(generated: Path) -> None:
    write_trust(generated, statement(WITH_ID, principals=[BACKEND, STRANGER]))
    found = trust(generated)

    assert (True, [], [STRANGER]) == (found["complete"], found["widens"], callers(found["narrows"]))


def test_changed_external_id_widens_and_narrows(generated: Path) -> None:
    write_trust(generated, statement(("StringEquals", "sts:ExternalId", "another")))
    found = trust(generated)
    ids = [each["witness"]["context"]["sts:ExternalId"] for direction in ("widens", "narrows") for each in found[direction]]

    assert [[EXTERNAL_ID], ["another"]] == ids


def test_rewritten_policy_allows_the_same_requests(generated: Path) -> None:
    """A second statement that the first one covers. The module changes, but no request is allowed more or less."""
    write_trust(generated, statement(WITH_ID), statement(WITH_ID, ("IpAddress", "aws:SourceIp", "192.0.2.0/24")))
    found = module(generated)

    assert ("changed", True) == (found["state"], bool(found["changes"]))
    assert [{"role": ROLE, "verdict": "equivalent", "complete": True, "reasons": [], "widens": [], "narrows": []}] == found[
        "trusts"
    ]
    assert "account1/role1 allows the same requests as before" in printed(generated)


@pytest.mark.parametrize(
    "written",
    [
        [statement(("StringEquals", "STS:externalid", EXTERNAL_ID))],
        [statement(WITH_ID, ("ArnEquals", "aws:PrincipalArn", BACKEND), principals=["arn:aws:iam::111111111111:root"])],
    ],
)
def test_equivalent_policy_is_marked_neither_wider_nor_narrower(generated: Path, written: list[str]) -> None:
    """In the changes of the next run and in the findings of the check, in every format that has a mark."""
    write_trust(generated, *written)
    found = module(generated)
    reports = {name: gen("check", "--format", name, cwd=generated) for name in ("table", "json", "junit", "sarif")}

    assert ["equivalent"] == [each["verdict"] for each in found["trusts"]]
    assert {None} == {change["widens"] for change in found["changes"]}
    assert "widens" not in printed(generated)
    assert {1} == {done.code for done in reports.values()}
    assert [] == [name for name, done in reports.items() if "wider than" in done.out or "same requests" not in done.out]


def test_undocumented_decision_is_uncertain_with_a_reason(generated: Path) -> None:
    """AWS does not document a plain operator on several values, which a key that AWS does not define may have."""
    write_trust(generated, statement(WITH_ID, ("StringEquals", "example.com:team", "a")))
    certain, uncertain = trust(generated)["widens"]

    assert (True, [], False) == (certain["certain"], certain["reasons"], certain["witness"] is None)
    assert (False, True, None) == (uncertain["certain"], bool(uncertain["reasons"]), uncertain["witness"])
    assert "not known: StringEquals example.com:team" in printed(generated)


def test_policy_that_terraform_computes_is_incomplete_with_a_reason(generated: Path) -> None:
    path = generated / "output/customers/account1/main.tf"
    text = path.read_text().replace("data.aws_iam_policy_document.trust.json", "var.policy")
    path.write_text(f'{text}\nvariable "policy" {{}}\n')
    found = trust(generated)

    assert (False, [], [], True) == (found["complete"], found["widens"], found["narrows"], bool(found["reasons"]))


def test_huge_policy_is_incomplete_with_a_reason(generated: Path) -> None:
    write_trust(generated, statement(WITH_ID, principals=[f"{STRANGER}{'x' * 40}{number}" for number in range(500)]))
    found = trust(generated)

    assert (False, True) == (found["complete"], bool(found["reasons"]))
    assert found["reasons"][0][:30] in printed(generated, 200)


def test_renamed_role_is_removed_and_added(generated: Path) -> None:
    edit(generated, "role: role1", "role: role9")
    modules = json.loads(gen("diff", "--format", "json", cwd=generated).out)["modules"]
    old, new = next(each["trusts"] for each in modules if each["path"] == "customers/account1")

    assert [[], [BACKEND]] == [callers(old["widens"]), callers(old["narrows"])]
    assert [[BACKEND], []] == [callers(new["widens"]), callers(new["narrows"])]
    assert [ROLE, ROLE.replace("role1", "role9")] == [old["role"], new["role"]]
    assert [[]] == [each["trusts"] for each in modules if each["path"] == "backend"]


def test_changed_permissions_change_no_trust(generated: Path) -> None:
    edit(generated, "permissions: [s3-read, ec2-read]", "permissions: [s3-read]")
    found = module(generated)

    assert ([False], []) == ([change["widens"] for change in found["changes"]], found["trusts"])


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[31mred\x1b[0m", "a\nb", "::error::x", "\u202egnp", "</script><img src=x>", "[bold]x[/bold]", "$(id)", "'; id",
    ],
)  # fmt: skip
def test_hostile_value_is_sanitized(generated: Path, hostile: str) -> None:
    """A value of the written policy cannot control the terminal, start a line, or end the quotes of a command."""
    write_trust(generated, statement(WITH_ID), statement(("StringEquals", "aws:UserAgent", hostile)))
    done = gen("diff", "--format", "json", cwd=generated)
    table = printed(generated, 400)
    (found,) = trust(generated)["narrows"]

    assert done.out.isascii()
    assert [hostile] == found["witness"]["context"]["aws:UserAgent"]
    assert sanitize_lines(table) == table
    assert not [line for line in table.splitlines() if not line.startswith(("~", " "))]


@pytest.mark.parametrize("value", ["blue team", "-x"])
def test_command_of_an_example_can_be_copied(generated: Path, value: str) -> None:
    tagged = statement(("StringEquals", "aws:RequestTag/team", value), actions='"sts:AssumeRole", "sts:TagSession"')
    write_trust(generated, statement(WITH_ID), tagged)
    (found,) = trust(generated)["narrows"]
    (line,) = (line for line in printed(generated).splitlines() if line.startswith(EXAMPLE))

    assert found["witness"]["command"] == shlex.split(line.removeprefix(EXAMPLE))
    assert any(value in argument for argument in found["witness"]["command"])


def test_table_fits_80_columns(generated: Path) -> None:
    """All lines but the commands, which are not wrapped so that they can be copied, on one line each."""
    write_trust(generated, statement(("StringEquals", "sts:ExternalId", "another"), principals=[BACKEND, STRANGER]))
    lines = printed(generated).splitlines()
    commands = [line for line in lines if line.startswith(f"{EXAMPLE}aws sts assume-role ")]

    assert 2 == len(commands)
    assert all(line.count("--role-session-name rolecall") for line in commands)
    assert not [line for line in lines if len(line.rstrip()) > 80 and line not in commands]
    assert {"now allows", "no longer allows"} <= {
        verb
        for line in lines
        for verb in ("now allows", "no longer allows")
        if line.startswith(f"     account1/role1 {verb} sts:")
    }
