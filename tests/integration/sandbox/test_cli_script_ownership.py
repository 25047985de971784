"""The scripts change only resources that they created, with the AWS CLI on the sandbox."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from aws_cli_rig import Shell
from form_handovers import ACCOUNT, ARN, READ, READ_ONLY, WRITE, handed_over, handover, module_of
from live_iam import read_access
from manifests import manifest_of, notes_manifest
from rolecall_generator.bundle.forms.aws_cli import cli_script_form, owner_of
from rolecall_generator.iam.model import Access, Group, ManagedPolicy, Module, ModuleKind, User
from rolecall_generator.records import OWNER_TAG
from rolecall_runner.rehearsal.rehearsal import account_differences
from rolecall_runner.sandbox.protocol.aws_protocol import OPERATOR_ROLE

pytestmark = pytest.mark.skipif(importlib.util.find_spec("awscli") is None, reason="the AWS CLI is not installed")

CUSTOMER = next(module for module in handed_over(notes_manifest()) if module.path == "customers/account1")
POLICY, GROUP = f"{ARN}:policy/p", f"{ARN}:group/g"
PEOPLE = module_of(
    Access.of(
        ManagedPolicy(POLICY, READ),
        Group(GROUP, attached=frozenset({POLICY})),
        User(f"{ARN}:user/ann", groups=frozenset({GROUP})),
    ),
    kind=ModuleKind.TRUSTED,
)
STRANGER: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "other-vendor"}},
        }
    ],
}
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture
def cli(terminal: Shell) -> Iterator[Shell]:
    yield terminal
    empty(iam(terminal))
    assert Access() == live(terminal)


def iam(cli: Shell) -> Any:
    return cli.rig.administrator(ACCOUNT)


def live(cli: Shell) -> Access:
    return read_access(cli.rig.sandbox.url, ACCOUNT)


def empty(client: Any) -> None:
    """Delete everything in the account."""
    for profile in client.list_instance_profiles()["InstanceProfiles"]:
        name = {"InstanceProfileName": profile["InstanceProfileName"]}
        for role in profile["Roles"]:
            client.remove_role_from_instance_profile(**name, RoleName=role["RoleName"])
        client.delete_instance_profile(**name)
    for user in client.list_users()["Users"]:
        for group in client.list_groups_for_user(UserName=user["UserName"])["Groups"]:
            client.remove_user_from_group(UserName=user["UserName"], GroupName=group["GroupName"])
    for kind, key in (("role", "RoleName"), ("user", "UserName"), ("group", "GroupName")):
        for item in getattr(client, f"list_{kind}s")()[f"{kind.capitalize()}s"]:
            if item[key] != OPERATOR_ROLE:
                delete(client, kind, {key: item[key]})
    for policy in client.list_policies(Scope="Local")["Policies"]:
        client.delete_policy(PolicyArn=policy["Arn"])


def delete(client: Any, kind: str, name: dict[str, str]) -> None:
    """Delete a role, user or group with its policies."""
    for policy in getattr(client, f"list_attached_{kind}_policies")(**name)["AttachedPolicies"]:
        getattr(client, f"detach_{kind}_policy")(**name, PolicyArn=policy["PolicyArn"])
    for inline in getattr(client, f"list_{kind}_policies")(**name)["PolicyNames"]:
        getattr(client, f"delete_{kind}_policy")(**name, PolicyName=inline)
    getattr(client, f"delete_{kind}")(**name)


def script(cli: Shell, name: str, module: Module, *arguments: str) -> Any:
    content = cli_script_form(handover(module))[f"aws-cli/{name}.sh"]
    return cli.run(content, *arguments, account_id=ACCOUNT)


def changes(cli: Shell, module: Module) -> Any:
    return account_differences(Access(), [module.access], live(cli))


def refused(cli: Shell, name: str, module: Module, *arguments: str) -> str:
    """Run a script that must exit with code 1 and change nothing; returns its output."""
    before = live(cli)
    done = script(cli, name, module, *arguments)
    assert (1, "") == (done.returncode, done.stdout), done.stderr
    assert before == live(cli)
    return str(done.stderr)


def test_role_of_another_owner_is_not_changed(cli: Shell) -> None:
    """--adopt takes over the role, but not its attachments; with --exact it becomes the module's role."""
    iam(cli).create_role(RoleName="role1", AssumeRolePolicyDocument=json.dumps(STRANGER))
    iam(cli).attach_role_policy(RoleName="role1", PolicyArn=ADMIN)

    assert "--adopt" in refused(cli, "apply", CUSTOMER)
    assert ADMIN in refused(cli, "apply", CUSTOMER, "--adopt")
    refused(cli, "apply", CUSTOMER, "--exact")
    refused(cli, "remove", CUSTOMER, "--yes")

    done = script(cli, "apply", CUSTOMER, "--adopt", "--exact")
    assert 0 == done.returncode, done.stderr
    assert () == changes(cli, CUSTOMER)
    assert 0 == script(cli, "apply", CUSTOMER).returncode
    assert 0 == script(cli, "remove", CUSTOMER, "--yes").returncode
    assert Access() == live(cli)


