"""The script of the page on guard rails collects the policies of an account in AWS Organizations (moto)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from docs_page import Saved, read_page
from docs_runner import ROOT
from moto_server import moto_server

SCRIPT = "collect-policies.sh"
POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]}'


def script() -> str:
    """The script as the page shows it."""
    page = read_page((ROOT / "docs" / "how-to" / "guard-rails.md").read_text("utf-8"))
    (found,) = [step for step in page.steps if isinstance(step, Saved) and step.name == SCRIPT]
    return found.text


def test_script_is_portable(tmp_path: Path) -> None:
    """shellcheck has no findings for a POSIX shell."""
    (tmp_path / SCRIPT).write_text(script(), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("shellcheck")), "--shell=sh", str(tmp_path / SCRIPT)]

    assert "" == subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.slow  # starts the AWS CLI a dozen times
def test_script_writes_policies_of_each_level(tmp_path: Path) -> None:
    """The policy of a unit is in the folder of the unit, between those of the root and the account."""
    keys = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with moto_server() as url:
        organizations = boto3.client(
            "organizations",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        )
        organizations.create_organization(FeatureSet="ALL")
        root = organizations.list_roots()["Roots"][0]["Id"]
        unit = organizations.create_organizational_unit(ParentId=root, Name="Prod")["OrganizationalUnit"]["Id"]
        created = organizations.create_account(Email="a@example.com", AccountName="a")
        account = created["CreateAccountStatus"]["AccountId"]
        organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
        policy = organizations.create_policy(Content=POLICY, Description="", Name="no-ec2", Type="SERVICE_CONTROL_POLICY")[
            "Policy"
        ]["PolicySummary"]["Id"]
        organizations.attach_policy(PolicyId=policy, TargetId=unit)
        folders = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        done = subprocess.run(
            ["sh", "-c", script(), SCRIPT, account],
            cwd=tmp_path,
            env={"PATH": folders, "HOME": str(tmp_path), "AWS_ENDPOINT_URL": url, **keys},
            capture_output=True,
            text=True,
            check=False,
        )
    levels = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")}

    assert (0, "") == (done.returncode, done.stderr)
    assert {root, f"{root}/{unit}", f"{root}/{unit}/{account}"} == levels
    assert [f"{root}/{unit}/{policy}.json"] == [
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob(f"{policy}.json")
    ]
