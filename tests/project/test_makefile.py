"""The setup of `make`, with a Python and a uv that only record their arguments."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGURED = r"""global.cert='/configured/ca.pem'
global.find-links='\n/one\n/two'
global.index-url='https://mirror.example/packages'
install.cert='/another.pem'
"""
PYTHON = """#!/bin/sh
case "$*" in
  *" config list") cat configured ;;
  *" venv "*) mkdir -p .venv/bin ;;
  *" install "*uv==*) cp uv .venv/bin/uv ;;
esac
"""
UV = """#!/bin/sh
echo "$SSL_CERT_FILE|$UV_DEFAULT_INDEX|$UV_FIND_LINKS" >>calls
"""


def called(folder: Path, configured: str, uv: str, environment: Mapping[str, str]) -> list[str]:
    """Let make set up a checkout with this pip configuration; returns the recorded uv calls."""
    (folder / "configured").write_text(configured)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for name, text in (("python", PYTHON), ("uv", uv)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    command = ["make", ".venv/.rolecall-installed", f"PYTHON={folder / 'python'}"]
    subprocess.run(command, cwd=folder, env={"PATH": os.environ["PATH"], **environment}, capture_output=True, check=True)
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "/configured/ca.pem|https://mirror.example/packages|/one,/two"),
        ({"SSL_CERT_FILE": "/own.pem", "UV_FIND_LINKS": "/own"}, "/own.pem|https://mirror.example/packages|/own"),
        ({"PIP_CERT": "/env.pem", "PIP_INDEX_URL": "https://env.example"}, "/env.pem|https://env.example|/one,/two"),
    ],
)
def test_pip_configuration_is_passed_to_uv(tmp_path: Path, environment: dict[str, str], told: str) -> None:
    """uv does not read pip's configuration: index, wheels and certificates are passed; the environment takes precedence."""
    assert [told, told] == called(tmp_path, CONFIGURED, UV, environment)


def test_unset_pip_options_are_not_passed_to_uv(tmp_path: Path) -> None:
    """uv would use an empty variable as a URL, so none is set where pip has no value."""
    told = {line.partition("=")[0] for line in called(tmp_path, "", "#!/bin/sh\nenv >calls\n", {})}

    assert "PATH" in told
    assert set() == told & {"SSL_CERT_FILE", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"}
