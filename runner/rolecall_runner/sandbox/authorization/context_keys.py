"""Condition keys of a request, and which keys it may have with unknown values.

Sources: "AWS global condition context keys" (IAM User Guide), "Actions, resources, and condition keys for Amazon S3" and
"for Amazon EC2", November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address

from rolecall_runner.sandbox.authorization.request_resources import condition_keys
from rolecall_runner.sandbox.protocol.http_types import ContextValues, CredentialScope, HttpRequest

Values = tuple[str, ...]

_LOOPBACK = "127.0.0.1"
# Keys that requests to the sandbox never have: it has no organization, no VPC endpoints and no calls by AWS services.
_ABSENT = (
    "aws:assumedroot", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:chatbotsourcearn",
    "aws:ec2instancesourceprivateipv4", "aws:ec2instancesourcevpc", "aws:federatedprovider", "aws:principalorgid",
    "aws:principalorgpaths", "aws:principalservicename", "aws:principalservicenameslist", "aws:resourceorgid",
    "aws:resourceorgpaths", "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourcevpc",
    "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths", "aws:vpcsourceip",
)  # fmt: skip
_S3_QUERY: Mapping[str, str] = {
    "s3:delimiter": "Delimiter",
    "s3:max-keys": "MaxKeys",
    "s3:prefix": "Prefix",
    "s3:versionid": "VersionId",
}
_EC2_PARAMETERS: Mapping[str, str] = {
    "ec2:ebsoptimized": "EbsOptimized",
    "ec2:instancetype": "InstanceType",
    "ec2:imageid": "ImageId",
    "ec2:volumesize": "Size",
    "ec2:volumetype": "VolumeType",
}
RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
"""Prefixes of keys for resource tags. A context with a bare prefix as key contains all tags of the resource."""
# Every request has these keys; without a value in the context, the value is not known.
_ALWAYS = {"aws:resourceaccount", "aws:userid"}


def request_context(
    action: str, request: HttpRequest, scope: CredentialScope, parameters: Mapping[str, object]
) -> dict[str, Values]:
    """Condition keys in lower case with their values; an empty tuple is a key that the request certainly does not have.

    `aws:SourceIp` is the loopback address, or that of an `X-Forwarded-For` header, to rehearse conditions on it.
    `aws:SecureTransport` is true, as for AWS endpoints over TLS.
    """
    service = action.partition(":")[0]
    context: dict[str, Values] = dict.fromkeys(_ABSENT, ())
    context |= {
        "aws:requestedregion": (scope.region,),
        "aws:securetransport": ("true",),
        "aws:sourceip": (_source_address(request.headers.get("x-forwarded-for", "")),),
        "aws:useragent": _header(request, "user-agent"),
        "aws:referer": _header(request, "referer"),
        "aws:viaawsservice": ("false",),
    }
    tags = dict(_tags(parameters))
    context |= {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    context["aws:tagkeys"] = tuple(tags)
    if service == "s3":
        context |= _s3(request, scope, parameters)
    elif service == "ec2":
        context["ec2:region"] = (scope.region,)
        context |= {key: _text(parameters[name]) for key, name in _EC2_PARAMETERS.items() if name in parameters}
    return context


def may_have_unknown_value(action: str, context: ContextValues, key: str) -> bool:
    """Whether a request of the action may have the key with an unknown value.

    Such a key must not be treated as absent: a Deny on it could apply. `key` and those of `context` are in lower case.
    """
    if key in context or key.startswith(("aws:requesttag/", "aws:principaltag/", "s3:x-amz-")):
        return False
    if any(prefix in context and key.startswith(prefix) for prefix in RESOURCE_TAGS):
        return False
    if key in _ALWAYS:
        return True
    return any(pattern.match(key) for pattern in _patterns(action))


@lru_cache(maxsize=8_192)
def _patterns(action: str) -> tuple[re.Pattern[str], ...]:
    """Regular expressions for the keys of an action; `aws:resourcetag/${tagkey}` and the like match any tag."""
    return tuple(
        re.compile(re.sub(r"\\\$\\\{[^}]*\\\}|<[^>]*>|(?<=/)tag\\-key", ".+", re.escape(key)) + r"\Z")
        for key in condition_keys(action)
    )


def _source_address(forwarded: str) -> str:
    first = forwarded.partition(",")[0].strip()
    try:
        return str(ip_address(first))
    except ValueError:
        return _LOOPBACK


def _header(request: HttpRequest, name: str) -> Values:
    value = request.headers.get(name)
    return (value,) if value else ()


def _s3(request: HttpRequest, scope: CredentialScope, parameters: Mapping[str, object]) -> Iterator[tuple[str, Values]]:
    """Condition keys of S3 from headers and query string."""
    for key, name in _S3_QUERY.items():
        yield key, _text(parameters.get(name))
    for name, value in request.headers.items():
        if name.startswith("x-amz-"):
            yield f"s3:{name}", (value,)
    yield "s3:authtype", ("REST-QUERY-STRING" if scope.presigned else "REST-HEADER",)
    yield "s3:signatureversion", ("AWS4-HMAC-SHA256",)


def _text(value: object) -> Values:
    if value is None:
        return ()
    return (str(value).lower() if isinstance(value, bool) else str(value),)


def _tags(parameters: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Tags in the request: lists of keys and values or an object, under the parameter names that services use."""
    for name, value in parameters.items():
        if name.lower() in {"tags", "taglist"}:
            yield from _pairs(value)
        elif name == "TagSpecifications" and isinstance(value, list):
            for specification in value:
                yield from _pairs(specification.get("Tags") if isinstance(specification, Mapping) else None)


def _pairs(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from ((str(key), str(text)) for key, text in value.items() if isinstance(text, str))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping):
                key = item.get("Key", item.get("TagKey"))
                if key is not None:
                    yield str(key), str(item.get("Value", item.get("TagValue", "")))
