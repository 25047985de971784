"""RA2xx: external IDs of third parties.

Sources are on the pages of the rules, docs/rules/RA2xx.md. No message contains an external ID.
"""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.audit.description import describe
from rolecall_generator.audit.external_ids import WeaknessKind, weaknesses_of
from rolecall_generator.audit.model import AuditContext, AuditedRole, Remark, audit_rule, vendor_of
from rolecall_generator.audit.outsiders import ExternalIdRequirement, Outsider, Requirement
from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn
from rolecall_generator.text import pluralize

_NEW_ID = "let the vendor generate a random ID of 32 characters for this role, and require it with StringEquals"


def _third_parties(audited: AuditedRole) -> Iterator[tuple[Outsider, ExternalIdRequirement]]:
    """Third parties that can need an external ID. AWS's own accounts and people with MFA cannot send one."""
    for outsider in audited.third_parties:
        vendor = vendor_of(outsider)
        if outsider.external_id is not None and not (vendor is not None and vendor.is_aws) and not outsider.mfa:
            yield outsider, outsider.external_id


@audit_rule("RA201", "Third party without an external ID", Severity.WARNING, hint=_NEW_ID)
def missing_external_id(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Principals of other accounts that can assume the role without an external ID."""
    for outsider, required in _third_parties(audited):
        if required.state is Requirement.MISSING:
            severity = Severity.ERROR if vendor_of(outsider) is not None else Severity.WARNING
            yield Remark(f"{describe(outsider)} can assume it without an external ID", severity)


@audit_rule(
    "RA202",
    "External ID that can be omitted",
    Severity.ERROR,
    hint="require it in every statement for this caller, with StringEquals instead of IfExists or a negated operator",
)
def omitted_external_id(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Trust policies that mention an external ID but allow a request without one."""
    for outsider, required in _third_parties(audited):
        if required.state is Requirement.IGNORED:
            yield Remark(f"its trust policy tests an external ID, but {describe(outsider)} can assume it without one")


@audit_rule("RA203", "External ID by pattern", Severity.ERROR, hint="require one external ID with StringEquals")
def external_id_pattern(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Trust policies that accept external IDs that they do not list."""
    for outsider, required in _third_parties(audited):
        if required.state is Requirement.REQUIRED and required.accepts_others:
            yield Remark(f"{describe(outsider)} can assume it with external IDs that the trust policy does not list")


def _weak_ids(audited: AuditedRole, kind: WeaknessKind) -> Iterator[tuple[Outsider, str]]:
    """Outsiders with a weak external ID, each with the reason."""
    for outsider, required in _third_parties(audited):
        if required.state is Requirement.REQUIRED:
            known = _known_names(audited, outsider)
            for value in required.values:
                for weakness in weaknesses_of(value, known):
                    if weakness.kind is kind:
                        yield outsider, weakness.reason


def _known_names(audited: AuditedRole, outsider: Outsider) -> tuple[str, ...]:
    """Names that another customer of the vendor can know or guess."""
    vendor = vendor_of(outsider)
    parsed = Arn.parse(audited.role.arn)
    names = [parsed.name, *parsed.path.split("/")] if parsed is not None else []
    caller = Arn.parse(outsider.name)
    return (*names, *audited.role.tags.values(), vendor.name if vendor else "", caller.name if caller else "")


@audit_rule("RA204", "Short external ID", Severity.WARNING, hint=_NEW_ID)
def short_external_id(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """External IDs with few characters."""
    for outsider, reason in _weak_ids(audited, WeaknessKind.SHORT):
        yield Remark(f"the external ID of {describe(outsider)} {reason}")


@audit_rule("RA205", "Guessable external ID", Severity.WARNING, hint=_NEW_ID)
def guessable_external_id(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """External IDs that consist of known or predictable parts."""
    for outsider, reason in _weak_ids(audited, WeaknessKind.GUESSABLE):
        yield Remark(f"the external ID of {describe(outsider)} {reason}")


@audit_rule("RA206", "External ID used several times", Severity.WARNING, hint="use another external ID for each third party")
def shared_external_id(context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """External IDs of several third parties, and of several roles of one third party."""
    for outsider, required in _third_parties(audited):
        for value in required.values:
            uses = context.external_ids.get(value, ())
            others = {_owner(other): other for _, other in uses if _owner(other) != _owner(outsider)}
            roles = sorted({role.role.arn for role, other in uses if _owner(other) == _owner(outsider)})
            if others:
                names = ", ".join(sorted(map(describe, others.values())))
                yield Remark(f"the external ID of {describe(outsider)} is also that of {names}, which can use it too")
            # One note for all roles of the third party, at the first of them.
            if len(roles) > 1 and audited.role.arn == roles[0]:
                number = pluralize(len(roles), "role")
                yield Remark(
                    f"{describe(outsider)} uses one external ID for {number}",
                    Severity.NOTE,
                    "use another external ID for each role if the roles are for different purposes",
                )


def _owner(outsider: Outsider) -> str:
    """The third party: the vendor, which can have several accounts, or the account."""
    vendor = vendor_of(outsider)
    return vendor.name if vendor is not None else outsider.account_id


@audit_rule(
    "RA207",
    "Companion action without the external ID",
    Severity.NOTE,
    hint="put sts:TagSession and sts:SetSourceIdentity into the statement that requires the external ID",
)
def open_companion(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Statements that allow sts:TagSession or sts:SetSourceIdentity without the external ID of sts:AssumeRole."""
    for outsider, required in _third_parties(audited):
        if required.companions:
            actions = " and ".join(required.companions)
            yield Remark(f"its trust policy allows {describe(outsider)} {actions} without an external ID")
