"""The CloudFormation form: a template with guard, parameters, resources and outputs, and instructions to deploy it.

Properties follow the resource schemas AWS::IAM::Role, ManagedPolicy, Policy, Group, User and UserToGroupAddition
(CloudFormation registry, November 2026). AWS::IAM::RolePolicy, GroupPolicy and UserPolicy do not exist in GovCloud (its user
guide, "AWS CloudFormation", November 2026), so inline policies of existing principals are AWS::IAM::Policy. Managed policies
have no tags. Strings that CloudFormation would interpret, as intrinsic functions or dynamic references, are errors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from rolecall_generator.bundle.forms.interface import (
    BundleForm,
    Files,
    Handover,
    Instructions,
    arn_of,
    policy_body,
    tags_json,
)
from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.iam import (
    PARTITIONS,
    Access,
    Group,
    ManagedPolicy,
    Module,
    ModuleKind,
    PolicyDocument,
    Role,
    User,
)
from rolecall_generator.terraform import render_text
from rolecall_generator.text import sanitize_line

FOLDER = "cloudformation"
# "Console endpoints" of the partitions that document one (AWS, GovCloud and China user guides, November 2026).
_CONSOLE_HOSTS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_NOT_IN_STACK_NAME = re.compile(r"[^A-Za-z0-9-]")


def cloudformation_form(handover: Handover) -> Files:
    """`cloudformation/template.json` and `README.md`; only the README if the module creates nothing.

    Raises CloudFormationError if CloudFormation cannot express the access.
    """
    text = template_text(handover.module, handover.source)
    files = {f"{FOLDER}/README.md": render_text("cloudformation.md", _view(handover, text)).encode()}
    if text is not None:
        files[f"{FOLDER}/template.json"] = text.encode()
    return files


def stack_name(module: Module) -> str:
    """The suggested stack name: letters, digits and hyphens, at most 128."""
    name = _NOT_IN_STACK_NAME.sub("-", module.subject)
    return f"vendor-access-{name}" if module.kind is ModuleKind.CUSTOMER else f"switch-role-{name}-{module.kind}"


def quick_create_link(module: Module, template_url: str) -> str | None:
    """URL of the console's page with template and stack name filled in; None if the partition has no public console.

    A link cannot fill in NoEcho parameters, and the template has no others. Source: "Create quick-create links for stacks",
    CloudFormation user guide, November 2026.
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
        "source": sanitize_line(handover.source),
        "has_template": text is not None,
        "customer": module.kind is ModuleKind.CUSTOMER,
        "guard": GUARD,
        "stack": stack_name(module),
        "region": PARTITIONS[module.partition].default_region,
        "link": quick_create_link(module, handover.template_url) if handover.template_url else None,
        "too_long": text is not None and len(text) > BODY_BYTES,
        "body_bytes": BODY_BYTES,
        "passwords": [{"user": arn_of(user.arn).name, "parameter": part_id("FirstPassword", user.arn)} for user in users],
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
"""Maximum size of a template in a request; a larger one must be in S3 ("CloudFormation quotas", November 2026)."""
_VALUE_OUTPUTS = {
    "external_id": ("ExternalId", "External ID that the vendor must present. Not a secret."),
    "switch_role_url": ("SwitchRoleUrl", "Link that switches the console to the role."),
}

Json = dict[str, Any]


