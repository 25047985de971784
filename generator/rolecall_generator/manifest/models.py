"""The manifest's models: frozen, strict, every key known. Field descriptions become the JSON Schema's.

These models hold what one entry can say about itself; what entries say about each other (duplicates, references) is
checked in `crosscheck.py`, where both places are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rolecall_generator.iam import quotas
from rolecall_generator.manifest import formats as f

PartitionName = Literal["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"]
TrustStyle = Literal["role-arn", "account-root"]
TagMap = Mapping[f.TagKey, f.TagValue]


class Model(BaseModel):
    """Base of all manifest models: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StatementSpec(Model):
    """One statement of a permission set, in the manifest's words."""

    sid: f.Sid = Field("", description="Statement id: ASCII letters and digits, unique in its permission set.")
    effect: Literal["Allow", "Deny"] = Field("Allow", description="Allow (the default) or Deny.")
    actions: tuple[f.Action, ...] = Field((), description="Actions, as in s3:GetObject.")
    not_actions: tuple[f.Action, ...] = Field((), description="All actions but these (NotAction).")
    resources: tuple[f.PolicyText, ...] = Field((), description="Resource ARNs, or *.")
    not_resources: tuple[f.PolicyText, ...] = Field((), description="All resources but these (NotResource).")
    conditions: Mapping[f.PolicyText, Mapping[f.PolicyText, f.ConditionValue | tuple[f.ConditionValue, ...]]] = Field(
        default_factory=dict, description="Conditions as in IAM: operator, then context key, then a value or a list."
    )


class PermissionSet(Model):
    """A named bundle of permissions that customers and switch roles refer to."""

    description: f.Description = Field("", description="What the set is for; shown to the customer.")
    statements: tuple[StatementSpec, ...] = Field((), description="Statements of the set's own policy.")
    managed_policies: tuple[f.ManagedPolicyName, ...] = Field((), description="Managed policies by name (AWS's own) or ARN.")
    attach: Literal["inline", "managed"] = Field(
        "inline", description="Write the statements as an inline policy of the role, or as a managed policy of its own."
    )


class BackendRole(Model):
    """A role of the backend account that assumes the customers' roles."""

    name: f.RoleName = Field("backend_role", description="The role's name.")
    path: f.Path = Field("/", description="The role's IAM path.")
    existing: bool = Field(True, description="false: rolecall's module creates it with an EC2 instance profile.")
    instance_profile: f.RoleName | None = Field(None, description="Instance profile of a new role; default: its name.")
    permissions_boundary: f.PolicyArn | None = Field(None, description="Permissions boundary of a new role, an ARN.")
    max_session_seconds: f.SessionSeconds = Field(3600, description="Maximum session length of a new role, in seconds.")
    managed_policies: int | None = Field(
        None,
        ge=1,
        le=quotas.ROLE_MANAGED_POLICIES_MAXIMUM,
        description="How many of the role's managed policies rolecall may use; default: quotas.role_managed_policies.",
    )


class Backend(Model):
    """The vendor's one account."""

    account_id: f.AccountId = Field(description="The backend account's id: 12 digits in quotes.")
    role: BackendRole | None = Field(None, description="The one backend role.")
    roles: tuple[BackendRole, ...] = Field((), description="Several backend roles; each customer's trust names one.")
    grant: Literal["explicit", "fixed-role-name"] = Field(
        "explicit",
        description="explicit: every role's ARN. fixed-role-name: one role name in every account, with an account list.",
    )
    policy_prefix: f.RoleName = Field("rolecall-assume-customers", description="Start of the managed policies' names.")
    tags: TagMap = Field(default_factory=dict, description="AWS tags on what the backend module creates.")

    @property
    def all_roles(self) -> tuple[BackendRole, ...]:
        """The backend roles, however many the manifest names; `backend_role` when it names none."""
        return self.roles or (self.role or BackendRole(),)


