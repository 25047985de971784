"""One sandbox per file, in which each test creates its own accounts or roles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rolecall_runner.aws.clients import Clients
from sandbox_rig import Rig, running
from verify_rig import Stage, staged
from verify_worlds import World, world_of, worlds


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Rig, Clients]]:
    """The sandbox and the shared clients of a run in it."""
    with worlds() as both:
        yield both


@pytest.fixture
def world(shared: tuple[Rig, Clients]) -> World:
    """Customers and a backend role for one test; the test creates the target's role."""
    return world_of(*shared)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The sandbox with a backend role, and the context of a run in it."""
    with running() as rig, staged(rig) as found:
        yield found
