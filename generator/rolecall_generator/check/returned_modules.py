"""Checks modules that customers sent back: finds the planned module of each folder and compares the two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.check.module_access import access_arns
from rolecall_generator.check.module_check import RETURNED_HINT, ModuleVerdict, check_module
from rolecall_generator.errors import SelectionError
from rolecall_generator.findings import UNPLANNED, Finding
from rolecall_generator.iam import Module
from rolecall_generator.iam.difference import Label
from rolecall_generator.planning import Plan, PlannedModule, select
from rolecall_generator.terraform.parser import ParsedModule, parse_module


@dataclass(frozen=True, slots=True)
class ReturnedModules:
    """The planned modules of returned folders, with verdict and folder of each, and findings about the other folders."""

    modules: tuple[Module, ...]
    verdicts: tuple[ModuleVerdict, ...]
    folders: tuple[Path, ...]
    findings: tuple[Finding, ...]


def check_returned(plan: Plan, given: Sequence[str], *, label: Label, progress: Callable[[int], None]) -> ReturnedModules:
    """Check folders, each given as FOLDER or NAME=FOLDER. Raises ModuleError or SelectionError.

    `progress` is called with the number of folders done so far.
    """
    modules: list[Module] = []
    verdicts: list[ModuleVerdict] = []
    folders: list[Path] = []
    findings: list[Finding] = []
    for done, text in enumerate(given, start=1):
        folder, planned = _find_planned(plan, text)
        if planned is None:
            findings.append(_unidentified(folder))
        else:
            module = planned.build()
            modules.append(module)
            folders.append(folder)
            verdicts.append(check_module(module, folder, root=str(folder), label=label, hint=RETURNED_HINT, returned=True))
        progress(done)
    return ReturnedModules(tuple(modules), tuple(verdicts), tuple(folders), tuple(findings))


def _find_planned(plan: Plan, text: str) -> tuple[Path, PlannedModule | None]:
    name, equals, rest = text.partition("=")
    if not text or (equals and not rest and not Path(text).exists()):
        hint = f"write {name or 'NAME'}=FOLDER; . is the current one"
        raise SelectionError(f"{text or 'an empty string'} names no folder", where="--path", hint=hint)
    if equals and not Path(text).exists():
        (path, *more) = sorted(select(plan, [name], where="--path"))
        if more:
            raise SelectionError(
                f"{name} has several modules: {', '.join((path, *more))}", where="--path", hint=f"write {path}={rest}"
            )
        return Path(rest), next(module for module in plan.modules if module.path == path)
    folder = Path(text)
    return folder, _by_content(plan, folder, parse_module(folder, account_id=None))


def _by_content(plan: Plan, folder: Path, parsed: ParsedModule) -> PlannedModule | None:
    """The planned module for the guard's account ID; among several, the one with most roles and users in common.

    Without a guard, the module that the folder is named after. None if there is no such module.
    """
    if parsed.guard_account_id is None:
        named = [
            module for module in plan.modules if folder.resolve().name in (module.subject, module.path.rpartition("/")[2])
        ]
        return named[0] if len(named) == 1 else None
    names = set(access_arns(parsed.access))
    best: tuple[int, PlannedModule] | None = None
    for planned in plan.modules:
        module = planned.build()
        if module.account.account_id == parsed.guard_account_id:
            common = len(names & set(access_arns(module.access)))
            if best is None or common > best[0]:
                best = (common, planned)
    return None if best is None else best[1]


def _unidentified(folder: Path) -> Finding:
    return UNPLANNED.finding(
        str(folder),
        "not a module of this manifest: its guard names no account of the manifest, or it has no guard",
        str(folder),
        1,
        hint=f"name its customer or switch role: --path NAME={folder}",
    )
