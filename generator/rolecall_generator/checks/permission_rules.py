"""RC2xx: what policies allow, and whether what they name exists.

Sources stand on the rules' pages, docs/rules/RC2xx.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rolecall_generator.checks.context import CheckContext, Hit
from rolecall_generator.checks.finding import Severity
from rolecall_generator.checks.rule import named, over_statements, over_trusts, rule, union_of
from rolecall_generator.iam import actions
from rolecall_generator.iam.access import Role
from rolecall_generator.iam.globs import may_match
from rolecall_generator.iam.policy import Statement

_EVERYTHING = frozenset({"*", "*:*"})
_SHOWN = 3
_ASSUME = frozenset({"sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity"})


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _is_open(statement: Statement) -> bool:
    return "*" in statement.resources


def _whole_service(action: str) -> bool:
    service, colon, name = action.partition(":")
    return bool(colon) and service != "*" and name != "" and not name.strip("*")


def _negations(statement: Statement) -> Iterator[Hit]:
    if statement.effect != "Allow":
        return
    for element, values in (("NotAction", statement.not_actions), ("NotResource", statement.not_resources)):
        if values:
            yield Hit(
                f"allows everything but what it names, what AWS adds later included: {named(statement)} has {element}",
                f"list what is allowed with {element.removeprefix('Not')}",
            )


def _everything(statement: Statement) -> Iterator[Hit]:
    if statement.effect == "Allow" and _EVERYTHING.intersection(statement.actions):
        yield Hit(f"allows every action: {named(statement)} has the action *", "list the actions that are needed")


def _service(statement: Statement) -> Iterator[Hit]:
    if statement.effect == "Allow" and (found := [action for action in statement.actions if _whole_service(action)]):
        yield Hit(
            f"allows whole services, their administration included: {_some(found)}",
            "list the actions that are needed",
        )


def _writes_everywhere(statement: Statement) -> Iterator[Hit]:
    if statement.effect != "Allow" or not _is_open(statement) or statement.conditions:
        return
    found = []
    for pattern in statement.actions:
        # Whole services have findings of their own.
        if pattern not in _EVERYTHING and not _whole_service(pattern):
            known = map(actions.find_action, actions.expand(pattern))
            found += [str(action) for action in known if action and action.writes and action.resource_types]
    if found:
        yield Hit(
            f"allows changes to every resource: {_some(found)} on *",
            "name the resources, or narrow them with a condition such as aws:ResourceTag",
        )


def _escalations(statement: Statement) -> Iterator[Hit]:
    if statement.effect != "Allow":
        return
    found: dict[str, None] = {}
    for pattern in statement.actions:
        if pattern not in _EVERYTHING:
            found.update(dict.fromkeys(actions.escalations(pattern)))
        if pattern.lower() in _ASSUME and _is_open(statement) and not statement.conditions:
            yield Hit(
                f"allows {pattern} on every role that trusts the account",
                "name the roles that may be assumed",
                Severity.ERROR,
            )
    if found:
        first = next(iter(found))
        spelled = [str(actions.find_action(action) or action) for action in found]
        yield Hit(
            f"allows privilege escalation: {_some(spelled)} ({spelled[0]} {actions.ESCALATION[first]})",
            "take these actions away, or name the resources and set a permissions boundary",
            Severity.ERROR if _is_open(statement) and not statement.conditions else Severity.WARNING,
        )


def _unknown_actions(statement: Statement) -> Iterator[Hit]:
    for action in (*statement.actions, *statement.not_actions):
        if actions.exists(action):
            continue
        nearest = actions.nearest_action(action)
        harm = "refuses nothing" if statement.effect == "Deny" else "has no effect"
        yield Hit(
            f"names the action {action}, which AWS does not have, so it {harm}",
            f"write {nearest}" if nearest else "write an action of the Service Authorization Reference",
            text=action,
        )


def _explicit_actions(statement: Statement) -> Iterator[actions.Action]:
    """Actions without wildcards of an Allow that names resources; wildcards cover actions of many resource types."""
    if statement.effect != "Allow" or not statement.resources or _is_open(statement):
        return
    yield from filter(None, map(actions.find_action, statement.actions))


def _resource_types(statement: Statement) -> Iterator[Hit]:
    for action in _explicit_actions(statement):
        forms = action.resource_forms
        if forms and not any(may_match(resource, form) for resource in statement.resources for form in forms):
            yield Hit(
                f"allows {action} on no resource that it takes: it takes {_some(action.resource_types)}, "
                f"and {named(statement)} names {_some(statement.resources)}",
                f"add a resource of the form {forms[-1]}",
            )


def _takes_no_resource(statement: Statement) -> Iterator[Hit]:
    for action in _explicit_actions(statement):
        if not action.resource_types:
            yield Hit(
                f"allows {action} on named resources, but it takes the resource * alone, so nothing is allowed",
                "move it to a statement with the resource *",
            )


def _trust_actions(_context: CheckContext, _role: Role, statement: Statement) -> Iterator[Hit]:
    return _unknown_actions(statement)


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

PERMISSION_RULES = (
    rule("RC201", "NotAction or NotResource with Allow", _W, over_statements(_negations)),
    rule("RC202", "Every action allowed", _E, over_statements(_everything)),
    rule("RC203", "Whole service allowed", _W, over_statements(_service)),
    rule("RC204", "Changes to every resource allowed", _N, over_statements(_writes_everywhere)),
    rule("RC205", "Privilege escalation allowed", _W, over_statements(_escalations)),
    rule(
        "RC206",
        "Action that AWS does not have",
        _E,
        union_of(over_trusts(_trust_actions), over_statements(_unknown_actions)),
    ),
    rule("RC207", "Resource type that the action does not take", _W, over_statements(_resource_types)),
    rule("RC208", "Named resource for an action that takes none", _W, over_statements(_takes_no_resource)),
)
"""The rules of this family."""
