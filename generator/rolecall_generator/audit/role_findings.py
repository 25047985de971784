"""The rules of the audit: trust (RA1xx), external IDs (RA2xx), use and sessions (RA3xx), and permissions (RA4xx).

Sources are on the pages of the rules, docs/rules/RA*.md. No message contains an external ID.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from rolecall_generator.audit.description import describe, describe_chain, requirements, short_role, shorten_list
from rolecall_generator.audit.external_ids import WeaknessKind, weaknesses_of
from rolecall_generator.audit.model import AuditContext, AuditedRole, Remark, audit_rule, vendor_of
from rolecall_generator.audit.outsiders import ANY_SERVICE, ExternalIdRequirement, Outsider, OutsiderKind, Requirement
from rolecall_generator.audit.permissions import Scope
from rolecall_generator.audit.tables import deputy_service, sensitive_actions, shared_issuers
from rolecall_generator.audit.trust_search import issuer_of
from rolecall_generator.audit.validity import Validity
from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn
from rolecall_generator.text import duration, join_words, pluralize

_LATER = "check that the outsider will need the role, and what the trust policy will require"


def _unguarded(audited: AuditedRole, kind: OutsiderKind) -> Iterator[Outsider]:
    return (each for each in audited.outsiders if each.kind is kind and each.is_unguarded)


@audit_rule("RA101", "Role that anyone can assume", Severity.ERROR, hint="name the role that may assume it as principal")
def anyone(_context: AuditContext, audited: AuditedRole) -> Iterator[Remark]:
    """Trust in every AWS account, without a condition that a stranger cannot meet."""
    for outsider in _unguarded(audited, OutsiderKind.ANYONE):
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
    for outsider in _unguarded(audited, OutsiderKind.OIDC):
        issuer = issuer_of(outsider.name)
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
    for outsider in _unguarded(audited, OutsiderKind.SERVICE):
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
    unknown = _grouped((each.reason, describe(each)) for each in audited.outsiders if not each.decided)
    for reason, names in unknown.items():
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
            groups = _grouped((each.path.effect, " + ".join(each.path.actions)) for each in paths)
            effects = (f"{effect} ({shorten_list(actions)})" for effect, actions in groups.items())
            yield Remark(f"it {join_words(effects)}{where}", severity)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The second strings by the first."""
    groups: dict[str, list[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


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
    groups = _grouped((sensitive_actions()[each.action], each.action) for each in audited.permissions.data)
    descriptions = (f"{what} ({', '.join(actions)})" for what, actions in groups.items())
    yield Remark(f"it reads {join_words(descriptions)}")


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
