"""Explanations of pasted messages and events: what is read from each documented form, and which causes it gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.iam import Access, Condition, PolicyDocument, Role, Statement
from rolecall_generator.text import sanitize_line
from rolecall_runner.inventory.targets import Target
from rolecall_runner.verify.causes import CAUSES
from rolecall_runner.verify.diagnosis import DENIALS, denial_of
from rolecall_runner.verify.explanation import MAXIMUM_EVENTS, Explanation, explain

BACKEND = "111111111111"
BACKEND_ROLE = f"arn:aws:iam::{BACKEND}:role/backend_role"
SESSION = f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/i-0123456789abcdef0"
ROLE = "arn:aws:iam::222222222222:role/vendor/Access"
CUSTOMER_SESSION = "arn:aws:sts::222222222222:assumed-role/Access/rolecall-0a1b2c"
TARGETS = (
    Target("acme", "222222222222", "aws", ROLE, "current-id", "previous-id", backend_role_arn=BACKEND_ROLE),
    Target("other", "333333333333", "aws", "arn:aws:iam::333333333333:role/Access", "x-id", backend_role_arn=BACKEND_ROLE),
)
ASSUME = f"User: {SESSION} is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
CALL = f'User: {CUSTOMER_SESSION} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::bucket/key"'
POLICY = "arn:aws:organizations::987654321098:policy/o-qv5af4abcd/service_control_policy/p-2kgnabcd"
UNDECIDED = [
    "role-missing",
    "external-id-differs",
    "other-principal",
    "backend-policy-not-applied",
    "backend-role-recreated",
]


def one(text: str | dict[str, Any] | list[Any], targets: tuple[Target, ...] = TARGETS) -> Explanation:
    (found,) = explain(text if isinstance(text, str) else json.dumps(text), targets, BACKEND)
    return found


def causes(found: Explanation) -> list[str]:
    return [each.cause for each in found.causes]


@pytest.mark.parametrize("kind", sorted(DENIALS))
@pytest.mark.parametrize("explicit", [True, False], ids=["explicit", "implicit"])
@pytest.mark.parametrize("request_text", [ASSUME, CALL], ids=["assume", "call"])
@pytest.mark.parametrize("arn", ["", f": {POLICY}"], ids=["without arn", "with arn"])
def test_every_kind_of_policy_gives_the_cause_of_a_verdict(kind: str, explicit: bool, request_text: str, arn: str) -> None:
    """The table of `runner verify` decides: policies of the caller are the vendor's in AssumeRole, else the customer's."""
    action = "sts:AssumeRole" if request_text is ASSUME else "s3:GetObject"
    ending = f"with an explicit deny in a {kind}" if explicit else f"because no {kind} allows the {action} action"
    found = one(f"An error occurred (AccessDenied) when calling the It operation: {request_text} {ending}{arn}")
    named = DENIALS[kind]["assume" if request_text is ASSUME else "call"][0 if explicit else 1]

    assert ("acme", action, kind, explicit) == (found.target, found.action, found.policy, found.explicit)
    assert arn.removeprefix(": ") == found.policy_arn
    assert ([named] if named else ["external-id-differs", "other-principal", "backend-role-recreated"]) == causes(found)


FORMS = {
    "AWS CLI": f"An error occurred (AccessDenied) when calling the AssumeRole operation: {ASSUME}",
    "boto3": f"ClientError: An error occurred (AccessDenied) when calling the AssumeRole operation: {ASSUME}",
    "Terraform": "Error: Cannot assume IAM Role\n\noperation error STS: AssumeRole, https response error StatusCode: 403, "
    f"RequestID: 1-2, api error AccessDenied: {ASSUME}",
    "Java": f"{ASSUME} (Service: Sts, Status Code: 403, Request ID: 1-2; Error Code: AccessDenied;)",
    "XML": f"<Error><Code>AccessDenied</Code><Message>{ASSUME}</Message></Error>",
    "message": ASSUME,
    "lines": ASSUME.replace(" ", "\n  "),
    "sentence": f"{ASSUME}.",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_forms_of_tools_are_read(text: str) -> None:
    """Bare refusals of AssumeRole: AWS sends the same for every cause."""
    found = one(text)

    assert ("message", "AccessDenied", "sts:AssumeRole", SESSION, ROLE, "acme") == (
        found.source, found.code, found.action, found.caller, found.resource, found.target,
    )  # fmt: skip
    assert UNDECIDED == causes(found)


EVENT = {
    "eventVersion": "1.11",
    "userIdentity": {"type": "AssumedRole", "arn": SESSION, "accountId": BACKEND},
    "eventSource": "sts.amazonaws.com",
    "eventName": "AssumeRole",
    "errorCode": "AccessDenied",
    "errorMessage": ASSUME,
    "requestParameters": None,
}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda event: event,
        lambda event: {"version": "0", "source": "aws.sts", "detail-type": "AWS API Call via CloudTrail", "detail": event},
        lambda event: {"Records": [event, {**event, "errorCode": None, "errorMessage": None}]},
        lambda event: {"Events": [{"EventId": "1", "CloudTrailEvent": json.dumps(event)}]},
        lambda event: [event],
    ],
    ids=["event", "EventBridge", "log file", "lookup-events", "list"],
)
def test_forms_of_cloudtrail_are_read(wrap: Any) -> None:
    """Successful events next to a failed one are left out."""
    found = one(wrap(EVENT))

    assert ("cloudtrail", "AccessDenied", "sts:AssumeRole", SESSION, ROLE, "acme") == (
        found.source, found.code, found.action, found.caller, found.resource, found.target,
    )  # fmt: skip
    assert UNDECIDED == causes(found)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, ["wrong-external-id-sent"]),
        ({"externalId": "not-that-id"}, ["wrong-external-id-sent"]),
        ({"externalId": "current-id"}, UNDECIDED),
        ({"externalId": "previous-id"}, UNDECIDED),
    ],
)
def test_external_id_of_the_event_is_compared_with_the_manifest(sent: dict[str, str], expected: list[str]) -> None:
    """A wrong ID is the fault of the request, so there is no message to the customer; the IDs are not printed."""
    found = one({**EVENT, "requestParameters": {"roleArn": ROLE, **sent}})

    assert expected == causes(found)
    if expected != UNDECIDED:
        assert "" == found.causes[0].customer
        assert "not-that-id" not in json.dumps(found.to_json())
        assert "current-id" not in json.dumps(found.to_json())


def test_action_and_caller_come_from_the_event_if_the_message_has_none() -> None:
    """S3's message is only `Access Denied`."""
    event = {"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "errorCode": "AccessDenied",
             "errorMessage": "Access Denied", "userIdentity": {"arn": CUSTOMER_SESSION}}  # fmt: skip
    found = one(event)

    assert ("s3:ListBuckets", CUSTOMER_SESSION, "acme") == (found.action, found.caller, found.target)
    assert "permission-missing" == causes(found)[0]


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("ExpiredToken", "own-credentials-expired"),
        ("InvalidClientTokenId", "own-credentials-invalid"),
        ("Client.AuthFailure", "own-credentials-invalid"),
        ("RegionDisabledException", "region-disabled"),
        ("Client.RequestLimitExceeded", "throttled"),
        ("ServiceUnavailable", "service-trouble"),
        ("VpceAccessDenied", "own-endpoint-policy"),
        ("SandboxUnsupported", "sandbox-limit"),
        ("NoSuchBucket", "unknown"),
    ],
)
def test_error_codes_have_their_causes(code: str, cause: str) -> None:
    """In an event and in a reply; a code that is no refusal is not explained as one."""
    event = {"eventSource": "ec2.amazonaws.com", "eventName": "It", "errorCode": code, "errorMessage": "It did not work."}

    assert [cause] == causes(one(event))
    assert [cause] == causes(one({"Error": {"Code": code, "Message": "It did not work."}}))
    assert [cause] == causes(one(f"An error occurred ({code}) when calling the It operation: It did not work."))


