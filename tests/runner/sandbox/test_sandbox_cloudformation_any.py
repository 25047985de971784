"""Any manifest's templates in the sandbox: a stack is the module's access, or IAM refuses it and nothing stands."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from form_handovers import handed_over
from live_iam import read_access
from rolecall_generator.handover.cloudformation_reader import as_cloudformation_says
from rolecall_generator.handover.forms.cloudformation_template import template_text
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.module import Module
from rolecall_generator.manifest.models import Manifest
from sandbox_rig import Rig, running
from stack_rig import changes, deploy
from strategies_manifest import manifests


@pytest.mark.slow
def test_a_stack_is_the_modules_access_or_nothing() -> None:
    """Hostile names, descriptions, tags, paths and policies; what is no policy to IAM is rolled back in IAM's words."""
    seen: Counter[str] = Counter()
    with running() as rig:

        @settings(
            max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        )  # fmt: skip
        @given(manifests())
        def deployed(values: dict[str, Any]) -> None:
            for module in handed_over(Manifest.model_validate(values)):
                text = template_text(module, "accounts.yaml")
                seen[deployed_and_removed(rig, module, text) if text else "nothing to make"] += 1

        deployed()

    assert {"CREATE_COMPLETE"} <= seen.keys() <= {"CREATE_COMPLETE", "ROLLBACK_COMPLETE", "nothing to make"}


def deployed_and_removed(rig: Rig, module: Module, text: str) -> str:
    """The stack's status; the account is empty again."""
    account_id = module.account.account_id
    client = rig.administrator(account_id, "cloudformation")
    stack = deploy(client, text)
    if stack["StackStatus"] == "CREATE_COMPLETE":
        assert () == changes(rig, module, Access(), as_cloudformation_says(module.access))
        client.delete_stack(StackName="stack")
        assert Access() == read_access(rig.sandbox.url, account_id)
    else:
        # A group that should exist does not, in an account where nothing stands.
        missing = any(group.existing for group in module.access.groups.values())
        refusals = ("(MalformedPolicyDocument)", *(["(NoSuchEntity)"] if missing else []))
        assert stack["StackStatusReason"].endswith(refusals), stack
        assert Access() == read_access(rig.sandbox.url, account_id)
        client.delete_stack(StackName="stack")
    return str(stack["StackStatus"])
