"""Permissions in words: each statement as a sentence, with the number of actions per access level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rolecall_generator.bundle.review.phrases import Phrase, listed, name_of, say
from rolecall_generator.iam import Access, Arn, Condition, Group, PolicyDocument, Role, Statement
from rolecall_generator.iam.catalog import (
    DEPRECATED,
    ESCALATION_ACTIONS,
    OVERLY_BROAD,
    escalation_actions,
    expand,
    find_action,
    managed_policy_name,
)
from rolecall_generator.text import pluralize

LEVELS = ("List", "Read", "Write", "Tagging", "Permissions management")
"""AWS's access levels, least powerful first (Service Authorization Reference, November 2026)."""

_NAMED = 8
"""Maximum number of actions or resources in a sentence; more are counted."""

_WARNINGS = 4


@dataclass(frozen=True, slots=True)
class GrantText:
    """One grant.

    Attributes:
        said: The grant in words.
        source: The policy and statement.
        levels: Number of actions per access level; empty for AWS managed policies.
        warnings: What a reviewer should notice.
        sweeping: Whether it grants very broad access.
    """

    said: Phrase
    source: Phrase | None = None
    levels: str = ""
    warnings: tuple[Phrase, ...] = ()
    sweeping: bool = False


def grants_of(owner: Role | Group, access: Access) -> tuple[GrantText, ...]:
    """All permissions of a role or group: inline policies, own managed policies, and those of AWS and other accounts."""
    found: list[GrantText] = []
    for name, document in sorted(owner.inline.items()):
        found += _of_document(document, say("Inline policy {}", name))
    for arn in sorted(owner.attached):
        own = access.policies.get(arn)
        found += _of_document(own.document, say("Policy {}", name_of(arn))) if own is not None else [_managed(arn)]
    return tuple(found)


def _of_document(document: PolicyDocument, source: Phrase) -> list[GrantText]:
    return [_of_statement(statement, source) for statement in document.statements]


@lru_cache(maxsize=1_024)
def _of_statement(statement: Statement, source: Phrase) -> GrantText:
    verb = "Allows" if statement.effect == "Allow" else "Denies"
    said = say(f"{verb} {{}} on {{}}{{}}.", _actions(statement), _resources(statement), _conditions(statement.conditions))
    if statement.sid:
        source = say("{}, statement {}", source, statement.sid)
    warnings = _warnings(statement) if statement.effect == "Allow" else ()
    return GrantText(said, source, levels_of(statement), warnings, bool(warnings))


def _actions(statement: Statement) -> Phrase:
    if statement.not_actions:
        return say("every action but {}", _some(statement.not_actions, "action"))
    if set(statement.actions) & {"*", "*:*"}:
        return Phrase(("every action of every service",))
    return _some(statement.actions, "action")


def _resources(statement: Statement) -> Phrase:
    if statement.not_resources:
        return say("every resource but {}", _some(statement.not_resources, "resource"))
    return Phrase(("every resource",)) if "*" in statement.resources else _some(statement.resources, "resource")


def _some(values: tuple[str, ...], thing: str) -> Phrase:
    """All values if they are few, else the first ones and the total."""
    if len(values) <= _NAMED:
        return listed(values)
    first = listed(values[: _NAMED - 2], ",").parts
    return Phrase((f"{pluralize(len(values), thing)} (", *first, ", the others are in the policy document)"))


def _conditions(conditions: tuple[Condition, ...]) -> Phrase:
    if not conditions:
        return Phrase(())
    said = (say("{} {} {}", item.key, item.operator, listed(item.values, "or")) for item in conditions)
    return say(", on condition that {}", listed(said))


@lru_cache(maxsize=1_024)
def levels_of(statement: Statement) -> str:
    """What the statement's actions do, counted by access level: `1 list, 1 read; no write, no permissions management`."""
    if statement.not_actions or set(statement.actions) & {"*", "*:*"}:
        return "all access levels, permissions management among them"
    counts = Counter(_level(action) for pattern in statement.actions for action in set(expand(pattern)))
    some = ", ".join(f"{counts[level]:,} {level.lower()}" for level in LEVELS if counts[level])
    none = " or ".join(level.lower() for level in ("Write", "Permissions management") if not counts[level])
    known = some or "no action that AWS has today"
    return f"{known}; no {none}" if none and some else known


def _level(action: str) -> str:
    found = find_action(action)
    levels = found.levels if found is not None else frozenset()
    return next((level for level in reversed(LEVELS) if level in levels), LEVELS[2])


def _warnings(statement: Statement) -> tuple[Phrase, ...]:
    """Warnings for a reviewer: very broad access, and actions that allow privilege escalation."""
    if statement.not_actions:
        return (Phrase(("This allows all actions that are not listed, including those that AWS adds in the future.",)),)
    if set(statement.actions) & {"*", "*:*"}:
        return (Phrase(("This allows everything that no other policy denies.",)),)
    found = dict.fromkeys(action for pattern in statement.actions for action in escalation_actions(pattern))
    said = [say(f"{{}} {ESCALATION_ACTIONS[action]}.", _written(action)) for action in list(found)[:_WARNINGS]]
    left = len(found) - len(said)
    more = [Phrase((f"{pluralize(left, 'more action')} like these.",))] if left > 0 else []
    return (*said, *more)


def _written(action: str) -> str:
    known = find_action(action)
    return str(known) if known is not None else action


@lru_cache(maxsize=1_024)
def _managed(arn: str) -> GrantText:
    name = managed_policy_name(arn)
    if name is None:
        account = Arn.parse(arn)
        where = account.account_id if account is not None else arn
        return GrantText(
            say("Everything in the policy {} of account {}; its content is not part of this bundle.", arn, where)
        )
    said = say("Everything in the AWS managed policy {}. AWS may change its content.", arn)
    notes = []
    if name in OVERLY_BROAD:
        notes.append(Phrase((f"This policy {OVERLY_BROAD[name]}.",)))
    if name in DEPRECATED:
        new = DEPRECATED[name].replacement
        notes.append(
            say("AWS has deprecated it; the replacement is {}.", new) if new else Phrase(("AWS has deprecated it.",))
        )
    return GrantText(said, warnings=tuple(notes), sweeping=name in OVERLY_BROAD)


def documents_of(owners: Iterable[Role | Group], access: Access) -> list[tuple[Phrase, PolicyDocument]]:
    """Every policy document of the owners with its title, in the order of `grants_of`."""
    found: list[tuple[Phrase, PolicyDocument]] = []
    for owner in owners:
        found += [(say("Inline policy {}", name), document) for name, document in sorted(owner.inline.items())]
        found += [
            (say("Policy {}", name_of(arn)), access.policies[arn].document)
            for arn in sorted(owner.attached)
            if arn in access.policies
        ]
    return found
