"""Trust policies that grant access to unintended callers, and harmless ones with negated conditions.

FAILED: a counterexample must be found. UNKNOWN: none can be constructed, or the behavior is undocumented; no claim is made.
"""

from __future__ import annotations

from typing import Any

from policy_text import Conditions, statement, when
from trust_worlds import BACKEND, CALLER, CUSTOMER, EXTERNAL_ID, ORDINARY, OTHERS_ID, WITH_ID

FAILED, UNKNOWN = "failed", "unknown"
Statements = list[dict[str, Any]]

ARN, ACCOUNT, TYPE = "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalType"
PEOPLE = "Bool aws:PrincipalIsAWSService false"
STRANGERS = "444444444444"
NO_ONE = "arn:aws:iam::999999999999:user/rolecall-unrelated"
GOOGLE = "accounts.google.com"
PROVIDER = f"arn:aws:iam::{CUSTOMER}:saml-provider/idp"


def also(principal: Any, condition: Conditions = None, **more: Any) -> Statements:
    """The ordinary trust and one additional Allow."""
    return [ORDINARY, statement(principal, condition, **more)]


def anyone(condition: Conditions, **more: Any) -> Statements:
    """The ordinary trust and an Allow for any principal with this condition."""
    return also("*", condition, **more)


def account(condition: Conditions) -> Statements:
    """The whole backend account with the right external ID and this condition."""
    return [statement(BACKEND, {**when(WITH_ID), **when(condition)})]


def denied(condition: Conditions, principal: Any = "*") -> Statements:
    """The whole backend account with the right external ID, minus a Deny."""
    return [statement(BACKEND, WITH_ID), statement(principal, condition, "Deny")]


