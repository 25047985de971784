"""A sandbox with a backend role that may assume one role of a customer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_rig import BACKEND, CUSTOMER, VENDOR, Rig, allow, running, service_trust, trust


@pytest.fixture
def rig() -> Iterator[Rig]:
    """The sandbox, new for each test."""
    with running() as rig:
        rig.role(VENDOR, "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        rig.role(CUSTOMER, "target", trust(BACKEND), main=allow("s3:*", "iam:ListRoles", "sts:*"))
        yield rig
