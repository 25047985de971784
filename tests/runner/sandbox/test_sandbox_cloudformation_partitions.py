"""Our templates in the sandboxes of other partitions."""

from __future__ import annotations

import pytest

from form_handovers import ACCOUNT, handed_over
from manifests import notes_manifest
from rolecall_generator.iam.module import Module
from sandbox_rig import running, service_trust
from stack_rig import deploy, outputs, template_of


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_other_partitions_deploy_too(region: str) -> None:
    """The same template with the partition's own ARNs, in that partition's sandbox."""
    partition = {"cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"}[region]
    manifest = notes_manifest().model_copy(update={"partition": partition})
    module: Module = next(module for module in handed_over(manifest) if module.path == "customers/account1")
    with running(region=region) as rig:
        rig.role("111111111111", "backend_role", service_trust("ec2.amazonaws.com"))
        stack = deploy(rig.administrator(ACCOUNT, "cloudformation"), template_of(module))

        assert {"RoleArn": f"arn:{partition}:iam::{ACCOUNT}:role/role1"} == {"RoleArn": outputs(stack)["RoleArn"]}
