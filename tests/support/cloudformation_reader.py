"""Converts a template written by rolecall to the access model, to compare it with the module's access.

Only what rolecall writes is accepted. Any other section, resource type, property or function is an error with its location,
so nothing in a template can be overlooked.
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
SECTIONS = {"AWSTemplateFormatVersion", "Description", "Rules", "Parameters", "Resources", "Outputs"}
_RESOURCE_KEYS = {"Type", "Properties", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
_HOLDERS = {"Roles": "role", "Groups": "group", "Users": "user"}

Json = Mapping[str, Any]


def read_template(text: str, *, partition: str, existing: Iterable[str] = ()) -> Access:
    """The access that a template makes in the account that it is bound to.

    `existing`: ARNs of principals that already exist; the template has only their names, and one that is not in
    `existing` gets the path `/`. Raises CloudFormationError, with the location, for anything that rolecall does not write.
    """
    template = parse_template(text)
    account_id = guarded_account(template.get("Rules"))
    reader = _Reader(account_id, partition, resources_of(template), template.get("Parameters", {}), tuple(existing))
    return reader.access()


def as_cloudformation_says(access: Access) -> Access:
    """The access as CloudFormation can express it: managed policies without tags, initial passwords without PGP keys."""
    return replace(
        access,
        policies={arn: replace(policy, tags={}) for arn, policy in access.policies.items()},
        users={arn: replace(user, console_password=_without_key(user)) for arn, user in access.users.items()},
    )


def _without_key(user: User) -> ConsolePassword | None:
    return replace(user.console_password, pgp_key=None) if user.console_password else None


@dataclass(slots=True)
class _Reader:
    """Converts one template to an Access: first the resources, then references to existing principals."""

    account_id: str
    partition: str
    resources: dict[str, dict[str, Any]]
    parameters: Json
    existing: tuple[str, ...]
    parts: dict[str, Role | ManagedPolicy | Group | User] = field(default_factory=dict)

    def access(self) -> Access:
        for name, resource in self.resources.items():
            properties = dict(resource["Properties"])
            make = _MAKERS.get(resource["Type"])
            if make is None:
                raise refused(f"Resources.{name}", f"the type {resource['Type']}")
            make(self, properties, f"Resources.{name}")
            if properties:
                raise refused(f"Resources.{name}", f"the property {min(properties)}")
        return Access.of(*self.parts.values())

    def role(self, properties: dict[str, Any], where: str) -> None:
        arn = self._named("AWS::IAM::Role", properties, where)
        trust = self._document(properties.pop("AssumeRolePolicyDocument", None), where)
        seconds = properties.pop("MaxSessionDuration", None)
        if not isinstance(seconds, int):
            raise refused(where, "the session length")
        self._put(
            Role(
                arn,
                trust=trust,
                **self._permissions(properties, where),
                boundary=self._optional(properties, "PermissionsBoundary", where),
                max_session_seconds=seconds,
                description=self._optional(properties, "Description", where) or "",
                tags=tags_of(properties, where),
            )
        )

    def policy(self, properties: dict[str, Any], where: str) -> None:
        arn = self._named("AWS::IAM::ManagedPolicy", properties, where)
        document = self._document(properties.pop("PolicyDocument", None), where)
        self._put(ManagedPolicy(arn, document, self._optional(properties, "Description", where) or ""))
        for holder in self._holders(properties, where):
            self._change(holder, attached=holder.attached | {arn})

    def group(self, properties: dict[str, Any], where: str) -> None:
        self._put(Group(self._named("AWS::IAM::Group", properties, where), **self._permissions(properties, where)))

    def user(self, properties: dict[str, Any], where: str) -> None:
        self._put(
            User(
                self._named("AWS::IAM::User", properties, where),
                groups=frozenset(self._group(value, where) for value in properties.pop("Groups", ())),
                **self._permissions(properties, where),
                console_password=self._password(properties.pop("LoginProfile", None), where),
                boundary=self._optional(properties, "PermissionsBoundary", where),
                tags=tags_of(properties, where),
            )
        )

    def inline(self, properties: dict[str, Any], where: str) -> None:
        name, document = self._inline(properties, where)
        for holder in self._holders(properties, where):
            self._change(holder, inline={**holder.inline, name: document})

    def membership(self, properties: dict[str, Any], where: str) -> None:
        group = self._group(properties.pop("GroupName", None), where)
        for value in properties.pop("Users", ()):
            user = self._user(value, where)
            if isinstance(user, User):
                self._change(user, groups=user.groups | {group})

    def _user(self, value: Any, where: str) -> Role | ManagedPolicy | Group | User:
        """A user of this template by reference, or one that exists already by name."""
        if not isinstance(value, Mapping):
            return self._existing("user", text_of(value, where))
        arn = self._arn_of(reference_of(value, where), "AWS::IAM::User", where)
        if arn not in self.parts:
            raise refused(where, "a member that comes later in the template")
        return self.parts[arn]

    def _put(self, part: Role | ManagedPolicy | Group | User) -> None:
        if part.arn in self.parts:
            raise CloudFormationError(f"{part.arn} is made twice", where="Resources", hint="generate the template again")
        self.parts[part.arn] = part

    def _change(self, holder: Role | Group | User, **changes: Any) -> None:
        self.parts[holder.arn] = replace(holder, **changes)

    def _holders(self, properties: dict[str, Any], where: str) -> list[Role | Group | User]:
        return [
            self._existing(kind, text_of(name, where))
            for property_, kind in _HOLDERS.items()
            for name in properties.pop(property_, ())
        ]

    def _existing(self, kind: str, name: str) -> Role | Group | User:
        """An existing principal, as far as it is known so far. Names are unique in an account."""
        for type_, (word, property_) in _KINDS.items():
            made = [item["Properties"] for item in self.resources.values() if word == kind and item["Type"] == type_]
            if any(properties.get(property_) == name for properties in made):
                raise refused(name, "a name in the place of a reference")
        known = [arn for arn in self.existing if arn.rpartition("/")[2] == name and f":{kind}/" in arn]
        arn = known[0] if known else iam_arn(self.partition, self.account_id, kind, "/", name)
        if arn not in self.parts:
            new: dict[str, Role | Group | User] = {
                "role": Role(arn, trust=None, existing=True),
                "group": Group(arn, existing=True),
                "user": User(arn, existing=True),
            }
            self.parts[arn] = new[kind]
        found = self.parts[arn]
        if isinstance(found, ManagedPolicy):
            raise refused(arn, "a policy in the place of a principal")
        return found

    def _named(self, kind: str, properties: dict[str, Any], where: str) -> str:
        word, name = _KINDS[kind]
        path = text_of(properties.pop("Path", None), where)
        return iam_arn(self.partition, self.account_id, word, path, text_of(properties.pop(name, None), where))

    def _arn_of(self, logical_id: str, kind: str, where: str) -> str:
        """ARN of a resource of the template, of the only kind permitted here."""
        resource = self.resources.get(logical_id)
        if resource is None or resource["Type"] != kind:
            raise refused(where, f"the reference to {logical_id}")
        return self._named(kind, dict(resource["Properties"]), where)

    def _group(self, value: Any, where: str) -> str:
        if isinstance(value, Mapping):
            return self._arn_of(reference_of(value, where), "AWS::IAM::Group", where)
        return self._existing("group", text_of(value, where)).arn

    def _permissions(self, properties: dict[str, Any], where: str) -> dict[str, Any]:
        attached = [
            self._arn_of(reference_of(value, where), "AWS::IAM::ManagedPolicy", where)
            if isinstance(value, Mapping)
            else policy_arn_of(value, where)
            for value in properties.pop("ManagedPolicyArns", ())
        ]
        inline = dict(self._inline(dict(item), where) for item in properties.pop("Policies", ()))
        return {"attached": frozenset(attached), "inline": inline}

    def _inline(self, properties: dict[str, Any], where: str) -> tuple[str, PolicyDocument]:
        name = text_of(properties.pop("PolicyName", None), where)
        return name, self._document(properties.pop("PolicyDocument", None), where)

    def _document(self, value: Any, where: str) -> PolicyDocument:
        try:
            document = PolicyDocument.from_json(value)
        except (ValueError, AttributeError, TypeError) as error:
            raise refused(where, f"the policy document ({error})") from error
        # Rendered again it must be equal: no function was read as a string.
        if document_json(document) != value:
            raise refused(where, "the policy document's form")
        return document

    def _password(self, value: Any, where: str) -> ConsolePassword | None:
        if value is None:
            return None
        if not isinstance(value, Mapping) or value.keys() != {"Password", "PasswordResetRequired"}:
            raise refused(where, "the login profile")
        parameter = self.parameters.get(reference_of(value["Password"], where), {})
        if parameter.get("NoEcho") is not True or "Default" in parameter:
            raise refused(where, "a password that is shown")
        return ConsolePassword(reset_required=value["PasswordResetRequired"] is True)

    def _optional(self, properties: dict[str, Any], name: str, where: str) -> str | None:
        return text_of(properties.pop(name), where) if name in properties else None


_MAKERS = {
    "AWS::IAM::Role": _Reader.role,
    "AWS::IAM::ManagedPolicy": _Reader.policy,
    "AWS::IAM::Policy": _Reader.inline,
    "AWS::IAM::Group": _Reader.group,
    "AWS::IAM::User": _Reader.user,
    "AWS::IAM::UserToGroupAddition": _Reader.membership,
}


def parse_template(text: str) -> Json:
    """The template's sections, none of them unknown. Raises CloudFormationError."""
    try:
        template = json.loads(text, object_pairs_hook=_once)
    except ValueError as error:
        raise CloudFormationError(f"it is not JSON: {error}", where="the template", hint="generate it again") from error
    if not isinstance(template, Mapping):
        raise refused("the template", "it as a whole")
    if unknown := template.keys() - SECTIONS:
        raise refused("the template", f"the section {min(unknown)}")
    if template.get("AWSTemplateFormatVersion") != FORMAT_VERSION:
        raise refused("the template", "its format version")
    # Rendered again, so that no escape hides anything.
    check_strings(json.dumps(template), "the template")
    return template


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with unique keys: a second one would hide the first."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice in one object")
    return found


