"""Faults of resources in policies: what IAM rejects and what can never match, whatever exists in the account.

Sources, November 2026: IAM User Guide, "IAM JSON policy elements: Resource" and "IAM policy validation check reference"
(INVALID_ARN_ACCOUNT, INVALID_ARN_REGION, INVALID_PARTITION, MISSING_ARN_FIELD, ARN_ACCOUNT_NOT_ALLOWED and others), and the
error messages of IAM in public bug reports (`Partition "aws" is not valid for resource`, `Resource vendor must be
fully qualified and cannot contain regexes`, `IAM resource ... cannot contain region information`). A test runs it on every
AWS managed policy, where it may only report services and Regions that AWS no longer has.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rolecall_generator.iam import PARTITIONS
from rolecall_generator.iam.catalog import (
    iam_data,
    is_known_region,
    is_region_name,
    nearest_region,
    partition_of_region,
    services,
)
from rolecall_generator.iam.matching import name_matcher
from rolecall_generator.iam.validation.placeholders import find_placeholder, without_variables
from rolecall_generator.text import clip

_PARTS = 6
_ANY = "*"
_WILD = re.compile(r"[*?]")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_NAMED_OWNERS = frozenset({"aws", "aws-marketplace", "amazon", "aws-managed", "third-party", "cloudfront"})
"""Values of the account part in ARNs of resources owned by AWS, as in arn:aws:iam::aws:policy/NAME."""

_IAM_KINDS = (
    "user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/", "sms-mfa/",
    "saml-provider/", "oidc-provider/", "report/", "access-report/", "assumed-role/", "delegation-request/",
    "role-template/", "root",
)  # fmt: skip
_S3_TYPED = re.compile(
    r"^(accesspoint|job|storage-lens|storage-lens-group|access-grants|async-request|outpost|object-lambda)([/:]|$)"
)
_BUCKET = re.compile(r"[a-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class ResourceFault:
    """A fault of a resource, as a clause to follow it in a sentence, and a hint.

    `refused`: IAM rejects the policy, or the resource can never match. Otherwise rolecall's data may be outdated, or the
    resource is only suspicious (`suspicious`).
    """

    what: str
    hint: str
    refused: bool = True
    suspicious: bool = False


def resource_fault(text: str, partition: str) -> ResourceFault | None:
    """The first fault of a resource in a policy of this partition; None if it has none."""
    return next(_faults(text, partition), None)


def account_of(text: str) -> str | None:
    """The account ID in a resource; None if there is none, or a wildcard or variable."""
    parts = without_variables(text, _ANY).split(":", _PARTS - 1)
    return parts[4] if len(parts) == _PARTS and parts[0] == "arn" and _ACCOUNT.fullmatch(parts[4]) else None


def _faults(text: str, partition: str) -> Iterator[ResourceFault]:
    if text == _ANY:
        return
    found = find_placeholder(text)
    if found is not None and found.certain:
        yield ResourceFault(f"has a placeholder: {found.what}", found.hint)
        return
    parts = without_variables(text, _ANY).split(":", _PARTS - 1)
    if parts[0] != "arn":
        yield ResourceFault("is neither an ARN nor *", _as_arn(text, partition))
        return
    if len(parts) < _PARTS:
        # IAM treats parts missing after a final * as *: arn:aws:sqs:* matches all queues.
        if len(parts) < 3 or not text.endswith(_ANY) or "" in parts:  # noqa: PLR2004 - arn, partition and service
            yield ResourceFault(
                f"has {len(parts)} of the {_PARTS} parts of an ARN",
                "write arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, with nothing between colons where a service has none",
            )
            return
        parts = [*parts, *[_ANY] * (_PARTS - len(parts))]
    _, its_partition, service, region, account, resource = parts
    yield from _partition(its_partition, partition, text)
    yield from _service(service)
    yield from _region(service, region, partition, text)
    yield from _account(account, text)
    yield from _resource(service, region, account, resource, text)
    if found is not None:
        yield ResourceFault(found.what, found.hint, refused=False, suspicious=True)


def _as_arn(text: str, partition: str) -> str:
    if text.lower().startswith("arn:"):
        return f"write arn in lower case: arn{text[3:]}"
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]{2,62}(/.*)?", text):
        return f"write an ARN; an S3 bucket's is arn:{partition}:s3:::{text}"
    return "write an ARN, or * for all"


def _partition(actual: str, expected: str, text: str) -> Iterator[ResourceFault]:
    if actual == expected or (_WILD.search(actual) and name_matcher(actual)(expected)):
        return
    rest = text.split(":", 2)[2] if text.count(":") > 1 else ""
    what = f"is in partition {actual}" if actual in PARTITIONS else f'names "{actual}", which is not a partition of AWS'
    yield ResourceFault(f"{what}, and the role is in {expected}", f"write arn:{expected}:{rest}")


def _service(service: str) -> Iterator[ResourceFault]:
    if not service or _WILD.search(service):
        yield ResourceFault(
            "does not name a service", "write the service, as in arn:aws:s3:::BUCKET: IAM does not accept a wildcard there"
        )
    elif service != service.lower():
        yield ResourceFault(f"names the service {service} in capital letters", f"write {service.lower()}")
    elif service not in services() and service not in _resource_services():
        close = difflib.get_close_matches(service, services() | _resource_services(), n=1, cutoff=0.6)
        hint = f"write {close[0]}" if close else "write a service of the Service Authorization Reference"
        yield ResourceFault(f"names the service {service}, which AWS does not have", hint, refused=False)


@lru_cache(maxsize=1)
def _resource_services() -> frozenset[str]:
    """Values of the service part in AWS's ARN forms; a few differ from IAM's prefixes. Reads the data of all services."""
    resources: Any = iam_data().resources
    forms = (
        str(resources.get_resource_type_details(service, kind)["arn"])
        for service in sorted(services())
        for kind in resources.get_resource_types_for_service(service)
    )
    return frozenset(form.split(":")[2] for form in forms if form.count(":") >= _PARTS - 1)


def _region(service: str, region: str, partition: str, text: str) -> Iterator[ResourceFault]:
    if service == "iam":
        if region:
            yield ResourceFault("names a Region, and IAM has none", f"write nothing there: {_without(text, 3)}")
        return
    if not region or _WILD.search(region):
        return
    if not is_region_name(region):
        close = nearest_region(region, partition)
        yield ResourceFault(
            f'names "{region}", which is not a Region', f"write {close}" if close else "write a Region, or *"
        )
    elif not is_known_region(region):
        close = nearest_region(region, partition)
        hint = f"write {close}" if close else "write a Region of AWS"
        yield ResourceFault(f"names the Region {region}, which AWS does not have", hint, refused=False)
    elif (home := partition_of_region(region)) is not None and home != partition:
        yield ResourceFault(
            f"names {region}, a Region of partition {home}", f"write a Region of partition {partition}, or *"
        )


def _account(account: str, text: str) -> Iterator[ResourceFault]:
    if account and not _ACCOUNT.fullmatch(account) and account not in _NAMED_OWNERS and not _WILD.search(account):
        digits = account.isascii() and account.isdigit()
        what = f"names an account of {len(account)} digits" if digits else f'names "{account}", which is not an account ID'
        yield ResourceFault(what, f"write the account's 12 digits, or *: {_without(text, 4, _ANY)}")


def _resource(service: str, region: str, account: str, resource: str, text: str) -> Iterator[ResourceFault]:
    if not resource:
        yield ResourceFault("names no resource", f"write {text}* or the name of the resource", refused=False)
    elif service == "iam":
        kinds = ", ".join(kind.rstrip("/") for kind in _IAM_KINDS[:8])
        head = resource.partition("/")[0]
        if resource != _ANY and not _WILD.search(head) and not resource.startswith(_IAM_KINDS):
            yield ResourceFault(
                f"does not name the type of {clip(resource)}", f"start it with one of {kinds}, as in role/NAME"
            )
        elif not account:
            yield ResourceFault("names no account, which IAM resources require", f"write {_without(text, 4, _ANY)}")
    elif service == "s3" and not _S3_TYPED.match(resource) and not _WILD.match(resource):
        yield from _bucket(region, account, resource, text)


def _bucket(region: str, account: str, resource: str, text: str) -> Iterator[ResourceFault]:
    if (region and not _WILD.search(region)) or (account and not _WILD.search(account)):
        fixed = ":".join((*text.split(":", 5)[:3], "", "", text.split(":", 5)[5]))
        yield ResourceFault("names a Region or an account, which ARNs of buckets do not have", f"write {fixed}")
        return
    name = resource.partition("/")[0]
    if not _WILD.search(name) and not _BUCKET.fullmatch(name):
        what = f'names the bucket "{name}"' if name else "names no bucket"
        yield ResourceFault(
            f"{what}: buckets are named with lower-case letters, digits, dots and hyphens",
            "write the bucket's name",
            refused=not name,
            suspicious=bool(name),
        )


def _without(text: str, part: int, filling: str = "") -> str:
    """The ARN with one part replaced."""
    parts = text.split(":", _PARTS - 1)
    return ":".join((*parts[:part], filling, *parts[part + 1 :])) if len(parts) == _PARTS else text
