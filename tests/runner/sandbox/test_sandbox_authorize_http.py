"""Authorization of session calls over HTTP: what reaches the simulated services, and how each service refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rolecall_runner.sandbox.sts.sts import SandboxCredentials
from sandbox_rig import Rig, outcome, running, trust

ACCOUNT = "222222222222"
KEYS = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
TABLE = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], **KEYS}
OBJECT = {"Bucket": "rehearsal", "Key": "a/b"}

# Service, method, parameters, and how the service refuses: code and HTTP status. The calls are independent.
PROBES: list[tuple[str, str, dict[str, Any], tuple[str, int]]] = [
    ("ec2", "describe_instances", {}, ("UnauthorizedOperation", 403)),
    ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16"}, ("UnauthorizedOperation", 403)),
    ("s3", "list_buckets", {}, ("AccessDenied", 403)),
    ("s3", "create_bucket", {"Bucket": "another"}, ("AccessDenied", 403)),
    ("s3", "put_object", {**OBJECT, "Body": b"hello"}, ("AccessDenied", 403)),
    ("s3", "get_object", OBJECT, ("AccessDenied", 403)),
    ("s3", "list_objects_v2", {"Bucket": "rehearsal"}, ("AccessDenied", 403)),
    ("s3", "head_object", OBJECT, ("403", 403)),
    ("iam", "list_roles", {}, ("AccessDenied", 403)),
    ("iam", "get_role", {"RoleName": "all"}, ("AccessDenied", 403)),
    ("dynamodb", "create_table", {"TableName": "others", **TABLE}, ("AccessDeniedException", 400)),
    ("dynamodb", "get_item", {"TableName": "jobs", "Key": {"id": {"S": "1"}}}, ("AccessDeniedException", 400)),
    ("lambda", "list_functions", {}, ("AccessDeniedException", 403)),
    ("rds", "describe_db_instances", {}, ("AccessDenied", 403)),
    ("sqs", "create_queue", {"QueueName": "jobs"}, ("AccessDenied", 400)),
    ("sns", "create_topic", {"Name": "news"}, ("AuthorizationError", 403)),
    ("kms", "create_key", {}, ("AccessDeniedException", 400)),
    ("secretsmanager", "create_secret", {"Name": "another", "SecretString": "x"}, ("AccessDeniedException", 400)),
    ("secretsmanager", "get_secret_value", {"SecretId": "db"}, ("AccessDeniedException", 400)),
    ("ssm", "put_parameter", {"Name": "/a/b", "Value": "x", "Type": "String"}, ("AccessDeniedException", 400)),
    ("route53", "list_hosted_zones", {}, ("AccessDenied", 403)),
]


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running() as rig:
        yield rig


@pytest.fixture(scope="module")
def keys(rig: Rig) -> tuple[SandboxCredentials, SandboxCredentials]:
    """Sessions of a role with all permissions and of one without any."""
    arn, user = rig.user(ACCOUNT, "ann", "sts:AssumeRole")
    roles = [rig.role(ACCOUNT, "all", trust(arn), main=["*"]), rig.role(ACCOUNT, "nothing", trust(arn))]
    everything, nothing = (rig.assume(user, role) for role in roles)
    rig.client("s3", everything).create_bucket(Bucket="rehearsal")
    rig.client("s3", everything).put_object(**OBJECT, Body=b"hello")
    rig.client("dynamodb", everything).create_table(TableName="jobs", **TABLE)
    rig.client("secretsmanager", everything).create_secret(Name="db", SecretString="x")
    return everything, nothing


def code_of(rig: Rig, credentials: SandboxCredentials, service: str, method: str, **parameters: Any) -> tuple[str, int]:
    return outcome(getattr(rig.client(service, credentials), method), **parameters)


@pytest.mark.parametrize(("service", "method", "parameters", "refusal"), PROBES, ids=[f"{p[0]}-{p[1]}" for p in PROBES])
def test_session_has_permissions_of_its_role(
    rig: Rig,
    keys: tuple[SandboxCredentials, SandboxCredentials],
    service: str,
    method: str,
    parameters: dict[str, Any],
    refusal: tuple[str, int],
) -> None:
    """The same call is refused in the format of the service, and succeeds for the role with permission."""
    everything, nothing = keys

    assert refusal == code_of(rig, nothing, service, method, **parameters)
    assert ("", 200) == code_of(rig, everything, service, method, **parameters)


def test_policy_change_applies_to_open_sessions(rig: Rig) -> None:
    """Both added and removed permissions."""
    arn, user = rig.user(ACCOUNT, "changing", "sts:AssumeRole")
    role = rig.role(ACCOUNT, "changed", trust(arn), main=["ec2:*"])
    session = rig.assume(user, role)
    before = code_of(rig, session, "ec2", "describe_vpcs")
    rig.administrator(ACCOUNT).delete_role_policy(RoleName="changed", PolicyName="main")

    assert ("", 200) == before
    assert ("UnauthorizedOperation", 403) == code_of(rig, session, "ec2", "describe_vpcs")


def test_dry_run_creates_nothing(rig: Rig, keys: tuple[SandboxCredentials, SandboxCredentials]) -> None:
    """A dry run of an allowed call returns 412, and one of a denied call the usual refusal."""
    dry = {"CidrBlock": "10.1.0.0/16", "DryRun": True}
    vpcs = rig.client("ec2", keys[0]).describe_vpcs
    before = len(vpcs()["Vpcs"])
    answer = code_of(rig, keys[0], "ec2", "create_vpc", **dry)

    assert ("DryRunOperation", 412) == answer
    assert ("UnauthorizedOperation", 403) == code_of(rig, keys[1], "ec2", "create_vpc", **dry)
    assert before == len(vpcs()["Vpcs"])


def test_cloudformation_is_refused(rig: Rig, keys: tuple[SandboxCredentials, SandboxCredentials]) -> None:
    """The sandbox has no CloudFormation, even for administrators; a caller without permission gets the usual refusal."""
    everything, nothing = keys
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "stacked", "AssumeRolePolicyDocument": trust("*")}}
    stack = {
        "StackName": "stack",
        "TemplateBody": json.dumps({"Resources": {"Role": role}}),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }

    assert ("AccessDenied", 403) == code_of(rig, nothing, "cloudformation", "create_stack", **stack)
    assert ("SandboxUnsupported", 501) == code_of(rig, everything, "cloudformation", "create_stack", **stack)
    assert ("SandboxUnsupported", 501) == code_of(rig, everything, "cloudformation", "list_stacks")
    assert ("SandboxUnsupported", 501) == outcome(rig.administrator(ACCOUNT, "cloudformation").create_stack, **stack)
    assert "stacked" not in {found["RoleName"] for found in rig.administrator(ACCOUNT).list_roles()["Roles"]}
