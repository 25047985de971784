"""Descriptions of outsiders, external IDs and permissions for messages and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rolecall_generator.audit.model import AuditedRole, vendor_of
from rolecall_generator.audit.outsiders import ANY, PRINCIPAL_KINDS, Outsider, OutsiderKind, Requirement
from rolecall_generator.audit.permissions import RolePermissions, Scope
from rolecall_generator.audit.tables import shared_issuers
from rolecall_generator.iam import Arn
from rolecall_generator.text import pluralize

_SERVICES = _LISTED = 4
_NONE = {False: "nothing", True: "unknown"}
"""Services of a role without known permissions, by whether some are not known."""
_MARKS = {
    Requirement.MISSING: "no external ID",
    Requirement.IGNORED: "external ID can be omitted",
    Requirement.UNKNOWN: "external ID: unknown",
}


def shorten_list(items: Iterable[str]) -> str:
    """The first items, separated by commas, with the number of the others: `a, b, c, d and 3 more`."""
    found = list(items)
    more = len(found) - _LISTED
    return ", ".join(found[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def describe(outsider: Outsider) -> str:
    """An outsider in a sentence: `account 464622532012 (Datadog)`."""
    vendor = vendor_of(outsider)
    owner = f" ({vendor.name})" if vendor is not None else ""
    match outsider.kind:
        case OutsiderKind.ANYONE:
            return "any principal of any AWS account"
        case OutsiderKind.UNKNOWN if outsider.name == "?":
            return "any outsider"
        case OutsiderKind.PRINCIPALS:
            return f"principals like {outsider.name}{owner}"
        case OutsiderKind.SERVICE | OutsiderKind.SAML | OutsiderKind.OIDC if outsider.name.startswith(ANY):
            return outsider.name
        case _:
            return f"{outsider.kind.value} {outsider.name}{owner}"


def short_name(outsider: Outsider) -> str:
    """An outsider in a table: name of the vendor with the account, or the last part of an ARN."""
    vendor = vendor_of(outsider)
    if outsider.kind is OutsiderKind.ANYONE:
        return "anyone"
    if outsider.kind in PRINCIPAL_KINDS and outsider.kind is not OutsiderKind.ORGANIZATION:
        parsed = Arn.parse(outsider.name)
        what = f" {parsed.resource}" if parsed is not None else ""
        return f"{vendor.name} {outsider.account_id}{what}" if vendor is not None else f"{outsider.account_id}{what}"
    if outsider.kind in {OutsiderKind.OIDC, OutsiderKind.SAML}:
        provider = outsider.name.partition("-provider/")[2] or outsider.name
        shared = shared_issuers().get(provider)
        return shared.name if shared is not None else provider
    return "unknown" if outsider.kind is OutsiderKind.UNKNOWN else outsider.name


def requirements(outsider: Outsider) -> tuple[str, ...]:
    """What a request of the outsider needs, and what it does not need, in a few words each."""
    if not outsider.decided:
        return ("not decided",)
    found = []
    external_id = outsider.external_id
    if external_id is not None:
        if external_id.state is Requirement.REQUIRED:
            found.append("external ID by pattern" if external_id.accepts_others else "external ID")
        elif not (outsider.mfa or outsider.kind in {OutsiderKind.ANYONE, OutsiderKind.ORGANIZATION}):
            found.append(_MARKS[external_id.state])
    if outsider.mfa:
        found.append("MFA")
    if outsider.guarded is Requirement.REQUIRED:
        found.extend(_short_key(key) for key in outsider.guards)
    elif outsider.kind in {OutsiderKind.OIDC, OutsiderKind.ANYONE} and outsider.guarded is Requirement.MISSING:
        found.append("no condition on the subject" if outsider.kind is OutsiderKind.OIDC else "no condition on the caller")
    return tuple(found)


def _short_key(key: str) -> str:
    """A condition key in a table: `sub` of `token.actions.githubusercontent.com:sub`."""
    prefix, _, name = key.rpartition(":")
    return name if "." in prefix else key


def summarize_access(audited: AuditedRole) -> tuple[str, ...]:
    """What the role may do, in a few words each, the most severe first."""
    permissions = audited.permissions
    if permissions is None:
        return ("not examined",)
    found = []
    if permissions.administrator:
        found.append("administrator")
    if permissions.escalations:
        everywhere = any(each.scope is Scope.ALL for each in permissions.escalations)
        found.append("escalates" if everywhere else "escalates on listed resources")
    if audited.reaches_administrators:
        found.append("reaches an administrator")
    elif audited.reaches_escalations:
        found.append("escalates through a role")
    elif audited.reaches:
        found.append(f"reaches {pluralize(len(audited.reaches), 'role')}")
    if permissions.iam_changes:
        found.append("changes IAM")
    if permissions.data:
        found.append("reads data")
    found.append(services_summary(permissions))
    if permissions.unknown and permissions.services:
        found.append("partly unknown")
    return tuple(filter(None, found))


def services_summary(permissions: RolePermissions) -> str:
    """Services with allowed actions: `s3 (all), ec2 (12) and 3 more`."""
    if permissions.administrator:
        return ""
    if permissions.almost_everything:
        return "almost every service"
    ordered = sorted(permissions.services, key=lambda each: (-len(each.actions), each.service))
    shown = [f"{each.service} ({'all' if each.is_complete else len(each.actions)})" for each in ordered[:_SERVICES]]
    more = len(ordered) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") if shown else _NONE[bool(permissions.unknown)]


def short_role(arn: str) -> str:
    """The ARN of a role without its account: `role/reports`."""
    parsed = Arn.parse(arn)
    return parsed.resource if parsed is not None else arn


def describe_chain(arn: str, between: Sequence[str], shown: Callable[[str], str] = str) -> str:
    """A role, and the roles that are assumed before it."""
    chain = ", then ".join(shown(each) for each in between)
    return f"{shown(arn)} (through {chain})" if chain else shown(arn)
