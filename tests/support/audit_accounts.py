"""Accounts for tests of the audit, as `aws iam get-account-authorization-details` returns them.

`EXAMPLE` is the account in examples/authorization-details.json: each role has the faults in its name, and `PLANTED` lists
the findings. `generated_account` has any number of ordinary roles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from rolecall_generator.audit import Audit, OwnAccounts, audit_accounts
from rolecall_generator.audit.account import AccountBuilder

ACCOUNT = "222222222222"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DATADOG, DATADOG_2, CLOUDHEALTH, UNKNOWN, FRIEND = (
    "464622532012", "417141415827", "454464851268", "333333333333", "444444444444",
)  # fmt: skip
ORGANIZATION = "o-a1b2c3d4e5"
GOOD_ID = "0f0c5a6e8d2b4c7f9a1e3b5d7f9a1c3e"
OTHER_ID = "7b1d9e3f5a2c4e6f8091a2b3c4d5e6f7"
GITHUB = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
EKS = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
SAML = f"arn:aws:iam::{ACCOUNT}:saml-provider/Okta"

Json = dict[str, Any]


def document(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(principal: Any, condition: Json | None = None, action: Any = "sts:AssumeRole", **more: Any) -> Json:
    statement: Json = {"Effect": "Allow", "Principal": principal, "Action": action, **more}
    return {**statement, "Condition": condition} if condition else statement


def root(account: str) -> Json:
    return {"AWS": f"arn:aws:iam::{account}:root"}


def caller(account: str, name: str = "role/integration") -> Json:
    return {"AWS": f"arn:aws:iam::{account}:{name}"}


def by_id(*values: str) -> Json:
    return {"StringEquals": {"sts:ExternalId": values[0] if len(values) == 1 else list(values)}}


def allow(actions: Any, resources: Any = "*", condition: Json | None = None) -> Json:
    statement: Json = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


READ_LOGS = allow(["logs:GetLogEvents", "logs:DescribeLogStreams"], "arn:aws:logs:eu-west-1:222222222222:log-group:app:*")


def role(  # noqa: PLR0913 - the fields of a role
    name: str,
    *trusts: Json,
    permissions: Iterable[Json] = (READ_LOGS,),
    attached: Iterable[str] = (),
    boundary: str | None = None,
    used: str | None = "2026-11-20T08:00:00+00:00",
    created: str = "2025-01-15T10:00:00+00:00",
    path: str = "/",
    tags: Mapping[str, str] | None = None,
    account: str = ACCOUNT,
) -> Json:
    """One item of RoleDetailList."""
    identifier = "AROA" + hashlib.sha256(f"{account}{path}{name}".encode("utf-8", "surrogatepass")).hexdigest()[:17].upper()
    statements = list(permissions)
    body: Json = {
        "Path": path,
        "RoleName": name,
        "RoleId": identifier,
        "Arn": f"arn:aws:iam::{account}:role{path}{name}",
        "CreateDate": created,
        "AssumeRolePolicyDocument": document(*trusts),
        "InstanceProfileList": [],
        "RolePolicyList": [{"PolicyName": "inline", "PolicyDocument": document(*statements)}] if statements else [],
        "AttachedManagedPolicies": [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in attached],
        "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        "RoleLastUsed": {"LastUsedDate": used, "Region": "eu-west-1"} if used else {},
    }
    if boundary:
        body["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
    return body


def managed_policy(arn: str, body: Json) -> Json:
    """One item of Policies."""
    version = {"Document": body, "VersionId": "v1", "IsDefaultVersion": True, "CreateDate": "2025-01-15T10:00:00+00:00"}
    name = arn.rpartition("/")[2]
    return {
        "PolicyName": name,
        "PolicyId": "ANPA" + hashlib.sha256(arn.encode("utf-8", "surrogatepass")).hexdigest()[:17].upper(),
        "Arn": arn,
        "Path": "/",
        "DefaultVersionId": "v1",
        "AttachmentCount": 1,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": "2025-01-15T10:00:00+00:00",
        "UpdateDate": "2025-01-15T10:00:00+00:00",
        "PolicyVersionList": [version],
    }


def page(*roles: Json, policies: Iterable[Json] = (), users: Iterable[Json] = (), groups: Iterable[Json] = ()) -> Json:
    return {
        "UserDetailList": list(users),
        "GroupDetailList": list(groups),
        "RoleDetailList": list(roles),
        "Policies": list(policies),
        "IsTruncated": False,
    }


def audited(*pages: Json, own: OwnAccounts = OwnAccounts(), now: datetime = NOW) -> Audit:  # noqa: B008 - immutable
    """The audit of the accounts in some pages."""
    builder = AccountBuilder("account.json")
    for number, each in enumerate(pages):
        builder.add_page(each, f"page {number}")
    return audit_accounts(builder.build(), now, own=own)


def deny(actions: Any, resources: Any = "*", condition: Json | None = None) -> Json:
    return {**allow(actions, resources, condition), "Effect": "Deny"}


def encoded(details: Json) -> Json:
    """The same page with URL-encoded documents, as the API returns it."""

    def convert(value: Any) -> Any:
        if isinstance(value, dict):
            if "Statement" in value:
                return quote(json.dumps(value), safe="")
            return {key: convert(each) for key, each in value.items()}
        return [convert(each) for each in value] if isinstance(value, list) else value

    converted: Json = convert(details)
    return converted


ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
LIMIT = f"arn:aws:iam::{ACCOUNT}:policy/limit"

# Each role with the findings that it must have, and no other.
ROLES: tuple[tuple[Json, tuple[str, ...]], ...] = (
    # Without a fault.
    (role("datadog", trust(caller(DATADOG), by_id(GOOD_ID))), ()),
    (role("staff", trust(caller(UNKNOWN, "user/ann"), {"Bool": {"aws:MultiFactorAuthPresent": "true"}})), ()),
    (role("lambda", trust({"Service": "lambda.amazonaws.com"}), permissions=(allow("*"),)), ()),
    (role("own-account", trust(root(ACCOUNT)), permissions=(allow("*"),)), ()),
    (
        role(
            "github-release",
            trust(
                {"Federated": GITHUB},
                {
                    "StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
                    "StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme/*:ref:refs/heads/main"},
                },
                "sts:AssumeRoleWithWebIdentity",
            ),
        ),
        (),
    ),
    (role("okta", trust({"Federated": SAML}, action="sts:AssumeRoleWithSAML"), permissions=(allow("*"),)), ()),
    (
        role(
            "organization",
            trust(
                "*",
                {
                    "StringEquals": {"aws:PrincipalOrgID": ORGANIZATION},
                    "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/deploy"},
                },
            ),
        ),
        (),
    ),
    (
        role(
            "flow-logs-guarded",
            trust({"Service": "vpc-flow-logs.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        ),
        (),
    ),
    (
        role(
            "limited", trust(caller(DATADOG), by_id(f"{GOOD_ID}1")), permissions=(), attached=[ADMINISTRATOR], boundary=LIMIT
        ),
        (),
    ),
    # Trust.
    (role("anyone", trust("*", by_id(f"{GOOD_ID}2"))), ("RA101",)),
    (
        role("any-account-same-name", trust({"AWS": "*"}, {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/ci"}})),
        ("RA101",),
    ),
    (role("partner", trust(root(UNKNOWN), by_id(f"{GOOD_ID}3"))), ("RA102",)),
    (role("cloudhealth", trust(root(CLOUDHEALTH), by_id(f"{GOOD_ID}4"))), ("RA102",)),
    (role("deleted", trust({"AWS": "AROAEXAMPLEEXAMPLE123"})), ("RA103",)),
    (
        role(
            "github-any-repository",
            trust(
                {"Federated": GITHUB},
                {"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}},
                "sts:AssumeRoleWithWebIdentity",
            ),
        ),
        ("RA104",),
    ),
    (
        role(
            "github-open-prefix",
            trust(
                {"Federated": GITHUB},
                {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme*"}},
                "sts:AssumeRoleWithWebIdentity",
            ),
        ),
        ("RA104",),
    ),
    (role("eks-any-pod", trust({"Federated": EKS}, action="sts:AssumeRoleWithWebIdentity")), ("RA104",)),
    (role("flow-logs", trust({"Service": "vpc-flow-logs.amazonaws.com"})), ("RA105",)),
    (role("not-principal", {"Effect": "Allow", "NotPrincipal": root(UNKNOWN), "Action": "sts:AssumeRole"}), ("RA106",)),
    # External IDs.
    (role("datadog-no-id", trust(caller(DATADOG))), ("RA201",)),
    (role("unknown-no-id", trust(caller(UNKNOWN))), ("RA201",)),
    (role("id-if-exists", trust(caller(DATADOG), {"StringEqualsIfExists": {"sts:ExternalId": f"{GOOD_ID}5"}})), ("RA202",)),
    (
        role("id-in-one-statement", trust(caller(DATADOG), by_id(f"{GOOD_ID}6")), trust(caller(DATADOG))),
        ("RA202",),
    ),
    (role("id-not-equals", trust(caller(DATADOG), {"StringNotEquals": {"sts:ExternalId": "blocked"}})), ("RA202",)),
    (role("id-pattern", trust(caller(DATADOG), {"StringLike": {"sts:ExternalId": "acme-*"}})), ("RA203",)),
    (role("id-short", trust(caller(DATADOG), by_id("q7Zt2"))), ("RA204",)),
    (role("id-account", trust(caller(DATADOG), by_id(f"acme-{ACCOUNT}-external"))), ("RA205",)),
    (role("id-example", trust(caller(DATADOG), by_id("12345"))), ("RA204", "RA205")),
    (role("shared-one", trust(caller(DATADOG), by_id(OTHER_ID))), ("RA206",)),
    (role("shared-two", trust(caller(UNKNOWN), by_id(OTHER_ID))), ("RA206",)),
    (role("twice-one", trust(caller(DATADOG), by_id(f"{OTHER_ID}1"))), ("RA206",)),
    (role("twice-two", trust(caller(DATADOG), by_id(f"{OTHER_ID}1"))), ()),
    (
        role(
            "tags-without-id",
            trust(caller(DATADOG), by_id(f"{GOOD_ID}7")),
            trust(caller(DATADOG), action="sts:TagSession"),
        ),
        ("RA207",),
    ),
    # Use and permissions.
    (role("unused", trust(caller(DATADOG), by_id(f"{GOOD_ID}8")), used="2026-03-01T00:00:00+00:00"), ("RA301",)),
    (role("never-used", trust(caller(DATADOG), by_id(f"{GOOD_ID}9")), used=None), ("RA301",)),
    (
        role("administrator", trust(caller(DATADOG), by_id(f"{GOOD_ID}a")), permissions=(), attached=[ADMINISTRATOR]),
        ("RA401",),
    ),
    (
        role(
            "passes-roles",
            trust(caller(DATADOG), by_id(f"{GOOD_ID}b")),
            permissions=(allow(["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"]),),
        ),
        ("RA402",),
    ),
    (
        role(
            "passes-roles-to-nothing",
            trust(caller(DATADOG), by_id(f"{GOOD_ID}c")),
            permissions=(
                allow("iam:PassRole", condition={"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}}),
                allow(["lambda:CreateFunction", "lambda:InvokeFunction"]),
            ),
        ),
        (),
    ),
    (
        role("creates-users", trust(caller(DATADOG), by_id(f"{GOOD_ID}d")), permissions=(allow("iam:CreateUser"),)),
        ("RA403",),
    ),
    (
        role("reads-buckets", trust(caller(DATADOG), by_id(f"{GOOD_ID}e")), permissions=(allow("s3:Get*"),)),
        ("RA404",),
    ),
    (
        role(
            "reads-no-secrets",
            trust(caller(DATADOG), by_id(f"{GOOD_ID}f")),
            permissions=(
                allow(["secretsmanager:*"]),
                {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
            ),
        ),
        (),
    ),
    (
        role(
            "assumes-administrator",
            trust(caller(DATADOG), by_id(f"{GOOD_ID}10")),
            permissions=(allow("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/own-account"),),
        ),
        ("RA405",),
    ),
    (
        role(
            "assumes-every-role",
            trust(caller(DATADOG), by_id(f"{GOOD_ID}11")),
            permissions=(
                allow("sts:AssumeRole"),
                {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/*"},
            ),
        ),
        ("RA405",),
    ),
    (
        role(
            "assumes-elsewhere",
            trust(caller(DATADOG), by_id(f"{GOOD_ID}13")),
            permissions=(allow("sts:AssumeRole", f"arn:aws:iam::{FRIEND}:role/hub"),),
        ),
        ("RA405",),
    ),
    (
        role(
            "unknown-policy",
            trust(caller(DATADOG), by_id(f"{GOOD_ID}12")),
            attached=[f"arn:aws:iam::{ACCOUNT}:policy/not-in-the-data"],
        ),
        ("RA406",),
    ),
    (
        role("reaches-by-session", trust(caller(DATADOG), by_id(f"{GOOD_ID}15"))),
        ("RA405",),
    ),
    (
        role("for-a-session", trust({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/reaches-by-session/release"})),
        (),
    ),
    # Conditions on the time.
    (
        role(
            "expired",
            trust(caller(DATADOG), {**by_id(f"{GOOD_ID}14"), "DateLessThan": {"aws:CurrentTime": "2026-06-30T00:00:00Z"}}),
            permissions=(allow("*"),),
        ),
        ("RA107",),
    ),
    # A service-linked role is not examined.
    (
        role(
            "AWSServiceRoleForSupport",
            trust({"Service": "support.amazonaws.com"}),
            path="/aws-service-role/support.amazonaws.com/",
            permissions=(allow("*"),),
        ),
        (),
    ),
)
EXAMPLE = page(
    *(each for each, _ in ROLES),
    policies=[
        managed_policy(ADMINISTRATOR, document(allow("*"))),
        managed_policy(
            LIMIT, document(allow(["logs:Get*", "logs:Describe*"], "arn:aws:logs:*:222222222222:log-group:app:*"))
        ),
    ],
)
PLANTED = {each["Arn"]: findings for each, findings in ROLES}


def example_text() -> str:
    """The content of examples/authorization-details.json."""
    return json.dumps(EXAMPLE, indent=2) + "\n"


def generated_account(roles: int, account: str = ACCOUNT) -> Json:
    """An ordinary account: two thirds of its roles are for services, the others for vendors, partners and pipelines."""
    services = ("lambda", "ec2", "ecs-tasks", "states", "events", "vpc-flow-logs", "codebuild", "glue")
    items = []
    for number in range(roles):
        permissions = [
            allow(["s3:GetObject", "s3:ListBucket"], [f"arn:aws:s3:::bucket-{number}", f"arn:aws:s3:::bucket-{number}/*"]),
            allow(["dynamodb:Query", "dynamodb:GetItem"], f"arn:aws:dynamodb:eu-west-1:{account}:table/table-{number}"),
            allow(["logs:CreateLogStream", "logs:PutLogEvents", "ec2:Describe*", "cloudwatch:Get*"]),
        ]
        name = f"app-{number:04}"
        external_id = hashlib.sha256(name.encode()).hexdigest()[:32]
        match number % 9:
            case 6:
                statements = [trust(caller(f"{300_000_000_000 + number % 40}"), by_id(external_id))]
            case 7:
                statements = [trust(root(DATADOG), by_id(external_id))]
            case 8:
                subject = {"token.actions.githubusercontent.com:sub": f"repo:acme/app-{number}:*"}
                statements = [trust({"Federated": GITHUB}, {"StringLike": subject}, "sts:AssumeRoleWithWebIdentity")]
            case _:
                statements = [trust({"Service": f"{services[number % len(services)]}.amazonaws.com"})]
        items.append(role(name, *statements, permissions=permissions, account=account, tags={"number": str(number)}))
    return page(*items, policies=[managed_policy(ADMINISTRATOR, document(allow("*")))])


def hostile_account(texts: Iterable[str]) -> Json:
    """Every string that someone else chooses is hostile: names, tags, principals, conditions, actions, policies."""
    roles = []
    for number, text in enumerate(texts):
        roles.append(
            role(
                f"{number}{text}",
                trust({"AWS": [f"arn:aws:iam::{UNKNOWN}:role/{text}", text]}, {"StringEquals": {text: text}}),
                trust({"Federated": text}, action="sts:AssumeRoleWithWebIdentity"),
                trust({"Service": text}),
                trust({"Service": f"{text}.amazonaws.com"}, {"DateLessThan": {"aws:CurrentTime": "2020-01-01"}}),
                permissions=[allow(["s3:GetObject", text]), allow("iam:PutRolePolicy", text)],
                attached=[f"arn:aws:iam::{ACCOUNT}:policy/{text}"],
                tags={text: text},
            )
        )
    return page(*roles)
