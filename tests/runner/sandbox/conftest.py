"""A sandbox with a backend role that may assume one role of a customer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_rig import Rig, allow, running, service_trust, trust

BACKEND = "arn:aws:iam::111111111111:role/backend_role"


@pytest.fixture
def rig() -> Iterator[Rig]:
    """The sandbox, new for each test."""
    with running() as rig:
        rig.role("111111111111", "backend_role", service_trust(), main=allow("sts:AssumeRole"))
        rig.role("222222222222", "target", trust(BACKEND), main=allow("s3:*", "iam:ListRoles", "sts:*"))
        yield rig
