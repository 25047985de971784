"""Trust policies that grant access to unintended callers, and harmless ones with negated conditions.

FAILED: a counterexample must be found. UNKNOWN: none can be constructed, or the behavior is undocumented; no claim is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trust_worlds import BACKEND, CALLER, CUSTOMER, EXTERNAL_ID, ORDINARY, OTHERS_ID, WITH_ID, statement

FAILED, UNKNOWN = "failed", "unknown"
Statements = list[dict[str, Any]]

ARN, ACCOUNT, TYPE = "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalType"
PEOPLE = {"Bool": {"aws:PrincipalIsAWSService": "false"}}
STRANGERS = "444444444444"
NO_ONE = "arn:aws:iam::999999999999:user/rolecall-unrelated"
GOOGLE = "accounts.google.com"
PROVIDER = f"arn:aws:iam::{CUSTOMER}:saml-provider/idp"


def also(principal: Any, condition: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> Statements:
    """The ordinary trust and one additional Allow."""
    return [ORDINARY, statement(principal, condition, **more)]


def anyone(condition: Mapping[str, Mapping[str, Any]], **more: Any) -> Statements:
    """The ordinary trust and an Allow for any principal with this condition."""
    return also("*", condition, **more)


def account(condition: Mapping[str, Mapping[str, Any]]) -> Statements:
    """The whole backend account with the right external ID and this condition."""
    return [statement({"AWS": BACKEND}, {**WITH_ID, **condition})]


def denied(condition: Mapping[str, Mapping[str, Any]], principal: Any = "*") -> Statements:
    """The whole backend account with the right external ID, minus a Deny."""
    return [statement({"AWS": BACKEND}, WITH_ID), statement(principal, condition, "Deny")]


HOSTILE: dict[str, tuple[Statements, str]] = {
    # Names that an earlier proof used
    "known names excluded": (
        anyone({"StringNotLike": {ARN: ["*rolecall*", "*backend_role*", "*role1*"]}, **PEOPLE}),
        FAILED,
    ),
    "known names excluded, ARN": (anyone({"ArnNotLike": {ARN: ["arn:aws:iam::*:*/rolecall*", CALLER]}, **PEOPLE}), FAILED),
    "known names excluded in the account": (account({"ArnNotLike": {ARN: "arn:aws:iam::*:*/rolecall*"}}), FAILED),
    "known names denied": (denied({"StringLike": {ARN: ["*rolecall*", "*/x", "*/r"]}}), FAILED),
    "known accounts excluded": (
        anyone({"StringNotEquals": {ACCOUNT: ["999999999999", "999999999998", BACKEND, CUSTOMER]}}),
        FAILED,
    ),
    "accounts of nines excluded": (anyone({"StringNotLike": {ACCOUNT: ["9*", "8*", f"{BACKEND}", CUSTOMER]}}), FAILED),
    "the unrelated user excluded by name": (anyone({"StringNotEquals": {ARN: [NO_ONE, CALLER]}, **PEOPLE}), FAILED),
    "known user names excluded": (anyone({"StringNotLike": {"aws:username": ["rolecall*", "r*", "x*"]}, **PEOPLE}), FAILED),
    "known external ID excluded": (
        [statement({"AWS": CALLER}, {"StringNotEquals": {"sts:ExternalId": ["rolecall-unused-external-id", OTHERS_ID]}})],
        FAILED,
    ),
    # Depth and length
    "path of three": (account({"StringLike": {ARN: ["*/*/*/*", CALLER]}}), FAILED),
    "path of five": (account({"ArnLike": {ARN: ["arn:aws:iam::*:role/*/*/*/*/*", CALLER]}}), FAILED),
    "name of one letter": (anyone({"StringLike": {ARN: "arn:aws:iam::*:role/?"}}), FAILED),
    "name of 41 letters": (account({"StringLike": {ARN: [CALLER, "arn:aws:iam::*:role/" + "?" * 41]}}), FAILED),
    "name of 64 letters": (account({"StringLike": {ARN: [CALLER, f"arn:aws:iam::{BACKEND}:user/{'?' * 64}"]}}), FAILED),
    "path and name of 90 letters": (account({"StringLike": {ARN: [CALLER, f"arn:aws:iam::*:role/{'?' * 90}"]}}), FAILED),
    "not of these lengths": (
        anyone({"StringNotLike": {ARN: [f"arn:aws:iam::*:*/{'?' * n}" for n in range(1, 25)]}, **PEOPLE}),
        FAILED,
    ),
    "at least 30 letters": (anyone({"StringLike": {ARN: f"arn:aws:iam::*:role/{'?' * 30}*"}}), FAILED),
    "longer than any ARN": (anyone({"StringLike": {ARN: f"arn:aws:iam::*:role/{'?' * 700}"}}), UNKNOWN),
    "an empty part of a path": (account({"StringLike": {ARN: [CALLER, "*:role/a//b/c"]}}), UNKNOWN),
    "a role's name behind a path with a colon": (
        [
            statement({"AWS": BACKEND}, WITH_ID),
            statement("*", {"StringNotLike": {ARN: "*:role/backend_role"}}, "Deny"),
        ],
        FAILED,
    ),
    "no group, but a path like one": (anyone({"StringLike": {ARN: "arn:aws:iam::*:group/*"}}), FAILED),
    # Account patterns
    "account of 12 letters": (anyone({"StringLike": {ACCOUNT: "????????????"}}), FAILED),
    "account from both ends": (anyone({"StringLike": {ACCOUNT: "1*9"}}), FAILED),
    "account by its middle": (anyone({"StringLike": {ACCOUNT: "?????7??????"}}), FAILED),
    "account by parts": (
        anyone({"StringLike": {ACCOUNT: "*77*"}, "StringNotLike": {ACCOUNT: ["77*", "*77", "9*", "*999*"]}}),
        FAILED,
    ),
    "all accounts but those of the backend": (anyone({"StringNotEquals": {ACCOUNT: BACKEND}, **PEOPLE}), FAILED),
    "accounts less a deny": (
        [
            ORDINARY,
            statement("*", {"StringLike": {ACCOUNT: "4*"}}),
            statement("*", {"StringLike": {ACCOUNT: ["*9*", "44*", "*0"]}}, "Deny"),
        ],
        FAILED,
    ),
    "account in the ARN's pattern": (anyone({"ArnLike": {ARN: "arn:aws:iam::5?5*:role/backend_role"}}), FAILED),
    # Positive and negative on one key
    "like and not like": (
        anyone({"StringLike": {ARN: "arn:aws:iam::*:role/a*z"}, "StringNotLike": {ARN: ["*rolecall*", "*x*", "*/az"]}}),
        FAILED,
    ),
    "starts, ends and contains": (
        anyone({"StringLike": {ARN: "*:user/team/*-ci"}, "ArnNotLike": {ARN: ["arn:*:*:*:*:*/rolecall*"]}}),
        FAILED,
    ),
    "case ignored": (anyone({"StringEqualsIgnoreCase": {ARN: "ARN:AWS:IAM::555555555555:ROLE/ADMIN"}}), FAILED),
    "case ignored, negated": (
        anyone({"StringNotEqualsIgnoreCase": {ARN: [CALLER.upper(), NO_ONE.upper()]}, **PEOPLE}),
        FAILED,
    ),
    "of fifty infixes none": (
        anyone({"StringNotLike": {ARN: [f"*{a}{b}*" for a in "bcdefghij" for b in "klmno"]}, **PEOPLE}),
        FAILED,
    ),
    "allow minus deny": (
        [
            ORDINARY,
            statement({"AWS": BACKEND}, {"ArnLike": {ARN: "arn:aws:iam::*:role/b*"}, **WITH_ID}),
            statement("*", {"ArnLike": {ARN: "arn:aws:iam::*:role/b*z*"}}, "Deny"),
            statement("*", {"StringNotLike": {ARN: "*_role"}}, "Deny"),
        ],
        FAILED,
    ),
    "denies that leave a gap": (
        denied({"StringNotLike": {ARN: ["*_role", "*:role/x?y"]}}),
        FAILED,
    ),
    "deny by a key that the caller chooses": (denied({"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}), FAILED),
    "deny of one user only": (denied({}, {"AWS": f"arn:aws:iam::{BACKEND}:user/eve"}), FAILED),
    "deny of one kind": (denied({"StringEquals": {TYPE: "User"}}), FAILED),
    "deny of roles": (denied({"StringEquals": {TYPE: "AssumedRole"}, "ArnNotEquals": {ARN: CALLER}}), FAILED),
    # Kinds of principals
    "users only": (anyone({"StringEquals": {TYPE: "User"}}), FAILED),
    "roles only": (anyone({"StringEquals": {TYPE: "AssumedRole"}, "StringNotLike": {ARN: ["*rolecall*", CALLER]}}), FAILED),
    "whoever has no ARN": (anyone({"Null": {ARN: "true"}}), FAILED),
    "IfExists lets services in": (
        anyone({"StringEqualsIfExists": {ACCOUNT: BACKEND}, "ArnEqualsIfExists": {ARN: CALLER}}),
        FAILED,
    ),
    "services less the known ones": (
        [
            *anyone({"Bool": {"aws:PrincipalIsAWSService": "true"}}),
            statement({"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}, effect="Deny"),
        ],
        FAILED,
    ),
    "an identity provider of everybody": (
        anyone({"Bool": {"aws:PrincipalIsAWSService": "false"}, "Null": {ARN: "true"}}, Action="sts:AssumeRoleWithSAML"),
        UNKNOWN,  # whether an unsigned request has the first key is not documented
    ),
    "a provider with a negated audience": (
        also({"Federated": PROVIDER}, {"StringNotEquals": {"SAML:aud": "x"}}, Action="sts:AssumeRoleWithSAML"),
        FAILED,
    ),
    "a provider by a key that is not known of it": (
        also(
            {"Federated": "cognito-identity.amazonaws.com"},
            {"Bool": {"aws:PrincipalIsAWSService": "false"}},
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        UNKNOWN,
    ),
    "a session whose role has a path": (
        also({"AWS": f"arn:aws:sts::{STRANGERS}:assumed-role/adm/ci"}, {"StringLike": {ARN: "*:role/p/*/adm"}}),
        FAILED,
    ),
    "a session by its name only": (also({"AWS": f"arn:aws:sts::{STRANGERS}:assumed-role/adm/ci"}), FAILED),
    # AssumeRole takes at least two characters, but other ways to start a session may take names of users and functions.
    "a session name of one character": (also({"AWS": f"arn:aws:sts::{STRANGERS}:assumed-role/adm/s"}), UNKNOWN),
    "a principal by its id": (also({"AWS": "AROAEXAMPLEEXAMPLE123"}), UNKNOWN),
    "a principal by a short id": (also({"AWS": "AIDAEXAMPLE"}), UNKNOWN),
    "a group": (also({"AWS": f"arn:aws:iam::{BACKEND}:group/admins"}), UNKNOWN),
    "an instance profile": (also({"AWS": f"arn:aws:iam::{BACKEND}:instance-profile/x"}), UNKNOWN),
    "a provider as an account's principal": (also({"AWS": PROVIDER}, Action="sts:AssumeRoleWithSAML"), UNKNOWN),
    "a service as an account's principal": (also({"AWS": "ec2.amazonaws.com"}), UNKNOWN),
    "a path with DEL": (anyone({"StringLike": {ARN: "*\x7f*"}}), FAILED),
    "whoever is anonymous": (
        anyone({"StringEquals": {ACCOUNT: "anonymous"}}, Action="sts:AssumeRoleWithWebIdentity"),
        UNKNOWN,
    ),
    "whoever has an account, unsigned": (
        also({"Federated": GOOGLE}, {"Null": {ACCOUNT: "false"}}, Action="sts:AssumeRoleWithWebIdentity"),
        UNKNOWN,
    ),
    "less whoever has no account, unsigned": (
        [
            *also({"Federated": GOOGLE}, Action="sts:AssumeRoleWithWebIdentity"),
            statement("*", {"StringNotLike": {ACCOUNT: "*"}}, "Deny", Action="sts:*"),
        ],
        UNKNOWN,
    ),
    "one key in two cases": (
        anyone({"StringEquals": {ARN: CALLER, ARN.upper(): f"arn:aws:iam::{STRANGERS}:role/x"}}),
        UNKNOWN,
    ),
    "the external ID's key in two cases": (
        [
            statement(
                {"AWS": CALLER}, {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID], "STS:ExternalID": ["x1", EXTERNAL_ID]}}
            )
        ],
        UNKNOWN,
    ),
    "an id, and everybody who is the caller": (
        [*also({"AWS": "AIDAEXAMPLEEXAMPLE123"}), statement("*", {"ArnEquals": {ARN: CALLER}, **WITH_ID})],
        UNKNOWN,
    ),
    # Keys that the caller controls or that are free
    "a time window": (anyone({"DateGreaterThan": {"aws:CurrentTime": "2035-01-01T00:00:00Z"}}), FAILED),
    "an epoch window": (anyone({"NumericLessThan": {"aws:EpochTime": "1"}}), FAILED),
    "not from these addresses": (anyone({"NotIpAddress": {"aws:SourceIp": ["0.0.0.0/1", "192.0.2.0/24"]}}), FAILED),
    "a user agent": (anyone({"StringLike": {"aws:UserAgent": "let-me-in/*"}}), FAILED),
    "a referer": (anyone({"StringNotLike": {"aws:Referer": "https://*"}}), FAILED),
    "a session name": (anyone({"StringLike": {"sts:RoleSessionName": "s3cret-*"}}), FAILED),
    "a source identity": (
        anyone({"StringEquals": {"sts:SourceIdentity": "root"}}, Action=["sts:AssumeRole", "sts:SetSourceIdentity"]),
        FAILED,
    ),
    "an organization": (anyone({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}), FAILED),
    "paths of an organization": (anyone({"ForAllValues:StringNotLike": {"aws:PrincipalOrgPaths": "o-1/*"}}), FAILED),
    "a principal's tag": (anyone({"StringEquals": {"aws:PrincipalTag/team": "red"}}), FAILED),
    "all tag keys": (anyone({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}), FAILED),
    "transitive tag keys": (anyone({"ForAllValues:StringLike": {"sts:TransitiveTagKeys": ["*"]}}), FAILED),
    "a request tag": (
        anyone({"StringEquals": {"aws:RequestTag/x": "y"}}, Action=["sts:AssumeRole", "sts:TagSession"]),
        FAILED,
    ),
    "MFA": (
        anyone({"Bool": {"aws:MultiFactorAuthPresent": "true"}, "NumericLessThan": {"aws:MultiFactorAuthAge": "60"}}),
        FAILED,
    ),
    "a user id": (anyone({"StringLike": {"aws:userid": "A?????????:*"}}), FAILED),
    "a source account": (anyone({"StringEquals": {"aws:SourceAccount": CUSTOMER}}), FAILED),
    "a VPC endpoint": (anyone({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}), FAILED),
    "through a service": (anyone({"ForAnyValue:StringEquals": {"aws:CalledVia": "athena.amazonaws.com"}}), FAILED),
    "bytes": (
        anyone({"BinaryEquals": {"aws:RequestTag/x": "QQ=="}}, Action=["sts:AssumeRole", "sts:TagSession"]),
        FAILED,
    ),
    # Set operators on caller keys
    "all values of the ARN": (anyone({"ForAllValues:StringEquals": {ARN: CALLER}, **PEOPLE}), FAILED),
    "no value of the ARN": (anyone({"ForAnyValue:StringNotLike": {ARN: ["*rolecall*", CALLER]}}), FAILED),
    "all values, negated": (anyone({"ForAllValues:ArnNotLike": {ARN: ["arn:aws:iam::*:*/r*", CALLER]}}), FAILED),
    # External IDs
    "an id by its length": ([statement({"AWS": CALLER}, {"StringLike": {"sts:ExternalId": "?" * 32}})], FAILED),
    "a pattern next to the id": (
        [statement({"AWS": CALLER}, {"StringLike": {"sts:ExternalId": [EXTERNAL_ID, "q?????*z"]}})],
        FAILED,
    ),
    "an id next to the id": (
        [statement({"AWS": CALLER}, {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, "other"]}})],
        FAILED,
    ),
    "the id in any case": (
        [statement({"AWS": CALLER}, {"StringEqualsIgnoreCase": {"sts:ExternalId": EXTERNAL_ID}})],
        FAILED,
    ),
    "not the others' ids": (
        [
            statement({"AWS": CALLER}, {"Null": {"sts:ExternalId": "false"}}),
            statement({"AWS": CALLER}, {"StringLike": {"sts:ExternalId": ["1*", "x*", "rolecall*"]}}, "Deny"),
        ],
        FAILED,
    ),
    "an id that is a variable": (
        [
            statement({"AWS": CALLER}, {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, "${aws:PrincipalAccount}"]}}),
        ],
        FAILED,
    ),
    "an id that the caller's tag names": (
        [ORDINARY, statement({"AWS": CALLER}, {"StringEquals": {"sts:ExternalId": "${aws:PrincipalTag/id}"}})],
        FAILED,
    ),
    "an id of numbers": (
        [ORDINARY, statement({"AWS": CALLER}, {"NumericLessThan": {"sts:ExternalId": "5"}})],
        UNKNOWN,
    ),
    # What cannot be searched
    "two keys compared": (
        anyone({"StringEquals": {ARN: f"arn:aws:iam::{STRANGERS}:role/${{aws:PrincipalAccount}}"}}),
        UNKNOWN,
    ),
    "the name is the account": (anyone({"StringEquals": {"aws:username": "${aws:PrincipalAccount}"}}), UNKNOWN),
    "the account as a number": (anyone({"NumericLessThan": {ACCOUNT: "5"}}), UNKNOWN),
    "NotPrincipal": ([ORDINARY, {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": CALLER}}], UNKNOWN),
    "an operator that does not exist": (anyone({"StringUnlike": {ARN: "x"}}), UNKNOWN),
    "too many states": (
        anyone(
            {
                "StringLike": {ARN: f"*:role/*a{'?' * 20}"},
                "StringNotLike": {ARN: f"*:role/*b{'?' * 22}*"},
                "ArnEquals": {ARN: CALLER},
            }
        ),
        UNKNOWN,
    ),
}

HARMLESS: dict[str, Statements] = {
    "ordinary": [ORDINARY],
    "account and ARN": account({"ArnEquals": {ARN: CALLER}}),
    "everybody and ARN": [statement("*", {"ArnEquals": {ARN: CALLER}, **WITH_ID})],
    "everybody and ARN as a string": [
        statement("*", {"StringEquals": {ARN: CALLER, "sts:ExternalId": EXTERNAL_ID}}),
    ],
    "ARN without case": [statement({"AWS": BACKEND}, {"StringLike": {ARN: CALLER}, **WITH_ID})],
    "account less everybody else": denied({"ArnNotEquals": {ARN: CALLER}}),
    "account less everybody else, by pattern": denied({"StringNotLike": {ARN: CALLER}}),
    "account less everybody else, IfExists": denied({"StringNotEqualsIfExists": {ARN: CALLER}}),
    "everybody less everybody else": [statement("*", WITH_ID), statement("*", {"ArnNotEquals": {ARN: CALLER}}, "Deny")],
    "everybody less other accounts and names": [
        statement("*", WITH_ID),
        statement("*", {"StringNotEquals": {ACCOUNT: BACKEND}}, "Deny"),
        statement("*", {"ArnNotLike": {ARN: "arn:aws:iam::*:role/backend_role"}}, "Deny"),
    ],
    "two denies that leave only the caller": [
        statement({"AWS": BACKEND}, WITH_ID),
        statement("*", {"StringEquals": {TYPE: "User"}}, "Deny"),
        statement("*", {"StringNotEquals": {ARN: [CALLER, f"arn:aws:iam::{BACKEND}:user/u"]}}, "Deny"),
    ],
    "users of that name cannot be roles": account(
        {"StringLike": {ARN: [CALLER, f"arn:aws:iam::{BACKEND}:user/admin"]}, "StringNotEquals": {TYPE: "User"}}
    ),
    "an account that cannot be": anyone({"StringLike": {ACCOUNT: "?????????????"}}),
    "an account of letters": anyone({"StringLike": {ACCOUNT: "*a*"}}),
    "another partition": anyone({"StringLike": {ARN: "arn:aws-cn:iam::*"}}),
    "an ARN of another service": anyone({"ArnLike": {ARN: "arn:aws:sts::*:assumed-role/*"}}),
    "a group": anyone({"ArnLike": {ARN: "arn:aws:iam::*:group/*"}}),
    "a name that cannot be": anyone({"ArnLike": {ARN: "arn:aws:iam::*:role/*!"}}),
    "no ARN and an account": anyone({"Null": {ARN: "true"}, "StringEquals": {ACCOUNT: BACKEND}}),
    "like and not like the same": anyone({"StringLike": {ARN: "*admin*"}, "StringNotLike": {ARN: "*adm*"}}),
    "users with a role's name": anyone({"StringEquals": {"aws:username": "x"}, "ArnLike": {ARN: "arn:aws:iam::*:role/*"}}),
    "a user name that cannot be": anyone({"StringLike": {"aws:username": "a/b"}}),
    "a tag of the role that it does not have": [
        statement({"AWS": CALLER}, {**WITH_ID, "StringNotEquals": {"aws:ResourceTag/x": "y"}})
    ],
    "other account by the role's account": [
        statement("*", {"StringEquals": {ARN: CALLER, ACCOUNT: BACKEND, "sts:ExternalId": EXTERNAL_ID}}),
    ],
    "a deny of services": [statement({"AWS": CALLER}, WITH_ID), statement({"Service": "ec2.amazonaws.com"}, effect="Deny")],
    "a deny of another account": [ORDINARY, statement({"AWS": STRANGERS}, effect="Deny")],
    "a deny of tags": [ORDINARY, statement("*", effect="Deny", Action="sts:TagSession")],
    "the root user by name": also({"AWS": f"arn:aws:iam::{STRANGERS}:root"}, {"StringLike": {ARN: "arn:aws:iam::*:root"}}),
    "a federated user by name": also({"AWS": f"arn:aws:sts::{STRANGERS}:federated-user/x"}),
    "a session of the backend role": [
        ORDINARY,
        statement({"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/ci"}, WITH_ID),
    ],
    "a deny of another external ID": [
        ORDINARY,
        statement("*", {"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}}, "Deny"),
    ],
    "the id only by a deny": [
        statement({"AWS": CALLER}),
        statement("*", {"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}}, "Deny"),
    ],
    "a deny of missing external IDs": [ORDINARY, statement("*", {"Null": {"sts:ExternalId": "true"}}, "Deny")],
    "an id like itself": [statement({"AWS": CALLER}, {"StringLike": {"sts:ExternalId": EXTERNAL_ID}})],
    "an id like itself, and not like others": [
        statement(
            {"AWS": CALLER}, {"StringLike": {"sts:ExternalId": "0f*"}, "StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
        )
    ],
    "ids of one letter": [
        statement({"AWS": CALLER}, {"StringLike": {"sts:ExternalId": [EXTERNAL_ID, "?"]}}),
    ],
    "ids with letters that cannot be": [
        statement({"AWS": CALLER}, {"StringLike": {"sts:ExternalId": [EXTERNAL_ID, "* *"]}}),
    ],
}
"""Only the caller with its external ID has access."""

_EXTRA: dict[str, dict[str, dict[str, Any]]] = {
    "a tag of the principal": {"StringNotEquals": {"aws:PrincipalTag/team": "red"}},
    "tags like": {"StringNotLike": {"aws:PrincipalTag/team": ["red*", "b?ue"]}},
    "a tag without case": {"StringNotEqualsIgnoreCase": {"aws:PrincipalTag/team": "RED"}},
    "another account": {"StringNotEquals": {ACCOUNT: STRANGERS}},
    "accounts like": {"StringNotLike": {ACCOUNT: ["9*", "*4"]}},
    "another ARN": {"ArnNotEquals": {ARN: f"arn:aws:iam::{BACKEND}:role/old"}},
    "ARNs like": {"ArnNotLike": {ARN: "arn:aws:iam::*:user/*"}},
    "ARNs like, as strings": {"StringNotLike": {ARN: ["*/test/*", "*rolecall*"]}},
    "users": {"StringNotEquals": {TYPE: ["User", "Account", "FederatedUser"]}},
    "a user name": {"StringNotEquals": {"aws:username": "root"}},
    "user names like": {"StringNotLike": {"aws:username": ["a*", "?"]}},
    "addresses": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
    "a VPC": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
    "an endpoint": {"StringNotLike": {"aws:SourceVpce": "vpce-*"}},
    "an organization": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}},
    "paths of an organization": {"ForAllValues:StringNotLike": {"aws:PrincipalOrgPaths": "o-1/*"}},
    "a source identity": {"StringNotEquals": {"sts:SourceIdentity": "x"}},
    "a session name": {"StringNotEqualsIfExists": {"aws:SourceIdentity": "x"}},
    "tag keys": {"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a", "b"]}},
    "transitive tag keys": {"ForAllValues:StringNotLike": {"sts:TransitiveTagKeys": "a*"}},
    "a request tag": {"StringNotEquals": {"aws:RequestTag/x": "y"}},
    "MFA age": {"NumericNotEquals": {"aws:MultiFactorAuthAge": "5"}},
    "through a service": {"BoolIfExists": {"aws:ViaAWSService": "false"}},
    "called via": {"ForAllValues:StringNotEquals": {"aws:CalledVia": "athena.amazonaws.com"}},
    "a source account": {"StringNotEquals": {"aws:SourceAccount": STRANGERS}},
    "a source ARN": {"ArnNotLike": {"aws:SourceArn": "arn:aws:s3:::*"}},
    "a referer": {"StringNotLike": {"aws:Referer": "http://*"}},
    "no such tag": {"Null": {"aws:PrincipalTag/temp": "true"}},
    "a tag of the role": {"StringNotEquals": {"aws:ResourceTag/team": "red"}},
    "the role's account": {"StringNotEquals": {"aws:ResourceAccount": STRANGERS}},
    "a service": {"Bool": {"aws:PrincipalIsAWSService": "false"}},
}
HARMLESS |= {
    "an ID longer than AWS accepts": [
        ORDINARY,
        statement({"AWS": CALLER}, {"StringLike": {"sts:ExternalId": "a" + "?" * 1300}}),
    ],
    "a request tag without sts:TagSession": anyone({"StringEquals": {"aws:RequestTag/x": "y"}}),
    "a source identity without sts:SetSourceIdentity": anyone({"StringEquals": {"sts:SourceIdentity": "root"}}),
    "an infix that every ARN has": anyone({"StringNotLike": {ARN: ["*am*", "*bk*"]}, **PEOPLE}),
}
HARMLESS |= {
    f"not {name}": [statement({"AWS": CALLER}, _merged)]
    for name, extra in _EXTRA.items()
    for _merged in [{**extra, "StringEquals": {**WITH_ID["StringEquals"], **extra.get("StringEquals", {})}}]
}