def ours(client: Any, trust: dict[str, Any] | None = None, **more: Any) -> None:
    """The role with the script's tag and trust policy."""
    wanted = next(iter(CUSTOMER.access.roles.values()))
    assert wanted.trust is not None
    client.create_role(
        RoleName="role1",
        AssumeRolePolicyDocument=json.dumps(trust or wanted.trust.to_json()),
        Tags=[{"Key": OWNER_TAG, "Value": owner_of(CUSTOMER)}],
        **more,
    )


def with_second_principal(client: Any) -> None:
    wanted = next(iter(CUSTOMER.access.roles.values()))
    assert wanted.trust is not None
    body = wanted.trust.to_json()
    ours(client, {**body, "Statement": [*body["Statement"], STRANGER["Statement"][0]]})


def with_service_besides(client: Any) -> None:
    assert CUSTOMER.customer is not None
    backend = CUSTOMER.customer.backend_role_arn
    statement = {**STRANGER["Statement"][0], "Principal": {"AWS": backend, "Service": "ec2.amazonaws.com"}}
    ours(client, {**STRANGER, "Statement": [statement]})


def with_extra_policy(client: Any) -> None:
    ours(client)
    client.put_role_policy(RoleName="role1", PolicyName="foreign", PolicyDocument=json.dumps(WRITE.to_json()))


def without_mark(client: Any) -> None:
    ours(client)
    client.untag_role(RoleName="role1", TagKeys=[OWNER_TAG])


def with_another_mark(client: Any) -> None:
    ours(client)
    client.tag_role(RoleName="role1", Tags=[{"Key": OWNER_TAG, "Value": "customer-of-another-vendor"}])


def in_a_profile(client: Any) -> None:
    ours(client)
    client.create_instance_profile(InstanceProfileName="x")
    client.add_role_to_instance_profile(InstanceProfileName="x", RoleName="role1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "still_refused"),
    [
        (lambda client: ours(client, STRANGER), []),
        (lambda client: ours(client, {**STRANGER, "Statement": [{**STRANGER["Statement"][0], "Principal": "*"}]}), []),
        (lambda client: ours(client, {**STRANGER, "Statement": STRANGER["Statement"][0]}), []),
        (with_second_principal, []),
        (with_service_besides, []),
        (without_mark, []),
        (with_another_mark, []),
        (with_extra_policy, ["--adopt"]),
        (lambda client: ours(client, PermissionsBoundary=READ_ONLY), ["--adopt", "--exact"]),
        (in_a_profile, ["--adopt", "--exact"]),
        (lambda client: ours(client, Path="/other/"), ["--adopt", "--exact"]),
    ],
    ids=[
        "trust",
        "anybody",
        "statement without a list",
        "second principal",
        "service",
        "no mark",
        "another mark",
        "policy",
        "boundary",
        "profile",
        "path",
    ],
)
def test_changed_role_stops_the_script(cli: Shell, there: Callable[[Any], object], still_refused: list[str]) -> None:
    """Neither the tag nor the trust policy is sufficient; the content of the role is compared as well."""
    there(iam(cli))

    refused(cli, "apply", CUSTOMER)
    if still_refused:
        refused(cli, "apply", CUSTOMER, *still_refused)
    else:
        assert 0 == script(cli, "apply", CUSTOMER, "--adopt").returncode
        assert () == changes(cli, CUSTOMER)


