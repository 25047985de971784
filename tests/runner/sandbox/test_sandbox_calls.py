"""Parsing of requests into service, operation, action and resource, and the refusal of those that cannot be parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config

from rolecall_runner.sandbox.authorization.service_reference import fill_placeholders
from rolecall_runner.sandbox.protocol.aws_protocol import (
    CBOR,
    ApiCall,
    ErrorCategory,
    HttpReply,
    HttpRequest,
    category_reply,
    error_reply,
)
from rolecall_runner.sandbox.server.server import read_call
from sandbox_requests import ACCESS_KEY, caught, error_of

ACCOUNT = "222222222222"
USER = f"arn:aws:iam::{ACCOUNT}:user/ann"
EC2 = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:"
IAM = f"arn:aws:iam::{ACCOUNT}:"
RDS = f"arn:aws:rds:eu-west-1:{ACCOUNT}:"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/"
FUNCTION = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:"
BUCKET = "arn:aws:s3:::my-bucket"
QUEUE_URL = f"http://127.0.0.1:5000/{ACCOUNT}/jobs"
ROLE = f"{IAM}role/reader"
TRUST = '{"Version":"2012-10-17","Statement":[]}'
B: dict[str, Any] = {"Bucket": "my-bucket"}
ITEM = {"id": {"S": "1"}}

# botocore's service, method, parameters; signing name, operation, action, resources.
CALLS: list[tuple[str, str, dict[str, Any], str, str, str, tuple[str, ...]]] = [
    ("ec2", "describe_instances", {}, "ec2", "DescribeInstances", "ec2:DescribeInstances", ("*",)),
    ("ec2", "describe_vpcs", {}, "ec2", "DescribeVpcs", "ec2:DescribeVpcs", ("*",)),
    ("ec2", "describe_regions", {"AllRegions": True}, "ec2", "DescribeRegions", "ec2:DescribeRegions", ("*",)),
    ("ec2", "start_instances", {"InstanceIds": ["i-1", "i-2"]}, "ec2", "StartInstances", "ec2:StartInstances",
     (f"{EC2}instance/i-1", f"{EC2}instance/i-2")),
    ("ec2", "terminate_instances", {"InstanceIds": ["i-1"]}, "ec2", "TerminateInstances", "ec2:TerminateInstances",
     (f"{EC2}instance/i-1",)),
    ("ec2", "attach_volume", {"InstanceId": "i-1", "VolumeId": "vol-1", "Device": "/dev/x"}, "ec2", "AttachVolume",
     "ec2:AttachVolume", (f"{EC2}instance/i-1", f"{EC2}volume/vol-1")),
    ("ec2", "delete_security_group", {"GroupId": "sg-1"}, "ec2", "DeleteSecurityGroup", "ec2:DeleteSecurityGroup",
     (f"{EC2}security-group/sg-1",)),
    ("ec2", "create_tags", {"Resources": ["i-1", "ami-1"], "Tags": [{"Key": "a", "Value": "b"}]}, "ec2", "CreateTags",
     "ec2:CreateTags", (f"{EC2}instance/i-1", "arn:aws:ec2:eu-west-1::image/ami-1")),
    ("ec2", "delete_vpc", {"VpcId": "vpc-1"}, "ec2", "DeleteVpc", "ec2:DeleteVpc", (f"{EC2}vpc/vpc-1",)),
    ("s3", "list_buckets", {}, "s3", "ListBuckets", "s3:ListAllMyBuckets", ("*",)),
    ("s3", "list_objects_v2", B, "s3", "ListObjectsV2", "s3:ListBucket", (BUCKET,)),
    ("s3", "list_objects", B, "s3", "ListObjects", "s3:ListBucket", (BUCKET,)),
    ("s3", "list_object_versions", B, "s3", "ListObjectVersions", "s3:ListBucketVersions", (BUCKET,)),
    ("s3", "head_bucket", B, "s3", "HeadBucket", "s3:ListBucket", (BUCKET,)),
    ("s3", "create_bucket", {**B, "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}, "s3", "CreateBucket",
     "s3:CreateBucket", (BUCKET,)),
    ("s3", "get_object", {**B, "Key": "a/b c+d"}, "s3", "GetObject", "s3:GetObject", (f"{BUCKET}/a/b c+d",)),
    ("s3", "head_object", {**B, "Key": "k"}, "s3", "HeadObject", "s3:GetObject", (f"{BUCKET}/k",)),
    ("s3", "put_object", {**B, "Key": "k", "Body": b"x"}, "s3", "PutObject", "s3:PutObject", (f"{BUCKET}/k",)),
    ("s3", "copy_object", {**B, "Key": "k", "CopySource": "other/k"}, "s3", "CopyObject", "s3:PutObject", (f"{BUCKET}/k",)),
    ("s3", "delete_objects", {**B, "Delete": {"Objects": [{"Key": "x"}, {"Key": "y"}]}}, "s3", "DeleteObjects",
     "s3:DeleteObject", (f"{BUCKET}/x", f"{BUCKET}/y")),
    ("s3", "upload_part", {**B, "Key": "k", "PartNumber": 1, "UploadId": "u", "Body": b"x"}, "s3", "UploadPart",
     "s3:PutObject", (f"{BUCKET}/k",)),
    ("s3", "list_parts", {**B, "Key": "k", "UploadId": "u"}, "s3", "ListParts", "s3:ListMultipartUploadParts",
     (f"{BUCKET}/k",)),
    ("s3", "get_object_tagging", {**B, "Key": "k"}, "s3", "GetObjectTagging", "s3:GetObjectTagging", (f"{BUCKET}/k",)),
    ("s3", "get_object_acl", {**B, "Key": "k"}, "s3", "GetObjectAcl", "s3:GetObjectAcl", (f"{BUCKET}/k",)),
    ("s3", "get_bucket_encryption", B, "s3", "GetBucketEncryption", "s3:GetEncryptionConfiguration", (BUCKET,)),
    ("s3", "get_bucket_lifecycle_configuration", B, "s3", "GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration",
     (BUCKET,)),
    ("s3", "get_bucket_cors", B, "s3", "GetBucketCors", "s3:GetBucketCORS", (BUCKET,)),
    ("s3", "get_bucket_replication", B, "s3", "GetBucketReplication", "s3:GetReplicationConfiguration", (BUCKET,)),
    ("s3", "get_public_access_block", B, "s3", "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", (BUCKET,)),
    ("s3", "get_bucket_location", B, "s3", "GetBucketLocation", "s3:GetBucketLocation", (BUCKET,)),
    ("s3", "get_object_lock_configuration", B, "s3", "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration",
     (BUCKET,)),
    ("iam", "get_role", {"RoleName": "reader"}, "iam", "GetRole", "iam:GetRole", (ROLE,)),
    ("iam", "list_roles", {}, "iam", "ListRoles", "iam:ListRoles", ("*",)),
    ("iam", "get_role_policy", {"RoleName": "reader", "PolicyName": "p"}, "iam", "GetRolePolicy", "iam:GetRolePolicy",
     (ROLE,)),
    ("iam", "create_role", {"RoleName": "reader", "Path": "/team/", "AssumeRolePolicyDocument": TRUST}, "iam", "CreateRole",
     "iam:CreateRole", (f"{IAM}role/team/reader",)),
    ("iam", "attach_role_policy", {"RoleName": "reader", "PolicyArn": f"{IAM}policy/p"}, "iam", "AttachRolePolicy",
     "iam:AttachRolePolicy", (ROLE,)),
    ("iam", "get_user", {"UserName": "bob"}, "iam", "GetUser", "iam:GetUser", (f"{IAM}user/bob",)),
    ("iam", "get_user", {}, "iam", "GetUser", "iam:GetUser", (USER,)),
    ("iam", "add_user_to_group", {"GroupName": "g", "UserName": "bob"}, "iam", "AddUserToGroup", "iam:AddUserToGroup",
     (f"{IAM}group/g",)),
    ("iam", "get_policy", {"PolicyArn": f"{IAM}policy/team/p"}, "iam", "GetPolicy", "iam:GetPolicy",
     (f"{IAM}policy/team/p",)),
    ("iam", "create_policy", {"PolicyName": "p", "PolicyDocument": TRUST}, "iam", "CreatePolicy", "iam:CreatePolicy",
     (f"{IAM}policy/p",)),
    ("iam", "add_role_to_instance_profile", {"InstanceProfileName": "i", "RoleName": "reader"}, "iam",
     "AddRoleToInstanceProfile", "iam:AddRoleToInstanceProfile", (f"{IAM}instance-profile/i",)),
    ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "s1"}, "sts", "AssumeRole", "sts:AssumeRole", (ROLE,)),
    ("sts", "get_caller_identity", {}, "sts", "GetCallerIdentity", "sts:GetCallerIdentity", ("*",)),
    ("dynamodb", "get_item", {"TableName": "t", "Key": ITEM}, "dynamodb", "GetItem", "dynamodb:GetItem", (f"{TABLE}t",)),
    ("dynamodb", "list_tables", {}, "dynamodb", "ListTables", "dynamodb:ListTables", ("*",)),
    ("dynamodb", "query", {"TableName": "t", "IndexName": "byday"}, "dynamodb", "Query", "dynamodb:Query",
     (f"{TABLE}t/index/byday",)),
    ("dynamodb", "batch_get_item", {"RequestItems": {"t": {"Keys": [ITEM]}, "u": {"Keys": [ITEM]}}}, "dynamodb",
     "BatchGetItem", "dynamodb:BatchGetItem", (f"{TABLE}t", f"{TABLE}u")),
    ("dynamodb", "transact_get_items", {"TransactItems": [{"Get": {"TableName": "t", "Key": ITEM}}]}, "dynamodb",
     "TransactGetItems", "dynamodb:GetItem", (f"{TABLE}t",)),
    ("lambda", "invoke", {"FunctionName": "f"}, "lambda", "Invoke", "lambda:InvokeFunction", (f"{FUNCTION}f",)),
    ("lambda", "invoke", {"FunctionName": f"{ACCOUNT}:function:f", "Qualifier": "live"}, "lambda", "Invoke",
     "lambda:InvokeFunction", (f"{FUNCTION}f:live",)),
    ("lambda", "list_functions", {}, "lambda", "ListFunctions", "lambda:ListFunctions", ("*",)),
    ("lambda", "get_function", {"FunctionName": f"{FUNCTION}f"}, "lambda", "GetFunction", "lambda:GetFunction",
     (f"{FUNCTION}f",)),
    ("rds", "describe_db_instances", {}, "rds", "DescribeDBInstances", "rds:DescribeDBInstances", (f"{RDS}db:*",)),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "d"}, "rds", "DescribeDBInstances",
     "rds:DescribeDBInstances", (f"{RDS}db:d",)),
    ("rds", "delete_db_instance", {"DBInstanceIdentifier": "d"}, "rds", "DeleteDBInstance", "rds:DeleteDBInstance",
     (f"{RDS}db:d",)),
    ("rds", "describe_db_clusters", {"DBClusterIdentifier": "c"}, "rds", "DescribeDBClusters", "rds:DescribeDBClusters",
     (f"{RDS}cluster:c",)),
    ("rds", "describe_db_snapshots", {"DBSnapshotIdentifier": "s"}, "rds", "DescribeDBSnapshots", "rds:DescribeDBSnapshots",
     (f"{RDS}snapshot:s",)),
    ("sqs", "send_message", {"QueueUrl": QUEUE_URL, "MessageBody": "x"}, "sqs", "SendMessage", "sqs:SendMessage",
     (f"{QUEUE}jobs",)),
    ("sqs", "create_queue", {"QueueName": "jobs"}, "sqs", "CreateQueue", "sqs:CreateQueue", (f"{QUEUE}jobs",)),
    ("sqs", "list_queues", {}, "sqs", "ListQueues", "sqs:ListQueues", ("*",)),
    ("sns", "publish", {"TopicArn": f"{TOPIC}t", "Message": "m"}, "sns", "Publish", "sns:Publish", (f"{TOPIC}t",)),
    ("sns", "create_topic", {"Name": "t"}, "sns", "CreateTopic", "sns:CreateTopic", (f"{TOPIC}t",)),
    ("kms", "describe_key", {"KeyId": "1234"}, "kms", "DescribeKey", "kms:DescribeKey", (f"{KEY}1234",)),
    ("kms", "encrypt", {"KeyId": f"{KEY}1234", "Plaintext": b"x"}, "kms", "Encrypt", "kms:Encrypt", (f"{KEY}1234",)),
    ("kms", "describe_key", {"KeyId": "alias/mine"}, "kms", "DescribeKey", "kms:DescribeKey", ()),
    ("secretsmanager", "get_secret_value", {"SecretId": "db"}, "secretsmanager", "GetSecretValue",
     "secretsmanager:GetSecretValue", (f"{SECRET}db-??????",)),
    ("secretsmanager", "list_secrets", {}, "secretsmanager", "ListSecrets", "secretsmanager:ListSecrets", ("*",)),
    ("ssm", "get_parameter", {"Name": "/a/b"}, "ssm", "GetParameter", "ssm:GetParameter",
     (f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/a/b",)),
    ("logs", "describe_log_groups", {}, "logs", "DescribeLogGroups", "logs:DescribeLogGroups", ("*",)),
    ("apigateway", "get_rest_apis", {}, "apigateway", "GetRestApis", "apigateway:GET", ()),
    ("apigateway", "create_rest_api", {"name": "a"}, "apigateway", "CreateRestApi", "apigateway:POST", ()),
    ("elbv2", "describe_load_balancers", {}, "elasticloadbalancing", "DescribeLoadBalancers",
     "elasticloadbalancing:DescribeLoadBalancers", ("*",)),
    ("efs", "describe_file_systems", {"FileSystemId": "fs-1"}, "elasticfilesystem", "DescribeFileSystems",
     "elasticfilesystem:DescribeFileSystems", (f"arn:aws:elasticfilesystem:eu-west-1:{ACCOUNT}:file-system/fs-1",)),
]  # fmt: skip


def read(service: str, method: str, parameters: dict[str, Any], **options: Any) -> ApiCall:
    call = read_call(caught(service, method, parameters, **options))
    assert isinstance(call, ApiCall), call.body
    return call


@pytest.mark.parametrize(
    ("service", "method", "parameters", "signed", "operation", "action", "resources"),
    CALLS,
    ids=[f"{number}-{row[0]}-{row[1]}" for number, row in enumerate(CALLS)],
)
def test_boto3_request_is_parsed(
    service: str,
    method: str,
    parameters: dict[str, Any],
    signed: str,
    operation: str,
    action: str,
    resources: tuple[str, ...],
) -> None:
    call = read(service, method, parameters)

    assert (signed, operation, action) == (call.service, call.operation, call.action)
    assert resources == fill_placeholders(call.resources, "aws", ACCOUNT, USER)
    assert (ACCESS_KEY, "a-token", "eu-west-1") == (call.access_key, call.session_token, call.region)


CREDENTIAL = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261124/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def request(
    method: str,
    path: str,
    service: str | None,
    body: bytes = b"",
    query: str = "",
    host: str = "127.0.0.1:5000",
    **headers: str,
) -> HttpRequest:
    signed: dict[str, str] = {} if service is None else {"authorization": CREDENTIAL.format(service)}
    return HttpRequest(method, path, query, {**signed, **{k.replace("_", "-"): v for k, v in headers.items()}}, body, host)


FORM = "application/x-www-form-urlencoded; charset=utf-8"
JSON = "application/x-amz-json-1.0"
PRESIGNED = "X-Amz-Credential=A%2F20261124%2Feu-west-1%2F{}%2Faws4_request"
TWICE = b"Action=GetRole&Version=2010-05-08&RoleName=a&RoleName=b"

UNREADABLE: Mapping[str, tuple[HttpRequest, int, str]] = {
    "no signature": (request("POST", "/", None, content_type=FORM), 403, "MissingAuthenticationToken"),
    "no signature, json": (request("POST", "/", None, content_type=JSON, x_amz_target="DynamoDB_20120810.ListTables"), 400,
                           "MissingAuthenticationTokenException"),
    "another signature": (replace(request("GET", "/b", None), headers={"authorization": "AWS AKIAEXAMPLE:0"}), 403,
                          "AccessDenied"),
    "an unknown service": (request("POST", "/", "teleport", b"Action=Go&Version=2026-01-01", content_type=FORM), 501,
                           "does not recognize an operation of teleport for Go"),
    "an unknown operation": (request("POST", "/", "iam", b"Action=FlyAway&Version=2010-05-08", content_type=FORM), 501,
                             "does not recognize an operation of iam for FlyAway"),
    "another version": (request("POST", "/", "iam", b"Action=ListRoles&Version=1999-01-01", content_type=FORM), 501,
                        "does not recognize an operation of iam for ListRoles"),
    "an unknown target": (request("POST", "/", "dynamodb", b"{}", content_type=JSON, x_amz_target="DynamoDB_20120810.Fly"),
                          501, "does not recognize an operation of dynamodb for DynamoDB_20120810.Fly"),
    "an unknown path": (request("GET", "/2099-01-01/nothing", "lambda"), 501, "of lambda for GET /2099-01-01/nothing"),
    "a body that is no JSON": (request("POST", "/", "dynamodb", b"{", content_type=JSON,
                                       x_amz_target="DynamoDB_20120810.ListTables"), 400, "SerializationException"),
    "a duplicate parameter": (request("POST", "/", "iam", TWICE, content_type=FORM),
                                       400, "duplicate parameter"),
    "an Action next to a target": (request("POST", "/", "dynamodb", b"{}", "Action=DeleteTable", content_type=JSON,
                                          x_amz_target="DynamoDB_20120810.ListTables"), 400, "Action is not allowed"),
    "a target next to a path": (request("GET", "/2015-03-31/functions/", "lambda", x_amz_target="X.DeleteFunction"), 400,
                               "X-Amz-Target is not allowed"),
    "two credentials": (replace(request("GET", "/b", None), headers={
        "authorization": f"{CREDENTIAL.format('s3')}, Credential=A/1/r/iam/aws4_request"}), 403, "AccessDenied"),
    "a presigned request of IAM": (request("GET", "/", None, b"", f"Action=ListRoles&{PRESIGNED.format('iam')}"), 501,
                                   "presigned requests only for S3"),
    "a presigned upload with a call": (request("PUT", "/b/k", None, b"Action=CreateUser", PRESIGNED.format("s3")), 501,
                                          "contain a call to another service"),
    "an operation without an action": (request("POST", "/", "dynamodb", b'{"Statement": "x"}', content_type=JSON,
                                               x_amz_target="DynamoDB_20120810.ExecuteStatement"), 501,
                                       "has no IAM action for dynamodb ExecuteStatement"),
    "CBOR": (request("POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", "monitoring",
                     smithy_protocol="rpc-v2-cbor"), 501, "does not support RPC v2 CBOR"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_unparsable_request_is_refused_by_name(name: str) -> None:
    """No request without an operation and its action is allowed."""
    sent, status, part = UNREADABLE[name]
    reply = read_call(sent, "11111111-2222-3333-4444-555555555555")

    assert isinstance(reply, HttpReply)
    assert status == reply.status
    assert part in reply.body.decode(errors="replace")


def test_unsigned_sts_operations_are_parsed() -> None:
    """AssumeRoleWithWebIdentity is unsigned; it is parsed so that the refusal can name it."""
    body = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::222222222222:role/r&RoleSessionName=s1"
    call = read_call(request("POST", "/", None, body, content_type=FORM))

    assert isinstance(call, ApiCall)
    assert ("sts", "AssumeRoleWithWebIdentity", None) == (call.service, call.operation, call.access_key)


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("my-bucket.s3.eu-west-1.amazonaws.com", "/a/b"),
        ("127.0.0.1:5000", "/my-bucket/a/b"),
        ("s3.amazonaws.com", "/my-bucket/a/b"),
    ],
)
def test_s3_request_is_parsed_in_both_styles(host: str, path: str) -> None:
    call = read_call(request("GET", path, "s3", host=host))

    assert isinstance(call, ApiCall)
    assert ("s3:GetObject", ("arn:${Partition}:s3:::my-bucket/a/b",)) == (call.action, call.resources)


def test_s3_control_request_is_not_parsed_as_bucket() -> None:
    """Paths of S3 Control could also be a bucket and key."""
    call = read_call(caught("s3control", "list_jobs", {"AccountId": "222222222222"}, endpoint=None))

    assert isinstance(call, ApiCall)
    assert ("ListJobs", "s3:ListJobs") == (call.operation, call.action)


def test_presigned_url_is_parsed() -> None:
    """The caller comes from the signature in the query string."""
    client = boto3.Session("AKIAEXAMPLE", "s", "tok", region_name="eu-west-1").client(
        "s3", endpoint_url="http://127.0.0.1:5000", config=Config(signature_version="s3v4")
    )
    url = client.generate_presigned_url("get_object", {"Bucket": "my-bucket", "Key": "k"})
    path, _, query = url.removeprefix("http://127.0.0.1:5000").partition("?")
    call = read_call(request("GET", path, None, query=query))

    assert isinstance(call, ApiCall)
    assert ("s3:GetObject", "AKIAEXAMPLE", "tok") == (call.action, call.access_key, call.session_token)
    assert ("REST-QUERY-STRING",) == call.context["s3:authtype"]


def test_special_characters_in_names_are_literal() -> None:
    """Neither a placeholder nor a colon in a key changes the account of the resource."""
    call = read_call(caught("s3", "get_object", {"Bucket": "my-bucket", "Key": "${Account}/x:y"}))

    assert isinstance(call, ApiCall)
    assert ("arn:${Partition}:s3:::my-bucket/${Account}/x:y",) == call.resources


def test_repr_contains_no_secret() -> None:
    call = read_call(caught("iam", "create_login_profile", {"UserName": "ann", "Password": "hunter2hunter2"}))

    assert isinstance(call, ApiCall)
    assert "hunter2" not in repr(call)
    assert "a-token" not in repr(call)


SAMPLES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "iam": ("list_roles", {}),
    "sts": ("get_caller_identity", {}),
    "rds": ("describe_db_instances", {}),
    "sns": ("list_topics", {}),
    "ec2": ("describe_instances", {}),
    "dynamodb": ("list_tables", {}),
    "kms": ("list_keys", {}),
    "sqs": ("list_queues", {}),
    "secretsmanager": ("list_secrets", {}),
    "lambda": ("list_functions", {}),
    "efs": ("describe_file_systems", {}),
    "s3": ("list_buckets", {}),
    "route53": ("list_hosted_zones", {}),
}
TEXT = 'User: <ann> & "bob" may not \u00e9'


def refused(sent: HttpRequest, trouble: ErrorCategory, message: str | None = None) -> HttpReply:
    call = read_call(sent)
    assert isinstance(call, ApiCall), call.body
    return category_reply(call, trouble, "11111111-2222-3333-4444-555555555555", message)


@pytest.mark.parametrize("service", SAMPLES)
def test_botocore_parses_code_message_and_status_of_refusal(service: str) -> None:
    """The refusal has the protocol of the service and the complete message."""
    method, parameters = SAMPLES[service]
    code, message, status = error_of(service, method, parameters, lambda sent: refused(sent, ErrorCategory.DENIED, TEXT))

    expected = {
        "ec2": ("UnauthorizedOperation", 403),
        "sns": ("AuthorizationError", 403),
        "dynamodb": ("AccessDeniedException", 400),
        "kms": ("AccessDeniedException", 400),
        "secretsmanager": ("AccessDeniedException", 400),
        "sqs": ("AccessDenied", 400),
        "lambda": ("AccessDeniedException", 403),
        "efs": ("AccessDeniedException", 403),
    }
    assert expected.get(service, ("AccessDenied", 403)) == (code, status)
    assert message == TEXT


@pytest.mark.parametrize(
    "trouble", [trouble for trouble in ErrorCategory if trouble not in {ErrorCategory.INTERNAL, ErrorCategory.UNAVAILABLE}]
)
@pytest.mark.parametrize("service", ["iam", "ec2", "dynamodb", "lambda", "s3", "route53"])
def test_every_error_has_code_and_message_in_every_service(service: str, trouble: ErrorCategory) -> None:
    method, parameters = SAMPLES[service]
    code, message, _ = error_of(service, method, parameters, lambda sent: refused(sent, trouble))

    assert not code.isdigit()
    assert message


def test_refused_head_request_has_no_body() -> None:
    """The client sees only the status."""
    reply = refused(caught("s3", "head_bucket", {"Bucket": "my-bucket"}), ErrorCategory.DENIED)

    assert (403, b"") == (reply.status, reply.body)


def test_control_characters_do_not_break_the_xml() -> None:
    code, message, _ = error_of("iam", "list_roles", {}, lambda _: error_reply("query", "Odd", "a\x00b\x1bc", 400, "id"))

    assert ("Odd", "a\ufffdb\ufffdc") == (code, message)


def test_cbor_refusal_is_map_of_code_and_message() -> None:
    replies = [error_reply(CBOR, "Code", "x" * length, 501, "id").body for length in (3, 100, 300)]

    assert bytes.fromhex("a2") + b"\x66__type\x64Code\x67message\x63xxx" == replies[0]
    assert [b"\x78\x64" + b"x" * 100, b"\x79\x01\x2c" + b"x" * 300] == [replies[1][-102:], replies[2][-303:]]
