"""Trust policies that look intended and allow unintended requests, or look dangerous and allow no request more.

WIDER: a request must be found. NO_MORE: nothing unintended is allowed. OPEN: AWS does not document the outcome, or cannot
accept the policy, so that no claim is made. The intent is that of `trust_worlds.ORDINARY`.
"""

from __future__ import annotations

from typing import Any

from trust_worlds import BACKEND, CALLER, CUSTOMER, EXTERNAL_ID, ORDINARY, WITH_ID, statement

WIDER, NO_MORE, OPEN = "wider", "no more", "open"
Statements = list[dict[str, Any]]

ID, ARN, ACCOUNT = "sts:ExternalId", "aws:PrincipalArn", "aws:PrincipalAccount"
ROOT = f"arn:aws:iam::{BACKEND}:root"
VENDOR = "444444444444"
EQUALS_ID = WITH_ID["StringEquals"]
TAGGING = ["sts:AssumeRole", "sts:TagSession"]
SAML = f"arn:aws:iam::{CUSTOMER}:saml-provider/idp"
OIDC = "token.actions.githubusercontent.com"


def only(principal: Any, condition: dict[str, Any] | None = None, **more: Any) -> Statements:
    """One Allow and no other statement."""
    return [statement(principal, condition, **more)]


def with_id(principal: Any, condition: dict[str, Any] | None = None, **more: Any) -> Statements:
    """One Allow that requires the external ID."""
    joined = {operator: dict(keys) for operator, keys in (condition or {}).items()}
    joined["StringEquals"] = {**EQUALS_ID, **joined.get("StringEquals", {})}
    return only(principal, joined, **more)


def caller(condition: dict[str, Any], **more: Any) -> Statements:
    """The intended caller with other requirements than the external ID."""
    return only({"AWS": CALLER}, condition, **more)


def and_allow(principal: Any, condition: dict[str, Any] | None = None, **more: Any) -> Statements:
    """The ordinary statement and one more Allow."""
    return [ORDINARY, statement(principal, condition, **more)]


def minus(first: Statements, condition: dict[str, Any], principal: Any = "*", **more: Any) -> Statements:
    """Statements and a Deny."""
    return [*first, statement(principal, condition, "Deny", **more)]


