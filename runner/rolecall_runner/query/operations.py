"""Operations of AWS services from botocore's models: shapes, pagination, and the Regions in which they are called."""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import botocore.exceptions
import jmespath
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel, ServiceModel

from rolecall_generator.iam import PARTITIONS
from rolecall_runner.aws import Clients, Status, model_loader
from rolecall_runner.inventory import Target
from rolecall_runner.query.spec import QueryError, QuerySpec, RegionChoice

TOKENS = (
    ("NextToken", "NextToken"),
    ("nextToken", "nextToken"),
    ("NextPageToken", "NextPageToken"),
    ("nextPageToken", "nextPageToken"),
    ("PageToken", "NextPageToken"),
    ("pageToken", "nextPageToken"),
    ("Marker", "NextMarker"),
    ("marker", "nextMarker"),
    ("NextMarker", "NextMarker"),
    ("Marker", "Marker"),
    ("ContinuationToken", "NextContinuationToken"),
    ("PaginationToken", "PaginationToken"),
)
"""Names of the page token in request and reply, for operations without a paginator in botocore 1.44.5."""

_LIMITS = ("MaxResults", "maxResults", "MaxItems", "maxItems", "Limit", "limit", "PageSize", "pageSize", "MaxRecords")
# The only regional operations of S3; all others work for buckets in any Region.
_REGIONAL_S3 = frozenset({"ListDirectoryBuckets"})


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a service. `method`: of the client. `paging`: botocore's pagination; None: a single reply."""

    service: str
    name: str
    method: str
    model: OperationModel
    paging: Mapping[str, Any] | None

    @property
    def result_keys(self) -> tuple[str, ...]:
        """JMESPath expressions of the lists in each page, the main list first."""
        if self.paging is None:
            return ()
        keys = self.paging["result_key"]
        return tuple(keys) if isinstance(keys, list) else (keys,)

    @property
    def page_size_parameter(self) -> str | None:
        """The parameter that sets the page size."""
        return self.paging.get("limit_key") if self.paging is not None else None

    def is_last(self, page: Mapping[str, Any]) -> bool:
        """Whether a page has no token for a next one. False is inconclusive; botocore's paginator decides."""
        if self.paging is None:
            return True
        tokens = self.paging["output_token"]
        return not any(jmespath.search(token, page) for token in ([tokens] if isinstance(tokens, str) else tokens))


@lru_cache(maxsize=1)
def service_names() -> tuple[str, ...]:
    """The boto3 names of all services."""
    return tuple(model_loader().list_available_services("service-2"))


_LOADING = threading.Lock()


def service_model(service: str) -> ServiceModel:
    """The model of a service. Raises QueryError with the nearest names."""
    # Without the lock, concurrent threads would each load the model (40 MB for EC2).
    with _LOADING:
        return _service_model(service)


@lru_cache(maxsize=8)
def _service_model(service: str) -> ServiceModel:
    if service not in service_names():
        raise QueryError(f"unknown service {service!r}", where="query", hint=_nearest(service, service_names()))
    return ServiceModel(model_loader().load_service_model(service, "service-2"), service)


@lru_cache(maxsize=64)
def find_operation(service: str, text: str) -> Operation:
    """The operation that `text` names: describe_instances, describe-instances or DescribeInstances.

    Raises QueryError with the nearest names.
    """
    model = service_model(service)
    by_plain = {_plain(name): name for name in model.operation_names}
    name = by_plain.get(_plain(text))
    if name is None:
        known = [xform_name(each) for each in model.operation_names]
        raise QueryError(
            f"{service} has no operation {text!r}", where="query", hint=_nearest(xform_name(text.replace("-", "_")), known)
        )
    operation = model.operation_model(name)
    return Operation(service, name, xform_name(name), operation, _paging(service, operation))


def home_region(service: str, operation: str, partition: str) -> str | None:
    """The Region for an operation that covers the whole account in one call; None for a regional operation.

    Source: botocore's endpoint data (`isRegionalized`, `partitionEndpoint`). S3 serves buckets of all Regions from any one.
    """
    default = PARTITIONS[partition].default_region
    if service == "s3":
        return None if operation in _REGIONAL_S3 else default
    data = _partition_data(partition)
    known = data.get("services", {}).get(service_model(service).endpoint_prefix)
    if known is None:
        return None
    glob = known.get("partitionEndpoint")
    endpoints: Mapping[str, Any] = known.get("endpoints", {})
    if known.get("isRegionalized", True) and (glob is None or set(endpoints) & set(data["regions"])):
        return None
    scope = endpoints.get(glob, {}).get("credentialScope", {}).get("region")
    return str(scope or next(iter(sorted(set(endpoints) & set(data["regions"]))), default))


def known_regions(service: str, partition: str) -> frozenset[str]:
    """Regions of a service in botocore's endpoint data; new Regions may be missing."""
    data = _partition_data(partition)
    endpoints = data.get("services", {}).get(service_model(service).endpoint_prefix, {}).get("endpoints", {})
    return frozenset(set(endpoints) & set(data.get("regions", {})))


