"""RA1xx: who can assume a role.

Sources are on the pages of the rules, docs/rules/RA1xx.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.audit.description import describe, requirements, shorten_list
from rolecall_generator.audit.model import AuditContext, AuditedRole, Remark, audit_rule, vendor_of
from rolecall_generator.audit.outsiders import ANY_SERVICE, OutsiderKind, Requirement
from rolecall_generator.audit.tables import deputy_service, shared_issuers
from rolecall_generator.audit.validity import Validity
from rolecall_generator.findings import Severity

_LATER = "check that the outsider will need the role, and what the trust policy will require"


@audit_rule("RA101", "Role that anyone can assume", Severity.ERROR, hint="name the role that may assume it as principal")
def anyone(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Trust in every AWS account, without a condition that a stranger cannot meet."""
    for outsider in audited.outsiders:
        if outsider.kind is OutsiderKind.ANYONE and outsider.decided and outsider.guarded is Requirement.MISSING:
            met = f"; an outsider can meet its conditions: {', '.join(outsider.conditions)}" if outsider.conditions else ""
            yield Remark(f"any principal of any AWS account can assume it{met}")


@audit_rule(
    "RA102",
    "Whole account of an outsider trusted",
    Severity.WARNING,
    hint="name the role that the other account uses as principal, or add ArnEquals on aws:PrincipalArn",
)
def whole_account(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Trust in a whole account where one of its roles would do."""
    for outsider in audited.third_parties:
        if outsider.kind is not OutsiderKind.ACCOUNT or outsider.mfa or outsider.guarded is Requirement.REQUIRED:
            continue
        vendor = vendor_of(outsider)
        if vendor is None or not vendor.is_aws:
            severity = Severity.WARNING if vendor is None else Severity.NOTE
            yield Remark(f"it trusts the whole {describe(outsider)}, which decides who can assume it", severity)


@audit_rule(
    "RA103",
    "Trust in a deleted principal",
    Severity.WARNING,
    hint="remove the ID, or write the ARN of the principal that exists now",
)
def deleted_principal(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Unique IDs as principals. AWS replaces the ARN of a deleted principal with its unique ID."""
    for outsider in audited.outsiders:
        if outsider.kind is OutsiderKind.DELETED:
            yield Remark(f"its trust policy names {outsider.name}, the ID of a deleted principal, which matches no one")


@audit_rule(
    "RA104",
    "Identity provider without a restricted subject",
    Severity.ERROR,
    hint="add a condition StringEquals or StringLike on the provider's sub, with the organization and repository",
)
def open_provider(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """OIDC providers whose tokens are accepted whatever their tenant or subject."""
    for outsider in audited.outsiders:
        if outsider.kind is not OutsiderKind.OIDC or not outsider.decided or outsider.guarded is not Requirement.MISSING:
            continue
        issuer = outsider.name.partition(":oidc-provider/")[2] or outsider.name
        shared = shared_issuers().get(issuer)
        if shared is not None:
            tested = any(each.lower().startswith(f"{issuer}:{shared.claim}".lower()) for each in outsider.conditions)
            accepts = f"its condition on {shared.claim} accepts every customer of {shared.name}"
            reason = accepts if tested else f"no condition restricts {shared.claim}"
            yield Remark(
                f"everyone who can get a token of {shared.name} can assume it: {reason}",
                hint=None if shared.claim == "sub" else f"add a condition StringEquals on {issuer}:{shared.claim}",
            )
        else:
            yield Remark(
                f"every identity of {issuer} can assume it: no condition restricts its sub",
                Severity.WARNING,
                f"add a condition StringEquals on {issuer}:sub",
            )


_ANY_SERVICE_HINT = "name the service as principal, with a condition StringEquals on aws:SourceAccount"


@audit_rule(
    "RA105",
    "Service without confused deputy protection",
    Severity.WARNING,
    hint="add a condition StringEquals on aws:SourceAccount with this account, and ArnLike on aws:SourceArn",
)
def unprotected_service(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Services that can act for other accounts, without a condition on the source."""
    for outsider in audited.outsiders:
        if outsider.kind is not OutsiderKind.SERVICE or not outsider.decided or outsider.guarded is not Requirement.MISSING:
            continue
        name = deputy_service(outsider.name)
        if outsider.name == ANY_SERVICE:
            yield Remark(f"{ANY_SERVICE} can assume it for resources of other accounts", hint=_ANY_SERVICE_HINT)
        elif name is not None:
            yield Remark(f"{name} ({outsider.name}) can assume it for resources of other accounts")


@audit_rule(
    "RA106",
    "Trust that cannot be decided",
    Severity.WARNING,
    hint="rewrite the trust policy with principals, operators and keys that AWS documents",
)
def undecided(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Outsiders for which the evaluator cannot decide whether they can assume the role, or with which external ID."""
    by_reason: dict[str, list[str]] = {}
    for outsider in audited.outsiders:
        if not outsider.decided:
            by_reason.setdefault(outsider.reason, []).append(describe(outsider))
    for reason, names in by_reason.items():
        yield Remark(f"whether {shorten_list(names)} can assume it is not known: {reason}")
    for outsider in audited.outsiders:
        if not outsider.decided:
            continue
        if outsider.guarded is Requirement.UNKNOWN:
            yield Remark(f"whether a condition restricts {describe(outsider)} is not known")
        elif outsider.external_id is not None and outsider.external_id.state is Requirement.UNKNOWN:
            reason = outsider.external_id.reason
            yield Remark(f"whether {describe(outsider)} needs an external ID is not known: {reason}")


@audit_rule(
    "RA107",
    "Grant that is not valid now",
    Severity.NOTE,
    hint="remove the statement if the outsider no longer needs the role",
)
def inactive_grant(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Outsiders whose statements have expired or are not valid yet."""
    active = {(each.kind, each.name) for each in audited.outsiders}
    for grant in audited.inactive:
        who, day = describe(grant.outsider), f"{grant.moment:%Y-%m-%d}"
        if grant.validity is Validity.EXPIRED:
            yield Remark(f"its trust in {who} expired on {day}")
        elif (grant.outsider.kind, grant.outsider.name) in active:
            needs = ", ".join(requirements(grant.outsider)) or "none"
            yield Remark(f"its conditions for {who} change on {day}: {needs}", hint=_LATER)
        else:
            yield Remark(f"its trust in {who} begins on {day}", hint=_LATER)