PRINCIPALS: dict[str, tuple[Statements, str]] = {
    "account ID": (with_id({"AWS": BACKEND}), WIDER),
    "root ARN": (with_id({"AWS": ROOT}), WIDER),
    "root ARN with the root user's ARN as a condition": (with_id({"AWS": ROOT}, {"ArnEquals": {ARN: ROOT}}), NO_MORE),
    "role of the same name with a path": (with_id({"AWS": f"arn:aws:iam::{BACKEND}:role/team/backend_role"}), WIDER),
    "role with another case": (with_id({"AWS": f"arn:aws:iam::{BACKEND}:role/Backend_Role"}), WIDER),
    "user of the role's name": (with_id({"AWS": f"arn:aws:iam::{BACKEND}:user/backend_role"}), WIDER),
    "session of the role": (with_id({"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/i-0"}), NO_MORE),
    "session of a role with a path": (
        and_allow({"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/other/ci"}, {"StringLike": {ARN: "*:role/team/*"}}),
        WIDER,
    ),
    "session of another role": (with_id({"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/backend-role/i-0"}), WIDER),
    "session without its name": (with_id({"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/other"}), OPEN),
    "session with a path": (with_id({"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/team/other/i-0"}), OPEN),
    "session name of one character": (with_id({"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/other/i"}), OPEN),
    "session name with an asterisk": (with_id({"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/other/*"}), OPEN),
    "federated user": (with_id({"AWS": f"arn:aws:sts::{BACKEND}:federated-user/ann"}), NO_MORE),
    "list with one more role": (with_id({"AWS": [CALLER, f"arn:aws:iam::{BACKEND}:role/backend_role2"]}), WIDER),
    "list with an account": (with_id({"AWS": [CALLER, VENDOR]}), WIDER),
    "list with everyone": (with_id({"AWS": [CALLER, "*"]}), WIDER),
    "everyone": (with_id("*"), WIDER),
    "everyone of AWS": (with_id({"AWS": "*"}), WIDER),
    "service in addition": (with_id({"AWS": CALLER, "Service": "ec2.amazonaws.com"}), WIDER),
    "service of another partition": (and_allow({"Service": "ec2.amazonaws.com.cn"}), WIDER),
    "any service": (and_allow({"Service": "*"}), OPEN),
    "services by a pattern": (and_allow({"Service": "*.amazonaws.com"}), OPEN),
    "SAML provider": (and_allow({"Federated": SAML}, Action="sts:AssumeRoleWithSAML"), WIDER),
    "any provider": (and_allow({"Federated": "*"}, Action="sts:AssumeRoleWithWebIdentity"), OPEN),
    "provider with the wrong operation": (and_allow({"Federated": SAML}), NO_MORE),
    "canonical user": (
        and_allow({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}),
        OPEN,
    ),
    "role pattern": (and_allow({"AWS": f"arn:aws:iam::{BACKEND}:role/*"}), OPEN),
    "account pattern": (and_allow({"AWS": "arn:aws:iam::*:root"}), OPEN),
    "account with a wildcard for a digit": (and_allow({"AWS": "11111111111?"}), OPEN),
    "account of 11 digits": (and_allow({"AWS": "11111111111"}), OPEN),
    "account of other digits": (and_allow({"AWS": "\uff11" * 12}), OPEN),
    "principal with a space": (and_allow({"AWS": f" {BACKEND}"}), OPEN),
    "role's unique ID": (and_allow({"AWS": "AROAJQABLZS4A3QDU576Q"}), OPEN),
    "user's unique ID": (and_allow({"AWS": "AIDAJQABLZS4A3QDU576Q"}), OPEN),
    "role of another partition": (and_allow({"AWS": "arn:aws-us-gov:iam::444444444444:role/x"}), NO_MORE),
    "role with a Region": (and_allow({"AWS": f"arn:aws:iam:us-east-1:{BACKEND}:role/x"}), OPEN),
    "role with a space": (and_allow({"AWS": f"arn:aws:iam::{BACKEND}:role/x "}), OPEN),
    "role with another type's case": (and_allow({"AWS": f"arn:aws:iam::{BACKEND}:Role/x"}), OPEN),
    "role with a variable": (and_allow({"AWS": f"arn:aws:iam::{BACKEND}:role/${{aws:username}}"}), OPEN),
    "session of IAM": (and_allow({"AWS": f"arn:aws:iam::{BACKEND}:assumed-role/x/ci"}), OPEN),
    "role without a name": (and_allow({"AWS": f"arn:aws:iam::{BACKEND}:role/"}), OPEN),
    "account as an ARN of IAM": (and_allow({"AWS": f"arn:aws:iam::{BACKEND}:*"}), OPEN),
    "group": (and_allow({"AWS": f"arn:aws:iam::{BACKEND}:group/admins"}), OPEN),
    "principal of another type's spelling": (and_allow({"aws": BACKEND}), OPEN),
    "no principal": ([ORDINARY, {"Effect": "Allow", "Action": "sts:AssumeRole"}], OPEN),
    "empty list of principals": (and_allow({"AWS": []}), OPEN),
    "everyone but one": ([ORDINARY, {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": VENDOR}}], OPEN),
    "everyone denied but one": (
        [*with_id({"AWS": ROOT}), {"Effect": "Deny", "Action": "sts:*", "NotPrincipal": {"AWS": CALLER}}],
        OPEN,
    ),
    "the role itself": (and_allow({"AWS": f"arn:aws:iam::{CUSTOMER}:role/role1"}), WIDER),
    "own account": (and_allow({"AWS": CUSTOMER}), WIDER),
    "identity center's roles": (
        and_allow({"AWS": CUSTOMER}, {"ArnLike": {ARN: "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"}}),
        WIDER,
    ),
    "account access manager without its application": (
        and_allow({"Service": "account-access.amazonaws.com"}, Action=["sts:AssumeRole", "sts:SetContext"]),
        WIDER,
    ),
}

CALLER_KEYS: dict[str, tuple[Statements, str]] = {
    "ARN of any account": (with_id("*", {"ArnLike": {ARN: "arn:aws:iam::*:role/backend_role"}}), WIDER),
    "ARN as a pattern without account": (with_id("*", {"ArnLike": {ARN: "arn:aws:iam:*:*:role/backend_role"}}), WIDER),
    "ARN with a wildcard for a digit": (
        with_id("*", {"ArnLike": {ARN: "arn:aws:iam::11111111111?:role/backend_role"}}),
        WIDER,
    ),
    "account that ends the same": (with_id("*", {"StringLike": {ARN: "*1111:role/backend_role"}}), WIDER),
    "name that ends the same": (
        with_id({"AWS": ROOT}, {"ArnLike": {ARN: f"arn:aws:iam::{BACKEND}:role/*backend_role"}}),
        WIDER,
    ),
    "name that starts the same": (with_id({"AWS": ROOT}, {"ArnLike": {ARN: f"{CALLER}*"}}), WIDER),
    "wildcard for the underscore": (
        with_id({"AWS": ROOT}, {"ArnLike": {ARN: f"arn:aws:iam::{BACKEND}:role/backend?role"}}),
        WIDER,
    ),
    "equal with wildcards in ArnEquals": (
        with_id({"AWS": ROOT}, {"ArnEquals": {ARN: f"arn:aws:iam::{BACKEND}:role/b*"}}),
        WIDER,
    ),
    "equal with wildcards in StringEquals": (
        with_id({"AWS": ROOT}, {"StringEquals": {ARN: f"arn:aws:iam::{BACKEND}:role/b*"}}),
        NO_MORE,
    ),
    "any type of principal": (with_id({"AWS": ROOT}, {"ArnLike": {ARN: f"arn:aws:iam::{BACKEND}:*/backend_role"}}), WIDER),
    "role by case": (with_id({"AWS": ROOT}, {"StringEqualsIgnoreCase": {ARN: CALLER.upper()}}), WIDER),
    "ARN if it exists": (with_id("*", {"ArnEqualsIfExists": {ARN: CALLER}}), WIDER),
    "ARN for all values": (with_id("*", {"ForAllValues:ArnEquals": {ARN: CALLER}}), WIDER),
    "ARN for any value": (with_id("*", {"ForAnyValue:ArnEquals": {ARN: CALLER}}), NO_MORE),
    "ARN negated": (with_id({"AWS": ROOT}, {"ArnNotEquals": {ARN: f"arn:aws:iam::{BACKEND}:role/other"}}), WIDER),
    "session's ARN as a condition": (
        with_id("*", {"ArnLike": {ARN: f"arn:aws:sts::{BACKEND}:assumed-role/other/*"}}),
        NO_MORE,
    ),
    "ARN pattern with too few parts": (with_id({"AWS": ROOT}, {"ArnLike": {ARN: "arn:aws:iam::*"}}), OPEN),
    "account by a prefix": (with_id("*", {"StringLike": {ACCOUNT: "1111*"}}), WIDER),
    "account that exists": (with_id("*", {"Null": {ACCOUNT: "false"}}), WIDER),
    "account in an ignored-case operator": (with_id("*", {"StringEqualsIgnoreCase": {ACCOUNT: BACKEND}}), WIDER),
    "account for all values": (
        with_id("*", {"ForAllValues:StringEquals": {ACCOUNT: BACKEND}, "ArnLike": {ARN: "*:*:*:*:*:role/backend_role"}}),
        NO_MORE,
    ),
    "account as a number": (with_id("*", {"NumericEquals": {ACCOUNT: BACKEND}}), OPEN),
    "another account negated": (with_id("*", {"StringNotEquals": {ACCOUNT: VENDOR}}), WIDER),
    "account and name separately": (
        with_id("*", {"StringEquals": {ACCOUNT: BACKEND}, "StringLike": {ARN: "*/backend_role"}}),
        WIDER,
    ),
    "user name equal to the role's": (with_id({"AWS": ROOT}, {"StringEquals": {"aws:username": "backend_role"}}), WIDER),
    "user name if it exists": (with_id({"AWS": ROOT}, {"StringEqualsIfExists": {"aws:username": "ann"}}), WIDER),
    "no user name": (with_id({"AWS": ROOT}, {"Null": {"aws:username": "true"}}), WIDER),
    "user name with a slash": (with_id({"AWS": ROOT}, {"StringLike": {"aws:username": "team/*"}}), NO_MORE),
    "type of principal": (with_id({"AWS": ROOT}, {"StringEquals": {"aws:PrincipalType": "AssumedRole"}}), WIDER),
    "type of principal in small letters": (
        with_id({"AWS": ROOT}, {"StringEquals": {"aws:PrincipalType": "assumedrole"}}),
        NO_MORE,
    ),
    "type of principal, root": (with_id({"AWS": ROOT}, {"StringEquals": {"aws:PrincipalType": "Account"}}), NO_MORE),
    "not a service": (with_id("*", {"Bool": {"aws:PrincipalIsAWSService": "false"}}), WIDER),
    "user ID of a role": (with_id({"AWS": ROOT}, {"StringLike": {"aws:userid": "AROA*:*"}}), WIDER),
    "user ID for all values": (with_id({"AWS": ROOT}, {"ForAllValues:StringLike": {"aws:userid": "AROAEXAMPLE:*"}}), WIDER),
    "user ID that exists": (with_id("*", {"Null": {"aws:userid": "false"}}), WIDER),
    "organization": (with_id("*", {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), WIDER),
    "organization if it exists": (with_id("*", {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), WIDER),
    "organization for all values": (
        with_id("*", {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        WIDER,
    ),
    "organization that is none": (with_id("*", {"StringEquals": {"aws:PrincipalOrgID": "r-a1b2"}}), NO_MORE),
    "paths for all values": (
        with_id("*", {"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/ou-*"}}),
        WIDER,
    ),
    "paths for any value": (
        with_id("*", {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/ou-*"}}),
        WIDER,
    ),
    "paths that start the same": (
        with_id("*", {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5*"}}),
        WIDER,
    ),
    "paths without a set operator": (with_id("*", {"StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*"}}), WIDER),
    "management account": (with_id("*", {"StringEquals": {"aws:PrincipalOrgMasterAccountId": VENDOR}}), WIDER),
    "tag of the principal": (with_id({"AWS": ROOT}, {"StringEquals": {"aws:PrincipalTag/team": "platform"}}), WIDER),
    "tag in another case": (with_id({"AWS": ROOT}, {"StringEquals": {"AWS:PRINCIPALTAG/TEAM": "platform"}}), WIDER),
    "tag if it exists": (with_id({"AWS": ROOT}, {"StringEqualsIfExists": {"aws:PrincipalTag/team": "platform"}}), WIDER),
    "tag as a pattern of anything": (with_id({"AWS": ROOT}, {"StringLike": {"aws:PrincipalTag/team": "*"}}), WIDER),
    "tag that exists": (with_id({"AWS": ROOT}, {"Null": {"aws:PrincipalTag/team": "false"}}), WIDER),
    "tag with an empty value": (with_id({"AWS": ROOT}, {"StringEquals": {"aws:PrincipalTag/team": ""}}), WIDER),
    "tag by a path": (with_id({"AWS": ROOT}, {"StringLike": {"aws:PrincipalTag/team/sub": "p*"}}), WIDER),
    "tag beyond ASCII": (with_id({"AWS": ROOT}, {"StringEquals": {"aws:PrincipalTag/équipe": "sécurité"}}), WIDER),
    "provider of the caller's session": (
        with_id({"AWS": ROOT}, {"StringEquals": {"aws:FederatedProvider": "cognito-identity.amazonaws.com"}}),
        WIDER,
    ),
    "provider negated": (
        with_id({"AWS": ROOT}, {"StringNotEquals": {"aws:FederatedProvider": "cognito-identity.amazonaws.com"}}),
        WIDER,
    ),
    "tag in a variable of the ARN": (
        with_id({"AWS": ROOT}, {"ArnLike": {ARN: "arn:aws:iam::*:user/${aws:PrincipalTag/team}"}}),
        WIDER,
    ),
}

REQUEST_KEYS: dict[str, tuple[Statements, str]] = {
    "no external ID": (caller({}), WIDER),
    "external ID if it exists": (caller({"StringEqualsIfExists": {ID: EXTERNAL_ID}}), WIDER),
    "external ID for all values": (caller({"ForAllValues:StringEquals": {ID: EXTERNAL_ID}}), WIDER),
    "external ID for any value": (caller({"ForAnyValue:StringEquals": {ID: EXTERNAL_ID}}), NO_MORE),
    "external ID that exists": (caller({"Null": {ID: "false"}}), WIDER),
    "external ID by a prefix": (caller({"StringLike": {ID: f"{EXTERNAL_ID[:-1]}*"}}), WIDER),
    "external ID with a wildcard at its end": (caller({"StringLike": {ID: f"{EXTERNAL_ID}*"}}), WIDER),
    "external ID with an escaped asterisk": (caller({"StringLike": {ID: EXTERNAL_ID + "${*}"}}), NO_MORE),
    "external ID and a space": (caller({"StringEquals": {ID: f"{EXTERNAL_ID} "}}), NO_MORE),
    "external ID and another": (caller({"StringEquals": {ID: [EXTERNAL_ID, "test"]}}), WIDER),
    "external ID and the empty one": (caller({"StringEquals": {ID: [EXTERNAL_ID, ""]}}), NO_MORE),
    "external ID in capitals": (caller({"StringEquals": {ID: EXTERNAL_ID.upper()}}), WIDER),
    "external ID ignoring case": (caller({"StringEqualsIgnoreCase": {ID: EXTERNAL_ID.upper()}}), WIDER),
    "external ID negated": (caller({"StringNotEquals": {ID: "wrong"}}), WIDER),
    "external ID in an ARN operator": (caller({"ArnLike": {ID: "arn:aws:iam::1:x"}}), WIDER),
    "external ID as bytes": (caller({"BinaryEquals": {ID: "QUI="}}), OPEN),
    "external ID as a number": (caller({"NumericGreaterThan": {ID: "1"}}), OPEN),
    "external ID as a date": (caller({"DateLessThan": {ID: "2030-01-01"}}), OPEN),
    "external ID as an address": (caller({"IpAddress": {ID: "10.0.0.0/8"}}), OPEN),
    "external ID as a bool": (caller({"Bool": {ID: "true"}}), WIDER),
    "external ID longer than accepted": (caller({"StringEquals": {ID: ["x" * 1225, EXTERNAL_ID]}}), NO_MORE),
    "external ID as long as accepted": (caller({"StringEquals": {ID: ["x" * 1224, EXTERNAL_ID]}}), WIDER),
    "external ID of one character": (caller({"StringEquals": {ID: ["x", EXTERNAL_ID]}}), NO_MORE),
    "external ID beyond ASCII": (caller({"StringEquals": {ID: ["éé", EXTERNAL_ID]}}), NO_MORE),
    "external ID of full-width digits": (caller({"StringLike": {ID: ["\uff11*", EXTERNAL_ID]}}), NO_MORE),
    "external ID from a tag of the caller": (caller({"StringEquals": {ID: "${aws:PrincipalTag/id, 'none'}"}}), WIDER),
    "external ID from the user agent": (caller({"StringLike": {ID: "${aws:UserAgent}"}}), WIDER),
    "external ID from the account": (caller({"StringEquals": {ID: "${aws:PrincipalAccount}"}}), WIDER),
    "external ID from a session name": (caller({"StringEquals": {ID: "${sts:RoleSessionName}"}}), WIDER),
    "external ID from a tag that the role does not have": (caller({"StringEquals": {ID: "${aws:ResourceTag/id}"}}), NO_MORE),
    "external ID from a default": (caller({"StringEquals": {ID: "${aws:ResourceTag/id, 'other'}"}}), WIDER),
    "external ID from a default with a wildcard": (caller({"StringLike": {ID: "${aws:ResourceTag/id, '*'}"}}), OPEN),
    "external ID from a default with a wildcard, equal": (
        caller({"StringEquals": {ID: "${aws:ResourceTag/id, '*'}"}}),
        NO_MORE,
    ),
    "ARN from a default with a wildcard": (
        with_id("*", {"ArnLike": {ARN: "arn:aws:iam::*:role/${aws:ResourceTag/name, '*'}"}}),
        OPEN,
    ),
    "external ID in two cases": (caller({"StringEquals": {ID: EXTERNAL_ID, "STS:externalid": "x2"}}), OPEN),
    "external ID with two operators": (
        caller({"StringEquals": {ID: EXTERNAL_ID}, "StringLike": {"sts:externalid": "*"}}),
        NO_MORE,
    ),
    "external ID with a misspelled key": (caller({"StringEquals": {"sts:ExternalID2": EXTERNAL_ID}}), OPEN),
    "external ID without a prefix": (caller({"StringEquals": {"ExternalId": EXTERNAL_ID}}), OPEN),
    "denied without a misspelled key": (
        minus(only({"AWS": CALLER}), {"StringNotEquals": {"sts:ExternalID2": EXTERNAL_ID}}),
        OPEN,
    ),
    "denied with another ID if it exists": (
        minus(only({"AWS": CALLER}), {"StringNotEquals": {ID: EXTERNAL_ID}, "Null": {ID: "false"}}),
        WIDER,
    ),
    "denied with another ID": (minus(only({"AWS": CALLER}), {"StringNotEquals": {ID: EXTERNAL_ID}}), NO_MORE),
    "denied with another ID for all values": (
        minus(only({"AWS": CALLER}), {"ForAllValues:StringNotEquals": {ID: EXTERNAL_ID}}),
        NO_MORE,
    ),
    "denied with another ID for any value": (
        minus(only({"AWS": CALLER}), {"ForAnyValue:StringNotEquals": {ID: EXTERNAL_ID}}),
        WIDER,
    ),
    "denied for everyone of AWS": (
        minus(only({"AWS": CALLER}), {"StringNotEquals": {ID: EXTERNAL_ID}}, {"AWS": "*"}),
        NO_MORE,
    ),
    "denied only for another role": (
        minus(only({"AWS": CALLER}), {"StringNotEquals": {ID: EXTERNAL_ID}}, {"AWS": f"{CALLER}2"}),
        WIDER,
    ),
    "denied only for its session": (
        minus(
            only({"AWS": CALLER}),
            {"StringNotEquals": {ID: EXTERNAL_ID}},
            {"AWS": f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/ci"},
        ),
        WIDER,
    ),
    "denied for the account": (
        minus(only({"AWS": CALLER}), {"StringNotEquals": {ID: EXTERNAL_ID}}, {"AWS": BACKEND}),
        NO_MORE,
    ),
    "denied for another action": (
        minus(only({"AWS": CALLER}), {"StringNotEquals": {ID: EXTERNAL_ID}}, Action="sts:TagSession"),
        WIDER,
    ),
    "denied for an action of another case": (
        minus(only({"AWS": CALLER}), {"StringNotEquals": {ID: EXTERNAL_ID}}, Action="STS:assumerole"),
        NO_MORE,
    ),
    "request tag": (only({"AWS": CALLER}, {"StringEquals": {"aws:RequestTag/id": EXTERNAL_ID}}, Action=TAGGING), WIDER),
    "request tag and no action for it": (caller({"StringEquals": {"aws:RequestTag/id": EXTERNAL_ID}}), NO_MORE),
    "request tag if it exists": (caller({"StringEqualsIfExists": {"aws:RequestTag/id": EXTERNAL_ID}}), WIDER),
    "request tag with an empty value": (
        only({"AWS": CALLER}, {"StringEquals": {"aws:RequestTag/id": ""}}, Action=TAGGING),
        WIDER,
    ),
    "request tag with a character of no tag": (
        only({"AWS": CALLER}, {"StringEquals": {"aws:RequestTag/id": "a*b"}}, Action=TAGGING),
        NO_MORE,
    ),
    "request tag beyond ASCII": (
        only({"AWS": CALLER}, {"StringEquals": {"aws:RequestTag/équipe": "é"}}, Action=TAGGING),
        WIDER,
    ),
    "all tag keys": (
        only({"AWS": CALLER}, {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, Action=TAGGING),
        WIDER,
    ),
    "any tag key": (only({"AWS": CALLER}, {"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, Action=TAGGING), WIDER),
    "tags on the ordinary statement": ([{**ORDINARY, "Action": TAGGING}], WIDER),
    "all of sts on the ordinary statement": ([{**ORDINARY, "Action": "sts:*"}], WIDER),
    "everything on the ordinary statement": ([{**ORDINARY, "Action": "*"}], WIDER),
    "assume by a pattern": (only({"AWS": CALLER}, Action="sts:Assume*"), WIDER),
    "assume by question marks": (only({"AWS": CALLER}, Action="sts:Assume????"), WIDER),
    "assume in another case": (only({"AWS": CALLER}, Action="STS:ASSUMEROLE"), WIDER),
    "assume of another service": (only({"AWS": CALLER}, Action="iam:*"), NO_MORE),
    "all but an action": ([{"Effect": "Allow", "NotAction": "sts:AssumeRoleWithSAML", "Principal": {"AWS": CALLER}}], WIDER),
    "all but all of sts": ([{"Effect": "Allow", "NotAction": "sts:*", "Principal": {"AWS": CALLER}}], NO_MORE),
    "denied all but an action": (
        [*only({"AWS": CALLER}), {"Effect": "Deny", "NotAction": "sts:AssumeRole", "Principal": "*"}],
        WIDER,
    ),
    "no action": ([{"Effect": "Allow", "Principal": {"AWS": CALLER}}], OPEN),
    "action and its opposite": (
        [{"Effect": "Allow", "Action": "sts:*", "NotAction": "sts:Tag*", "Principal": {"AWS": CALLER}}],
        OPEN,
    ),
    "a resource": (only({"AWS": CALLER}, Resource="*"), OPEN),
    "transitive keys": (
        only({"AWS": CALLER}, {"ForAnyValue:StringEquals": {"sts:TransitiveTagKeys": ["a"]}}, Action=TAGGING),
        WIDER,
    ),
    "source identity": (
        only(
            {"AWS": CALLER},
            {"StringLike": {"sts:SourceIdentity": "ann*"}},
            Action=["sts:AssumeRole", "sts:SetSourceIdentity"],
        ),
        WIDER,
    ),
    "source identity and no action for it": (caller({"StringLike": {"sts:SourceIdentity": "ann*"}}), NO_MORE),
    "source identity if it exists": (caller({"StringLikeIfExists": {"sts:SourceIdentity": "ann*"}}), WIDER),
    "session's source identity": (caller({"StringLike": {"aws:SourceIdentity": "*"}}), NO_MORE),
    "session name": (caller({"StringLike": {"sts:RoleSessionName": "deploy-*"}}), WIDER),
    "session name of the user": (only({"AWS": ROOT}, {"StringLike": {"sts:RoleSessionName": "${aws:username}"}}), WIDER),
    "session name of one character": (caller({"StringLike": {"sts:RoleSessionName": "?"}}), OPEN),
    "session name of 64 characters": (caller({"StringLike": {"sts:RoleSessionName": "?" * 64}}), WIDER),
    "session name of 65 characters": (caller({"StringLike": {"sts:RoleSessionName": "?" * 65}}), NO_MORE),
    "session name absent": (caller({"Null": {"sts:RoleSessionName": "true"}}), NO_MORE),
    "session name with a colon": (caller({"StringLike": {"sts:RoleSessionName": "*:*"}}), NO_MORE),
    "MFA": (only({"AWS": ROOT}, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}), WIDER),
    "MFA if it exists": (with_id({"AWS": ROOT}, {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}), WIDER),
    "MFA in capitals": (only({"AWS": ROOT}, {"Bool": {"aws:MultiFactorAuthPresent": "TRUE"}}), WIDER),
    "MFA of neither value": (only({"AWS": ROOT}, {"Bool": {"aws:MultiFactorAuthPresent": "yes"}}), OPEN),
    "MFA not denied if false": (minus(only({"AWS": ROOT}), {"Bool": {"aws:MultiFactorAuthPresent": "false"}}), WIDER),
    "MFA that exists": (only({"AWS": ROOT}, {"Null": {"aws:MultiFactorAuthAge": "false"}}), WIDER),
    "MFA age": (only({"AWS": ROOT}, {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}), WIDER),
    "MFA age if it exists": (with_id({"AWS": ROOT}, {"NumericLessThanIfExists": {"aws:MultiFactorAuthAge": "3600"}}), WIDER),
    "MFA age below zero": (only({"AWS": ROOT}, {"NumericLessThan": {"aws:MultiFactorAuthAge": "0"}}), NO_MORE),
    "MFA age of half a second": (only({"AWS": ROOT}, {"NumericEquals": {"aws:MultiFactorAuthAge": "0.5"}}), NO_MORE),
    "duration": (caller({"NumericLessThanEquals": {"sts:DurationSeconds": "3600"}}), WIDER),
    "duration if it exists": (caller({"NumericLessThanEqualsIfExists": {"sts:DurationSeconds": "3600"}}), WIDER),
    "duration below the minimum": (caller({"NumericLessThan": {"sts:DurationSeconds": "900"}}), NO_MORE),
    "duration above the maximum": (caller({"NumericGreaterThan": {"sts:DurationSeconds": "43200"}}), NO_MORE),
    "duration at the minimum": (caller({"NumericEquals": {"sts:DurationSeconds": "900"}}), WIDER),
    "duration at the maximum by a role": (caller({"NumericEquals": {"sts:DurationSeconds": "43200"}}), OPEN),
    "duration at the maximum": (only({"AWS": ROOT}, {"NumericGreaterThanEquals": {"sts:DurationSeconds": "43200"}}), WIDER),
}

NETWORK_KEYS: dict[str, tuple[Statements, str]] = {
    "network": (caller({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), WIDER),
    "network if it exists": (caller({"IpAddressIfExists": {"aws:SourceIp": "203.0.113.0/24"}}), WIDER),
    "everything but a network": (caller({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), WIDER),
    "both halves excluded": (caller({"NotIpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1", "::/0"]}}), WIDER),
    "both halves excluded, and present": (
        caller({"NotIpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1", "::/0"]}, "Null": {"aws:SourceIp": "false"}}),
        NO_MORE,
    ),
    "only IPv4 excluded": (
        caller({"NotIpAddress": {"aws:SourceIp": "0.0.0.0/0"}, "Null": {"aws:SourceIp": "false"}}),
        WIDER,
    ),
    "last address": (caller({"IpAddress": {"aws:SourceIp": "255.255.255.255/32"}}), WIDER),
    "last address of IPv6": (caller({"IpAddress": {"aws:SourceIp": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}}), WIDER),
    "neighboring networks": (
        caller(
            {
                "IpAddress": {"aws:SourceIp": "10.0.0.0/23"},
                "NotIpAddress": {"aws:SourceIp": ["10.0.0.0/24", "10.0.1.0/25", "10.0.1.128/26", "10.0.1.192/27"]},
            }
        ),
        WIDER,
    ),
    "a network less itself": (
        caller(
            {"IpAddress": {"aws:SourceIp": "10.0.0.0/23"}, "NotIpAddress": {"aws:SourceIp": ["10.0.0.0/24", "10.0.1.0/24"]}}
        ),
        NO_MORE,
    ),
    "network with host bits": (caller({"IpAddress": {"aws:SourceIp": "10.0.0.1/8"}}), WIDER),
    "network with a mask": (caller({"IpAddress": {"aws:SourceIp": "10.0.0.0/255.0.0.0"}}), OPEN),
    "network with a host mask": (caller({"IpAddress": {"aws:SourceIp": "10.0.0.0/0.0.0.255"}}), OPEN),
    "network of neither family": (caller({"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}}), OPEN),
    "network as a string": (caller({"StringLike": {"aws:SourceIp": "10.*"}}), OPEN),
    "VPC": (caller({"StringEquals": {"aws:SourceVpc": "vpc-0abc"}}), WIDER),
    "VPC if it exists": (caller({"StringEqualsIfExists": {"aws:SourceVpc": "vpc-0abc"}}), WIDER),
    "not from another VPC": (caller({"StringNotEquals": {"aws:SourceVpc": "vpc-0abc"}}), WIDER),
    "endpoint": (caller({"StringEquals": {"aws:SourceVpce": "vpce-0abc"}}), WIDER),
    "address in a VPC": (caller({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}), WIDER),
    "TLS": (caller({"Bool": {"aws:SecureTransport": "true"}}), WIDER),
    "no TLS": (caller({"Bool": {"aws:SecureTransport": "false"}}), NO_MORE),
    "region": (caller({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), WIDER),
    "no region": (caller({"StringLike": {"aws:RequestedRegion": "nowhere-*"}}), OPEN),
    "not this region": (caller({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}), WIDER),
    "through a service": (caller({"Bool": {"aws:ViaAWSService": "true"}}), WIDER),
    "through a service, for all values": (
        caller({"ForAllValues:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}),
        WIDER,
    ),
    "through a service, for any value": (
        caller({"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}),
        WIDER,
    ),
    "first service": (caller({"StringEquals": {"aws:CalledViaFirst": "cloudformation.amazonaws.com"}}), WIDER),
    "user agent": (caller({"StringLike": {"aws:UserAgent": "*terraform*"}}), WIDER),
    "referer": (caller({"StringLike": {"aws:Referer": "https://example.com/*"}}), WIDER),
    "from a time on": (caller({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}), WIDER),
    "between two times": (
        caller(
            {
                "DateGreaterThan": {"aws:CurrentTime": "2040-01-01T00:00:00Z"},
                "DateLessThan": {"aws:CurrentTime": "2040-01-01T00:00:02Z"},
            }
        ),
        WIDER,
    ),
    "after it ends": (
        caller(
            {
                "DateGreaterThan": {"aws:CurrentTime": "2040-01-01T00:00:00Z"},
                "DateLessThanEquals": {"aws:CurrentTime": "2040-01-01T01:00:00+01:00"},
            }
        ),
        NO_MORE,
    ),
    "time as seconds": (caller({"DateLessThan": {"aws:CurrentTime": "2208988800"}}), WIDER),
    "time that is none": (caller({"DateLessThan": {"aws:CurrentTime": "tomorrow"}}), OPEN),
    "time of week dates": (caller({"DateLessThan": {"aws:CurrentTime": "2040-W01-1"}}), OPEN),
    "time of eight digits": (caller({"DateLessThan": {"aws:CurrentTime": "20400101"}}), OPEN),
    "time absent": (caller({"Null": {"aws:CurrentTime": "true"}}), NO_MORE),
    "epoch between two integers": (
        caller({"NumericGreaterThan": {"aws:EpochTime": "2208988800"}, "NumericLessThan": {"aws:EpochTime": "2208988801"}}),
        NO_MORE,
    ),
    "epoch as an exponent": (caller({"NumericLessThan": {"aws:EpochTime": "1e10"}}), WIDER),
    "number that is none": (caller({"NumericLessThan": {"aws:EpochTime": "soon"}}), OPEN),
    "numbers of other digits": (caller({"NumericLessThan": {"aws:EpochTime": "\uff11\uff12"}}), OPEN),
    "source account": (
        and_allow({"Service": "config.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": CUSTOMER}}),
        WIDER,
    ),
    "source account of a person": (caller({"StringEquals": {"aws:SourceAccount": CUSTOMER}}), NO_MORE),
    "source account if it exists": (caller({"StringEqualsIfExists": {"aws:SourceAccount": CUSTOMER}}), WIDER),
    "source ARN": (
        and_allow({"Service": "config.amazonaws.com"}, {"ArnLike": {"aws:SourceArn": "arn:aws:config:*:*:*"}}),
        WIDER,
    ),
    "source organization": (
        and_allow({"Service": "config.amazonaws.com"}, {"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"}}),
        WIDER,
    ),
    "service's name": (and_allow("*", {"StringEquals": {"aws:PrincipalServiceName": "config.amazonaws.com"}}), WIDER),
    "key of another service": (caller({"StringEquals": {"s3:prefix": "x"}}), OPEN),
    "key of another service, absent": (caller({"Null": {"s3:prefix": "true"}}), WIDER),
    "key of another service, negated": (caller({"StringNotEquals": {"s3:prefix": "x"}}), WIDER),
}

FEDERATION: dict[str, tuple[Statements, str]] = {
    "SAML with the console's audience": (
        and_allow(
            {"Federated": SAML},
            {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
            Action="sts:AssumeRoleWithSAML",
        ),
        WIDER,
    ),
    "SAML by a pattern of the action": (and_allow({"Federated": SAML}, Action="sts:AssumeRoleWith*"), WIDER),
    "SAML with an external ID": (with_id({"Federated": SAML}, Action="sts:AssumeRoleWithSAML"), NO_MORE),
    "SAML for everyone": (and_allow("*", {"StringEquals": {"SAML:aud": "x"}}, Action="sts:AssumeRoleWithSAML"), WIDER),
    "workflow of any repository": (
        and_allow(
            {"Federated": f"arn:aws:iam::{CUSTOMER}:oidc-provider/{OIDC}"},
            {"StringEquals": {f"{OIDC}:aud": "sts.amazonaws.com"}},
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        WIDER,
    ),
    "workflow of repositories by a prefix": (
        and_allow(
            {"Federated": f"arn:aws:iam::{CUSTOMER}:oidc-provider/{OIDC}"},
            {"StringLike": {f"{OIDC}:sub": "repo:org*"}},
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        WIDER,
    ),
    "workflow for all values": (
        and_allow(
            {"Federated": f"arn:aws:iam::{CUSTOMER}:oidc-provider/{OIDC}"},
            {"ForAllValues:StringEquals": {f"{OIDC}:sub": "repo:org/app"}},
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        WIDER,
    ),
    "web identity without a token's key": (
        and_allow({"Federated": "accounts.google.com"}, Action="sts:AssumeRoleWithWebIdentity"),
        WIDER,
    ),
    "guests of a pool": (
        and_allow(
            {"Federated": "cognito-identity.amazonaws.com"},
            {"ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "unauthenticated"}},
            Action="sts:AssumeRoleWithWebIdentity",
        ),
        WIDER,
    ),
    "SAML with tags": (
        and_allow(
            {"Federated": SAML},
            {"StringEquals": {"aws:RequestTag/team": "x"}},
            Action=["sts:AssumeRoleWithSAML", "sts:TagSession"],
        ),
        WIDER,
    ),
    "SAML with MFA": (
        and_allow({"Federated": SAML}, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}, Action="sts:AssumeRoleWithSAML"),
        NO_MORE,
    ),
}

LANGUAGE: dict[str, tuple[Statements, str]] = {
    "effect in small letters": (and_allow("*", None, Effect="allow"), OPEN),
    "no effect": ([ORDINARY, {"Action": "sts:AssumeRole", "Principal": "*"}], OPEN),
    "deny with an unknown operator": (minus(with_id({"AWS": ROOT}), {"StringNotequals": {ARN: CALLER}}), OPEN),
    "deny with an empty list": (minus(with_id({"AWS": ROOT}), {"ArnNotEquals": {ARN: []}}), OPEN),
    "allow with an empty list": (with_id("*", {"StringEquals": {ARN: []}}), OPEN),
    "empty condition": (and_allow({"AWS": BACKEND}, {"StringEquals": {}}), WIDER),
    "null of neither value": (with_id("*", {"Null": {ARN: "maybe"}}), OPEN),
    "null of both values": (with_id("*", {"Null": {ARN: ["true", "false"]}}), WIDER),
    "null if it exists": (with_id("*", {"NullIfExists": {ARN: "true"}}), OPEN),
    "variable that is none": (with_id({"AWS": ROOT}, {"StringLike": {ARN: "*${ }*"}}), OPEN),
    "variable that is not closed": (with_id({"AWS": ROOT}, {"StringLike": {ARN: "*/${aws:username"}}), NO_MORE),
    "variable of a multi-valued key": (
        with_id({"AWS": ROOT}, {"StringLike": {ARN: "*/${aws:TagKeys}"}}, Action=TAGGING),
        WIDER,
    ),
    "variable in a set operator": (
        with_id({"AWS": ROOT}, {"ForAllValues:StringEquals": {"aws:TagKeys": "${aws:username}"}}, Action=TAGGING),
        OPEN,
    ),
    "variable in a number": (with_id({"AWS": ROOT}, {"NumericEquals": {"aws:EpochTime": "${aws:EpochTime}"}}), OPEN),
    "escaped wildcard": (with_id({"AWS": ROOT}, {"StringLike": {ARN: "*role/${*}"}}), NO_MORE),
    "wildcard for a character": (with_id({"AWS": ROOT}, {"StringLike": {ARN: "*role/b?c"}}), WIDER),
    "bool as JSON": (only({"AWS": ROOT}, {"Bool": {"aws:MultiFactorAuthPresent": True}}), WIDER),
    "number as JSON": (only({"AWS": ROOT}, {"NumericLessThan": {"aws:MultiFactorAuthAge": 60}}), WIDER),
    "wildcards only": (with_id({"AWS": ROOT}, {"StringLike": {ARN: "**?**"}}), WIDER),
    "empty value": (with_id({"AWS": ROOT}, {"StringEquals": {ARN: ""}}), NO_MORE),
    "two lists of which both hold": (
        with_id(
            {"AWS": ROOT}, {"StringLike": {ARN: ["*role/a*", "*role/b*"]}, "StringNotLike": {ARN: ["*role/b*", "*role/aa*"]}}
        ),
        WIDER,
    ),
    "two lists of which only one holds": (
        with_id({"AWS": ROOT}, {"StringLike": {ARN: ["*role/a*", "*role/b*"]}, "StringNotLike": {ARN: ["*role/b*", "*a*"]}}),
        NO_MORE,
    ),
    "deny that does not meet the allow": (minus(with_id({"AWS": ROOT}), {"ArnNotLike": {ARN: f"{CALLER}*"}}), WIDER),
    "deny of everyone else": (minus(with_id({"AWS": ROOT}), {"ArnNotEquals": {ARN: CALLER}}), NO_MORE),
    "deny of everyone else if it exists": (minus(with_id("*"), {"ArnNotEqualsIfExists": {ARN: CALLER}}), NO_MORE),
    "deny of everyone else for any value": (minus(with_id("*"), {"ForAnyValue:ArnNotEquals": {ARN: CALLER}}), WIDER),
    "deny of everyone else with two keys": (
        minus(with_id({"AWS": ROOT}), {"ArnNotEquals": {ARN: CALLER}, "StringNotEquals": {ACCOUNT: BACKEND}}),
        WIDER,
    ),
    "deny of all tags": (
        minus([{**ORDINARY, "Action": TAGGING}], {"Null": {"aws:TagKeys": "false"}}, Action="sts:TagSession"),
        OPEN,
    ),
    "Kelvin sign": (with_id({"AWS": ROOT}, {"StringLike": {ARN: "*role/bac\u212aend_role"}}), NO_MORE),
    "Kelvin sign ignoring case": (
        with_id({"AWS": ROOT}, {"StringEqualsIgnoreCase": {ARN: CALLER.replace("k", "\u212a")}}),
        OPEN,
    ),
    "small letter without a capital": (
        with_id({"AWS": ROOT}, {"StringEqualsIgnoreCase": {"aws:PrincipalTag/x": "ß"}}),
        OPEN,
    ),
    "combining characters": (with_id({"AWS": ROOT}, {"StringEquals": {"aws:PrincipalTag/x": "e\u0301"}}), OPEN),
    "characters beyond the first plane": (
        with_id(
            {"AWS": ROOT}, {"StringLike": {"aws:PrincipalTag/x": "?"}, "StringNotLike": {"aws:PrincipalTag/x": "\U0001d4b3"}}
        ),
        WIDER,
    ),
    "very long value": (with_id({"AWS": ROOT}, {"StringLike": {ARN: "*role/" + "a" * 1_000}}), OPEN),
    "shell commands": (only({"AWS": CALLER}, {"StringEquals": {"aws:UserAgent": "$(rm -rf ~); `id` 'x' \"y\"\nz"}}), WIDER),
}

UNINTENDED = {
    f"{group}: {name}": case
    for group, cases in {
        "principals": PRINCIPALS,
        "caller": CALLER_KEYS,
        "request": REQUEST_KEYS,
        "network": NETWORK_KEYS,
        "federation": FEDERATION,
        "language": LANGUAGE,
    }.items()
    for name, case in cases.items()
}
