"""CloudFormation's IAM resources as calls to IAM: what makes each one, and what takes it away.

Properties and return values: resource schemas of AWS::IAM::*, CloudFormation registry, November 2026. moto 5.2.5 is not used
for it: its CloudFormation has no groups, memberships and login profiles, drops users' tags and boundaries and roles'
attachments, looks at no rules, writes past IAM's checks, and takes 3 s and 150 MB to import.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall_runner.sandbox.stack_iam import StackCallError, StackIam

Json = Mapping[str, Any]
Undo = tuple[str, Mapping[str, Any]]
"""An IAM operation and its parameters."""

_GONE = "NoSuchEntity"


@dataclass(slots=True)
class Resource:
    """One resource of a stack: what Ref and Fn::GetAtt give, the calls that take it away, last made first, and the
    properties that it was made from (not printed: a password may be in them).
    """

    logical_id: str
    kind: str
    physical_id: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    undo: list[Undo] = field(default_factory=list)
    properties: Json = field(default_factory=dict, repr=False)


def make(resource: Resource, properties: Json, iam: StackIam) -> None:
    """Make a resource; as far as it was made, `undo` takes it away. Raises StackCallError."""
    resource.properties = properties
    _Maker(resource, iam, dict(properties)).make()


def take_away(resource: Resource, iam: StackIam) -> None:
    """Take a resource away; what is gone already is fine. Raises StackCallError."""
    while resource.undo:
        operation, parameters = resource.undo[-1]
        try:
            iam.call(operation, parameters)
        except StackCallError as error:
            if error.code != _GONE:
                raise
        resource.undo.pop()


def known_kind(kind: str) -> bool:
    """Whether the sandbox makes resources of this type."""
    return kind in _MAKERS


@dataclass(slots=True)
class _Maker:
    resource: Resource
    iam: StackIam
    properties: dict[str, Any]

    def make(self) -> None:
        _MAKERS[self.resource.kind](self)

    def role(self) -> None:
        name = {"RoleName": self._name("RoleName")}
        wanted = self._only("Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "Tags")
        trust = {"AssumeRolePolicyDocument": _text(self.properties["AssumeRolePolicyDocument"])}
        made = self._do("CreateRole", name | trust | wanted, "DeleteRole", name)["Role"]
        self._is(made["RoleName"], Arn=made["Arn"], RoleId=made["RoleId"])
        self._permissions("Role", name)

    def managed_policy(self) -> None:
        wanted = self._only("Path", "Description") | {"PolicyDocument": _text(self.properties["PolicyDocument"])}
        arn = self.iam.call("CreatePolicy", {"PolicyName": self._name("ManagedPolicyName")} | wanted)["Policy"]["Arn"]
        self.resource.undo.append(("DeletePolicy", {"PolicyArn": arn}))
        self._is(arn, PolicyArn=arn)
        for kind, name in self._targets():
            parameters = {f"{kind}Name": name, "PolicyArn": arn}
            self._do(f"Attach{kind}Policy", parameters, f"Detach{kind}Policy", parameters)

    def inline_policy(self) -> None:
        self._is(self.resource.logical_id)
        for kind, name in self._targets():
            self._inline(kind, {f"{kind}Name": name}, self.properties)

    def group(self) -> None:
        name = {"GroupName": self._name("GroupName")}
        made = self._do("CreateGroup", name | self._only("Path"), "DeleteGroup", name)["Group"]
        self._is(made["GroupName"], Arn=made["Arn"])
        self._permissions("Group", name)

    def user(self) -> None:
        name = {"UserName": self._name("UserName")}
        wanted = self._only("Path", "PermissionsBoundary", "Tags")
        made = self._do("CreateUser", name | wanted, "DeleteUser", name)["User"]
        self._is(made["UserName"], Arn=made["Arn"])
        self._permissions("User", name)
        if profile := self.properties.get("LoginProfile"):
            self._do("CreateLoginProfile", name | dict(profile), "DeleteLoginProfile", name)
        for group in self.properties.get("Groups", ()):
            self._member(name["UserName"], group)

    def membership(self) -> None:
        self._is(self.resource.logical_id)
        for user in self.properties["Users"]:
            self._member(user, self.properties["GroupName"])

    def _member(self, user: str, group: str) -> None:
        parameters = {"UserName": user, "GroupName": group}
        self._do("AddUserToGroup", parameters, "RemoveUserFromGroup", parameters)

    def _permissions(self, kind: str, name: Json) -> None:
        for policy in self.properties.get("Policies", ()):
            self._inline(kind, name, policy)
        for arn in self.properties.get("ManagedPolicyArns", ()):
            parameters = {**name, "PolicyArn": arn}
            self._do(f"Attach{kind}Policy", parameters, f"Detach{kind}Policy", parameters)

    def _inline(self, kind: str, name: Json, policy: Json) -> None:
        named = {**name, "PolicyName": policy["PolicyName"]}
        document = {"PolicyDocument": _text(policy["PolicyDocument"])}
        self._do(f"Put{kind}Policy", named | document, f"Delete{kind}Policy", named)

    def _do(self, operation: str, parameters: Json, undo: str, undo_parameters: Json) -> Any:
        answer = self.iam.call(operation, parameters)
        self.resource.undo.append((undo, undo_parameters))
        return answer

    def _targets(self) -> Iterator[tuple[str, str]]:
        for kind in ("Role", "Group", "User"):
            yield from ((kind, name) for name in self.properties.get(f"{kind}s", ()))

    def _name(self, property_: str) -> str:
        # Real stacks make a name up where none is given; ours always give one.
        return str(self.properties[property_])

    def _only(self, *names: str) -> dict[str, Any]:
        return {name: self.properties[name] for name in names if name in self.properties}

    def _is(self, physical_id: str, **attributes: str) -> None:
        self.resource.physical_id = physical_id
        self.resource.attributes |= attributes


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)


_MAKERS: Mapping[str, Callable[[_Maker], None]] = {
    "AWS::IAM::Role": _Maker.role,
    "AWS::IAM::ManagedPolicy": _Maker.managed_policy,
    "AWS::IAM::Policy": _Maker.inline_policy,
    "AWS::IAM::Group": _Maker.group,
    "AWS::IAM::User": _Maker.user,
    "AWS::IAM::UserToGroupAddition": _Maker.membership,
}
