"""Converts a template written by rolecall to the access model, to compare it with the module's access.

Only what rolecall writes is accepted: any other section, resource type, property or function is an error, so that nothing in
a template is overlooked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rolecall_generator.bundle.forms.cloudformation import (
    FORMAT_VERSION,
    GUARD,
    CloudFormationError,
    check_strings,
    document_json,
)
from rolecall_generator.iam.arn import Arn, iam_arn
from rolecall_generator.iam.model import Access, ConsolePassword, Group, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import PolicyDocument

_KINDS = {
    "AWS::IAM::Role": ("role", "RoleName"),
    "AWS::IAM::ManagedPolicy": ("policy", "ManagedPolicyName"),
    "AWS::IAM::Group": ("group", "GroupName"),
    "AWS::IAM::User": ("user", "UserName"),
}
"""Resource types that are principals or policies: kind in ARNs, property of the name."""
_SECTIONS = {"AWSTemplateFormatVersion", "Description", "Rules", "Parameters", "Resources", "Outputs"}
_RESOURCE_KEYS = {"Type", "Properties", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
_HOLDERS = {"Roles": "role", "Groups": "group", "Users": "user"}


class TemplateError(Exception):
    """A template has content that rolecall does not write."""


def read_template(text: str, *, partition: str, existing: Iterable[str] = ()) -> Access:
    """The access that a template makes in the account that it is bound to.

    `existing`: ARNs of principals that already exist; the template has only their names, and one that is not in
    `existing` gets the path `/`. Raises TemplateError for anything that rolecall does not write.
    """
    try:
        template = json.loads(text, object_pairs_hook=_once)
        assert template.keys() <= _SECTIONS, template.keys() - _SECTIONS
        assert template["AWSTemplateFormatVersion"] == FORMAT_VERSION
        check_strings(json.dumps(template), "the template")  # encoded again, so that no escape hides anything
        account_id, parameters = _guarded_account(template["Rules"]), template.get("Parameters", {})
        return _Reader(account_id, partition, template["Resources"], parameters, tuple(existing)).access()
    except (AssertionError, AttributeError, CloudFormationError, LookupError, TypeError, ValueError) as error:
        raise TemplateError(f"{type(error).__name__}: {error}") from error


def as_cloudformation_says(access: Access) -> Access:
    """The access as CloudFormation can express it: managed policies without tags, initial passwords without PGP keys."""
    return replace(
        access,
        policies={arn: replace(policy, tags={}) for arn, policy in access.policies.items()},
        users={arn: replace(user, console_password=_without_key(user)) for arn, user in access.users.items()},
    )


def _without_key(user: User) -> ConsolePassword | None:
    return replace(user.console_password, pgp_key=None) if user.console_password else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with unique keys: a second one would hide the first."""
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


def _guarded_account(rules: Any) -> str:
    """The account that the guard binds the template to."""
    ((name, rule),) = rules.items()
    (assertion,) = rule["Assertions"]
    _, account_id = assertion["Assert"]["Fn::Equals"]
    expected = {"Fn::Equals": [{"Ref": "AWS::AccountId"}, _string(account_id)]}
    assert (name, rule.keys(), assertion["Assert"]) == (GUARD, {"Assertions"}, expected)
    assert assertion.keys() == {"Assert", "AssertDescription"}
    return str(account_id)


def _string(value: Any) -> str:
    """A plain string: no function, no number."""
    assert isinstance(value, str), value
    return value


def _reference(value: Any) -> str:
    """The name in `{"Ref": name}`."""
    assert value.keys() == {"Ref"}, value
    return _string(value["Ref"])


def _tags(properties: dict[str, Any]) -> dict[str, str]:
    found = {}
    for tag in properties.pop("Tags", ()):
        assert tag.keys() == {"Key", "Value"}
        found[_string(tag["Key"])] = _string(tag["Value"])
    return found


def _document(value: Any) -> PolicyDocument:
    document = PolicyDocument.from_json(value)
    assert document_json(document) == value  # no function was read as a string
    return document


def _optional(properties: dict[str, Any], name: str) -> str | None:
    return _string(properties.pop(name)) if name in properties else None


