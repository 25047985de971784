"""Every documented refusal is parsed, and every cause is reproduced in the sandbox and diagnosed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rolecall_generator.iam.model import Access, Role
from rolecall_runner.aws import CallerRejectedError
from rolecall_runner.aws.credentials import Credentials
from rolecall_runner.verify.causes import CAUSES, Cause
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.customer_message import customer_message
from rolecall_runner.verify.diagnosis import DENIALS, Denial, cause_of_denial, denial_of, diagnose
from rolecall_runner.verify.verdict import Check, Mark, Step, Verdict
from rolecall_runner.verify.verify_target import judge_trust
from sandbox_rig import allow, service_trust, trust
from status_rig import target
from verify_worlds import BACKEND, READ_ITSELF, ROLE, World, causes, check_of, document, marks

WHO = "User: arn:aws:sts::111111111111:assumed-role/backend_role/rolecall-0a1b2c is not authorized to perform: "
ASSUME = f"{WHO}sts:AssumeRole on resource: arn:aws:iam::222222222222:role/role1 "
CALL = f'{WHO}s3:GetObject on resource: "arn:aws:s3:::amzn-s3-demo-bucket1/object-name" '
RCP = "arn:aws:organizations::987654321098:policy/o-qv5af4abcd/resource_control_policy/p-2kgnabcd"
TARGET = target(backend_role_arn="arn:aws:iam::111111111111:role/backend_role")
KINDS = (
    ("identity-based policy", "an identity-based policy"),
    ("session policy", "a session policy"),
    ("session policy", "a sessions policy"),
    ("permissions boundary", "a permissions boundary"),
    ("service control policy", "a service control policy"),
    ("resource control policy", "a resource control policy"),
    ("vpc endpoint policy", "a VPC endpoint policy"),
    ("role trust policy", "the role trust policy"),
    ("resource-based policy", "a resource-based policy"),
)


@pytest.mark.parametrize(("kind", "words"), KINDS, ids=[words for _, words in KINDS])
@pytest.mark.parametrize("start", [ASSUME, CALL, f"{WHO}codecommit:ListRepositories "], ids=["assume", "call", "bare"])
def test_explicit_deny_is_parsed_with_policy_arn(kind: str, words: str, start: str) -> None:
    """With and without an ARN, at the end of a sentence, across lines, and before further text."""
    arn = "arn:aws:iam::111111111111:policy/team/deny-all"

    assert Denial(kind, explicit=True) == denial_of(f"{start}with an explicit deny in {words}")
    for after in (f": {arn}", f": {arn}.", f": {arn} Encoded authorization failure message: AbC", f':\n"{arn}"'):
        assert Denial(kind, explicit=True, arn=arn) == denial_of(f"{start}with\nan explicit deny in {words}{after}")


@pytest.mark.parametrize("kind", sorted(DENIALS))
@pytest.mark.parametrize("action", ["sts:AssumeRole", "sts:TagSession", "s3:GetObject"])
def test_implicit_deny_is_parsed(kind: str, action: str) -> None:
    """`because no KIND allows the ACTION action`, in upper or lower case."""
    text = f"{WHO}{action} because no {kind} allows the {action} action"

    assert Denial(kind, explicit=False) == denial_of(text)
    assert Denial(kind, explicit=False) == denial_of(text.replace(kind, kind.upper()))
    assert Denial(kind, explicit=False, arn=RCP) == denial_of(f"{text}: {RCP}")


def test_deny_through_another_policy_names_that_policy() -> None:
    """The AWS documentation then refers to service control policies."""
    text = f"{CALL}with an explicit deny in a VPC endpoint policy transitively through a service control policy"

    assert Denial("service control policy", explicit=True) == denial_of(text)


@pytest.mark.parametrize("text", ["", ASSUME, "Access Denied", "no policy of yours", f"{CALL}because of a session policy"])
def test_message_without_reason_names_no_policy(text: str) -> None:
    assert denial_of(text) is None


def test_every_cause_in_the_table_is_registered() -> None:
    """A policy type without a cause has an empty string."""
    causes = {cause for entry in DENIALS.values() for cause in (*entry["assume"], *entry["call"])}

    assert causes - {""} <= set(CAUSES)
    assert "own-endpoint-policy" == cause_of_denial(Denial("vpc endpoint policy", explicit=True), "assume")
    assert "permission-missing" == cause_of_denial(Denial("identity-based policy", explicit=False), "call")


def first_cause(step: Step, message: str) -> Verdict:
    check = Check(step, Mark.FAILED, "", "AccessDenied", message, {"action": "s3:GetObject"})
    nothing: VerifyContext = None  # type: ignore[assignment]
    return diagnose(Verdict("acme", "customer", TARGET.account_id, TARGET.role_arn, (check,)), TARGET, nothing)


@pytest.mark.parametrize(
    ("step", "words", "cause"),
    [
        (Step.ASSUME, "with an explicit deny in an identity-based policy", "own-policy-denies"),
        (Step.ASSUME, "because no session policy allows the sts:AssumeRole action", "own-session-policy"),
        (Step.ASSUME, "with an explicit deny in a session policy", "own-session-policy"),
        (Step.ASSUME, "with an explicit deny in a VPC endpoint policy", "own-endpoint-policy"),
        (Step.ASSUME, "because no VPC endpoint policy allows the sts:AssumeRole action", "own-endpoint-policy"),
        (Step.ASSUME, "because no identity-based policy allows the sts:AssumeRole action", "backend-policy-lacks-role"),
        (Step.ASSUME, "because no service control policy allows the sts:AssumeRole action", "own-organization-policy"),
        (Step.ASSUME, "with an explicit deny in a service control policy", "own-organization-policy"),
        (Step.ASSUME, "with an explicit deny in a resource control policy", "resource-control-policy"),
        (Step.ASSUME, "because no permissions boundary allows the sts:AssumeRole action", "own-permission-boundary"),
        (Step.ASSUME, "with an explicit deny in the role trust policy", "trust-policy-denies"),
        (Step.GRANTED, "with an explicit deny in an identity-based policy", "role-policy-denies"),
        (Step.GRANTED, "with an explicit deny in a VPC endpoint policy", "own-endpoint-policy"),
        (Step.GRANTED, "with an explicit deny in a resource-based policy", "resource-policy-denies"),
        (Step.GRANTED, "with an explicit deny in a service control policy", "organization-policy"),
        (Step.GRANTED, "because no permissions boundary allows the s3:GetObject action", "permission-boundary"),
        (Step.GRANTED, "because no service control policy allows the s3:GetObject action", "organization-policy"),
    ],
)
def test_named_policy_is_the_only_cause(step: Step, words: str, cause: str) -> None:
    """No further call is made, and neither a missing role nor the external ID is a candidate."""
    found = first_cause(step, (ASSUME if step is Step.ASSUME else CALL) + words)

    assert [cause] == [diagnosis.cause for diagnosis in found.diagnoses]
    if cause.startswith(("own-", "backend-")):
        assert "" == customer_message(found)


@pytest.mark.parametrize("kind", ["an identity-based policy", "a service control policy", "a resource control policy"])
def test_arn_of_denying_policy_is_shown(kind: str) -> None:
    """The vendor sees it, and so does the customer in the message if the customer must change that policy."""
    found = first_cause(Step.ASSUME, f"{ASSUME}with an explicit deny in {kind}: {RCP}")

    assert RCP in found.diagnoses[0].vendor
    assert (RCP in customer_message(found).replace("\n", "")) == (kind == "a resource control policy")


def test_resource_control_policy_message_has_both_exemptions() -> None:
    """The account in aws:PrincipalAccount, and the tag of AWS's example policy; code is not wrapped."""
    lines = customer_message(
        first_cause(Step.ASSUME, f"{ASSUME}with an explicit deny in a resource control policy")
    ).splitlines()

    assert '        "aws:PrincipalAccount": ["111111111111"]' in lines
    assert "    aws iam tag-role --role-name role1 --tags Key=dp:exclude:identity,Value=true" in lines
    assert '        "aws:ResourceTag/dp:exclude:identity": "true"' in lines


