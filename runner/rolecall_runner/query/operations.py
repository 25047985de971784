"""Operations of AWS services from botocore's models: shapes, pagination, and Regions."""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import botocore.exceptions
import jmespath
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel, ServiceModel

from rolecall_generator.iam import PARTITIONS
from rolecall_generator.iam.catalog import partition_of_region
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

_PAGE_SIZE_NAMES = (
    "MaxResults",
    "maxResults",
    "MaxItems",
    "maxItems",
    "Limit",
    "limit",
    "PageSize",
    "pageSize",
    "MaxRecords",
)
# The only regional operations of S3; all others work from any Region.
_REGIONAL_S3 = frozenset({"ListDirectoryBuckets"})


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a service. `method`: name of the client method. `paging`: botocore paginator; None: a single reply."""

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
        """The parameter that sets the page size, if there is one."""
        return self.paging.get("limit_key") if self.paging is not None else None

    def is_last(self, page: Mapping[str, Any]) -> bool:
        """Whether a page has no token for the next one. False does not imply another page; botocore's paginator decides."""
        if self.paging is None:
            return True
        tokens = self.paging["output_token"]
        return not any(jmespath.search(token, page) for token in ([tokens] if isinstance(tokens, str) else tokens))


@lru_cache(maxsize=1)
def service_names() -> tuple[str, ...]:
    """The boto3 names of all services."""
    return tuple(model_loader().list_available_services("service-2"))


_MODEL_LOCK = threading.Lock()


def service_model(service: str) -> ServiceModel:
    """The model of a service. Raises QueryError, with the nearest names, for an unknown service."""
    # Prevents concurrent threads from each loading the model (40 MB for EC2).
    with _MODEL_LOCK:
        return _service_model(service)


@lru_cache(maxsize=8)
def _service_model(service: str) -> ServiceModel:
    if service not in service_names():
        raise QueryError(f"unknown service {service!r}", where="query", hint=_nearest(service, service_names()))
    return ServiceModel(model_loader().load_service_model(service, "service-2"), service)


@lru_cache(maxsize=64)
def find_operation(service: str, text: str) -> Operation:
    """The operation of this name: `describe_instances`, `describe-instances`, or `DescribeInstances`.

    Raises QueryError, with the nearest names, for an unknown service or operation.
    """
    model = service_model(service)
    by_normalized = {_normalized(name): name for name in model.operation_names}
    name = by_normalized.get(_normalized(text))
    if name is None:
        known = [xform_name(each) for each in model.operation_names]
        raise QueryError(
            f"{service} has no operation {text!r}", where="query", hint=_nearest(xform_name(text.replace("-", "_")), known)
        )
    operation = model.operation_model(name)
    return Operation(service, name, xform_name(name), operation, _paging(service, operation))


_HOME_REGIONS = {"ecr-public": "us-east-1", "globalaccelerator": "us-west-2"}
"""Services with one home Region for which the endpoint data lists several (their developer guides, November 2026)."""


def home_region(service: str, operation: str, partition: str) -> str | None:
    """The Region in which to call an operation of a service with one home Region; None for a regional operation.

    Source: botocore's endpoint data (`isRegionalized`, `partitionEndpoint`, or a single Region), and `_HOME_REGIONS`. S3
    operations work from any Region.
    """
    default = PARTITIONS[partition].default_region
    if service == "s3":
        return None if operation in _REGIONAL_S3 else default
    if partition == "aws" and service in _HOME_REGIONS:
        return _HOME_REGIONS[service]
    data = _partition_data(partition)
    known = data.get("services", {}).get(service_model(service).endpoint_prefix)
    if known is None:
        return None
    global_endpoint = known.get("partitionEndpoint")
    endpoints: Mapping[str, Any] = known.get("endpoints", {})
    regions = sorted(set(endpoints) & set(data["regions"]))
    if known.get("isRegionalized", True) and (global_endpoint is None or regions) and not _has_single_region(regions, data):
        return None
    scope = endpoints.get(global_endpoint, {}).get("credentialScope", {}).get("region")
    return str(scope or next(iter(regions), default))


def _has_single_region(regions: Sequence[str], data: Mapping[str, Any]) -> bool:
    """Whether a service is offered in one Region of a partition that has several."""
    return len(regions) == 1 and len(data["regions"]) > 1


def known_regions(service: str, partition: str) -> frozenset[str]:
    """Regions of a service in botocore's endpoint data, which may lack new Regions."""
    data = _partition_data(partition)
    endpoints = data.get("services", {}).get(service_model(service).endpoint_prefix, {}).get("endpoints", {})
    return frozenset(set(endpoints) & set(data.get("regions", {})))


