r"""The manifest's models: frozen, strict, unknown keys refused. Field descriptions appear in the JSON Schema.

A model validates one entry on its own; duplicates and references between entries are checked in `validation.py`.

Patterns of names and IDs: botocore 1.44.5 service models (iam, sts), November 2026; full match, ASCII only. `\w` is
written out because pydantic's regular expressions (Rust) match Unicode with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rolecall_generator.iam import ACCOUNT_ID_PATTERN, quotas
from rolecall_generator.iam.catalog import REGION_PATTERN

_NAME = r"^[A-Za-z0-9_+=,.@-]+$"
_PATH = r"^(/|/[\x21-\x7E]+/)$"
_EXTERNAL_ID = r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$"
_SLUG = r"^[A-Za-z][A-Za-z0-9._-]*$"
_LABEL = r"^[A-Za-z][A-Za-z0-9_-]*$"
_TAG = r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$"
_ACTION = r"^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$"
_POLICY_TEXT = r"^[\x20-\x7E\xA1-\xFF]+$"
_CONDITION_VALUE = r"^[\x20-\x7E\xA1-\xFF]*$"
_DESCRIPTION = r"^[\t\n\r\x20-\x7E\xA1-\xFF]*$"
_MANAGED_POLICY = r"^(arn:[a-z-]+:iam::([0-9]{12}|aws):policy/)?[A-Za-z0-9_+=,.@/-]+$"
_POLICY_ARN = r"^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/([\x21-\x7E]+/)?[A-Za-z0-9_+=,.@-]+$"
_SID = r"^[A-Za-z0-9]*$"
_BASE64 = r"^(keybase:[A-Za-z0-9_]+|[A-Za-z0-9+/=\s]+)$"

HINTS: dict[str, tuple[str, str]] = {
    ACCOUNT_ID_PATTERN: ("is not an AWS account ID", "write the 12 digits in quotes, leading zeros kept"),
    _NAME: ("has characters that AWS refuses in a name", "use only ASCII letters, digits and _+=,.@-"),
    _PATH: ("is not an IAM path", "start and end it with /, without spaces, as in /vendor/"),
    _EXTERNAL_ID: ("is not a valid external ID", "use 2 to 1,224 ASCII letters, digits and _+=,.@:/-"),
    _SLUG: ("is not a valid folder name", "start with a letter and use only ASCII letters, digits and ._-"),
    _LABEL: ("is not a valid name for a permission set", "start with a letter and use only ASCII letters, digits, _ and -"),
    _TAG: ("has characters that AWS refuses in a tag", "use only letters, digits, spaces and _.:/=+-@"),
    _ACTION: (
        "is not an action",
        "write SERVICE:ACTION, as in s3:GetObject; wildcards * and ? are allowed in the action's name",
    ),
    _POLICY_TEXT: ("has characters that AWS refuses in a policy", "use only printable Latin-1 characters"),
    _CONDITION_VALUE: ("has characters that AWS refuses in a policy", "use only printable Latin-1 characters"),
    _DESCRIPTION: ("has characters that AWS refuses in a description", "use only printable Latin-1 characters"),
    REGION_PATTERN: ("is not a Region", "write its code, as in eu-central-1"),
    _MANAGED_POLICY: ("is not a managed policy", "write its name, as in AmazonEC2ReadOnlyAccess, or its ARN"),
    _POLICY_ARN: ("is not the ARN of a policy", "write arn:PARTITION:iam::ACCOUNT:policy/NAME"),
    _SID: ("is not a valid statement ID", "use only ASCII letters and digits"),
    _BASE64: ("is not a PGP key", "write the public key as base64 without armor, or keybase:NAME"),
}
"""Message and hint for a failed pattern, by pattern."""

AccountId = Annotated[str, StringConstraints(strict=True, pattern=ACCOUNT_ID_PATTERN), Field(examples=["222222222222"])]
RoleName = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=quotas.ROLE_NAME_CHARACTERS)]
UserName = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=quotas.USER_NAME_CHARACTERS)]
GroupName = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=quotas.GROUP_NAME_CHARACTERS)]
PolicyName = Annotated[str, StringConstraints(strict=True, pattern=_NAME, max_length=quotas.POLICY_NAME_CHARACTERS)]
Path = Annotated[str, StringConstraints(strict=True, pattern=_PATH, max_length=quotas.PATH_CHARACTERS)]
ExternalId = Annotated[str, StringConstraints(strict=True, pattern=_EXTERNAL_ID)]
Slug = Annotated[str, StringConstraints(strict=True, pattern=_SLUG, max_length=64)]
PermissionSetName = Annotated[str, StringConstraints(strict=True, pattern=_LABEL, max_length=64)]
TagKey = Annotated[str, StringConstraints(strict=True, pattern=_TAG, min_length=1, max_length=128)]
TagValue = Annotated[str, StringConstraints(strict=True, pattern=_TAG, max_length=256)]
Action = Annotated[str, StringConstraints(strict=True, pattern=_ACTION)]
PolicyText = Annotated[str, StringConstraints(strict=True, pattern=_POLICY_TEXT)]
ConditionValue = Annotated[str, StringConstraints(strict=True, pattern=_CONDITION_VALUE)]
"""May be empty: `s3:prefix` is empty when the root of a bucket is listed."""
Description = Annotated[str, StringConstraints(strict=True, pattern=_DESCRIPTION, max_length=1000)]
Region = Annotated[str, StringConstraints(strict=True, pattern=REGION_PATTERN)]
ManagedPolicyName = Annotated[str, StringConstraints(strict=True, pattern=_MANAGED_POLICY)]
PolicyArn = Annotated[str, StringConstraints(strict=True, pattern=_POLICY_ARN)]
Sid = Annotated[str, StringConstraints(strict=True, pattern=_SID)]
PgpKey = Annotated[str, StringConstraints(strict=True, pattern=_BASE64)]
SessionSeconds = Annotated[
    int, Field(strict=True, ge=quotas.MINIMUM_MAX_SESSION_SECONDS, le=quotas.MAXIMUM_MAX_SESSION_SECONDS)
]


PartitionName = Literal["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"]
TrustStyle = Literal["role-arn", "account-root"]
TagMap = Mapping[TagKey, TagValue]


SHARED_ID_RULE = "RC104"
"""The rule whose suppression allows accounts of one customer to share an external ID."""


class Model(BaseModel):
    """Base of all manifest models: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StatementSpec(Model):
    """One statement of a permission set."""

    sid: Sid = Field(default="", description="Statement ID: ASCII letters and digits, unique in its permission set.")
    effect: Literal["Allow", "Deny"] = Field(default="Allow", description="Allow (the default) or Deny.")
    actions: tuple[Action, ...] = Field(default=(), description="Actions, for example s3:GetObject.")
    not_actions: tuple[Action, ...] = Field(default=(), description="All actions except these (NotAction).")
    resources: tuple[PolicyText, ...] = Field(default=(), description="Resource ARNs, or *.")
    not_resources: tuple[PolicyText, ...] = Field(default=(), description="All resources except these (NotResource).")
    conditions: Mapping[PolicyText, Mapping[PolicyText, ConditionValue | tuple[ConditionValue, ...]]] = Field(
        default_factory=dict, description="Conditions as in IAM: operator, then context key, then a value or a list."
    )

    def strings(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """All actions, resources and condition keys and values, each with its location in the statement."""
        for name in ("actions", "not_actions", "resources", "not_resources"):
            yield from (((name, number), value) for number, value in enumerate(getattr(self, name)))
        for operator, keys in self.conditions.items():
            for key, value in keys.items():
                at = ("conditions", operator, key)
                yield at, key
                if isinstance(value, tuple):
                    yield from (((*at, number), text) for number, text in enumerate(value))
                else:
                    yield at, value


class PermissionSet(Model):
    """A named set of permissions that customers and switch roles refer to."""

    description: Description = Field(default="", description="Purpose of the set; shown to the customer.")
    statements: tuple[StatementSpec, ...] = Field(default=(), description="Statements of the policy of this set.")
    managed_policies: tuple[ManagedPolicyName, ...] = Field(
        default=(), description="AWS managed policies by name, others by ARN."
    )
    attach: Literal["inline", "managed"] = Field(
        default="inline",
        description="Write the statements as an inline policy of the role, or as a separate managed policy.",
    )


class BackendRole(Model):
    """A role of the backend account that assumes the customers' roles."""

    name: RoleName = Field(default="backend_role", description="The role's name.")
    path: Path = Field(default="/", description="The role's IAM path.")
    existing: bool = Field(default=True, description="false: rolecall's module creates it with an EC2 instance profile.")
    instance_profile: RoleName | None = Field(default=None, description="Instance profile of a new role; default: its name.")
    permissions_boundary: PolicyArn | None = Field(default=None, description="Permissions boundary of a new role, an ARN.")
    max_session_seconds: SessionSeconds = Field(
        default=3600, description="Maximum session length of a new role, in seconds."
    )
    managed_policies: int | None = Field(
        default=None,
        ge=1,
        le=quotas.ROLE_MANAGED_POLICIES_MAXIMUM,
        description="How many of the role's managed policies rolecall may use; default: quotas.role_managed_policies.",
    )


class Backend(Model):
    """The vendor's account."""

    account_id: AccountId = Field(description="ID of the backend account: 12 digits in quotes.")
    role: BackendRole | None = Field(default=None, description="The backend role, if there is only one.")
    roles: tuple[BackendRole, ...] = Field(
        default=(), description="Several backend roles; each customer's trust policy names one."
    )
    grant: Literal["explicit", "fixed-role-name"] = Field(
        default="explicit",
        description="explicit: every role's ARN. fixed-role-name: one role name in every account, with an account list.",
    )
    policy_prefix: RoleName = Field(
        default="rolecall-assume-customers", description="Prefix of the managed policies' names."
    )
    tags: TagMap = Field(default_factory=dict, description="AWS tags on what the backend module creates.")

    @property
    def all_roles(self) -> tuple[BackendRole, ...]:
        """All backend roles; a role named `backend_role` if the manifest names none."""
        return self.roles or (self.role or BackendRole(),)


class Defaults(Model):
    """Default values for customers. `tags` and `labels` are merged; the customer's values take precedence."""

    regions: tuple[Region, ...] = Field(default=("us-east-1",), description="Regions that queries run in.")
    permissions: tuple[PermissionSetName, ...] = Field(default=(), description="Permission sets granted to every customer.")
    tags: TagMap = Field(default_factory=dict, description="AWS tags on everything that the modules create.")
    labels: TagMap = Field(default_factory=dict, description="Labels for selection; not sent to AWS or the customer.")
    role: RoleName = Field(default="VendorAccess", description="Name of the role in the customers' accounts.")
    path: Path = Field(default="/", description="IAM path of the role in the customers' accounts.")
    max_session_seconds: SessionSeconds = Field(default=3600, description="Maximum session length in seconds.")
    permissions_boundary: PolicyArn | None = Field(default=None, description="Permissions boundary of the roles, an ARN.")
    trust: TrustStyle = Field(
        default="role-arn",
        description="role-arn: trust the backend role. account-root: trust the backend account, with aws:PrincipalArn.",
    )
    session_tags: bool = Field(default=False, description="Let the backend role pass session tags (sts:TagSession).")
    source_identity: bool = Field(default=False, description="Let the backend role set a source identity.")


class Customer(Model):
    """A customer account that grants the backend role access."""

    name: Slug = Field(description="Name of the customer; also its module's folder.")
    account_id: AccountId = Field(description="ID of the customer's account: 12 digits in quotes.")
    role: RoleName | None = Field(default=None, description="The role's name in the customer's account.")
    path: Path | None = Field(default=None, description="The role's IAM path.")
    external_id: ExternalId | None = Field(
        default=None, description="Generated by the vendor, one per customer, never shared."
    )
    previous_external_id: ExternalId | None = Field(
        default=None, description="Also accepted while a rotation is in progress."
    )
    permissions: tuple[PermissionSetName, ...] | None = Field(
        default=None, description="Permission sets, instead of the default."
    )
    backend_role: RoleName | None = Field(default=None, description="The backend role that this customer trusts.")
    regions: tuple[Region, ...] | None = Field(default=None, description="Regions that queries run in.")
    max_session_seconds: SessionSeconds | None = Field(default=None, description="Maximum session length in seconds.")
    permissions_boundary: PolicyArn | None = Field(default=None, description="Permissions boundary of the role, an ARN.")
    trust: TrustStyle | None = Field(default=None, description="Principal of the trust policy.")
    session_tags: bool | None = Field(default=None, description="Let the backend role pass session tags.")
    source_identity: bool | None = Field(default=None, description="Let the backend role set a source identity.")
    tags: TagMap = Field(default_factory=dict, description="AWS tags on what the module creates.")
    labels: TagMap = Field(default_factory=dict, description="Labels for selection; not sent to AWS or the customer.")
    variables: Mapping[str, str] = Field(default_factory=dict, description="Values for queries and plays.")


class AccountRef(Model):
    """One side of a switch role."""

    name: Slug = Field(description="Display name of the account.")
    account_id: AccountId = Field(description="Account ID: 12 digits in quotes.")


class SwitchUser(Model):
    """An IAM user who switches roles in the console."""

    name: UserName = Field(description="IAM user name.")
    path: Path = Field(default="/", description="IAM path of the user.")
    console_password: bool = Field(
        default=False, description="Give the user a first console password, to be changed at sign-in."
    )
    pgp_key: PgpKey | None = Field(default=None, description="Public PGP key that encrypts the first password.")
    existing: bool = Field(default=False, description="true: the user exists and is only added to the group.")


class SwitchGroup(Model):
    """The group whose members may switch."""

    name: GroupName = Field(description="IAM group name.")
    path: Path = Field(default="/", description="IAM path of the group.")
    existing: bool = Field(default=False, description="true: the group exists, and only the policy is attached to it.")


@final
class SwitchRole(Model):
    """A role in the trusting account that users of the trusted account switch to in the console."""

    name: Slug = Field(description="Name of this switch role; also its modules' folder.")
    partition: PartitionName | None = Field(default=None, description="Partition of both accounts; default: the manifest's.")
    trusting: AccountRef = Field(description="The account that has the role.")
    trusted: AccountRef = Field(description="The account that has the users.")
    role: RoleName = Field(description="Name of the role in the trusting account.")
    path: Path = Field(default="/", description="IAM path of the role.")
    permissions: tuple[PermissionSetName, ...] = Field(default=(), description="Permission sets of the role.")
    group: GroupName | SwitchGroup = Field(description="The group whose members may switch: a name, or a mapping.")
    users: tuple[SwitchUser, ...] = Field(default=(), description="The group's members.")
    group_in: Literal["trusted", "trusting"] = Field(
        default="trusted", description="The account with group and users. With trusting, the role trusts both accounts."
    )
    trust: Literal["account", "users"] = Field(
        default="account",
        description="account: principals that the account allows. users: only the named users (aws:PrincipalArn).",
    )
    require_mfa: bool = Field(default=True, description="Refuse sessions that were signed in without MFA.")
    max_session_seconds: SessionSeconds = Field(default=3600, description="Maximum session length in seconds.")
    permissions_boundary: PolicyArn | None = Field(default=None, description="Permissions boundary of the role, an ARN.")
    policy: PolicyName | None = Field(
        default=None,
        description="Name of the STS policy on the group; default: assume-ROLE. For a shared group, set it on the entry "
        "that creates the group.",
    )
    tags: TagMap = Field(default_factory=dict, description="AWS tags on what the modules create.")
    labels: TagMap = Field(default_factory=dict, description="Labels for selection; not sent to AWS or the customer.")

    @property
    def home(self) -> AccountRef:
        """The account with the group and the users."""
        return self.trusting if self.group_in == "trusting" else self.trusted

    @property
    def switch_group(self) -> SwitchGroup:
        """The group as a mapping, also if the manifest gives only its name."""
        return self.group if isinstance(self.group, SwitchGroup) else SwitchGroup(name=self.group)


class Quotas(Model):
    """Adjustable AWS quotas, with their values in these accounts."""

    role_managed_policies: int = Field(
        default=quotas.ROLE_MANAGED_POLICIES,
        ge=1,
        le=quotas.ROLE_MANAGED_POLICIES_MAXIMUM,
        description="Managed policies attached to a role.",
    )
    trust_policy_characters: int = Field(
        default=quotas.TRUST_POLICY_CHARACTERS,
        ge=quotas.TRUST_POLICY_CHARACTERS,
        le=quotas.TRUST_POLICY_CHARACTERS_MAXIMUM,
        description="Characters of a trust policy.",
    )


class Suppression(Model):
    """A rule that is not reported for a subject."""

    rule: str = Field(description="ID of the rule, for example RC101.")
    subject: str = Field(default="*", description="Customer or switch role by name; wildcards allowed.")
    reason: str = Field(min_length=1, description="Why the finding is acceptable; shown in reports.")

    def covers(self, rule: str, subject: str) -> bool:
        """Whether this entry suppresses the rule for the subject."""
        return self.rule == rule and fnmatchcase(subject, self.subject)


class Manifest(Model):
    """The complete manifest, with included files merged."""

    version: Literal[1] = Field(description="Version of this format: 1.")
    partition: PartitionName = Field(default="aws", description="Partition of all accounts.")
    backend: Backend | None = Field(
        default=None, description="The vendor's backend account; required if there are customers."
    )
    permission_sets: Mapping[PermissionSetName, PermissionSet] = Field(
        default_factory=dict, description="Permission sets by name."
    )
    defaults: Defaults = Field(default_factory=Defaults, description="Default values for customers.")
    include: tuple[str, ...] = Field(
        default=(), description="Additional files, relative to this one: YAML or CSV, with wildcards."
    )
    customers: tuple[Customer, ...] = Field(default=(), description="The customers.")
    switch_roles: tuple[SwitchRole, ...] = Field(default=(), description="Roles that users switch to in the console.")
    quotas: Quotas = Field(default_factory=Quotas, description="Limits that AWS has raised for these accounts.")
    suppress: tuple[Suppression, ...] = Field(default=(), description="Rules not reported, with reasons.")

    def account_names(self) -> dict[str, str]:
        """The names of accounts by ID; the first name if an account has several."""
        names: dict[str, str] = {}
        if self.backend is not None:
            names[self.backend.account_id] = "backend"
        for customer in self.customers:
            names.setdefault(customer.account_id, customer.name)
        for entry in self.switch_roles:
            for account in (entry.trusting, entry.trusted):
                names.setdefault(account.account_id, account.name)
        return names

    def may_share_external_id(self, *names: str) -> bool:
        """Whether RC104 is suppressed for all these customers, which allows them to share an external ID."""
        return all(any(entry.covers(SHARED_ID_RULE, name) for entry in self.suppress) for name in names)


class IncludedFile(Model):
    """Contents of an included YAML file."""

    permission_sets: Mapping[PermissionSetName, PermissionSet] = Field(
        default_factory=dict, description="Permission sets by name, added to the manifest's."
    )
    customers: tuple[Customer, ...] = Field(default=(), description="Customers, added to the manifest's.")
    switch_roles: tuple[SwitchRole, ...] = Field(default=(), description="Switch roles, added to the manifest's.")


@dataclass(frozen=True, slots=True)
class ResolvedCustomer:
    """A customer with defaults filled in.

    `backend_role` is None if the manifest names none; the plan then assigns one. `external_id` None: the role requires no
    external ID.
    """

    name: str
    account_id: str
    role: str
    path: str
    external_id: str | None
    previous_external_id: str | None
    permissions: tuple[str, ...]
    backend_role: str | None
    regions: tuple[str, ...]
    max_session_seconds: int
    permissions_boundary: str | None
    trust: TrustStyle
    session_tags: bool
    source_identity: bool
    tags: Mapping[str, str]
    labels: Mapping[str, str]
    variables: Mapping[str, str]

    @property
    def external_ids(self) -> tuple[str, ...]:
        """The external IDs that the trust policy accepts: the current one, then the previous one during a rotation."""
        return tuple(value for value in (self.external_id, self.previous_external_id) if value is not None)


def resolve_customer(customer: Customer, defaults: Defaults) -> ResolvedCustomer:
    """Fill in the defaults; `tags` and `labels` are merged, the customer's values win.

    Hot path for 10,000 customers: positional arguments, and mappings are copied only if both sides have entries.
    """
    return ResolvedCustomer(
        customer.name,
        customer.account_id,
        defaults.role if customer.role is None else customer.role,
        defaults.path if customer.path is None else customer.path,
        customer.external_id,
        customer.previous_external_id,
        defaults.permissions if customer.permissions is None else customer.permissions,
        customer.backend_role,
        defaults.regions if customer.regions is None else customer.regions,
        defaults.max_session_seconds if customer.max_session_seconds is None else customer.max_session_seconds,
        defaults.permissions_boundary if customer.permissions_boundary is None else customer.permissions_boundary,
        defaults.trust if customer.trust is None else customer.trust,
        defaults.session_tags if customer.session_tags is None else customer.session_tags,
        defaults.source_identity if customer.source_identity is None else customer.source_identity,
        _merged(defaults.tags, customer.tags),
        _merged(defaults.labels, customer.labels),
        customer.variables,
    )


def resolve_customers(manifest: Manifest) -> tuple[ResolvedCustomer, ...]:
    """All customers with defaults filled in, in the manifest's order."""
    defaults = manifest.defaults
    return tuple(resolve_customer(customer, defaults) for customer in manifest.customers)


def _merged(common: Mapping[str, str], own: Mapping[str, str]) -> Mapping[str, str]:
    if not own:
        return common
    return {**common, **own} if common else own


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the manifest. Every key has a description."""
    schema = Manifest.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, **_without_titles(schema), "title": "rolecall manifest"}


def _without_titles(node: Any) -> Any:
    """The schema without pydantic's titles, which repeat the keys."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_titles(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
