"""Which credentials the sandbox accepts, what a session may do, and when it expires."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from botocore.credentials import ContainerMetadataFetcher, ContainerProvider
from botocore.exceptions import ClientError

from rolecall_runner.sandbox.iam.iam_writes import Limits
from rolecall_runner.sandbox.protocol.aws_protocol import SandboxError
from rolecall_runner.sandbox.sts.sts import SandboxCredentials
from sandbox_rig import BACKEND, CUSTOMER, TARGET, VENDOR, Rig, allow, outcome, running, service_trust, status_of, trust


def refused(
    rig: Rig, credentials: SandboxCredentials, service: str = "sts", operation: str = "get_caller_identity"
) -> tuple[str, int]:
    """Code and HTTP status of a call."""
    return outcome(getattr(rig.client(service, credentials), operation))


def test_operator_is_administrator_of_every_account(rig: Rig) -> None:
    """Its role exists in every account and is not listed; an account exists from its first use."""
    identity = rig.administrator("333333333333", "sts").get_caller_identity()

    assert "arn:aws:sts::333333333333:assumed-role/OrganizationAccountAccessRole/rehearsal" == identity["Arn"]
    assert {VENDOR, CUSTOMER, "333333333333"} == rig.sandbox.accounts
    assert ["target"] == [role["RoleName"] for role in rig.administrator(CUSTOMER).list_roles()["Roles"]]


def test_operator_cannot_store_unsupported_policy(rig: Rig) -> None:
    """A bucket policy would be stored but not enforced, so it is refused."""
    s3 = rig.administrator(CUSTOMER, "s3")
    s3.create_bucket(Bucket="of-the-customer")
    policy = json.dumps(allow("s3:GetObject"))

    assert ("SandboxUnsupported", 501) == outcome(s3.put_bucket_policy, Bucket="of-the-customer", Policy=policy)


def test_operator_role_is_unavailable_to_others(rig: Rig) -> None:
    backend = rig.sandbox.instance_credentials(BACKEND)
    role = f"arn:aws:iam::{CUSTOMER}:role/OrganizationAccountAccessRole"

    assert ("AccessDenied", 403) == outcome(rig.assume, credentials=backend, role_arn=role)


def test_session_acts_in_account_of_its_role(rig: Rig) -> None:
    """Resources are created in that account and not in the caller's."""
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET)

    rig.client("s3", session).create_bucket(Bucket="of-the-customer")

    assert ["of-the-customer"] == [b["Name"] for b in rig.administrator(CUSTOMER, "s3").list_buckets()["Buckets"]]
    assert [] == rig.administrator(VENDOR, "s3").list_buckets()["Buckets"]


def test_session_policy_restricts_session_and_role_chaining(rig: Rig) -> None:
    """A call that the role allows and the session policy does not is refused, including AssumeRole."""
    backend = rig.sandbox.instance_credentials(BACKEND)
    rig.role(CUSTOMER, "next", trust(TARGET, f"arn:aws:iam::{CUSTOMER}:root"))
    narrow = rig.assume(backend, TARGET, Policy=json.dumps(allow("s3:*")))

    assert [] == rig.client("s3", narrow).list_buckets()["Buckets"]
    assert ("AccessDenied", 403) == refused(rig, narrow, "iam", "list_roles")
    assert ("AccessDenied", 403) == outcome(rig.assume, credentials=narrow, role_arn=f"arn:aws:iam::{CUSTOMER}:role/next")
    assert rig.assume(rig.assume(backend, TARGET), f"arn:aws:iam::{CUSTOMER}:role/next").session_token


def test_sessions_expire_by_the_clock(rig: Rig) -> None:
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET, DurationSeconds=900)

    rig.clock.forward(899)
    rig.client("sts", session).get_caller_identity()
    rig.clock.forward(1)

    assert ("ExpiredToken", 403) == refused(rig, session)
    assert ("ExpiredToken", 400) == refused(rig, session, "s3", "list_buckets")