PAGE = Path(__file__).resolve().parents[3] / "docs" / "diagnosis.md"
CUSTOMERS = ["role-missing", "external-id-differs", "other-principal"]
"""What AWS answers alike: from our side they are told apart by looking into the customer's account alone."""


def role_missing(world: World) -> None:
    """The customer has not applied the module."""


def other_principal(world: World) -> None:
    other = world.rig.role(BACKEND, f"other{world.number}", service_trust())
    world.make(world.good_trust(principal=other))


def external_id_differs(world: World) -> None:
    world.make(world.good_trust("chosen-by-the-customer"))


def retired_id(world: World) -> None:
    world.make(world.good_trust("the-new-one", "of-before"))
    world.aim(external_id="the-new-one", retired_external_id="of-before")


def no_condition(world: World) -> None:
    world.make(trust(world.backend))


def optional_id(world: World) -> None:
    world.make(trust(world.backend, StringEqualsIfExists={"sts:ExternalId": [world.target.external_id]}))


def any_id(world: World) -> None:
    world.make(trust(world.backend, StringLike={"sts:ExternalId": ["*"]}))


def foreign_id(world: World) -> None:
    world.make(world.good_trust(str(world.target.external_id), f"id-of-witness{world.number}"))


def none_agreed(world: World) -> None:
    world.make(trust(world.backend))
    world.aim(external_id=None)


