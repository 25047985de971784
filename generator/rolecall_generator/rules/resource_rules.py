"""RC212 and RC213: resources that match nothing, and resources of another account.

Sources are on the pages of the rules, docs/rules/RC21x.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn, Statement
from rolecall_generator.iam.catalog import find_action
from rolecall_generator.iam.matching import may_match
from rolecall_generator.iam.validation import account_of, resource_fault
from rolecall_generator.rules.rule import CheckContext, Hit, Owner, named, over_access, rule

_STS_PREFIX = "sts:"


@rule("RC212", "Resource that matches nothing", Severity.ERROR, over_access, hint="write the ARN of a resource that exists")
def matches_nothing(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Resources that cannot match anything in the partition of their owner."""
    for document, owners in context.documents.items():
        hits: dict[str, list[Hit]] = {}
        for owner in owners:
            parsed = Arn.parse(owner.arn)
            partition = parsed.partition if parsed else "aws"
            if partition not in hits:
                hits[partition] = [hit for statement in document.statements for hit in _faults(statement, partition)]
            yield from ((owner, hit) for hit in hits[partition])


def _faults(statement: Statement, partition: str) -> Iterator[Hit]:
    for resource in (*statement.resources, *statement.not_resources):
        if fault := resource_fault(resource, partition):
            yield Hit(
                f"names the resource {resource}, which {fault.what}: {named(statement)}",
                fault.hint,
                Severity.WARNING if fault.suspicious else None,
                statement=statement,
                text=resource,
            )
        elif resource in statement.resources and (form := _form_with_account(statement, resource)):
            yield Hit(
                f"names the resource {resource} without an account, which the actions of {named(statement)} require",
                f"write it in the form {form}; use * for any account",
                statement=statement,
                text=resource,
            )


def _form_with_account(statement: Statement, resource: str) -> str | None:
    """The ARN format with an account, if none of the actions supports the resource without one; otherwise None."""
    parts = resource.split(":", 5)
    if len(parts) != 6 or parts[4] or any(wildcard in action for action in statement.actions for wildcard in "*?"):  # noqa: PLR2004
        return None
    known = [action for action in map(find_action, statement.actions) if action is not None]
    forms = [form for action in known for form in action.resource_forms]
    if not forms or len(known) != len(statement.actions):
        return None
    with_account = ":".join((*parts[:4], "*", parts[5]))
    supported_forms = [form for form in forms if form == "*" or ("${Account}" not in form and may_match(resource, form))]
    if supported_forms or _is_public(parts[2], parts[5]):
        return None
    return next((form for form in forms if "${Account}" in form and may_match(with_account, form)), None)


def _is_public(service: str, resource: str) -> bool:
    """Whether AWS publishes resources of this type, whose ARNs have no account."""
    return (service, resource.partition("/")[0]) in {
        ("ssm", "parameter"), ("ssm", "document"), ("ssm", "automation-definition"), ("ssm", "patchbaseline"),
        ("ec2", "image"), ("ec2", "snapshot"), ("rds", "snapshot"),
    }  # fmt: skip


@rule(
    "RC213",
    "Resource in another account",
    Severity.ERROR,
    over_access,
    hint="write the account of the role, or *; suppress the rule if the other account is intended",
)
def resource_of_other_account(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Resources in an account other than the owner's, except in statements with only STS actions."""
    for document, owners in context.documents.items():
        foreign = [
            (statement, resource, account)
            for statement in document.statements
            if not _has_only_sts_actions(statement)
            for resource in statement.resources
            if (account := account_of(resource)) is not None
        ]
        for owner in owners if foreign else ():
            parsed = Arn.parse(owner.arn)
            for statement, resource, account in foreign:
                if parsed is not None and parsed.account_id != account:
                    yield (
                        owner,
                        Hit(
                            f"names {resource}, which is in account {account} and not in its own: {named(statement)}",
                            statement=statement,
                            text=resource,
                        ),
                    )


def _has_only_sts_actions(statement: Statement) -> bool:
    """Whether the statement has only STS actions, which are commonly used across accounts."""
    return bool(statement.actions) and all(action.lower().startswith(_STS_PREFIX) for action in statement.actions)
