"""The CloudFormation form: the same access as a template, with the ways to deploy it.

One module as a CloudFormation template: guard, parameters, resources, outputs.

One module's access as CloudFormation resources. Properties: resource schemas AWS::IAM::Role, ManagedPolicy, Policy,
Group, User and UserToGroupAddition, CloudFormation registry, November 2026. AWS::IAM::RolePolicy, GroupPolicy and
UserPolicy do not exist in GovCloud (its user guide, "AWS CloudFormation", November 2026), so inline policies of
existing principals are AWS::IAM::Policy. A managed policy takes no tags there.

Policy documents and texts as CloudFormation takes them: nothing in them may be read as one of its functions.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from rolecall_generator.bundle.forms.interface import Files, Handover
from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.iam import (
    PARTITIONS,
    Access,
    Arn,
    Group,
    ManagedPolicy,
    Module,
    ModuleKind,
    PolicyDocument,
    Role,
    User,
    parse_arn,
)
from rolecall_generator.terraform import render_text
from rolecall_generator.text import one_line

FOLDER = "cloudformation"
# "Console endpoints" of the partitions that document one (AWS, GovCloud and China user guides, November 2026).
_CONSOLE_HOSTS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_NOT_IN_STACK_NAME = re.compile(r"[^A-Za-z0-9-]")


def cloudformation_form(handover: Handover) -> Files:
    """`cloudformation/template.json` and `README.md`; the README alone where nothing is made in the account.

    Raises CloudFormationError when CloudFormation cannot say the access.
    """
    text = template_text(handover.module, handover.source)
    files = {f"{FOLDER}/README.md": render_text("cloudformation.md", _view(handover, text)).encode()}
    if text is not None:
        files[f"{FOLDER}/template.json"] = text.encode()
    return files


def stack_name(module: Module) -> str:
    """The stack's proposed name: letters, digits and hyphens, 128 at most."""
    name = _NOT_IN_STACK_NAME.sub("-", module.subject)
    return f"vendor-access-{name}" if module.kind is ModuleKind.CUSTOMER else f"switch-role-{name}-{module.kind}"


def quick_create_link(module: Module, template_url: str) -> str | None:
    """The console's page with template and stack name filled in; None where the console's host is not public.

    Parameters with NoEcho cannot be filled in by a link, and there are no others. Source: "Create quick-create links for
    stacks", CloudFormation user guide, November 2026.
    """
    host = _CONSOLE_HOSTS.get(module.partition)
    if host is None:
        return None
    region = PARTITIONS[module.partition].default_region
    query = urlencode({"templateURL": template_url, "stackName": stack_name(module)}, quote_via=quote, safe="")
    return f"https://{host}/cloudformation/home?region={region}#/stacks/create/review?{query}"


def _view(handover: Handover, text: str | None) -> dict[str, Any]:
    module = handover.module
    access = module.access
    users = [user for user in access.users.values() if user.console_password is not None and not user.existing]
    return {
        "account": module.account,
        "source": one_line(handover.source),
        "has_template": text is not None,
        "customer": module.kind is ModuleKind.CUSTOMER,
        "guard": GUARD,
        "stack": stack_name(module),
        "region": PARTITIONS[module.partition].default_region,
        "link": quick_create_link(module, handover.template_url) if handover.template_url else None,
        "too_long": text is not None and len(text) > BODY_BYTES,
        "body_bytes": BODY_BYTES,
        "passwords": [{"user": arn_of(user.arn).name, "parameter": password_id(user)} for user in users],
        "pgp": any(user.console_password is not None and user.console_password.pgp_key for user in users),
        "tagged": sorted((policy.arn, sorted(policy.tags.items())) for policy in access.policies.values() if policy.tags),
        "role_first": module.customer is not None and module.customer.trusts_role,
        "boundaries": sorted({role.boundary for role in access.roles.values() if role.boundary}),
        "seconds": max((role.max_session_seconds for role in access.roles.values()), default=0),
        "has_role": bool(access.roles),
        "external_ids": module.customer.external_ids if module.customer is not None else (),
        "dependents": module.dependents,
        "switch_url": module.kind is ModuleKind.TRUSTING,
    }