class Defaults(Model):
    """Values for customers that do not say their own. `tags` and `labels` add up, the customer's own winning."""

    regions: tuple[f.Region, ...] = Field(("us-east-1",), description="Regions that queries ask.")
    permissions: tuple[f.PermissionSetName, ...] = Field((), description="Permission sets granted to every customer.")
    tags: TagMap = Field(default_factory=dict, description="AWS tags on everything that the modules create.")
    labels: TagMap = Field(default_factory=dict, description="Labels for selection; they never leave the vendor.")
    role: f.RoleName = Field("VendorAccess", description="Name of the role in the customers' accounts.")
    path: f.Path = Field("/", description="IAM path of the role in the customers' accounts.")
    max_session_seconds: f.SessionSeconds = Field(3600, description="Maximum session length in seconds.")
    permissions_boundary: f.PolicyArn | None = Field(None, description="Permissions boundary of the roles, an ARN.")
    trust: TrustStyle = Field(
        "role-arn",
        description="role-arn: the trust names the backend role. account-root: the backend account, with aws:PrincipalArn.",
    )
    session_tags: bool = Field(False, description="Let the backend role pass session tags (sts:TagSession).")
    source_identity: bool = Field(False, description="Let the backend role set a source identity.")


class Customer(Model):
    """One customer account that grants the backend role access."""

    name: f.Slug = Field(description="Name of the customer; also its module's folder.")
    account_id: f.AccountId = Field(description="The customer's account id: 12 digits in quotes.")
    role: f.RoleName | None = Field(None, description="The role's name in the customer's account.")
    path: f.Path | None = Field(None, description="The role's IAM path.")
    external_id: f.ExternalId | None = Field(None, description="Made by the vendor, one a customer, never shared.")
    previous_external_id: f.ExternalId | None = Field(None, description="Accepted beside the new one during a rotation.")
    permissions: tuple[f.PermissionSetName, ...] | None = Field(
        None, description="Permission sets, in place of the default."
    )
    backend_role: f.RoleName | None = Field(None, description="The backend role that this customer trusts.")
    regions: tuple[f.Region, ...] | None = Field(None, description="Regions that queries ask.")
    max_session_seconds: f.SessionSeconds | None = Field(None, description="Maximum session length in seconds.")
    permissions_boundary: f.PolicyArn | None = Field(None, description="Permissions boundary of the role, an ARN.")
    trust: TrustStyle | None = Field(None, description="How the trust names the backend role.")
    session_tags: bool | None = Field(None, description="Let the backend role pass session tags.")
    source_identity: bool | None = Field(None, description="Let the backend role set a source identity.")
    tags: TagMap = Field(default_factory=dict, description="AWS tags on what the module creates.")
    labels: TagMap = Field(default_factory=dict, description="Labels for selection; they never leave the vendor.")
    variables: Mapping[str, str] = Field(default_factory=dict, description="Values for queries and plays.")


class AccountRef(Model):
    """One side of a switch role."""

    name: f.Slug = Field(description="Name of the account, for people.")
    account_id: f.AccountId = Field(description="Account id: 12 digits in quotes.")


class SwitchUser(Model):
    """A person who switches roles in the console."""

    name: f.UserName = Field(description="IAM user name.")
    path: f.Path = Field("/", description="IAM path of the user.")
    console_password: bool = Field(False, description="Give the user a first console password, to be changed at sign-in.")
    pgp_key: f.PgpKey | None = Field(None, description="Public PGP key that encrypts the first password.")
    existing: bool = Field(False, description="true: the user exists and is only added to the group.")


class SwitchGroup(Model):
    """The group whose members may switch."""

    name: f.GroupName = Field(description="IAM group name.")
    path: f.Path = Field("/", description="IAM path of the group.")
    existing: bool = Field(False, description="true: the group exists and only gets the policy.")


