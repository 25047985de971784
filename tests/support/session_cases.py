"""AssumeRole decisions by properties of the request, such as session tags, each from a page of AWS's documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policy_text import when
from policy_vocabulary import (
    AFFILIATION,
    AS_SAML,
    AWS_CALLER,
    BACKEND,
    CALLER,
    CONDITION,
    CUSTOMER,
    DENY,
    DEPUTY,
    EXT,
    EXTERNAL,
    GLOBAL,
    LOCAL,
    LOCAL_ROLE,
    LOCAL_SESSION,
    LOCAL_USER,
    LOGIC,
    MFA,
    NO,
    OPERATORS,
    OTHER,
    REFUSED,
    ROOT,
    SAML,
    SESSION,
    SETS,
    SOURCE,
    STAFF,
    STS,
    STS_KEYS,
    TAG_KEYS,
    TAGS,
    USER,
    VARIABLES,
    YES,
    case,
    grant,
    trust,
)

TEAM_TAG = {"StringEquals": {"aws:ResourceTag/Team": "blue"}}

FOR_SOURCE = trust({"Service": "ecs.amazonaws.com"}, Condition=f"ArnLike aws:SourceArn arn:aws:ecs:*:{CUSTOMER}:*")
TASK = f"aws:SourceArn arn:aws:ecs:us-east-1:{CUSTOMER}:task/t"

POOL = "cognito-identity.amazonaws.com"
AS_COGNITO: dict[str, Any] = {"caller": POOL, "action": "sts:AssumeRoleWithWebIdentity"}
COGNITO = trust(
    {"Federated": POOL},
    action="sts:AssumeRoleWithWebIdentity",
    Condition=f"StringEquals {POOL}:aud pool & ForAnyValue:StringLike {POOL}:amr authenticated",
)


def authenticated(*methods: str) -> Mapping[str, Any]:
    return {f"{POOL}:aud": "pool", f"{POOL}:amr": methods}


SESSION_CASES = (
    # External ID
    case("external ID", trust(Condition=EXT), YES, EXTERNAL, context="sts:ExternalId Example987"),
    case("no external ID", trust(Condition=EXT), NO, EXTERNAL),
    case("other external ID", trust(Condition=EXT), NO, EXTERNAL, context="sts:ExternalId example987"),
    case("rotation", trust(Condition="StringEquals sts:ExternalId old, new"), YES, CONDITION, context="sts:ExternalId old"),
    case(
        "two conditions are and",
        trust(Condition=f"{EXT} & Bool {MFA} true"),
        NO,
        CONDITION,
        context="sts:ExternalId Example987",
    ),
    case(
        "external ID and another key of one operator",
        trust(Condition=f"StringEquals sts:ExternalId Example987 & StringEquals aws:PrincipalAccount {OTHER}"),
        NO,
        CONDITION,
        context="sts:ExternalId Example987",
    ),
    case(
        "external ID with IfExists lets in who sends none",
        trust(Condition="StringEqualsIfExists sts:ExternalId Example987"),
        YES,
        OPERATORS,
    ),
    case(
        "external ID with ForAllValues lets in who sends none",
        trust(Condition="ForAllValues:StringEquals sts:ExternalId Example987"),
        YES,
        SETS,
    ),
    # Services and identity providers
    case("source ARN of a service", FOR_SOURCE, YES, DEPUTY, caller="ecs.amazonaws.com", context=TASK),
    case(
        "source ARN of another account",
        FOR_SOURCE,
        NO,
        DEPUTY,
        caller="ecs.amazonaws.com",
        context=f"aws:SourceArn arn:aws:ecs:us-east-1:{OTHER}:task/t",
    ),
    case("no source ARN", FOR_SOURCE, NO, DEPUTY, caller="ecs.amazonaws.com", context="aws:SourceArn"),
    case("Cognito, authenticated", COGNITO, YES, STS_KEYS, context=authenticated("authenticated"), **AS_COGNITO),
    case("Cognito, unauthenticated", COGNITO, NO, STS_KEYS, context=authenticated("unauthenticated"), **AS_COGNITO),
    case("SAML affiliations", STAFF, YES, STS_KEYS, context=f"{AFFILIATION} staff, faculty", **AS_SAML),
    case("SAML affiliation too many", STAFF, NO, STS_KEYS, context=f"{AFFILIATION} staff, student", **AS_SAML),
    # Derived keys
    case(
        "PrincipalArn is not the session",
        trust(ROOT, Condition=f"ArnEquals aws:PrincipalArn {SESSION}"),
        NO,
        GLOBAL,
        caller=SESSION,
    ),
    case(
        "path in the organization",
        trust("*", Condition="ForAnyValue:StringLike aws:PrincipalOrgPaths o-1/r-1/ou-1/*"),
        YES,
        GLOBAL,
        context="aws:PrincipalOrgPaths o-1/r-1/ou-1/ou-2/",
    ),
    case("tag of the role", trust(Condition=TEAM_TAG), YES, GLOBAL, tags={"team": "blue"}),
    case("other tag of the role", trust(Condition=TEAM_TAG), NO, GLOBAL, tags={"team": "red"}),
    case(
        "tag of the role by IAM's own key",
        trust(Condition="StringEquals iam:ResourceTag/team blue"),
        YES,
        STS_KEYS,
        tags={"team": "blue"},
    ),
    case("user agent not said", trust(Condition="StringNotLike aws:UserAgent curl*"), REFUSED, GLOBAL),
    case(
        "PrincipalArn of a session is the role",
        trust(ROOT, Condition=f"ArnEquals aws:PrincipalArn {CALLER}"),
        YES,
        GLOBAL,
        caller=SESSION,
    ),
    case("PrincipalArn of another", trust(ROOT, Condition=f"ArnEquals aws:PrincipalArn {CALLER}"), NO, GLOBAL, caller=USER),
    case("PrincipalAccount", trust("*", Condition=f"StringEquals aws:PrincipalAccount {BACKEND}"), YES, GLOBAL),
    case("PrincipalAccount of another", trust("*", Condition=f"StringEquals aws:PrincipalAccount {OTHER}"), NO, GLOBAL),
    case("PrincipalType", trust("*", Condition="StringEquals aws:PrincipalType AssumedRole"), YES, VARIABLES),
    case(
        "ResourceAccount",
        trust(),
        YES,
        GLOBAL,
        grant(resource="arn:aws:iam::*:role/role1", Condition=f"StringEquals aws:ResourceAccount {OTHER}, {CUSTOMER}"),
    ),
    case(
        "ResourceAccount of others",
        trust(),
        NO,
        GLOBAL,
        grant(resource="arn:aws:iam::*:role/role1", Condition=f"StringEquals aws:ResourceAccount {OTHER}"),
    ),
    case(
        "session name",
        trust(USER, Condition="StringLike sts:RoleSessionName ${aws:username}"),
        YES,
        VARIABLES,
        caller=USER,
        context="sts:RoleSessionName reena",
    ),
    case(
        "session name of another",
        trust(USER, Condition="StringLike sts:RoleSessionName ${aws:username}"),
        NO,
        STS_KEYS,
        caller=USER,
        context="sts:RoleSessionName sam",
    ),
    case(
        "session name asked of a role",
        trust(ROOT, Condition="StringLike sts:RoleSessionName ${aws:username}"),
        NO,
        STS_KEYS,
        caller=SESSION,
        context="sts:RoleSessionName backend_role",
    ),
    case(
        "session name not said", trust(USER, Condition="StringNotLike sts:RoleSessionName x"), REFUSED, GLOBAL, caller=USER
    ),
    case(
        "org id", trust("*", Condition="StringEquals aws:PrincipalOrgID o-1"), YES, GLOBAL, context="aws:PrincipalOrgID o-1"
    ),
    case(
        "other org id",
        trust("*", Condition="StringEquals aws:PrincipalOrgID o-1"),
        NO,
        GLOBAL,
        context="aws:PrincipalOrgID o-2",
    ),
)

BOTH_TAGS = ["sts:AssumeRole", "sts:TagSession"]
BOTH_SOURCE = ["sts:AssumeRole", "sts:SetSourceIdentity"]
FACULTY = f"{AFFILIATION} faculty"

# The example of "Pass session tags in AWS STS": a role trust policy for session tags.
PASSED = {"aws:RequestTag/Project": "*", "aws:RequestTag/CostCenter": "*"}
EXAMPLE = (
    trust(Condition={"StringLike": {**PASSED, "aws:RequestTag/Department": "*"}, **when(EXT)}),
    trust(
        action="sts:TagSession",
        Condition={
            "StringLike": PASSED,
            "StringEquals": {"aws:RequestTag/Department": ["Engineering", "Marketing"]},
            "ForAllValues:StringEquals": {"sts:TransitiveTagKeys": ["Project", "Department"]},
        },
    ),
)
TAGGING = (grant(action=BOTH_TAGS),)
TAGGED = {
    "aws:RequestTag/Project": "Automation",
    "aws:RequestTag/CostCenter": "12345",
    "aws:RequestTag/Department": "Engineering",
    "sts:ExternalId": "Example987",
}
LISTED = (
    trust(),
    trust(action="sts:TagSession", Condition=f"ForAllValues:StringEquals {TAG_KEYS} Project"),
)

# The examples of "Monitor and control actions taken with assumed roles".
SAM, SAANVI = "sts:SourceIdentity sam", "sts:SourceIdentity Saanvi"
DEV_TRUST = (trust(LOCAL, action=BOTH_SOURCE),)
DEV_USER_TRUST = (trust(LOCAL_USER, action=BOTH_SOURCE, Condition="StringEquals sts:SourceIdentity sam"),)
DEV_OWN = (
    grant(),
    grant(action="sts:SetSourceIdentity", Condition="StringLike sts:SourceIdentity ${aws:username}"),
)
SAML_SOURCE = trust(
    {"Federated": SAML},
    action=["sts:AssumeRoleWithSAML", "sts:SetSourceIdentity"],
    Condition="StringLike sts:SourceIdentity Saanvi, Diego",
)
PERSISTED = "aws:SourceIdentity Saanvi"
CHAIN = (grant(action=BOTH_SOURCE),)
CHAIN_TRUST = (trust(action=BOTH_SOURCE, Condition="StringLike aws:SourceIdentity Saanvi, Diego"),)
LOCAL_CHAIN = (trust(LOCAL_ROLE, action=BOTH_SOURCE),)

TAG_CASES = (
    # Tags and source identity
    case(
        "tags",
        trust(action=BOTH_TAGS),
        YES,
        TAGS,
        grant(action=BOTH_TAGS),
        context=f"aws:RequestTag/Project a & {TAG_KEYS} Project",
    ),
    case("tags without trust", trust(), NO, TAGS, grant(action=BOTH_TAGS), context="aws:RequestTag/Project a"),
    case("tags without identity", trust(action=BOTH_TAGS), NO, TAGS, context="aws:RequestTag/Project a"),
    case("transitive keys are tags", trust(), NO, TAGS, context="sts:TransitiveTagKeys a"),
    case("absent tag keys are none", trust(), YES, TAGS, context=f"{TAG_KEYS}"),
    case(
        "tag value asked",
        trust(action=BOTH_TAGS, Condition="StringEquals aws:RequestTag/Project b"),
        NO,
        TAGS,
        grant(action=BOTH_TAGS),
        context="aws:RequestTag/Project a",
    ),
    case("example", EXAMPLE, YES, TAGS, TAGGING, context={**TAGGED, "sts:TransitiveTagKeys": ("Project",)}),
    case("example, no transitive tag", EXAMPLE, YES, TAGS, TAGGING, context=TAGGED),
    case("example, too few tags", EXAMPLE, NO, TAGS, TAGGING, context={**TAGGED, "aws:RequestTag/CostCenter": ()}),
    case("example, other value", EXAMPLE, NO, TAGS, TAGGING, context={**TAGGED, "aws:RequestTag/Department": "Sales"}),
    case("example, transitive", EXAMPLE, NO, TAGS, TAGGING, context={**TAGGED, "sts:TransitiveTagKeys": ("CostCenter",)}),
    case("example, no external ID", EXAMPLE, NO, TAGS, TAGGING, context={**TAGGED, "sts:ExternalId": ()}),
    case("example, first statement alone", EXAMPLE[:1], NO, TAGS, TAGGING, context=TAGGED),
    case(
        "transitive tag asked for",
        (*EXAMPLE, trust(AWS_CALLER, "Deny", "sts:TagSession", Condition="Null sts:TransitiveTagKeys true")),
        DENY,
        TAGS,
        TAGGING,
        context=TAGGED,
    ),
    case("tag keys listed", LISTED, YES, TAGS, TAGGING, context="aws:RequestTag/Project a"),
    case("tag key not listed", LISTED, NO, TAGS, TAGGING, context="aws:RequestTag/Project a & aws:RequestTag/Other b"),
    case(
        "tags in one account need trust", trust(LOCAL_USER), NO, TAGS, caller=LOCAL_USER, context="aws:RequestTag/Project a"
    ),
    case(
        "tags in one account",
        trust(LOCAL_USER, action=BOTH_TAGS),
        YES,
        STS,
        (),
        caller=LOCAL_USER,
        context="aws:RequestTag/Project a",
    ),
    case("SAML tags need trust", STAFF, NO, TAGS, context=f"{FACULTY} & aws:RequestTag/Project a", **AS_SAML),
    case(
        "tags denied",
        trust(action=BOTH_TAGS),
        DENY,
        LOGIC,
        (grant(action=BOTH_TAGS), grant("Deny", "sts:TagSession")),
        context="aws:RequestTag/Project a",
    ),
    case(
        "source identity",
        trust(action=["sts:AssumeRole", "sts:SetSourceIdentity"]),
        YES,
        SOURCE,
        grant(action="sts:*"),
        context="sts:SourceIdentity reena",
    ),
    case("source identity without trust", trust(), NO, SOURCE, grant(action="sts:*"), context="sts:SourceIdentity reena"),
    case("source identity without identity", trust(action="sts:*"), NO, SOURCE, context="sts:SourceIdentity reena"),
    case("own name as source identity", DEV_TRUST, YES, SOURCE, DEV_OWN, caller=LOCAL_USER, context=SAM),
    case("other name as source identity", DEV_TRUST, NO, SOURCE, DEV_OWN, caller=LOCAL_USER, context=SAANVI),
    case("source identity asked for", DEV_USER_TRUST, YES, SOURCE, (), caller=LOCAL_USER, context=SAM),
    case("source identity not given", DEV_USER_TRUST, NO, SOURCE, (), caller=LOCAL_USER),
    case("SAML source identity", SAML_SOURCE, YES, SOURCE, context=SAANVI, **AS_SAML),
    case("SAML source identity of nobody", SAML_SOURCE, NO, SOURCE, context=SAM, **AS_SAML),
    case("SAML source identity needs trust", STAFF, NO, SOURCE, context=f"{FACULTY} & {SAANVI}", **AS_SAML),
    case("source identity persists", CHAIN_TRUST, YES, SOURCE, CHAIN, caller=SESSION, context=PERSISTED),
    case("persisting needs trust", trust(), NO, SOURCE, CHAIN, caller=SESSION, context=PERSISTED),
    case("persisting needs identity", CHAIN_TRUST, NO, SOURCE, caller=SESSION, context=PERSISTED),
    case("source identity cannot change", CHAIN_TRUST, NO, SOURCE, CHAIN, caller=SESSION, context=f"{PERSISTED} & {SAM}"),
    case("source identity said again", CHAIN_TRUST, YES, SOURCE, CHAIN, caller=SESSION, context=f"{PERSISTED} & {SAANVI}"),
    case("local chain needs identity", LOCAL_CHAIN, NO, SOURCE, (), caller=LOCAL_SESSION, context=SAANVI),
    case("local chain", LOCAL_CHAIN, YES, SOURCE, CHAIN, caller=LOCAL_SESSION, context=SAANVI),
)
