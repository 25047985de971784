"""People whom a module created that leaves the output folder, while other switch roles still need them.

`gen terraform` deletes the files of a module that is no longer planned and leaves a Terraform state that lies there. Without
the files nothing protects what the state holds: `terraform destroy` would delete group and users.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rolecall_generator.errors import RolecallError
from rolecall_generator.iam.access import Access, Group, User
from rolecall_generator.iam.module import ModuleKind
from rolecall_generator.plan import Plan

_SWITCH_ROLES = "switch-roles/"


def people_left_behind(out: Path, written: Iterable[str], plan: Plan) -> tuple[str, ...]:
    """A sentence for each module of the last run that created people whom the plan only looks up. Changes nothing.

    `written` are the paths of the last run's modules below `out`. A module that cannot be read is left out.
    """
    planned = {module.path for module in plan.modules}
    gone = sorted(path for path in written if path.startswith(_SWITCH_ROLES) and path not in planned)
    return tuple(_notes(out, gone, plan)) if gone else ()


def _notes(out: Path, gone: Iterable[str], plan: Plan) -> Iterator[str]:
    from rolecall_generator.parse import parse_module  # noqa: PLC0415 - loads the parser only when a switch role has gone

    needed: dict[str, str] = {}
    for planned in plan.modules:
        if planned.kind in {ModuleKind.TRUSTING, ModuleKind.TRUSTED}:
            module = planned.build()
            needed |= dict.fromkeys(_people(module.access, existing=True), module.path)
    for path in gone:
        try:
            created = _people(parse_module(out / path, account_id=None).access, existing=False)
        except RolecallError:
            continue
        if left := sorted(needed.keys() & created):
            names = ", ".join(arn.rpartition(":")[2].replace("/", " ", 1) for arn in left)
            user = needed[left[0]]
            yield (
                f"{path} created {names}, which {user} still needs: do not run terraform destroy there. To keep them under "
                f"Terraform, take `existing: true` off in the manifest and move the state to {user}"
            )


def _people(access: Access, *, existing: bool) -> set[str]:
    """ARNs of the groups and users that are created, or only looked up."""
    parts: tuple[Group | User, ...] = (*access.groups.values(), *access.users.values())
    return {part.arn for part in parts if part.existing is existing}
