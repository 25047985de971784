"""Requests that the sandbox cannot parse are refused by name, and botocore can parse every refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config

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
from sandbox_requests import caught, error_of

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
    """With the bucket in the host or in the path."""
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
    """Neither the token nor the parameters of a call."""
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
    """botocore shows an error code, not only an HTTP status."""
    method, parameters = SAMPLES[service]
    code, message, _ = error_of(service, method, parameters, lambda sent: refused(sent, trouble))

    assert not code.isdigit()
    assert message


def test_refused_head_request_has_no_body() -> None:
    """The client sees only the status."""
    reply = refused(caught("s3", "head_bucket", {"Bucket": "my-bucket"}), ErrorCategory.DENIED)

    assert (403, b"") == (reply.status, reply.body)


def test_control_characters_do_not_break_the_xml() -> None:
    """A name with a character that is invalid in XML still gives a valid reply."""
    code, message, _ = error_of("iam", "list_roles", {}, lambda _: error_reply("query", "Odd", "a\x00b\x1bc", 400, "id"))

    assert ("Odd", "a\ufffdb\ufffdc") == (code, message)


def test_cbor_refusal_is_map_of_code_and_message() -> None:
    """With all three length encodings of a CBOR text string."""
    replies = [error_reply(CBOR, "Code", "x" * length, 501, "id").body for length in (3, 100, 300)]

    assert bytes.fromhex("a2") + b"\x66__type\x64Code\x67message\x63xxx" == replies[0]
    assert [b"\x78\x64" + b"x" * 100, b"\x79\x01\x2c" + b"x" * 300] == [replies[1][-102:], replies[2][-303:]]
