"""XML replies are parsed as by botocore, for any model and any content."""

from __future__ import annotations

import re
from random import Random
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.parsers import ResponseParserError, create_parser

from rolecall_runner.aws.first_attempt import ReplyParserFactory

_DEPTH = 5
_PRESENT, _UNKNOWN, _EMPTY = 0.5, 0.2, 0.05
_SCALARS = {
    "integer": "7", "long": "-8", "float": "1.5", "double": "2.5", "boolean": "true",
    "timestamp": "2026-11-24T09:00:00.000Z", "blob": "Ynl0ZXM=",
}  # fmt: skip


def reply_of(operation: Any, chance: Random, namespace: str) -> bytes:
    """One reply of an operation (botocore's model of it)."""
    shape = operation.output_shape
    within = _inner(shape, chance, 0) if shape is not None else ""
    wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
    body = f"<{wrapper}>{within}</{wrapper}>" if wrapper else within
    metadata = "<requestId>1</requestId><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
    return f'<{operation.name}Response xmlns="{namespace}">{body}{metadata}</{operation.name}Response>'.encode()


def _inner(shape: Any, chance: Random, depth: int) -> str:
    """The content of an element of this shape."""
    if chance.random() < _EMPTY or depth > _DEPTH:
        return "" if shape.type_name in {"structure", "list", "map", "string"} else _SCALARS.get(shape.type_name, "")
    if shape.type_name == "structure":
        elements = [
            _element(name, member, chance, depth + 1) for name, member in shape.members.items() if chance.random() < 0.5
        ]
        elements += ["<unknownToModel>x</unknownToModel>"] * (chance.random() < _UNKNOWN)
        chance.shuffle(elements)
        return "".join(elements)
    if shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        return "".join(_tagged(name, shape.member, chance, depth + 1) for _ in range(chance.randrange(3)))
    if shape.type_name == "map":
        return f"<entry>{_pair(shape, chance, depth)}</entry>" * chance.randrange(2)
    return _SCALARS.get(shape.type_name) or escape(chance.choice(["", "text", "<&>", " ü \n"]))


def _element(name: str, member: Any, chance: Random, depth: int) -> str:
    named = member.serialization.get("name", name)
    if not member.serialization.get("flattened"):
        return _tagged(named, member, chance, depth)
    if member.type_name == "map":
        return f"<{named}>{_pair(member, chance, depth)}</{named}>"
    named = member.member.serialization.get("name", named)
    return "".join(_tagged(named, member.member, chance, depth) for _ in range(1 + chance.randrange(3)))


def _pair(shape: Any, chance: Random, depth: int) -> str:
    key, value = (part.serialization.get("name", name) for part, name in ((shape.key, "key"), (shape.value, "value")))
    return f"<{key}>{chance.randrange(3)}</{key}>{_tagged(value, shape.value, chance, depth + 1)}"


def _tagged(name: str, shape: Any, chance: Random, depth: int) -> str:
    return f"<{name}>{_inner(shape, chance, depth)}</{name}>"


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
