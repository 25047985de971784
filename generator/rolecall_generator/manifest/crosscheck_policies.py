"""The form of permission sets and tags: statements that AWS or Terraform would not take as they were meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rolecall_generator.errors import Problem
from rolecall_generator.iam.quotas import TAGS
from rolecall_generator.manifest.models import Manifest, StatementSpec
from rolecall_generator.manifest.places import Places
from rolecall_generator.manifest.tree import Loc


def policy_problems(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """Problems in the form of permission sets and their statements."""
    for name, permissions in manifest.permission_sets.items():
        at: Loc = ("permission_sets", name)
        if not permissions.statements and not permissions.managed_policies:
            mend = "add statements or managed_policies, or remove the set"
            yield places.problem(at, f"permission set {name} is empty", mend, key=True)
        sids: set[str] = set()
        for number, statement in enumerate(permissions.statements):
            yield from _statement(statement, (*at, "statements", number), places)
            if statement.sid and statement.sid in sids:
                where: Loc = (*at, "statements", number, "sid")
                yield places.problem(where, f"sid {statement.sid} stands twice in {name}", "give each statement its own sid")
            sids.add(statement.sid)


def _statement(statement: StatementSpec, at: Loc, places: Places) -> Iterator[Problem]:
    for positive, negative, one, other in (
        (statement.actions, statement.not_actions, "actions", "not_actions"),
        (statement.resources, statement.not_resources, "resources", "not_resources"),
    ):
        if positive and negative:
            what = f"the statement has both {one} and {other}"
            yield places.problem((*at, other), what, "keep one of the two, or make two statements", key=True)
        elif not positive and not negative:
            mend = 'add resources; ["*"] means all' if one == "resources" else f"add {one}, as in [s3:GetObject]"
            yield places.problem(at, f"the statement has neither {one} nor {other}", mend)
    for loc, text in _texts(statement):
        if "&{" in text:
            what = "&{ in a policy: Terraform's policy documents turn it into ${"
            yield places.problem((*at, *loc), what, "write ${ for a policy variable; rolecall escapes it for Terraform")


def _texts(statement: StatementSpec) -> Iterator[tuple[Loc, str]]:
    """The statement's free texts, each with its loc."""
    for name, values in (("resources", statement.resources), ("not_resources", statement.not_resources)):
        yield from (((name, number), text) for number, text in enumerate(values))
    for operator, keys in statement.conditions.items():
        for key, found in keys.items():
            yield ("conditions", operator, key), key
            many = isinstance(found, tuple)
            values = found if isinstance(found, tuple) else (found,)
            for number, text in enumerate(values):
                yield ("conditions", operator, key, *((number,) if many else ())), text


def tag_problems(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """Tags that AWS refuses; a customer's own are measured together with the defaults'."""
    common = manifest.defaults.tags
    yield from _tags({}, common, ("defaults", "tags"), places)
    if manifest.backend:
        yield from _tags({}, manifest.backend.tags, ("backend", "tags"), places)
    tagged: list[tuple[Loc, Mapping[str, str]]] = [
        (("customers", i), entry.tags) for i, entry in enumerate(manifest.customers)
    ]
    tagged += [(("switch_roles", i), entry.tags) for i, entry in enumerate(manifest.switch_roles)]
    for at, tags in tagged:
        if tags:
            yield from _tags(common, tags, (*at, "tags"), places)


def _tags(common: Mapping[str, str], own: Mapping[str, str], at: Loc, places: Places) -> Iterator[Problem]:
    folded = {key.casefold(): key for key in common}
    for key in own:
        lower = key.casefold()
        if folded.setdefault(lower, key) != key:
            what = f"tag {key} differs from tag {folded[lower]} only in case"
            yield places.problem((*at, key), what, f"write {folded[lower]}: AWS takes only one of them", key=True)
        if lower.startswith("aws:"):
            yield places.problem(
                (*at, key), f"tag {key} starts with aws:", "choose another name: AWS keeps aws: to itself", key=True
            )
    if len(folded) > TAGS:
        what = f"{len(folded)} tags, and AWS takes {TAGS}"
        yield places.problem(at, what, "remove some; labels have no such limit and stay with you")
