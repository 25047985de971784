"""Checks modules that customers returned: finds the planned module of each folder and compares the two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rolecall_generator.check.module_access import access_arns
from rolecall_generator.check.module_check import CheckedModule, check_module
from rolecall_generator.errors import SelectionError
from rolecall_generator.findings import UNPLANNED, Finding
from rolecall_generator.iam.difference import Label
from rolecall_generator.planning import Plan, PlannedModule, select
from rolecall_generator.terraform.parser import ParsedModule, parse_module

RETURNED_HINT = "ask who changed it, and why; then change the manifest, or send the module again"


def check_returned(
    plan: Plan, given: Sequence[str], *, label: Label, progress: Callable[[int], None]
) -> tuple[list[CheckedModule], list[Finding]]:
    """Check folders, each given as FOLDER or NAME=FOLDER.

    Returns the modules whose planned module was found, and findings about the other folders. `progress` is called with the
    number of folders done so far. Raises ModuleError or SelectionError.
    """
    checked: list[CheckedModule] = []
    findings: list[Finding] = []
    for done, argument in enumerate(given, start=1):
        folder, planned = _find_planned(plan, argument)
        if planned is None:
            what = "not a module of this manifest: its guard names no account of the manifest, or it has no guard"
            hint = f"name its customer or switch role: --path NAME={folder}"
            findings.append(UNPLANNED.finding(str(folder), what, str(folder), 1, hint=hint))
        else:
            module, root = planned.build(), str(folder)
            verdict = check_module(module, folder, root=root, label=label, hint=RETURNED_HINT, returned=True)
            checked.append(CheckedModule(module, verdict, folder, root))
        progress(done)
    return checked, findings


def _find_planned(plan: Plan, argument: str) -> tuple[Path, PlannedModule | None]:
    name, equals, folder_name = argument.partition("=")
    if not argument or (equals and not folder_name and not Path(argument).exists()):
        hint = f"write {name or 'NAME'}=FOLDER; . is the current one"
        raise SelectionError(f"{argument or 'an empty string'} names no folder", where="--path", hint=hint)
    if equals and not Path(argument).exists():
        (path, *more) = sorted(select(plan, [name], where="--path"))
        if more:
            raise SelectionError(
                f"{name} has several modules: {', '.join((path, *more))}", where="--path", hint=f"write {path}={folder_name}"
            )
        return Path(folder_name), next(module for module in plan.modules if module.path == path)
    folder = Path(argument)
    return folder, _by_content(plan, folder, parse_module(folder, account_id=None))


def _by_content(plan: Plan, folder: Path, parsed: ParsedModule) -> PlannedModule | None:
    """The planned module for the guard's account ID; if there are several, the one with the most ARNs in common.

    Without a guard, the only module with the name of the folder. None if there is no such module.
    """
    if parsed.guard_account_id is None:
        same_name = [
            module for module in plan.modules if folder.resolve().name in (module.subject, module.path.rpartition("/")[2])
        ]
        return same_name[0] if len(same_name) == 1 else None
    arns = set(access_arns(parsed.access))
    best: tuple[int, PlannedModule] | None = None
    for planned in plan.modules:
        module = planned.build()
        if module.account.account_id == parsed.guard_account_id:
            common = len(arns & set(access_arns(module.access)))
            if best is None or common > best[0]:
                best = (common, planned)
    return None if best is None else best[1]