def test_sessions_end_with_their_role(rig: Rig) -> None:
    """Credentials of a deleted role are invalid, even if another role has the same name."""
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET)
    iam = rig.administrator(CUSTOMER)
    iam.delete_role_policy(RoleName="target", PolicyName="main")
    iam.delete_role(RoleName="target")
    rig.role(CUSTOMER, "target", trust(BACKEND))

    assert ("InvalidClientTokenId", 403) == refused(rig, session)


def bad_credentials(rig: Rig) -> dict[str, tuple[SandboxCredentials, tuple[str, int]]]:
    """Credentials that must not work, with AWS's error."""
    good = rig.sandbox.instance_credentials(BACKEND)
    _, key = rig.user(VENDOR, "reena", "sts:*")
    unknown, mismatch = ("InvalidClientTokenId", 403), ("SignatureDoesNotMatch", 403)
    return {
        "a key that no one has": (SandboxCredentials("AKIAIOSFODNN7EXAMPLE", "x"), unknown),
        "another secret": (SandboxCredentials(key.access_key, "x" * 40), mismatch),
        "a session with another secret": (SandboxCredentials(good.access_key, "x", good.session_token), mismatch),
        "a session without its token": (SandboxCredentials(good.access_key, good.secret), unknown),
        "a session with another token": (SandboxCredentials(good.access_key, good.secret, "x"), unknown),
        "a long-term key with a token": (SandboxCredentials(key.access_key, key.secret, "x"), unknown),
    }


def test_credentials_are_checked_as_by_aws(rig: Rig) -> None:
    cases = bad_credentials(rig)

    assert {name: answer for name, (_, answer) in cases.items()} == {
        name: refused(rig, credentials) for name, (credentials, _) in cases.items()
    }


def test_inactive_key_is_refused(rig: Rig) -> None:
    _, key = rig.user(VENDOR, "reena", "sts:*")

    rig.client("sts", key).get_caller_identity()
    rig.administrator(VENDOR).update_access_key(UserName="reena", AccessKeyId=key.access_key, Status="Inactive")

    assert ("InvalidClientTokenId", 403) == refused(rig, key)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("assume_role_with_saml", {"RoleArn": TARGET, "PrincipalArn": TARGET, "SAMLAssertion": "x" * 10}),
        ("assume_role_with_web_identity", {"RoleArn": TARGET, "RoleSessionName": "probe", "WebIdentityToken": "xxxx"}),
        ("get_federation_token", {"Name": "probe"}),
        ("decode_authorization_message", {"EncodedMessage": "x"}),
    ],
)
def test_unsupported_operation_is_refused_by_name(rig: Rig, operation: str, parameters: dict[str, str]) -> None:
    _, key = rig.user(VENDOR, "reena", "sts:*")

    assert ("SandboxUnsupported", 501) == outcome(getattr(rig.client("sts", key), operation), **parameters)


def test_user_session_calls_iam_only_with_mfa(rig: Rig) -> None:
    """IAM rejects credentials of GetSessionToken without MFA."""
    arn, key = rig.user(VENDOR, "reena", "iam:ListRoles")
    without = rig.client("sts", key).get_session_token()["Credentials"]
    plain = SandboxCredentials(without["AccessKeyId"], without["SecretAccessKey"], without["SessionToken"])

    assert arn == rig.client("sts", plain).get_caller_identity()["Arn"]
    assert ("InvalidClientTokenId", 403) == refused(rig, plain, "iam", "list_roles")
    assert rig.client("iam", rig.sandbox.user_credentials(arn, mfa=True)).list_roles()["Roles"]
    assert ("AccessDenied", 403) == refused(rig, plain, "sts", "get_session_token")


def test_iam_user_calls_default_to_the_caller(rig: Rig) -> None:
    """With a key and with a session; a role has no default name."""
    arn, key = rig.user(VENDOR, "reena", "iam:*")

    for credentials in (key, rig.sandbox.user_credentials(arn, mfa=True)):
        iam = rig.client("iam", credentials)
        assert arn == iam.get_user()["User"]["Arn"]
        assert [key.access_key] == [one["AccessKeyId"] for one in iam.list_access_keys()["AccessKeyMetadata"]]
    with pytest.raises(ClientError, match="Must specify userName when calling with non-User credentials"):
        rig.administrator(VENDOR).get_user()


