from __future__ import annotations

from collections.abc import Iterator

import pytest

from moto_server import empty_iam, moto_server


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """moto with AWS's managed policies on a random loopback port."""
    with moto_server() as url:
        yield url


@pytest.fixture(autouse=True)
def empty_accounts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty moto's accounts after each test that uses them: what a failed test leaves must not fail others."""
    yield
    if "endpoint" in request.fixturenames:
        empty_iam()
