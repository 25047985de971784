"""`gen guardrails` as a person runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from unittest import mock

import pytest

from command_rig import Ended, gen
from guardrail_policies import LEAVING, PERIMETER, deny, policy, text
from rolecall_generator.guardrails import GuardrailKind, GuardrailLevel, GuardrailPolicy, Guardrails
from rolecall_generator.guardrails.policies import full_access_policy
from rolecall_generator.iam import PolicyDocument

NO_OUTSIDE = policy(
    deny("NoOutside", "sts:AssumeRole", Condition={"StringNotEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}})
)
SAFE = re.compile(r"[\x20-\x7e\n]*")


@pytest.fixture
def folder(generated_once: Path, tmp_path: Path) -> Path:
    """The example accounts, with a policy that stops nothing and one that stops the backend."""
    manifest = (generated_once / "accounts.yaml").read_text("utf-8")
    (tmp_path / "accounts.yaml").write_text(manifest, "utf-8")
    (tmp_path / "leaving.json").write_text(text(LEAVING), "utf-8")
    (tmp_path / "perimeter.json").write_text(text(PERIMETER), "utf-8")
    return tmp_path


def guardrails(folder: Path, *options: str, customer: str = "account2") -> Ended:
    return gen("guardrails", customer, *options, cwd=folder)


def test_exit_codes(folder: Path) -> None:
    assert 0 == guardrails(folder, "--scp", "leaving.json").code
    assert 1 == guardrails(folder, "--rcp", "perimeter.json").code


def test_table_fits_80_columns(folder: Path) -> None:
    """Apart from commands and ARNs, which can be copied."""
    done = guardrails(folder, "--scp", "leaving.json", "--rcp", "perimeter.json", "--backend-organization", "none")
    lines = [line for line in done.out.splitlines() if "arn:aws:" not in line]

    assert lines
    assert [] == [line for line in lines if len(line) > 80]


def test_json_has_exemption(folder: Path) -> None:
    done = guardrails(folder, "--rcp", "root=perimeter.json", "--backend-organization", "none", "--format", "json")
    found = json.loads(done.out)
    (exemption,) = found["exemptions"]

    assert 1 == done.code
    assert found["works"] is False
    assert ["root"] == found["levels"]
    assert "stopped" == found["answers"][0]["state"]
    assert {"kind": "RCP", "level": "root", "sid": "EnforceOrgIdentities"}.items() <= found["answers"][0]["stops"][0].items()
    assert exemption["exact"] is True
    assert PERIMETER == exemption["before"]
    assert ["not stopped"] == [each["state"] for each in found["after"]]


def test_section_for_customer_has_policy_to_paste(folder: Path) -> None:
    options = ("--rcp", "perimeter.json", "--backend-organization", "none")
    done = guardrails(folder, *options, "--format", "customer")
    exemption = json.loads(guardrails(folder, *options, "--format", "json").out)["exemptions"][0]
    pasted = done.out[done.out.index("  {") : done.out.rindex("  }") + 3]

    assert exemption["after"] == json.loads(pasted)


def test_section_for_customer_names_open_questions(folder: Path) -> None:
    done = guardrails(folder, "--rcp", "perimeter.json", "--format", "customer")

    assert 1 == done.code
    assert "--organization" in done.out
    assert "EnforceOrgIdentities" in done.out
    assert "No policy" not in done.out
    assert "  {" not in done.out


def test_standard_input(folder: Path) -> None:
    """A dash reads it, once."""
    with mock.patch("rolecall_generator.cli.guardrails._standard_input", return_value=text(LEAVING)):
        pasted = guardrails(folder, "--scp", "-")
    empty = guardrails(folder, "--scp", "-")
    twice = guardrails(folder, "--scp", "-", "--rcp", "-")

    assert 0 == pasted.code
    assert 3 == empty.code
    assert "standard input:1:1" in empty.err
    assert 2 == twice.code


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--scp", "leaving.json", "--profile", "p"),
        ("--scp", "leaving.json", "--administrator", "Admin"),
        ("--scp", "leaving.json", "--administrator", "arn:aws:iam::999999999999:role/Admin"),
        ("--scp", "leaving.json", "--backend-organization", "vendor"),
        ("--scp", "leaving.json", "--organization", "none"),
        ("--scp", "leaving.json", "--organization", "o-x\x1b[31m"),
        ("--organization", "o-customer01", "--profile", "p"),
        ("--scp", "leaving.json", "--backend-profile", "p", "--backend-scp", "leaving.json"),
        ("--scp", "leaving.json", "--backend-profile", "p", "--backend-organization", "none"),
        ("--folder", "missing"),
        ("--scp", ""),
    ],
)
def test_usage_errors(folder: Path, options: tuple[str, ...]) -> None:
    done = guardrails(folder, *options)

    assert 2 == done.code
    assert "hint:" in done.err
    assert "\x1b" not in done.err


def test_organization_decides_what_perimeter_stops(folder: Path) -> None:
    states = []
    for options in ((), ("--organization", "o-customer01"), ("--organization", "o-another0001")):
        done = guardrails(folder, "--rcp", "perimeter.json", "--backend-organization", "none", "--format", "json", *options)
        answers = json.loads(done.out)["answers"]
        assert 1 == done.code
        states.append(next(each["state"] for each in answers if each["question"] == "permission"))

    assert ["unknown", "not stopped", "partly stopped"] == states


def test_scps_of_backend_are_read_with_profile(folder: Path) -> None:
    scp = GuardrailPolicy(
        GuardrailKind.SCP, "NoOutside", "p-1", PolicyDocument.from_json(NO_OUTSIDE), NO_OUTSIDE, aws_managed=False
    )
    rails = Guardrails((GuardrailLevel("root", (full_access_policy(GuardrailKind.SCP), scp)),), "o-vendor0001")
    module = "rolecall_generator.cli.guardrails"
    with (
        mock.patch(f"{module}.make_organizations_client"),
        mock.patch(f"{module}.read_guardrails", return_value=rails) as read,
    ):
        done = guardrails(
            folder,
            "--rcp",
            "perimeter.json",
            "--organization",
            "o-vendor0001",
            "--backend-profile",
            "vendor",
            "--format",
            "json",
        )
    answer = json.loads(done.out)["answers"][0]

    assert mock.call(mock.ANY, "111111111111", profile="vendor") == read.call_args
    assert "stopped" == answer["state"]
    assert {("backend", "NoOutside"), ("customer", "EnforceOrgIdentities")} == {
        (each["side"], each["sid"]) for each in answer["stops"]
    }


def test_unknown_profile_has_hint(folder: Path) -> None:
    done = guardrails(folder, "--scp", "leaving.json", "--backend-profile", "no-such-profile")

    assert 8 == done.code
    assert "hint:" in done.err


def test_unknown_customer_is_usage_error(folder: Path) -> None:
    done = guardrails(folder, "--scp", "leaving.json", customer="acount2")

    assert 2 == done.code
    assert "account2" in done.err


def test_malformed_policy_is_reported_with_its_place(folder: Path) -> None:
    (folder / "bad.json").write_text('{"Version":\n oops}', "utf-8")
    done = guardrails(folder, "--scp", "bad.json")

    assert 3 == done.code
    assert "bad.json:2:2" in done.err


def test_foreign_strings_do_not_control_terminal(folder: Path) -> None:
    evil = "\x1b[31m\u202e::error::\u2028x"
    body = policy(
        deny(evil, ["s3:*"], [f"arn:aws:s3:::{evil}", "*"], Condition={"StringNotEquals": {"aws:RequestedRegion": evil}})
    )
    (folder / "evil.json").write_text(text(body), "utf-8")
    for output in ("table", "customer", "json"):
        done = guardrails(folder, "--scp", f"{evil[8:]}=evil.json", "--format", output)
        assert 1 == done.code
        assert "\x1b" not in done.out
        assert not re.search("[\u202e\u2028]|^::error", done.out, re.MULTILINE)
