"""One module's access as CloudFormation resources.

Properties: resource schemas AWS::IAM::Role, ManagedPolicy, Policy, Group, User and UserToGroupAddition, CloudFormation
registry, November 2026. AWS::IAM::RolePolicy, GroupPolicy and UserPolicy do not exist in GovCloud (its user guide, "AWS
CloudFormation", November 2026), so inline policies of existing principals are AWS::IAM::Policy. A managed policy takes no
tags there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from rolecall_generator.handover.forms.cloudformation_documents import CloudFormationError, document_json, policy_json
from rolecall_generator.iam.access import Access, Group, ManagedPolicy, Role, User
from rolecall_generator.iam.arn import Arn, parse_arn

SINGLE_ROLE = "Role"
"""Logical id of the role: every module that is handed over has one at most."""
_WORD = re.compile(r"[A-Za-z0-9]+")
# cfn-lint would have the password in Secrets Manager: one more thing to pay and to remove, for a password that lives until
# the first sign-in.
_PASSWORD_BY_PARAMETER = {"cfn-lint": {"config": {"ignore_checks": ["W1011"]}}}

_ADDITION = "AWS::IAM::UserToGroupAddition"
# With Retain alone a stack that could not be created would leave what stands in the way of the next attempt.
_RETAINED = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}

Json = dict[str, Any]
Holder = Role | Group | User


def resources_of(access: Access, *, shared: bool = False) -> dict[str, Json]:
    """Resources by logical id, in the order in which people read them: role, policies, group, users.

    `shared`: other switch roles need the group and its users too, so deleting the stack leaves them, see `_retained`.
    Raises CloudFormationError for what has no resource: somebody else's managed policy on a principal that exists already,
    and instance profiles.
    """
    if access.instance_profiles:
        raise CloudFormationError(
            f"{next(iter(access.instance_profiles))} has no place in a template",
            mend="apply the Terraform module: it is the only form of the backend account",
        )
    found: dict[str, Json] = {}
    for role in access.roles.values():
        _add(found, _existing(role, access) if role.existing else _role(role, access))
    for policy in access.policies.values():
        _add(found, {policy_id(policy): _policy(policy, access)})
    for group in access.groups.values():
        _add(found, _existing(group, access) if group.existing else _group(group, access))
    for user in access.users.values():
        _add(found, _existing_user(user, access) if user.existing else _user(user, access))
    return _retained(found, access) if shared else found


def _retained(resources: dict[str, Json], access: Access) -> dict[str, Json]:
    """The resources, those of people retained when the stack is deleted, and all members of a group in one resource more.

    CloudFormation retains what is deleted with its stack and what a new version of the template leaves out, without telling
    them apart. A person who is left out must lose the access all the same: the list of members is a property, so its update
    takes the person out of the group, while the user stays.
    """
    people = {*map(group_id, access.groups), *map(user_id, access.users)}
    for group in access.groups.values():
        people |= {policy_id(access.policies[arn]) for arn in group.attached & access.policies.keys()}
    found = {
        name: {**resource, **_RETAINED} if name in people or resource["Type"] == _ADDITION else resource
        for name, resource in resources.items()
    }
    for arn in access.groups:
        members: list[Json | str] = [
            arn_of(user.arn).name if user.existing else {"Ref": user_id(user.arn)}
            for user in access.users.values()
            if arn in user.groups
        ]
        if members:
            properties = {"GroupName": _group_name(arn, access), "Users": members}
            addition = _resource("UserToGroupAddition", properties)
            _add(found, {logical_id("Members", arn_of(arn).name): {**addition, **_RETAINED}})
    return found


def _add(found: dict[str, Json], new: Mapping[str, Json]) -> None:
    if double := found.keys() & new.keys():
        raise CloudFormationError(f"two resources would have the logical id {min(double)}", mend="rename one of them")
    found |= new


def arn_of(text: str) -> Arn:
    """The parts of an ARN. Raises ValueError for a text that is none."""
    parsed = parse_arn(text)
    if parsed is None:
        raise ValueError(f"{text} is not an ARN")
    return parsed


def logical_id(kind: str, name: str) -> str:
    """A logical id that depends on the name alone, so that it stays when others come and go: letters and digits.

    Names with other signs carry a digest, so that no two ever meet: IAM tells no names apart by case alone.
    """
    words = _WORD.findall(name)
    plain = "".join(word[0].upper() + word[1:] for word in words)
    return f"{kind}{plain}" if words == [name] else f"{kind}{plain}{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def policy_id(policy: ManagedPolicy) -> str:
    """Logical id of a managed policy."""
    return logical_id("Policy", arn_of(policy.arn).name)


def group_id(arn: str) -> str:
    """Logical id of a group."""
    return logical_id("Group", arn_of(arn).name)


def user_id(arn: str) -> str:
    """Logical id of a user."""
    return logical_id("User", arn_of(arn).name)


def role_id(role: Role, access: Access) -> str:
    """Logical id of a role."""
    return SINGLE_ROLE if len(access.roles) == 1 else logical_id("Role", arn_of(role.arn).name)


def password_id(user: User) -> str:
    """Name of the parameter that takes a user's first console password."""
    return logical_id("FirstPassword", arn_of(user.arn).name)


