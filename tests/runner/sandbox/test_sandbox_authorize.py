"""Authorization of session calls: a table of decisions for requests sent by boto3, and calls over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rolecall_generator.iam.evaluation.evaluator import Evaluator
from rolecall_generator.iam.model import Access, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_runner.sandbox.authorization.authorizer import AuthorizationVerdict, Authorizer
from rolecall_runner.sandbox.protocol.aws_protocol import ApiCall, ErrorCategory, SessionInfo
from rolecall_runner.sandbox.server.server import read_call
from rolecall_runner.sandbox.sts.sts import SandboxCredentials
from sandbox_requests import caught
from sandbox_rig import Rig, outcome, running, trust

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ACCOUNT = "222222222222"
IAM = f"arn:aws:iam::{ACCOUNT}:"
ROLE, SESSION = f"{IAM}role/vendor/reader", f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/roll"
USER, GROUP, BOUNDARY = f"{IAM}user/ann", f"{IAM}group/readers", f"{IAM}policy/bound"
EC2_ARN = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:"
BUCKET = "arn:aws:s3:::my-bucket"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:"

Statement = dict[str, Any]
Call = tuple[str, str, dict[str, Any]]

INSTANCES: Call = ("ec2", "describe_instances", {})
START: Call = ("ec2", "start_instances", {"InstanceIds": ["i-1", "i-2"]})
RUN: Call = ("ec2", "run_instances", {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"})
RUN_TAGGED: Call = (
    "ec2",
    "run_instances",
    {**RUN[2], "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "red"}]}]},
)
GET: Call = ("s3", "get_object", {"Bucket": "my-bucket", "Key": "a/b"})
PUT: Call = ("s3", "put_object", {"Bucket": "my-bucket", "Key": "a/b", "Body": b"x"})
COPY: Call = ("s3", "copy_object", {"Bucket": "my-bucket", "Key": "a/b", "CopySource": "other/secret"})
DELETE_TWO: Call = ("s3", "delete_objects", {"Bucket": "my-bucket", "Delete": {"Objects": [{"Key": "a"}, {"Key": "b"}]}})
LIST: Call = ("s3", "list_objects_v2", {"Bucket": "my-bucket", "Prefix": "home/ann/"})
BUCKETS: Call = ("s3", "list_buckets", {})
GET_ROLE: Call = ("iam", "get_role", {"RoleName": "reader"})
GET_SELF: Call = ("iam", "get_user", {})
READ_SECRET: Call = ("secretsmanager", "get_secret_value", {"SecretId": "db"})
DECRYPT: Call = ("kms", "decrypt", {"CiphertextBlob": b"x"})
TABLE: Call = ("dynamodb", "get_item", {"TableName": "t", "Key": {"id": {"S": "1"}}})
FUNCTION: Call = (
    "lambda",
    "create_function",
    {"FunctionName": "f", "Role": ROLE, "Code": {"ZipFile": b"x"}, "Handler": "h", "Runtime": "python3.12"},
)
DATABASES: Call = ("rds", "describe_db_instances", {})


def allow(actions: str | list[str], resources: str | list[str] = "*", **conditions: Any) -> Statement:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **({"Condition": conditions} if conditions else {})}


def deny(actions: str | list[str], resources: str | list[str] = "*", **conditions: Any) -> Statement:
    return {**allow(actions, resources, **conditions), "Effect": "Deny"}


def document(*statements: Statement) -> PolicyDocument:
    return PolicyDocument.from_json({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass(frozen=True)
class Case:
    """One row: policies, call, and expected decision (a part of the message, empty when allowed)."""

    name: str
    call: Call
    identity: tuple[Statement, ...]
    expected: str
    boundary: tuple[Statement, ...] | None = None
    session: tuple[Statement, ...] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    error: ErrorCategory = ErrorCategory.DENIED


IDENTITY_SILENT = "because no identity-based policy allows the {} action"
BOUNDARY_SILENT = "because no permissions boundary allows the {} action"
SESSION_SILENT = "because no session policy allows the {} action"
UNDECIDED = ErrorCategory.UNSUPPORTED

CASES = [
    # Actions and resources.
    Case("nothing allows", INSTANCES, (), IDENTITY_SILENT.format("ec2:DescribeInstances")),
    Case("the action is allowed", INSTANCES, (allow("ec2:DescribeInstances"),), ""),
    Case("a wildcard covers it", INSTANCES, (allow("ec2:Describe*"),), ""),
    Case("case does not matter", INSTANCES, (allow("EC2:describeinstances"),), ""),
    Case("another action", INSTANCES, (allow("ec2:DescribeVpcs"),), IDENTITY_SILENT.format("ec2:DescribeInstances")),
    Case("another service", INSTANCES, (allow("s3:*"),), IDENTITY_SILENT.format("ec2:DescribeInstances")),
    Case("a list action on one ARN", INSTANCES, (allow("ec2:*", f"{EC2_ARN}instance/*"),),
         IDENTITY_SILENT.format("ec2:DescribeInstances")),
    Case("NotAction covers it", INSTANCES,
         ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},), ""),
    Case("NotAction leaves it out", GET_ROLE, ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},),
         IDENTITY_SILENT.format("iam:GetRole")),
    Case("every resource is allowed", START, (allow("ec2:StartInstances", f"{EC2_ARN}instance/*"),), ""),
    Case("one of two resources is not", START, (allow("ec2:StartInstances", f"{EC2_ARN}instance/i-1"),),
         f"on resource: {EC2_ARN}instance/i-2 because no identity-based policy"),
    Case("another account's ARN", START, (allow("ec2:StartInstances", "arn:aws:ec2:*:333333333333:instance/*"),),
         IDENTITY_SILENT.format("ec2:StartInstances")),
    Case("an object in the bucket", GET, (allow("s3:GetObject", f"{BUCKET}/*"),), ""),
    Case("the bucket is not its objects", GET, (allow("s3:GetObject", BUCKET),), IDENTITY_SILENT.format("s3:GetObject")),
    Case("another prefix", GET, (allow("s3:GetObject", f"{BUCKET}/c/*"),), f'on resource: "{BUCKET}/a/b"'),
    Case("listing all buckets has a name of its own", BUCKETS, (allow("s3:ListAllMyBuckets"),), ""),
    Case("ListBuckets is no action", BUCKETS, (allow("s3:ListBuckets"),), IDENTITY_SILENT.format("s3:ListAllMyBuckets")),
    Case("writing needs more than reading", PUT, (allow("s3:GetObject"),), IDENTITY_SILENT.format("s3:PutObject")),
    Case("a copy reads its source", COPY, (allow("s3:PutObject"),), IDENTITY_SILENT.format("s3:GetObject")),
    Case("a copy with its source", COPY, (allow(["s3:PutObject", "s3:GetObject"]),), ""),
    Case("each of many objects", DELETE_TWO, (allow("s3:DeleteObject", f"{BUCKET}/a"),), f'"{BUCKET}/b"'),
    Case("a role by its path", GET_ROLE, (allow("iam:GetRole", f"{IAM}role/vendor/*"),), ""),
    Case("a role by a wrong path", GET_ROLE, (allow("iam:GetRole", f"{IAM}role/reader"),), f"on resource: {ROLE}"),
    Case("all databases", DATABASES, (allow("rds:DescribeDBInstances", f"arn:aws:rds:*:{ACCOUNT}:db:*"),), ""),
    Case("one database is not all", DATABASES, (allow("rds:DescribeDBInstances", f"arn:aws:rds:*:{ACCOUNT}:db:one"),),
         IDENTITY_SILENT.format("rds:DescribeDBInstances")),
    # Denies.
    Case("deny wins", INSTANCES, (allow("*"), deny("ec2:*")), "with an explicit deny in an identity-based policy"),
    Case("deny on another resource", GET, (allow("s3:*"), deny("s3:*", f"{BUCKET}/secret/*")), ""),
    Case("deny with NotAction", INSTANCES, (allow("*"), {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}),
         "with an explicit deny in an identity-based policy"),
    Case("deny without any allow", INSTANCES, (deny("*"),), "with an explicit deny in an identity-based policy"),
    # Permissions boundary.
    Case("the boundary allows too", INSTANCES, (allow("*"),), "", boundary=(allow("ec2:*"),)),
    Case("the boundary is silent", INSTANCES, (allow("*"),), BOUNDARY_SILENT.format("ec2:DescribeInstances"),
         boundary=(allow("s3:*"),)),
    Case("a boundary gives nothing", INSTANCES, (), IDENTITY_SILENT.format("ec2:DescribeInstances"),
         boundary=(allow("*"),)),
    Case("the boundary denies", INSTANCES, (allow("*"),), "with an explicit deny in a permissions boundary",
         boundary=(allow("*"), deny("ec2:*"))),
    # Session policies.
    Case("the session policy allows too", INSTANCES, (allow("*"),), "", session=(allow("ec2:Describe*"),)),
    Case("the session policy is silent", INSTANCES, (allow("*"),), SESSION_SILENT.format("ec2:DescribeInstances"),
         session=(allow("s3:*"),)),
    Case("a session policy gives nothing", INSTANCES, (), IDENTITY_SILENT.format("ec2:DescribeInstances"),
         session=(allow("*"),)),
    Case("the session policy denies", INSTANCES, (allow("*"),), "with an explicit deny in a session policy",
         session=(allow("*"), deny("ec2:*"))),
    Case("three kinds together", GET, (allow("s3:*"),), "", boundary=(allow("s3:Get*"),),
         session=(allow("*", f"{BUCKET}/a/*"),)),
    # Conditions.
    Case("the Region is right", INSTANCES, (allow("ec2:*", StringEquals={"aws:RequestedRegion": "eu-west-1"}),), ""),
    Case("the Region is wrong", INSTANCES, (allow("ec2:*", StringEquals={"aws:RequestedRegion": "us-east-1"}),),
         IDENTITY_SILENT.format("ec2:DescribeInstances")),
    Case("deny outside Regions", INSTANCES,
         (allow("*"), deny("*", StringNotEquals={"aws:RequestedRegion": ["us-east-1"]})), "with an explicit deny"),
    Case("the address is loopback", INSTANCES, (allow("*", IpAddress={"aws:SourceIp": "127.0.0.0/8"}),), ""),
    Case("the address is another", INSTANCES, (allow("*", IpAddress={"aws:SourceIp": "203.0.113.0/24"}),),
         IDENTITY_SILENT.format("ec2:DescribeInstances")),
    Case("the caller says its address", INSTANCES, (allow("*", IpAddress={"aws:SourceIp": "203.0.113.0/24"}),), "",
         headers={"x-forwarded-for": "203.0.113.9"}),
    Case("transport is secure", GET, (allow("*"), deny("*", Bool={"aws:SecureTransport": "false"})), ""),
    Case("a session tag", GET, (allow("*", StringEquals={"aws:PrincipalTag/team": "red"}),), "",
         info={"tags": {"team": "red"}}),
    Case("a session tag beats the role's", GET, (allow("*", StringEquals={"aws:PrincipalTag/team": "blue"}),),
         IDENTITY_SILENT.format("s3:GetObject"), info={"tags": {"team": "red"}}),
    Case("the role's tag", GET, (allow("*", StringEquals={"aws:PrincipalTag/team": "blue"}),), ""),
    Case("a tag in a resource", GET, (allow("s3:GetObject", f"{BUCKET}/${{aws:PrincipalTag/home}}/*"),), "",
         info={"tags": {"home": "a"}}),
    Case("the prefix is right", LIST, (allow("s3:ListBucket", BUCKET, StringLike={"s3:prefix": "home/ann/*"}),), ""),
    Case("the prefix is wrong", LIST, (allow("s3:ListBucket", BUCKET, StringLike={"s3:prefix": "home/bob/*"}),),
         IDENTITY_SILENT.format("s3:ListBucket")),
    Case("encryption is demanded", PUT,
         (allow("*"), deny("s3:PutObject", Null={"s3:x-amz-server-side-encryption": "true"})), "with an explicit deny"),
    Case("MFA is there", GET, (allow("*", Bool={"aws:MultiFactorAuthPresent": "true"}),), "", info={"mfa": True}),
    Case("MFA is not there", GET, (allow("*", Bool={"aws:MultiFactorAuthPresent": "true"}),),
         IDENTITY_SILENT.format("s3:GetObject")),
    Case("MFA is too old", GET, (allow("*", NumericLessThan={"aws:MultiFactorAuthAge": "300"}),),
         IDENTITY_SILENT.format("s3:GetObject"), info={"mfa": True, "mfa_at": NOW - timedelta(seconds=301)}),
    Case("the time is within", GET, (allow("*", DateLessThan={"aws:CurrentTime": "2026-12-01T00:00:00Z"}),), ""),
    Case("the time is over", GET, (allow("*", DateLessThan={"aws:CurrentTime": "2026-11-01T00:00:00Z"}),),
         IDENTITY_SILENT.format("s3:GetObject")),
    Case("the source identity", GET, (allow("*", StringEquals={"aws:SourceIdentity": "ann"}),), "",
         info={"source_identity": "ann"}),
    Case("a revoked session", GET, (allow("*"), deny("*", DateLessThan={"aws:TokenIssueTime": "2026-11-24T11:30:00Z"})),
         "with an explicit deny", info={"issued": NOW - timedelta(hours=1)}),
    Case("the role as principal", GET, (allow("*", ArnEquals={"aws:PrincipalArn": ROLE}),), ""),
    Case("an organisation is not there", GET, (allow("*", StringEquals={"aws:PrincipalOrgID": "o-1"}),),
         IDENTITY_SILENT.format("s3:GetObject")),
    Case("the instance type is right", RUN, (allow("ec2:*", StringEqualsIfExists={"ec2:InstanceType": "t3.micro"}),), ""),
    Case("the instance type is wrong", RUN,
         (allow("ec2:*"), deny("ec2:RunInstances", StringNotEquals={"ec2:InstanceType": "t3.nano"})),
         "with an explicit deny"),
    # Companion actions.
    Case("tags need a permission of their own", RUN_TAGGED, (allow("ec2:RunInstances"),),
         IDENTITY_SILENT.format("ec2:CreateTags")),
    Case("tags at creation alone", RUN_TAGGED,
         (allow("ec2:RunInstances"), allow("ec2:CreateTags", StringEquals={"ec2:CreateAction": "RunInstances"})), ""),
    Case("a tag of the request", RUN_TAGGED, (allow("ec2:*", StringEquals={"aws:RequestTag/team": "red"}),), ""),
    Case("a wrong tag of the request", RUN_TAGGED, (allow("ec2:*", StringEquals={"aws:RequestTag/team": "blue"}),),
         IDENTITY_SILENT.format("ec2:RunInstances")),
    Case("a role is not passed", FUNCTION, (allow("lambda:*"),), IDENTITY_SILENT.format("iam:PassRole")),
    Case("a role is passed", FUNCTION, (allow("lambda:*"), allow("iam:PassRole", ROLE)), ""),
    Case("a role is passed to another service", FUNCTION,
         (allow("lambda:*"), allow("iam:PassRole", StringEquals={"iam:PassedToService": "ec2.amazonaws.com"})),
         IDENTITY_SILENT.format("iam:PassRole")),
    # Undecidable cases.
    Case("a tag of the resource is not known", START, (allow("ec2:*", StringEquals={"aws:ResourceTag/team": "red"}),),
         "the value of aws:resourcetag/team is not known", error=UNDECIDED),
    Case("a deny on a tag of the resource", START,
         (allow("ec2:*"), deny("ec2:*", StringEquals={"ec2:ResourceTag/prod": "yes"})), "ec2:resourcetag/prod",
         error=UNDECIDED),
    Case("a role's tag is known", GET_ROLE, (allow("iam:*", StringEquals={"aws:ResourceTag/team": "blue"}),), ""),
    Case("a role has another tag", GET_ROLE, (allow("iam:*", StringEquals={"iam:ResourceTag/team": "red"}),),
         IDENTITY_SILENT.format("iam:GetRole")),
    Case("a role has no such tag", GET_ROLE, (allow("*"), deny("*", Null={"aws:ResourceTag/owner": "true"})),
         "with an explicit deny"),
    Case("a key that the action never carries", INSTANCES,
         (allow("ec2:*"), deny("ec2:*", StringEquals={"aws:ResourceTag/team": "red"})), ""),
    Case("a bucket's owner is not known", GET, (allow("*", StringEquals={"aws:ResourceAccount": ACCOUNT}),),
         "aws:resourceaccount", error=UNDECIDED),
    Case("an ARN's owner is known", TABLE, (allow("*", StringEquals={"aws:ResourceAccount": ACCOUNT}),), ""),
    Case("a key that is not told, all allowed", DECRYPT, (allow("kms:Decrypt"),), ""),
    Case("a key that is not told, one allowed", DECRYPT, (allow("kms:Decrypt", f"arn:aws:kms:*:{ACCOUNT}:key/1"),),
         "the request does not determine the resource", error=UNDECIDED),
    Case("a key that is not told, one denied", DECRYPT, (allow("*"), deny("kms:*", f"arn:aws:kms:*:{ACCOUNT}:key/1")),
         "the request does not determine the resource", error=UNDECIDED),
    Case("a secret by a pattern", READ_SECRET, (allow("secretsmanager:*", f"{SECRET}db-*"),), ""),
    Case("a secret by its full ARN", READ_SECRET, (allow("secretsmanager:*", f"{SECRET}db-AbCdEf"),),
         "full ARN", error=UNDECIDED),
    Case("a secret that may be denied", READ_SECRET, (allow("*"), deny("*", f"{SECRET}db-AbCdEf")), "full ARN",
         error=UNDECIDED),
    Case("an unknown operator", GET, (allow("*"), deny("*", StringResembles={"aws:UserAgent": "x"})),
         "unknown condition operator", error=UNDECIDED),
    Case("a bucket policy is not enforced", ("s3", "put_bucket_policy", {"Bucket": "my-bucket", "Policy": "{}"}),
         (allow("*"),), "does not enforce policies on buckets", error=UNDECIDED),
]  # fmt: skip


def read(call: Call, headers: Mapping[str, str] | None = None) -> ApiCall:
    request = caught(*call)
    found = read_call(type(request)(request.method, request.path, request.query,
                                    {**request.headers, **(headers or {})}, request.body, request.host))  # fmt: skip
    assert isinstance(found, ApiCall), found.body
    return found


def decide(call: ApiCall, session: SessionInfo, access: Access) -> AuthorizationVerdict:
    return Authorizer(access, Evaluator(access)).decide(call, session, NOW)


def session_of(case: Case) -> SessionInfo:
    policies = (document(*case.session),) if case.session is not None else ()
    return SessionInfo("ASIAEXAMPLE", "s", "t", ACCOUNT, SESSION, "AROA1:roll", ROLE, session_policies=policies, **case.info)


def access_for(case: Case) -> Access:
    boundary = None if case.boundary is None else BOUNDARY
    role = Role(ROLE, None, {"own": document(*case.identity)}, boundary=boundary, tags={"team": "blue"})
    bound = () if case.boundary is None else (ManagedPolicy(BOUNDARY, document(*case.boundary)),)
    return Access.of(role, *bound)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_decision_matches_the_table(case: Case) -> None:
    verdict = decide(read(case.call, case.headers), session_of(case), access_for(case))

    assert (None if not case.expected else case.error) == verdict.error, verdict.message
    assert case.expected in verdict.message


PLAIN = [case for case in CASES if case.boundary is None and case.session is None]


@pytest.mark.parametrize("case", PLAIN, ids=[case.name for case in PLAIN])
def test_boundary_and_session_policy_only_restrict(case: Case) -> None:
    """With Allow on everything they change nothing; with Deny on everything nothing is allowed."""
    call, wide, closed = read(case.call, case.headers), (allow("*"),), (allow("*"), deny("*"))

    def error(row: Case) -> ErrorCategory | None:
        return decide(call, session_of(row), access_for(row)).error

    assert {error(case)} == {error(replace(case, boundary=wide)), error(replace(case, session=wide))}
    assert None not in {error(replace(case, boundary=closed)), error(replace(case, session=closed))}


def decide_for_user(access: Access, call: Call = INSTANCES, **info: Any) -> AuthorizationVerdict:
    session = SessionInfo("AKIAEXAMPLE", "s", None, ACCOUNT, USER, "AIDA1", **info)
    return decide(read(call), session, access)


def test_user_has_permissions_of_its_groups() -> None:
    user = User(USER, frozenset({GROUP}))
    may = Access.of(user, Group(GROUP, {"g": document(allow("ec2:*"))}))
    may_not = Access.of(
        User(USER, frozenset({GROUP}), {"u": document(allow("*"))}), Group(GROUP, {"g": document(deny("*"))})
    )

    assert decide_for_user(may).allowed
    assert "explicit deny in an identity-based policy" in decide_for_user(may_not).message


def test_get_user_without_name_uses_arn_of_caller() -> None:
    access = Access.of(User(USER, inline={"u": document(allow("iam:GetUser", f"{IAM}user/${{aws:username}}"))}))

    assert decide_for_user(access, GET_SELF).allowed


def test_long_term_keys_have_no_mfa_condition_key() -> None:
    """Bool on MFA refuses long-term keys, BoolIfExists allows them."""
    strict = Access.of(User(USER, inline={"u": document(allow("*", Bool={"aws:MultiFactorAuthPresent": "true"}))}))
    loose = Access.of(User(USER, inline={"u": document(allow("*", BoolIfExists={"aws:MultiFactorAuthPresent": "true"}))}))

    assert [False, True] == [decide_for_user(strict).allowed, decide_for_user(loose).allowed]


def test_attached_aws_managed_policy_is_enforced() -> None:
    """By its document; no decision is made if the document is not known."""
    arn = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
    user = User(USER, attached=frozenset({arn}))
    known = Access.of(user, ManagedPolicy(arn, document(allow("ec2:Describe*"))))

    assert ErrorCategory.UNSUPPORTED == decide_for_user(Access.of(user)).error
    assert decide_for_user(known).allowed
    assert ErrorCategory.DENIED == decide_for_user(known, START).error


def test_instance_profile_requires_pass_role() -> None:
    profile = InstanceProfile(f"{IAM}instance-profile/backend", ROLE)
    call: Call = ("ec2", "run_instances", {**RUN[2], "IamInstanceProfile": {"Name": "backend"}})

    def verdict(*statements: Statement) -> AuthorizationVerdict:
        return decide_for_user(Access.of(User(USER, inline={"u": document(*statements)}), profile), call)

    assert f"perform: iam:PassRole on resource: {ROLE}" in verdict(allow("ec2:*")).message
    assert verdict(allow("ec2:*"), allow("iam:PassRole", ROLE)).allowed


def test_operator_and_root_user_are_allowed_everything() -> None:
    """They need no policy, but calls that the sandbox cannot enforce are refused to them too."""
    operator = SessionInfo("AKIAOPERATOR", "s", None, ACCOUNT, USER, operator=True)
    root = SessionInfo("AKIAROOT", "s", None, ACCOUNT, f"{IAM}root")
    policy: Call = ("sqs", "create_queue", {"QueueName": "q", "Attributes": {"Policy": "{}"}})

    assert [True, True] == [decide(read(START), who, Access()).allowed for who in (operator, root)]
    assert ErrorCategory.UNSUPPORTED == decide(read(policy), operator, Access()).error


def test_session_of_deleted_role_is_denied() -> None:
    case = Case("gone", INSTANCES, (), "")
    verdict = decide(read(INSTANCES), session_of(case), Access())

    assert ErrorCategory.DENIED == verdict.error


def test_refusal_message_has_format_of_each_service() -> None:
    """EC2 prefixes a sentence, S3 quotes the resource, others use the plain form."""
    case = Case("none", INSTANCES, (), "")
    texts = [decide(read(call), session_of(case), access_for(case)).message for call in (INSTANCES, GET, TABLE)]

    who = f"User: {SESSION} is not authorized to perform:"
    silent = "because no identity-based policy allows the"
    table = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/t"
    sentence = "You are not authorized to perform this operation."

    assert f"{sentence} {who} ec2:DescribeInstances {silent} ec2:DescribeInstances action" == texts[0]
    assert f'{who} s3:GetObject on resource: "{BUCKET}/a/b" {silent} s3:GetObject action' == texts[1]
    assert f"{who} dynamodb:GetItem on resource: {table} {silent} dynamodb:GetItem action" == texts[2]


KEYS = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
NEW_TABLE = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], **KEYS}
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
    ("dynamodb", "create_table", {"TableName": "others", **NEW_TABLE}, ("AccessDeniedException", 400)),
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
    rig.client("dynamodb", everything).create_table(TableName="jobs", **NEW_TABLE)
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
    arn, user = rig.user(ACCOUNT, "changing", "sts:AssumeRole")
    role = rig.role(ACCOUNT, "changed", trust(arn), main=["ec2:*"])
    session = rig.assume(user, role)
    before = code_of(rig, session, "ec2", "describe_vpcs")
    rig.administrator(ACCOUNT).delete_role_policy(RoleName="changed", PolicyName="main")

    assert ("", 200) == before
    assert ("UnauthorizedOperation", 403) == code_of(rig, session, "ec2", "describe_vpcs")


def test_dry_run_creates_nothing(rig: Rig, keys: tuple[SandboxCredentials, SandboxCredentials]) -> None:
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
