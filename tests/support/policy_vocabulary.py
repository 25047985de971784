"""Vocabulary shared by the tables of decided cases: principals, documentation pages, and short document builders.

Pages are from the IAM User Guide unless noted otherwise, retrieved in November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policy_text import principal_element, when
from rolecall_generator.iam.evaluation.evaluator import Effect
from rolecall_generator.iam.policy import PolicyDocument

BACKEND = "111111111111"
CUSTOMER = "222222222222"
OTHER = "333333333333"
ROLE = f"arn:aws:iam::{CUSTOMER}:role/role1"
CALLER = f"arn:aws:iam::{BACKEND}:role/backend_role"
SESSION = f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/s1"
USER = f"arn:aws:iam::{BACKEND}:user/people/reena"
LOCAL_ROLE = f"arn:aws:iam::{CUSTOMER}:role/local"
LOCAL_SESSION = f"arn:aws:sts::{CUSTOMER}:assumed-role/local/s1"
LOCAL_USER = f"arn:aws:iam::{CUSTOMER}:user/sam"
GROUP = f"arn:aws:iam::{BACKEND}:group/switchers"
POLICY = f"arn:aws:iam::{BACKEND}:policy/p"
ROOT = f"arn:aws:iam::{BACKEND}:root"
LOCAL = f"arn:aws:iam::{CUSTOMER}:root"
FEDERATED = f"arn:aws:sts::{BACKEND}:federated-user/reena"
SAML = f"arn:aws:iam::{CUSTOMER}:saml-provider/p"

ACTION = "IAM JSON policy elements: Action"
BOUNDARIES = "Permissions boundaries for IAM entities"
COMPARE = "Compare AWS STS credentials"
CONDITION = "Conditions with multiple context keys or values"
CROSS = "Cross-account policy evaluation logic"
DEPUTY = "The confused deputy problem"
ELEMENTS = "IAM JSON policy elements reference"
EXAMPLES = "Multivalued context key examples"
EXTERNAL = "Access to AWS accounts owned by third parties"
GLOBAL = "AWS global condition context keys"
KEY_NAMES = "IAM JSON policy elements: Condition"
LOGIC = "Policy evaluation logic"
NOT_ACTION = "IAM JSON policy elements: NotAction"
NOT_PRINCIPAL = "AWS JSON policy elements: NotPrincipal"
NOT_RESOURCE = "IAM JSON policy elements: NotResource"
OPERATORS = "IAM JSON policy elements: Condition operators"
PARTITIONS = "Cross account resource access in IAM"
PRINCIPAL = "AWS JSON policy elements: Principal"
RESOURCE = "IAM JSON policy elements: Resource"
SETS = "Single-valued vs. multivalued context keys"
SOURCE = "Monitor and control actions taken with assumed roles"
STS = "STS API: AssumeRole"
STS_KEYS = "IAM and AWS STS condition context keys"
TAGS = "Pass session tags in AWS STS"
TRUST = "Update a role trust policy"
VARIABLES = "IAM policy elements: Variables and tags"
VERSION = "IAM JSON policy elements: Version"

Json = Mapping[str, Any]

K = "s3:prefix"
MFA = "aws:MultiFactorAuthPresent"
IP = "aws:SourceIp"
TAG_KEYS = "aws:TagKeys"


def document(*statements: Json, version: str = "2012-10-17") -> PolicyDocument:
    return PolicyDocument.from_json({"Version": version, "Statement": list(statements)})


def statement(effect: str = "Allow", action: Any = "sts:AssumeRole", **more: Any) -> Json:
    body = {"Effect": effect, "Action": action, **more}
    return {**body, "Condition": when(body["Condition"])} if "Condition" in body else body


def grant(effect: str = "Allow", action: Any = "sts:AssumeRole", resource: Any = ROLE, **more: Any) -> Json:
    return statement(effect, action, Resource=resource, **more)


def trust(principal: Any = CALLER, effect: str = "Allow", action: Any = "sts:AssumeRole", **more: Any) -> Json:
    return statement(effect, action, Principal=principal_element(principal), **more)


@dataclass(frozen=True)
class AssumeCase:
    """One AssumeRole request and the policies of both sides.

    `identity` and `boundary` are attached to the caller (None is an unknown caller), `tags` to the role.
    """

    name: str
    trust: tuple[Json, ...]
    expected: Effect
    page: str
    identity: tuple[Json, ...] | None = (grant(),)
    boundary: tuple[Json, ...] | None = None
    caller: str = CALLER
    context: Mapping[str, Any] = field(default_factory=dict)
    action: str = "sts:AssumeRole"
    tags: Mapping[str, str] = field(default_factory=dict)


Statements = Json | tuple[Json, ...]
_GRANT = grant()


def case(
    name: str,
    trust: Statements,
    expected: Effect,
    page: str,
    identity: Statements | None = _GRANT,
    boundary: Statements | None = None,
    caller: str = CALLER,
    context: Mapping[str, Any] | str = "",
    **more: Any,
) -> AssumeCase:
    """A case. One statement needs no tuple; the context can be text, `KEY VALUE, VALUE & KEY`, where a key without a value
    is absent.
    """
    if isinstance(context, str):
        parts = (part.partition(" ") for part in context.split(" & ") if part)
        context = {key: tuple(values.split(", ")) if values else () for key, _, values in parts}
    first, second, third = ((each,) if isinstance(each, Mapping) else each for each in (trust, identity, boundary))
    return AssumeCase(name, first or (), expected, page, second, third, caller, context, **more)


YES, NO, DENY, REFUSED = Effect.ALLOW, Effect.IMPLICIT_DENY, Effect.EXPLICIT_DENY, Effect.REFUSED
AWS_CALLER = {"AWS": CALLER}
EXT = "StringEquals sts:ExternalId Example987"
AFFILIATION = "saml:edupersonaffiliation"
AS_SAML: dict[str, Any] = {"caller": SAML, "action": "sts:AssumeRoleWithSAML"}
STAFF = trust(
    {"Federated": SAML},
    action="sts:AssumeRoleWithSAML",
    Condition={"ForAllValues:StringLike": {AFFILIATION: ["faculty", "staff"]}},
)
