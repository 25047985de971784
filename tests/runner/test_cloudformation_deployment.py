"""CloudFormation templates in an emulator: IAM has the module's access, and a deleted stack leaves no resources."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, given, settings

from cloudformation_emulator import PASSWORD, STACK, Emulator, outputs, running, supported
from cloudformation_reader import as_cloudformation_says
from form_handovers import (
    ACCOUNT,
    ARN,
    READ,
    READ_ONLY,
    TRUST,
    WRITE,
    everything,
    handed_over,
    handover,
    module_of,
    template_of,
)
from manifests import manifest_of, notes_manifest
from rolecall_generator.bundle.forms.cloudformation import cloudformation_form, template_text
from rolecall_generator.bundle.forms.interface import arn_of
from rolecall_generator.iam.difference import Change
from rolecall_generator.iam.model import Access, Group, Module, User
from rolecall_generator.iam.policy import Condition
from rolecall_generator.manifest.models import Manifest
from rolecall_runner.rehearsal.rehearsal import account_differences
from strategies_manifest import manifests

EXAMPLES = {module.path: module for module in handed_over(notes_manifest())}
CUSTOMER = EXAMPLES["customers/account1"]
OTHER_ACCOUNT = "999999999999"
ROTATED = replace(
    TRUST,
    statements=(replace(TRUST.statements[0], conditions=(Condition("StringEquals", "sts:ExternalId", ("id-1", "id-2")),)),),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("ministack")) as emulator:
        yield emulator


@pytest.fixture
def emulator(server: Emulator) -> Emulator:
    """The emulator with empty accounts."""
    server.reset()
    return server


def changes(emulator: Emulator, module: Module, before: Access | None = None) -> tuple[Change, ...]:
    """The differences between the account and its initial state plus the module's access."""
    wanted = as_cloudformation_says(module.access)
    return account_differences(before or Access(), [wanted], emulator.access(module.account.account_id))


def deployable(*, users: tuple[str, ...] = ("ann", "bob"), **role_changes: Any) -> Module:
    """One of each kind that the emulator supports, with every supported property; `role_changes` are fields of the role."""
    access = everything(existing=False)
    (role,) = access.roles.values()
    ann = replace(access.users[f"{ARN}:user/x/ann"], groups=frozenset({f"{ARN}:group/people"}), boundary=None)
    others = [User(f"{ARN}:user/{name}", ann.groups) for name in users if name != "ann"]
    managed = frozenset(access.policies)
    return module_of(
        Access.of(
            *access.policies.values(),
            replace(role, boundary=None, **role_changes),
            ann,
            *others,
            Group(f"{ARN}:group/people", {"write": WRITE}, managed, existing=True),
            User(f"{ARN}:user/zoe", frozenset(), {"write": WRITE}, managed, existing=True),
        )
    )


@pytest.fixture
def existing(emulator: Emulator) -> Access:
    """A group and a user that exist before the stack, each with a policy."""
    iam = emulator.client(ACCOUNT)
    iam.create_group(GroupName="people")
    iam.put_group_policy(GroupName="people", PolicyName="own", PolicyDocument=json.dumps(READ.to_json()))
    iam.create_user(UserName="zoe")
    iam.put_user_policy(UserName="zoe", PolicyName="own", PolicyDocument=json.dumps(READ.to_json()))
    return emulator.access(ACCOUNT)


def test_every_role_template_of_the_examples_is_supported() -> None:
    """Only the module that creates a group is excluded."""
    left_out = [path for path, module in EXAMPLES.items() if not supported(template_of(module))]

    assert ["switch-roles/reena-in-sumesh/trusted"] == left_out


@pytest.mark.parametrize("path", sorted(path for path, module in EXAMPLES.items() if supported(template_of(module))))
def test_stack_creates_and_deletes_access_of_module(emulator: Emulator, path: str) -> None:
    """For the roles of both flows, read back from IAM."""
    module = EXAMPLES[path]
    account_id = module.account.account_id

    assert "CREATE_COMPLETE" == emulator.deploy(account_id, template_of(module))["StackStatus"]
    assert () == changes(emulator, module)

    emulator.delete(account_id)
    assert Access() == emulator.access(account_id)


def test_stack_adds_users_to_existing_group(emulator: Emulator) -> None:
    """For a switch role with an existing group, policies, users and initial passwords are created, and the group is kept."""
    switch_role = {
        "name": "ops",
        "trusting": {"name": "work", "account_id": OTHER_ACCOUNT},
        "trusted": {"name": "hub", "account_id": ACCOUNT},
        "role": "ops",
        "group": {"name": "people", "existing": True},
        "users": [{"name": "ann", "console_password": True}],
    }
    modules = {module.path: module for module in handed_over(manifest_of(switch_roles=[switch_role]))}
    module = modules["switch-roles/ops/trusted"]
    iam = emulator.client(ACCOUNT)
    iam.create_group(GroupName="people")
    before = emulator.access(ACCOUNT)

    assert "CREATE_COMPLETE" == emulator.deploy(ACCOUNT, template_of(module))["StackStatus"]
    assert () == changes(emulator, module, before)

    emulator.delete(ACCOUNT)
    assert before == emulator.access(ACCOUNT)


def test_outputs_have_values_for_the_vendor(emulator: Emulator) -> None:
    """The role ARN is that of the created role."""
    stack = emulator.deploy(ACCOUNT, template_of(CUSTOMER))

    expected = {"RoleArn": f"{ARN}:role/role1", "ExternalId": "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"}
    assert expected == outputs(stack)


