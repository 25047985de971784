"""XML replies are parsed as by botocore, for any model and any content."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import botocore.session
import pytest
from botocore.parsers import ResponseParserError, create_parser

from rolecall_runner.aws.first_attempt import ReplyParserFactory
from xml_samples import reply_of

SERVICES = [
    "ec2",
    "sts",
    "iam",
    "rds",
    "cloudformation",
    "autoscaling",
    "elb",
    "elbv2",
    "elasticache",
    "redshift",
    "sns",
    "ses",
]
_ADDRESS = re.compile(" at 0x[0-9a-f]+")


def said(parser: Any, body: bytes, shape: Any, status: int = 200) -> str:
    """The result of a parser with the order of keys, or its exception."""
    response = {"status_code": status, "headers": {"x": "1"}, "body": body, "context": {"operation_name": "x"}}
    try:
        return _ADDRESS.sub("", repr(parser.parse(response, shape)))  # botocore keeps elements if a string is repeated
    except (ResponseParserError, LookupError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.fixture(scope="module")
def session() -> Any:
    """One model loader for all services."""
    return botocore.session.Session()


@pytest.mark.parametrize("service", SERVICES)
def test_reply_of_every_operation_is_parsed_as_by_botocore(session: Any, service: str) -> None:
    """Same values, types and order of keys."""
    model = session.get_service_model(service)
    parser = create_parser(model.resolved_protocol)
    quick = ReplyParserFactory().create_parser(model.resolved_protocol)
    chance = Random(service)  # noqa: S311 - samples, not secrets
    differing = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        body = reply_of(operation, chance, "http://aws/doc/2026/")
        if said(parser, body, operation.output_shape) != said(quick, body, operation.output_shape):
            differing.append(name)

    assert type(parser) is not type(quick)
    assert model.operation_names
    assert [] == differing


BODIES = [
    b"",
    b"<a",
    b"<DescribeInstancesResponse/>",
    b"<r><reservationSet/></r>",
    b"<r><reservationSet><item/></reservationSet><reservationSet><item><ownerId>2</ownerId></item></reservationSet></r>",
    b"<r><reservationSet><item><ownerId>1</ownerId><ownerId>2</ownerId></item></reservationSet></r>",
    b"<r><reservationSet><item><instancesSet><item><launchTime>never</launchTime></item></instancesSet></item></reservationSet></r>",
    b'<r xmlns:x="http://x/"><x:reservationSet><x:item><x:ownerId>1</x:ownerId></x:item></x:reservationSet><!-- no --></r>',
    b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors><RequestID>1</RequestID></Response>",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 403])
def test_unusual_body_has_same_result_as_with_botocore(session: Any, body: bytes, status: int) -> None:
    """Empty, truncated, repeated and unknown elements, and errors: the same value or the same exception."""
    shape = session.get_service_model("ec2").operation_model("DescribeInstances").output_shape
    parser = create_parser("ec2")

    assert said(parser, body, shape, status) == said(ReplyParserFactory().create_parser("ec2"), body, shape, status)


@pytest.mark.parametrize("protocol", ["json", "rest-xml", "rest-json"])
def test_other_protocols_use_parser_of_botocore(protocol: str) -> None:
    assert type(create_parser(protocol)) is type(ReplyParserFactory().create_parser(protocol))


def test_parser_is_cached_until_defaults_change() -> None:
    """It caches shapes; a new parser per attempt would be slower than botocore's."""
    factory = ReplyParserFactory()
    first = factory.create_parser("ec2")

    assert first is factory.create_parser("ec2")
    factory.set_parser_defaults(timestamp_parser=str)
    assert str is factory.create_parser("ec2")._timestamp_parser
