"""Which modules are rehearsed: all, those of chosen names, or a sample; the backend comes first wherever it is needed."""

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

PLAIN_PASSWORD_SINCE = (4, 1)
"""The provider that first makes a console password without a PGP key (changelog of hashicorp/aws, 4.1.0)."""


@dataclass(frozen=True, slots=True)
class RehearsedModules:
    """A module to rehearse: what it intends and where its files are."""

    module: Module
    folder: Path

    @property
    def path(self) -> str:
        """The module's path below the output folder."""
        return self.module.path

    @property
    def account_id(self) -> str:
        """The account that it belongs into."""
        return self.module.account.account_id

    @property
    def is_backend(self) -> bool:
        """Whether the others' trust may name what this one makes."""
        return self.module.kind is ModuleKind.BACKEND


def choose(
    manifest: Path,
    folder: Path,
    *,
    names: Collection[str] = (),
    sample: int | None = None,
    seed: int = 0,
    out: Path | None = None,
) -> tuple[RehearsedModules, ...]:
    """Plan a manifest and write the chosen modules' files below `folder`.

    `names`: customers, switch roles, paths or `backend`; `sample`: that many of them (a switch role counts once), the same
    ones for the same seed, and the backend besides. `out`: the output folder whose lock remembers which backend policy
    carries whom. Raises ManifestError, PlanError, OutputError or SelectionError.
    """
    loaded = load_manifest(manifest)
    previous = previous_slots(read_lock(out)) if out is not None else {}
    plan = make_plan(loaded.manifest, previous)
    paths = select(plan, names) if names else frozenset(module.path for module in plan.modules)
    if sample is not None:
        paths = _sample(plan, paths, sample, seed)
    return tuple(_written(module, manifest.name, folder) for module in plan.modules if module.path in paths)


def _sample(plan: Plan, paths: Collection[str], count: int, seed: int) -> frozenset[str]:
    candidates = [module for module in plan.modules if module.path in paths]
    subjects = list(dict.fromkeys(_subject(module) for module in candidates if module.kind is not ModuleKind.BACKEND))
    picked = set(random.Random(seed).sample(subjects, min(count, len(subjects))))  # noqa: S311 - a choice, not a secret
    return frozenset(module.path for module in candidates if module.kind is ModuleKind.BACKEND or _subject(module) in picked)


def _subject(module: PlannedModule) -> tuple[bool, str]:
    # A customer and a switch role may share a name.
    return module.kind is ModuleKind.CUSTOMER, module.subject


def _written(planned: PlannedModule, source: str, folder: Path) -> RehearsedModules:
    target = folder / planned.path
    target.mkdir(parents=True, exist_ok=True)
    for name, text in module_source(planned, source).render().items():
        (target / name).write_text(text, encoding="utf-8")
    return RehearsedModules(planned.build(), target)


def reason_to_skip(module: Module, provider_version: str | None) -> str | None:
    """Why this provider cannot apply the module; None when it can."""
    plain = [user for user in module.access.users.values() if user.console_password and not user.console_password.pgp_key]
    if not plain or provider_version is None or _version(provider_version) >= PLAIN_PASSWORD_SINCE:
        return None
    return (
        f"it makes a console password without a PGP key, which needs provider 4.1; the one here is {provider_version}: "
        "give the user a pgp_key, or rehearse with a newer provider"
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.partition("-")[0].split(".") if part.isdigit())
