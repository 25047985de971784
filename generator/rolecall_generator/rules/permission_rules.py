"""RC2xx and RC5xx: overly broad permissions; unknown actions, condition keys and managed policies; what matches nothing.

Sources are on the pages of the rules, docs/rules/RC2xx.md and RC5xx.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn, Condition, PolicyDocument, Statement
from rolecall_generator.iam.catalog import actions, find_action, find_key, keys_of_action
from rolecall_generator.iam.matching import find_operator, may_match
from rolecall_generator.iam.validation import account_of, condition_faults, resource_fault, unknown_key_fault
from rolecall_generator.rules.rule import (
    CheckContext,
    Hit,
    Owner,
    RuleFunction,
    named,
    over_access,
    over_all_statements,
    over_statements,
    rule,
    trust_owner,
)

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


_STS_PREFIX = "sts:"


@rule("RC212", "Resource that matches nothing", Severity.ERROR, over_access, hint="write the ARN of a resource that exists")
def matches_nothing(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Resources that cannot match anything in the partition of their owner."""
    yield from _hits_by_partition(context.documents.items(), _faults)


def _hits_by_partition(
    documents: Iterable[tuple[PolicyDocument, Iterable[Owner]]], judge: Callable[[Statement, str], Iterable[Hit]]
) -> Iterator[tuple[Owner, Hit]]:
    """Call the function with each statement, once for each partition of the document's owners."""
    for document, owners in documents:
        hits: dict[str, list[Hit]] = {}
        for owner in owners:
            arn = Arn.parse(owner.arn)
            partition = arn.partition if arn else "aws"
            if partition not in hits:
                hits[partition] = [hit for statement in document.statements for hit in judge(statement, partition)]
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
    documents = (each for each in _documents(context) if any(statement.conditions for statement in each[0].statements))
    yield from _hits_by_partition(documents, _condition_hits)


def _condition_hits(statement: Statement, partition: str) -> Iterator[Hit]:
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
    if not statement.actions or _ALL_ACTIONS.intersection(statement.actions):
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


def over_attached(*, boundaries: bool = False) -> Callable[[Callable[[str, str], Hit | None]], RuleFunction]:
    """Call the function once for each attached AWS managed policy, with its ARN and name.

    `boundaries`: include permissions boundaries.
    """

    def over(function: Callable[[str, str], Hit | None]) -> RuleFunction:
        def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
            hits: dict[str, Hit | None] = {}
            for owner, arn in _policy_arns(context, boundaries=boundaries):
                if arn not in hits:
                    name = actions.managed_policy_name(arn)
                    hits[arn] = None if name is None else function(arn, name)
                if (hit := hits[arn]) is not None:
                    yield owner, hit

        return over_context

    return over


def _policy_arns(context: CheckContext, *, boundaries: bool) -> Iterator[tuple[Owner, str]]:
    """Yield owners and ARNs of attached policies and, with `boundaries`, of permissions boundaries."""
    access = context.access
    for principals in (access.roles, access.groups, access.users):
        for owner_arn, principal in principals.items():
            yield from ((Owner(owner_arn, "the list of attached policies"), arn) for arn in sorted(principal.attached))
    for bounded in (access.roles, access.users) if boundaries else ():
        for owner_arn, holder in bounded.items():
            if holder.boundary:
                yield Owner(owner_arn, "the permissions boundary"), holder.boundary


@rule(
    "RC504",
    "Managed policy of another account",
    Severity.ERROR,
    over_access,
    hint="use a policy of the role's account, or an AWS managed policy",
)
def managed_policy_of_other_account(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Attached policies and permissions boundaries that belong to another account."""
    for owner, arn in _policy_arns(context, boundaries=True):
        policy, owner_arn = Arn.parse(arn), Arn.parse(owner.arn)
        if policy is None or owner_arn is None or policy.account_id in {"aws", owner_arn.account_id}:
            continue
        yield (
            owner,
            Hit(f"has {arn}, a policy of account {policy.account_id}: a policy can only be attached in its own account"),
        )


def _deprecated_entry(name: str) -> actions.Deprecated | None:
    """The entry of a deprecated policy, found by name with or without path; None if the policy is not deprecated."""
    bare_name = name.rpartition("/")[2]
    return actions.DEPRECATED.get(name) or next(
        (entry for full_name, entry in actions.DEPRECATED.items() if full_name.rpartition("/")[2] == bare_name),
        None,
    )


@rule(
    "RC501",
    "Managed policy that AWS does not have",
    Severity.ERROR,
    over_attached(boundaries=True),
    hint="write a policy of the AWS Managed Policy Reference Guide",
)
def unknown_managed_policy(arn: str, name: str) -> Hit | None:
    """Names that are not in the list of AWS managed policies."""
    if name in actions.known_names() or _deprecated_entry(name):
        return None
    partition = arn.split(":")[1]
    nearest = actions.nearest_name(name)
    return Hit(
        f"names {name}, which AWS does not have",
        f"write {nearest}" if nearest else None,
        # The list is only complete for the aws partition.
        None if partition == "aws" else Severity.NOTE,
    )


@rule(
    "RC502",
    "Deprecated managed policy",
    Severity.ERROR,
    over_attached(),
    hint="write the required permissions as statements",
)
def deprecated_managed_policy(_arn: str, name: str) -> Hit | None:
    """Policies that AWS has deprecated or will deprecate."""
    entry = _deprecated_entry(name)
    if entry is None:
        return None
    state = "AWS will deprecate" if entry.attachable else "AWS has deprecated; it can no longer be attached"
    return Hit(
        f"names {name}, which {state}",
        f"attach {entry.replacement}" if entry.replacement else None,
        Severity.WARNING if entry.attachable else Severity.ERROR,
    )


@rule(
    "RC503",
    "Overly broad managed policy",
    Severity.ERROR,
    over_attached(),
    hint="list the required actions",
)
def sweeping_managed_policy(_arn: str, name: str) -> Hit | None:
    """Policies that grant full access to an account, or read access to all its data."""
    if name not in actions.OVERLY_BROAD:
        return None
    reads = name == "ReadOnlyAccess"
    return Hit(
        f"has {name}, which {actions.OVERLY_BROAD[name]}",
        "attach job-function/ViewOnlyAccess or SecurityAudit" if reads else None,
        Severity.WARNING if reads else Severity.ERROR,
    )
