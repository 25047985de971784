"""What guard rails stop, which statement stops it, and what the exemption opens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from guardrail_policies import (
    ALLOW_LIST,
    ASSUME_BY_OUTSIDERS,
    BACKEND,
    FULL,
    IAM_WRITES,
    LEAVING,
    LOCKED_ROLES,
    MFA,
    ONLY_NETWORK,
    ONLY_TLS,
    PERIMETER,
    REGIONS,
    ROLE,
    ROOT_USER,
    deny,
    policy,
)
from rolecall_generator.guardrails import (
    CustomerModule,
    GuardrailAnswer,
    GuardrailQuestion,
    GuardrailReview,
    Guardrails,
    ReviewSettings,
    review_guardrails,
)
from rolecall_generator.iam.catalog import find_action
from rolecall_generator.proof.symbolic import LimitState
from rolecall_generator.proof.symbolic.examples import is_of_form

Rails = Callable[..., Guardrails]
ADMIN = "arn:aws:iam::222222222222:role/Admin"
OUTSIDE = ReviewSettings(backend_organization="none")


def answers(review: GuardrailReview, question: GuardrailQuestion) -> dict[str, GuardrailAnswer]:
    """The answers to one question by the last word of their subject."""
    return {each.subject.rpartition(" ")[2]: each for each in review.answers if each.question is question}


def assume(review: GuardrailReview) -> GuardrailAnswer:
    (found,) = answers(review, GuardrailQuestion.ASSUME).values()
    return found


def stopping(answer: GuardrailAnswer) -> list[tuple[str, str, str | None]]:
    """Level, policy kind and Sid of the statements that certainly stop something."""
    return [
        (
            stop.level,
            stop.kind.value,
            None if stop.policy is None or stop.statement is None else stop.policy.document.statements[stop.statement].sid,
        )
        for stop in answer.stops
        if stop.is_certain
    ]


@pytest.mark.parametrize("scp", [None, FULL, ROOT_USER, LEAVING], ids=["none", "full", "root user", "leaving"])
def test_guard_rails_that_concern_others_stop_nothing(account1: CustomerModule, rails: Rails, scp: Any) -> None:
    review = review_guardrails(account1, rails({} if scp is None else {"root": scp}), ReviewSettings())

    assert review.works
    assert {LimitState.NONE} == {answer.state for answer in review.answers}
    assert () == review.exemptions


@pytest.mark.parametrize("rcp", [PERIMETER, ASSUME_BY_OUTSIDERS], ids=["perimeter", "assume role"])
def test_perimeter_stops_backend_outside(account1: CustomerModule, rails: Rails, rcp: Any) -> None:
    for organization in ("none", "o-vendor0001"):
        review = review_guardrails(account1, rails(rcps={"root": rcp}), ReviewSettings(backend_organization=organization))
        found = assume(review)
        (exemption,) = review.exemptions

        assert LimitState.ALL is found.state
        assert [("root", "RCP", rcp["Statement"][0]["Sid"])] == stopping(found)
        assert found.stops[0].sets[0].example.startswith("aws sts assume-role --role-arn " + ROLE)
        assert exemption.is_exact is True
        assert exemption.fits
        assert [LimitState.NONE] == [answer.state for answer in review.after]


def test_only_requests_that_statement_concerns_are_stopped(account1: CustomerModule, rails: Rails) -> None:
    """A denial of other networks stops a part, and names the key; one without TLS stops nothing, as STS requires HTTPS."""
    found = assume(review_guardrails(account1, rails(rcps={"root": ONLY_NETWORK}), OUTSIDE))

    assert LimitState.PART is found.state
    assert ["aws:SourceIp"] == [each.name for each in found.stops[0].sets[0].constraints]
    assert LimitState.NONE is assume(review_guardrails(account1, rails(rcps={"root": ONLY_TLS}), OUTSIDE)).state


@pytest.mark.parametrize("kind", ["scps", "rcps"])
def test_denial_of_requests_without_https_is_no_failure(account1: CustomerModule, rails: Rails, kind: str) -> None:
    principal = {"Principal": "*"} if kind == "rcps" else {}

    def found_for(value: str) -> GuardrailReview:
        condition = {"BoolIfExists": {"aws:SecureTransport": value}}
        document = policy(deny("DenyTransport", "s3:*", Condition=condition, **principal))
        return review_guardrails(account1, rails(**{kind: {"root": document}}), OUTSIDE)

    plain, encrypted = found_for("false"), found_for("true")
    (found,) = [each for each in plain.answers if each.state is LimitState.PART]

    assert (True, ()) == (plain.works, plain.exemptions)
    assert (True, [True]) == (found.works_over_https, [stop.only_without_https for stop in found.stops])
    assert (False, 1) == (encrypted.works, len(encrypted.exemptions))
    assert not any(each.works_over_https for each in encrypted.answers)


def test_exemption_keeps_denial_of_requests_without_https(account1: CustomerModule, rails: Rails) -> None:
    https = deny("DenyPlain", "s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    document = policy(https, deny("DenyBuckets", "s3:*"))
    review = review_guardrails(account1, rails(scps={"root": document}), OUTSIDE)
    (exemption,) = review.exemptions

    assert https == exemption.after["Statement"][0]
    assert [(LimitState.PART, True)] == [(each.state, each.works) for each in review.after]


@pytest.mark.parametrize("name", ["Resource", "NotResource"])
@pytest.mark.parametrize(
    ("resource", "refused"),
    [
        ("foo", True),
        ("", True),
        ("**", True),
        ("data/*", True),
        ("ARN:aws:s3:::data", True),
        ("arn:aws", True),
        ("arn:aws:s3:data", True),
        ("*", False),
        ("arn:aws:s3:::data", False),
        ("arn:aws:s3:*", False),
        ("arn:*:iam::*:role/${aws:PrincipalAccount}", False),
    ],
)
@pytest.mark.parametrize("kind", ["scps", "rcps"])
def test_resource_that_is_no_arn_is_malformed(
    account1: CustomerModule, rails: Rails, name: str, resource: str, refused: bool, kind: str
) -> None:
    """As AWS answers MalformedPolicyDocument; the finding names the policy and the statement, and the review fails."""
    bad = {**deny("Bad", "s3:PutObject"), name: ["arn:aws:s3:::fine/*", resource]}
    if name == "NotResource":
        del bad["Resource"]
    body = policy(deny("Good", "s3:PutObject", Principal="*"), {**bad, "Principal": "*"})
    if kind == "scps":
        body = policy(*({key: each[key] for key in each if key != "Principal"} for each in body["Statement"]))
    found = review_guardrails(account1, rails(**{kind: {"root": body}}), ReviewSettings())
    malformed = [each for each in found.findings if "MalformedPolicyDocument" in each.message]

    assert refused is bool(malformed)
    assert refused is not found.works
    assert all("Bad" in each.message and each.where.endswith(".json") and each.hint for each in malformed)


ROLES = "arn:aws:iam::*:role/"
OUTSIDER = {"StringNotEquals": {"aws:PrincipalOrgID": "o-another001"}}
WIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "two services": ("rcps", deny("D", ["sts:*", "s3:*"], [f"{ROLES}*", "arn:aws:s3:::x"], Condition=OUTSIDER)),
    "part of a name": ("rcps", deny("D", "sts:*", [f"{ROLES}role*"], Condition=OUTSIDER)),
    "two patterns": ("scps", deny("D", "iam:*", [f"{ROLES}ro*", f"{ROLES}*e1"])),
    "every action": ("scps", deny("D", "*", [f"{ROLES}r*"])),
    "owner": ("scps", deny("D", "iam:*", [f"{ROLES}r*"], Condition={"StringNotEquals": {"aws:ResourceAccount": "3" * 12}})),
    "MFA": ("scps", deny("D", "iam:*", [f"{ROLES}r*"], Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})),
    "time as a string": ("scps", deny("D", "iam:*", [f"{ROLES}r*"], Condition={"StringLike": {"aws:CurrentTime": "20*"}})),
    "all operators used": (
        "scps",
        deny("D", "iam:*", [f"{ROLES}r*"], Condition={
            name: {"aws:PrincipalArn": ADMIN} for name in ("ArnEquals", "ArnLike", "StringEquals", "StringLike")
        }),
    ),
}  # fmt: skip
EXAMPLE = re.compile(r"(?P<action>\S+) on (?P<resource>\S+) by (?P<caller>\S+)(?: with (?P<keys>.*))?")


@pytest.mark.parametrize("name", WIDE)
def test_examples_are_requests_that_a_caller_can_send(account1: CustomerModule, rails: Rails, name: str) -> None:
    """Of what an exemption opens in addition, and of what is stopped: an action that AWS has on a resource of its form, with
    values of the types of the keys.
    """
    kind, body = WIDE[name]
    body = {**body, "Principal": "*"} if kind == "rcps" else body
    settings = ReviewSettings(backend_organization="none", administrator=ADMIN, now=NOW)
    review = review_guardrails(account1, rails(**{kind: {"root": policy(body)}}), settings)
    sets = [each for exemption in review.exemptions for each in exemption.surplus]
    sets += [each for answer in review.answers for stop in answer.stops for each in stop.sets]
    examples = [each.example for each in sets if each.example and not each.example.startswith("aws ")]

    assert review.exemptions or any(answer.state is LimitState.UNKNOWN for answer in review.answers)
    assert all(exemption.is_exact is not False or exemption.surplus[0].example for exemption in review.exemptions)
    for found in filter(None, map(EXAMPLE.fullmatch, examples)):
        action = find_action(found["action"])
        assert action is not None, found
        forms = [form for form in action.resource_forms if is_of_form(found["resource"], form, "aws")]
        assert forms or (found["resource"] == "*" and not action.requires_resource), found
        assert "MultiFactorAuthPresent = true" not in found[0]
        assert not re.search(r"CurrentTime = (?!\d{4}-)", found[0])
    assert len(examples) == len([each for each in examples if EXAMPLE.fullmatch(each)])


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BUCKET, INSTANCES = "Bucket", "Instances"


@pytest.mark.parametrize(
    ("condition", "bucket", "instances", "reasoned"),
    [
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, LimitState.NONE, LimitState.NONE, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, LimitState.ALL, LimitState.ALL, False),
        ({"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}, LimitState.PART, LimitState.PART, False),
        ({"DateLessThan": {"aws:EpochTime": "1577836800"}}, LimitState.NONE, LimitState.NONE, True),
        ({"NumericGreaterThan": {"aws:EpochTime": "1577836800"}}, LimitState.ALL, LimitState.ALL, False),
        ({"Null": {"aws:CurrentTime": "false"}}, LimitState.ALL, LimitState.ALL, False),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, LimitState.NONE, LimitState.NONE, True),
        ({"NumericLessThan": {"s3:TlsVersion": "1.3"}}, LimitState.PART, LimitState.NONE, False),
        ({"StringNotLike": {"s3:TlsVersion": "1.?"}}, LimitState.PART, LimitState.ALL, False),
        (
            {"ForAllValues:StringNotLike": {"aws:PrincipalOrgPaths": "o-customer01/*"}},
            LimitState.NONE,
            LimitState.NONE,
            False,
        ),
        ({"ForAnyValue:StringLike": {"aws:ResourceOrgPaths": "o-customer01/*"}}, LimitState.ALL, LimitState.ALL, False),
    ],
)
def test_facts_about_time_tls_and_organization_decide(
    account1: CustomerModule,
    rails: Rails,
    condition: dict[str, Any],
    bucket: LimitState,
    instances: LimitState,
    reasoned: bool,
) -> None:
    """A date in the past is over, AWS accepts no old TLS, only S3 has its keys, and a path begins with the organization."""
    known = replace(rails({"root": policy(deny("Facts", Condition=condition))}), organization_id="o-customer01")
    found = answers(review_guardrails(account1, known, ReviewSettings(now=NOW)), GuardrailQuestion.PERMISSION)

    assert (bucket, instances) == (found[BUCKET].state, found[INSTANCES].state)
    assert reasoned is bool(found[BUCKET].facts)
    examples = [each.example for stop in found[BUCKET].stops for each in stop.sets]
    assert not [text for text in examples if "2019" in text or "TlsVersion = 1.1" in text]


def test_reason_is_named_where_a_role_cannot_ask_for_longer(account1: CustomerModule, rails: Rails) -> None:
    longer = deny(
        "Longer", "sts:AssumeRole", Principal="*", Condition={"NumericGreaterThan": {"sts:DurationSeconds": "3600"}}
    )
    found = assume(review_guardrails(account1, rails(rcps={"root": policy(longer)}), OUTSIDE))

    assert (LimitState.NONE, (), 1) == (found.state, found.reasons, len(found.facts))
    assert "role chaining" in found.facts[0]


PATHS = policy(
    deny("Outside", "sts:AssumeRole", Principal="*",
         Condition={"ForAllValues:StringNotLike": {"aws:PrincipalOrgPaths": "o-vendor0001/*"}})
)  # fmt: skip


@pytest.mark.parametrize(
    ("rcp", "organization", "state"),
    [
        (PERIMETER, "o-customer01", LimitState.NONE),
        (ASSUME_BY_OUTSIDERS, None, LimitState.UNKNOWN),
        # The path of the backend is not known, but the ID of its organization is.
        (PATHS, "o-vendor0001", LimitState.NONE),
        (PATHS, "o-another001", LimitState.ALL),
        (PATHS, "none", LimitState.ALL),
        (PATHS, None, LimitState.UNKNOWN),
    ],
)
def test_organization_of_backend_decides(
    account1: CustomerModule, rails: Rails, rcp: Any, organization: str | None, state: LimitState
) -> None:
    """Where it is not known, the answer names the option, and there is no exemption."""
    review = review_guardrails(account1, rails(rcps={"root": rcp}), ReviewSettings(backend_organization=organization))
    found = assume(review)

    assert state is found.state
    assert (state is LimitState.UNKNOWN) is any("--backend-organization" in reason for reason in found.reasons)
    assert (state is LimitState.ALL) is bool(review.exemptions)


@pytest.mark.parametrize(
    ("scp", "bucket", "instances"),
    [
        # Sessions of AssumeRole have no MFA.
        (MFA, LimitState.PART, LimitState.NONE),
        (
            policy(deny("Odd", "s3:*", Condition={"StringResembles": {"aws:RequestedRegion": "eu"}})),
            LimitState.UNKNOWN,
            LimitState.UNKNOWN,
        ),
        # Keys that the caller decides are known in a policy variable; others leave the statement open.
        (policy(deny("Own", "s3:*", "arn:aws:s3:::${aws:PrincipalAccount}/*")), LimitState.NONE, LimitState.NONE),
        (policy(deny("Free", "s3:*", "arn:aws:s3:::${aws:SourceVpc}/*")), LimitState.UNKNOWN, LimitState.NONE),
        # ec2:DescribeInstances has no resource types.
        (policy(deny("Arns", "ec2:*", "arn:aws:ec2:*:*:instance/*")), LimitState.NONE, LimitState.NONE),
        (
            policy({"Sid": "Else", "Effect": "Deny", "Action": "ec2:*", "NotResource": "arn:aws:ec2:*:*:instance/*"}),
            LimitState.NONE,
            LimitState.ALL,
        ),
    ],
)
def test_permissions_of_each_statement_are_decided(
    account1: CustomerModule, rails: Rails, scp: Any, bucket: LimitState, instances: LimitState
) -> None:
    review = review_guardrails(account1, rails({"root": scp}), OUTSIDE)
    found = answers(review, GuardrailQuestion.PERMISSION)

    assert (bucket, instances) == (found[BUCKET].state, found[INSTANCES].state)
    assert bool(found[BUCKET].reasons) is (bucket is LimitState.UNKNOWN)
    assert review.works is ({bucket, instances} == {LimitState.NONE})
    if bucket is LimitState.PART:
        assert ("s3:GetObject",) == found[BUCKET].stops[0].sets[0].actions


def test_region_denial_stops_other_regions_only(account1: CustomerModule, rails: Rails) -> None:
    """What is stopped outside the Regions of the manifest is no obstacle and needs no exemption."""
    review = review_guardrails(account1, rails({"root": REGIONS}), OUTSIDE)
    found = answers(review, GuardrailQuestion.PERMISSION)["Bucket"]

    assert LimitState.PART is found.state
    assert {"eu-central-1": LimitState.NONE} == found.regions
    assert [("root", "SCP", "DenyOutsideRegions")] == stopping(found)
    assert ["aws:RequestedRegion"] == [each.name for each in found.stops[0].sets[0].constraints]
    assert review.works
    assert () == review.exemptions


def test_region_denial_stops_region_of_manifest(account1: CustomerModule, rails: Rails) -> None:
    """With a Region that is denied, the role joins the exceptions of the statement, and only the role."""
    elsewhere = replace(account1, customer=replace(account1.customer, regions=("eu-central-1", "us-east-1")))
    review = review_guardrails(elsewhere, rails({"root": REGIONS}), OUTSIDE)
    found = answers(review, GuardrailQuestion.PERMISSION)["Instances"]
    (exemption,) = review.exemptions
    listed = exemption.after["Statement"][0]["Condition"]["ArnNotLike"]["aws:PrincipalARN"]

    assert {"eu-central-1": LimitState.NONE, "us-east-1": LimitState.ALL} == found.regions
    assert not review.works
    assert ["arn:aws:iam::*:role/OrganizationAccountAccessRole", ROLE] == listed
    assert exemption.is_exact is True
    assert {LimitState.NONE} == {answer.state for answer in review.after}


def test_denial_on_some_resources_names_them(account1: CustomerModule, rails: Rails) -> None:
    """An object below a prefix is stopped, the bucket itself cannot be: its ARN has no slash."""
    scp = policy(deny("DenyPrivate", "s3:*", "arn:aws:s3:::data/private/*"))
    found = answers(review_guardrails(account1, rails({"root": scp}), OUTSIDE), GuardrailQuestion.PERMISSION)["Bucket"]
    (requests,) = found.stops[0].sets

    assert LimitState.PART is found.state
    assert ("s3:GetObject",) == requests.actions
    assert ["Resource"] == [each.name for each in requests.constraints]


def test_pipeline_role_can_apply_and_others_cannot(account1: CustomerModule, rails: Rails) -> None:
    """The denial of IAM writes stops an administrator, not the exempt role; reading is not stopped."""
    levels = rails({"root": IAM_WRITES})
    other = review_guardrails(account1, levels, replace(OUTSIDE, administrator=ADMIN))
    pipeline = replace(OUTSIDE, administrator="arn:aws:iam::222222222222:role/pipeline/deploy")

    states = {each.subject: each.state for each in other.answers if each.question is GuardrailQuestion.APPLY}
    assert LimitState.ALL is states["create the role"]
    assert LimitState.NONE is states["read the role"]
    assert {LimitState.NONE} == {answer.state for answer in review_guardrails(account1, levels, pipeline).answers}
    (exemption,) = other.exemptions
    assert exemption.is_exact is True
    assert exemption.opens == (f"requests of {ADMIN} on {ROLE}",)
    assert {LimitState.NONE} == {answer.state for answer in other.after}


def test_any_administrator_is_stopped_in_part(account1: CustomerModule, rails: Rails) -> None:
    review = review_guardrails(account1, rails({"root": IAM_WRITES}), OUTSIDE)
    states = {answer.state for answer in review.answers if answer.question is GuardrailQuestion.APPLY}

    assert {LimitState.NONE, LimitState.PART} == states
    assert () == review.exemptions


def test_every_level_must_allow(account1: CustomerModule, rails: Rails) -> None:
    """A unit stops what it does not allow, whatever other levels allow; a new policy lets the role pass."""
    review = review_guardrails(account1, rails({"root": FULL, "Prod": ALLOW_LIST, "account": FULL}), OUTSIDE)
    found = answers(review, GuardrailQuestion.PERMISSION)
    (exemption,) = review.exemptions

    assert LimitState.ALL is found["Bucket"].state
    assert LimitState.NONE is found["Instances"].state
    assert [("Prod", "SCP", None)] == stopping(found["Bucket"])
    assert (None, "Prod") == (exemption.before, exemption.level)
    assert exemption.is_exact is True
    assert {LimitState.NONE} == {answer.state for answer in review.after}


def test_statements_on_certain_roles_get_exemption_that_language_has(account1: CustomerModule, rails: Rails) -> None:
    """Where Resource lists ARNs there is no exact exemption: what else it opens is shown, not hidden."""
    review = review_guardrails(account1, rails({"root": LOCKED_ROLES}), replace(OUTSIDE, administrator=ADMIN))
    (exemption,) = review.exemptions

    assert exemption.is_exact is False
    assert exemption.surplus


def test_one_policy_with_several_stops_is_changed_once(account1: CustomerModule, rails: Rails) -> None:
    scp = policy(deny("NoBucket", "s3:*"), deny("NoIam", "iam:*"), deny("NoOrganization", "organizations:*"))
    review = review_guardrails(account1, rails({"root": scp}), replace(OUTSIDE, administrator=ADMIN))
    (exemption,) = review.exemptions
    sids = [statement.get("Sid") for statement in exemption.after["Statement"]]

    assert ["NoBucket", "NoIam", "NoIamOtherResources", "NoOrganization"] == sids
    assert exemption.is_exact is True
    assert {LimitState.NONE} == {answer.state for answer in review.after}


def test_management_account_is_not_restricted(account1: CustomerModule, rails: Rails) -> None:
    """SCPs and RCPs do not affect it."""
    levels = rails({"root": IAM_WRITES}, {"root": PERIMETER})

    assert review_guardrails(account1, replace(levels, is_management=True), OUTSIDE).works
    assert not review_guardrails(account1, levels, OUTSIDE).works


def test_vendors_scps_limit_backend(account1: CustomerModule, rails: Rails) -> None:
    """A denial of AssumeRole across accounts in the vendor's organization is found, with an exemption for one role."""
    scp = policy(deny("NoOutside", "sts:AssumeRole", Condition={"StringNotEquals": {"aws:ResourceAccount": "111111111111"}}))
    settings = replace(OUTSIDE, backend=rails({"vendor": scp}))
    review = review_guardrails(account1, Guardrails(), settings)
    found = assume(review)
    (exemption,) = review.exemptions

    assert LimitState.ALL is found.state
    assert ["backend"] == [stop.side for stop in found.stops]
    assert exemption.opens == (f"requests of {BACKEND} on {ROLE}",)
    assert exemption.is_exact is True
    assert [LimitState.NONE] == [answer.state for answer in review.after]


