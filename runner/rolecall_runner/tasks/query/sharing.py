"""Clients that read service models where questions are checked: a model is kept once in a process, not twice."""

from __future__ import annotations

from rolecall_runner.clients import Clients, ClientSettings
from rolecall_runner.tasks.query.operations import loader


class SharingClients(Clients):
    """`Clients` with the loader of `models`. EC2's model alone is 35 MiB (botocore 1.44.5, resident)."""

    def __init__(self, settings: ClientSettings | None = None) -> None:
        super().__init__(settings)
        self._session.register_component("data_loader", loader())
