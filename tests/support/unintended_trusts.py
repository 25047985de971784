"""Trust policies that look intended and allow unintended requests, or look dangerous and allow no request more.

WIDER: a request must be found. NO_MORE: nothing unintended is allowed. OPEN: AWS does not document the outcome, or cannot
accept the policy, so that no claim is made. The intent is that of `trust_worlds.ORDINARY`.
"""

from __future__ import annotations

from typing import Any

from policy_text import Conditions, statement, when
from trust_worlds import BACKEND, CALLER, CUSTOMER, EXTERNAL_ID, ORDINARY, WITH_ID

WIDER, NO_MORE, OPEN = "wider", "no more", "open"
Statements = list[dict[str, Any]]
Table = dict[str, dict[str, Statements]]
"""Trusts by verdict and name."""

ID, ARN, ACCOUNT = "sts:ExternalId", "aws:PrincipalArn", "aws:PrincipalAccount"
ROOT = f"arn:aws:iam::{BACKEND}:root"
VENDOR = "444444444444"
TAGGING = ["sts:AssumeRole", "sts:TagSession"]
SAML = f"arn:aws:iam::{CUSTOMER}:saml-provider/idp"
OIDC = "token.actions.githubusercontent.com"


def only(principal: Any, condition: Conditions = None, **more: Any) -> Statements:
    """One Allow and no other statement."""
    return [statement(principal, condition, **more)]


def with_id(principal: Any, condition: Conditions = None, **more: Any) -> Statements:
    """One Allow that requires the external ID."""
    joined = when(condition)
    joined["StringEquals"] = {**when(WITH_ID)["StringEquals"], **joined.get("StringEquals", {})}
    return only(principal, joined, **more)


def caller(condition: Conditions, **more: Any) -> Statements:
    """The intended caller with other requirements than the external ID."""
    return only(CALLER, condition, **more)


def and_allow(principal: Any, condition: Conditions = None, **more: Any) -> Statements:
    """The ordinary statement and one more Allow."""
    return [ORDINARY, statement(principal, condition, **more)]


def minus(first: Statements, condition: Conditions, principal: Any = "*", **more: Any) -> Statements:
    """Statements and a Deny."""
    return [*first, statement(principal, condition, "Deny", **more)]


