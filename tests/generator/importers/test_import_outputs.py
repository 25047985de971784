"""Terraform outputs sent by customers are read in each format; anything else is rejected with its location."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rolecall_generator.importers.import_plan import ImportProblemsError
from rolecall_generator.importers.terraform_outputs import read_output_accounts

ARN = "arn:aws:iam::222222222222:role/vendor/VendorAccess"
FIELDS = {"account_id": "222222222222", "role": "VendorAccess", "path": "/vendor/", "external_id": "id-1"}


def outputs(**values: Any) -> dict[str, Any]:
    """Outputs in Terraform's format."""
    return {name: {"sensitive": False, "type": "string", "value": value} for name, value in values.items()}


OWN = outputs(role_arn=ARN, external_id="id-1", role_name="VendorAccess")
STATE = {"version": 4, "terraform_version": "1.9.0", "outputs": OWN, "resources": []}
SHOWN = {"format_version": "1.0", "terraform_version": "1.9.0", "values": {"outputs": OWN, "root_module": {}}}
PASSED_ON = outputs(acme={"role_arn": ARN, "external_id": "id-1"}, region="eu-west-1")
TOGETHER = outputs(customers={"acme": {"role_arn": ARN, "external_id": "id-1"}})


@pytest.mark.parametrize("body", [OWN, STATE, SHOWN, PASSED_ON, TOGETHER], ids=["output", "state", "show", "child", "map"])
def test_each_format_of_outputs_is_read(tmp_path: Path, body: dict[str, Any]) -> None:
    """The name is that of the file, or the key under which the outputs are nested."""
    path = tmp_path / "acme.json"
    path.write_text(json.dumps(body, indent=2), "utf-8")
    (account,) = read_output_accounts([path]).accounts

    assert ("acme", FIELDS) == (account.name, account.fields)


def test_generic_file_name_uses_folder_name(tmp_path: Path) -> None:
    """`acme/outputs.json` belongs to acme; output redirected by Windows PowerShell is UTF-16."""
    folder = tmp_path / "acme"
    folder.mkdir()
    path = folder / "outputs.json"
    path.write_text(json.dumps(OWN), "utf-16")

    assert ["acme"] == [account.name for account in read_output_accounts([path]).accounts]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "acme.json:1:1: the file is not JSON: Expecting property name enclosed in double quotes"),
        ("[]", "acme.json:1:1: the file does not contain Terraform outputs"),
        ('{"role_arn": "x"}', "acme.json:1:1: the file does not contain Terraform outputs"),
        ("{}", "acme.json:1:1: there is no output role_arn, and none whose value is an object with a role_arn"),
        (
            json.dumps(outputs(role_arn="arn:x"), indent=1),
            'acme.json:5:1: role_arn of acme is not the ARN of a role: "arn:x"',
        ),
        (
            '{"role_arn": {"value": "x"}, "role_arn": {"value": "y"}}',
            "acme.json:1:1: the file has the name role_arn twice in one object",
        ),
        (json.dumps(outputs(role_arn=ARN, external_id=5)), "acme.json:1:1: external_id of acme is not a string: 5"),
    ],
)  # fmt: skip
def test_invalid_outputs_file_is_error_with_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "acme.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ImportProblemsError) as caught:
        read_output_accounts([path])

    assert str(tmp_path / said) == str(caught.value.problems[0]).splitlines()[0]


def test_problems_of_all_files_are_reported_in_one_pass(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"]
    paths[1].write_text(json.dumps(OWN), "utf-8")
    with pytest.raises(ImportProblemsError) as caught:
        read_output_accounts(paths)

    assert [str(paths[0]), str(paths[2])] == [problem.file for problem in caught.value.problems]
