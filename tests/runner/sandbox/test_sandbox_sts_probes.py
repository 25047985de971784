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

ALLOWED: dict[str, Attempt] = {
    "the right external id": lambda w: w.try_role(w.backend, "ext", ExternalId="Customer-1"),
    "the old external id while it rotates": lambda w: w.try_role(w.backend, "rotating", ExternalId="old-one"),
    "the new external id while it rotates": lambda w: w.try_role(w.backend, "rotating", ExternalId="new-one"),
    "an external id that no one asks for": lambda w: w.try_role(w.backend, "open", ExternalId="any"),
    "a principal named by its role": lambda w: w.try_role(w.backend, "open"),
    "account root with an identity policy": lambda w: w.try_role(w.narrow, "by_root"),
    "account id as principal": lambda w: w.try_role(w.backend, "by_id"),
    "account root with aws:PrincipalArn": lambda w: w.try_role(w.backend, "by_arn"),
    "a wildcard with aws:PrincipalAccount": lambda w: w.try_role(w.backend, "by_account"),
    "one session named": lambda w: w.try_role(w.backend, "by_session"),
    "same account, named, no identity policy": lambda w: w.try_role(w.plain, f"arn:aws:iam::{BACKEND}:role/same_direct"),
    "same account, root, identity policy": lambda w: w.try_role(w.dev, f"arn:aws:iam::{BACKEND}:role/same_root"),
    "MFA with the request": lambda w: w.try_role(w.dev, "mfa", SerialNumber=DEVICE, TokenCode="123456"),
    "MFA of the sign-in": lambda w: w.try_role(w.dev_mfa, "mfa"),
    "BoolIfExists lets long-term keys in": lambda w: w.try_role(w.dev, "mfa_if_exists"),
    "a second factor that is fresh": lambda w: w.try_role(w.dev, "mfa_fresh", SerialNumber=DEVICE, TokenCode="123456"),
    "anybody who may": lambda w: w.try_role(w.dev, "anybody"),
    "tags with sts:TagSession": lambda w: w.try_role(w.backend, "tagged", Tags=[{"Key": "team", "Value": "red"}]),
    "the tag that is asked for": lambda w: w.try_role(w.backend, "tag_condition", Tags=[{"Key": "team", "Value": "blue"}]),
    "a session tag as aws:PrincipalTag": lambda w: w.try_role(w.hop, "by_principal_tag"),
    "fifty tags": lambda w: w.try_role(
        w.backend, "tagged", Tags=[{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    ),
    "a source identity": lambda w: w.try_role(w.backend, "source", SourceIdentity="ravi"),
    "a source identity that is handed on": lambda w: w.try_role(w.hop, "by_source"),
    "the session name asked for": lambda w: w.try_role(w.backend, "session_name", RoleSessionName="night-run"),
    "the Region asked for": lambda w: w.try_role(w.backend, "region", region="eu-west-1"),
    "a session that is young": lambda w: w.try_role(w.backend, "token_age"),
    "the address asked for": lambda w: w.try_role(w.backend, "address"),
    "before the end of a trust": lambda w: w.try_role(w.backend, "until"),
    "900 seconds": lambda w: w.try_role(w.dev, "long", DurationSeconds=900),
    "the role's own maximum": lambda w: w.try_role(w.dev, "long", DurationSeconds=7_200),
    "one hour when chained": lambda w: w.try_role(w.backend, "long", DurationSeconds=3_600),
    "a session policy": lambda w: w.try_role(w.backend, "open", Policy=json.dumps(allow("s3:GetObject"))),
    "ten managed session policies": lambda w: w.try_role(
        w.backend, "open", PolicyArns=[{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}] * 10
    ),
    "an external id of 1,224 characters": lambda w: w.try_role(w.backend, "open", ExternalId="x" * 1_224),
    "a session name of 64 characters": lambda w: w.try_role(w.backend, "open", RoleSessionName="x" * 64),
}


@pytest.mark.parametrize("attempt", ALLOWED.values(), ids=ALLOWED)
def test_trusted_caller_gets_session(world: World, attempt: Attempt) -> None:
    """GetCallerIdentity with the credentials returns the role."""
    answer = attempt(world)

    user = answer["AssumedRoleUser"]["Arn"]
    assert user == world.rig.client("sts", taken(answer)).get_caller_identity()["Arn"]
    assert ":assumed-role/" in user


BARE = r"^User: arn:aws:\S+ is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/\S+$"


def bad(attempt: Attempt, text: str, code: str = "ValidationError") -> Refused:
    return Refused(attempt, text, code, 400)


REFUSED: dict[str, Refused] = {
    "no external id": Refused(lambda w: w.try_role(w.backend, "ext"), BARE),
    "another external id": Refused(lambda w: w.try_role(w.backend, "ext", ExternalId="Customer-2"), BARE),
    "an external id in other letters": Refused(lambda w: w.try_role(w.backend, "ext", ExternalId="customer-1"), BARE),
    "an external id that is out of use": Refused(lambda w: w.try_role(w.backend, "rotating", ExternalId="gone"), BARE),
    "a role that does not exist": Refused(lambda w: w.try_role(w.backend, "nobody"), BARE),
    "a role in an account that does not exist": Refused(
        lambda w: w.try_role(w.backend, "arn:aws:iam::999999999999:role/any"),
        "not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::999999999999:role/any",
    ),
    "a role by another path": Refused(lambda w: w.try_role(w.backend, f"arn:aws:iam::{CUSTOMER}:role/x/open"), "x/open"),
    "another user": Refused(lambda w: w.try_role(w.narrow, "open"), BARE),
    "across accounts without an identity policy": Refused(lambda w: w.try_role(w.plain, "open"), BARE),
    "account root without an identity policy": Refused(lambda w: w.try_role(w.plain, "by_root"), BARE),
    "same account, root, no identity policy": Refused(
        lambda w: w.try_role(w.plain, f"arn:aws:iam::{BACKEND}:role/same_root"), "sts:AssumeRole on resource"
    ),
    "an identity policy for another role": Refused(lambda w: w.try_role(w.narrow, "by_id"), BARE),
    "an explicit deny of the identity": Refused(lambda w: w.try_role(w.forbidden, "by_root"), BARE),
    "an explicit deny of the trust": Refused(lambda w: w.try_role(w.backend, "denied"), BARE),
    "aws:PrincipalArn of another": Refused(lambda w: w.try_role(w.dev, "by_arn"), BARE),
    "another session than the named": Refused(lambda w: w.try_role(w.hop, "by_session", SourceIdentity="reena"), BARE),
    "Bool refuses long-term keys": Refused(lambda w: w.try_role(w.dev, "mfa"), BARE),
    "a session without MFA": Refused(lambda w: w.try_role(w.dev_session, "mfa"), BARE),
    "BoolIfExists refuses a session without MFA": Refused(lambda w: w.try_role(w.dev_session, "mfa_if_exists"), BARE),
    "no second factor has no age": Refused(lambda w: w.try_role(w.dev, "mfa_fresh"), BARE),
    "someone else's device": Refused(
        lambda w: w.try_role(w.plain, "open", SerialNumber=DEVICE, TokenCode="123456"), "unable to validate MFA code"
    ),
    "a device that does not exist": Refused(
        lambda w: w.try_role(w.dev, "mfa", SerialNumber=DEVICE + "2", TokenCode="123456"), "unable to validate MFA code"
    ),
    "a device without its code": Refused(lambda w: w.try_role(w.dev, "mfa", SerialNumber=DEVICE), "must provide both MFA"),
    "a code without its device": Refused(lambda w: w.try_role(w.dev, "mfa", TokenCode="123456"), "must provide both MFA"),
    "a role's session has no device": Refused(
        lambda w: w.try_role(w.backend, "open", SerialNumber=DEVICE, TokenCode="123456"), "unable to validate MFA code"
    ),
    "tags without sts:TagSession": Refused(
        lambda w: w.try_role(w.backend, "open", Tags=[{"Key": "team", "Value": "red"}]),
        "perform: sts:TagSession on resource",
    ),
    "another tag than asked for": Refused(
        lambda w: w.try_role(w.backend, "tag_condition", Tags=[{"Key": "team", "Value": "red"}]), BARE
    ),
    "a principal without the tag": Refused(lambda w: w.try_role(w.backend, "by_principal_tag"), BARE),
    "a source identity without permission": Refused(
        lambda w: w.try_role(w.backend, "open", SourceIdentity="ravi"), "perform: sts:SetSourceIdentity on resource"
    ),
    "no source identity where one is asked for": Refused(lambda w: w.try_role(w.backend, "by_source"), BARE),
    "a source identity that changes in a chain": Refused(
        lambda w: w.try_role(w.hop, "source", SourceIdentity="ravi"), "cannot be changed"
    ),
    "a chain whose next role takes no source identity": Refused(
        lambda w: w.try_role(w.hop, "by_root"), "perform: sts:SetSourceIdentity on resource"
    ),
    "another session name": Refused(lambda w: w.try_role(w.backend, "session_name", RoleSessionName="day-run"), BARE),
    "a trust for SAML alone": Refused(lambda w: w.try_role(w.backend, "saml_only"), BARE),
    "a trust for a service alone": Refused(lambda w: w.try_role(w.backend, "service"), BARE),
    "a long-term key has no time of issue": Refused(lambda w: w.try_role(w.dev, "token_age"), BARE),
    "another address": Refused(lambda w: w.try_role(w.backend, "office"), BARE),
    "another Region": Refused(lambda w: w.try_role(w.backend, "region"), BARE),
    "the root user": Refused(
        lambda w: w.try_role(w.rig.sandbox.root_credentials(BACKEND), "by_root"),
        "^Roles may not be assumed by root accounts",
    ),
    "899 seconds": bad(
        lambda w: w.try_role(w.dev, "long", DurationSeconds=899),
        "'899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900$",
    ),
    "more than 12 hours": bad(
        lambda w: w.try_role(w.dev, "long", DurationSeconds=43_201), "Member must have value less than or equal to 43200"
    ),
    "more than the role's maximum": bad(
        lambda w: w.try_role(w.dev, "long", DurationSeconds=7_201),
        "^The requested DurationSeconds exceeds the MaxSessionDuration set for this role.$",
    ),
    "more than one hour when chained": bad(
        lambda w: w.try_role(w.backend, "long", DurationSeconds=3_601),
        "^The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining$",
    ),
    "a session name of one character": bad(
        lambda w: w.try_role(w.backend, "open", RoleSessionName="x"),
        "'roleSessionName' .* length greater than or equal to 2",
    ),
    "a session name of 65 characters": bad(
        lambda w: w.try_role(w.backend, "open", RoleSessionName="x" * 65), "'roleSessionName' .* less than or equal to 64"
    ),
    "a session name with a space": bad(
        lambda w: w.try_role(w.backend, "open", RoleSessionName="a b"), r"regular expression pattern: \[\\w\+=,\.@-\]\*"
    ),
    "a session name beyond ASCII": bad(
        lambda w: w.try_role(w.backend, "open", RoleSessionName="rénée"), "'roleSessionName' .* regular expression"
    ),
    "no session name": bad(
        lambda w: w.rig.client("sts", w.backend).assume_role(RoleArn=f"arn:aws:iam::{CUSTOMER}:role/open"),
        "must not be null",
    ),
    "an external id of one character": bad(
        lambda w: w.try_role(w.backend, "open", ExternalId="x"), "'externalId' .* greater than or equal to 2"
    ),
    "an external id of 1,225 characters": bad(
        lambda w: w.try_role(w.backend, "open", ExternalId="x" * 1_225), "'externalId' .* less than or equal to 1224"
    ),
    "an external id with a blank": bad(
        lambda w: w.try_role(w.backend, "open", ExternalId="a b"), "'externalId' .* regular expression pattern"
    ),
    "what is no ARN": bad(lambda w: w.try_role(w.backend, "arn:nothing-of-the-kind"), "^Request ARN is invalid$"),
    "an account id of 11 digits": bad(lambda w: w.try_role(w.backend, "arn:aws:iam::12345678901:role/open"), "is invalid$"),
    "a user's ARN": bad(lambda w: w.try_role(w.backend, DEV), "is invalid$"),
    "51 tags": bad(
        lambda w: w.try_role(w.backend, "tagged", Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(51)]),
        "'tags' .* length less than or equal to 50",
    ),
    "one tag twice": bad(
        lambda w: w.try_role(w.backend, "tagged", Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]),
        "Duplicate tag keys found",
        "InvalidParameterValue",
    ),
    "a transitive key without its tag": bad(
        lambda w: w.try_role(w.backend, "tagged", Tags=[{"Key": "a", "Value": "1"}], TransitiveTagKeys=["b"]),
        "transitive tag key must be included",
        "InvalidParameterValue",
    ),
    "a tag that the chain hands on": bad(
        lambda w: w.try_role(w.hop, "tagged", Tags=[{"Key": "Team", "Value": "red"}], SourceIdentity="reena"),
        "conflicts with a transitive tag key from the calling session",
        "InvalidParameterValue",
    ),
    "a session policy that is no JSON": bad(
        lambda w: w.try_role(w.backend, "open", Policy="{"), "invalid Json", "MalformedPolicyDocument"
    ),
    "a session policy with an effect that is none": bad(
        lambda w: w.try_role(w.backend, "open", Policy=json.dumps(allow("s3:*")).replace("Allow", "Permit")),
        "Invalid effect: Permit",
        "MalformedPolicyDocument",
    ),
    "a session policy with a principal": bad(
        lambda w: w.try_role(w.backend, "open", Policy=json.dumps(trust(ROOT))), "principal", "MalformedPolicyDocument"
    ),
    "a session policy of 2,049 characters": bad(
        lambda w: w.try_role(w.backend, "open", Policy=json.dumps(allow("s3:GetObject")).ljust(2_049)),
        "'policy' .* length less than or equal to 2048",
    ),
    "eleven managed session policies": bad(
        lambda w: w.try_role(w.backend, "open", PolicyArns=[{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}] * 11),
        "'policyArns' .* length less than or equal to 10",
    ),
    "a managed session policy that does not exist": bad(
        lambda w: w.try_role(w.backend, "open", PolicyArns=[{"arn": f"arn:aws:iam::{CUSTOMER}:policy/none"}]),
        "does not exist or is not attachable",
        "MalformedPolicyDocument",
    ),
}


@pytest.mark.parametrize("no", REFUSED.values(), ids=REFUSED)
def test_untrusted_caller_is_refused_as_by_aws(world: World, no: Refused) -> None:
    """Code, HTTP status and message are AWS's."""
    no.check(world)
