"""Selects and writes the modules to rehearse."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.generate import module_source
from rolecall_generator.iam import Module, ModuleKind
from rolecall_generator.manifest import load_manifest
from rolecall_generator.output import read_lock
from rolecall_generator.planning import Plan, PlannedModule, make_plan, previous_slots, select

_PASSWORD_WITHOUT_PGP_KEY_SINCE = (4, 1)
"""First AWS provider version that supports console passwords without a PGP key (changelog of hashicorp/aws, 4.1.0)."""


@dataclass(frozen=True, slots=True)
class RehearsedModules:
    """A module to rehearse, and the folder of its files."""

    module: Module
    folder: Path

    @property
    def path(self) -> str:
        """The path of the module in the output folder."""
        return self.module.path

    @property
    def account_id(self) -> str:
        """The account of the module."""
        return self.module.account.account_id

    @property
    def is_backend(self) -> bool:
        """Whether this is the backend module, whose roles are principals in the trust policies of other modules."""
        return self.module.kind is ModuleKind.BACKEND


@dataclass(frozen=True, slots=True)
class RehearsalSelection:
    """The modules to rehearse.

    `names`: customers, switch roles, paths or `backend`; all modules when empty. `sample`: the size of a random sample of
    customers and switch roles, reproducible by `seed`; the backend is always included. `out`: the output folder whose
    lock file records the assignment of customers to backend policies.
    """

    names: Collection[str] = ()
    sample: int | None = None
    seed: int = 0
    out: Path | None = None


def select_modules(manifest: Path, folder: Path, selection: RehearsalSelection) -> tuple[RehearsedModules, ...]:
    """Plan a manifest, select modules and write their files to subfolders of `folder`.

    Raises ManifestError, PlanError, OutputError or SelectionError.
    """
    loaded = load_manifest(manifest)
    previous = previous_slots(read_lock(selection.out)) if selection.out is not None else {}
    plan = make_plan(loaded.manifest, previous)
    paths = select(plan, selection.names) if selection.names else frozenset(module.path for module in plan.modules)
    if selection.sample is not None:
        paths = _sample(plan, paths, selection.sample, selection.seed)
    return tuple(_write(module, manifest.name, folder) for module in plan.modules if module.path in paths)


def _sample(plan: Plan, paths: Collection[str], count: int, seed: int) -> frozenset[str]:
    candidates = [module for module in plan.modules if module.path in paths]
    subjects = list(dict.fromkeys(_subject(module) for module in candidates if module.kind is not ModuleKind.BACKEND))
    picked = set(random.Random(seed).sample(subjects, min(count, len(subjects))))  # noqa: S311 - not a secret
    return frozenset(module.path for module in candidates if module.kind is ModuleKind.BACKEND or _subject(module) in picked)


def _subject(module: PlannedModule) -> tuple[bool, str]:
    # A customer and a switch role can have the same name.
    return module.kind is ModuleKind.CUSTOMER, module.subject


def _write(planned: PlannedModule, source: str, folder: Path) -> RehearsedModules:
    target = folder / planned.path
    target.mkdir(parents=True, exist_ok=True)
    for name, text in module_source(planned, source).render().items():
        (target / name).write_text(text, encoding="utf-8")
    return RehearsedModules(planned.build(), target)


def reason_to_skip(module: Module, provider_version: str | None) -> str | None:
    """Why this provider version cannot apply the module; None if it can."""
    without_key = [
        user for user in module.access.users.values() if user.console_password and not user.console_password.pgp_key
    ]
    if not without_key or provider_version is None or _version(provider_version) >= _PASSWORD_WITHOUT_PGP_KEY_SINCE:
        return None
    return (
        f"a console password without a PGP key needs AWS provider 4.1 or later, found {provider_version}: set a pgp_key for "
        "the user or use a newer provider"
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.partition("-")[0].split(".") if part.isdigit())
