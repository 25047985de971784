"""Which bundle and which module a customer has: digests of what stands in the output folder now. Nothing else is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.handover.layout import BUNDLES, SUMS, TERRAFORM, bundle_path
from rolecall_generator.iam.module import ModuleKind
from rolecall_generator.lock import LockedModule, read_lock
from rolecall_generator.plan.customer import customer_path
from rolecall_generator.plan.switch_role import switch_role_path
from rolecall_runner.targets import Target, TargetKind

_README = "README.md"


@dataclass(frozen=True, slots=True)
class Written:
    """What `gen terraform` and `gen bundle` wrote into a folder."""

    out: Path
    modules: Mapping[str, LockedModule] = field(default_factory=dict)

    def module(self, target: Target) -> str:
        """SHA-256 (hex) of the target's modules: of their files' names and hashes in the lock; "" when none is written."""
        known = [(path, self.modules[path].files) for path in module_paths(target) if path in self.modules]
        lines = [f"{path}/{name} {sha}" for path, files in known for name, sha in sorted(files.items())]
        return _digest("\n".join(lines).encode()) if lines else ""

    def bundle(self, target: Target) -> str:
        """SHA-256 (hex) of the target's bundles: of their SHA256SUMS; "" when there is none."""
        sums = [text for text in (_read(folder / SUMS) for folder in bundle_folders(self.out, target)) if text]
        return _digest(b"\0".join(sums)) if sums else ""

    def bundle_is_old(self, target: Target) -> bool:
        """Whether a bundle of the target holds another module than is written now; False where there is none."""
        folders = zip(module_paths(target), bundle_folders(self.out, target), strict=True)
        return any(
            (sums := _read(folder / SUMS)) and path in self.modules and _other(sums, self.modules[path].files)
            for path, folder in folders
        )


def written(out: Path) -> Written:
    """What was written into an output folder. Raises OutputError for a broken lock."""
    return Written(out, read_lock(out).modules)


def bundle_folders(out: Path, target: Target) -> tuple[Path, ...]:
    """The folders of a target's bundles, whether they are there or not: one for each account."""
    return tuple(out / BUNDLES / bundle_path(path) for path in module_paths(target))


def module_paths(target: Target) -> tuple[str, ...]:
    """The paths of a target's modules below the output folder."""
    if target.kind is TargetKind.CUSTOMER:
        return (customer_path(target.name),)
    return tuple(switch_role_path(target.name, side) for side in (ModuleKind.TRUSTING, ModuleKind.TRUSTED))


def _other(sums: bytes, files: Mapping[str, str]) -> bool:
    """Whether a SHA256SUMS has other files of a module than these; README.md has a form of its own in a bundle."""
    bundled = {name: sha for sha, _, name in (line.partition("  ") for line in sums.decode("utf-8", "replace").splitlines())}
    known = {name: bundled.get(f"{TERRAFORM}/{name}", sha) for name, sha in files.items() if name != _README}
    return any(files[name] != sha for name, sha in known.items())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
