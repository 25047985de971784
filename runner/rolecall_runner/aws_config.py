"""How a process connects to AWS. Worker processes load this and their task, but nothing that reads a manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import botocore.loaders

from rolecall_generator.errors import SelectionError
from rolecall_runner.clients import Clients, ClientSettings
from rolecall_runner.credentials import Assumer, Sessions
from rolecall_runner.engine.interface import DEFAULT_WORKERS
from rolecall_runner.source import find_caller


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """How a process connects to AWS. Picklable and without secrets: each process finds the caller's credentials itself.

    `profile`: of the AWS CLI; None: the usual chain of AWS credentials. `region`: of the STS endpoint. `endpoint_url`: for
    all services, such as a sandbox; None for AWS. `workers`: connections per host.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    workers: int = DEFAULT_WORKERS


class SharingClients(Clients):
    """`Clients` that read service models with `loader`, so that a process keeps each only once.

    EC2's model takes 35 MiB (botocore 1.44.5, resident).
    """

    def __init__(self, settings: ClientSettings | None = None) -> None:
        super().__init__(settings)
        self._session.register_component("data_loader", loader())


@lru_cache(maxsize=1)
def loader() -> Any:
    """botocore's loader of service models and endpoint data, one per process; it caches what it has read."""
    return botocore.loaders.create_loader()


def make_means(config: AwsConfig, short_id: str) -> tuple[Clients, Sessions]:
    """The clients and sessions of one process; `short_id` is the random part of the run's id. Raises CallerError."""
    clients = SharingClients(ClientSettings(endpoint_url=config.endpoint_url, connections=config.workers))
    caller = find_caller(clients, profile=config.profile, region=config.region)
    return clients, Sessions(Assumer(clients, caller, short_id))


def endpoint_of(environ: Mapping[str, str] | None = None) -> str | None:
    """The endpoint for all services that the environment sets, as AWS's tools read it. Raises SelectionError."""
    address = (os.environ if environ is None else environ).get("AWS_ENDPOINT_URL") or None
    if address is not None and not (address.startswith(("http://", "https://")) and urlsplit(address).hostname):
        raise SelectionError(
            f"{address} is not the URL of an AWS endpoint",
            where="AWS_ENDPOINT_URL",
            mend="unset it, or write http://127.0.0.1:4000",
        )
    return address
