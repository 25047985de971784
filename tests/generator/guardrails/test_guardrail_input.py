"""Policies as people paste them: what is read, what is refused, and where the message points."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from guardrail_policies import FULL, LEAVING, PERIMETER, REGIONS, deny, policy, text
from rolecall_generator.errors import SelectionError
from rolecall_generator.guardrails import GuardrailKind, Guardrails, PolicyFiles, PolicyProblemsError, read_files
from rolecall_generator.guardrails.policies import QUOTAS, parse_policies

ACCOUNT = "222222222222"


def kinds(rails: Guardrails) -> dict[str, list[tuple[str, str]]]:
    """Kind and name of the policies by level."""
    return {level.name: [(each.kind.value, each.name) for each in level.policies] for level in rails.levels}


@pytest.mark.parametrize(
    "pasted",
    [
        text(LEAVING),
        "\ufeff" + text(LEAVING),
        text([LEAVING]),
        text({"Policy": {"PolicySummary": {"Name": "Leaving", "Type": "SERVICE_CONTROL_POLICY"}, "Content": text(LEAVING)}}),
        text({**LEAVING, "Statement": LEAVING["Statement"][0]}),
    ],
    ids=["document", "byte order mark", "list", "describe-policy", "one statement"],
)
def test_forms_of_pasted_policies(pasted: str) -> None:
    """A document, the output of describe-policy, and lists of these are read alike."""
    (found,) = parse_policies(pasted, "pasted", None)

    assert GuardrailKind.SCP is found.kind
    assert ["DenyLeaving"] == [statement.sid for statement in found.document.statements]


def test_principal_makes_rcp() -> None:
    """The kind of a policy without a name follows from its form."""
    found = parse_policies(text([PERIMETER, REGIONS]), "pasted", None)

    assert [GuardrailKind.RCP, GuardrailKind.SCP] == [each.kind for each in found]


@pytest.mark.parametrize(
    ("pasted", "line"),
    [
        ("", 1),
        ('{"Version": "2012-10-17",\n "Statement": [}', 2),
        ("[]", 1),
        ('"Statement"', 1),
        ('{"Version": "2012-10-17"}', 1),
        ('{"Statement": [], "Statement": []}', 1),
        ('{"Statement": "Deny"}', 1),
        ('{"Statement": ["Deny"]}', 1),
        ('{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Sid": {}}}', 1),
        ('{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": ""}}', 1),
        ('{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": []}}', 1),
        ('{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Null": "true"}}}', 1),
        (text(policy({"Effect": "Deny"})), 1),
        (text(policy({**deny("A"), "Effect": "Block"})), 1),
        (text(policy({**deny("A"), "NotAction": "s3:*"})), 1),
        (text(policy(deny("A", {"s3": "*"}))), 1),
        (text(policy(deny("A", []))), 1),
        (text(policy(deny("A", resource=["*", 1]))), 1),
        (text(policy({**deny("A"), "Comment": "x"})), 1),
        (text(policy(deny("A", Condition={"StringEquals": ["x"]}))), 1),
        (text(policy(deny("A", Condition={"StringEquals": {"aws:userid": {"a": 1}}}))), 1),
        ('{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": NaN}]}', 1),
        ("[" * 100_000, 1),
        ('{"Policy": {"Content": "{"}}', 1),
        ("1" * 1_000_001, 1),
    ],
)
def test_malformed_policies_are_errors_with_place(pasted: str, line: int) -> None:
    with pytest.raises(PolicyProblemsError) as caught:
        parse_policies(pasted, "pasted.json", GuardrailKind.SCP)

    assert all(("pasted.json", line) == (problem.file, problem.line) and problem.hint for problem in caught.value.problems)


@pytest.mark.parametrize(
    "pasted",
    [
        {"VpcEndpoints": [{"VpcEndpointId": "vpce-1", "PolicyDocument": text(PERIMETER)}]},
        {"Policy": {"PolicySummary": {"Name": "x", "Type": "DECLARATIVE_POLICY_EC2"}, "Content": "{}"}},
        {"Policy": {"PolicySummary": {"Name": "x", "Type": "TAG_POLICY"}, "Content": text(LEAVING)}},
    ],
    ids=["VPC endpoints", "declarative", "tags"],
)
def test_policies_of_other_kinds_are_refused(pasted: object) -> None:
    with pytest.raises(PolicyProblemsError) as caught:
        parse_policies(text(pasted), "pasted.json", None)

    assert [True] == ["not examined" in problem.what for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("levels", "notes"),
    [
        ({"root": LEAVING, "unit": LEAVING}, 1),
        ({"root": [FULL, LEAVING], "unit": [FULL, LEAVING]}, 0),
        ({"root": [FULL, LEAVING], "unit": LEAVING, "account": FULL}, 2),
    ],
    ids=["no level", "every level", "not one level"],
)
def test_level_without_full_access_is_noted(tmp_path: Path, levels: dict[str, object], notes: int) -> None:
    """It is assumed where files leave it out; if other levels list it, the note tells to check it."""
    arguments = []
    for name, body in levels.items():
        (tmp_path / f"{name}.json").write_text(text(body), "utf-8")
        arguments.append(f"{name}={tmp_path / name}.json")
    found = read_files(PolicyFiles(tuple(arguments)), ACCOUNT, str)

    assert notes == len(found.notes)
    assert all("unit" in note for note in found.notes)


def test_all_faults_are_reported_in_one_pass() -> None:
    pasted = text([LEAVING, policy(deny("A", []), {**deny("B"), "Effect": "Block"}), {"Version": "2012-10-17"}])
    with pytest.raises(PolicyProblemsError) as caught:
        parse_policies(pasted, "all.json", GuardrailKind.SCP)

    assert ["all.json [2]", "all.json [2]", "all.json [3]"] == [problem.file for problem in caught.value.problems]


def test_policy_far_above_quota_is_refused() -> None:
    """AWS has no such policy, and its review would take minutes. One above the quota is read, and is a finding."""
    statements = [deny(f"S{number}", "s3:Get*", f"arn:aws:s3:::bucket{number}/*") for number in range(2_000)]
    with pytest.raises(PolicyProblemsError):
        parse_policies(text(policy(*statements)), "pasted", GuardrailKind.SCP)

    (found,) = parse_policies(text(policy(*statements[:200])), "pasted", GuardrailKind.SCP)
    assert found.characters > QUOTAS[GuardrailKind.SCP][0]


def test_number_with_too_many_digits_is_not_repeated_name() -> None:
    """Python refuses such integers with a ValueError of its own."""
    condition = '{"NumericLessThan": {"s3:max-keys": ' + "9" * 6_000 + "}}"
    statement = '{"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": ' + condition + "}"
    with pytest.raises(PolicyProblemsError) as raised:
        parse_policies('{"Statement": ' + statement + "}", "pasted", GuardrailKind.SCP)

    (problem,) = raised.value.problems
    assert "sys." not in problem.what
    assert "remove" not in problem.hint


def test_control_characters_do_not_reach_message() -> None:
    with pytest.raises(PolicyProblemsError) as caught:
        parse_policies(text(policy({**deny("A"), "Effect": "\x1b[31mDeny\u202e"})), "pasted", GuardrailKind.SCP)

    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


def test_folder_is_read_from_root_to_account(tmp_path: Path) -> None:
    """Only the units above the account count; the AWS managed policy is assumed where nothing allows, and noted."""
    files = {
        "org/full.json": FULL,
        "org/Prod/regions.json": REGIONS,
        f"org/Prod/acme-{ACCOUNT}/perimeter.json": PERIMETER,
        "org/Dev/leaving.json": LEAVING,
    }
    for name, body in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(body), "utf-8")
    rails = read_files(PolicyFiles(folder=tmp_path / "org"), ACCOUNT, str)
    found = kinds(rails)

    assert ["org", "org/Prod", f"org/Prod/acme-{ACCOUNT}"] == list(found)
    assert ("SCP", "FullAWSAccess") not in found["org"]
    assert ("SCP", "FullAWSAccess") in found["org/Prod"]
    assert 3 == len(rails.notes)


def test_folder_without_account_is_refused_unless_it_is_chain(tmp_path: Path) -> None:
    """A tree with branches does not say where the account is."""
    (tmp_path / "root" / "Prod" / "Team").mkdir(parents=True)
    chain = read_files(PolicyFiles(folder=tmp_path / "root"), ACCOUNT, str)
    (tmp_path / "root" / "Dev").mkdir()

    assert ["root", "root/Prod", "root/Prod/Team"] == list(kinds(chain))
    with pytest.raises(SelectionError) as caught:
        read_files(PolicyFiles(folder=tmp_path / "root"), ACCOUNT, str)
    assert ACCOUNT in str(caught.value.hint)


def test_files_with_and_without_levels(tmp_path: Path) -> None:
    """Levels are in the order of their first file; standard input is read for a dash."""
    path = tmp_path / "a=b.json"
    path.write_text(text(FULL), "utf-8")
    files = PolicyFiles((f"root={path}", "-", str(path)))

    assert ["root", "organization"] == list(kinds(read_files(files, ACCOUNT, lambda: text(LEAVING))))


@pytest.mark.parametrize("argument", ["", " ", "=x.json", "root="])
def test_argument_that_names_nothing_is_usage_error(argument: str) -> None:
    with pytest.raises(SelectionError):
        read_files(PolicyFiles((argument,)), ACCOUNT, str)


@pytest.mark.parametrize("content", [None, b"\xff\xfe{}"], ids=["missing", "not UTF-8"])
def test_file_that_cannot_be_read_is_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "policy.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PolicyProblemsError) as caught:
        read_files(PolicyFiles((str(path),)), ACCOUNT, str)

    assert [str(path)] == [problem.file for problem in caught.value.problems]


def test_reading_keeps_body(rails: Callable[..., Guardrails]) -> None:
    """An exemption changes the policy as it was pasted, not a normalized form of it."""
    (level,) = rails({"root": LEAVING}).levels

    assert LEAVING == level.policies[0].body
    assert len(json.dumps(LEAVING, separators=(",", ":"))) == level.policies[0].characters
