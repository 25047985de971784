"""AssumeRole decisions by properties of the request, each from a page of the AWS documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policy_vocabulary import (
    AFFILIATION,
    AS_SAML,
    AWS_CALLER,
    BACKEND,
    CALLER,
    CONDITION,
    CUSTOMER,
    DEPUTY,
    EXT,
    EXTERNAL,
    GLOBAL,
    MFA,
    NO,
    OPERATORS,
    OTHER,
    REFUSED,
    ROOT,
    SESSION,
    SETS,
    STAFF,
    STS_KEYS,
    USER,
    VARIABLES,
    YES,
    AssumeCase,
    grant,
    trust,
)

TEAM_TAG = {"StringEquals": {"aws:ResourceTag/Team": "blue"}}

FOR_SOURCE = trust({"Service": "ecs.amazonaws.com"}, Condition={"ArnLike": {"aws:SourceArn": f"arn:aws:ecs:*:{CUSTOMER}:*"}})
TASK = {"aws:SourceArn": f"arn:aws:ecs:us-east-1:{CUSTOMER}:task/t"}

POOL = "cognito-identity.amazonaws.com"
AS_COGNITO: dict[str, Any] = {"caller": POOL, "action": "sts:AssumeRoleWithWebIdentity"}
COGNITO = trust(
    {"Federated": POOL},
    action="sts:AssumeRoleWithWebIdentity",
    Condition={"StringEquals": {f"{POOL}:aud": "pool"}, "ForAnyValue:StringLike": {f"{POOL}:amr": "authenticated"}},
)


def authenticated(*methods: str) -> Mapping[str, Any]:
    return {f"{POOL}:aud": "pool", f"{POOL}:amr": methods}


SESSION_CASES = (
    # External ID
    AssumeCase("external ID", (trust(AWS_CALLER, Condition=EXT),), YES, EXTERNAL, context={"sts:ExternalId": "Example987"}),
    AssumeCase("no external ID", (trust(AWS_CALLER, Condition=EXT),), NO, EXTERNAL),
    AssumeCase(
        "other external ID", (trust(AWS_CALLER, Condition=EXT),), NO, EXTERNAL, context={"sts:ExternalId": "example987"}
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
    AssumeCase(
        "external ID and another key of one operator",
        (trust(AWS_CALLER, Condition={"StringEquals": {"sts:ExternalId": "Example987", "aws:PrincipalAccount": OTHER}}),),
        NO,
        CONDITION,
        context={"sts:ExternalId": "Example987"},
    ),
    AssumeCase(
        "external ID with IfExists lets in who sends none",
        (trust(AWS_CALLER, Condition={"StringEqualsIfExists": {"sts:ExternalId": "Example987"}}),),
        YES,
        OPERATORS,
    ),
    AssumeCase(
        "external ID with ForAllValues lets in who sends none",
        (trust(AWS_CALLER, Condition={"ForAllValues:StringEquals": {"sts:ExternalId": "Example987"}}),),
        YES,
        SETS,
    ),
    # Services and identity providers
    AssumeCase("source ARN of a service", (FOR_SOURCE,), YES, DEPUTY, caller="ecs.amazonaws.com", context=TASK),
    AssumeCase(
        "source ARN of another account",
        (FOR_SOURCE,),
        NO,
        DEPUTY,
        caller="ecs.amazonaws.com",
        context={"aws:SourceArn": f"arn:aws:ecs:us-east-1:{OTHER}:task/t"},
    ),
    AssumeCase("no source ARN", (FOR_SOURCE,), NO, DEPUTY, caller="ecs.amazonaws.com", context={"aws:SourceArn": ()}),
    AssumeCase("Cognito, authenticated", (COGNITO,), YES, STS_KEYS, context=authenticated("authenticated"), **AS_COGNITO),
    AssumeCase("Cognito, unauthenticated", (COGNITO,), NO, STS_KEYS, context=authenticated("unauthenticated"), **AS_COGNITO),
    AssumeCase("SAML affiliations", (STAFF,), YES, STS_KEYS, context={AFFILIATION: ("staff", "faculty")}, **AS_SAML),
    AssumeCase("SAML affiliation too many", (STAFF,), NO, STS_KEYS, context={AFFILIATION: ("staff", "student")}, **AS_SAML),
    # Derived keys
    AssumeCase(
        "PrincipalArn is not the session",
        (trust({"AWS": ROOT}, Condition={"ArnEquals": {"aws:PrincipalArn": SESSION}}),),
        NO,
        GLOBAL,
        caller=SESSION,
    ),
    AssumeCase(
        "path in the organization",
        (trust("*", Condition={"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/r-1/ou-1/*"}}),),
        YES,
        GLOBAL,
        context={"aws:PrincipalOrgPaths": ("o-1/r-1/ou-1/ou-2/",)},
    ),
    AssumeCase("tag of the role", (trust(AWS_CALLER, Condition=TEAM_TAG),), YES, GLOBAL, tags={"team": "blue"}),
    AssumeCase("other tag of the role", (trust(AWS_CALLER, Condition=TEAM_TAG),), NO, GLOBAL, tags={"team": "red"}),
    AssumeCase(
        "tag of the role by IAM's own key",
        (trust(AWS_CALLER, Condition={"StringEquals": {"iam:ResourceTag/team": "blue"}}),),
        YES,
        STS_KEYS,
        tags={"team": "blue"},
    ),
    AssumeCase(
        "user agent not said",
        (trust(AWS_CALLER, Condition={"StringNotLike": {"aws:UserAgent": "curl*"}}),),
        REFUSED,
        GLOBAL,
    ),
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
        STS_KEYS,
        caller=USER,
        context={"sts:RoleSessionName": "sam"},
    ),
    AssumeCase(
        "session name asked of a role",
        (trust({"AWS": ROOT}, Condition={"StringLike": {"sts:RoleSessionName": "${aws:username}"}}),),
        NO,
        STS_KEYS,
        caller=SESSION,
        context={"sts:RoleSessionName": "backend_role"},
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
)
