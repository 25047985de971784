"""The command of a witness, read by a shell and by the parser of the real AWS CLI."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awscli
import pytest
from awscli.clidriver import CLIDriver, create_clidriver
from botocore.validate import validate_parameters

from rolecall_generator.proof.symbolic import InclusionState, RequestWitness
from trust_worlds import CALLER, ROLE, surplus
from unintended_trusts import TAGGING, UNINTENDED, WIDER, Statements, only

VALUES = (
    "file:///etc/passwd",
    "fileb://x",
    "http://169.254.169.254/latest",
    "https://example.com/x",
    "-x",
    "--query",
    "--",
    "@file",
    "a=b",
    "Key=x",
    "+-",
)
"""Values that a policy can have and AWS accepts, but that the AWS CLI interprets in some places."""
TAG_VALUES = (*VALUES, "a b", " a ", "équipe", "\u65e5\u672c", "a\u2028b")


def witness(statements: Statements) -> RequestWitness:
    found = surplus(statements)
    assert found.state is InclusionState.REFUTED
    assert found.witness is not None
    return found.witness


@pytest.fixture(scope="module")
def driver() -> CLIDriver:
    found = create_clidriver()
    # The AWS CLI sets this path in the environment, which the tests clear.
    found.session.get_component("data_loader").search_paths.append(str(Path(awscli.__file__).parent / "data"))
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the commands of identity providers read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("assertion.xml", "token"):
        (tmp_path / name).write_text("0123", encoding="utf-8")


def parameters(driver: CLIDriver, found: RequestWitness) -> Mapping[str, Any]:
    """The parameters that the AWS CLI sends, validated by the service's model; the shell reads the command first."""
    command = shlex.split(found.shell_command)
    assert tuple(command) == found.command
    sent: list[Mapping[str, Any]] = []
    event = f"calling-command.sts.{command[2]}"

    def record(call_parameters: Mapping[str, Any], **_kwargs: Any) -> int:
        sent.append(call_parameters)
        return 0

    driver.session.register(event, record)
    assert 0 == driver.main(command[1:])
    driver.session.unregister(event, record)
    service = driver.session.get_service_model("sts")
    validate_parameters(sent[0], service.operation_model(found.request.action.partition(":")[2]).input_shape)
    return sent[0]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("value", VALUES)
def test_external_id_reaches_aws_as_it_is(driver: CLIDriver, value: str) -> None:
    found = witness(only(CALLER, f"StringEquals sts:ExternalId {value}"))

    assert value == parameters(driver, found)["ExternalId"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("value", [value for value in VALUES if not set(":/") & set(value)])
def test_names_reach_aws_as_they_are(driver: CLIDriver, value: str) -> None:
    names = {"sts:RoleSessionName": value, "sts:SourceIdentity": value}
    found = witness(only(CALLER, {"StringEquals": names}, Action=["sts:AssumeRole", "sts:SetSourceIdentity"]))
    sent = parameters(driver, found)

    assert [value, value] == [sent["RoleSessionName"], sent["SourceIdentity"]]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("value", TAG_VALUES)
def test_tags_reach_aws_as_they_are(driver: CLIDriver, value: str) -> None:
    conditions = {
        "StringEquals": {"aws:RequestTag/x": value},
        "ForAnyValue:StringEquals": {"aws:TagKeys": value, "sts:TransitiveTagKeys": value},
    }
    sent = parameters(driver, witness(only(CALLER, conditions, Action=TAGGING)))

    assert {"x": value, value: ""} == {tag["Key"]: tag["Value"] for tag in sent["Tags"]}
    assert [value] == sent["TransitiveTagKeys"]


@pytest.mark.usefixtures("folder")
def test_aws_cli_reads_every_kind_of_command(driver: CLIDriver) -> None:
    """One command for each set of options."""
    found = (witness(statements) for statements, verdict in UNINTENDED.values() if verdict == WIDER)
    commands = {tuple(each for each in one.command if each.startswith("--")): one for one in found}

    assert len(commands) > 10
    for one in commands.values():
        assert ROLE == parameters(driver, one)["RoleArn"]