GUARD = "RightAccount"
FORMAT_VERSION = "2010-09-09"
BODY_BYTES = 51_200
"""Longest template that is sent with the call; a longer one must lie in S3. ("CloudFormation quotas", November 2026.)"""
_VALUE_OUTPUTS = {
    "external_id": ("ExternalId", "External id that the vendor must present. Not a secret."),
    "switch_role_url": ("SwitchRoleUrl", "Link that switches the console to the role."),
}

Json = dict[str, Any]


def template_text(module: Module, source: str) -> str | None:
    """The template, or None when nothing is made in the account: a template must have a resource.

    `source` is the manifest's file name. Raises CloudFormationError for what CloudFormation cannot say, with the module's
    path in it.
    """
    try:
        resources = resources_of(module.access, shared=bool(module.dependents))
    except RolecallError as error:
        raise CloudFormationError(error.what, where=error.where or module.path, hint=error.hint) from error
    if not resources:
        return None
    text = json.dumps(_template(module, source, resources), indent=2) + "\n"
    check_texts(text, module.path)
    return text


def _template(module: Module, source: str, resources: Json) -> Json:
    account = module.account
    template: Json = {
        "AWSTemplateFormatVersion": FORMAT_VERSION,
        "Description": f"Access in account {account.account_id} ({account.name}). Generated by rolecall from {source}.",
        "Rules": {GUARD: _guard(module)},
    }
    if parameters := _parameters(module):
        template["Parameters"] = parameters
    return template | {"Resources": resources, "Outputs": _outputs(module)}


def _guard(module: Module) -> Json:
    """Rules are looked at before anything is made ("CloudFormation template Rules syntax", November 2026).

    The page shows parameters alone, but pseudo parameters work: the templates of github.com/mozilla/security are bound to
    their accounts so, and those of aws-samples/amazon-cloudfront-secure-static-site to a Region (both read November 2026).
    A rule's text can name no account but its own.
    """
    account = module.account
    return {
        "Assertions": [
            {
                "Assert": {"Fn::Equals": [{"Ref": "AWS::AccountId"}, account.account_id]},
                "AssertDescription": f"Wrong account: this template belongs to {account.account_id} ({account.name}). "
                f"Use credentials of {account.account_id}.",
            }
        ]
    }


def _parameters(module: Module) -> Json:
    """The first console passwords: chosen by who applies, shown by no one (NoEcho), in no file.

    CloudFormation cannot encrypt for a PGP key, and a password that it makes itself would stand in an output.
    """
    return {
        password_id(user): {
            "Type": "String",
            "NoEcho": True,
            "MinLength": 8,
            "MaxLength": 128,
            "Description": f"First console password of {arn_of(user.arn).name}"
            + (", to be changed at the first sign-in." if user.console_password.reset_required else "."),
        }
        for user in module.access.users.values()
        if user.console_password is not None and not user.existing
    }


def _outputs(module: Module) -> Json:
    """What the Terraform module puts out, under the names that CloudFormation takes."""
    access = module.access
    outputs: Json = {}
    if module.kind is ModuleKind.TRUSTED:
        outputs["AccountId"] = _output("The trusted account's id.", {"Ref": "AWS::AccountId"})
    for role in access.roles.values():
        value = role.arn if role.existing else {"Fn::GetAtt": [role_id(role, access), "Arn"]}
        outputs[f"{role_id(role, access)}Arn"] = _output("ARN of the role; send it back.", value)
    for terraform_name, value in module.outputs.items():
        name, description = _VALUE_OUTPUTS[terraform_name]
        outputs[name] = _output(description, value)
    if access.groups:
        group = next(iter(access.groups.values()))
        outputs["GroupName"] = _output("Group whose members may switch to the role.", _name(group, group_id(group.arn)))
    if access.users:
        outputs["UserNames"] = _output("Names of the users in the group.", _joined(access.users.values()))
    return outputs


