"""The resources and data sources that are understood: their arguments, which of them change access, their ARNs.

Source: AWS provider 3.39 to 6.x documentation, November 2026. An argument that is in no list here is a finding.
"""

from __future__ import annotations

from dataclasses import dataclass

from rolecall_generator.parse.values import BOOL, NUMBER, STRING, Collection, Type

META = frozenset({"for_each", "count", "depends_on"})
"""Arguments of every resource that are understood; `provider` is a finding."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`read`: arguments that are evaluated; `harmless`: arguments that change nothing here; `arn`: its kind in ARNs."""

    read: frozenset[str]
    harmless: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    arn: str | None = None


def _kind(read: str, harmless: str = "", blocks: str = "", arn: str | None = None) -> Kind:
    return Kind(frozenset(read.split()), frozenset(harmless.split()), frozenset(blocks.split()), arn)


KINDS: dict[str, Kind] = {
    "aws_iam_role": _kind(
        "name path description assume_role_policy max_session_duration permissions_boundary tags managed_policy_arns",
        "force_detach_policies",
        "inline_policy",
        "role",
    ),
    "aws_iam_role_policy": _kind("name role policy"),
    "aws_iam_policy": _kind("name path description policy tags", "delay_after_policy_creation_in_ms", arn="policy"),
    "aws_iam_role_policy_attachment": _kind("role policy_arn"),
    "aws_iam_policy_attachment": _kind("name roles users groups policy_arn"),
    "aws_iam_group": _kind("name path", arn="group"),
    "aws_iam_group_policy": _kind("name group policy"),
    "aws_iam_group_policy_attachment": _kind("group policy_arn"),
    "aws_iam_group_membership": _kind("name group users"),
    "aws_iam_user": _kind("name path permissions_boundary tags", "force_destroy", arn="user"),
    "aws_iam_user_policy": _kind("name user policy"),
    "aws_iam_user_policy_attachment": _kind("user policy_arn"),
    "aws_iam_user_group_membership": _kind("user groups"),
    "aws_iam_user_login_profile": _kind("user password_reset_required pgp_key", "password_length"),
    "aws_iam_instance_profile": _kind("name path role tags", arn="instance-profile"),
    "data.aws_iam_policy_document": _kind(
        "version source_policy_documents override_policy_documents source_json override_json", "policy_id", "statement"
    ),
    "data.aws_iam_role": _kind("name", "tags", arn="role"),
    "data.aws_iam_group": _kind("group_name", arn="group"),
    "data.aws_iam_user": _kind("user_name", "tags", arn="user"),
    "data.aws_iam_policy": _kind("arn"),
    "data.aws_caller_identity": _kind(""),
    "data.aws_partition": _kind(""),
}

NAME_ARGUMENT = {"data.aws_iam_group": "group_name", "data.aws_iam_user": "user_name"}
"""Where the name of an existing principal stands, when it is not `name`."""

_SET_OF_STRINGS = Collection("set", STRING)
_LIST_OF_STRINGS = Collection("list", STRING)
ARGUMENT_TYPES: dict[str, Type] = {
    "actions": _SET_OF_STRINGS,
    "force_destroy": BOOL,
    "groups": _SET_OF_STRINGS,
    "identifiers": _SET_OF_STRINGS,
    "managed_policy_arns": _SET_OF_STRINGS,
    "max_session_duration": NUMBER,
    "not_actions": _SET_OF_STRINGS,
    "not_resources": _SET_OF_STRINGS,
    "override_policy_documents": _LIST_OF_STRINGS,
    "password_length": NUMBER,
    "password_reset_required": BOOL,
    "resources": _SET_OF_STRINGS,
    "roles": _SET_OF_STRINGS,
    "source_policy_documents": _LIST_OF_STRINGS,
    "tags": Collection("map", STRING),
    "users": _SET_OF_STRINGS,
    "values": _LIST_OF_STRINGS,
}
"""The types that the provider converts arguments to, by name; all others are strings."""

POLICY_ARGUMENTS = frozenset({"assume_role_policy", "policy"})
"""Arguments whose text the provider writes anew, each version in its own way."""

PROVIDER_SOURCES = frozenset({
    "hashicorp/aws", "registry.terraform.io/hashicorp/aws", "registry.opentofu.org/hashicorp/aws",
})  # fmt: skip
"""Where the AWS provider comes from; any other source runs somebody else's program."""
