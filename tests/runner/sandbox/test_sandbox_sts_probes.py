"""AssumeRole over HTTP with boto3, one probe per rule: allowed, or refused with AWS's error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rolecall_runner.sandbox.sts.sts import SandboxCredentials
from sandbox_rig import Refused, Rig, allow, running, service_trust, statement_of, taken, trust

BACKEND, CUSTOMER = "111111111111", "222222222222"
ROOT = f"arn:aws:iam::{BACKEND}:root"
BACKEND_ROLE = f"arn:aws:iam::{BACKEND}:role/backend_role"
DEV, PLAIN = (f"arn:aws:iam::{BACKEND}:user/{name}" for name in ("dev", "plain"))
DEVICE = f"arn:aws:iam::{BACKEND}:mfa/dev"
ASSUME_TAG = ["sts:AssumeRole", "sts:TagSession"]
ASSUME_SOURCE = ["sts:AssumeRole", "sts:SetSourceIdentity"]
EXTERNAL = {"StringEquals": {"sts:ExternalId": "Customer-1"}}
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}

TRUSTS: dict[str, dict[str, Any]] = {
    "ext": trust(BACKEND_ROLE, **EXTERNAL),
    "rotating": trust(BACKEND_ROLE, StringEquals={"sts:ExternalId": ["old-one", "new-one"]}),
    "open": trust(BACKEND_ROLE, DEV, PLAIN),
    "by_root": trust(ROOT),
    "by_id": trust(BACKEND),
    "by_arn": trust(ROOT, ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{BACKEND}:role/backend_*"}),
    "by_account": trust("*", StringEquals={"aws:PrincipalAccount": BACKEND}),
    "by_session": trust(f"arn:aws:sts::{BACKEND}:assumed-role/backend_role/i-0123456789abcdef0"),
    "mfa": trust(DEV, **MFA),
    "mfa_if_exists": trust(DEV, BoolIfExists={"aws:MultiFactorAuthPresent": "true"}),
    "mfa_fresh": trust(DEV, NumericLessThan={"aws:MultiFactorAuthAge": "600"}),
    "anybody": trust("*"),
    "denied": {
        "Version": "2012-10-17",
        "Statement": [
            trust(ROOT)["Statement"][0],
            {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": BACKEND_ROLE}},
        ],
    },
    "tagged": trust(BACKEND_ROLE, DEV, action=ASSUME_TAG),
    "tag_condition": trust(BACKEND_ROLE, action=ASSUME_TAG, StringEquals={"aws:RequestTag/team": "blue"}),
    "by_principal_tag": trust(ROOT, action=ASSUME_SOURCE, StringEquals={"aws:PrincipalTag/team": "blue"}),
    "source": trust(BACKEND_ROLE, ROOT, action=ASSUME_SOURCE),
    "by_source": trust(ROOT, action=ASSUME_SOURCE, StringEquals={"sts:SourceIdentity": "reena"}),
    "session_name": trust(BACKEND_ROLE, StringLike={"sts:RoleSessionName": "night-*"}),
    "saml_only": trust(BACKEND_ROLE, action="sts:AssumeRoleWithSAML"),
    "service": service_trust(),
    "long": trust(BACKEND_ROLE, DEV),
    "region": trust(BACKEND_ROLE, StringEquals={"aws:RequestedRegion": "eu-west-1"}),
    "token_age": trust(ROOT, DateGreaterThan={"aws:TokenIssueTime": "2026-11-24T00:00:00Z"}),
    "address": trust(ROOT, IpAddress={"aws:SourceIp": "127.0.0.0/8"}),
    "office": trust(ROOT, IpAddress={"aws:SourceIp": "203.0.113.0/24"}),
    "until": trust(BACKEND_ROLE, DateLessThan={"aws:CurrentTime": "2026-11-24T12:30:00Z"}),
}


@dataclass
class World:
    """Accounts with every kind of trust policy, and the callers that try them."""

    rig: Rig
    backend: SandboxCredentials
    dev: SandboxCredentials
    plain: SandboxCredentials
    narrow: SandboxCredentials
    forbidden: SandboxCredentials
    dev_mfa: SandboxCredentials
    dev_session: SandboxCredentials
    hop: SandboxCredentials

    def try_role(self, who: SandboxCredentials, name: str, region: str = "us-east-1", **parameters: Any) -> Any:
        """Try a role of the customer, or one by its ARN."""
        arn = name if name.startswith("arn:") else f"arn:aws:iam::{CUSTOMER}:role/{name}"
        sts = self.rig.client("sts", who, region)
        return sts.assume_role(**{"RoleArn": arn, "RoleSessionName": "probe", **parameters})


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    everything = allow("sts:*")
    with running() as rig:
        rig.role(BACKEND, "backend_role", service_trust(), main=everything)
        _, dev = rig.user(BACKEND, "dev", "sts:*")
        _, plain = rig.user(BACKEND, "plain")
        _, narrow = rig.user(BACKEND, "narrow")
        _, forbidden = rig.user(BACKEND, "forbidden", "sts:*")
        iam = rig.administrator(BACKEND)
        only = allow("sts:AssumeRole", resource=f"arn:aws:iam::{CUSTOMER}:role/by_root")
        iam.put_user_policy(UserName="narrow", PolicyName="main", PolicyDocument=json.dumps(only))
        deny = statement_of(Effect="Deny", Action="sts:AssumeRole", Resource=f"arn:aws:iam::{CUSTOMER}:role/by_*")
        iam.put_user_policy(UserName="forbidden", PolicyName="deny", PolicyDocument=json.dumps(deny))
        iam.create_virtual_mfa_device(VirtualMFADeviceName="dev")
        iam.enable_mfa_device(
            UserName="dev", SerialNumber=DEVICE, AuthenticationCode1="123456", AuthenticationCode2="654321"
        )
        rig.role(BACKEND, "same_direct", trust(PLAIN))
        rig.role(BACKEND, "same_root", trust(ROOT))
        rig.role(BACKEND, "hop", trust(BACKEND_ROLE, action=[*ASSUME_TAG, "sts:SetSourceIdentity"]), main=everything)
        for name, body in TRUSTS.items():
            rig.role(CUSTOMER, name, body)
        rig.administrator(CUSTOMER).update_role(RoleName="long", MaxSessionDuration=7_200)
        sandbox = rig.sandbox
        backend = sandbox.instance_credentials(BACKEND_ROLE)
        yield World(
            rig,
            backend,
            dev,
            plain,
            narrow,
            forbidden,
            dev_mfa=sandbox.user_credentials(DEV, mfa=True),
            dev_session=sandbox.user_credentials(DEV),
            hop=rig.assume(
                backend,
                f"arn:aws:iam::{BACKEND}:role/hop",
                Tags=[{"Key": "team", "Value": "blue"}, {"Key": "own", "Value": "1"}],
                TransitiveTagKeys=["team"],
                SourceIdentity="reena",
            ),
        )


Attempt = Callable[[World], Any]


def attempt(who: str, role: str, **parameters: Any) -> Attempt:
    """Try a role as one of the callers of the world."""
    return lambda world: world.try_role(getattr(world, who), role, **parameters)


ALLOWED: dict[str, Attempt] = {
    "the right external id": attempt("backend", "ext", ExternalId="Customer-1"),
    "the old external id while it rotates": attempt("backend", "rotating", ExternalId="old-one"),
    "the new external id while it rotates": attempt("backend", "rotating", ExternalId="new-one"),
    "an external id that no one asks for": attempt("backend", "open", ExternalId="any"),
    "a principal named by its role": attempt("backend", "open"),
    "account root with an identity policy": attempt("narrow", "by_root"),
    "account id as principal": attempt("backend", "by_id"),
    "account root with aws:PrincipalArn": attempt("backend", "by_arn"),
    "a wildcard with aws:PrincipalAccount": attempt("backend", "by_account"),
    "one session named": attempt("backend", "by_session"),
    "same account, named, no identity policy": attempt("plain", f"arn:aws:iam::{BACKEND}:role/same_direct"),
    "same account, root, identity policy": attempt("dev", f"arn:aws:iam::{BACKEND}:role/same_root"),
    "MFA with the request": attempt("dev", "mfa", SerialNumber=DEVICE, TokenCode="123456"),
    "MFA of the sign-in": attempt("dev_mfa", "mfa"),
    "BoolIfExists lets long-term keys in": attempt("dev", "mfa_if_exists"),
    "a second factor that is fresh": attempt("dev", "mfa_fresh", SerialNumber=DEVICE, TokenCode="123456"),
    "anybody who may": attempt("dev", "anybody"),
    "tags with sts:TagSession": attempt("backend", "tagged", Tags=[{"Key": "team", "Value": "red"}]),
    "the tag that is asked for": attempt("backend", "tag_condition", Tags=[{"Key": "team", "Value": "blue"}]),
    "a session tag as aws:PrincipalTag": attempt("hop", "by_principal_tag"),
    "fifty tags": attempt("backend", "tagged", Tags=[{"Key": f"k{number}", "Value": "v"} for number in range(50)]),
    "a source identity": attempt("backend", "source", SourceIdentity="ravi"),
    "a source identity that is handed on": attempt("hop", "by_source"),
    "the session name asked for": attempt("backend", "session_name", RoleSessionName="night-run"),
    "the Region asked for": attempt("backend", "region", region="eu-west-1"),
    "a session that is young": attempt("backend", "token_age"),
    "the address asked for": attempt("backend", "address"),
    "before the end of a trust": attempt("backend", "until"),
    "900 seconds": attempt("dev", "long", DurationSeconds=900),
    "the role's own maximum": attempt("dev", "long", DurationSeconds=7_200),
    "one hour when chained": attempt("backend", "long", DurationSeconds=3_600),
    "a session policy": attempt("backend", "open", Policy=json.dumps(allow("s3:GetObject"))),
    "ten managed session policies": attempt("backend", "open",
        PolicyArns=[{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}] * 10),
    "an external id of 1,224 characters": attempt("backend", "open", ExternalId="x" * 1_224),
    "a session name of 64 characters": attempt("backend", "open", RoleSessionName="x" * 64),
}  # fmt: skip


@pytest.mark.parametrize("attempt", ALLOWED.values(), ids=ALLOWED)
def test_trusted_caller_gets_session(world: World, attempt: Attempt) -> None:
    """GetCallerIdentity with the credentials returns the role."""
    answer = attempt(world)

    user = answer["AssumedRoleUser"]["Arn"]
    assert user == world.rig.client("sts", taken(answer)).get_caller_identity()["Arn"]
    assert ":assumed-role/" in user


BARE = r"^User: arn:aws:\S+ is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/\S+$"


def refused(who: str, role: str, text: str = BARE, **parameters: Any) -> Refused:
    return Refused(attempt(who, role, **parameters), text)


def invalid(who: str, role: str, text: str, code: str = "ValidationError", **parameters: Any) -> Refused:
    return Refused(attempt(who, role, **parameters), text, code, 400)


REFUSED: dict[str, Refused] = {
    "no external id": refused("backend", "ext"),
    "another external id": refused("backend", "ext", ExternalId="Customer-2"),
    "an external id in other letters": refused("backend", "ext", ExternalId="customer-1"),
    "an external id that is out of use": refused("backend", "rotating", ExternalId="gone"),
    "a role that does not exist": refused("backend", "nobody"),
    "a role in an account that does not exist": refused("backend", "arn:aws:iam::999999999999:role/any",
        "not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::999999999999:role/any"),
    "a role by another path": refused("backend", f"arn:aws:iam::{CUSTOMER}:role/x/open", "x/open"),
    "another user": refused("narrow", "open"),
    "across accounts without an identity policy": refused("plain", "open"),
    "account root without an identity policy": refused("plain", "by_root"),
    "same account, root, no identity policy": refused("plain", f"arn:aws:iam::{BACKEND}:role/same_root",
        "sts:AssumeRole on resource"),
    "an identity policy for another role": refused("narrow", "by_id"),
    "an explicit deny of the identity": refused("forbidden", "by_root"),
    "an explicit deny of the trust": refused("backend", "denied"),
    "aws:PrincipalArn of another": refused("dev", "by_arn"),
    "another session than the named": refused("hop", "by_session", SourceIdentity="reena"),
    "Bool refuses long-term keys": refused("dev", "mfa"),
    "a session without MFA": refused("dev_session", "mfa"),
    "BoolIfExists refuses a session without MFA": refused("dev_session", "mfa_if_exists"),
    "no second factor has no age": refused("dev", "mfa_fresh"),
    "someone else's device": refused("plain", "open", "unable to validate MFA code", SerialNumber=DEVICE,
        TokenCode="123456"),
    "a device that does not exist": refused("dev", "mfa", "unable to validate MFA code", SerialNumber=DEVICE + "2",
        TokenCode="123456"),
    "a device without its code": refused("dev", "mfa", "must provide both MFA", SerialNumber=DEVICE),
    "a code without its device": refused("dev", "mfa", "must provide both MFA", TokenCode="123456"),
    "a role's session has no device": refused("backend", "open", "unable to validate MFA code", SerialNumber=DEVICE,
        TokenCode="123456"),
    "tags without sts:TagSession": refused("backend", "open", "perform: sts:TagSession on resource",
        Tags=[{"Key": "team", "Value": "red"}]),
    "another tag than asked for": refused("backend", "tag_condition", Tags=[{"Key": "team", "Value": "red"}]),
    "a principal without the tag": refused("backend", "by_principal_tag"),
    "a source identity without permission": refused("backend", "open", "perform: sts:SetSourceIdentity on resource",
        SourceIdentity="ravi"),
    "no source identity where one is asked for": refused("backend", "by_source"),
    "a source identity that changes in a chain": refused("hop", "source", "cannot be changed", SourceIdentity="ravi"),
    "a chain whose next role takes no source identity": refused("hop", "by_root",
        "perform: sts:SetSourceIdentity on resource"),
    "another session name": refused("backend", "session_name", RoleSessionName="day-run"),
    "a trust for SAML alone": refused("backend", "saml_only"),
    "a trust for a service alone": refused("backend", "service"),
    "a long-term key has no time of issue": refused("dev", "token_age"),
    "another address": refused("backend", "office"),
    "another Region": refused("backend", "region"),
    "the root user": Refused(lambda w: w.try_role(w.rig.sandbox.root_credentials(BACKEND), "by_root"),
        "^Roles may not be assumed by root accounts"),
    "899 seconds": invalid("dev", "long",
        "'899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900$",
        DurationSeconds=899),
    "more than 12 hours": invalid("dev", "long", "Member must have value less than or equal to 43200",
        DurationSeconds=43_201),
    "more than the role's maximum": invalid("dev", "long",
        "^The requested DurationSeconds exceeds the MaxSessionDuration set for this role.$", DurationSeconds=7_201),
    "more than one hour when chained": invalid("backend", "long",
        "^The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining$",
        DurationSeconds=3_601),
    "a session name of one character": invalid("backend", "open", "'roleSessionName' .* length greater than or equal to 2",
        RoleSessionName="x"),
    "a session name of 65 characters": invalid("backend", "open", "'roleSessionName' .* less than or equal to 64",
        RoleSessionName="x" * 65),
    "a session name with a space": invalid("backend", "open", r"regular expression pattern: \[\\w\+=,\.@-\]\*",
        RoleSessionName="a b"),
    "a session name beyond ASCII": invalid("backend", "open", "'roleSessionName' .* regular expression",
        RoleSessionName="rénée"),
    "no session name": Refused(lambda w: w.rig.client("sts", w.backend).assume_role(RoleArn=f"{ROOT}/x"),
        "must not be null", "ValidationError", 400),
    "an external id of one character": invalid("backend", "open", "'externalId' .* greater than or equal to 2",
        ExternalId="x"),
    "an external id of 1,225 characters": invalid("backend", "open", "'externalId' .* less than or equal to 1224",
        ExternalId="x" * 1_225),
    "an external id with a blank": invalid("backend", "open", "'externalId' .* regular expression pattern",
        ExternalId="a b"),
    "what is no ARN": invalid("backend", "arn:nothing-of-the-kind", "^Request ARN is invalid$"),
    "an account id of 11 digits": invalid("backend", "arn:aws:iam::12345678901:role/open", "is invalid$"),
    "a user's ARN": invalid("backend", DEV, "is invalid$"),
    "51 tags": invalid("backend", "tagged", "'tags' .* length less than or equal to 50",
        Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(51)]),
    "one tag twice": invalid("backend", "tagged", "Duplicate tag keys found", "InvalidParameterValue",
        Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]),
    "a transitive key without its tag": invalid("backend", "tagged", "transitive tag key must be included",
        "InvalidParameterValue", Tags=[{"Key": "a", "Value": "1"}], TransitiveTagKeys=["b"]),
    "a tag that the chain hands on": invalid("hop", "tagged",
        "conflicts with a transitive tag key from the calling session", "InvalidParameterValue",
        Tags=[{"Key": "Team", "Value": "red"}], SourceIdentity="reena"),
    "a session policy that is no JSON": invalid("backend", "open", "invalid Json", "MalformedPolicyDocument", Policy="{"),
    "a session policy with an effect that is none": invalid("backend", "open", "Invalid effect: Permit",
        "MalformedPolicyDocument", Policy=json.dumps(allow("s3:*")).replace("Allow", "Permit")),
    "a session policy with a principal": invalid("backend", "open", "principal", "MalformedPolicyDocument",
        Policy=json.dumps(trust(ROOT))),
    "a session policy of 2,049 characters": invalid("backend", "open", "'policy' .* length less than or equal to 2048",
        Policy=json.dumps(allow("s3:GetObject")).ljust(2_049)),
    "eleven managed session policies": invalid("backend", "open", "'policyArns' .* length less than or equal to 10",
        PolicyArns=[{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}] * 11),
    "a managed session policy that does not exist": invalid("backend", "open", "does not exist or is not attachable",
        "MalformedPolicyDocument", PolicyArns=[{"arn": f"arn:aws:iam::{CUSTOMER}:policy/none"}]),
}  # fmt: skip


@pytest.mark.parametrize("no", REFUSED.values(), ids=REFUSED)
def test_untrusted_caller_is_refused_as_by_aws(world: World, no: Refused) -> None:
    no.check(world)
