"""What an edit of the manifest changes, as access: the plan before against the plan after, module by module.

`gen diff` holds the plan against what was written; this holds it against the manifest as it was, so that one edit is shown
alone, whatever else has not been written yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rolecall_generator.errors import PlanError
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.difference import Change, Label, differences
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.naming import account_names, labeller
from rolecall_generator.plan import Plan, PlannedModule, make_plan
from rolecall_generator.plan.assignment import Slot


@dataclass(frozen=True, slots=True)
class ModuleDifference:
    """What changes in one module. `state` is new, changed, gone, moved or text (files change, access does not).

    `moved_from` is the module's path before a rename. `replaced`: ARNs of roles that AWS deletes and makes anew under
    another name, as (before, after); AWS cannot rename a role.
    """

    path: str
    state: str
    changes: tuple[Change, ...]
    moved_from: str | None = None
    replaced: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AccessDifference:
    """The modules that an edit touches, in the plan's order, those that go last; and how many it leaves alone.

    `note` says why the manifest before the edit could not be planned, where that is so: everything is then new.
    """

    modules: tuple[ModuleDifference, ...]
    unchanged: int
    note: str = ""

    @property
    def paths(self) -> frozenset[str]:
        """Paths of the modules that the edit touches."""
        return frozenset(module.path for module in self.modules)

    @property
    def widens(self) -> bool:
        """Whether anything is allowed that was not allowed before."""
        return any(change.widens for module in self.modules for change in module.changes)


def access_difference(
    before: Manifest, after: Manifest, previous: Mapping[str, Slot], *, moved: Mapping[str, str] | None = None
) -> AccessDifference:
    """The difference of two manifests. `previous` is the last run's assignment, `moved` paths of modules, old to new.

    Raises PlanError when AWS would refuse the manifest after the edit.
    """
    old, note = _planned_before(before, previous)
    new = make_plan(after, {**previous, **old.assignment.slots})
    name = labeller({**account_names(before), **account_names(after)})
    came_from = {target: source for source, target in (moved or {}).items()}
    known = {module.path: module for module in old.modules}
    touched: list[ModuleDifference] = []
    for module in new.modules:
        origin = known.pop(came_from.get(module.path, module.path), None)
        if origin is None or origin.fingerprint != module.fingerprint:
            touched.append(_compared(origin, module, name))
    touched += (_gone(module, name) for module in known.values())
    return AccessDifference(tuple(touched), len(new.modules) - sum(item.state != "gone" for item in touched), note)


def _planned_before(before: Manifest, previous: Mapping[str, Slot]) -> tuple[Plan, str]:
    """The plan of the manifest as it stands; an edit that mends a manifest that AWS would refuse must be possible."""
    try:
        return make_plan(before, previous), ""
    except PlanError as error:
        empty = make_plan(before.model_copy(update={"customers": (), "switch_roles": (), "backend": None}))
        return empty, f"the manifest as it stands cannot be planned, so everything is shown as new ({error.what})"


def _compared(origin: PlannedModule | None, module: PlannedModule, name: Label) -> ModuleDifference:
    after = module.build().access.canonical()
    if origin is None:
        return ModuleDifference(module.path, "new", differences(Access(), after, label=name))
    before = origin.build().access.canonical()
    changes = differences(before, after, label=name)
    moved_from = origin.path if origin.path != module.path else None
    state = "moved" if moved_from else "changed" if changes else "text"
    return ModuleDifference(module.path, state, changes, moved_from, tuple(_replaced(before, after)))


def _gone(module: PlannedModule, name: Label) -> ModuleDifference:
    return ModuleDifference(module.path, "gone", differences(module.build().access.canonical(), Access(), label=name))


def _replaced(before: Access, after: Access) -> Iterator[tuple[str, str]]:
    """Roles of one account that go while others come: what a changed name or path looks like."""
    gone = [arn for arn, role in before.roles.items() if arn not in after.roles and not role.existing]
    come = [arn for arn, role in after.roles.items() if arn not in before.roles and not role.existing]
    for old, new in zip(gone, come, strict=False):
        was, now = parse_arn(old), parse_arn(new)
        if was is not None and now is not None and was.account_id == now.account_id:
            yield old, new