@dataclass(slots=True)
class _Reader:
    """Converts the resources of one template to an Access, in their order."""

    account_id: str
    partition: str
    resources: dict[str, dict[str, Any]]
    parameters: Mapping[str, Any]
    existing: tuple[str, ...]
    parts: dict[str, Any] = field(default_factory=dict)

    def access(self) -> Access:
        for resource in self.resources.values():
            assert {"Type", "Properties"} <= resource.keys() <= _RESOURCE_KEYS
            properties = dict(resource["Properties"])
            _MAKERS[resource["Type"]](self, properties)
            assert not properties, properties  # each property is taken by its maker
        return Access.of(*self.parts.values())

    def role(self, properties: dict[str, Any]) -> None:
        seconds = properties.pop("MaxSessionDuration")
        assert isinstance(seconds, int)
        self._put(
            Role(
                self._named("AWS::IAM::Role", properties),
                trust=_document(properties.pop("AssumeRolePolicyDocument")),
                **self._permissions(properties),
                boundary=_optional(properties, "PermissionsBoundary"),
                max_session_seconds=seconds,
                description=_optional(properties, "Description") or "",
                tags=_tags(properties),
            )
        )

    def policy(self, properties: dict[str, Any]) -> None:
        arn = self._named("AWS::IAM::ManagedPolicy", properties)
        document = _document(properties.pop("PolicyDocument"))
        self._put(ManagedPolicy(arn, document, _optional(properties, "Description") or ""))
        for holder in self._holders(properties):
            self._change(holder, attached=holder.attached | {arn})

    def group(self, properties: dict[str, Any]) -> None:
        self._put(Group(self._named("AWS::IAM::Group", properties), **self._permissions(properties)))

    def user(self, properties: dict[str, Any]) -> None:
        self._put(
            User(
                self._named("AWS::IAM::User", properties),
                groups=frozenset(map(self._group, properties.pop("Groups", ()))),
                **self._permissions(properties),
                console_password=self._password(properties.pop("LoginProfile", None)),
                boundary=_optional(properties, "PermissionsBoundary"),
                tags=_tags(properties),
            )
        )

    def inline(self, properties: dict[str, Any]) -> None:
        name, document = _string(properties.pop("PolicyName")), _document(properties.pop("PolicyDocument"))
        for holder in self._holders(properties):
            self._change(holder, inline={**holder.inline, name: document})

    def membership(self, properties: dict[str, Any]) -> None:
        group = self._group(properties.pop("GroupName"))
        for value in properties.pop("Users"):
            # A user of this template by reference, or one that exists already by name.
            known = isinstance(value, Mapping)
            user = self.parts[self._arn_of(value, "AWS::IAM::User")] if known else self._existing("user", value)
            self._change(user, groups=user.groups | {group})

    def _put(self, part: Role | ManagedPolicy | Group | User) -> None:
        assert part.arn not in self.parts
        self.parts[part.arn] = part

    def _change(self, holder: Any, **changes: Any) -> None:
        self.parts[holder.arn] = replace(holder, **changes)

    def _holders(self, properties: dict[str, Any]) -> list[Any]:
        return [self._existing(kind, name) for key, kind in _HOLDERS.items() for name in properties.pop(key, ())]

    def _existing(self, kind: str, name: Any) -> Any:
        """An existing principal, as far as it is known so far. Names are unique in an account."""
        made = {
            (_KINDS[item["Type"]][0], item["Properties"].get(_KINDS[item["Type"]][1]))
            for item in self.resources.values()
            if item["Type"] in _KINDS
        }
        assert (kind, _string(name)) not in made  # a resource of the template is referenced
        known = [arn for arn in self.existing if arn.rpartition("/")[2] == name and f":{kind}/" in arn]
        arn = known[0] if known else iam_arn(self.partition, self.account_id, kind, "/", name)
        new = {
            "role": Role(arn, trust=None, existing=True),
            "group": Group(arn, existing=True),
            "user": User(arn, existing=True),
        }
        return self.parts.setdefault(arn, new[kind])

    def _named(self, kind: str, properties: dict[str, Any]) -> str:
        word, name = _KINDS[kind]
        path = _string(properties.pop("Path"))
        return iam_arn(self.partition, self.account_id, word, path, _string(properties.pop(name)))

    def _arn_of(self, value: Any, kind: str) -> str:
        """ARN of a referenced resource of the template, of the only kind permitted here."""
        resource = self.resources[_reference(value)]
        assert resource["Type"] == kind
        return self._named(kind, dict(resource["Properties"]))

    def _group(self, value: Any) -> str:
        known = isinstance(value, Mapping)
        return self._arn_of(value, "AWS::IAM::Group") if known else str(self._existing("group", value).arn)

    def _permissions(self, properties: dict[str, Any]) -> dict[str, Any]:
        attached, inline = [], {}
        for value in properties.pop("ManagedPolicyArns", ()):
            assert isinstance(value, Mapping) or Arn.parse(_string(value)) is not None
            attached.append(self._arn_of(value, "AWS::IAM::ManagedPolicy") if isinstance(value, Mapping) else value)
        for item in properties.pop("Policies", ()):
            assert item.keys() == {"PolicyName", "PolicyDocument"}
            inline[_string(item["PolicyName"])] = _document(item["PolicyDocument"])
        return {"attached": frozenset(attached), "inline": inline}

    def _password(self, value: Any) -> ConsolePassword | None:
        if value is None:
            return None
        assert value.keys() == {"Password", "PasswordResetRequired"}
        parameter = self.parameters[_reference(value["Password"])]
        assert parameter["NoEcho"] is True
        assert "Default" not in parameter
        return ConsolePassword(reset_required=value["PasswordResetRequired"] is True)


_MAKERS = {
    "AWS::IAM::Role": _Reader.role,
    "AWS::IAM::ManagedPolicy": _Reader.policy,
    "AWS::IAM::Policy": _Reader.inline,
    "AWS::IAM::Group": _Reader.group,
    "AWS::IAM::User": _Reader.user,
    "AWS::IAM::UserToGroupAddition": _Reader.membership,
}
