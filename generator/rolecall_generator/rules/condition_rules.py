"""RC209 to RC211: unknown condition keys, conditions that are never met, and keys that no action supports.

Sources are on the pages of the rules, docs/rules/RC2xx.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn, Condition, PolicyDocument, Statement
from rolecall_generator.iam.catalog import actions, find_key, keys_of_action
from rolecall_generator.iam.matching import find_operator
from rolecall_generator.iam.validation import condition_faults, unknown_key_fault
from rolecall_generator.rules.rule import CheckContext, Hit, Owner, named, over_access, over_statements, rule, trust_owner

_EVERY_ACTION = frozenset({"*", "*:*"})


def _documents(context: CheckContext) -> Iterator[tuple[PolicyDocument, Iterable[Owner]]]:
    """Permission documents and trust policies, each with its owners."""
    yield from context.documents.items()
    yield from ((trust, (trust_owner(role),)) for role, trust in context.trusts())


@rule(
    "RC209",
    "Condition key that AWS does not have",
    Severity.ERROR,
    over_access,
    hint="write a condition key of the Service Authorization Reference",
)
def unknown_condition_key(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Condition keys that neither AWS nor an identity provider defines."""
    for document, owners in _documents(context):
        hits = [
            Hit(
                f"has a condition that {_effect(condition)}: {fault.what}: {named(statement)}",
                fault.hint,
                statement=statement,
                text=condition.key,
            )
            for statement in document.statements
            for condition in statement.conditions
            if (fault := unknown_key_fault(condition.key)) is not None
        ]
        yield from ((owner, hit) for owner in owners for hit in hits)


def _effect(condition: Condition) -> str:
    """The effect of a condition on a key that no request contains."""
    use = find_operator(condition.operator, any_case=True)
    if use is None:
        return "cannot be evaluated"
    holds = use.holds_when_absent
    if use.operator.compare is None:
        holds = "true" in {value.lower() for value in condition.values}
    return "always holds" if holds else "never holds"


@rule(
    "RC210",
    "Condition that cannot hold as written",
    Severity.WARNING,
    over_access,
    hint="write a value that a request can have",
)
def impossible_condition(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Conditions that no request can meet or that IAM rejects, in the partition of their owner."""
    for document, owners in _documents(context):
        if not any(statement.conditions for statement in document.statements):
            continue
        hits: dict[str, list[Hit]] = {}
        for owner in owners:
            arn = Arn.parse(owner.arn)
            partition = arn.partition if arn else "aws"
            if partition not in hits:
                hits[partition] = list(_faults(document, partition))
            yield from ((owner, hit) for hit in hits[partition])


def _faults(document: PolicyDocument, partition: str) -> Iterator[Hit]:
    for statement in document.statements:
        for condition in statement.conditions:
            for fault in condition_faults(condition, partition):
                yield Hit(
                    f"has a condition that cannot hold as written: {fault.what}: {named(statement)}",
                    fault.hint,
                    Severity.ERROR if fault.refused else None,
                    statement=statement,
                    text=condition.key if fault.value is None else fault.value,
                )


@rule(
    "RC211",
    "Condition key that no action supports",
    Severity.WARNING,
    over_statements,
    hint="use a key of these actions, or move the actions that support the key to a separate statement",
)
def condition_key_of_no_action(statement: Statement) -> Iterator[Hit]:
    """Service-specific keys that none of the statement's actions supports."""
    if not statement.actions or _EVERY_ACTION.intersection(statement.actions):
        return
    for condition in statement.conditions:
        key = find_key(condition.key)
        if key is None or key.is_global:
            continue
        listed = [keys_of_action(*each.lower().split(":", 1)) for each in map(str, _expanded(statement))]
        # Unknown actions are reported by RC206.
        if listed and not any(keys is None or key.name.lower() in keys for keys in listed):
            yield Hit(
                f"requires {condition.key}, which none of its actions supports, so the condition {_effect(condition)}: "
                f"{named(statement)}",
                text=condition.key,
            )


def _expanded(statement: Statement) -> list[str]:
    return [found for pattern in statement.actions for found in actions.expand(pattern)]
