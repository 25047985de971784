"""Parsing of boto3 requests into service, operation, action and resource."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall_runner.sandbox.authorization.service_reference import fill_placeholders
from rolecall_runner.sandbox.protocol.aws_protocol import ApiCall
from rolecall_runner.sandbox.server.server import read_call
from sandbox_requests import ACCESS_KEY, caught

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
    """Service, operation, IAM action and resources equal those of the call."""
    call = read(service, method, parameters)

    assert (signed, operation, action) == (call.service, call.operation, call.action)
    assert resources == fill_placeholders(call.resources, "aws", ACCOUNT, USER)
    assert (ACCESS_KEY, "a-token", "eu-west-1") == (call.access_key, call.session_token, call.region)
