"""RC201 to RC208: overly broad permissions, and actions that do not exist or do not support their resources.

Sources are on the pages of the rules, docs/rules/RC2xx.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rolecall_generator.findings import Severity
from rolecall_generator.iam import Statement
from rolecall_generator.iam.catalog import actions
from rolecall_generator.iam.matching import may_match
from rolecall_generator.rules.rule import Hit, named, over_all_statements, over_statements, rule

_ALL_ACTIONS = frozenset({"*", "*:*"})
_MAX_NAMES = 3
_ASSUME = frozenset({"sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity"})


def _summarize(names: Sequence[str]) -> str:
    """The first names, and the number of the remaining ones."""
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _has_all_resources(statement: Statement) -> bool:
    return "*" in statement.resources


def _is_whole_service(action: str) -> bool:
    service, colon, name = action.partition(":")
    return bool(colon) and service != "*" and name != "" and not name.strip("*")


@rule(
    "RC201",
    "NotAction or NotResource with Allow",
    Severity.WARNING,
    over_statements,
    hint="list what is allowed with Action and Resource",
)
def not_action(statement: Statement) -> Iterator[Hit]:
    """Allow statements with NotAction or NotResource."""
    if statement.effect != "Allow":
        return
    for element, values in (("NotAction", statement.not_actions), ("NotResource", statement.not_resources)):
        if values:
            yield Hit(
                f"allows everything except what it lists, including what AWS adds later: {named(statement)} has {element}",
                f"list what is allowed with {element.removeprefix('Not')}",
            )


@rule("RC202", "Every action allowed", Severity.ERROR, over_statements, hint="list the required actions")
def every_action(statement: Statement) -> Iterator[Hit]:
    """Allow statements with the action `*`."""
    if statement.effect == "Allow" and _ALL_ACTIONS.intersection(statement.actions):
        yield Hit(f"allows every action: {named(statement)} has the action *")


@rule("RC203", "Whole service allowed", Severity.WARNING, over_statements, hint="list the required actions")
def whole_service(statement: Statement) -> Iterator[Hit]:
    """Allow statements with all actions of a service, as in `s3:*`."""
    if statement.effect == "Allow" and (found := [action for action in statement.actions if _is_whole_service(action)]):
        yield Hit(f"allows whole services, including their administration: {_summarize(found)}")


@rule(
    "RC204",
    "Changes to every resource allowed",
    Severity.NOTE,
    over_statements,
    hint="list the resources, or restrict them with a condition such as aws:ResourceTag",
)
def writes_everywhere(statement: Statement) -> Iterator[Hit]:
    """Actions that change resources, allowed on every resource without a condition."""
    if statement.effect != "Allow" or not _has_all_resources(statement) or statement.conditions:
        return
    found = []
    for pattern in statement.actions:
        # Whole services are reported by RC202 and RC203.
        if pattern not in _ALL_ACTIONS and not _is_whole_service(pattern):
            known = map(actions.find_action, actions.expand(pattern))
            found += [str(action) for action in known if action and action.writes and action.resource_types]
    if found:
        yield Hit(f"allows changes to every resource: {_summarize(found)} on *")


@rule(
    "RC205",
    "Privilege escalation allowed",
    Severity.WARNING,
    over_statements,
    hint="remove these actions, or list the resources and set a permissions boundary",
)
def privilege_escalation(statement: Statement) -> Iterator[Hit]:
    """Actions that let a principal grant itself more permissions."""
    if statement.effect != "Allow":
        return
    found: dict[str, None] = {}
    for pattern in statement.actions:
        if pattern not in _ALL_ACTIONS:
            found.update(dict.fromkeys(actions.escalation_actions(pattern)))
        if pattern.lower() in _ASSUME and _has_all_resources(statement) and not statement.conditions:
            yield Hit(
                f"allows {pattern} on every role that trusts the account",
                "list the roles that may be assumed",
                Severity.ERROR,
            )
    if found:
        first = next(iter(found))
        spelled = [str(actions.find_action(action) or action) for action in found]
        yield Hit(
            f"allows privilege escalation: {_summarize(spelled)} ({spelled[0]} {actions.ESCALATION_ACTIONS[first]})",
            severity=Severity.ERROR if _has_all_resources(statement) and not statement.conditions else Severity.WARNING,
        )


@rule(
    "RC206",
    "Action that AWS does not have",
    Severity.ERROR,
    over_all_statements,
    hint="write an action of the Service Authorization Reference",
)
def unknown_action(statement: Statement) -> Iterator[Hit]:
    """Actions that do not exist, and patterns that match no action."""
    for action in (*statement.actions, *statement.not_actions):
        if actions.exists(action):
            continue
        nearest = actions.nearest_action(action)
        harm = "denies nothing" if statement.effect == "Deny" else "has no effect"
        yield Hit(
            f"names the action {action}, which AWS does not have, so it {harm}",
            f"write {nearest}" if nearest else None,
            text=action,
        )


def _explicit_actions(statement: Statement) -> Iterator[actions.Action]:
    """The actions without wildcards of an Allow statement with a list of resources."""
    if statement.effect != "Allow" or not statement.resources or _has_all_resources(statement):
        return
    yield from filter(None, map(actions.find_action, statement.actions))


@rule(
    "RC207",
    "Resource type that the action does not support",
    Severity.WARNING,
    over_statements,
    hint="add a resource of a type that the action supports",
)
def resource_type(statement: Statement) -> Iterator[Hit]:
    """Actions on resources of a type that the action does not support."""
    for action in _explicit_actions(statement):
        forms = action.resource_forms
        if forms and not any(may_match(resource, form) for resource in statement.resources for form in forms):
            yield Hit(
                f"allows {action} on no resource that it supports: it supports {_summarize(action.resource_types)}, "
                f"but {named(statement)} lists {_summarize(statement.resources)}",
                f"add a resource of the form {forms[-1]}",
            )


@rule(
    "RC208",
    "Resource for an action that only supports *",
    Severity.WARNING,
    over_statements,
    hint="move it to a statement with the resource *",
)
def takes_no_resource(statement: Statement) -> Iterator[Hit]:
    """Actions that only support the resource `*`, in statements with a list of resources."""
    for action in _explicit_actions(statement):
        if not action.resource_types:
            yield Hit(f"allows {action} on listed resources, but it only supports the resource *, so nothing is allowed")
