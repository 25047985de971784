"""The state file of the sandbox, and other files in its place."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from rolecall_runner.sandbox.protocol.aws_protocol import SandboxError
from rolecall_runner.sandbox.server.server import Sandbox
from sandbox_rig import BACKEND, CUSTOMER, TARGET, VENDOR, allow, running, service_trust, trust


def test_accounts_are_restored_from_state_file(tmp_path: Path) -> None:
    """IAM, buckets with objects, and trust between accounts are restored, and can be used."""
    file = tmp_path / "state" / "accounts.bin"
    with running() as rig:
        rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        rig.role(CUSTOMER, "target", trust(BACKEND), main=allow("s3:*"))
        rig.administrator(CUSTOMER).attach_role_policy(
            RoleName="target", PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
        )
        s3 = rig.administrator(CUSTOMER, "s3")
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="greeting", Body=b"hello")
        vpcs = rig.administrator(CUSTOMER, "ec2").describe_vpcs()["Vpcs"]
        rig.sandbox.save(file)

    with running() as again:
        again.sandbox.restore(file)
        session = again.assume(again.sandbox.instance_credentials(BACKEND), TARGET)
        body = again.client("s3", session).get_object(Bucket="kept", Key="greeting")["Body"].read()

        assert b"hello" == body
        assert vpcs == again.client("ec2", session).describe_vpcs()["Vpcs"]
        assert {VENDOR, CUSTOMER} == again.sandbox.accounts
        assert 0o600 == file.stat().st_mode & 0o777


class Trap:
    """A pickle that runs code when it is loaded."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('the file ran code')",)


def foreign_files() -> dict[str, bytes]:
    """Files that are not a sandbox state."""
    from importlib.metadata import version  # noqa: PLC0415 - only used here

    def head(**changes: Any) -> bytes:
        usual = {"mark": "rolecall sandbox state", "form": 1, "moto": version("moto"), "accounts": []}
        return json.dumps(usual | changes).encode() + b"\n"

    return {
        "empty": b"",
        "something else": b"\x7fELF",
        "another moto": head(moto="1.0") + pickle.dumps({}),
        "cut off": head() + pickle.dumps({"iam": {}})[:-3],
        "hostile": head() + pickle.dumps({"iam": Trap()}),
    }


@pytest.mark.parametrize("content", foreign_files().values(), ids=foreign_files())
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """No code in it is run."""
    file = tmp_path / "state"
    file.write_bytes(content)

    with Sandbox() as sandbox, pytest.raises(SandboxError, match="cannot restore the sandbox state"):
        sandbox.restore(file)
