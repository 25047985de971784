"""RA3xx and RA4xx: use, sessions and permissions of roles that outsiders can assume.

Sources are on the pages of the rules, docs/rules/RA3xx.md and RA4xx.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from rolecall_generator.audit.description import describe_chain, short_role, shorten_list
from rolecall_generator.audit.model import AuditContext, AuditedRole, Remark, audit_rule
from rolecall_generator.audit.permissions import Escalation, Scope
from rolecall_generator.audit.tables import sensitive_actions
from rolecall_generator.findings import Severity
from rolecall_generator.text import duration, pluralize

_SESSION_SECONDS = 3_600


@audit_rule("RA301", "Unused role", Severity.WARNING, hint="delete the role, or remove the outsider from its trust policy")
def unused(context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Roles that were not used for a long time."""
    record = audited.record
    last = record.last_used or record.created
    if not audited.is_exposed or not record.usage_known or last is None:
        return
    days = (context.now - last) // timedelta(days=1)
    if days > context.unused_days:
        verb = "was last used" if record.last_used else "has not been used since its creation"
        yield Remark(f"it {verb} {pluralize(days, 'day')} ago")


@audit_rule(
    "RA302",
    "Long sessions for a third party",
    Severity.WARNING,
    hint="set the maximum session duration to 1 hour",
)
def long_session(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Sessions of more than one hour for third parties."""
    seconds = audited.record.max_session_seconds
    if audited.third_parties and seconds is not None and seconds > _SESSION_SECONDS:
        yield Remark(f"a third party can get sessions of up to {duration(seconds)}")


@audit_rule("RA401", "Administrator access for outsiders", Severity.ERROR, hint="allow the actions that the outsider needs")
def administrator(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Every action on every resource."""
    permissions = audited.permissions
    if permissions is not None and permissions.administrator:
        yield Remark(f"it allows every action on every resource{_if(permissions.administrator_conditions)}")


@audit_rule(
    "RA402",
    "Privilege escalation by outsiders",
    Severity.ERROR,
    hint="remove one of the actions, or restrict iam:PassRole and the actions on IAM to listed resources",
)
def escalation(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Actions with which an outsider can get further permissions."""
    if audited.permissions is None:
        return
    for scope, severity in ((Scope.ALL, Severity.ERROR), (Scope.SOME, Severity.WARNING)):
        paths = [each for each in audited.permissions.escalations if each.scope is scope]
        if paths:
            where = "" if scope is Scope.ALL else ", on listed resources"
            yield Remark(f"it {_joined(map(_path_text, _by_effect(paths)))}{where}", severity)


def _by_effect(paths: Iterable[Escalation]) -> list[tuple[str, list[Escalation]]]:
    groups: dict[str, list[Escalation]] = {}
    for each in paths:
        groups.setdefault(each.path.effect, []).append(each)
    return list(groups.items())


def _path_text(group: tuple[str, list[Escalation]]) -> str:
    effect, paths = group
    return f"{effect} ({shorten_list(' + '.join(each.path.actions) for each in paths)})"


@audit_rule("RA403", "Changes of IAM by outsiders", Severity.WARNING, hint="remove the actions on IAM")
def iam_changes(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Actions that change IAM, other than those of RA402."""
    if audited.permissions is not None and audited.permissions.iam_changes:
        yield Remark(f"it allows changes of IAM: {shorten_list(each.action for each in audited.permissions.iam_changes)}")


@audit_rule("RA404", "Data of every resource for outsiders", Severity.WARNING, hint="list the buckets, tables or secrets")
def data(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Actions that read stored data, on every resource."""
    if audited.permissions is None or not audited.permissions.data:
        return
    groups: dict[str, list[str]] = {}
    for each in audited.permissions.data:
        groups.setdefault(sensitive_actions()[each.action], []).append(each.action)
    descriptions = (f"{what} ({', '.join(actions)})" for what, actions in groups.items())
    yield Remark(f"it reads {_joined(descriptions)}")


@audit_rule(
    "RA405",
    "Further roles for outsiders",
    Severity.WARNING,
    hint="remove sts:AssumeRole, or restrict the trust policies of the other roles",
)
def further_roles(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Roles that an outsider can assume from this one."""
    permissions = audited.permissions
    if permissions is None or permissions.administrator:
        return
    if audited.reaches_administrators:
        yield Remark(
            f"it can become an administrator with {_chains(audited, audited.reaches_administrators)}", Severity.ERROR
        )
    elif audited.reaches_escalations:
        yield Remark(f"it can escalate privileges with {_chains(audited, audited.reaches_escalations)}", Severity.ERROR)
    elif audited.reaches:
        yield Remark(f"it can assume {_chains(audited, audited.reaches)}")
    if permissions.assume_everywhere:
        yield Remark("it can assume every role that trusts this account")
    elif permissions.assume_elsewhere:
        yield Remark(f"it can assume roles of other accounts that trust it: {shorten_list(permissions.assume_elsewhere)}")


@audit_rule("RA406", "Permissions that are not known", Severity.WARNING, hint="read the account again with all policies")
def unknown_permissions(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Policies that are not in the data or cannot be read or decided."""
    reasons = [*audited.record.unreadable, *(audited.permissions.unknown if audited.permissions is not None else ())]
    if reasons and audited.is_exposed:
        yield Remark(f"what it may do is not completely known: {shorten_list(reasons)}")


def _if(conditions: tuple[str, ...]) -> str:
    return f", if {', '.join(conditions)} hold" if conditions else ""


def _chains(audited: AuditedRole, arns: Iterable[str]) -> str:
    """The roles, each with the roles of the shortest chain to it."""
    return shorten_list(describe_chain(arn, audited.reached_through.get(arn, ()), short_role) for arn in arns)


def _joined(items: Iterable[str]) -> str:
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last