def _joined(users: Iterable[User]) -> Json:
    return {"Fn::Join": [", ", [_name(user, user_id(user.arn)) for user in users]]}


def _name(part: Group | User, resource: str) -> Json | str:
    return arn_of(part.arn).name if part.existing else {"Ref": resource}


def _output(description: str, value: object) -> Json:
    return {"Description": description, "Value": value}


SINGLE_ROLE = "Role"
"""Logical id of the role: every module that is handed over has one at most."""
_WORD = re.compile(r"[A-Za-z0-9]+")
# cfn-lint would have the password in Secrets Manager: one more thing to pay and to remove, for a password that lives until
# the first sign-in.
_PASSWORD_BY_PARAMETER = {"cfn-lint": {"config": {"ignore_checks": ["W1011"]}}}

_ADDITION = "AWS::IAM::UserToGroupAddition"
# With Retain alone a stack that could not be created would leave what stands in the way of the next attempt.
_RETAINED = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
Holder = Role | Group | User


def resources_of(access: Access, *, shared: bool = False) -> dict[str, Json]:
    """Resources by logical id, in the order in which people read them: role, policies, group, users.

    `shared`: other switch roles need the group and its users too, so deleting the stack leaves them, see `_retained`.
    Raises CloudFormationError for what has no resource: someone else's managed policy on a principal that exists already,
    and instance profiles.
    """
    if access.instance_profiles:
        raise CloudFormationError(
            f"{next(iter(access.instance_profiles))} has no place in a template",
            hint="apply the Terraform module: it is the only form of the backend account",
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
        raise CloudFormationError(f"two resources would have the logical id {min(double)}", hint="rename one of them")
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
            hint="put the statements into a permission set of your own, or apply the Terraform module",
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


# What CloudFormation replaces inside any text of a template, with no way to escape it ("Get values stored in other services
# using dynamic references", CloudFormation user guide, November 2026).
DYNAMIC_REFERENCE = "{{resolve:"
_FUNCTION_KEYS = {"Ref", "Condition", "Transform"}
_FUNCTION_PREFIX = "Fn::"


class CloudFormationError(RolecallError):
    """The access cannot be said in CloudFormation, or a template is not one of ours."""

    exit_code = ExitCode.PLAN


@lru_cache(maxsize=256)
def policy_json(document: PolicyDocument) -> dict[str, Any]:
    """`document_json` of permissions, which many customers share: do not change what comes."""
    return document_json(document)


def document_json(document: PolicyDocument) -> dict[str, Any]:
    """The document as AWS's JSON.

    Empty statement ids are left out: IAM refuses two that are equal, and an empty one is one. Raises CloudFormationError for
    a condition whose operator or key CloudFormation would take for a function, as in `{"Ref": ...}`.
    """
    body = document.to_json()
    for statement in body["Statement"]:
        if not statement["Sid"]:
            del statement["Sid"]
        for key in _condition_keys(statement.get("Condition", {})):
            if key in _FUNCTION_KEYS or key.startswith(_FUNCTION_PREFIX):
                raise CloudFormationError(
                    f"CloudFormation takes the condition {key!r} for one of its functions",
                    hint="name a condition operator and a condition key of IAM",
                )
    return body


def _condition_keys(conditions: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    for operator, keys in conditions.items():
        yield operator
        yield from keys


def check_texts(text: str, where: str) -> None:
    """Raise CloudFormationError when the template's text has what CloudFormation would replace by a stored secret."""
    if DYNAMIC_REFERENCE in text:
        raise CloudFormationError(
            f"a text of the access holds {DYNAMIC_REFERENCE!r}: CloudFormation would put another value in its place",
            where=where,
            hint=f"write the description, path or policy without {DYNAMIC_REFERENCE!r}",
        )
