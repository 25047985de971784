"""A second account, in another partition: each trust policy with the findings about trust that it must have, and no other.

The faults are tricks of conditions, principals and identity providers that the example account does not have.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from audit_accounts import GOOD_ID, OTHER_ID, page, role
from rolecall_generator.audit import OwnAccounts, audit_accounts, read_accounts

ACCOUNT, STRANGER, PARTNER = "123400000001", "123400000002", "555500000005"
ORGANIZATION = "o-zy98xw76vu"
NOW = datetime(2026, 11, 30, tzinfo=UTC)
ASSUME, WEB = "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"
GITHUB = "token.actions.githubusercontent.com"

Json = dict[str, Any]


def allow(principal: Any, action: str = ASSUME, /, **conditions: Json) -> Json:
    """A statement; `__` in a name stands for a colon."""
    statement: Json = {"Effect": "Allow", "Principal": principal, "Action": action}
    condition = {name.replace("__", ":"): each for name, each in conditions.items()}
    return {**statement, "Condition": condition} if condition else statement


def deny(**conditions: Json) -> Json:
    return {**allow("*", "sts:*", **conditions), "Effect": "Deny"}


def of(account: str, name: str = "root") -> Json:
    return {"AWS": f"arn:aws-us-gov:iam::{account}:{name}"}


def provider(issuer: str) -> Json:
    return {"Federated": f"arn:aws-us-gov:iam::{ACCOUNT}:oidc-provider/{issuer}"}


BACKEND = of(PARTNER, "role/backend")
WITH_ID = {"StringEquals": {"sts:ExternalId": GOOD_ID}}

FAULTS: dict[str, tuple[list[Json], set[str]]] = {
    # Anyone.
    "caller-in-no-organization": ([allow("*", ForAllValues__StringEquals={"aws:PrincipalOrgID": ORGANIZATION})], {"RA101"}),
    "organization-if-exists": ([allow("*", StringEqualsIfExists={"aws:PrincipalOrgID": ORGANIZATION})], {"RA101"}),
    "paths-for-all-values": (
        [allow("*", ForAllValues__StringLike={"aws:PrincipalOrgPaths": f"{ORGANIZATION}/*"})],
        {"RA101"},
    ),
    "organization-by-pattern": ([allow("*", StringLike={"aws:PrincipalOrgID": "o-z*"})], {"RA101"}),
    "any-organization": ([allow("*", Null={"aws:PrincipalOrgID": "false"})], {"RA101"}),
    "all-but-one-account": ([allow({"AWS": "*"}, StringNotEquals={"aws:PrincipalAccount": STRANGER})], {"RA101"}),
    "session-name-by-user-id": ([allow("*", StringLike={"aws:userid": "*:deploy"})], {"RA101"}),
    "tag-of-the-caller": ([allow("*", StringEquals={"aws:PrincipalTag/team": "red"})], {"RA101"}),
    "second-statement": (
        [
            allow("*", StringEquals={"aws:PrincipalOrgID": ORGANIZATION}),
            allow("*", StringLike={"sts:RoleSessionName": "a*"}),
        ],
        {"RA101"},
    ),
    "key-in-another-case": ([allow("*", StringNotEqualsIgnoreCase={"AWS:principalorgid": "o-other00000"})], {"RA101"}),
    "deny-that-a-caller-avoids": ([allow("*"), deny(StringEquals={"sts:RoleSessionName": "x2"})], {"RA101"}),
    # Third parties.
    "number-as-principal": ([allow({"AWS": PARTNER}, **WITH_ID)], {"RA102"}),
    "external-id-for-all-values": ([allow(BACKEND, ForAllValues__StringEquals={"sts:ExternalId": GOOD_ID})], {"RA202"}),
    "external-id-of-one-action": (
        [allow(BACKEND, **WITH_ID), allow(BACKEND, "sts:Assume*", Bool={"aws:SecureTransport": "true"})],
        {"RA202"},
    ),
    "any-external-id": ([allow(BACKEND, Null={"sts:ExternalId": "false"})], {"RA203"}),
    "external-id-of-a-tag": ([allow(BACKEND, StringEquals={"sts:ExternalId": "${aws:PrincipalTag/customer}"})], {"RA203"}),
    "all-but-one-external-id": (
        [allow(BACKEND, StringLike={"sts:ExternalId": "*"}, StringNotEquals={"sts:ExternalId": "test"})],
        {"RA203"},
    ),
    "number-as-external-id": ([allow(BACKEND, StringEquals={"sts:ExternalId": 123400000001})], {"RA204", "RA205"}),
    "deny-of-one-external-id": ([allow(BACKEND), deny(StringEquals={"sts:ExternalId": "x1"})], {"RA202"}),
    # Identity providers.
    "github-environment": ([allow(provider(GITHUB), WEB, StringEquals={f"{GITHUB}:sub": "environment:prod"})], {"RA104"}),
    "github-open-letter": ([allow(provider(GITHUB), WEB, StringLike={f"{GITHUB}:sub": "repo:acm?/app:*"})], {"RA104"}),
    "github-all-but-one": ([allow(provider(GITHUB), WEB, StringNotLike={f"{GITHUB}:sub": "repo:evil/*"})], {"RA104"}),
    "github-workflow": (
        [allow(provider(GITHUB), WEB, StringEquals={f"{GITHUB}:job_workflow_ref": "acme/app/.github/workflows/x.yml@main"})],
        {"RA104"},
    ),
    "gitlab-any-group": ([allow(provider("gitlab.com"), WEB, StringLike={"gitlab.com:sub": "project_path:*"})], {"RA104"}),
    "terraform-audience-only": (
        [allow(provider("app.terraform.io"), WEB, StringEquals={"app.terraform.io:aud": "aws.workload.identity"})],
        {"RA104"},
    ),
    "terraform-any-organization": (
        [allow(provider("app.terraform.io"), WEB, StringLike={"app.terraform.io:sub": "organization:*:project:p:*"})],
        {"RA104"},
    ),
    # Services.
    "source-in-any-account": (
        [allow({"Service": "transfer.amazonaws.com"}, ArnLike={"aws:SourceArn": "arn:aws-us-gov:transfer:*:*:server/*"})],
        {"RA105"},
    ),
    "source-account-by-pattern": (
        [allow({"Service": "transfer.amazonaws.com"}, StringLike={"aws:SourceAccount": "1234*"})],
        {"RA105"},
    ),
    "source-if-exists": (
        [allow({"Service": "transfer.amazonaws.com"}, StringEqualsIfExists={"aws:SourceAccount": ACCOUNT})],
        {"RA105"},
    ),
    "any-service": ([allow("*", Bool={"aws:PrincipalIsAWSService": "true"})], {"RA105"}),
    "any-service-if-exists": (
        [allow("*", Bool={"aws:PrincipalIsAWSService": "true"}, StringEqualsIfExists={"aws:SourceAccount": ACCOUNT})],
        {"RA105"},
    ),
    "service-of-a-condition": (
        [allow("*", StringEquals={"aws:PrincipalServiceName": "transfer.amazonaws.com"})],
        {"RA105"},
    ),
    # Not decided.
    "wildcard-for-services": ([allow({"Service": "*"})], {"RA106"}),
    "wildcard-for-providers": ([allow({"Federated": "*"}, WEB)], {"RA106"}),
    "not-principal": ([{"Effect": "Allow", "NotPrincipal": of(ACCOUNT), "Action": ASSUME}], {"RA106"}),
    "no-principal": ([{"Effect": "Allow", "Action": ASSUME}], {"RA106"}),
    "wildcard-in-a-principal": ([allow(of("*"))], {"RA106"}),
    "equal-keys": ([allow(BACKEND, StringEquals={"sts:ExternalId": GOOD_ID, "STS:ExternalId": OTHER_ID})], {"RA106"}),
    "unknown-operator": ([allow(BACKEND, StringMatches={"sts:ExternalId": GOOD_ID})], {"RA106"}),
    "unknown-effect": ([{**allow(BACKEND, **WITH_ID), "Effect": "allow"}], {"RA106"}),
    "unknown-tenant": (
        [allow(provider(GITHUB), WEB, StringEquals={f"{GITHUB}:repository_owner": "acme"})],
        {"RA106"},
    ),
    "unknown-key-of-a-deny": ([allow(BACKEND, **WITH_ID), deny(StringMatches={"a": "b"})], {"RA106"}),
}
CLEAN: dict[str, list[Json]] = {
    "own-organization-by-variable": [allow("*", StringEquals={"aws:PrincipalOrgID": "${aws:ResourceOrgID}"})],
    "own-organization-by-deny": [allow("*"), deny(StringNotEquals={"aws:PrincipalOrgID": ORGANIZATION})],
    "own-account-by-variable": [allow("*", StringEquals={"aws:PrincipalAccount": "${aws:ResourceAccount}"})],
    "own-account-by-deny": [allow("*"), deny(StringNotEquals={"aws:PrincipalAccount": ACCOUNT})],
    "own-role": [allow(of(ACCOUNT, "role/app"))],
    "unknown-operator-for-own-role": [allow(of(ACCOUNT, "role/app"), StringMatches={"a": "b"})],
    "other-partition": [allow({"AWS": f"arn:aws:iam::{PARTNER}:root"})],
    "two-ids-of-a-rotation": [allow(BACKEND, StringEquals={"sts:ExternalId": [f"{GOOD_ID}1", f"{OTHER_ID}1"]})],
    "external-id-by-deny": [allow(BACKEND), deny(StringNotEquals={"sts:ExternalId": f"{GOOD_ID}2"})],
    "tags-with-the-external-id": [
        {
            **allow(BACKEND, StringEquals={"sts:ExternalId": f"{GOOD_ID}3"}),
            "Action": [ASSUME, "sts:TagSession", "sts:SetSourceIdentity"],
        }
    ],
    "github-customized-subject": [
        allow(provider(GITHUB), WEB, StringLike={f"{GITHUB}:sub": "repository_owner:acme:environment:*"})
    ],
    "github-repository-id": [allow(provider(GITHUB), WEB, StringEquals={f"{GITHUB}:repository_id": "123456789"})],
    "github-subject-in-another-case": [allow(provider(GITHUB), WEB, StringLike={f"{GITHUB}:SUB": "repo:acme/app:*"})],
    "terraform-workspace": [
        allow(
            provider("app.terraform.io"),
            WEB,
            StringLike={"app.terraform.io:sub": "organization:acme:project:p:workspace:w:run_phase:*"},
        )
    ],
    "source-arn": [
        allow(
            {"Service": "transfer.amazonaws.com"}, ArnLike={"aws:SourceArn": f"arn:aws-us-gov:transfer:*:{ACCOUNT}:user/*"}
        )
    ],
    "source-organization": [
        allow({"Service": "transfer.amazonaws.com"}, StringEquals={"aws:SourceOrgID": "${aws:ResourceOrgID}"})
    ],
    "any-service-for-this-account": [
        allow("*", Bool={"aws:PrincipalIsAWSService": "true"}, StringEquals={"aws:SourceAccount": ACCOUNT})
    ],
    "service-of-a-condition-that-needs-no-source": [
        allow("*", StringEquals={"aws:PrincipalServiceName": "lambda.amazonaws.com"})
    ],
    "no-service": [allow("*", Bool={"aws:PrincipalIsAWSService": "true"}, StringEquals={"aws:PrincipalAccount": ACCOUNT})],
    "claim-of-another-provider": [allow(provider(GITHUB), WEB, StringEquals={"gitlab.com:sub": "project_path:a/b:x"})],
    "denied-to-all": [allow("*"), {"Effect": "Deny", "Principal": "*", "Action": "*"}],
}


def rules_of(folder: Path, statements: list[Json]) -> set[str]:
    item = role("role1", *statements, account=ACCOUNT)
    item["Arn"] = item["Arn"].replace("arn:aws:", "arn:aws-us-gov:")
    path = folder / "account.json"
    path.write_text(json.dumps(page(item)))
    own = OwnAccounts(frozenset(), frozenset({ORGANIZATION}))
    audit = audit_accounts(read_accounts([path]), NOW, own=own)
    return {finding.rule for finding in audit.report.active}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_and_nothing_else(tmp_path: Path, name: str) -> None:
    statements, expected = FAULTS[name]

    assert expected == rules_of(tmp_path, statements)


@pytest.mark.parametrize("name", CLEAN)
def test_clean_role_has_no_finding(tmp_path: Path, name: str) -> None:
    assert set() == rules_of(tmp_path, CLEAN[name])
