"""Resources of a stack changed in place, where CloudFormation interrupts nothing; what it would replace is not offered.

"Update requires" of the resource schemas AWS::IAM::*, CloudFormation registry, November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rolecall_runner.sandbox.stack_iam import StackIam
from rolecall_runner.sandbox.stack_resources import Resource, Undo
from rolecall_runner.sandbox.stack_template import not_offered

Json = Mapping[str, Any]
Calls = Iterator[Undo]


def update(resource: Resource, new: Json, iam: StackIam) -> None:
    """Bring a resource to its new properties. Raises StackCallError, and AwsRefusalError for what is not offered."""
    old = resource.properties
    if new == old:
        return
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    possible = _IN_PLACE.get(resource.kind, {})
    if fixed := changed - possible.keys():
        raise not_offered(f"a new {min(fixed)} for {resource.logical_id} of type {resource.kind}")
    kind = resource.kind.rpartition(":")[2]
    for change in dict.fromkeys(possible[name] for name in sorted(changed)):
        for operation, parameters in change(kind, old, new, iam, resource):
            iam.call(operation, parameters)
    resource.properties = new


_Change = Callable[[str, Json, Json, StackIam, Resource], Calls]


def _trust(_kind: str, _old: Json, new: Json, _iam: StackIam, resource: Resource) -> Calls:
    document = json.dumps(new["AssumeRolePolicyDocument"])
    yield "UpdateAssumeRolePolicy", {"RoleName": resource.physical_id, "PolicyDocument": document}


def _settings(_kind: str, _old: Json, new: Json, _iam: StackIam, resource: Resource) -> Calls:
    wanted = {"Description": new.get("Description", ""), "MaxSessionDuration": new.get("MaxSessionDuration", 3600)}
    yield "UpdateRole", {"RoleName": resource.physical_id, **wanted}


def _boundary(kind: str, _old: Json, new: Json, _iam: StackIam, resource: Resource) -> Calls:
    name = {f"{kind}Name": resource.physical_id}
    if "PermissionsBoundary" in new:
        yield f"Put{kind}PermissionsBoundary", {**name, "PermissionsBoundary": new["PermissionsBoundary"]}
    else:
        yield f"Delete{kind}PermissionsBoundary", name


def _tags(kind: str, old: Json, new: Json, _iam: StackIam, resource: Resource) -> Calls:
    name = {f"{kind}Name": resource.physical_id}
    kept = {tag["Key"] for tag in new.get("Tags", ())}
    if gone := [tag["Key"] for tag in old.get("Tags", ()) if tag["Key"] not in kept]:
        yield f"Untag{kind}", {**name, "TagKeys": gone}
    if kept:
        yield f"Tag{kind}", {**name, "Tags": new["Tags"]}


def _inline(kind: str, old: Json, new: Json, _iam: StackIam, resource: Resource) -> Calls:
    """What goes, goes first: IAM counts the sizes together."""
    had = {policy["PolicyName"]: policy["PolicyDocument"] for policy in old.get("Policies", ())}
    wanted = {policy["PolicyName"]: policy["PolicyDocument"] for policy in new.get("Policies", ())}
    name = {f"{kind}Name": resource.physical_id}
    for policy in had.keys() - wanted.keys():
        yield f"Delete{kind}Policy", {**name, "PolicyName": policy}
    for policy, document in wanted.items():
        if had.get(policy) != document:
            yield f"Put{kind}Policy", {**name, "PolicyName": policy, "PolicyDocument": json.dumps(document)}
            resource.undo.append((f"Delete{kind}Policy", {**name, "PolicyName": policy}))


def _attached(kind: str, old: Json, new: Json, _iam: StackIam, resource: Resource) -> Calls:
    had, wanted = old.get("ManagedPolicyArns", ()), new.get("ManagedPolicyArns", ())
    for arn in had:
        if arn not in wanted:
            yield f"Detach{kind}Policy", {f"{kind}Name": resource.physical_id, "PolicyArn": arn}
    for arn in wanted:
        if arn not in had:
            parameters = {f"{kind}Name": resource.physical_id, "PolicyArn": arn}
            yield f"Attach{kind}Policy", parameters
            resource.undo.append((f"Detach{kind}Policy", parameters))


def _members(_kind: str, old: Json, new: Json, _iam: StackIam, resource: Resource) -> Calls:
    had, wanted, group = old["Users"], new["Users"], {"GroupName": new["GroupName"]}
    for user in had:
        if user not in wanted:
            yield "RemoveUserFromGroup", {"UserName": user, **group}
    for user in wanted:
        if user not in had:
            yield "AddUserToGroup", {"UserName": user, **group}
            resource.undo.append(("RemoveUserFromGroup", {"UserName": user, **group}))


def _document(_kind: str, _old: Json, new: Json, iam: StackIam, resource: Resource) -> Calls:
    """A new version in force; the old ones go, so that the policy can be deleted."""
    arn = {"PolicyArn": resource.physical_id}
    yield "CreatePolicyVersion", {**arn, "PolicyDocument": json.dumps(new["PolicyDocument"]), "SetAsDefault": True}
    for version in iam.call("ListPolicyVersions", arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            yield "DeletePolicyVersion", {**arn, "VersionId": version["VersionId"]}


_PERMISSIONS: Mapping[str, _Change] = {"Policies": _inline, "ManagedPolicyArns": _attached}
_IN_PLACE: Mapping[str, Mapping[str, _Change]] = {
    "AWS::IAM::Role": {
        "AssumeRolePolicyDocument": _trust,
        "Description": _settings,
        "MaxSessionDuration": _settings,
        "PermissionsBoundary": _boundary,
        "Tags": _tags,
        **_PERMISSIONS,
    },
    "AWS::IAM::ManagedPolicy": {"PolicyDocument": _document},
    "AWS::IAM::Group": _PERMISSIONS,
    "AWS::IAM::UserToGroupAddition": {"Users": _members},
    "AWS::IAM::User": {"PermissionsBoundary": _boundary, "Tags": _tags, **_PERMISSIONS},
}