def test_session_that_is_too_long_has_its_cause() -> None:
    """The code is only `ValidationError`."""
    message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."

    assert ["session-too-long"] == causes(
        one(f"An error occurred (ValidationError) when calling the AssumeRole operation: {message}")
    )


def test_encoded_message_names_the_command_that_decodes_it() -> None:
    """EC2 sends it; its output is explained, too. Without a kind of policy, all causes remain."""
    text = "An error occurred (UnauthorizedOperation) when calling the RunInstances operation: You are not authorized to "
    text += f"perform this operation. User: {CUSTOMER_SESSION} is not authorized to perform: ec2:RunInstances on resource: "
    text += "arn:aws:ec2:us-east-1:222222222222:instance/* because no identity-based policy allows the ec2:RunInstances "
    text += f"action. Encoded authorization failure message: {'Ab1_-' * 60}"
    found = one(text)

    assert ["permission-missing"] == causes(found)
    assert "decode-authorization-message" in " ".join(found.facts)
    assert "Ab1_-Ab1_-" not in json.dumps(found.to_json())

    statements = {"items": [{"statementId": "NoRun", "effect": "DENY"}]}
    context = {"principal": {"id": "AROA:x", "arn": CUSTOMER_SESSION}, "action": "ec2:RunInstances", "resource": "arn:aws:x"}
    decoded = {"allowed": False, "explicitDeny": True, "matchedStatements": statements, "context": context}
    for form in (decoded, {"DecodedMessage": json.dumps(decoded)}):
        found = one(form)
        assert ("decoded-message", "ec2:RunInstances", True, "acme") == (
            found.source, found.action, found.explicit, found.target,
        )  # fmt: skip
        assert ["Statement NoRun matched."] == list(found.facts)
        assert {"role-policy-denies", "organization-policy"} < set(causes(found))
    assert [] == causes(one({**decoded, "allowed": True}))