class SwitchRole(Model):
    """People of the trusted account switch into a role of the trusting account."""

    name: f.Slug = Field(description="Name of this switch role; also its modules' folder.")
    partition: PartitionName | None = Field(None, description="Partition of both accounts; default: the manifest's.")
    trusting: AccountRef = Field(description="The account that has the role.")
    trusted: AccountRef = Field(description="The account where the people are.")
    role: f.RoleName = Field(description="Name of the role in the trusting account.")
    path: f.Path = Field("/", description="IAM path of the role.")
    permissions: tuple[f.PermissionSetName, ...] = Field((), description="Permission sets of the role.")
    group: f.GroupName | SwitchGroup = Field(description="The group of people who may switch: a name, or a mapping.")
    users: tuple[SwitchUser, ...] = Field((), description="The group's members.")
    group_in: Literal["trusted", "trusting"] = Field(
        "trusted", description="Where group and users live. trusting: as in the notes; the role then trusts both accounts."
    )
    trust: Literal["account", "users"] = Field(
        "account", description="account: whom the account lets in. users: the named users alone (aws:PrincipalArn)."
    )
    require_mfa: bool = Field(True, description="Refuse sessions that were signed in without MFA.")
    max_session_seconds: f.SessionSeconds = Field(3600, description="Maximum session length in seconds.")
    permissions_boundary: f.PolicyArn | None = Field(None, description="Permissions boundary of the role, an ARN.")
    policy: f.PolicyName | None = Field(
        None,
        description="Name of the STS policy on the group; default: assume-ROLE. A shared group has one, named by who "
        "creates the group.",
    )
    tags: TagMap = Field(default_factory=dict, description="AWS tags on what the modules create.")
    labels: TagMap = Field(default_factory=dict, description="Labels for selection; they never leave the vendor.")

    @property
    def switch_group(self) -> SwitchGroup:
        """The group, whichever way the manifest wrote it."""
        return self.group if isinstance(self.group, SwitchGroup) else SwitchGroup(name=self.group)


class Quotas(Model):
    """AWS limits that can be raised on request, as they stand in these accounts."""

    role_managed_policies: int = Field(
        quotas.ROLE_MANAGED_POLICIES,
        ge=1,
        le=quotas.ROLE_MANAGED_POLICIES_MAXIMUM,
        description="Managed policies attached to a role.",
    )
    trust_policy_characters: int = Field(
        quotas.TRUST_POLICY_CHARACTERS,
        ge=quotas.TRUST_POLICY_CHARACTERS,
        le=quotas.TRUST_POLICY_CHARACTERS_MAXIMUM,
        description="Characters of a trust policy.",
    )


class Suppression(Model):
    """A rule that is not reported for a subject, with the reason."""

    rule: str = Field(description="The rule's id, as in RC101.")
    subject: str = Field("*", description="Customer or switch role by name; wildcards allowed.")
    reason: str = Field(min_length=1, description="Why this is right here; shown in reports.")

    def covers(self, rule: str, subject: str) -> bool:
        """Whether this entry is about the rule's findings on the subject."""
        return self.rule == rule and fnmatchcase(subject, self.subject)


class Manifest(Model):
    """The whole manifest, includes merged."""

    version: Literal[1] = Field(description="Version of this format: 1.")
    partition: PartitionName = Field("aws", description="Partition of all accounts.")
    backend: Backend | None = Field(None, description="The vendor's backend account; needed when there are customers.")
    permission_sets: Mapping[f.PermissionSetName, PermissionSet] = Field(
        default_factory=dict, description="Permission sets by name."
    )
    defaults: Defaults = Field(default_factory=Defaults, description="Values for customers that do not say their own.")
    include: tuple[str, ...] = Field((), description="Further files, relative to this one: YAML or CSV; wildcards allowed.")
    customers: tuple[Customer, ...] = Field((), description="The customers.")
    switch_roles: tuple[SwitchRole, ...] = Field((), description="Roles that people switch to in the console.")
    quotas: Quotas = Field(default_factory=Quotas, description="Limits that AWS has raised for these accounts.")
    suppress: tuple[Suppression, ...] = Field((), description="Rules not reported, with reasons.")


class IncludedFile(Model):
    """What an included YAML file may hold."""

    permission_sets: Mapping[f.PermissionSetName, PermissionSet] = Field(
        default_factory=dict, description="Permission sets by name, added to the manifest's."
    )
    customers: tuple[Customer, ...] = Field((), description="Customers, added to the manifest's.")
    switch_roles: tuple[SwitchRole, ...] = Field((), description="Switch roles, added to the manifest's.")
