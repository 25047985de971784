"""AssumeRole decisions by actions, resources and explicit denies, each from a page of the AWS documentation."""

from __future__ import annotations

from policy_vocabulary import (
    ACTION,
    AWS_CALLER,
    BACKEND,
    CALLER,
    CUSTOMER,
    DENY,
    ELEMENTS,
    GLOBAL,
    LOGIC,
    MFA,
    NO,
    NOT_ACTION,
    NOT_RESOURCE,
    OPERATORS,
    OTHER,
    PRINCIPAL,
    REFUSED,
    RESOURCE,
    ROLE,
    ROOT,
    SESSION,
    SETS,
    TAG_KEYS,
    USER,
    VARIABLES,
    YES,
    AssumeCase,
    Json,
    grant,
    statement,
    trust,
)


def deny_but(**what: str) -> Json:
    """A Deny with NotAction on all resources, in a principal's own policy."""
    return {"Effect": "Deny", "Resource": "*", **what}


STATEMENT_CASES = (
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
        NOT_ACTION,
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},),
    ),
    AssumeCase(
        "NotAction leaves out",
        (trust(AWS_CALLER),),
        NO,
        NOT_ACTION,
        ({"Effect": "Allow", "NotAction": "sts:*", "Resource": "*"},),
    ),
    AssumeCase(
        "Action and NotAction",
        (trust(AWS_CALLER),),
        REFUSED,
        ELEMENTS,
        ({"Effect": "Allow", "Action": "sts:*", "NotAction": "iam:*", "Resource": "*"},),
    ),
    AssumeCase("deny NotAction spares", (trust(AWS_CALLER),), YES, NOT_ACTION, (grant(), deny_but(NotAction="sts:*"))),
    AssumeCase(
        "deny NotAction denies the rest", (trust(AWS_CALLER),), DENY, NOT_ACTION, (grant(), deny_but(NotAction="iam:*"))
    ),
    AssumeCase("resource wildcard", (trust(AWS_CALLER),), YES, RESOURCE, (grant(resource="*"),)),
    AssumeCase("star ends a segment", (trust(AWS_CALLER),), YES, RESOURCE, (grant(resource="arn:aws:iam:*"),)),
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
        NOT_RESOURCE,
        (statement(NotResource=f"arn:aws:iam::{OTHER}:role/*"),),
    ),
    AssumeCase(
        "NotResource leaves out",
        (trust(AWS_CALLER),),
        NO,
        NOT_RESOURCE,
        (statement(NotResource=f"arn:aws:iam::{CUSTOMER}:role/*"),),
    ),
    AssumeCase(
        "deny NotResource spares", (trust(AWS_CALLER),), YES, NOT_RESOURCE, (grant(), statement("Deny", NotResource=ROLE))
    ),
    AssumeCase(
        "deny NotResource denies the rest",
        (trust(AWS_CALLER),),
        DENY,
        NOT_RESOURCE,
        (grant(), statement("Deny", NotResource=f"{ROLE}x")),
    ),
    AssumeCase(
        "resource variable filled",
        (trust({"AWS": ROOT}),),
        YES,
        VARIABLES,
        (grant(resource=f"arn:aws:iam::{CUSTOMER}:role/${{aws:username}}"),),
        caller=f"arn:aws:iam::{BACKEND}:user/role1",
    ),
    AssumeCase(
        "resource variable without value matches nothing",
        (trust(AWS_CALLER),),
        NO,
        VARIABLES,
        (grant(resource=f"arn:aws:iam::{CUSTOMER}:role/*${{aws:username}}"),),
    ),
    AssumeCase(
        "NotResource variable without value leaves nothing out",
        (trust(AWS_CALLER),),
        YES,
        VARIABLES,
        (statement(NotResource=f"arn:aws:iam::{CUSTOMER}:role/*${{aws:username}}"),),
    ),
    AssumeCase(
        "resource variable as account",
        (trust(AWS_CALLER),),
        REFUSED,
        VARIABLES,
        (grant(resource="arn:aws:iam::${aws:PrincipalAccount}:role/role1"),),
    ),
    AssumeCase(
        "resource variable",
        (trust({"AWS": ROOT}),),
        NO,
        VARIABLES,
        (grant(resource=f"arn:aws:iam::{CUSTOMER}:role/${{aws:username}}"),),
        caller=USER,
    ),
    AssumeCase("no resource in identity", (trust(AWS_CALLER),), REFUSED, ELEMENTS, (statement(),)),
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
    AssumeCase(
        "unknown operator next to an allow", (trust(AWS_CALLER), trust("*", Condition={"X": {"k": "v"}})), YES, LOGIC
    ),
    AssumeCase(
        "deny by a negated operator and a variable without value",
        (trust(AWS_CALLER),),
        DENY,
        VARIABLES,
        (grant(), grant("Deny", Condition={"StringNotEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}})),
        tags={"Team": "blue"},
    ),
    AssumeCase(
        "deny by a negated IfExists and a missing key",
        (trust(AWS_CALLER),),
        DENY,
        OPERATORS,
        (grant(), grant("Deny", Condition={"StringNotEqualsIfExists": {"aws:PrincipalTag/Team": "blue"}})),
    ),
    AssumeCase(
        "deny ForAnyValue without the key",
        (trust(AWS_CALLER),),
        YES,
        SETS,
        (grant(), grant("Deny", Condition={"ForAnyValue:StringEquals": {TAG_KEYS: "a"}})),
        context={TAG_KEYS: ()},
    ),
    AssumeCase(
        "deny on Bool spares long-term keys",
        (trust({"AWS": USER}), trust("*", "Deny", Condition={"Bool": {MFA: "false"}})),
        YES,
        GLOBAL,
        caller=USER,
        context={MFA: ()},
    ),
)
