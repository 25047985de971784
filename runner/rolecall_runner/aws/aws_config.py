"""How a process connects to AWS: endpoint, caller, clients, and sessions.

The caller's credentials come from the usual AWS chain: environment variables, profile, container, instance profile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from rolecall_generator.errors import SelectionError
from rolecall_generator.iam import PARTITIONS
from rolecall_runner.aws.caller import DEFAULT_REGION, find_caller
from rolecall_runner.aws.clients import DEFAULT_CONNECTIONS, Clients, ClientSettings
from rolecall_runner.aws.credentials import Assumer, CallerIdentity, Sessions


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """How a process connects to AWS. Picklable and without secrets: each process loads the caller's credentials itself.

    `profile`: of the AWS CLI, with all its settings; None: as boto3 does. `region`: of the STS endpoint. `endpoint_url`: of
    all services, such as a sandbox; None: AWS. `workers`: connections kept open per host. `default_region`: of the STS
    endpoint if neither `region` nor the AWS configuration sets one.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    workers: int = DEFAULT_CONNECTIONS
    default_region: str = DEFAULT_REGION

    def for_partition(self, partition: str) -> AwsConfig:
        """The same with the default Region of the manifest's partition."""
        return replace(self, default_region=PARTITIONS[partition].default_region)

    def clients(self) -> Clients:
        """New clients. Raises CallerError if the AWS configuration is not valid."""
        return Clients(ClientSettings(endpoint_url=self.endpoint_url, profile=self.profile, connections=self.workers))

    def find_caller(self, clients: Clients) -> CallerIdentity:
        """The identity of the caller's credentials. Raises CallerError."""
        return find_caller(clients, profile=self.profile, region=self.region, default_region=self.default_region)


def connect(config: AwsConfig, short_id: str) -> tuple[Clients, Sessions]:
    """Clients and sessions for one process; `short_id` is the random part of the run's id. Raises CallerError."""
    clients = config.clients()
    return clients, Sessions(Assumer(clients, config.find_caller(clients), short_id))


def endpoint_from_environment(environ: Mapping[str, str] | None = None) -> str | None:
    """AWS_ENDPOINT_URL, the endpoint of all services; None if it is not set. Raises SelectionError if it is not a URL."""
    address = (os.environ if environ is None else environ).get("AWS_ENDPOINT_URL") or None
    if address is not None and not (address.startswith(("http://", "https://")) and urlsplit(address).hostname):
        raise SelectionError(
            f"{address} is not a valid endpoint URL",
            where="AWS_ENDPOINT_URL",
            hint="unset it, or use a URL like http://127.0.0.1:4000",
        )
    return address