def whole_account(world: World) -> None:
    world.make(world.good_trust(principal=f"arn:aws:iam::{BACKEND}:root"), itself=READ_ITSELF)


def everybody(world: World) -> None:
    world.make(world.good_trust(principal="*"), itself=READ_ITSELF)


def written_policy_lacks_it(world: World) -> None:
    world.make()
    iam = world.rig.administrator(BACKEND)
    document_ = json.dumps(allow("sts:AssumeRole", resource=world.context.references[1].role_arn))
    iam.put_role_policy(RoleName=world.backend.rpartition("/")[2], PolicyName="assume", PolicyDocument=document_)
    named = document(json.loads(document_))
    world.give(backend=Access.of(Role(world.backend, None, {"assume": named}, existing=True)))


def written_module_is_old(world: World) -> None:
    world.make(world.good_trust("of-last-year"))
    written = Role(world.target.role_arn, document(world.good_trust("of-last-year")))
    world.give(output_access={world.target.role_arn: Access.of(written)})


def deployed_policy_lacks_it(world: World) -> None:
    world.make()
    policy = allow("sts:AssumeRole", resource=world.context.references[1].role_arn)
    policy["Statement"].append({"Effect": "Allow", "Action": list(READ_ITSELF), "Resource": world.backend})
    iam = world.rig.administrator(BACKEND)
    name = world.backend.rpartition("/")[2]
    iam.put_role_policy(RoleName=name, PolicyName="assume", PolicyDocument=json.dumps(policy))


def policy_not_applied(world: World) -> None:
    world.make()
    iam = world.rig.administrator(BACKEND)
    iam.delete_role_policy(RoleName=world.backend.rpartition("/")[2], PolicyName="assume")


def backend_made_anew(world: World) -> None:
    world.make()
    world.remake_backend()


def wrong_caller(world: World) -> None:
    world.make()
    world.call_as(world.rig.role(BACKEND, f"stranger{world.number}", service_trust(), assume=["sts:AssumeRole"]))


def no_tags(world: World) -> None:
    world.make()
    world.aim(session_tags=True)
    world.give(backend=None)


def no_source_identity(world: World) -> None:
    world.make()
    world.aim(source_identity=True)
    world.give(backend=None)


def invalid_credentials(world: World) -> None:
    world.make()
    own = world.context.assumer
    unknown = Credentials("ASIAUNKNOWNUNKNOWN12", "any", "any", world.rig.clock.now)
    world.give(assumer=replace(own, caller=replace(own.caller, credentials=unknown)))


def permission_missing(world: World) -> None:
    world.make()
    agreed = Role(world.target.role_arn, None, {"main": document(allow("ec2:DescribeInstances"))})
    options = replace(world.context.options, actions="sample", drift=False, outside_actions=0)
    world.give(intended={world.target.role_arn: Access.of(agreed)}, options=options)


def more_than_agreed(world: World) -> None:
    world.make(main=["*"])
    agreed = Role(world.target.role_arn, None, {"main": document(allow("ec2:DescribeInstances"))})
    options = replace(world.context.options, actions="sample", drift=False, outside_actions=2)
    world.give(intended={world.target.role_arn: Access.of(agreed)}, options=options)


def drifted(world: World) -> None:
    world.make(itself=READ_ITSELF, more=["sqs:ListQueues"])
    agreed = Role(world.target.role_arn, document(world.good_trust()), {"itself": document(allow(*READ_ITSELF))})
    world.give(intended={world.target.role_arn: Access.of(agreed)})


