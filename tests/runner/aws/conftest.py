"""One AWS stub per file, and clients for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fast_stub import FastStub, Options
from rolecall_runner.aws.clients import Clients, ClientSettings


@pytest.fixture(scope="module")
def stub() -> Iterator[FastStub]:
    """A stub that checks every signature."""
    with FastStub(options=Options(verify=True)) as running:
        yield running


@pytest.fixture
def clients(stub: FastStub) -> Iterator[Clients]:
    """Clients of the stub."""
    made = Clients(ClientSettings(stub.url, stub.ca_bundle))
    yield made
    made.close()