def test_too_large_policies_and_too_many_are_findings(account1: CustomerModule, rails: Rails) -> None:
    large = policy(deny("Large", [f"s3:Get{number:05}{'x' * 100}" for number in range(100)]))
    levels = rails({"root": large, "Prod": [LEAVING] * 11}, {"root": {**large, "Statement": [
        {**large["Statement"][0], "Action": large["Statement"][0]["Action"][:60], "Principal": "*"}]}})  # fmt: skip
    found = review_guardrails(account1, levels, OUTSIDE).findings

    assert 3 == len(found)
    assert {"Prod"} < {finding.where for finding in found}


def test_exemption_that_does_not_fit_is_marked(account1: CustomerModule, rails: Rails) -> None:
    actions = ["sts:AssumeRole", *(f"s3:Get{number:05}{'x' * 100}" for number in range(40))]
    rcp = policy(deny("Outsiders", actions, Principal="*"))
    (exemption,) = review_guardrails(account1, rails(rcps={"root": rcp}), OUTSIDE).exemptions

    assert exemption.characters > 5_120
    assert not exemption.fits


@pytest.mark.parametrize(
    ("kind", "change", "count"),
    [
        ("scps", {}, 1),
        ("scps", {"Principal": None}, 0),
        ("scps", {"Principal": None, "NotPrincipal": {"AWS": "222222222222"}}, 1),
        ("rcps", {}, 0),
        ("rcps", {"Principal": {"AWS": "*"}}, 0),
        ("rcps", {"Action": "STS:assumerole"}, 0),
        ("rcps", {"Action": "*"}, 1),
        ("rcps", {"Action": ["ec2:*", "iam:*", "s3:*"]}, 2),
        ("rcps", {"Action": None, "NotAction": "s3:*"}, 1),
        ("rcps", {"Resource": None, "NotResource": ROLE}, 0),
        ("rcps", {"Principal": None, "NotPrincipal": {"AWS": "222222222222"}}, 1),
        ("rcps", {"Principal": {"AWS": ["*", "222222222222"]}}, 1),
        ("rcps", {"Effect": "Allow"}, 1),
    ],
)
def test_policies_that_aws_refuses_are_findings(
    account1: CustomerModule, rails: Rails, kind: str, change: dict[str, Any], count: int
) -> None:
    """The Principal of an RCP is "*", its actions are of services that support RCPs, and there is neither NotAction nor
    NotPrincipal. An SCP has no principal.
    """
    body = {key: value for key, value in {**deny("S", "s3:*", Principal="*"), **change}.items() if value is not None}
    review = review_guardrails(account1, rails(**{kind: {"root": policy(body)}}), OUTSIDE)

    assert count == len(review.findings)
    assert all(finding.hint for finding in review.findings)
    assert not (count and review.works)