def test_another_caller_than_the_backend_role_is_the_cause() -> None:
    """A person's session instead of the instance's."""
    found = one(ASSUME.replace("backend_role/i-", "Admin/me-"))

    assert ["wrong-caller"] == causes(found)


def test_role_that_is_not_in_the_manifest_is_reported() -> None:
    """With the roles that the manifest has in that account."""
    found = one(ASSUME.replace("role/vendor/Access", "role/Access"))

    assert "" == found.target
    assert ROLE in " ".join(found.facts)
    assert causes(found)


def test_without_a_manifest_the_causes_are_those_of_the_message() -> None:
    """No target, no fact about a manifest, and templates filled from the message."""
    found = one(ASSUME, ())

    assert ("", ()) == (found.target, found.facts)
    assert UNDECIDED == causes(found)
    assert ROLE in found.causes[0].vendor


AGREED = Access.of(
    Role(
        ROLE,
        trust=None,
        inline={
            "read": PolicyDocument((Statement("Allow", actions=("s3:GetObject",), resources=("arn:aws:s3:::bucket/*",)),)),
            "if": PolicyDocument(
                (
                    Statement(
                        "Allow",
                        actions=("s3:PutObject",),
                        resources=("*",),
                        conditions=(Condition("StringEquals", "aws:PrincipalTag/team", ("a",)),),
                    ),
                )
            ),
        },
    )
)


@pytest.mark.parametrize(
    ("action", "resource", "ending", "expected"),
    [
        ("s3:GetObject", "arn:aws:s3:::bucket/key", "", "permission-missing"),
        ("s3:GetObject", "arn:aws:s3:::other/key", "", "not-agreed"),
        ("s3:DeleteObject", "arn:aws:s3:::bucket/key", "", "not-agreed"),
        ("s3:DeleteObject", "arn:aws:s3:::bucket/key", " because no identity-based policy allows the x action",
         "not-agreed"),
        ("s3:DeleteObject", "arn:aws:s3:::bucket/key", " with an explicit deny in a service control policy",
         "organization-policy"),
        ("s3:PutObject", "arn:aws:s3:::bucket/key", "", "permission-missing"),
        ("s3:DeleteObject", "", "", "permission-missing"),
    ],
)  # fmt: skip
def test_agreed_access_decides_whether_the_action_was_agreed(action: str, resource: str, ending: str, expected: str) -> None:
    """Undecided under a condition and without a resource; a denial by another policy stays its own cause."""
    where = f" on resource: {resource}" if resource else ""
    text = f"User: {CUSTOMER_SESSION} is not authorized to perform: {action}{where}{ending}"
    (found,) = explain(text, TARGETS, BACKEND, lambda _target: AGREED)

    assert expected == causes(found)[0]
    assert (action == "s3:GetObject" and expected != "not-agreed") == any("grants" in fact for fact in found.facts)


