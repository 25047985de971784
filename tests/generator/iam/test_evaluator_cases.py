"""Decided cases, each from a page of the AWS documentation, and laws that every decision keeps.

Pages are of the IAM User Guide unless named otherwise, read in November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from rolecall_generator.iam.access import Access, Group, ManagedPolicy, Role, User, access_of
from rolecall_generator.iam.evaluator import Caller, Effect, Evaluator, IdentitySide, Request
from rolecall_generator.iam.policy import PolicyDocument, policy_from_json

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

OPERATORS = "Condition operators"
SETS = "Single-valued vs. multivalued context keys"
VARIABLES = "Variables and tags"
PRINCIPAL = "JSON policy elements: Principal"
LOGIC = "Policy evaluation logic"
CROSS = "Cross-account policy evaluation logic"
CONDITION = "JSON policy elements: Condition"
ACTION = "JSON policy elements: Action"
RESOURCE = "JSON policy elements: Resource"
TAGS = "Pass session tags in AWS STS"
SOURCE = "Monitor and control actions taken with assumed roles"
EXTERNAL = "Access to AWS accounts owned by third parties"
GLOBAL = "AWS global condition context keys"
BOUNDARIES = "Permissions boundaries for IAM entities"

Json = Mapping[str, Any]


def document(*statements: Json, version: str = "2012-10-17") -> PolicyDocument:
    return policy_from_json({"Version": version, "Statement": list(statements)})


def statement(effect: str = "Allow", action: Any = "sts:AssumeRole", **more: Any) -> Json:
    return {"Effect": effect, "Action": action, **more}


def grant(effect: str = "Allow", action: Any = "sts:AssumeRole", resource: Any = ROLE, **more: Any) -> Json:
    return statement(effect, action, Resource=resource, **more)


def trust(principal: Any, effect: str = "Allow", action: Any = "sts:AssumeRole", **more: Any) -> Json:
    return statement(effect, action, Principal=principal, **more)


# ---------------------------------------------------------------------------------------------------- conditions


@dataclass(frozen=True)
class ConditionCase:
    """A condition on an identity policy's Allow; `expected` True is allowed, False implicitly denied, None refused."""

    operator: str
    key: str
    values: Any
    context: Mapping[str, Any]
    expected: bool | None
    page: str = OPERATORS
    version: str = "2012-10-17"
    caller: str = USER


def c(operator: str, key: str, values: Any, context: Mapping[str, Any], expected: bool | None, page: str = OPERATORS,
      version: str = "2012-10-17", caller: str = USER) -> ConditionCase:  # fmt: skip
    return ConditionCase(operator, key, values, context, expected, page, version, caller)


K = "s3:prefix"
ARN = "arn:aws:someservice:us-east-2:111122223333:finance/document.txt"
STORE = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"
PATTERN = "arn:aws:someservice:*:111122223333:finance/*"
NOON = "2026-11-24T12:00:00Z"
MFA = "aws:MultiFactorAuthPresent"
AGE = "aws:MultiFactorAuthAge"
IP = "aws:SourceIp"
TAG_KEYS = "aws:TagKeys"