@pytest.mark.slow
def test_update_of_the_same_vendor_is_applied(cli: Shell) -> None:
    """A changed external ID, customer name or session duration is an update, not a role of another owner."""
    assert 0 == script(cli, "apply", CUSTOMER).returncode
    changed = {"name": "other", "external_id": "rotated", "max_session_seconds": 7200, "tags": {"managed-by": "rolecall"}}
    entry = {"account_id": ACCOUNT, "role": "role1", "path": "/", **changed}
    manifest = manifest_of(0, customers=[entry])
    (new,) = (module for module in handed_over(manifest) if module.kind is ModuleKind.CUSTOMER)

    done = script(cli, "apply", new, "--exact")
    assert 0 == done.returncode, done.stderr
    assert () == changes(cli, new)


def group_with(client: Any, *policies: str, member: str | None = None) -> None:
    client.create_group(GroupName="g")
    for policy in policies:
        client.attach_group_policy(GroupName="g", PolicyArn=policy)
    if member:
        client.create_user(UserName=member)
        client.add_user_to_group(GroupName="g", UserName=member)


def policy_with(client: Any, name: str = "p", **more: Any) -> None:
    client.create_policy(PolicyName=name, PolicyDocument=json.dumps(WRITE.to_json()), **more)


def policy_of_others(client: Any) -> None:
    policy_with(client)
    client.create_group(GroupName="others")
    client.attach_group_policy(GroupName="others", PolicyArn=POLICY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "refusals", "accepted"),
    [
        (lambda client: group_with(client, READ_ONLY), [[], ["--adopt"], ["--exact"]], ["--adopt", "--exact"]),
        (lambda client: group_with(client, member="mallory"), [[], ["--adopt"], ["--exact"]], ["--adopt", "--exact"]),
        (group_with, [], []),
        (lambda client: client.create_user(UserName="ann"), [[], ["--adopt"], ["--adopt", "--exact"]], None),
        (policy_with, [[], ["--exact"]], ["--adopt"]),
        (lambda client: policy_with(client, Path="/x/"), [[], ["--adopt"]], None),
        (policy_of_others, [[], ["--adopt"], ["--adopt", "--exact"]], None),
    ],
    ids=["group's policy", "group's member", "empty group", "user", "policy", "policy's path", "policy of others"],
)
def test_foreign_group_policy_or_user_stops_the_script(
    cli: Shell, there: Callable[[Any], object], refusals: list[list[str]], accepted: list[str] | None
) -> None:
    """Members of a foreign group would get the access, holders of a policy its content; a user has credentials."""
    there(iam(cli))

    for options in refusals:
        refused(cli, "apply", PEOPLE, *options)
    if accepted is not None:
        done = script(cli, "apply", PEOPLE, *accepted)
        assert 0 == done.returncode, done.stderr
        assert () == changes(cli, replace(PEOPLE, access=with_bystanders(PEOPLE.access, live(cli))))
        assert 0 == script(cli, "apply", PEOPLE).returncode
        assert 0 == script(cli, "remove", PEOPLE, "--yes").returncode


def with_bystanders(wanted: Access, found: Access) -> Access:
    """The access, plus users that belong neither to it nor to its groups."""
    return replace(wanted, users={**{arn: user for arn, user in found.users.items() if not user.groups}, **wanted.users})


@pytest.mark.slow
def test_extra_group_member_stops_an_update(cli: Shell) -> None:
    """A user added to the group is reported, and removed with --exact."""
    assert 0 == script(cli, "apply", PEOPLE).returncode
    iam(cli).create_user(UserName="mallory")
    iam(cli).add_user_to_group(GroupName="g", UserName="mallory")

    assert "group g, member mallory: " in refused(cli, "apply", PEOPLE)
    assert 0 == script(cli, "apply", PEOPLE, "--exact").returncode
    assert frozenset() == live(cli).users[f"{ARN}:user/mallory"].groups


@pytest.mark.slow
@pytest.mark.parametrize(
    "there",
    [lambda client: group_with(client, READ_ONLY), lambda client: client.create_user(UserName="ann"), policy_with],
    ids=["group", "user", "policy"],
)
def test_foreign_resource_stops_the_removal(cli: Shell, there: Callable[[Any], object]) -> None:
    """Nothing is removed while a resource with one of the names has another owner."""
    there(iam(cli))

    refused(cli, "remove", PEOPLE, "--yes")


@pytest.mark.slow
def test_shared_group_is_not_removed(cli: Shell) -> None:
    shared = replace(PEOPLE, dependents=("ops-dev",))
    assert 0 == script(cli, "apply", shared).returncode

    assert "ops-dev" in refused(cli, "remove", shared, "--yes")
    assert 0 == script(cli, "remove", shared, "--yes", "--shared").returncode
    assert Access() == live(cli)