def test_get_access_key_info_requires_permission(rig: Rig) -> None:
    """It returns the account of users' and sessions' keys."""
    _, asking = rig.user(VENDOR, "reena", "sts:GetAccessKeyInfo")
    _, silent = rig.user(CUSTOMER, "ravi")
    sts = rig.client("sts", asking)
    session = rig.assume(rig.sandbox.instance_credentials(BACKEND), TARGET)

    accounts = [sts.get_access_key_info(AccessKeyId=key.access_key)["Account"] for key in (asking, silent, session)]

    assert [VENDOR, CUSTOMER, CUSTOMER] == accounts
    with pytest.raises(ClientError, match="AccessDenied"):
        rig.client("sts", silent).get_access_key_info(AccessKeyId=asking.access_key)


def test_credentials_are_invalid_in_another_partition(rig: Rig) -> None:
    """Keys of the commercial partition are unknown in China's Regions."""
    client = rig.client("sts", rig.sandbox.instance_credentials(BACKEND), "cn-north-1")

    assert ("InvalidClientTokenId", 403) == outcome(client.get_caller_identity)


def test_other_partition_has_its_own_arns() -> None:
    """In GovCloud all ARNs start with arn:aws-us-gov."""
    with running(region="us-gov-west-1") as rig:
        rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        arn = rig.role(CUSTOMER, "target", trust(BACKEND.replace("arn:aws:", "arn:aws-us-gov:")))
        backend = rig.sandbox.instance_credentials(BACKEND.replace("arn:aws:", "arn:aws-us-gov:"))
        sts = rig.client("sts", backend, "us-gov-west-1")

        answer = sts.assume_role(RoleArn=arn, RoleSessionName="probe")

    assert f"arn:aws-us-gov:sts::{CUSTOMER}:assumed-role/target/probe" == answer["AssumedRoleUser"]["Arn"]


def test_botocore_refreshes_container_credentials(rig: Rig) -> None:
    rig.clock.now = datetime.now(UTC)  # botocore compares the expiration with its own clock
    environment = dict(rig.sandbox.container_environment(BACKEND))
    found = ContainerProvider(environment, ContainerMetadataFetcher()).load().get_frozen_credentials()
    credentials = SandboxCredentials(found.access_key, found.secret_key, found.token)

    identity = rig.client("sts", credentials).get_caller_identity()
    stranger = status_of(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"], Authorization="x")

    assert f"arn:aws:sts::{VENDOR}:assumed-role/backend_role/i-0123456789abcdef0" == identity["Arn"]
    assert 403 == stranger


def test_credentials_of_missing_principal_are_error_with_hint(rig: Rig) -> None:
    for ask in (rig.sandbox.instance_credentials, rig.sandbox.container_environment, rig.sandbox.user_credentials):
        with pytest.raises(SandboxError, match="provision its account first"):
            ask(f"arn:aws:iam::{VENDOR}:role/nobody")


def test_raised_quotas_are_applied() -> None:
    with running(limits=Limits(role_managed_policies=12)) as rig:
        rig.role(VENDOR, "holder", service_trust())
        iam = rig.administrator(VENDOR)
        names = ["ReadOnlyAccess", "SecurityAudit", *(f"AWSLambda_{kind}" for kind in ("FullAccess", "ReadOnlyAccess"))]
        for number in range(12 - len(names)):
            made = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=json.dumps(allow("s3:GetObject")))
            iam.attach_role_policy(RoleName="holder", PolicyArn=made["Policy"]["Arn"])
        for name in names:
            iam.attach_role_policy(RoleName="holder", PolicyArn=f"arn:aws:iam::aws:policy/{name}")

        with pytest.raises(ClientError, match="PoliciesPerRole: 12"):
            iam.attach_role_policy(RoleName="holder", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