def is_region(name: str, partition: str) -> bool:
    """Whether a name is a known Region of the partition, or matches its naming scheme (a new Region)."""
    data = _partition_data(partition)
    if name in data.get("regions", {}):
        return True
    return re.fullmatch(str(data.get("regionRegex", "[a-z-]+[0-9]+")).strip("^$"), name) is not None


def _partition_data(partition: str) -> Mapping[str, Any]:
    return next((each for each in _endpoints()["partitions"] if each["partition"] == partition), {"regions": {}})


@lru_cache(maxsize=1)
def _endpoints() -> Mapping[str, Any]:
    return model_loader().load_data("endpoints")  # type: ignore[no-any-return]


def _paging(service: str, operation: OperationModel) -> Mapping[str, Any] | None:
    try:
        known = model_loader().load_service_model(service, "paginators-1")["pagination"].get(operation.name)
    except botocore.exceptions.UnknownServiceError:
        known = None
    return _whole(known if known is not None else _guessed_paging(operation), operation)


def _whole(paging: Mapping[str, Any] | None, operation: OperationModel) -> Mapping[str, Any] | None:
    """Make merged pages keep all other members of the first page, too, not only the lists."""
    if paging is None or operation.output_shape is None:
        return paging
    tokens, lists = paging["output_token"], paging["result_key"]
    said = {*([tokens] if isinstance(tokens, str) else tokens), *([lists] if isinstance(lists, str) else lists)}
    heads = {key.partition(".")[0].partition("[")[0].strip() for key in said}
    kept = [*paging.get("non_aggregate_keys", ())]
    kept += [name for name in operation.output_shape.members if name not in heads and name not in kept]
    return {**paging, "non_aggregate_keys": kept}


def _guessed_paging(operation: OperationModel) -> Mapping[str, Any] | None:
    """Pagination derived from the names of tokens; without it, results would silently end after the first page."""
    if operation.input_shape is None or operation.output_shape is None:
        return None
    given, got = operation.input_shape.members, operation.output_shape.members
    lists = [name for name, shape in got.items() if shape.type_name == "list"]
    for request, reply in TOKENS:
        if request in given and reply in got and lists:
            paging: dict[str, Any] = {"input_token": request, "output_token": reply, "result_key": lists}
            limit = next((name for name in _LIMITS if name in given), None)
            return paging | ({"limit_key": limit} if limit else {})
    return None


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(close)}?" if close else "see the boto3 documentation for the names"


_ENABLED = ["ENABLED", "ENABLED_BY_DEFAULT"]


def read_regions(texts: tuple[str, ...], partition: str | None = "aws") -> tuple[str, ...] | RegionChoice:
    """The Regions of `--regions`: `manifest`, `enabled`, or names with commas.

    Raises QueryError for a name that is not a Region of the partition, or with None, of any partition.
    """
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    if not names:
        return RegionChoice.MANIFEST
    if len(names) == 1 and names[0] in set(RegionChoice):
        return RegionChoice(names[0])
    for name in names:
        if not any(is_region(name, each) for each in ([partition] if partition else PARTITIONS)):
            raise QueryError(
                f"{name!r} is not a Region" + (f" of the partition {partition}" if partition else ""),
                where="--regions",
                hint="give Regions separated by commas, `manifest`, or `enabled`",
            )
    return tuple(dict.fromkeys(names))


def planned_regions(spec: QuerySpec, target: Target) -> tuple[str, ...] | None:
    """Regions known without a call; None: the account's enabled Regions have to be listed."""
    home = home_region(spec.service, spec.operation, target.partition)
    if home is not None:
        return (home,)
    if spec.regions is RegionChoice.ENABLED:
        return None
    regions = spec.regions if isinstance(spec.regions, tuple) else target.regions
    return regions or (PARTITIONS[target.partition].default_region,)


def is_global(spec: QuerySpec, target: Target) -> bool:
    """Whether one call covers the whole account."""
    return home_region(spec.service, spec.operation, target.partition) is not None


def enabled_regions(clients: Clients, target: Target) -> tuple[str, ...]:
    """The enabled Regions of the account, sorted. Call it inside `account`.

    Calls EC2, and Account Management if EC2 denies access. Raises botocore's ClientError (EC2's) and connection errors.
    """
    home = target.regions[0] if target.regions else PARTITIONS[target.partition].default_region
    try:
        found = clients.client("ec2", home).describe_regions(AllRegions=False)
        return tuple(sorted(each["RegionName"] for each in found["Regions"]))
    except ClientError as error:
        if Status.from_code(error.response["Error"]["Code"]) is not Status.REFUSED:
            raise
        try:
            return _listed_regions(clients, target)
        except ClientError:
            raise error from None


def _listed_regions(clients: Clients, target: Target) -> tuple[str, ...]:
    client: Any = clients.client("account", home_region("account", "ListRegions", target.partition) or "us-east-1")
    pages = client.get_paginator("list_regions").paginate(RegionOptStatusContains=_ENABLED)
    return tuple(sorted(each["RegionName"] for page in pages for each in page["Regions"]))