def test_nothing_is_created_in_another_account(emulator: Emulator) -> None:
    """The rule fails first and names the account of the template."""
    with pytest.raises(ClientError, match=rf"{ACCOUNT} \(account1\)"):
        emulator.deploy(OTHER_ACCOUNT, template_of(CUSTOMER))

    assert Access() == emulator.access(OTHER_ACCOUNT)
    assert [] == emulator.client(OTHER_ACCOUNT, "cloudformation").describe_stacks()["Stacks"]


def test_documented_stack_set_rule_allows_listed_accounts(emulator: Emulator) -> None:
    """The `Assert` in the README for StackSets allows only the accounts in its list."""
    readme = cloudformation_form(handover(CUSTOMER))["cloudformation/README.md"].decode()
    (guard,) = re.findall(r'^   `(\{"Fn::Contains".*\})`\.$', readme, flags=re.MULTILINE)
    template = json.loads(template_of(CUSTOMER))
    template["Rules"]["RightAccount"]["Assertions"][0]["Assert"] = json.loads(guard.replace("...", "333333333333"))

    for account_id in (ACCOUNT, "333333333333"):
        stack = emulator.deploy(account_id, json.dumps(template))
        assert f"arn:aws:iam::{account_id}:role/role1" == outputs(stack)["RoleArn"]

    with pytest.raises(ClientError) as caught:
        emulator.deploy(OTHER_ACCOUNT, json.dumps(template))
    assert "ValidationError" == caught.value.response["Error"]["Code"]


def test_special_characters_are_preserved_and_existing_principals_kept(emulator: Emulator, existing: Access) -> None:
    """In inline and attached policies and passwords; deleting the stack keeps what existed before."""
    module = deployable()

    assert "CREATE_COMPLETE" == emulator.deploy(ACCOUNT, template_of(module))["StackStatus"]
    assert () == changes(emulator, module, existing)

    emulator.delete(ACCOUNT)
    assert existing == emulator.access(ACCOUNT)


@pytest.mark.usefixtures("existing")
def test_initial_password_is_not_shown(emulator: Emulator) -> None:
    """The parameter is NoEcho: neither the stack nor its resources show the password."""
    stack = emulator.deploy(ACCOUNT, template_of(deployable(users=("ann",))))
    resources = emulator.client(ACCOUNT, "cloudformation").describe_stack_resources(StackName=STACK)

    assert ["****"] == [parameter["ParameterValue"] for parameter in stack["Parameters"]]
    assert PASSWORD not in f"{stack}{resources}"


@pytest.mark.usefixtures("existing")
def test_name_conflict_rolls_back_the_stack(emulator: Emulator) -> None:
    """Resources created before the failure are deleted, and the existing user is unchanged."""
    iam = emulator.client(ACCOUNT)
    iam.create_user(UserName="ann")
    before = emulator.access(ACCOUNT)
    stack = emulator.deploy(ACCOUNT, template_of(deployable()))

    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert before == emulator.access(ACCOUNT)


UPDATES: dict[str, Module] = {
    "a rotated external id": deployable(trust=ROTATED),
    "other permissions": deployable(inline={"read": WRITE, "more": READ}, attached=frozenset({READ_ONLY})),
    "other settings": deployable(description="new", max_session_seconds=3600, tags={"env": "x"}),
    "other people": deployable(users=("ann", "eve")),
}


@pytest.mark.parametrize("module", UPDATES.values(), ids=UPDATES)
def test_update_changes_the_role_in_place(emulator: Emulator, existing: Access, module: Module) -> None:
    """The access becomes that of the new version; the role keeps its unique ID, so roles that trust it still do."""
    iam = emulator.client(ACCOUNT)
    name = next(iter(module.access.roles)).rpartition("/")[2]
    emulator.deploy(ACCOUNT, template_of(deployable()))
    role_id = iam.get_role(RoleName=name)["Role"]["RoleId"]

    assert "UPDATE_COMPLETE" == emulator.update(ACCOUNT, template_of(module))["StackStatus"]
    assert () == changes(emulator, module, existing)
    assert role_id == iam.get_role(RoleName=name)["Role"]["RoleId"]


def test_update_creates_new_version_of_managed_policy(emulator: Emulator, existing: Access) -> None:
    """The policy's ARN and its attachments are kept."""
    access = deployable().access
    (policy,) = access.policies.values()
    module = module_of(replace(access, policies={policy.arn: replace(policy, document=WRITE)}))
    emulator.deploy(ACCOUNT, template_of(deployable()))

    assert "UPDATE_COMPLETE" == emulator.update(ACCOUNT, template_of(module))["StackStatus"]
    assert () == changes(emulator, module, existing)


@pytest.mark.slow
def test_stack_of_any_manifest_has_access_of_module(server: Emulator) -> None:
    """For generated names, descriptions, tags, paths and policies; a complete stack can be deleted."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=30,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(manifests())
    def deployed(values: dict[str, Any]) -> None:
        for module in handed_over(Manifest.model_validate(values)):
            text = template_text(module, "accounts.yaml")
            seen[deploy_and_delete(server, module, text) if text and supported(text) else "left out"] += 1

    deployed()

    assert seen["CREATE_COMPLETE"] >= 10, seen
    assert seen.keys() <= {"CREATE_COMPLETE", "left out"}


def deploy_and_delete(server: Emulator, module: Module, text: str) -> str:
    """Check the account's access after creation and after deletion of the stack; returns the status of the creation."""
    server.reset()
    account_id = module.account.account_id
    iam = server.client(account_id)
    for group in (group for group in module.access.groups.values() if group.existing):
        iam.create_group(GroupName=arn_of(group.arn).name, Path=arn_of(group.arn).path)
    before = server.access(account_id)
    status = str(server.deploy(account_id, text)["StackStatus"])
    if status == "CREATE_COMPLETE":
        assert () == changes(server, module, before)
        server.delete(account_id)
    assert before == server.access(account_id)
    return status