def template_text(module: Module, source: str) -> str | None:
    """The template, or None if the module creates nothing: a template needs at least one resource.

    `source` is the manifest's file name. Raises CloudFormationError, with the module's path, for access that CloudFormation
    cannot express.
    """
    try:
        resources = resources_of(module.access, shared=bool(module.dependents))
    except RolecallError as error:
        raise CloudFormationError(error.what, where=error.where or module.path, hint=error.hint) from error
    if not resources:
        return None
    text = json.dumps(_template(module, source, resources), indent=2) + "\n"
    check_strings(text, module.path)
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
    """A rule that fails in any other account.

    CloudFormation evaluates rules before it creates resources ("CloudFormation template Rules syntax", November 2026). That
    page documents only parameters, but pseudo parameters work: the templates of github.com/mozilla/security are bound to
    their accounts like this, and those of aws-samples/amazon-cloudfront-secure-static-site to a Region (November 2026). An
    assertion's description is a fixed string, so it cannot name the account that was used.
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
    """Parameters for the first console passwords, which the person who deploys chooses; NoEcho hides them.

    CloudFormation cannot encrypt for a PGP key, and a password that it generates would be in an output.
    """
    return {
        part_id("FirstPassword", user.arn): {
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
    """The outputs of the Terraform module, under names that CloudFormation accepts."""
    access = module.access
    outputs: Json = {}
    if module.kind is ModuleKind.TRUSTED:
        outputs["AccountId"] = _output("The trusted account's ID.", {"Ref": "AWS::AccountId"})
    for role in access.roles.values():
        value = role.arn if role.existing else {"Fn::GetAtt": [role_id(role, access), "Arn"]}
        outputs[f"{role_id(role, access)}Arn"] = _output("ARN of the role; send it back.", value)
    for terraform_name, value in module.outputs.items():
        name, description = _VALUE_OUTPUTS[terraform_name]
        outputs[name] = _output(description, value)
    if access.groups:
        group = next(iter(access.groups.values()))
        outputs["GroupName"] = _output(
            "Group whose members may switch to the role.", _name(group, part_id("Group", group.arn))
        )
    if access.users:
        outputs["UserNames"] = _output(
            "Names of the users in the group.",
            {"Fn::Join": [", ", [_name(user, part_id("User", user.arn)) for user in access.users.values()]]},
        )
    return outputs


def _name(part: Group | User, resource: str) -> Json | str:
    return arn_of(part.arn).name if part.existing else {"Ref": resource}


def _output(description: str, value: object) -> Json:
    return {"Description": description, "Value": value}


SINGLE_ROLE = "Role"
"""Logical ID of the role: a module that is handed over has at most one."""
_WORD = re.compile(r"[A-Za-z0-9]+")
# cfn-lint recommends Secrets Manager, a paid resource to remove later, for a password that is valid until the first sign-in.
_PASSWORD_BY_PARAMETER = {"cfn-lint": {"config": {"ignore_checks": ["W1011"]}}}

_ADDITION = "AWS::IAM::UserToGroupAddition"
# With only Retain, a stack whose creation fails would leave resources that block the next attempt.
_RETAINED = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
Holder = Role | Group | User


def resources_of(access: Access, *, shared: bool = False) -> dict[str, Json]:
    """Resources by logical ID, in the order role, policies, group, users.

    `shared`: other switch roles use the group and its users too, so deleting the stack keeps them, see `_retained`.
    Raises CloudFormationError for access without a resource type: a foreign managed policy on an existing principal, and
    instance profiles.
    """
    if access.instance_profiles:
        raise CloudFormationError(
            f"{next(iter(access.instance_profiles))} cannot be part of a template",
            hint="use the Terraform module: it is the only form for the backend account",
        )
    found: dict[str, Json] = {}
    for role in access.roles.values():
        _add(found, _existing(role, access) if role.existing else _role(role, access))
    for policy in access.policies.values():
        _add(found, {part_id("Policy", policy.arn): _policy(policy, access)})
    for group in access.groups.values():
        _add(found, _existing(group, access) if group.existing else _group(group, access))
    for user in access.users.values():
        _add(found, _existing_user(user, access) if user.existing else _user(user, access))
    return _retained(found, access) if shared else found


def _retained(resources: dict[str, Json], access: Access) -> dict[str, Json]:
    """Retain the group, its users and policies when the stack is deleted, and list all members in one more resource.

    CloudFormation does not distinguish between a deleted stack and a resource that a new template version leaves out: both
    are retained. A user who is left out must still lose the access. The list of members is a property, so its update takes
    the user out of the group, while the user itself remains.
    """
    people = {part_id(kind, arn) for kind, parts in (("Group", access.groups), ("User", access.users)) for arn in parts}
    for group in access.groups.values():
        people |= {part_id("Policy", arn) for arn in group.attached & access.policies.keys()}
    found = {
        name: {**resource, **_RETAINED} if name in people or resource["Type"] == _ADDITION else resource
        for name, resource in resources.items()
    }
    for arn in access.groups:
        members: list[Json | str] = [
            arn_of(user.arn).name if user.existing else {"Ref": part_id("User", user.arn)}
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
        raise CloudFormationError(f"two resources would have the logical ID {min(double)}", hint="rename one of them")
    found |= new


def logical_id(kind: str, name: str) -> str:
    """A logical ID of letters and digits that depends only on the name, so that it is stable when other resources change.

    A name with other characters gets a digest, so that IDs are unique: IAM names are not distinguished by case.
    """
    words = _WORD.findall(name)
    plain = "".join(word[0].upper() + word[1:] for word in words)
    return f"{kind}{plain}" if words == [name] else f"{kind}{plain}{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def part_id(kind: str, arn: str) -> str:
    """Logical ID of a policy, group or user, or of the parameter for a user's first console password."""
    return logical_id(kind, arn_of(arn).name)