_ENABLED_BY_DEFAULT = frozenset(
    {
        "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
        "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1",
        "us-east-2", "us-west-1", "us-west-2",
    }
)  # fmt: skip
"""Source: AWS Account Management Reference Guide, "Enable or disable AWS Regions", November 2026."""


def is_always_enabled(region: str) -> bool:
    """Whether every account of the partition has the Region; False if it may be disabled, or is not known."""
    return region in _ENABLED_BY_DEFAULT or partition_of_region(region) not in {None, "aws"}


def is_region(name: str, partition: str) -> bool:
    """Whether a name is a known Region of the partition, or matches its naming scheme, as new Regions do."""
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
    return _keep_other_members(known if known is not None else _derived_paging(operation), operation)


def _keep_other_members(paging: Mapping[str, Any] | None, operation: OperationModel) -> Mapping[str, Any] | None:
    """Add all other members of the first page to merged pages; by default, botocore keeps only the lists."""
    if paging is None or operation.output_shape is None:
        return paging
    tokens, lists = paging["output_token"], paging["result_key"]
    aggregated = {*([tokens] if isinstance(tokens, str) else tokens), *([lists] if isinstance(lists, str) else lists)}
    excluded = {key.partition(".")[0].partition("[")[0].strip() for key in aggregated}
    kept = [*paging.get("non_aggregate_keys", ())]
    kept += [name for name in operation.output_shape.members if name not in excluded and name not in kept]
    return {**paging, "non_aggregate_keys": kept}


def _derived_paging(operation: OperationModel) -> Mapping[str, Any] | None:
    """Derive a paginator from the names of page tokens, so that results are not silently truncated after one page."""
    if operation.input_shape is None or operation.output_shape is None:
        return None
    inputs, outputs = operation.input_shape.members, operation.output_shape.members
    lists = [name for name, shape in outputs.items() if shape.type_name == "list"]
    for request, reply in TOKENS:
        if request in inputs and reply in outputs and lists:
            paging: dict[str, Any] = {"input_token": request, "output_token": reply, "result_key": lists}
            limit = next((name for name in _PAGE_SIZE_NAMES if name in inputs), None)
            return paging | ({"limit_key": limit} if limit else {})
    return None


def _normalized(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(close)}?" if close else "see the boto3 documentation for the names"


_ENABLED_STATUSES = ["ENABLED", "ENABLED_BY_DEFAULT"]


def read_regions(values: tuple[str, ...], partition: str | None = "aws") -> tuple[str, ...] | RegionChoice:
    """Parse the values of `--regions`: `manifest`, `enabled`, or Regions separated by commas.

    Raises QueryError for a name that is not a Region of `partition`; None: of any partition.
    """
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    if not names:
        return RegionChoice.MANIFEST
    if len(names) == 1 and names[0] in set(RegionChoice):
        return RegionChoice(names[0])
    for name in names:
        if not any(is_region(name, each) for each in ([partition] if partition else PARTITIONS)):
            raise QueryError(
                f"{name!r} is not a Region" + (f" of the partition {partition}" if partition else ""),
                where="--regions",
                hint="use Regions separated by commas, `manifest`, or `enabled`",
            )
    return tuple(dict.fromkeys(names))


def planned_regions(spec: QuerySpec, target: Target) -> tuple[str, ...] | None:
    """The Regions to query, as far as known without a call; None: the enabled Regions of the account must be listed."""
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
    """List the enabled Regions of the account, sorted. Must be called inside `account`.

    Calls EC2, or Account Management if EC2 denies access. Raises the ClientError of EC2, and connection errors.
    """
    home = target.regions[0] if target.regions else PARTITIONS[target.partition].default_region
    try:
        found = clients.client("ec2", home).describe_regions(AllRegions=False)
        return tuple(sorted(each["RegionName"] for each in found["Regions"]))
    except ClientError as error:
        if Status.from_code(error.response["Error"]["Code"]) is not Status.REFUSED:
            raise
        try:
            return _regions_from_account_api(clients, target)
        except ClientError:
            raise error from None


def _regions_from_account_api(clients: Clients, target: Target) -> tuple[str, ...]:
    client: Any = clients.client("account", home_region("account", "ListRegions", target.partition) or "us-east-1")
    pages = client.get_paginator("list_regions").paginate(RegionOptStatusContains=_ENABLED_STATUSES)
    return tuple(sorted(each["RegionName"] for page in pages for each in page["Regions"]))