def test_own_call_is_not_explained_as_the_customers() -> None:
    """The backend role lacks a permission in its own account."""
    text = f"User: {SESSION} is not authorized to perform: iam:GetRole on resource: x with an explicit deny in a "

    assert ["own-organization-policy"] == causes(one(f"{text}service control policy"))
    assert ["unknown"] == causes(one(f"{text}resource-based policy"))


@pytest.mark.parametrize(
    "text",
    ["", "hello", "{}", "[]", '{"a": 1}', "null", "403", "the quick brown fox", '{"message": "hello"}', "[" * 100_000,
     '{"eventSource": "s3.amazonaws.com", "eventName": "GetObject"}', '{"eventName": [], "eventSource": {}}',
     '{"Error": []}', '{"Records": {"a": 1}}', "\x00"],
)  # fmt: skip
def test_unknown_text_has_no_cause(text: str) -> None:
    """Nothing is guessed, and nothing is raised."""
    assert [] == causes(one(text))
    assert "" == one(text).code


def test_number_of_events_is_limited() -> None:
    """The rest is counted."""
    found = explain(json.dumps({"Records": [EVENT] * (MAXIMUM_EVENTS + 5)}), TARGETS)

    assert MAXIMUM_EVENTS == len(found)
    assert "5 more" in found[-1].facts[-1]


HOSTILE = "\x1b[31m\u202e::error::x\n##[error]\x00"
SECRETS = "ASIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1"
PIECES = st.sampled_from(
    [HOSTILE, SECRETS, ASSUME, CALL, "AccessDenied", "User: arn:", "with an explicit deny in a", "service control policy",
     ":", "because no", "Encoded authorization failure message: x", "(AccessDenied) when calling the AssumeRole operation: ",
     "not authorized to perform: a:b", "on resource: arn:aws:iam::222222222222:role/\x1b[31m", "<Code>"]
) | st.text(max_size=20)  # fmt: skip
KEYS = st.sampled_from(
    ["eventName", "eventSource", "errorCode", "errorMessage", "requestParameters", "roleArn", "externalId", "userIdentity",
     "arn", "detail", "Records", "Error", "Code", "Message", "message", "__type", "allowed", "context", "explicitDeny",
     "matchedStatements", "items", "statementId", "action", "resource", "principal", "DecodedMessage"]
)  # fmt: skip
JSON = st.recursive(
    PIECES | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=8).map(" ".join) | JSON.map(json.dumps))
def test_hostile_text_is_sanitized_and_never_raises(text: str) -> None:
    """Every field is one clean line without secrets; causes are known ones."""
    for found in explain(text, TARGETS, BACKEND):
        for value in (found.code, found.action, found.caller, found.resource, found.policy_arn, *found.facts):
            assert value == sanitize_line(value)
            assert "ASIAIOSFODNN7EXAMPLE" not in value
            assert "wJalrXUtnFEMI" not in value
        for cause in found.causes:
            assert cause.vendor == sanitize_line(cause.vendor)
            assert cause.cause in {*CAUSES, "wrong-external-id-sent"}
            assert "wJalrXUtnFEMI" not in cause.vendor


def test_denial_parser_is_the_one_of_verify() -> None:
    """Both read the same message alike."""
    text = f"{CALL} with an explicit deny in a VPC endpoint policy transitively through a service control policy"
    found, denial = one(text), denial_of(text)

    assert denial is not None
    assert (denial.kind, denial.explicit) == (found.policy, found.explicit)