def refused(where: str, what: str) -> CloudFormationError:
    """The error for content that rolecall does not write; `where` is its location in the template."""
    return CloudFormationError(f"{what} is nothing that rolecall writes", where=where, hint="generate the template again")


def guarded_account(rules: Any) -> str:
    """The account that the guard binds the template to."""
    try:
        (rule,) = rules.items()
        (assertion,) = rule[1]["Assertions"]
        reference, account_id = assertion["Assert"]["Fn::Equals"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise refused("Rules", "the guard") from error
    whole = {"Assertions": [{"Assert": {"Fn::Equals": [reference, account_id]}, **_description(assertion)}]}
    if rule != (GUARD, whole) or reference != {"Ref": "AWS::AccountId"} or not isinstance(account_id, str):
        raise refused("Rules", "the guard")
    return account_id


def _description(assertion: Json) -> dict[str, Any]:
    return {key: value for key, value in assertion.items() if key == "AssertDescription"}


def resources_of(template: Json) -> dict[str, dict[str, Any]]:
    """Type and properties by logical ID."""
    found = template.get("Resources")
    if not isinstance(found, Mapping):
        raise refused("the template", "a template without resources")
    for name, resource in found.items():
        if not isinstance(resource, Mapping) or not {"Type", "Properties"} <= resource.keys() <= _RESOURCE_KEYS:
            raise refused(f"Resources.{name}", "the resource's form")
        if not isinstance(resource["Properties"], Mapping):
            raise refused(f"Resources.{name}", "the properties' form")
    return dict(found)


def text_of(value: Any, where: str) -> str:
    """A plain string: no function, no number."""
    if not isinstance(value, str):
        raise refused(where, f"{json.dumps(value)[:80]} in the place of a text")
    return value


def reference_of(value: Any, where: str) -> str:
    """The name in `{"Ref": name}`."""
    if not isinstance(value, Mapping) or value.keys() != {"Ref"}:
        raise refused(where, f"{json.dumps(value)[:80]} in the place of a reference")
    return text_of(value["Ref"], where)


def policy_arn_of(value: Any, where: str) -> str:
    """ARN of a managed policy that is not a resource of the template."""
    arn = text_of(value, where)
    if Arn.parse(arn) is None:
        raise refused(where, f"{arn} in the place of an ARN")
    return arn


def tags_of(properties: dict[str, Any], where: str) -> dict[str, str]:
    """The tags among a resource's properties, taken out of them."""
    found: dict[str, str] = {}
    for tag in properties.pop("Tags", ()):
        if not isinstance(tag, Mapping) or tag.keys() != {"Key", "Value"}:
            raise refused(where, "a tag's form")
        found[text_of(tag["Key"], where)] = text_of(tag["Value"], where)
    return found