CONDITION_CASES = (
    # Strings
    c("StringEquals", K, "a", {K: "a"}, True),
    c("StringEquals", K, "a", {K: "A"}, False),
    c("StringEquals", K, "a*", {K: "ab"}, False),
    c("StringEquals", K, "a*", {K: "a*"}, True),
    c("StringEquals", K, ["a", "b"], {K: "b"}, True, CONDITION),
    c("StringEquals", K, ["a", "b"], {K: "c"}, False, CONDITION),
    c("StringEquals", K, "a", {K: ()}, False),
    c("StringEquals", "S3:PREFIX", "a", {"s3:prefix": "a"}, True, VARIABLES),
    c("StringNotEquals", K, "a", {K: "b"}, True),
    c("StringNotEquals", K, "a", {K: "a"}, False),
    c("StringNotEquals", K, "a", {K: ()}, True),
    c("StringNotEquals", K, ["a", "b"], {K: "b"}, False, CONDITION),
    c("StringNotEquals", K, ["a", "b"], {K: "c"}, True, CONDITION),
    c("StringEqualsIgnoreCase", K, "Abc", {K: "aBC"}, True),
    c("StringEqualsIgnoreCase", K, "Abc", {K: "abd"}, False),
    c("StringNotEqualsIgnoreCase", K, "Abc", {K: "ABC"}, False),
    c("StringNotEqualsIgnoreCase", K, "Abc", {K: "x"}, True),
    c("StringNotEqualsIgnoreCase", K, "Abc", {K: ()}, True),
    c("StringLike", K, "home/*", {K: "home/x/y"}, True),
    c("StringLike", K, "home/?", {K: "home/x"}, True),
    c("StringLike", K, "home/?", {K: "home/"}, False),
    c("StringLike", K, "home/?", {K: "home/xy"}, False),
    c("StringLike", K, "home", {K: "home/x"}, False),
    c("StringLike", K, "H*", {K: "home"}, False),
    c("StringLike", K, ["", "home/"], {K: "home/"}, True),
    c("StringLike", K, "a*b*c", {K: "a1b2c"}, True),
    c("StringLike", K, "a*b*c", {K: "a1c2b"}, False),
    c("StringLike", K, "a.b", {K: "axb"}, False),
    c("StringLike", K, "a*", {K: ()}, False),
    c("StringNotLike", K, "a*", {K: "ab"}, False),
    c("StringNotLike", K, "a*", {K: "b"}, True),
    c("StringNotLike", K, "a*", {K: ()}, True),
    # Numbers
    c("NumericEquals", "s3:max-keys", "10", {"s3:max-keys": "10"}, True),
    c("NumericEquals", "s3:max-keys", "10", {"s3:max-keys": "10.0"}, True),
    c("NumericEquals", "s3:max-keys", 10, {"s3:max-keys": "10"}, True),
    c("NumericEquals", "s3:max-keys", "10", {"s3:max-keys": "11"}, False),
    c("NumericNotEquals", "s3:max-keys", "10", {"s3:max-keys": "11"}, True),
    c("NumericNotEquals", "s3:max-keys", "10", {"s3:max-keys": "10"}, False),
    c("NumericLessThan", AGE, "3600", {AGE: "3599"}, True),
    c("NumericLessThan", AGE, "3600", {AGE: "3600"}, False),
    c("NumericLessThan", AGE, "3600", {AGE: "900"}, True),
    c("NumericLessThan", AGE, "3600", {AGE: ()}, False, GLOBAL),
    c("NumericLessThanEquals", "s3:max-keys", "10", {"s3:max-keys": "10"}, True),
    c("NumericLessThanEquals", "s3:max-keys", "10", {"s3:max-keys": "11"}, False),
    c("NumericGreaterThan", AGE, "3600", {AGE: "3601"}, True),
    c("NumericGreaterThan", AGE, "3600", {AGE: "3600"}, False),
    c("NumericGreaterThanEquals", AGE, "3600", {AGE: "3600"}, True),
    c("NumericGreaterThanEquals", AGE, "3600", {AGE: "3599"}, False),
    c("NumericEquals", AGE, "10", {AGE: "ten"}, False),
    c("NumericEquals", AGE, "ten", {AGE: "10"}, None),
    c("NumericEquals", AGE, "${aws:username}", {AGE: "10"}, None),
    # Dates
    c("DateGreaterThan", "aws:TokenIssueTime", "2020-01-01T00:00:01Z", {"aws:TokenIssueTime": NOON}, True),
    c("DateGreaterThan", "aws:TokenIssueTime", "2020-01-01T00:00:01Z", {"aws:TokenIssueTime": ()}, False),
    c("DateLessThan", "aws:CurrentTime", "2026-11-24T12:00:01Z", {"aws:CurrentTime": NOON}, True),
    c("DateLessThan", "aws:CurrentTime", NOON, {"aws:CurrentTime": NOON}, False),
    c("DateLessThanEquals", "aws:CurrentTime", NOON, {"aws:CurrentTime": NOON}, True),
    c("DateGreaterThanEquals", "aws:CurrentTime", NOON, {"aws:CurrentTime": NOON}, True),
    c("DateGreaterThanEquals", "aws:CurrentTime", "2026-12", {"aws:CurrentTime": NOON}, False),
    c("DateEquals", "aws:CurrentTime", "2026-11-24T13:00:00+01:00", {"aws:CurrentTime": NOON}, True),
    c("DateEquals", "aws:CurrentTime", "2026-11-24", {"aws:CurrentTime": NOON}, False),
    c("DateNotEquals", "aws:CurrentTime", "2026-11-24", {"aws:CurrentTime": NOON}, True),
    c("DateEquals", "aws:EpochTime", "1795521600", {"aws:EpochTime": NOON}, True),
    c("DateGreaterThan", "aws:CurrentTime", "1795521599", {"aws:CurrentTime": NOON}, True),
    c("DateEquals", "aws:CurrentTime", "2026-*", {"aws:CurrentTime": NOON}, None),
    c("DateLessThan", "aws:CurrentTime", NOON, {}, None, GLOBAL),
    # Bool
    c("Bool", MFA, "true", {MFA: "true"}, True),
    c("Bool", MFA, True, {MFA: "true"}, True),
    c("Bool", MFA, "true", {MFA: "false"}, False),
    c("Bool", MFA, "true", {MFA: ()}, False, GLOBAL),
    c("BoolIfExists", MFA, "true", {MFA: ()}, True, GLOBAL),
    c("BoolIfExists", MFA, "true", {MFA: "false"}, False, GLOBAL),
    c("Bool", "aws:SecureTransport", "false", {"aws:SecureTransport": "true"}, False),
    c("Bool", MFA, "yes", {MFA: "true"}, None),
    # Binary
    c("BinaryEquals", "key", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", {"key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}, True),
    c("BinaryEquals", "key", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", {"key": "QmluYXJ5"}, False),
    c("BinaryEquals", "key", "QmluYXJ5", {"key": ()}, False),
    c("BinaryEquals", "key", "not base64", {"key": "QmluYXJ5"}, None),
    # Addresses
    c("IpAddress", IP, "203.0.113.0/24", {IP: "203.0.113.255"}, True),
    c("IpAddress", IP, "203.0.113.0/24", {IP: "203.0.114.0"}, False),
    c("IpAddress", IP, "203.0.113.7", {IP: "203.0.113.7"}, True),
    c("IpAddress", IP, "203.0.113.7", {IP: "203.0.113.8"}, False),
    c("IpAddress", IP, ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], {IP: "2001:db8:1234:5678::1"}, True),
    c("IpAddress", IP, ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], {IP: "2001:db8:1234:5679::1"}, False),
    c("IpAddress", IP, "203.0.113.0/24", {IP: ()}, False),
    c("NotIpAddress", IP, "203.0.113.0/24", {IP: "198.51.100.1"}, True),
    c("NotIpAddress", IP, "203.0.113.0/24", {IP: "203.0.113.1"}, False),
    c("NotIpAddress", IP, "203.0.113.0/24", {IP: ()}, True),
    c("IpAddress", IP, "203.0.113.*", {IP: "203.0.113.1"}, None),
    # ARNs
    c("ArnLike", "aws:SourceArn", PATTERN, {"aws:SourceArn": ARN}, True),
    c("ArnLike", "aws:SourceArn", PATTERN, {"aws:SourceArn": STORE}, False),
    c("StringLike", "aws:SourceArn", PATTERN, {"aws:SourceArn": STORE}, True),
    c("ArnEquals", "aws:SourceArn", PATTERN, {"aws:SourceArn": ARN}, True),
    c("ArnEquals", "aws:SourceArn", ARN, {"aws:SourceArn": ARN.upper()}, False),
    c("ArnEquals", "aws:SourceArn", ARN, {"aws:SourceArn": ()}, False),
    c("ArnNotEquals", "aws:SourceArn", PATTERN, {"aws:SourceArn": ARN}, False),
    c("ArnNotLike", "aws:SourceArn", PATTERN, {"aws:SourceArn": STORE}, True),
    c("ArnNotLike", "aws:SourceArn", PATTERN, {"aws:SourceArn": ()}, True),
    c("ArnLike", "aws:SourceArn", "*", {"aws:SourceArn": ARN}, None),
    # IfExists
    c("StringEqualsIfExists", K, "a", {K: ()}, True),
    c("StringEqualsIfExists", K, "a", {K: "b"}, False),
    c("StringLikeIfExists", "ec2:InstanceType", ["t1.*", "t2.*", "m3.*"], {"ec2:InstanceType": "t2.micro"}, True),
    c("StringLikeIfExists", "ec2:InstanceType", ["t1.*", "t2.*", "m3.*"], {"ec2:InstanceType": "x1.large"}, False),
    c("StringLikeIfExists", "ec2:InstanceType", ["t1.*", "t2.*", "m3.*"], {"ec2:InstanceType": ()}, True),
    c("StringLike", "ec2:InstanceType", ["t1.*", "t2.*", "m3.*"], {"ec2:InstanceType": ()}, False),
    c("StringNotEqualsIfExists", K, "a", {K: ()}, True),
    c("NumericLessThanIfExists", AGE, "3600", {AGE: ()}, True, GLOBAL),
    c("IpAddressIfExists", IP, "203.0.113.0/24", {IP: ()}, True),
    c("ArnLikeIfExists", "aws:SourceArn", PATTERN, {"aws:SourceArn": ()}, True),
    c("NullIfExists", K, "true", {K: ()}, None),
    # Null
    c("Null", "aws:TokenIssueTime", "true", {"aws:TokenIssueTime": ()}, True),
    c("Null", "aws:TokenIssueTime", "true", {"aws:TokenIssueTime": NOON}, False),
    c("Null", "aws:TokenIssueTime", "false", {"aws:TokenIssueTime": NOON}, True),
    c("Null", "aws:TokenIssueTime", "false", {"aws:TokenIssueTime": ()}, False),
    c("Null", TAG_KEYS, "false", {TAG_KEYS: ("",)}, False, SETS),
    c("Null", K, "maybe", {K: "a"}, None),
    # Sets
    c("ForAllValues:StringEquals", TAG_KEYS, ["a", "b"], {TAG_KEYS: ("a", "b")}, True, SETS),
    c("ForAllValues:StringEquals", TAG_KEYS, ["a", "b"], {TAG_KEYS: ("a",)}, True, SETS),
    c("ForAllValues:StringEquals", TAG_KEYS, ["a", "b"], {TAG_KEYS: ("a", "c")}, False, SETS),
    c("ForAllValues:StringEquals", TAG_KEYS, ["a", "b"], {TAG_KEYS: ()}, True, SETS),
    c("ForAllValues:StringEquals", TAG_KEYS, ["a"], {TAG_KEYS: ("",)}, True, SETS),
    c("ForAllValues:StringNotLike", TAG_KEYS, "key1*", {TAG_KEYS: ("key1:legal",)}, False, SETS),
    c("ForAllValues:StringNotLike", TAG_KEYS, "key1*", {TAG_KEYS: ("key1:hr", "key1:personnel")}, False, SETS),
    c("ForAllValues:StringNotLike", TAG_KEYS, "key1*", {TAG_KEYS: ("key2:audit",)}, True, SETS),
    c("ForAllValues:StringNotLike", TAG_KEYS, "key1*", {TAG_KEYS: ()}, True, SETS),
    c("ForAllValues:StringNotLike", TAG_KEYS, "key1*", {TAG_KEYS: ("key2:audit", "key1:hr")}, False, SETS),
    c("ForAnyValue:StringEquals", TAG_KEYS, ["a", "b"], {TAG_KEYS: ("x", "b")}, True, SETS),
    c("ForAnyValue:StringEquals", TAG_KEYS, ["a", "b"], {TAG_KEYS: ("x", "y")}, False, SETS),
    c("ForAnyValue:StringEquals", TAG_KEYS, ["a", "b"], {TAG_KEYS: ()}, False, SETS),
    c("ForAnyValue:StringEquals", TAG_KEYS, [""], {TAG_KEYS: ("",)}, False, SETS),
    c("ForAnyValue:StringNotEquals", TAG_KEYS, ["a"], {TAG_KEYS: ("a", "b")}, True, SETS),
    c("ForAnyValue:StringNotEquals", TAG_KEYS, ["a"], {TAG_KEYS: ("a",)}, False, SETS),
    c("ForAnyValue:StringNotEquals", TAG_KEYS, ["a"], {TAG_KEYS: ()}, False, SETS),
    c("ForAnyValue:StringLike", TAG_KEYS, "key1*", {TAG_KEYS: ("x", "key1:hr")}, True, SETS),
    c("ForAnyValue:StringEqualsIfExists", TAG_KEYS, "a", {TAG_KEYS: ()}, True, OPERATORS),
    c("StringEquals", TAG_KEYS, "a", {TAG_KEYS: ("a", "b")}, None, SETS),
    # Unknown
    c("StringMatches", K, "a", {K: "a"}, None),
    c("stringequals", K, "a", {K: "a"}, None),
    c("ForSomeValues:StringEquals", K, "a", {K: "a"}, None),
    c("BinaryNotEquals", K, "QQ==", {K: "QQ=="}, None),
    c("NumericLike", K, "1*", {K: "10"}, None),
    c("ForAllValues:Null", K, "true", {K: ()}, None),
    # Variables
    c("StringEquals", K, "${aws:username}", {K: "reena"}, True, VARIABLES),
    c("StringEquals", K, "${AWS:UserName}", {K: "reena"}, True, VARIABLES),
    c("StringLike", K, "home/${aws:username}/*", {K: "home/reena/x"}, True, VARIABLES),
    c("StringLike", K, "home/${aws:username}/*", {K: "home/sam/x"}, False, VARIABLES),
    c("StringLike", K, "home/${aws:username}/*", {K: "home/backend_role/x"}, False, VARIABLES, caller=CALLER),
    c("StringNotLike", K, "home/${aws:username}/*", {K: "elsewhere"}, False, VARIABLES, caller=CALLER),
    c("StringEquals", K, "${aws:username, 'anonymous'}", {K: "anonymous"}, True, VARIABLES, caller=CALLER),
    c("StringEquals", K, "${aws:username, 'anonymous'}", {K: "anonymous"}, False, VARIABLES),
    c("StringLike", K, "a${*}", {K: "a*"}, True, VARIABLES),
    c("StringLike", K, "a${*}", {K: "ab"}, False, VARIABLES),
    c("StringLike", K, "a${?}", {K: "a?"}, True, VARIABLES),
    c("StringLike", K, "a${?}", {K: "ab"}, False, VARIABLES),
    c("StringLike", K, "${$}{aws:username}", {K: "${aws:username}"}, True, VARIABLES),
    c("StringEquals", K, "${$}x", {K: "$x"}, True, VARIABLES),
    c("StringEquals", K, "${aws:PrincipalTag/department}", {K: "hr", "aws:PrincipalTag/Department": "hr"}, True, VARIABLES),
    c("StringLike", K, "${aws:PrincipalTag/t}", {K: "anything", "aws:PrincipalTag/t": "*"}, False, VARIABLES),
    c("StringEquals", K, "${aws:TagKeys}", {K: "a", TAG_KEYS: ("a", "b")}, False, SETS),
    c("StringEquals", K, "${aws:username}", {K: "${aws:username}"}, True, VARIABLES, version="2008-10-17"),
    c(
        "ArnLike",
        "aws:SourceArn",
        "arn:aws:iam::*:user/${aws:username}",
        {"aws:SourceArn": f"arn:aws:iam::{OTHER}:user/reena"},
        True,
        VARIABLES,
    ),
    c(
        "ArnLike",
        "aws:SourceArn",
        "arn:aws:iam::*:user/${aws:username}",
        {"aws:SourceArn": f"arn:aws:iam::{OTHER}:user/sam"},
        False,
        VARIABLES,
    ),
    c("StringEquals", K, "${not a variable", {K: "${not a variable"}, True, VARIABLES),
    c("StringEquals", K, "${two words}", {K: "x"}, None, VARIABLES),
)