def test_list_of_resources_loses_only_role(account1: CustomerModule, rails: Rails) -> None:
    """Where the denied resources are listed, the statement for the backend role lists the others."""
    others = ["arn:aws:iam::222222222222:role/a", "arn:aws:iam::222222222222:role/b"]
    rcp = policy(deny("Listed", "sts:AssumeRole", [*others, ROLE], Principal="*"))
    (exemption,) = review_guardrails(account1, rails(rcps={"root": rcp}), OUTSIDE).exemptions

    assert others == exemption.after["Statement"][1]["Resource"]
    assert exemption.is_exact is True


def test_pattern_of_resources_keeps_other_accounts_closed(account1: CustomerModule, rails: Rails) -> None:
    """The language has no pattern without one role: other accounts stay denied, and the rest of the surplus is shown."""
    rcp = policy(deny("Pattern", "sts:AssumeRole", "arn:aws:iam::*:role/role*", Principal="*"))
    review = review_guardrails(account1, rails(rcps={"root": rcp}), OUTSIDE)
    (exemption,) = review.exemptions
    names = {each.name for requests in exemption.surplus for each in requests.constraints}

    assert exemption.is_exact is False
    assert "aws:ResourceAccount" in names
    assert [LimitState.NONE] == [answer.state for answer in review.after]


