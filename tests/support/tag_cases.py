"""AssumeRole decisions with session tags or a source identity, each from a page of the AWS documentation."""

from __future__ import annotations

from policy_vocabulary import (
    AFFILIATION,
    AS_SAML,
    AWS_CALLER,
    DENY,
    EXT,
    LOCAL,
    LOCAL_ROLE,
    LOCAL_SESSION,
    LOCAL_USER,
    LOGIC,
    NO,
    SAML,
    SESSION,
    SOURCE,
    STAFF,
    STS,
    TAG_KEYS,
    TAGS,
    YES,
    AssumeCase,
    grant,
    trust,
)

BOTH_TAGS = ["sts:AssumeRole", "sts:TagSession"]
BOTH_SOURCE = ["sts:AssumeRole", "sts:SetSourceIdentity"]
FACULTY = {AFFILIATION: ("faculty",)}

# The example of "Pass session tags in AWS STS": a role trust policy for session tags.
PASSED = {"aws:RequestTag/Project": "*", "aws:RequestTag/CostCenter": "*"}
EXAMPLE = (
    trust(AWS_CALLER, Condition={"StringLike": {**PASSED, "aws:RequestTag/Department": "*"}, **EXT}),
    trust(
        AWS_CALLER,
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
    trust(AWS_CALLER),
    trust(AWS_CALLER, action="sts:TagSession", Condition={"ForAllValues:StringEquals": {TAG_KEYS: ["Project"]}}),
)

# The examples of "Monitor and control actions taken with assumed roles".
SAM, SAANVI = {"sts:SourceIdentity": "sam"}, {"sts:SourceIdentity": "Saanvi"}
DEV_TRUST = (trust({"AWS": LOCAL}, action=BOTH_SOURCE),)
DEV_USER_TRUST = (trust({"AWS": LOCAL_USER}, action=BOTH_SOURCE, Condition={"StringEquals": {"sts:SourceIdentity": "sam"}}),)
DEV_OWN = (
    grant(),
    grant(action="sts:SetSourceIdentity", Condition={"StringLike": {"sts:SourceIdentity": "${aws:username}"}}),
)
SAML_SOURCE = trust(
    {"Federated": SAML},
    action=["sts:AssumeRoleWithSAML", "sts:SetSourceIdentity"],
    Condition={"StringLike": {"sts:SourceIdentity": ["Saanvi", "Diego"]}},
)
PERSISTED = {"aws:SourceIdentity": "Saanvi"}
CHAIN = (grant(action=BOTH_SOURCE),)
CHAIN_TRUST = (trust(AWS_CALLER, action=BOTH_SOURCE, Condition={"StringLike": {"aws:SourceIdentity": ["Saanvi", "Diego"]}}),)
LOCAL_CHAIN = (trust({"AWS": LOCAL_ROLE}, action=BOTH_SOURCE),)

TAG_CASES = (
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
    AssumeCase("example", EXAMPLE, YES, TAGS, TAGGING, context={**TAGGED, "sts:TransitiveTagKeys": ("Project",)}),
    AssumeCase("example, no transitive tag", EXAMPLE, YES, TAGS, TAGGING, context=TAGGED),
    AssumeCase("example, too few tags", EXAMPLE, NO, TAGS, TAGGING, context={**TAGGED, "aws:RequestTag/CostCenter": ()}),
    AssumeCase("example, other value", EXAMPLE, NO, TAGS, TAGGING, context={**TAGGED, "aws:RequestTag/Department": "Sales"}),
    AssumeCase(
        "example, transitive", EXAMPLE, NO, TAGS, TAGGING, context={**TAGGED, "sts:TransitiveTagKeys": ("CostCenter",)}
    ),
    AssumeCase("example, no external ID", EXAMPLE, NO, TAGS, TAGGING, context={**TAGGED, "sts:ExternalId": ()}),
    AssumeCase("example, first statement alone", EXAMPLE[:1], NO, TAGS, TAGGING, context=TAGGED),
    AssumeCase(
        "transitive tag asked for",
        (*EXAMPLE, trust(AWS_CALLER, "Deny", "sts:TagSession", Condition={"Null": {"sts:TransitiveTagKeys": "true"}})),
        DENY,
        TAGS,
        TAGGING,
        context=TAGGED,
    ),
    AssumeCase("tag keys listed", LISTED, YES, TAGS, TAGGING, context={"aws:RequestTag/Project": "a"}),
    AssumeCase(
        "tag key not listed", LISTED, NO, TAGS, TAGGING, context={"aws:RequestTag/Project": "a", "aws:RequestTag/Other": "b"}
    ),
    AssumeCase(
        "tags in one account need trust",
        (trust({"AWS": LOCAL_USER}),),
        NO,
        TAGS,
        caller=LOCAL_USER,
        context={"aws:RequestTag/Project": "a"},
    ),
    AssumeCase(
        "tags in one account",
        (trust({"AWS": LOCAL_USER}, action=BOTH_TAGS),),
        YES,
        STS,
        (),
        caller=LOCAL_USER,
        context={"aws:RequestTag/Project": "a"},
    ),
    AssumeCase("SAML tags need trust", (STAFF,), NO, TAGS, context={**FACULTY, "aws:RequestTag/Project": "a"}, **AS_SAML),
    AssumeCase(
        "tags denied",
        (trust(AWS_CALLER, action=BOTH_TAGS),),
        DENY,
        LOGIC,
        (grant(action=BOTH_TAGS), grant("Deny", "sts:TagSession")),
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
    AssumeCase("own name as source identity", DEV_TRUST, YES, SOURCE, DEV_OWN, caller=LOCAL_USER, context=SAM),
    AssumeCase("other name as source identity", DEV_TRUST, NO, SOURCE, DEV_OWN, caller=LOCAL_USER, context=SAANVI),
    AssumeCase("source identity asked for", DEV_USER_TRUST, YES, SOURCE, (), caller=LOCAL_USER, context=SAM),
    AssumeCase("source identity not given", DEV_USER_TRUST, NO, SOURCE, (), caller=LOCAL_USER),
    AssumeCase("SAML source identity", (SAML_SOURCE,), YES, SOURCE, context=SAANVI, **AS_SAML),
    AssumeCase("SAML source identity of nobody", (SAML_SOURCE,), NO, SOURCE, context=SAM, **AS_SAML),
    AssumeCase("SAML source identity needs trust", (STAFF,), NO, SOURCE, context={**FACULTY, **SAANVI}, **AS_SAML),
    AssumeCase("source identity persists", CHAIN_TRUST, YES, SOURCE, CHAIN, caller=SESSION, context=PERSISTED),
    AssumeCase("persisting needs trust", (trust(AWS_CALLER),), NO, SOURCE, CHAIN, caller=SESSION, context=PERSISTED),
    AssumeCase("persisting needs identity", CHAIN_TRUST, NO, SOURCE, caller=SESSION, context=PERSISTED),
    AssumeCase(
        "source identity cannot change", CHAIN_TRUST, NO, SOURCE, CHAIN, caller=SESSION, context={**PERSISTED, **SAM}
    ),
    AssumeCase(
        "source identity said again", CHAIN_TRUST, YES, SOURCE, CHAIN, caller=SESSION, context={**PERSISTED, **SAANVI}
    ),
    AssumeCase("local chain needs identity", LOCAL_CHAIN, NO, SOURCE, (), caller=LOCAL_SESSION, context=SAANVI),
    AssumeCase("local chain", LOCAL_CHAIN, YES, SOURCE, CHAIN, caller=LOCAL_SESSION, context=SAANVI),
)