PRINCIPALS: Table = {
    WIDER: {
        "account ID": with_id(BACKEND),
        "root ARN": with_id(ROOT),
        "role of the same name with a path": with_id(f"arn:aws:iam::{BACKEND}:role/team/backend_role"),
        "role with another case": with_id(f"arn:aws:iam::{BACKEND}:role/Backend_Role"),
        "user of the role's name": with_id(f"arn:aws:iam::{BACKEND}:user/backend_role"),
        "session of a role with a path": and_allow(
            f"arn:aws:sts::{BACKEND}:assumed-role/other/ci", f"StringLike {ARN} *:role/team/*"
        ),
        "session of another role": with_id(f"arn:aws:sts::{BACKEND}:assumed-role/backend-role/i-0"),
        "list with one more role": with_id({"AWS": [CALLER, f"arn:aws:iam::{BACKEND}:role/backend_role2"]}),
        "list with an account": with_id({"AWS": [CALLER, VENDOR]}),
        "list with everyone": with_id({"AWS": [CALLER, "*"]}),
        "everyone": with_id("*"),
        "everyone of AWS": with_id({"AWS": "*"}),
        "service in addition": with_id({"AWS": CALLER, "Service": "ec2.amazonaws.com"}),
        "service of another partition": and_allow({"Service": "ec2.amazonaws.com.cn"}),
        "SAML provider": and_allow({"Federated": SAML}, Action="sts:AssumeRoleWithSAML"),
        "the role itself": and_allow(f"arn:aws:iam::{CUSTOMER}:role/role1"),
        "own account": and_allow(CUSTOMER),
        "identity center's roles": and_allow(
            CUSTOMER, f"ArnLike {ARN} arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"
        ),
        "account access manager without its application": and_allow(
            {"Service": "account-access.amazonaws.com"}, Action=["sts:AssumeRole", "sts:SetContext"]
        ),
    },
    NO_MORE: {
        "root ARN with the root user's ARN as a condition": with_id(ROOT, f"ArnEquals {ARN} {ROOT}"),
        "session of the role": with_id(f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/i-0"),
        "federated user": with_id(f"arn:aws:sts::{BACKEND}:federated-user/ann"),
        "provider with the wrong operation": and_allow({"Federated": SAML}),
        "role of another partition": and_allow("arn:aws-us-gov:iam::444444444444:role/x"),
    },
    OPEN: {
        "session without its name": with_id(f"arn:aws:sts::{BACKEND}:assumed-role/other"),
        "session with a path": with_id(f"arn:aws:sts::{BACKEND}:assumed-role/team/other/i-0"),
        "session name of one character": with_id(f"arn:aws:sts::{BACKEND}:assumed-role/other/i"),
        "session name with an asterisk": with_id(f"arn:aws:sts::{BACKEND}:assumed-role/other/*"),
        "any service": and_allow({"Service": "*"}),
        "services by a pattern": and_allow({"Service": "*.amazonaws.com"}),
        "any provider": and_allow({"Federated": "*"}, Action="sts:AssumeRoleWithWebIdentity"),
        "canonical user": and_allow({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}),
        "role pattern": and_allow(f"arn:aws:iam::{BACKEND}:role/*"),
        "account pattern": and_allow("arn:aws:iam::*:root"),
        "account with a wildcard for a digit": and_allow("11111111111?"),
        "account of 11 digits": and_allow("11111111111"),
        "account of other digits": and_allow({"AWS": "\uff11" * 12}),
        "principal with a space": and_allow(f" {BACKEND}"),
        "role's unique ID": and_allow("AROAJQABLZS4A3QDU576Q"),
        "user's unique ID": and_allow("AIDAJQABLZS4A3QDU576Q"),
        "role with a Region": and_allow(f"arn:aws:iam:us-east-1:{BACKEND}:role/x"),
        "role with a space": and_allow(f"arn:aws:iam::{BACKEND}:role/x "),
        "role with another type's case": and_allow(f"arn:aws:iam::{BACKEND}:Role/x"),
        "role with a variable": and_allow(f"arn:aws:iam::{BACKEND}:role/${{aws:username}}"),
        "session of IAM": and_allow(f"arn:aws:iam::{BACKEND}:assumed-role/x/ci"),
        "role without a name": and_allow(f"arn:aws:iam::{BACKEND}:role/"),
        "account as an ARN of IAM": and_allow(f"arn:aws:iam::{BACKEND}:*"),
        "group": and_allow(f"arn:aws:iam::{BACKEND}:group/admins"),
        "principal of another type's spelling": and_allow({"aws": BACKEND}),
        "no principal": [ORDINARY, {"Effect": "Allow", "Action": "sts:AssumeRole"}],
        "empty list of principals": and_allow({"AWS": []}),
        "everyone but one": [ORDINARY, {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": VENDOR}}],
        "everyone denied but one": [*with_id(ROOT), {"Effect": "Deny", "Action": "sts:*", "NotPrincipal": {"AWS": CALLER}}],
    },
}

CALLER_KEYS: Table = {
    WIDER: {
        "ARN of any account": with_id("*", f"ArnLike {ARN} arn:aws:iam::*:role/backend_role"),
        "ARN as a pattern without account": with_id("*", f"ArnLike {ARN} arn:aws:iam:*:*:role/backend_role"),
        "ARN with a wildcard for a digit": with_id("*", f"ArnLike {ARN} arn:aws:iam::11111111111?:role/backend_role"),
        "account that ends the same": with_id("*", f"StringLike {ARN} *1111:role/backend_role"),
        "name that ends the same": with_id(ROOT, f"ArnLike {ARN} arn:aws:iam::{BACKEND}:role/*backend_role"),
        "name that starts the same": with_id(ROOT, f"ArnLike {ARN} {CALLER}*"),
        "wildcard for the underscore": with_id(ROOT, f"ArnLike {ARN} arn:aws:iam::{BACKEND}:role/backend?role"),
        "equal with wildcards in ArnEquals": with_id(ROOT, f"ArnEquals {ARN} arn:aws:iam::{BACKEND}:role/b*"),
        "any type of principal": with_id(ROOT, f"ArnLike {ARN} arn:aws:iam::{BACKEND}:*/backend_role"),
        "role by case": with_id(ROOT, f"StringEqualsIgnoreCase {ARN} {CALLER.upper()}"),
        "ARN if it exists": with_id("*", f"ArnEqualsIfExists {ARN} {CALLER}"),
        "ARN for all values": with_id("*", f"ForAllValues:ArnEquals {ARN} {CALLER}"),
        "ARN negated": with_id(ROOT, f"ArnNotEquals {ARN} arn:aws:iam::{BACKEND}:role/other"),
        "account by a prefix": with_id("*", f"StringLike {ACCOUNT} 1111*"),
        "account that exists": with_id("*", f"Null {ACCOUNT} false"),
        "account in an ignored-case operator": with_id("*", f"StringEqualsIgnoreCase {ACCOUNT} {BACKEND}"),
        "another account negated": with_id("*", f"StringNotEquals {ACCOUNT} {VENDOR}"),
        "account and name separately": with_id("*", f"StringEquals {ACCOUNT} {BACKEND} & StringLike {ARN} */backend_role"),
        "user name equal to the role's": with_id(ROOT, "StringEquals aws:username backend_role"),
        "user name if it exists": with_id(ROOT, "StringEqualsIfExists aws:username ann"),
        "no user name": with_id(ROOT, "Null aws:username true"),
        "type of principal": with_id(ROOT, "StringEquals aws:PrincipalType AssumedRole"),
        "not a service": with_id("*", "Bool aws:PrincipalIsAWSService false"),
        "user ID of a role": with_id(ROOT, "StringLike aws:userid AROA*:*"),
        "user ID for all values": with_id(ROOT, "ForAllValues:StringLike aws:userid AROAEXAMPLE:*"),
        "user ID that exists": with_id("*", "Null aws:userid false"),
        "organization": with_id("*", "StringEquals aws:PrincipalOrgID o-a1b2c3d4e5"),
        "organization if it exists": with_id("*", "StringEqualsIfExists aws:PrincipalOrgID o-a1b2c3d4e5"),
        "organization for all values": with_id("*", "ForAllValues:StringEquals aws:PrincipalOrgID o-a1b2c3d4e5"),
        "paths for all values": with_id("*", "ForAllValues:StringLike aws:PrincipalOrgPaths o-a1b2c3d4e5/r-ab12/ou-*"),
        "paths for any value": with_id("*", "ForAnyValue:StringLike aws:PrincipalOrgPaths o-a1b2c3d4e5/r-ab12/ou-*"),
        "paths that start the same": with_id("*", "ForAnyValue:StringLike aws:PrincipalOrgPaths o-a1b2c3d4e5*"),
        "paths without a set operator": with_id("*", "StringLike aws:PrincipalOrgPaths o-a1b2c3d4e5/*"),
        "management account": with_id("*", f"StringEquals aws:PrincipalOrgMasterAccountId {VENDOR}"),
        "tag of the principal": with_id(ROOT, "StringEquals aws:PrincipalTag/team platform"),
        "tag in another case": with_id(ROOT, "StringEquals AWS:PRINCIPALTAG/TEAM platform"),
        "tag if it exists": with_id(ROOT, "StringEqualsIfExists aws:PrincipalTag/team platform"),
        "tag as a pattern of anything": with_id(ROOT, "StringLike aws:PrincipalTag/team *"),
        "tag that exists": with_id(ROOT, "Null aws:PrincipalTag/team false"),
        "tag with an empty value": with_id(ROOT, "StringEquals aws:PrincipalTag/team "),
        "tag by a path": with_id(ROOT, "StringLike aws:PrincipalTag/team/sub p*"),
        "tag beyond ASCII": with_id(ROOT, {"StringEquals": {"aws:PrincipalTag/équipe": "sécurité"}}),
        "provider of the caller's session": with_id(
            ROOT, "StringEquals aws:FederatedProvider cognito-identity.amazonaws.com"
        ),
        "provider negated": with_id(ROOT, "StringNotEquals aws:FederatedProvider cognito-identity.amazonaws.com"),
        "tag in a variable of the ARN": with_id(ROOT, f"ArnLike {ARN} arn:aws:iam::*:user/${{aws:PrincipalTag/team}}"),
    },
    NO_MORE: {
        "equal with wildcards in StringEquals": with_id(ROOT, f"StringEquals {ARN} arn:aws:iam::{BACKEND}:role/b*"),
        "ARN for any value": with_id("*", f"ForAnyValue:ArnEquals {ARN} {CALLER}"),
        "session's ARN as a condition": with_id("*", f"ArnLike {ARN} arn:aws:sts::{BACKEND}:assumed-role/other/*"),
        "account for all values": with_id(
            "*", f"ForAllValues:StringEquals {ACCOUNT} {BACKEND} & ArnLike {ARN} *:*:*:*:*:role/backend_role"
        ),
        "user name with a slash": with_id(ROOT, "StringLike aws:username team/*"),
        "type of principal in small letters": with_id(ROOT, "StringEquals aws:PrincipalType assumedrole"),
        "type of principal, root": with_id(ROOT, "StringEquals aws:PrincipalType Account"),
        "organization that is none": with_id("*", "StringEquals aws:PrincipalOrgID r-a1b2"),
    },
    OPEN: {
        "ARN pattern with too few parts": with_id(ROOT, f"ArnLike {ARN} arn:aws:iam::*"),
        "account as a number": with_id("*", f"NumericEquals {ACCOUNT} {BACKEND}"),
    },
}

REQUEST_KEYS: Table = {
    WIDER: {
        "no external ID": caller({}),
        "external ID if it exists": caller(f"StringEqualsIfExists {ID} {EXTERNAL_ID}"),
        "external ID for all values": caller(f"ForAllValues:StringEquals {ID} {EXTERNAL_ID}"),
        "external ID that exists": caller(f"Null {ID} false"),
        "external ID by a prefix": caller(f"StringLike {ID} {EXTERNAL_ID[:-1]}*"),
        "external ID with a wildcard at its end": caller(f"StringLike {ID} {EXTERNAL_ID}*"),
        "external ID and another": caller(f"StringEquals {ID} {EXTERNAL_ID}, test"),
        "external ID in capitals": caller(f"StringEquals {ID} {EXTERNAL_ID.upper()}"),
        "external ID ignoring case": caller(f"StringEqualsIgnoreCase {ID} {EXTERNAL_ID.upper()}"),
        "external ID negated": caller(f"StringNotEquals {ID} wrong"),
        "external ID in an ARN operator": caller(f"ArnLike {ID} arn:aws:iam::1:x"),
        "external ID as a bool": caller(f"Bool {ID} true"),
        "external ID as long as accepted": caller(f"StringEquals {ID} {'x' * 1224}, {EXTERNAL_ID}"),
        "external ID from a tag of the caller": caller({"StringEquals": {ID: "${aws:PrincipalTag/id, 'none'}"}}),
        "external ID from the user agent": caller(f"StringLike {ID} ${{aws:UserAgent}}"),
        "external ID from the account": caller(f"StringEquals {ID} ${{aws:PrincipalAccount}}"),
        "external ID from a session name": caller(f"StringEquals {ID} ${{sts:RoleSessionName}}"),
        "external ID from a default": caller({"StringEquals": {ID: "${aws:ResourceTag/id, 'other'}"}}),
        "denied with another ID if it exists": minus(only(CALLER), f"StringNotEquals {ID} {EXTERNAL_ID} & Null {ID} false"),
        "denied with another ID for any value": minus(only(CALLER), f"ForAnyValue:StringNotEquals {ID} {EXTERNAL_ID}"),
        "denied only for another role": minus(only(CALLER), f"StringNotEquals {ID} {EXTERNAL_ID}", f"{CALLER}2"),
        "denied only for its session": minus(
            only(CALLER), f"StringNotEquals {ID} {EXTERNAL_ID}", f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/ci"
        ),
        "denied for another action": minus(only(CALLER), f"StringNotEquals {ID} {EXTERNAL_ID}", Action="sts:TagSession"),
        "request tag": only(CALLER, f"StringEquals aws:RequestTag/id {EXTERNAL_ID}", Action=TAGGING),
        "request tag if it exists": caller(f"StringEqualsIfExists aws:RequestTag/id {EXTERNAL_ID}"),
        "request tag with an empty value": only(CALLER, "StringEquals aws:RequestTag/id ", Action=TAGGING),
        "request tag beyond ASCII": only(CALLER, {"StringEquals": {"aws:RequestTag/équipe": "é"}}, Action=TAGGING),
        "all tag keys": only(CALLER, "ForAllValues:StringEquals aws:TagKeys a, b", Action=TAGGING),
        "any tag key": only(CALLER, "ForAnyValue:StringEquals aws:TagKeys a, b", Action=TAGGING),
        "tags on the ordinary statement": [{**ORDINARY, "Action": TAGGING}],
        "all of sts on the ordinary statement": [{**ORDINARY, "Action": "sts:*"}],
        "everything on the ordinary statement": [{**ORDINARY, "Action": "*"}],
        "assume by a pattern": only(CALLER, Action="sts:Assume*"),
        "assume by question marks": only(CALLER, Action="sts:Assume????"),
        "assume in another case": only(CALLER, Action="STS:ASSUMEROLE"),
        "all but an action": [{"Effect": "Allow", "NotAction": "sts:AssumeRoleWithSAML", "Principal": {"AWS": CALLER}}],
        "denied all but an action": [*only(CALLER), {"Effect": "Deny", "NotAction": "sts:AssumeRole", "Principal": "*"}],
        "transitive keys": only(CALLER, "ForAnyValue:StringEquals sts:TransitiveTagKeys a", Action=TAGGING),
        "source identity": only(
            CALLER, "StringLike sts:SourceIdentity ann*", Action=["sts:AssumeRole", "sts:SetSourceIdentity"]
        ),
        "source identity if it exists": caller("StringLikeIfExists sts:SourceIdentity ann*"),
        "session name": caller("StringLike sts:RoleSessionName deploy-*"),
        "session name of the user": only(ROOT, "StringLike sts:RoleSessionName ${aws:username}"),
        "session name of 64 characters": caller(f"StringLike sts:RoleSessionName {'?' * 64}"),
        "MFA": only(ROOT, "Bool aws:MultiFactorAuthPresent true"),
        "MFA if it exists": with_id(ROOT, "BoolIfExists aws:MultiFactorAuthPresent true"),
        "MFA in capitals": only(ROOT, "Bool aws:MultiFactorAuthPresent TRUE"),
        "MFA not denied if false": minus(only(ROOT), "Bool aws:MultiFactorAuthPresent false"),
        "MFA that exists": only(ROOT, "Null aws:MultiFactorAuthAge false"),
        "MFA age": only(ROOT, "NumericLessThan aws:MultiFactorAuthAge 3600"),
        "MFA age if it exists": with_id(ROOT, "NumericLessThanIfExists aws:MultiFactorAuthAge 3600"),
        "duration": caller("NumericLessThanEquals sts:DurationSeconds 3600"),
        "duration if it exists": caller("NumericLessThanEqualsIfExists sts:DurationSeconds 3600"),
        "duration at the minimum": caller("NumericEquals sts:DurationSeconds 900"),
        "duration at the maximum": only(ROOT, "NumericGreaterThanEquals sts:DurationSeconds 43200"),
    },
    NO_MORE: {
        "external ID for any value": caller(f"ForAnyValue:StringEquals {ID} {EXTERNAL_ID}"),
        "external ID with an escaped asterisk": caller(f"StringLike {ID} {EXTERNAL_ID + '${*}'}"),
        "external ID and a space": caller(f"StringEquals {ID} {EXTERNAL_ID} "),
        "external ID and the empty one": caller({"StringEquals": {ID: [EXTERNAL_ID, ""]}}),
        "external ID longer than accepted": caller(f"StringEquals {ID} {'x' * 1225}, {EXTERNAL_ID}"),
        "external ID of one character": caller(f"StringEquals {ID} x, {EXTERNAL_ID}"),
        "external ID beyond ASCII": caller({"StringEquals": {ID: ["éé", EXTERNAL_ID]}}),
        "external ID of full-width digits": caller({"StringLike": {ID: ["\uff11*", EXTERNAL_ID]}}),
        "external ID from a tag that the role does not have": caller(f"StringEquals {ID} ${{aws:ResourceTag/id}}"),
        "external ID from a default with a wildcard, equal": caller({"StringEquals": {ID: "${aws:ResourceTag/id, '*'}"}}),
        "external ID with two operators": caller(f"StringEquals {ID} {EXTERNAL_ID} & StringLike sts:externalid *"),
        "denied with another ID": minus(only(CALLER), f"StringNotEquals {ID} {EXTERNAL_ID}"),
        "denied with another ID for all values": minus(only(CALLER), f"ForAllValues:StringNotEquals {ID} {EXTERNAL_ID}"),
        "denied for everyone of AWS": minus(only(CALLER), f"StringNotEquals {ID} {EXTERNAL_ID}", {"AWS": "*"}),
        "denied for the account": minus(only(CALLER), f"StringNotEquals {ID} {EXTERNAL_ID}", BACKEND),
        "denied for an action of another case": minus(
            only(CALLER), f"StringNotEquals {ID} {EXTERNAL_ID}", Action="STS:assumerole"
        ),
        "request tag and no action for it": caller(f"StringEquals aws:RequestTag/id {EXTERNAL_ID}"),
        "request tag with a character of no tag": only(CALLER, "StringEquals aws:RequestTag/id a*b", Action=TAGGING),
        "assume of another service": only(CALLER, Action="iam:*"),
        "all but all of sts": [{"Effect": "Allow", "NotAction": "sts:*", "Principal": {"AWS": CALLER}}],
        "source identity and no action for it": caller("StringLike sts:SourceIdentity ann*"),
        "session's source identity": caller("StringLike aws:SourceIdentity *"),
        "session name of 65 characters": caller(f"StringLike sts:RoleSessionName {'?' * 65}"),
        "session name absent": caller("Null sts:RoleSessionName true"),
        "session name with a colon": caller("StringLike sts:RoleSessionName *:*"),
        "MFA age below zero": only(ROOT, "NumericLessThan aws:MultiFactorAuthAge 0"),
        "MFA age of half a second": only(ROOT, "NumericEquals aws:MultiFactorAuthAge 0.5"),
        "duration below the minimum": caller("NumericLessThan sts:DurationSeconds 900"),
        "duration above the maximum": caller("NumericGreaterThan sts:DurationSeconds 43200"),
    },
    OPEN: {
        "external ID as bytes": caller(f"BinaryEquals {ID} QUI="),
        "external ID as a number": caller(f"NumericGreaterThan {ID} 1"),
        "external ID as a date": caller(f"DateLessThan {ID} 2030-01-01"),
        "external ID as an address": caller(f"IpAddress {ID} 10.0.0.0/8"),
        "external ID from a default with a wildcard": caller({"StringLike": {ID: "${aws:ResourceTag/id, '*'}"}}),
        "ARN from a default with a wildcard": with_id(
            "*", {"ArnLike": {ARN: "arn:aws:iam::*:role/${aws:ResourceTag/name, '*'}"}}
        ),
        "external ID in two cases": caller(f"StringEquals {ID} {EXTERNAL_ID} & StringEquals STS:externalid x2"),
        "external ID with a misspelled key": caller(f"StringEquals sts:ExternalID2 {EXTERNAL_ID}"),
        "external ID without a prefix": caller(f"StringEquals ExternalId {EXTERNAL_ID}"),
        "denied without a misspelled key": minus(only(CALLER), f"StringNotEquals sts:ExternalID2 {EXTERNAL_ID}"),
        "no action": [{"Effect": "Allow", "Principal": {"AWS": CALLER}}],
        "action and its opposite": [
            {"Effect": "Allow", "Action": "sts:*", "NotAction": "sts:Tag*", "Principal": {"AWS": CALLER}}
        ],
        "a resource": only(CALLER, Resource="*"),
        "session name of one character": caller("StringLike sts:RoleSessionName ?"),
        "MFA of neither value": only(ROOT, "Bool aws:MultiFactorAuthPresent yes"),
        "duration at the maximum by a role": caller("NumericEquals sts:DurationSeconds 43200"),
    },
}

NETWORK_KEYS: Table = {
    WIDER: {
        "network": caller("IpAddress aws:SourceIp 203.0.113.0/24"),
        "network if it exists": caller("IpAddressIfExists aws:SourceIp 203.0.113.0/24"),
        "everything but a network": caller("NotIpAddress aws:SourceIp 203.0.113.0/24"),
        "both halves excluded": caller("NotIpAddress aws:SourceIp 0.0.0.0/1, 128.0.0.0/1, ::/0"),
        "only IPv4 excluded": caller("NotIpAddress aws:SourceIp 0.0.0.0/0 & Null aws:SourceIp false"),
        "last address": caller("IpAddress aws:SourceIp 255.255.255.255/32"),
        "last address of IPv6": caller("IpAddress aws:SourceIp ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        "neighboring networks": caller(
            {
                "IpAddress": {"aws:SourceIp": "10.0.0.0/23"},
                "NotIpAddress": {"aws:SourceIp": ["10.0.0.0/24", "10.0.1.0/25", "10.0.1.128/26", "10.0.1.192/27"]},
            }
        ),
        "network with host bits": caller("IpAddress aws:SourceIp 10.0.0.1/8"),
        "VPC": caller("StringEquals aws:SourceVpc vpc-0abc"),
        "VPC if it exists": caller("StringEqualsIfExists aws:SourceVpc vpc-0abc"),
        "not from another VPC": caller("StringNotEquals aws:SourceVpc vpc-0abc"),
        "endpoint": caller("StringEquals aws:SourceVpce vpce-0abc"),
        "address in a VPC": caller("IpAddress aws:VpcSourceIp 10.0.0.0/8"),
        "TLS": caller("Bool aws:SecureTransport true"),
        "region": caller("StringEquals aws:RequestedRegion eu-west-1"),
        "not this region": caller("StringNotEquals aws:RequestedRegion us-east-1"),
        "through a service": caller("Bool aws:ViaAWSService true"),
        "through a service, for all values": caller("ForAllValues:StringEquals aws:CalledVia cloudformation.amazonaws.com"),
        "through a service, for any value": caller("ForAnyValue:StringEquals aws:CalledVia cloudformation.amazonaws.com"),
        "first service": caller("StringEquals aws:CalledViaFirst cloudformation.amazonaws.com"),
        "user agent": caller("StringLike aws:UserAgent *terraform*"),
        "referer": caller("StringLike aws:Referer https://example.com/*"),
        "from a time on": caller("DateGreaterThan aws:CurrentTime 2020-01-01T00:00:00Z"),
        "between two times": caller(
            "DateGreaterThan aws:CurrentTime 2040-01-01T00:00:00Z & DateLessThan aws:CurrentTime 2040-01-01T00:00:02Z"
        ),
        "time as seconds": caller("DateLessThan aws:CurrentTime 2208988800"),
        "epoch as an exponent": caller("NumericLessThan aws:EpochTime 1e10"),
        "source account": and_allow({"Service": "config.amazonaws.com"}, f"StringEquals aws:SourceAccount {CUSTOMER}"),
        "source account if it exists": caller(f"StringEqualsIfExists aws:SourceAccount {CUSTOMER}"),
        "source ARN": and_allow({"Service": "config.amazonaws.com"}, "ArnLike aws:SourceArn arn:aws:config:*:*:*"),
        "source organization": and_allow({"Service": "config.amazonaws.com"}, "StringEquals aws:SourceOrgID o-a1b2c3d4e5"),
        "service's name": and_allow("*", "StringEquals aws:PrincipalServiceName config.amazonaws.com"),
        "key of another service, absent": caller("Null s3:prefix true"),
        "key of another service, negated": caller("StringNotEquals s3:prefix x"),
    },
    NO_MORE: {
        "both halves excluded, and present": caller(
            "NotIpAddress aws:SourceIp 0.0.0.0/1, 128.0.0.0/1, ::/0 & Null aws:SourceIp false"
        ),
        "a network less itself": caller(
            "IpAddress aws:SourceIp 10.0.0.0/23 & NotIpAddress aws:SourceIp 10.0.0.0/24, 10.0.1.0/24"
        ),
        "no TLS": caller("Bool aws:SecureTransport false"),
        "after it ends": caller(
            {
                "DateGreaterThan": {"aws:CurrentTime": "2040-01-01T00:00:00Z"},
                "DateLessThanEquals": {"aws:CurrentTime": "2040-01-01T01:00:00+01:00"},
            }
        ),
        "time absent": caller("Null aws:CurrentTime true"),
        "epoch between two integers": caller(
            "NumericGreaterThan aws:EpochTime 2208988800 & NumericLessThan aws:EpochTime 2208988801"
        ),
        "source account of a person": caller(f"StringEquals aws:SourceAccount {CUSTOMER}"),
    },
    OPEN: {
        "network with a mask": caller("IpAddress aws:SourceIp 10.0.0.0/255.0.0.0"),
        "network with a host mask": caller("IpAddress aws:SourceIp 10.0.0.0/0.0.0.255"),
        "network of neither family": caller("IpAddress aws:SourceIp 10.0.0.0/33"),
        "network as a string": caller("StringLike aws:SourceIp 10.*"),
        "no region": caller("StringLike aws:RequestedRegion nowhere-*"),
        "time that is none": caller("DateLessThan aws:CurrentTime tomorrow"),
        "time of week dates": caller("DateLessThan aws:CurrentTime 2040-W01-1"),
        "time of eight digits": caller("DateLessThan aws:CurrentTime 20400101"),
        "number that is none": caller("NumericLessThan aws:EpochTime soon"),
        "numbers of other digits": caller({"NumericLessThan": {"aws:EpochTime": "\uff11\uff12"}}),
        "key of another service": caller("StringEquals s3:prefix x"),
    },
}

FEDERATION: Table = {
    WIDER: {
        "SAML with the console's audience": and_allow(
            {"Federated": SAML}, "StringEquals SAML:aud https://signin.aws.amazon.com/saml", Action="sts:AssumeRoleWithSAML"
        ),
        "SAML by a pattern of the action": and_allow({"Federated": SAML}, Action="sts:AssumeRoleWith*"),
        "SAML for everyone": and_allow("*", "StringEquals SAML:aud x", Action="sts:AssumeRoleWithSAML"),
        "workflow of any repository": and_allow(
            {"Federated": f"arn:aws:iam::{CUSTOMER}:oidc-provider/{OIDC}"},
            f"StringEquals {OIDC}:aud sts.amazonaws.com",
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        "workflow of repositories by a prefix": and_allow(
            {"Federated": f"arn:aws:iam::{CUSTOMER}:oidc-provider/{OIDC}"},
            f"StringLike {OIDC}:sub repo:org*",
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        "workflow for all values": and_allow(
            {"Federated": f"arn:aws:iam::{CUSTOMER}:oidc-provider/{OIDC}"},
            f"ForAllValues:StringEquals {OIDC}:sub repo:org/app",
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        "web identity without a token's key": and_allow(
            {"Federated": "accounts.google.com"}, Action="sts:AssumeRoleWithWebIdentity"
        ),
        "guests of a pool": and_allow(
            {"Federated": "cognito-identity.amazonaws.com"},
            "ForAnyValue:StringLike cognito-identity.amazonaws.com:amr unauthenticated",
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        "SAML with tags": and_allow(
            {"Federated": SAML}, "StringEquals aws:RequestTag/team x", Action=["sts:AssumeRoleWithSAML", "sts:TagSession"]
        ),
    },
    NO_MORE: {
        "SAML with an external ID": with_id({"Federated": SAML}, Action="sts:AssumeRoleWithSAML"),
        "SAML with MFA": and_allow(
            {"Federated": SAML}, "Bool aws:MultiFactorAuthPresent true", Action="sts:AssumeRoleWithSAML"
        ),
    },
}

LANGUAGE: Table = {
    WIDER: {
        "empty condition": and_allow(BACKEND, {"StringEquals": {}}),
        "null of both values": with_id("*", f"Null {ARN} true, false"),
        "variable of a multi-valued key": with_id(ROOT, f"StringLike {ARN} */${{aws:TagKeys}}", Action=TAGGING),
        "wildcard for a character": with_id(ROOT, f"StringLike {ARN} *role/b?c"),
        "bool as JSON": only(ROOT, {"Bool": {"aws:MultiFactorAuthPresent": True}}),
        "number as JSON": only(ROOT, {"NumericLessThan": {"aws:MultiFactorAuthAge": 60}}),
        "wildcards only": with_id(ROOT, f"StringLike {ARN} **?**"),
        "two lists of which both hold": with_id(
            ROOT, f"StringLike {ARN} *role/a*, *role/b* & StringNotLike {ARN} *role/b*, *role/aa*"
        ),
        "deny that does not meet the allow": minus(with_id(ROOT), f"ArnNotLike {ARN} {CALLER}*"),
        "deny of everyone else for any value": minus(with_id("*"), f"ForAnyValue:ArnNotEquals {ARN} {CALLER}"),
        "deny of everyone else with two keys": minus(
            with_id(ROOT), f"ArnNotEquals {ARN} {CALLER} & StringNotEquals {ACCOUNT} {BACKEND}"
        ),
        "characters beyond the first plane": with_id(
            ROOT, {"StringLike": {"aws:PrincipalTag/x": "?"}, "StringNotLike": {"aws:PrincipalTag/x": "\U0001d4b3"}}
        ),
        "shell commands": only(CALLER, {"StringEquals": {"aws:UserAgent": "$(rm -rf ~); `id` 'x' \"y\"\nz"}}),
    },
    NO_MORE: {
        "variable that is not closed": with_id(ROOT, f"StringLike {ARN} */${{aws:username"),
        "escaped wildcard": with_id(ROOT, f"StringLike {ARN} *role/${{*}}"),
        "empty value": with_id(ROOT, f"StringEquals {ARN} "),
        "two lists of which only one holds": with_id(
            ROOT, f"StringLike {ARN} *role/a*, *role/b* & StringNotLike {ARN} *role/b*, *a*"
        ),
        "deny of everyone else": minus(with_id(ROOT), f"ArnNotEquals {ARN} {CALLER}"),
        "deny of everyone else if it exists": minus(with_id("*"), f"ArnNotEqualsIfExists {ARN} {CALLER}"),
        "Kelvin sign": with_id(ROOT, {"StringLike": {ARN: "*role/bac\u212aend_role"}}),
    },
    OPEN: {
        "effect in small letters": and_allow("*", None, Effect="allow"),
        "no effect": [ORDINARY, {"Action": "sts:AssumeRole", "Principal": "*"}],
        "deny with an unknown operator": minus(with_id(ROOT), f"StringNotequals {ARN} {CALLER}"),
        "deny with an empty list": minus(with_id(ROOT), {"ArnNotEquals": {ARN: []}}),
        "allow with an empty list": with_id("*", {"StringEquals": {ARN: []}}),
        "null of neither value": with_id("*", f"Null {ARN} maybe"),
        "null if it exists": with_id("*", f"NullIfExists {ARN} true"),
        "variable that is none": with_id(ROOT, f"StringLike {ARN} *${{ }}*"),
        "variable in a set operator": with_id(ROOT, "ForAllValues:StringEquals aws:TagKeys ${aws:username}", Action=TAGGING),
        "variable in a number": with_id(ROOT, "NumericEquals aws:EpochTime ${aws:EpochTime}"),
        "deny of all tags": minus([{**ORDINARY, "Action": TAGGING}], "Null aws:TagKeys false", Action="sts:TagSession"),
        "Kelvin sign ignoring case": with_id(ROOT, {"StringEqualsIgnoreCase": {ARN: CALLER.replace("k", "\u212a")}}),
        "small letter without a capital": with_id(ROOT, {"StringEqualsIgnoreCase": {"aws:PrincipalTag/x": "ß"}}),
        "combining characters": with_id(ROOT, {"StringEquals": {"aws:PrincipalTag/x": "e\u0301"}}),
        "very long value": with_id(ROOT, f"StringLike {ARN} {'*role/' + 'a' * 1000}"),
    },
}

UNINTENDED = {
    f"{group}: {name}": (statements, verdict)
    for group, table in {
        "principals": PRINCIPALS,
        "caller": CALLER_KEYS,
        "request": REQUEST_KEYS,
        "network": NETWORK_KEYS,
        "federation": FEDERATION,
        "language": LANGUAGE,
    }.items()
    for verdict, cases in table.items()
    for name, statements in cases.items()
}