def test_policy_at_two_levels_is_changed_once(account1: CustomerModule, rails: Rails) -> None:
    found = rails({"root": policy(deny("NoBucket", "s3:*"))})
    twice = replace(found, levels=(found.levels[0], replace(found.levels[0], name="Prod")))
    review = review_guardrails(account1, twice, OUTSIDE)

    assert 1 == len(review.exemptions)
    assert {LimitState.NONE} == {answer.state for answer in review.after}


def test_many_other_statements_do_not_hide_proof(account1: CustomerModule, rails: Rails) -> None:
    """A large policy whose statements distinguish many callers and resources: each change is proven by itself."""
    others = [
        deny(
            f"Other{number}",
            ["ec2:DeleteVpc", "s3:PutObject"],
            [f"arn:aws:s3:::log-{number}-*", f"arn:aws:ec2:*:*:vpc/vpc-{number}*"],
            Condition={"ArnNotLike": {"aws:PrincipalArn": [f"arn:aws:iam::*:role/*Admin{number}_*"]}},
        )
        for number in range(12)
    ]
    review = review_guardrails(account1, rails({"root": policy(*others, deny("NoBucket", "s3:*"))}), OUTSIDE)
    (exemption,) = review.exemptions

    assert others == exemption.after["Statement"][:-1]
    assert exemption.is_exact is True