def role_id(role: Role, access: Access) -> str:
    """Logical ID of a role."""
    return SINGLE_ROLE if len(access.roles) == 1 else part_id("Role", role.arn)


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
    properties |= _permissions(role, access) | tags_json(role.tags)
    return {role_id(role, access): _resource("Role", properties)}


def _policy(policy: ManagedPolicy, access: Access) -> Json:
    arn = arn_of(policy.arn)
    properties: Json = {"ManagedPolicyName": arn.name, "Path": arn.path}
    if policy.description:
        properties["Description"] = policy.description
    properties["PolicyDocument"] = document_json(policy.document)
    # Existing principals are not resources of this stack, so the policy lists them.
    for name, holders in (("Roles", access.roles), ("Groups", access.groups), ("Users", access.users)):
        attached = [each.arn for each in holders.values() if each.existing and policy.arn in each.attached]
        if attached:
            properties[name] = sorted(arn_of(arn).name for arn in attached)
    return _resource("ManagedPolicy", properties)


def _group(group: Group, access: Access) -> dict[str, Json]:
    arn = arn_of(group.arn)
    return {
        part_id("Group", group.arn): _resource(
            "Group", {"GroupName": arn.name, "Path": arn.path} | _permissions(group, access)
        )
    }


def _user(user: User, access: Access) -> dict[str, Json]:
    arn = arn_of(user.arn)
    properties: Json = {"UserName": arn.name, "Path": arn.path}
    if user.console_password is not None:
        required = user.console_password.reset_required
        properties["LoginProfile"] = {
            "Password": {"Ref": part_id("FirstPassword", user.arn)},
            "PasswordResetRequired": required,
        }
    if user.boundary:
        properties["PermissionsBoundary"] = user.boundary
    if user.groups:
        properties["Groups"] = [_group_name(group, access) for group in sorted(user.groups)]
    resource = _resource("User", properties | _permissions(user, access) | tags_json(user.tags))
    if user.console_password is not None:
        resource["Metadata"] = _PASSWORD_BY_PARAMETER
    return {part_id("User", user.arn): resource}


def _existing_user(user: User, access: Access) -> dict[str, Json]:
    """An existing user that is only added to groups: deleting the stack removes the membership, not the user."""
    name = arn_of(user.arn).name
    found = _existing(user, access)
    for group in sorted(user.groups):
        properties = {"GroupName": _group_name(group, access), "Users": [name]}
        added = logical_id("Membership", f"{name}/{arn_of(group).name}")
        found[added] = _resource("UserToGroupAddition", properties)
    return found