def _role(role: Role, access: Access) -> dict[str, Json]:
    arn = arn_of(role.arn)
    if role.trust is None:
        raise ValueError(f"{role.arn} has no trust policy")
    properties: Json = {"RoleName": arn.name, "Path": arn.path}
    if role.description:
        properties["Description"] = role.description
    properties["AssumeRolePolicyDocument"] = document_json(role.trust)
    properties["MaxSessionDuration"] = role.max_session_seconds
    if role.boundary:
        properties["PermissionsBoundary"] = role.boundary
    properties |= _permissions(role, access) | _tags(role.tags)
    return {role_id(role, access): _resource("Role", properties)}


def _policy(policy: ManagedPolicy, access: Access) -> Json:
    arn = arn_of(policy.arn)
    properties: Json = {"ManagedPolicyName": arn.name, "Path": arn.path}
    if policy.description:
        properties["Description"] = policy.description
    properties["PolicyDocument"] = policy_json(policy.document)
    # Onto principals that exist already: they are no resources of this stack, so the policy names them.
    for name, holders in (("Roles", access.roles), ("Groups", access.groups), ("Users", access.users)):
        if names := _names(holder for holder in holders.values() if holder.existing and policy.arn in holder.attached):
            properties[name] = names
    return _resource("ManagedPolicy", properties)


def _group(group: Group, access: Access) -> dict[str, Json]:
    arn = arn_of(group.arn)
    return {group_id(group.arn): _resource("Group", {"GroupName": arn.name, "Path": arn.path} | _permissions(group, access))}


def _user(user: User, access: Access) -> dict[str, Json]:
    arn = arn_of(user.arn)
    properties: Json = {"UserName": arn.name, "Path": arn.path}
    if user.console_password is not None:
        required = user.console_password.reset_required
        properties["LoginProfile"] = {"Password": {"Ref": password_id(user)}, "PasswordResetRequired": required}
    if user.boundary:
        properties["PermissionsBoundary"] = user.boundary
    if user.groups:
        properties["Groups"] = [_group_name(group, access) for group in sorted(user.groups)]
    resource = _resource("User", properties | _permissions(user, access) | _tags(user.tags))
    if user.console_password is not None:
        resource["Metadata"] = _PASSWORD_BY_PARAMETER
    return {user_id(user.arn): resource}


def _existing_user(user: User, access: Access) -> dict[str, Json]:
    """A user that is only added to groups: the stack takes the membership away again, never the user."""
    name = arn_of(user.arn).name
    found = _existing(user, access)
    for group in sorted(user.groups):
        properties = {"GroupName": _group_name(group, access), "Users": [name]}
        added = logical_id("Membership", f"{name}/{arn_of(group).name}")
        found[added] = _resource("UserToGroupAddition", properties)
    return found


def _existing(holder: Holder, access: Access) -> dict[str, Json]:
    """The inline policies that a principal gets that exists already; own managed policies name it themselves."""
    kind, name = type(holder).__name__, arn_of(holder.arn).name
    if foreign := holder.attached - access.policies.keys():
        raise CloudFormationError(
            f"{min(foreign)} cannot be attached to {holder.arn}, which exists already",
            mend="put the statements into a permission set of your own, or apply the Terraform module",
        )
    return {
        logical_id("Inline", f"{kind}/{name}/{policy}"): _resource(
            "Policy", {"PolicyName": policy, "PolicyDocument": policy_json(document), f"{kind}s": [name]}
        )
        for policy, document in sorted(holder.inline.items())
    }


def _permissions(holder: Holder, access: Access) -> Json:
    found: Json = {}
    if holder.attached:
        found["ManagedPolicyArns"] = [
            {"Ref": policy_id(access.policies[arn])} if arn in access.policies else arn for arn in sorted(holder.attached)
        ]
    if holder.inline:
        found["Policies"] = [
            {"PolicyName": name, "PolicyDocument": policy_json(document)} for name, document in sorted(holder.inline.items())
        ]
    return found


def _group_name(arn: str, access: Access) -> Json | str:
    group = access.groups.get(arn)
    return arn_of(arn).name if group is None or group.existing else {"Ref": group_id(arn)}


def _names(holders: Iterable[Holder]) -> list[str]:
    return sorted(arn_of(holder.arn).name for holder in holders)


def _tags(tags: Mapping[str, str]) -> Json:
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]} if tags else {}


def _resource(kind: str, properties: Json) -> Json:
    return {"Type": f"AWS::IAM::{kind}", "Properties": properties}