_HOSTILE: dict[str, dict[str, Statements]] = {
    FAILED: {
        # Names that an earlier proof used
        "known names excluded": anyone(f"StringNotLike {ARN} *rolecall*, *backend_role*, *role1* & {PEOPLE}"),
        "known names excluded, ARN": anyone(f"ArnNotLike {ARN} arn:aws:iam::*:*/rolecall*, {CALLER} & {PEOPLE}"),
        "known names excluded in the account": account(f"ArnNotLike {ARN} arn:aws:iam::*:*/rolecall*"),
        "known names denied": denied(f"StringLike {ARN} *rolecall*, */x, */r"),
        "known accounts excluded": anyone(f"StringNotEquals {ACCOUNT} 999999999999, 999999999998, {BACKEND}, {CUSTOMER}"),
        "accounts of nines excluded": anyone(f"StringNotLike {ACCOUNT} 9*, 8*, {BACKEND}, {CUSTOMER}"),
        "the unrelated user excluded by name": anyone(f"StringNotEquals {ARN} {NO_ONE}, {CALLER} & {PEOPLE}"),
        "known user names excluded": anyone(f"StringNotLike aws:username rolecall*, r*, x* & {PEOPLE}"),
        "known external ID excluded": [
            statement(CALLER, f"StringNotEquals sts:ExternalId rolecall-unused-external-id, {OTHERS_ID}")
        ],
        # Depth and length
        "path of three": account(f"StringLike {ARN} */*/*/*, {CALLER}"),
        "path of five": account(f"ArnLike {ARN} arn:aws:iam::*:role/*/*/*/*/*, {CALLER}"),
        "name of one letter": anyone(f"StringLike {ARN} arn:aws:iam::*:role/?"),
        "name of 41 letters": account(f"StringLike {ARN} {CALLER}, {'arn:aws:iam::*:role/' + '?' * 41}"),
        "name of 64 letters": account(f"StringLike {ARN} {CALLER}, arn:aws:iam::{BACKEND}:user/{'?' * 64}"),
        "path and name of 90 letters": account(f"StringLike {ARN} {CALLER}, arn:aws:iam::*:role/{'?' * 90}"),
        "not of these lengths": anyone(
            {"StringNotLike": {ARN: [f"arn:aws:iam::*:*/{'?' * n}" for n in range(1, 25)]}, **when(PEOPLE)}
        ),
        "at least 30 letters": anyone(f"StringLike {ARN} arn:aws:iam::*:role/{'?' * 30}*"),
        "a role's name behind a path with a colon": [
            statement(BACKEND, WITH_ID),
            statement("*", f"StringNotLike {ARN} *:role/backend_role", "Deny"),
        ],
        "no group, but a path like one": anyone(f"StringLike {ARN} arn:aws:iam::*:group/*"),
        # Account patterns
        "account of 12 letters": anyone(f"StringLike {ACCOUNT} ????????????"),
        "account from both ends": anyone(f"StringLike {ACCOUNT} 1*9"),
        "account by its middle": anyone(f"StringLike {ACCOUNT} ?????7??????"),
        "account by parts": anyone(f"StringLike {ACCOUNT} *77* & StringNotLike {ACCOUNT} 77*, *77, 9*, *999*"),
        "all accounts but those of the backend": anyone(f"StringNotEquals {ACCOUNT} {BACKEND} & {PEOPLE}"),
        "accounts less a deny": [
            ORDINARY,
            statement("*", f"StringLike {ACCOUNT} 4*"),
            statement("*", f"StringLike {ACCOUNT} *9*, 44*, *0", "Deny"),
        ],
        "account in the ARN's pattern": anyone(f"ArnLike {ARN} arn:aws:iam::5?5*:role/backend_role"),
        # Positive and negative on one key
        "like and not like": anyone(f"StringLike {ARN} arn:aws:iam::*:role/a*z & StringNotLike {ARN} *rolecall*, *x*, */az"),
        "starts, ends and contains": anyone(f"StringLike {ARN} *:user/team/*-ci & ArnNotLike {ARN} arn:*:*:*:*:*/rolecall*"),
        "case ignored": anyone(f"StringEqualsIgnoreCase {ARN} ARN:AWS:IAM::555555555555:ROLE/ADMIN"),
        "case ignored, negated": anyone(f"StringNotEqualsIgnoreCase {ARN} {CALLER.upper()}, {NO_ONE.upper()} & {PEOPLE}"),
        "of fifty infixes none": anyone(
            {"StringNotLike": {ARN: [f"*{a}{b}*" for a in "bcdefghij" for b in "klmno"]}, **when(PEOPLE)}
        ),
        "allow minus deny": [
            ORDINARY,
            statement(BACKEND, f"ArnLike {ARN} arn:aws:iam::*:role/b* & {WITH_ID}"),
            statement("*", f"ArnLike {ARN} arn:aws:iam::*:role/b*z*", "Deny"),
            statement("*", f"StringNotLike {ARN} *_role", "Deny"),
        ],
        "denies that leave a gap": denied(f"StringNotLike {ARN} *_role, *:role/x?y"),
        "deny by a key that the caller chooses": denied("StringNotEquals aws:RequestedRegion eu-west-1"),
        "deny of one user only": denied({}, f"arn:aws:iam::{BACKEND}:user/eve"),
        "deny of one kind": denied(f"StringEquals {TYPE} User"),
        "deny of roles": denied(f"StringEquals {TYPE} AssumedRole & ArnNotEquals {ARN} {CALLER}"),
        # Kinds of principals
        "users only": anyone(f"StringEquals {TYPE} User"),
        "roles only": anyone(f"StringEquals {TYPE} AssumedRole & StringNotLike {ARN} *rolecall*, {CALLER}"),
        "whoever has no ARN": anyone(f"Null {ARN} true"),
        "IfExists lets services in": anyone(f"StringEqualsIfExists {ACCOUNT} {BACKEND} & ArnEqualsIfExists {ARN} {CALLER}"),
        "services less the known ones": [
            *anyone("Bool aws:PrincipalIsAWSService true"),
            statement({"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}, effect="Deny"),
        ],
        "a provider with a negated audience": also(
            {"Federated": PROVIDER}, "StringNotEquals SAML:aud x", Action="sts:AssumeRoleWithSAML"
        ),
        "a session whose role has a path": also(
            f"arn:aws:sts::{STRANGERS}:assumed-role/adm/ci", f"StringLike {ARN} *:role/p/*/adm"
        ),
        "a session by its name only": also(f"arn:aws:sts::{STRANGERS}:assumed-role/adm/ci"),
        "a path with DEL": anyone({"StringLike": {ARN: "*\x7f*"}}),
        # Keys that the caller controls or that are free
        "a time window": anyone("DateGreaterThan aws:CurrentTime 2035-01-01T00:00:00Z"),
        "an epoch window": anyone("NumericLessThan aws:EpochTime 1"),
        "not from these addresses": anyone("NotIpAddress aws:SourceIp 0.0.0.0/1, 192.0.2.0/24"),
        "a user agent": anyone("StringLike aws:UserAgent let-me-in/*"),
        "a referer": anyone("StringNotLike aws:Referer https://*"),
        "a session name": anyone("StringLike sts:RoleSessionName s3cret-*"),
        "a source identity": anyone(
            "StringEquals sts:SourceIdentity root", Action=["sts:AssumeRole", "sts:SetSourceIdentity"]
        ),
        "an organization": anyone("StringNotEquals aws:PrincipalOrgID o-1"),
        "paths of an organization": anyone("ForAllValues:StringNotLike aws:PrincipalOrgPaths o-1/*"),
        "a principal's tag": anyone("StringEquals aws:PrincipalTag/team red"),
        "all tag keys": anyone("ForAllValues:StringEquals aws:TagKeys a"),
        "transitive tag keys": anyone("ForAllValues:StringLike sts:TransitiveTagKeys *"),
        "a request tag": anyone("StringEquals aws:RequestTag/x y", Action=["sts:AssumeRole", "sts:TagSession"]),
        "MFA": anyone("Bool aws:MultiFactorAuthPresent true & NumericLessThan aws:MultiFactorAuthAge 60"),
        "a user id": anyone("StringLike aws:userid A?????????:*"),
        "a source account": anyone(f"StringEquals aws:SourceAccount {CUSTOMER}"),
        "a VPC endpoint": anyone("StringNotEquals aws:SourceVpce vpce-1"),
        "through a service": anyone("ForAnyValue:StringEquals aws:CalledVia athena.amazonaws.com"),
        "bytes": anyone("BinaryEquals aws:RequestTag/x QQ==", Action=["sts:AssumeRole", "sts:TagSession"]),
        # Set operators on caller keys
        "all values of the ARN": anyone(f"ForAllValues:StringEquals {ARN} {CALLER} & {PEOPLE}"),
        "no value of the ARN": anyone(f"ForAnyValue:StringNotLike {ARN} *rolecall*, {CALLER}"),
        "all values, negated": anyone(f"ForAllValues:ArnNotLike {ARN} arn:aws:iam::*:*/r*, {CALLER}"),
        # External IDs
        "an id by its length": [statement(CALLER, f"StringLike sts:ExternalId {'?' * 32}")],
        "a pattern next to the id": [statement(CALLER, f"StringLike sts:ExternalId {EXTERNAL_ID}, q?????*z")],
        "an id next to the id": [statement(CALLER, f"StringEquals sts:ExternalId {EXTERNAL_ID}, other")],
        "the id in any case": [statement(CALLER, f"StringEqualsIgnoreCase sts:ExternalId {EXTERNAL_ID}")],
        "not the others' ids": [
            statement(CALLER, "Null sts:ExternalId false"),
            statement(CALLER, "StringLike sts:ExternalId 1*, x*, rolecall*", "Deny"),
        ],
        "an id that is a variable": [
            statement(CALLER, f"StringEquals sts:ExternalId {EXTERNAL_ID}, ${{aws:PrincipalAccount}}")
        ],
        "an id that the caller's tag names": [
            ORDINARY,
            statement(CALLER, "StringEquals sts:ExternalId ${aws:PrincipalTag/id}"),
        ],
    },
    UNKNOWN: {
        "longer than any ARN": anyone(f"StringLike {ARN} arn:aws:iam::*:role/{'?' * 700}"),
        "an empty part of a path": account(f"StringLike {ARN} {CALLER}, *:role/a//b/c"),
        "an identity provider of everybody": anyone(f"{PEOPLE} & Null {ARN} true", Action="sts:AssumeRoleWithSAML"),
        "a provider by a key that is not known of it": also(
            {"Federated": "cognito-identity.amazonaws.com"},
            "Bool aws:PrincipalIsAWSService false",
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        # AssumeRole takes at least two characters, but other ways to start a session may take names of users and functions.
        "a session name of one character": also(f"arn:aws:sts::{STRANGERS}:assumed-role/adm/s"),
        "a principal by its id": also("AROAEXAMPLEEXAMPLE123"),
        "a principal by a short id": also("AIDAEXAMPLE"),
        "a group": also(f"arn:aws:iam::{BACKEND}:group/admins"),
        "an instance profile": also(f"arn:aws:iam::{BACKEND}:instance-profile/x"),
        "a provider as an account's principal": also(PROVIDER, Action="sts:AssumeRoleWithSAML"),
        "a service as an account's principal": also("ec2.amazonaws.com"),
        "whoever is anonymous": anyone(f"StringEquals {ACCOUNT} anonymous", Action="sts:AssumeRoleWithWebIdentity"),
        "whoever has an account, unsigned": also(
            {"Federated": GOOGLE}, f"Null {ACCOUNT} false", Action="sts:AssumeRoleWithWebIdentity"
        ),
        "less whoever has no account, unsigned": [
            *also({"Federated": GOOGLE}, Action="sts:AssumeRoleWithWebIdentity"),
            statement("*", f"StringNotLike {ACCOUNT} *", "Deny", Action="sts:*"),
        ],
        "one key in two cases": anyone(
            f"StringEquals {ARN} {CALLER} & StringEquals {ARN.upper()} arn:aws:iam::{STRANGERS}:role/x"
        ),
        "the external ID's key in two cases": [
            statement(CALLER, f"StringEquals sts:ExternalId {EXTERNAL_ID} & StringEquals STS:ExternalID x1, {EXTERNAL_ID}")
        ],
        "an id, and everybody who is the caller": [
            *also("AIDAEXAMPLEEXAMPLE123"),
            statement("*", f"ArnEquals {ARN} {CALLER} & {WITH_ID}"),
        ],
        "an id of numbers": [ORDINARY, statement(CALLER, "NumericLessThan sts:ExternalId 5")],
        # What cannot be searched
        "two keys compared": anyone(f"StringEquals {ARN} arn:aws:iam::{STRANGERS}:role/${{aws:PrincipalAccount}}"),
        "the name is the account": anyone("StringEquals aws:username ${aws:PrincipalAccount}"),
        "the account as a number": anyone(f"NumericLessThan {ACCOUNT} 5"),
        "NotPrincipal": [ORDINARY, {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": CALLER}}],
        "an operator that does not exist": anyone(f"StringUnlike {ARN} x"),
        "too many states": anyone(
            f"StringLike {ARN} *:role/*a{'?' * 20} & StringNotLike {ARN} *:role/*b{'?' * 22}* & ArnEquals {ARN} {CALLER}"
        ),
    },
}
HOSTILE = {name: (statements, verdict) for verdict, cases in _HOSTILE.items() for name, statements in cases.items()}

HARMLESS: dict[str, Statements] = {
    "ordinary": [ORDINARY],
    "account and ARN": account(f"ArnEquals {ARN} {CALLER}"),
    "everybody and ARN": [statement("*", f"ArnEquals {ARN} {CALLER} & {WITH_ID}")],
    "everybody and ARN as a string": [
        statement("*", f"StringEquals {ARN} {CALLER} & StringEquals sts:ExternalId {EXTERNAL_ID}")
    ],
    "ARN without case": [statement(BACKEND, f"StringLike {ARN} {CALLER} & {WITH_ID}")],
    "account less everybody else": denied(f"ArnNotEquals {ARN} {CALLER}"),
    "account less everybody else, by pattern": denied(f"StringNotLike {ARN} {CALLER}"),
    "account less everybody else, IfExists": denied(f"StringNotEqualsIfExists {ARN} {CALLER}"),
    "everybody less everybody else": [statement("*", WITH_ID), statement("*", f"ArnNotEquals {ARN} {CALLER}", "Deny")],
    "everybody less other accounts and names": [
        statement("*", WITH_ID),
        statement("*", f"StringNotEquals {ACCOUNT} {BACKEND}", "Deny"),
        statement("*", f"ArnNotLike {ARN} arn:aws:iam::*:role/backend_role", "Deny"),
    ],
    "two denies that leave only the caller": [
        statement(BACKEND, WITH_ID),
        statement("*", f"StringEquals {TYPE} User", "Deny"),
        statement("*", f"StringNotEquals {ARN} {CALLER}, arn:aws:iam::{BACKEND}:user/u", "Deny"),
    ],
    "users of that name cannot be roles": account(
        f"StringLike {ARN} {CALLER}, arn:aws:iam::{BACKEND}:user/admin & StringNotEquals {TYPE} User"
    ),
    "an account that cannot be": anyone(f"StringLike {ACCOUNT} ?????????????"),
    "an account of letters": anyone(f"StringLike {ACCOUNT} *a*"),
    "another partition": anyone(f"StringLike {ARN} arn:aws-cn:iam::*"),
    "an ARN of another service": anyone(f"ArnLike {ARN} arn:aws:sts::*:assumed-role/*"),
    "a group": anyone(f"ArnLike {ARN} arn:aws:iam::*:group/*"),
    "a name that cannot be": anyone(f"ArnLike {ARN} arn:aws:iam::*:role/*!"),
    "no ARN and an account": anyone(f"Null {ARN} true & StringEquals {ACCOUNT} {BACKEND}"),
    "like and not like the same": anyone(f"StringLike {ARN} *admin* & StringNotLike {ARN} *adm*"),
    "users with a role's name": anyone(f"StringEquals aws:username x & ArnLike {ARN} arn:aws:iam::*:role/*"),
    "a user name that cannot be": anyone("StringLike aws:username a/b"),
    "a tag of the role that it does not have": [statement(CALLER, f"{WITH_ID} & StringNotEquals aws:ResourceTag/x y")],
    "other account by the role's account": [
        statement(
            "*",
            f"StringEquals {ARN} {CALLER} & StringEquals {ACCOUNT} {BACKEND} & StringEquals sts:ExternalId {EXTERNAL_ID}",
        )
    ],
    "a deny of services": [statement(CALLER, WITH_ID), statement({"Service": "ec2.amazonaws.com"}, effect="Deny")],
    "a deny of another account": [ORDINARY, statement(STRANGERS, effect="Deny")],
    "a deny of tags": [ORDINARY, statement("*", effect="Deny", Action="sts:TagSession")],
    "the root user by name": also(f"arn:aws:iam::{STRANGERS}:root", f"StringLike {ARN} arn:aws:iam::*:root"),
    "a federated user by name": also(f"arn:aws:sts::{STRANGERS}:federated-user/x"),
    "a session of the backend role": [ORDINARY, statement(f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/ci", WITH_ID)],
    "a deny of another external ID": [ORDINARY, statement("*", f"StringNotEquals sts:ExternalId {EXTERNAL_ID}", "Deny")],
    "the id only by a deny": [statement(CALLER), statement("*", f"StringNotEquals sts:ExternalId {EXTERNAL_ID}", "Deny")],
    "a deny of missing external IDs": [ORDINARY, statement("*", "Null sts:ExternalId true", "Deny")],
    "an id like itself": [statement(CALLER, f"StringLike sts:ExternalId {EXTERNAL_ID}")],
    "an id like itself, and not like others": [
        statement(CALLER, f"StringLike sts:ExternalId 0f* & StringEquals sts:ExternalId {EXTERNAL_ID}")
    ],
    "ids of one letter": [statement(CALLER, f"StringLike sts:ExternalId {EXTERNAL_ID}, ?")],
    "ids with letters that cannot be": [statement(CALLER, f"StringLike sts:ExternalId {EXTERNAL_ID}, * *")],
}
"""Only the caller with its external ID has access."""

_EXTRA = {
    "a tag of the principal": "StringNotEquals aws:PrincipalTag/team red",
    "tags like": "StringNotLike aws:PrincipalTag/team red*, b?ue",
    "a tag without case": "StringNotEqualsIgnoreCase aws:PrincipalTag/team RED",
    "another account": f"StringNotEquals {ACCOUNT} {STRANGERS}",
    "accounts like": f"StringNotLike {ACCOUNT} 9*, *4",
    "another ARN": f"ArnNotEquals {ARN} arn:aws:iam::{BACKEND}:role/old",
    "ARNs like": f"ArnNotLike {ARN} arn:aws:iam::*:user/*",
    "ARNs like, as strings": f"StringNotLike {ARN} */test/*, *rolecall*",
    "users": f"StringNotEquals {TYPE} User, Account, FederatedUser",
    "a user name": "StringNotEquals aws:username root",
    "user names like": "StringNotLike aws:username a*, ?",
    "addresses": "NotIpAddress aws:SourceIp 192.0.2.0/24",
    "a VPC": "StringNotEquals aws:SourceVpc vpc-1",
    "an endpoint": "StringNotLike aws:SourceVpce vpce-*",
    "an organization": "StringNotEquals aws:PrincipalOrgID o-1",
    "paths of an organization": "ForAllValues:StringNotLike aws:PrincipalOrgPaths o-1/*",
    "a source identity": "StringNotEquals sts:SourceIdentity x",
    "a session name": "StringNotEqualsIfExists aws:SourceIdentity x",
    "tag keys": "ForAllValues:StringNotEquals aws:TagKeys a, b",
    "transitive tag keys": "ForAllValues:StringNotLike sts:TransitiveTagKeys a*",
    "a request tag": "StringNotEquals aws:RequestTag/x y",
    "MFA age": "NumericNotEquals aws:MultiFactorAuthAge 5",
    "through a service": "BoolIfExists aws:ViaAWSService false",
    "called via": "ForAllValues:StringNotEquals aws:CalledVia athena.amazonaws.com",
    "a source account": f"StringNotEquals aws:SourceAccount {STRANGERS}",
    "a source ARN": "ArnNotLike aws:SourceArn arn:aws:s3:::*",
    "a referer": "StringNotLike aws:Referer http://*",
    "no such tag": "Null aws:PrincipalTag/temp true",
    "a tag of the role": "StringNotEquals aws:ResourceTag/team red",
    "the role's account": f"StringNotEquals aws:ResourceAccount {STRANGERS}",
    "a service": "Bool aws:PrincipalIsAWSService false",
}
HARMLESS |= {
    "an ID longer than AWS accepts": [ORDINARY, statement(CALLER, f"StringLike sts:ExternalId {'a' + '?' * 1300}")],
    "a request tag without sts:TagSession": anyone("StringEquals aws:RequestTag/x y"),
    "a source identity without sts:SetSourceIdentity": anyone("StringEquals sts:SourceIdentity root"),
    "an infix that every ARN has": anyone(f"StringNotLike {ARN} *am*, *bk* & {PEOPLE}"),
}
HARMLESS |= {f"not {name}": [statement(CALLER, f"{WITH_ID} & {extra}")] for name, extra in _EXTRA.items()}
