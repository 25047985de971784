"""How a process gets at AWS for a query. Worker processes load this and the task, but not what reads a manifest."""

from __future__ import annotations

from dataclasses import dataclass

from rolecall_runner.clients import Clients, ClientSettings
from rolecall_runner.credentials import Assumer, Sessions
from rolecall_runner.engine.interface import DEFAULT_WORKERS
from rolecall_runner.source import find_caller
from rolecall_runner.tasks.query.sharing import SharingClients


@dataclass(frozen=True, slots=True)
class Reach:
    """How a process gets at AWS; picklable, and without secrets. `endpoint_url`: all services there (the sandbox)."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    workers: int = DEFAULT_WORKERS


def make_means(reach: Reach, short_id: str) -> tuple[Clients, Sessions]:
    """The clients and sessions of one process; it finds the caller's credentials by itself. Raises CallerError."""
    clients = SharingClients(ClientSettings(endpoint_url=reach.endpoint_url, connections=reach.workers))
    caller = find_caller(clients, profile=reach.profile, region=reach.region)
    return clients, Sessions(Assumer(clients, caller, short_id))