def _existing(holder: Holder, access: Access) -> dict[str, Json]:
    """Inline policies of an existing principal; the managed policies of this stack list it themselves."""
    kind, name = type(holder).__name__, arn_of(holder.arn).name
    if foreign := holder.attached - access.policies.keys():
        raise CloudFormationError(
            f"{min(foreign)} cannot be attached to {holder.arn}, which already exists",
            hint="put the statements into a permission set of your own, or use the Terraform module",
        )
    return {
        logical_id("Inline", f"{kind}/{name}/{policy}"): _resource(
            "Policy", {"PolicyName": policy, "PolicyDocument": document_json(document), f"{kind}s": [name]}
        )
        for policy, document in sorted(holder.inline.items())
    }


def _permissions(holder: Holder, access: Access) -> Json:
    found: Json = {}
    if holder.attached:
        found["ManagedPolicyArns"] = [
            {"Ref": part_id("Policy", arn)} if arn in access.policies else arn for arn in sorted(holder.attached)
        ]
    if holder.inline:
        found["Policies"] = [
            {"PolicyName": name, "PolicyDocument": document_json(document)}
            for name, document in sorted(holder.inline.items())
        ]
    return found


def _group_name(arn: str, access: Access) -> Json | str:
    group = access.groups.get(arn)
    return arn_of(arn).name if group is None or group.existing else {"Ref": part_id("Group", arn)}


def _resource(kind: str, properties: Json) -> Json:
    return {"Type": f"AWS::IAM::{kind}", "Properties": properties}


# CloudFormation replaces it in any string of a template, and it cannot be escaped ("Get values stored in other services
# using dynamic references", CloudFormation user guide, November 2026).
DYNAMIC_REFERENCE = "{{resolve:"
_FUNCTION_KEYS = {"Ref", "Condition", "Transform"}
_FUNCTION_PREFIX = "Fn::"


class CloudFormationError(RolecallError):
    """CloudFormation cannot express the access, or a template is not one of rolecall's."""

    exit_code = ExitCode.PLAN


@lru_cache(maxsize=256)  # many customers share their permissions
def document_json(document: PolicyDocument) -> dict[str, Any]:
    """The document as AWS's JSON, which must not be modified.

    Raises CloudFormationError for a condition whose operator or key CloudFormation would interpret as a function, as in
    `{"Ref": ...}`.
    """
    body = policy_body(document)
    for statement in body["Statement"]:
        conditions = statement.get("Condition", {})
        for key in (*conditions, *(key for keys in conditions.values() for key in keys)):
            if key in _FUNCTION_KEYS or key.startswith(_FUNCTION_PREFIX):
                raise CloudFormationError(
                    f"CloudFormation would interpret the condition {key!r} as a function",
                    hint="use a condition operator and a condition key of IAM",
                )
    return body


def check_strings(text: str, where: str) -> None:
    """Raise CloudFormationError if the template contains a dynamic reference, which CloudFormation would replace."""
    if DYNAMIC_REFERENCE in text:
        raise CloudFormationError(
            f"the access contains {DYNAMIC_REFERENCE!r}, which CloudFormation would replace",
            where=where,
            hint=f"write the description, path or policy without {DYNAMIC_REFERENCE!r}",
        )


_APPLY = """\
For accounts without Terraform: a stack that you create in the console, from a link or an uploaded template, and delete in
one step. [cloudformation/](cloudformation/README.md) describes how, also for many accounts at once."""


def _instructions(module: Module) -> Instructions:
    kept = "; group, users and policies of the group are kept" if module.dependents else ""
    return Instructions("With CloudFormation", _APPLY, f"CloudFormation: delete the stack{kept}.")


FORM = BundleForm(FOLDER, cloudformation_form, _instructions, position=2)