KNOWN: tuple[tuple[str, Callable[[World], None]], ...] = (
    ("retired-external-id", retired_id),
    ("no-external-id-condition", no_condition),
    ("external-id-optional", optional_id),
    ("any-external-id", any_id),
    ("foreign-external-id", foreign_id),
    ("no-external-id-agreed", none_agreed),
    ("trusts-whole-account", whole_account),
    ("trusts-everyone", everybody),
    ("backend-policy-lacks-role", written_policy_lacks_it),
    ("backend-policy-lacks-role", deployed_policy_lacks_it),
    ("module-not-current", written_module_is_old),
    ("wrong-caller", wrong_caller),
    ("session-tags-not-allowed", no_tags),
    ("session-tags-not-allowed", no_source_identity),
    ("permission-missing", permission_missing),
    ("more-than-agreed", more_than_agreed),
    ("drift", drifted),
)


@pytest.mark.parametrize(("cause", "spoil"), KNOWN, ids=lambda value: getattr(value, "__name__", None))
def test_certain_cause_is_the_only_one(world: World, cause: str, spoil: Callable[[World], None]) -> None:
    spoil(world)
    verdict = world.verdict()

    said = [(check.what, check.code, check.message) for check in verdict.checks if check.mark is not Mark.OK]
    own_faults = [line for line in world.rig.lines if "inside the sandbox" in line]

    assert ([cause], Mark.FAILED) == (causes(verdict), verdict.mark), (said, own_faults)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (role_missing, [*CUSTOMERS, "backend-policy-not-applied", "backend-role-recreated"]),
        (other_principal, [*CUSTOMERS, "backend-policy-not-applied", "backend-role-recreated"]),
        (external_id_differs, [*CUSTOMERS, "backend-policy-not-applied", "backend-role-recreated"]),
        (policy_not_applied, ["backend-policy-not-applied", "backend-role-recreated", "role-missing"]),
        (backend_made_anew, ["backend-role-recreated", "role-missing"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_indistinguishable_causes_are_ordered(world: World, spoil: Callable[[World], None], expected: list[str]) -> None:
    """AWS sends the same refusal; whether other customers' roles can be assumed decides which side comes first."""
    spoil(world)

    assert expected == causes(world.verdict())


def test_readable_backend_role_rules_out_vendor_causes(world: World) -> None:
    """If the deployed backend policy allows the call, it is not a candidate."""
    name = world.backend.rpartition("/")[2]
    policy = json.dumps(allow("sts:AssumeRole", *READ_ITSELF))
    world.rig.administrator(BACKEND).put_role_policy(RoleName=name, PolicyName="assume", PolicyDocument=policy)

    assert [*CUSTOMERS, "backend-role-recreated"] == causes(world.verdict())


def test_stale_principal_id_in_readable_trust_is_reported(world: World) -> None:
    """Drift includes the ID of the deleted backend role even if another statement trusts the new one."""
    gone = world.rig.role(BACKEND, f"gone{world.number}", service_trust())
    body = world.good_trust()
    body["Statement"] = [*body["Statement"], *world.good_trust(principal=gone)["Statement"]]
    world.make(body, itself=READ_ITSELF)
    world.rig.administrator(BACKEND).delete_role(RoleName=f"gone{world.number}")
    agreed = Role(world.target.role_arn, document(world.good_trust()), {"itself": document(allow(*READ_ITSELF))})
    world.give(intended={world.target.role_arn: Access.of(agreed)})

    assert ["backend-role-recreated", "drift"] == causes(world.verdict())


def test_trust_in_whole_account_is_not_checkable(world: World) -> None:
    """The backend role's own calls cannot detect it: the check is skipped, never ok."""
    world.make(world.good_trust(principal=f"arn:aws:iam::{BACKEND}:root"))

    assert Mark.SKIPPED is check_of(world.verdict(), Step.CONFIGURATION).mark


def test_second_caller_detects_trust_in_whole_account(world: World) -> None:
    world.make(world.good_trust(principal=f"arn:aws:iam::{BACKEND}:root"))
    own = world.context.assumer
    world.call_as(world.rig.role(BACKEND, f"second{world.number}", service_trust(), assume=["sts:AssumeRole"]))
    world.give(assumer=own, second_caller=world.context.assumer)
    verdict = world.verdict()

    assert (["trusts-whole-account"], Mark.FAILED) == (causes(verdict), verdict.mark)


def test_account_root_with_principal_arn_condition_is_ok(world: World) -> None:
    """It is equivalent to trusting only that role."""
    body = trust(
        f"arn:aws:iam::{BACKEND}:root",
        StringEquals={"sts:ExternalId": [world.target.external_id]},
        ArnEquals={"aws:PrincipalArn": world.backend},
    )

    assert Mark.OK is judge_trust(world.target, document(body)).mark


def test_invalid_vendor_credentials_end_the_verification(world: World) -> None:
    """An access key that AWS does not recognize is not an error of the customer."""
    invalid_credentials(world)
    with pytest.raises(CallerRejectedError):
        world.verdict()


def test_session_longer_than_role_maximum_is_diagnosed(world: World) -> None:
    """A caller that is not a role may request more than an hour; the role's maximum refuses it."""
    world.make()
    user = f"person{world.number}"
    arn, key = world.rig.user(BACKEND, user, "sts:AssumeRole")
    own = world.context.assumer
    keys = Credentials(key.access_key, key.secret, None, world.rig.clock.now)
    caller = replace(own.caller, arn=arn, credentials=keys)
    world.retrust(world.good_trust(principal=arn))
    world.aim(max_session_seconds=7200, backend_role_arn=arn)
    world.give(assumer=replace(own, caller=caller, session_seconds=7200))
    verdict = world.verdict()

    assert (["session-too-long"], Mark.FAILED) == (causes(verdict), verdict.mark)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (Check(Step.ASSUME, Mark.FAILED, "", "AccessDenied", f"{WHO}sts:TagSession on x"), "session-tags-not-allowed"),
        (Check(Step.ASSUME, Mark.FAILED, "", "PackedPolicyTooLarge", "x"), "unknown"),
        (Check(Step.IDENTITY, Mark.FAILED, "", evidence={"arn": "arn:aws:sts::9:assumed-role/a/b"}), "identity-differs"),
        (Check(Step.CONFIGURATION, Mark.FAILED, "user reena is in no group"), "configuration"),
        (Check(Step.GRANTED, Mark.INCONCLUSIVE, "", "SandboxUnsupported", "It does not offer this."), "sandbox-limit"),
        (Check(Step.GRANTED, Mark.UNREACHABLE, "", "", "EndpointConnectionError: no"), "network"),
        (Check(Step.GRANTED, Mark.INCONCLUSIVE, "", "SomethingNew", "no"), "unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_documented_aws_messages_are_diagnosed(world: World, check: Check, expected: str) -> None:
    """Policies that the sandbox does not support are detected by the phrases in the AWS documentation."""
    verdict = Verdict("acme", "customer", world.target.account_id, world.target.role_arn, (check,))

    assert expected == causes(diagnose(verdict, world.target, world.context))[0]


def test_messages_name_account_and_role_without_secrets(world: World) -> None:
    """The customer message has a greeting and thanks; neither message contains an external ID or a key."""
    verdict = world.verdict()
    diagnoses = verdict.diagnoses
    parts = [each.customer for each in diagnoses if each.customer]
    message = customer_message(verdict)
    own = world.context.assumer.caller.credentials.get_frozen_credentials()

    assert parts
    assert all(world.target.account_id in text and ROLE in text for text in parts)
    assert (1, 1) == (message.count("Hello,"), message.count("Thank you."))
    assert not [
        text
        for each in diagnoses
        for text in (each.vendor, each.customer, message)
        for secret in (own.secret_key, own.token, own.access_key, world.target.external_id)
        if str(secret) in text
    ]


def test_passing_role_is_not_diagnosed(world: World) -> None:
    """Only failures cause further calls."""
    world.make()
    world.give(references=())

    assert ((), Mark.OK) == (world.verdict().diagnoses, marks(world.verdict())[Step.ASSUME])


def test_causes_match_sections_of_the_documentation() -> None:
    sections = [
        line.removeprefix("### ").strip("`") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("### ")
    ]

    assert sorted(CAUSES) == sorted(sections)


def test_registered_cause_is_detected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cause registered with its detection function is used without a change to any other source file."""
    added = Cause(
        "{customer} has a guard: {detail}.",
        "please remove the guard from {role}.",
        detect=lambda check: [check.message] if "guard" in check.message else (),
    )
    monkeypatch.setitem(CAUSES, "guarded", added)
    failed = Check(Step.IDENTITY, Mark.FAILED, "Refused.", message="a guard answered", evidence={"arn": "other"})
    target = world.target
    verdict = Verdict(target.name, str(target.kind), target.account_id, target.role_arn, (failed,))

    found = {each.cause: each for each in diagnose(verdict, target, world.context).diagnoses}

    assert {"identity-differs", "guarded"} == set(found)
    assert f"{target.name} has a guard: a guard answered." == found["guarded"].vendor
    assert "please remove the guard" in customer_message(replace(verdict, diagnoses=(found["guarded"],)))