EFFECTS = {True: Effect.ALLOW, False: Effect.IMPLICIT_DENY, None: Effect.REFUSED}


@pytest.mark.parametrize("case", CONDITION_CASES, ids=lambda case: f"{case.operator}-{case.values}-{case.context}")
def test_condition_decides_as_documented(case: ConditionCase) -> None:
    """A statement with this condition allows exactly where the named page says that it does."""
    body = grant(action="s3:ListBucket", resource="*", Condition={case.operator: {case.key: case.values}})
    policy = document(body, version=case.version)
    access = access_of(User(USER, inline={"p": policy}), Role(CALLER, None, inline={"p": policy}))
    request = Request(Caller(case.caller), "arn:aws:s3:::bucket", "s3:ListBucket", case.context)

    assert EFFECTS[case.expected] is Evaluator(access).may(request).effect, case.page


# ------------------------------------------------------------------------------------------------- assuming roles


@dataclass(frozen=True)
class AssumeCase:
    """One AssumeRole over two sides; `identity` and `boundary` hang on the caller, None is an unknown caller."""

    name: str
    trust: tuple[Json, ...]
    expected: Effect
    page: str
    identity: tuple[Json, ...] | None = (grant(),)
    boundary: tuple[Json, ...] | None = None
    caller: str = CALLER
    context: Mapping[str, Any] = field(default_factory=dict)
    action: str = "sts:AssumeRole"


