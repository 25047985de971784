"""Permissions as sentences: each statement as a sentence, with the number of actions per access level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rolecall_generator.bundle.review.phrases import Phrase, format_phrase, join_phrases, name_of
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
class GrantDescription:
    """One grant.

    Attributes:
        sentence: The grant as a sentence.
        source: The policy and statement.
        levels: Number of actions per access level; empty for AWS managed policies.
        warnings: What a reviewer should notice.
        sweeping: Whether it grants very broad access.
    """

    sentence: Phrase
    source: Phrase | None = None
    levels: str = ""
    warnings: tuple[Phrase, ...] = ()
    broad: bool = False


def grants_of(owner: Role | Group, access: Access) -> tuple[GrantDescription, ...]:
    """All permissions of a role or group: inline policies, own managed policies, and those of AWS and other accounts."""
    found: list[GrantDescription] = []
    for name, document in sorted(owner.inline.items()):
        found += _of_document(document, format_phrase("Inline policy {}", name))
    for arn in sorted(owner.attached):
        own = access.policies.get(arn)
        found += _of_document(own.document, format_phrase("Policy {}", name_of(arn))) if own is not None else [_managed(arn)]
    return tuple(found)


def _of_document(document: PolicyDocument, source: Phrase) -> list[GrantDescription]:
    return [_of_statement(statement, source) for statement in document.statements]


@lru_cache(maxsize=1_024)
def _of_statement(statement: Statement, source: Phrase) -> GrantDescription:
    verb = "Allows" if statement.effect == "Allow" else "Denies"
    sentence = format_phrase(
        f"{verb} {{}} on {{}}{{}}.", _actions(statement), _resources(statement), _conditions(statement.conditions)
    )
    if statement.sid:
        source = format_phrase("{}, statement {}", source, statement.sid)
    warnings = _warnings(statement) if statement.effect == "Allow" else ()
    return GrantDescription(sentence, source, levels_of(statement), warnings, bool(warnings))


def _actions(statement: Statement) -> Phrase:
    if statement.not_actions:
        return format_phrase("every action except {}", _some(statement.not_actions, "action"))
    if set(statement.actions) & {"*", "*:*"}:
        return Phrase(("every action of every service",))
    return _some(statement.actions, "action")


def _resources(statement: Statement) -> Phrase:
    if statement.not_resources:
        return format_phrase("every resource except {}", _some(statement.not_resources, "resource"))
    return Phrase(("every resource",)) if "*" in statement.resources else _some(statement.resources, "resource")


def _some(values: tuple[str, ...], thing: str) -> Phrase:
    """All values if they are few, else the first ones and the total."""
    if len(values) <= _NAMED:
        return join_phrases(values)
    first = join_phrases(values[: _NAMED - 2], ",").parts
    return Phrase((f"{pluralize(len(values), thing)} (", *first, ", the others are in the policy document)"))


def _conditions(conditions: tuple[Condition, ...]) -> Phrase:
    if not conditions:
        return Phrase(())
    tests = (format_phrase("{} {} {}", item.key, item.operator, join_phrases(item.values, "or")) for item in conditions)
    return format_phrase(", on condition that {}", join_phrases(tests))


@lru_cache(maxsize=1_024)
def levels_of(statement: Statement) -> str:
    """What the statement's actions do, counted by access level: `1 list, 1 read; no write, no permissions management`."""
    if statement.not_actions or set(statement.actions) & {"*", "*:*"}:
        return "all access levels, permissions management among them"
    counts = Counter(_level(action) for pattern in statement.actions for action in set(expand(pattern)))
    some = ", ".join(f"{counts[level]:,} {level.lower()}" for level in LEVELS if counts[level])
    none = " or ".join(level.lower() for level in ("Write", "Permissions management") if not counts[level])
    actions = some or "no action that AWS has today"
    return f"{actions}; no {none}" if none and some else actions


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
    shown = [
        format_phrase(f"{{}} {ESCALATION_ACTIONS[action]}.", _action_name(action)) for action in list(found)[:_WARNINGS]
    ]
    remaining = len(found) - len(shown)
    more = [Phrase((f"{pluralize(remaining, 'more action')} like these.",))] if remaining > 0 else []
    return (*shown, *more)


def _action_name(action: str) -> str:
    known = find_action(action)
    return str(known) if known is not None else action


@lru_cache(maxsize=1_024)
def _managed(arn: str) -> GrantDescription:
    name = managed_policy_name(arn)
    if name is None:
        account = Arn.parse(arn)
        where = account.account_id if account is not None else arn
        return GrantDescription(
            format_phrase("Everything in the policy {} of account {}; its content is not part of this bundle.", arn, where)
        )
    sentence = format_phrase("Everything in the AWS managed policy {}. AWS may change its content.", arn)
    notes = []
    if name in OVERLY_BROAD:
        notes.append(Phrase((f"This policy {OVERLY_BROAD[name]}.",)))
    if name in DEPRECATED:
        new = DEPRECATED[name].replacement
        notes.append(
            format_phrase("AWS has deprecated it; the replacement is {}.", new)
            if new
            else Phrase(("AWS has deprecated it.",))
        )
    return GrantDescription(sentence, warnings=tuple(notes), broad=name in OVERLY_BROAD)


def documents_of(owners: Iterable[Role | Group], access: Access) -> list[tuple[Phrase, PolicyDocument]]:
    """Every policy document of the owners with its title, in the order of `grants_of`."""
    found: list[tuple[Phrase, PolicyDocument]] = []
    for owner in owners:
        found += [(format_phrase("Inline policy {}", name), document) for name, document in sorted(owner.inline.items())]
        found += [
            (format_phrase("Policy {}", name_of(arn)), access.policies[arn].document)
            for arn in sorted(owner.attached)
            if arn in access.policies
        ]
    return found
