"""A withdrawn permission: the customer is outdated until a verify run has seen the action refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from command_rig import Ended, runner
from onboard_rig import Stage, staged
from rolecall_generator.bundle.build import BundleOptions
from rolecall_generator.bundle.bundles import write_bundles
from rolecall_generator.generate import generate
from rolecall_runner.sandbox.provisioning.provision import AdminClient

ACCOUNT = "418273650912"
MANIFEST = """\
version: 1
backend: {account_id: "284617390551", role: {name: collector, existing: true}}
permission_sets:
  org: {statements: [{actions: ["organizations:DescribeOrganization"], resources: ["*"]}]}
  ec2: {managed_policies: [AmazonEC2ReadOnlyAccess]}
defaults: {permissions: [org, ec2], role: R}
customers: [{name: globex, account_id: "418273650912", external_id: "a283b715c923aac708662105ea321fec"}]
"""


def run(stage: Stage, *arguments: str) -> Ended:
    return runner(*arguments, cwd=stage.folder, environ=dict(stage.environ))


def status(stage: Stage, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(stage, "status", *arguments, "--format", "json").out)["accounts"][0]
    return found


def narrow(stage: Stage, permissions: str = "[ec2]") -> None:
    """Remove the permission set from the manifest and write the module; the customer has not applied it."""
    path = stage.folder / "accounts.yaml"
    path.write_text(path.read_text().replace("permissions: [org, ec2]", f"permissions: {permissions}"))
    generate(path, stage.folder / "output")


def apply(stage: Stage) -> None:
    """Remove the withdrawn inline policy from the customer's role."""
    operator = AdminClient(stage.world.sandbox.url)
    with operator.acting_in(ACCOUNT):
        iam = operator.client("iam")
        for name in iam.list_role_policies(RoleName="R")["PolicyNames"]:
            iam.delete_role_policy(RoleName="R", PolicyName=name)


def test_customer_is_outdated_until_withdrawn_action_is_refused(tmp_path: Path) -> None:
    """Two runs before the apply report the customer as outdated, not as failed; a run after it reports verified."""
    (tmp_path / "m.yaml").write_text(MANIFEST)
    (tmp_path / "fleet").mkdir()
    with staged(tmp_path / "m.yaml", tmp_path / "fleet") as stage:
        assert 0 == run(stage, "verify", "-q").code
        assert "verified" == status(stage)["state"]
        write_bundles(stage.folder / "accounts.yaml", stage.folder / "output", BundleOptions())
        narrow(stage)
        refused = run(stage, "status", "globex", "--handed-over")
        old = status(stage)
        assert "outdated" == old["state"]
        assert (2, True, True) == (refused.code, "gen bundle globex" in refused.err, old["bundle_is_old"])
        for _ in range(2):
            done = run(stage, "verify", "--format", "json")
            verdict = json.loads(done.out)["verdicts"][0]
            found = status(stage)

            assert (1, "failed") == (done.code, verdict["mark"])
            assert ["newer-module-not-applied"] == [each["cause"] for each in verdict["diagnoses"]]
            assert ("outdated", False) == (found["state"], "failed" in found["entry"])
        run(stage, "status", "globex", "--form", "cloudformation")
        message = json.loads(run(stage, "verify", "--format", "json").out)["verdicts"][0]["message"]
        assert ("cloudformation" in message, "terraform" in message.lower()) == (True, False)
        apply(stage)
        assert 0 == run(stage, "verify", "-q").code
        assert "verified" == status(stage)["state"]