YES, NO, DENY, REFUSED = Effect.ALLOW, Effect.IMPLICIT_DENY, Effect.EXPLICIT_DENY, Effect.REFUSED
BOTH_TAGS = ["sts:AssumeRole", "sts:TagSession"]
EXT = {"StringEquals": {"sts:ExternalId": "Example987"}}
AWS_CALLER = {"AWS": CALLER}
LOCAL = f"arn:aws:iam::{CUSTOMER}:root"

ASSUME_CASES = (
    # Cross account: both sides
    AssumeCase("both allow", (trust(AWS_CALLER),), YES, CROSS),
    AssumeCase("no identity", (trust(AWS_CALLER),), NO, CROSS, ()),
    AssumeCase("no trust", (trust({"AWS": f"arn:aws:iam::{OTHER}:root"}),), NO, CROSS),
    AssumeCase("other resource", (trust(AWS_CALLER),), NO, CROSS, (grant(resource=f"{ROLE}x"),)),
    AssumeCase("other action", (trust(AWS_CALLER),), NO, CROSS, (grant(action="sts:GetFederationToken"),)),
    AssumeCase("worst case identity", (trust(AWS_CALLER),), YES, CROSS, None),
    AssumeCase("wildcard needs identity across", (trust("*"),), NO, PRINCIPAL, ()),
    AssumeCase("wildcard with identity", (trust("*"),), YES, PRINCIPAL),
    AssumeCase("AWS wildcard is the same", (trust({"AWS": "*"}),), YES, PRINCIPAL),
    AssumeCase("session named across needs identity", (trust({"AWS": SESSION}),), NO, CROSS, (), caller=SESSION),
    AssumeCase("session named across", (trust({"AWS": SESSION}),), YES, CROSS, caller=SESSION),
    AssumeCase("user named across needs identity", (trust({"AWS": USER}),), NO, CROSS, (), caller=USER),
    # Principals
    AssumeCase("account arn", (trust({"AWS": ROOT}),), YES, PRINCIPAL),
    AssumeCase("account id", (trust({"AWS": BACKEND}),), YES, PRINCIPAL),
    AssumeCase("account id needs identity", (trust({"AWS": BACKEND}),), NO, PRINCIPAL, ()),
    AssumeCase("one of a list", (trust({"AWS": [OTHER, BACKEND]}),), YES, PRINCIPAL),
    AssumeCase("none of a list", (trust({"AWS": [OTHER, "444444444444"]}),), NO, PRINCIPAL),
    AssumeCase("role arn takes its session", (trust(AWS_CALLER),), YES, PRINCIPAL, caller=SESSION),
    AssumeCase("session arn is one session", (trust({"AWS": f"{SESSION}x"}),), NO, PRINCIPAL, caller=SESSION),
    AssumeCase("session arn is not the role", (trust({"AWS": SESSION}),), NO, PRINCIPAL),
    AssumeCase("name is case sensitive", (trust({"AWS": CALLER.upper()}),), NO, PRINCIPAL),
    AssumeCase("user", (trust({"AWS": USER}),), YES, PRINCIPAL, caller=USER),
    AssumeCase("user without its path", (trust({"AWS": f"arn:aws:iam::{BACKEND}:user/reena"}),), NO, PRINCIPAL, caller=USER),
    AssumeCase("deleted role's id", (trust({"AWS": "AROAEXAMPLEID"}),), NO, PRINCIPAL),
    AssumeCase("wildcard in arn", (trust({"AWS": f"arn:aws:iam::{BACKEND}:role/*"}),), REFUSED, PRINCIPAL),
    AssumeCase("sessions wildcard", (trust({"AWS": SESSION[:-2] + "*"}),), REFUSED, PRINCIPAL, caller=SESSION),
    AssumeCase("canonical user", (trust({"CanonicalUser": "79a59df9"}),), REFUSED, PRINCIPAL),
    AssumeCase("service", (trust({"Service": "ecs.amazonaws.com"}),), YES, PRINCIPAL, caller="ecs.amazonaws.com"),
    AssumeCase("other service", (trust({"Service": "ecs.amazonaws.com"}),), NO, PRINCIPAL, caller="ec2.amazonaws.com"),
    AssumeCase("service is no account", (trust({"Service": "ecs.amazonaws.com"}),), NO, PRINCIPAL),
    AssumeCase(
        "saml",
        (trust({"Federated": f"arn:aws:iam::{CUSTOMER}:saml-provider/p"}, action="sts:AssumeRoleWithSAML"),),
        YES,
        PRINCIPAL,
        caller=f"arn:aws:iam::{CUSTOMER}:saml-provider/p",
        action="sts:AssumeRoleWithSAML",
    ),
    AssumeCase(
        "web identity",
        (trust({"Federated": "accounts.google.com"}, action="sts:AssumeRoleWithWebIdentity"),),
        YES,
        PRINCIPAL,
        caller="accounts.google.com",
        action="sts:AssumeRoleWithWebIdentity",
    ),
    AssumeCase(
        "web identity is another action",
        (trust({"Federated": "accounts.google.com"}),),
        NO,
        PRINCIPAL,
        caller="accounts.google.com",
        action="sts:AssumeRoleWithWebIdentity",
    ),
    AssumeCase("root user", (trust({"AWS": ROOT}),), NO, "STS API: AssumeRole", None, caller=ROOT),
    AssumeCase("NotPrincipal", (statement(NotPrincipal={"AWS": OTHER}),), REFUSED, "JSON policy elements: NotPrincipal"),
    AssumeCase(
        "NotPrincipal deny",
        (trust(AWS_CALLER), statement("Deny", NotPrincipal=AWS_CALLER)),
        REFUSED,
        "JSON policy elements: NotPrincipal",
    ),
    AssumeCase("trust without principal", (statement(),), REFUSED, PRINCIPAL),
    AssumeCase("principal in identity", (trust(AWS_CALLER),), REFUSED, PRINCIPAL, (grant(Principal="*"),)),
    AssumeCase(
        "other partition",
        (trust("*"),),
        NO,
        "Cross account resource access in IAM",
        None,
        caller=f"arn:aws-cn:iam::{BACKEND}:role/r",
    ),
    # Actions and resources
    AssumeCase("action case", (trust(AWS_CALLER, action="STS:assumerole"),), YES, ACTION),
    AssumeCase("action wildcard", (trust(AWS_CALLER, action="sts:*"),), YES, ACTION),
    AssumeCase("action part wildcard", (trust(AWS_CALLER),), YES, ACTION, (grant(action="sts:Assume*"),)),
    AssumeCase("action question marks", (trust(AWS_CALLER),), YES, ACTION, (grant(action="sts:AssumeRol?"),)),
    AssumeCase("action of another service", (trust(AWS_CALLER),), NO, ACTION, (grant(action="s3:*"),)),
    AssumeCase(
        "NotAction grants the rest",
        (trust(AWS_CALLER),),
        YES,
        "JSON policy elements: NotAction",
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},),
    ),
    AssumeCase(
        "NotAction leaves out",
        (trust(AWS_CALLER),),
        NO,
        "JSON policy elements: NotAction",
        ({"Effect": "Allow", "NotAction": "sts:*", "Resource": "*"},),
    ),
    AssumeCase(
        "Action and NotAction",
        (trust(AWS_CALLER),),
        REFUSED,
        "JSON policy element reference",
        ({"Effect": "Allow", "Action": "sts:*", "NotAction": "iam:*", "Resource": "*"},),
    ),
    AssumeCase("resource wildcard", (trust(AWS_CALLER),), YES, RESOURCE, (grant(resource="*"),)),
    AssumeCase("resource any account", (trust(AWS_CALLER),), YES, RESOURCE, (grant(resource="arn:aws:iam::*:role/role1"),)),
    AssumeCase(
        "resource name wildcard", (trust(AWS_CALLER),), YES, RESOURCE, (grant(resource=f"arn:aws:iam::{CUSTOMER}:role/r*1"),)
    ),
    AssumeCase(
        "resource is case sensitive", (trust(AWS_CALLER),), NO, RESOURCE, (grant(resource=ROLE.replace("role1", "Role1")),)
    ),
    AssumeCase(
        "NotResource grants the rest",
        (trust(AWS_CALLER),),
        YES,
        "JSON policy elements: NotResource",
        (statement(NotResource=f"arn:aws:iam::{OTHER}:role/*"),),
    ),
    AssumeCase(
        "NotResource leaves out",
        (trust(AWS_CALLER),),
        NO,
        "JSON policy elements: NotResource",
        (statement(NotResource=f"arn:aws:iam::{CUSTOMER}:role/*"),),
    ),
    AssumeCase(
        "resource variable",
        (trust({"AWS": ROOT}),),
        NO,
        VARIABLES,
        (grant(resource=f"arn:aws:iam::{CUSTOMER}:role/${{aws:username}}"),),
        caller=USER,
    ),
    AssumeCase("no resource in identity", (trust(AWS_CALLER),), REFUSED, "JSON policy element reference", (statement(),)),
    # Explicit deny
    AssumeCase("deny in trust", (trust(AWS_CALLER), trust("*", "Deny")), DENY, LOGIC),
    AssumeCase("deny in identity", (trust(AWS_CALLER),), DENY, LOGIC, (grant(), grant("Deny", resource="*"))),
    AssumeCase("deny in boundary", (trust(AWS_CALLER),), DENY, LOGIC, boundary=(grant(), grant("Deny"))),
    AssumeCase("deny of others", (trust(AWS_CALLER), trust({"AWS": OTHER}, "Deny")), YES, LOGIC),
    AssumeCase(
        "deny unless MFA",
        (trust({"AWS": USER}), trust("*", "Deny", Condition={"BoolIfExists": {MFA: "false"}})),
        DENY,
        GLOBAL,
        caller=USER,
        context={MFA: ()},
    ),
    AssumeCase(
        "deny unless MFA, with it",
        (trust({"AWS": USER}), trust("*", "Deny", Condition={"BoolIfExists": {MFA: "false"}})),
        YES,
        GLOBAL,
        caller=USER,
        context={MFA: "true"},
    ),
    AssumeCase(
        "deny but for one principal",
        (trust({"AWS": ROOT}), trust("*", "Deny", Condition={"ArnNotEquals": {"aws:PrincipalArn": USER}})),
        DENY,
        PRINCIPAL,
    ),
    AssumeCase(
        "deny but for this principal",
        (trust({"AWS": ROOT}), trust("*", "Deny", Condition={"ArnNotEquals": {"aws:PrincipalArn": CALLER}})),
        YES,
        PRINCIPAL,
        caller=SESSION,
    ),
    AssumeCase(
        "unknown operator in a deny",
        (trust(AWS_CALLER), trust("*", "Deny", Condition={"X": {"k": "v"}})),
        REFUSED,
        OPERATORS,
    ),
    AssumeCase(
        "sure deny beats the unknown", (trust("*", "Deny", Condition={"X": {"k": "v"}}), trust("*", "Deny")), DENY, LOGIC
    ),
    AssumeCase("unknown operator beside an allow", (trust(AWS_CALLER), trust("*", Condition={"X": {"k": "v"}})), YES, LOGIC),
    # Boundaries
    AssumeCase("boundary allows", (trust(AWS_CALLER),), YES, BOUNDARIES, boundary=(grant(action="sts:*", resource="*"),)),
    AssumeCase("boundary does not", (trust(AWS_CALLER),), NO, BOUNDARIES, boundary=(grant(action="s3:*", resource="*"),)),
    AssumeCase("boundary alone grants nothing", (trust(AWS_CALLER),), NO, BOUNDARIES, (), (grant(resource="*"),)),
    # One account
    AssumeCase("local user named", (trust({"AWS": LOCAL_USER}),), YES, LOGIC, (), caller=LOCAL_USER),
    AssumeCase(
        "local user past its boundary", (trust({"AWS": LOCAL_USER}),), YES, LOGIC, (), (grant(action="s3:*"),), LOCAL_USER
    ),
    AssumeCase("local role named", (trust({"AWS": LOCAL_ROLE}),), YES, LOGIC, (), caller=LOCAL_ROLE),
    AssumeCase(
        "local role within boundary", (trust({"AWS": LOCAL_ROLE}),), NO, LOGIC, (), (grant(action="s3:*"),), LOCAL_ROLE
    ),
    AssumeCase(
        "local session named", (trust({"AWS": LOCAL_SESSION}),), YES, LOGIC, (), (grant(action="s3:*"),), LOCAL_SESSION
    ),
    AssumeCase(
        "local session by role", (trust({"AWS": LOCAL_ROLE}),), NO, LOGIC, (), (grant(action="s3:*"),), LOCAL_SESSION
    ),
    AssumeCase("local root needs identity", (trust({"AWS": LOCAL}),), NO, LOGIC, (), caller=LOCAL_USER),
    AssumeCase("local root with identity", (trust({"AWS": LOCAL}),), YES, LOGIC, caller=LOCAL_USER),
    AssumeCase("local wildcard needs nothing", (trust("*"),), YES, PRINCIPAL, (), caller=LOCAL_USER),
    AssumeCase("local identity without trust", (trust({"AWS": OTHER}),), NO, LOGIC, caller=LOCAL_USER),
    AssumeCase("local deny", (trust({"AWS": LOCAL_USER}),), DENY, LOGIC, (grant("Deny"),), caller=LOCAL_USER),
    # External id
    AssumeCase("external id", (trust(AWS_CALLER, Condition=EXT),), YES, EXTERNAL, context={"sts:ExternalId": "Example987"}),
    AssumeCase("no external id", (trust(AWS_CALLER, Condition=EXT),), NO, EXTERNAL),
    AssumeCase(
        "other external id", (trust(AWS_CALLER, Condition=EXT),), NO, EXTERNAL, context={"sts:ExternalId": "example987"}
    ),
    AssumeCase(
        "rotation",
        (trust(AWS_CALLER, Condition={"StringEquals": {"sts:ExternalId": ["old", "new"]}}),),
        YES,
        CONDITION,
        context={"sts:ExternalId": "old"},
    ),
    AssumeCase(
        "two conditions are and",
        (trust(AWS_CALLER, Condition={**EXT, "Bool": {MFA: "true"}}),),
        NO,
        CONDITION,
        context={"sts:ExternalId": "Example987"},
    ),
    # Derived keys
    AssumeCase(
        "PrincipalArn of a session is the role",
        (trust({"AWS": ROOT}, Condition={"ArnEquals": {"aws:PrincipalArn": CALLER}}),),
        YES,
        GLOBAL,
        caller=SESSION,
    ),
    AssumeCase(
        "PrincipalArn of another",
        (trust({"AWS": ROOT}, Condition={"ArnEquals": {"aws:PrincipalArn": CALLER}}),),
        NO,
        GLOBAL,
        caller=USER,
    ),
    AssumeCase(
        "PrincipalAccount", (trust("*", Condition={"StringEquals": {"aws:PrincipalAccount": BACKEND}}),), YES, GLOBAL
    ),
    AssumeCase(
        "PrincipalAccount of another", (trust("*", Condition={"StringEquals": {"aws:PrincipalAccount": OTHER}}),), NO, GLOBAL
    ),
    AssumeCase(
        "PrincipalType", (trust("*", Condition={"StringEquals": {"aws:PrincipalType": "AssumedRole"}}),), YES, VARIABLES
    ),
    AssumeCase(
        "ResourceAccount",
        (trust(AWS_CALLER),),
        YES,
        GLOBAL,
        (
            grant(
                resource="arn:aws:iam::*:role/role1", Condition={"StringEquals": {"aws:ResourceAccount": [OTHER, CUSTOMER]}}
            ),
        ),
    ),
    AssumeCase(
        "ResourceAccount of others",
        (trust(AWS_CALLER),),
        NO,
        GLOBAL,
        (grant(resource="arn:aws:iam::*:role/role1", Condition={"StringEquals": {"aws:ResourceAccount": OTHER}}),),
    ),
    AssumeCase(
        "session name",
        (trust({"AWS": USER}, Condition={"StringLike": {"sts:RoleSessionName": "${aws:username}"}}),),
        YES,
        VARIABLES,
        caller=USER,
        context={"sts:RoleSessionName": "reena"},
    ),
    AssumeCase(
        "session name of another",
        (trust({"AWS": USER}, Condition={"StringLike": {"sts:RoleSessionName": "${aws:username}"}}),),
        NO,
        VARIABLES,
        caller=USER,
        context={"sts:RoleSessionName": "sam"},
    ),
    AssumeCase(
        "session name not said",
        (trust({"AWS": USER}, Condition={"StringNotLike": {"sts:RoleSessionName": "x"}}),),
        REFUSED,
        GLOBAL,
        caller=USER,
    ),
    AssumeCase(
        "org id",
        (trust("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),),
        YES,
        GLOBAL,
        context={"aws:PrincipalOrgID": "o-1"},
    ),
    AssumeCase(
        "other org id",
        (trust("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),),
        NO,
        GLOBAL,
        context={"aws:PrincipalOrgID": "o-2"},
    ),
    # Tags and source identity
    AssumeCase(
        "tags",
        (trust(AWS_CALLER, action=BOTH_TAGS),),
        YES,
        TAGS,
        (grant(action=BOTH_TAGS),),
        context={"aws:RequestTag/Project": "a", TAG_KEYS: ("Project",)},
    ),
    AssumeCase(
        "tags without trust",
        (trust(AWS_CALLER),),
        NO,
        TAGS,
        (grant(action=BOTH_TAGS),),
        context={"aws:RequestTag/Project": "a"},
    ),
    AssumeCase(
        "tags without identity", (trust(AWS_CALLER, action=BOTH_TAGS),), NO, TAGS, context={"aws:RequestTag/Project": "a"}
    ),
    AssumeCase("transitive keys are tags", (trust(AWS_CALLER),), NO, TAGS, context={"sts:TransitiveTagKeys": ("a",)}),
    AssumeCase("absent tag keys are none", (trust(AWS_CALLER),), YES, TAGS, context={TAG_KEYS: ()}),
    AssumeCase(
        "tag value asked",
        (trust(AWS_CALLER, action=BOTH_TAGS, Condition={"StringEquals": {"aws:RequestTag/Project": "b"}}),),
        NO,
        TAGS,
        (grant(action=BOTH_TAGS),),
        context={"aws:RequestTag/Project": "a"},
    ),
    AssumeCase(
        "source identity",
        (trust(AWS_CALLER, action=["sts:AssumeRole", "sts:SetSourceIdentity"]),),
        YES,
        SOURCE,
        (grant(action="sts:*"),),
        context={"sts:SourceIdentity": "reena"},
    ),
    AssumeCase(
        "source identity without trust",
        (trust(AWS_CALLER),),
        NO,
        SOURCE,
        (grant(action="sts:*"),),
        context={"sts:SourceIdentity": "reena"},
    ),
    AssumeCase(
        "source identity without identity",
        (trust(AWS_CALLER, action="sts:*"),),
        NO,
        SOURCE,
        context={"sts:SourceIdentity": "reena"},
    ),
)


def evaluator_of(case: AssumeCase) -> tuple[Evaluator, Caller]:
    parts: list[Any] = [Role(ROLE, document(*case.trust))]
    arn = case.caller.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").removesuffix("/s1")
    inline = {"p": document(*case.identity)} if case.identity else {}
    boundary = POLICY if case.boundary is not None else None
    if case.boundary is not None:
        parts.append(ManagedPolicy(POLICY, document(*case.boundary)))
    if case.identity is not None and ":user/" in arn:
        parts.append(User(arn, inline=inline, boundary=boundary))
    elif case.identity is not None and ":role/" in arn:
        parts.append(Role(arn, None, inline=inline, boundary=boundary))
    side = IdentitySide.ALLOWS_ALL if case.identity is None else IdentitySide.KNOWN
    return Evaluator(access_of(*parts)), Caller(case.caller, side)


@pytest.mark.parametrize("case", ASSUME_CASES, ids=lambda case: case.name)
def test_assume_role_decides_as_documented(case: AssumeCase) -> None:
    """Assuming the role over these two sides ends as the named page says."""
    evaluator, caller = evaluator_of(case)
    decision = evaluator.may_assume(Request(caller, ROLE, case.action, case.context))

    assert case.expected is decision.effect, f"{case.page}: {decision.reason}"


def test_the_table_has_at_least_150_cases_with_pages() -> None:
    """The table is as long as the project asks for and names a page in every row."""
    rows: list[ConditionCase | AssumeCase] = [*CONDITION_CASES, *ASSUME_CASES]

    assert len(rows) >= 150
    assert all(row.page for row in rows)


def test_decision_names_the_deciding_statement_and_its_place() -> None:
    """A decision carries the statement that made it and says where that statement stands."""
    deny = document(trust(AWS_CALLER), {**trust("*", "Deny"), "Sid": "No"})
    decision = Evaluator(access_of(Role(ROLE, deny))).may_assume(Request(Caller(CALLER, IdentitySide.ALLOWS_ALL), ROLE))

    assert decision.statement is not None
    assert ("No", f"trust policy of {ROLE}") == (decision.statement.sid, decision.policy)


def test_group_managed_and_built_in_policies_count() -> None:
    """A user gets what its group's inline, attached and AWS managed policies grant."""
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    for group in (
        Group(GROUP, {"p": document(grant())}),
        Group(GROUP, attached=frozenset({POLICY})),
        Group(GROUP, attached=frozenset({admin})),
    ):
        parts = (
            Role(ROLE, document(trust({"AWS": USER}))),
            group,
            ManagedPolicy(POLICY, document(grant())),
            User(USER, frozenset({GROUP})),
        )
        assert Effect.ALLOW is Evaluator(access_of(*parts)).may_assume(Request(Caller(USER), ROLE)).effect


def test_unknown_managed_policies_grant_nothing_and_are_named() -> None:
    """A policy whose text is not known adds nothing, and the decision says that it was left out."""
    unknown = "arn:aws:iam::aws:policy/SomethingElse"
    access = access_of(Role(ROLE, document(trust({"AWS": USER}))), User(USER, attached=frozenset({unknown})))
    decision = Evaluator(access).may_assume(Request(Caller(USER), ROLE))

    assert (Effect.IMPLICIT_DENY, (unknown,)) == (decision.effect, decision.unknown_policies)


@pytest.mark.parametrize("access", [Access(), access_of(Role(ROLE, None, existing=True))])
def test_unknown_trust_policy_is_refused(access: Access) -> None:
    """Nothing is claimed about a role whose trust policy is not known."""
    assert Effect.REFUSED is Evaluator(access).may_assume(Request(Caller(CALLER, IdentitySide.ALLOWS_ALL), ROLE)).effect


def test_unknown_boundary_is_refused() -> None:
    """Nothing is claimed about a caller whose permissions boundary is not known."""
    access = access_of(
        Role(ROLE, document(trust(AWS_CALLER))), Role(CALLER, None, {"p": document(grant())}, boundary=POLICY)
    )

    assert Effect.REFUSED is Evaluator(access).may_assume(Request(Caller(CALLER), ROLE)).effect


def test_free_keys_are_taken_as_the_caller_wishes_and_named() -> None:
    """A free request holds an Allow's unsaid keys and escapes a Deny's, and the decision names what it assumed."""
    body = document(
        trust("*", Condition={"IpAddress": {IP: "203.0.113.0/24"}}),
        trust("*", "Deny", Condition={"StringLike": {"aws:UserAgent": "*"}}),
    )
    evaluator = Evaluator(access_of(Role(ROLE, body)))
    stranger = Caller(f"arn:aws:iam::{OTHER}:user/x", IdentitySide.ALLOWS_ALL)

    assert Effect.IMPLICIT_DENY is evaluator.may_assume(Request(stranger, ROLE)).effect
    assert ("aws:sourceip",) == evaluator.may_assume(Request(stranger, ROLE, free=True)).assumed
    assert Effect.IMPLICIT_DENY is evaluator.may_assume(Request(stranger, ROLE, context={IP: ()}, free=True)).effect
