"""Whether guard rails stop the hand-over: that the backend role assumes the role, what the role may do, and what applying
its module needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from rolecall_generator.guardrails.answers import GuardrailAnswer, GuardrailQuestion, GuardrailStop, StoppedRequests
from rolecall_generator.guardrails.policies import (
    FULL_ACCESS,
    GuardrailKind,
    GuardrailLevel,
    Guardrails,
    documents_of,
    has_owner_keys,
    is_global,
    is_restricted_by_rcps,
    review_budget,
)
from rolecall_generator.iam import PARTITIONS, Module, PolicyDocument, Role, Statement
from rolecall_generator.iam.catalog import expand, find_action, services
from rolecall_generator.iam.evaluation import AWS_MANAGED_DOCUMENTS
from rolecall_generator.iam.matching import PolicyVariables
from rolecall_generator.proof.symbolic import (
    ActionForms,
    ActionScope,
    BoxConstraint,
    InclusionState,
    LimitAnswer,
    LimitState,
    OrganizationMembership,
    OutOfBudgetError,
    ResourceOwner,
    World,
    compare,
    difference,
    limit_permission,
)

_SETS_SHOWN = 4
_UNCONFIRMED = "no request could be confirmed that is stopped"
_NO_ORGANIZATION = "none"
_NO_ONE = PolicyDocument(())
_Side = tuple[str, GuardrailKind]
_PolicyLevel = tuple[PolicyDocument, ...]
_BACKEND_KEYS = frozenset({"aws:principalorgid", "aws:principalorgpaths"})


@dataclass(frozen=True, slots=True)
class AssumeSetting:
    """The role with its trust policy, the backend account, and both sides' guard rails.

    `backend` are those of the vendor's organization. `backend_organization`: its ID, "none", or None if not known.
    `now`: see `ReviewSettings`.
    """

    role: Role
    backend_account_id: str
    customer: Guardrails
    backend: Guardrails
    backend_organization: str | None = None
    now: datetime | None = None


def answer_assume(setting: AssumeSetting) -> GuardrailAnswer:
    """Compare what the trust policy allows with what is left of it within the guard rails, over all requests."""
    role, trust = setting.role, setting.role.trust
    subject = f"assume {role.arn}"
    if trust is None:
        reason = "the trust policy of the role is not known"
        return GuardrailAnswer(GuardrailQuestion.ASSUME, subject, LimitState.UNKNOWN, reasons=(reason,))
    sides = {
        ("customer", GuardrailKind.RCP): setting.customer.levels_of(GuardrailKind.RCP),
        ("backend", GuardrailKind.SCP): setting.backend.levels_of(GuardrailKind.SCP),
    }
    free = _world(setting, {})
    limited = _world(setting, {side: documents_of(levels) for side, levels in sides.items()})
    whole = compare(role, trust, trust, world=free, other_world=limited, budget=review_budget()).forward
    if whole.state is InclusionState.PROVEN:
        return GuardrailAnswer(GuardrailQuestion.ASSUME, subject, LimitState.NONE, facts=whole.explanations)
    stops = tuple(stop for side, levels in sides.items() for stop in _assume_stops(setting, side, levels))
    nothing = compare(role, trust, _NO_ONE, world=limited, budget=review_budget()).forward
    if nothing.state is InclusionState.PROVEN:
        return GuardrailAnswer(GuardrailQuestion.ASSUME, subject, LimitState.ALL, stops)
    unknown = tuple(_unknown_organizations(setting, stops))
    certain = not unknown and any(stop.is_certain for stop in stops)
    reasons = (*dict.fromkeys((*whole.reasons, *nothing.reasons)), *unknown)
    if not certain and not reasons:
        reasons = (_UNCONFIRMED,)
    state = LimitState.PART if certain else LimitState.UNKNOWN
    return GuardrailAnswer(GuardrailQuestion.ASSUME, subject, state, stops, reasons)


def _unknown_organizations(setting: AssumeSetting, stops: Sequence[GuardrailStop]) -> Iterator[str]:
    """The organizations that are not known, although what is stopped depends on them."""
    if setting.backend_organization is None and depends_on(stops, _BACKEND_KEYS):
        yield "the organization of the backend account is not known; pass --backend-organization with its ID, or none"
    if setting.customer.organization_id is None and depends_on(stops, ORGANIZATION_KEYS - _BACKEND_KEYS):
        yield ORGANIZATION_UNKNOWN


def _world(setting: AssumeSetting, levels: Mapping[_Side, tuple[_PolicyLevel, ...]]) -> World:
    account = setting.role.arn.split(":")[4]
    organizations = {}
    if setting.customer.organization_id:
        path = setting.customer.organization_path
        organizations[account] = OrganizationMembership(setting.customer.organization_id, (path,) if path else ())
    if setting.backend_organization is not None:
        known = "" if setting.backend_organization == _NO_ORGANIZATION else setting.backend_organization
        path = setting.backend.organization_path
        organizations[setting.backend_account_id] = OrganizationMembership(known, (path,) if path else ())
    scps = levels.get(("backend", GuardrailKind.SCP), ())
    return World(
        service_control={setting.backend_account_id: scps} if scps else {},
        resource_control=levels.get(("customer", GuardrailKind.RCP), ()),
        organizations=organizations,
        excludes_failing=True,
        now=moment_of(setting.now),
    )


def _assume_stops(setting: AssumeSetting, side: _Side, levels: Sequence[GuardrailLevel]) -> Iterator[GuardrailStop]:
    """Each statement that stops something by itself, and each level that does not allow something."""
    for level in levels:
        for policy in level.policies:
            for number, statement in enumerate(policy.document.statements):
                if statement.effect == "Allow":
                    continue
                only = PolicyDocument((statement,), policy.document.version)
                found = _stop(setting, side, ((FULL_ACCESS, only),))
                if found is not None:
                    certain, sets, more = found
                    yield GuardrailStop(*side, level.name, policy, number, certain, sets, more)
        allowing = tuple(
            PolicyDocument(tuple(s for s in policy.document.statements if s.effect == "Allow"), policy.document.version)
            for policy in level.policies
        )
        found = _stop(setting, side, (allowing,))
        if found is not None:
            certain, sets, more = found
            yield GuardrailStop(*side, level.name, None, None, certain, sets, more)


def _granted(setting: AssumeSetting) -> set[BoxConstraint]:
    """What all requests that the trust policy allows have in common."""
    role, trust = setting.role, setting.role.trust or _NO_ONE
    free = _world(setting, {})
    found = [set(each.constraints) for each in difference(role, trust, _NO_ONE, world=free, budget=review_budget())]
    return set.intersection(*found) if found else set()


def _stop(
    setting: AssumeSetting, side: _Side, levels: tuple[_PolicyLevel, ...]
) -> tuple[bool, tuple[StoppedRequests, ...], int] | None:
    """What these levels stop: whether that is certain, the first sets, and the number of others; None if nothing."""
    role, trust = setting.role, setting.role.trust or _NO_ONE
    free, limited = _world(setting, {}), _world(setting, {side: levels})
    found = compare(role, trust, trust, world=free, other_world=limited, budget=review_budget()).forward
    if found.state is InclusionState.PROVEN:
        return None
    if found.state is InclusionState.UNKNOWN or found.witness is None:
        return False, (), 0
    sets = []
    try:
        granted = _granted(setting)
        for each in islice(
            difference(role, trust, trust, world=free, other_world=limited, budget=review_budget()), _SETS_SHOWN + 1
        ):
            witness = each.witness
            sets.append(
                StoppedRequests(
                    tuple(constraint for constraint in each.constraints if constraint not in granted),
                    example="" if witness is None else witness.shell_command,
                    remarks=() if witness is None else witness.remarks,
                )
            )
    except OutOfBudgetError:
        pass
    if not sets:
        sets = [StoppedRequests((), example=found.witness.shell_command, remarks=found.witness.remarks)]
    return True, tuple(sets[:_SETS_SHOWN]), max(0, len(sets) - _SETS_SHOWN)


_REGION = "aws:requestedregion"
_HTTPS = "aws:securetransport"
NO_RESOURCE = "*"
_REQUEST_TAGS = ("aws:requesttag/",)
_RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
_ARN_PARTS = 6
ORGANIZATION_KEYS = frozenset({"aws:principalorgid", "aws:principalorgpaths", "aws:resourceorgid", "aws:resourceorgpaths"})
ORGANIZATION_UNKNOWN = "the organization of the customer's account is not known; pass --organization with its ID"
_Context = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PermissionQuestion:
    """Requests that a caller makes: an Allow statement, and the scope of its requests."""

    question: GuardrailQuestion
    subject: str
    permission: Statement
    scope: ActionScope


def answer_permission(asked: PermissionQuestion, guardrails: Guardrails, regions: Sequence[str] = ()) -> GuardrailAnswer:
    """Compare a permission with the SCPs and RCPs of the account, over all requests. `regions`: those of the manifest.

    Some services also have endpoints without HTTPS, but the AWS SDKs and the AWS CLI do not use them by default. So a denial
    of unencrypted requests is shown, but does not count as a failure, and needs no exemption.
    """
    scps = guardrails.levels_of(GuardrailKind.SCP)
    concerned = any(action.has_rcps for action in asked.scope.actions)
    rcps = guardrails.levels_of(GuardrailKind.RCP) if concerned else ()

    def limit(scope: ActionScope) -> LimitAnswer:
        return limit_permission(scope, asked.permission, documents_of(scps), documents_of(rcps), budget=review_budget())

    found, scope = limit(asked.scope), asked.scope
    stops = tuple(_stops(found, scps, rcps))
    if found.state is not LimitState.NONE and depends_on(stops, (_HTTPS,)):
        scope = over_https(scope)
        encrypted = limit(scope)
        remaining = {each.place for each in encrypted.limits}
        stops = tuple(
            replace(stop, only_without_https=encrypted.state is not LimitState.UNKNOWN and each.place not in remaining)
            for stop, each in zip(stops, found.limits, strict=True)
        )
        if encrypted.state is LimitState.NONE:
            return GuardrailAnswer(asked.question, asked.subject, found.state, stops, found.reasons, works_over_https=True)
    by_region: dict[str, LimitState] = {}
    if found.state is LimitState.PART and depends_on(stops, (_REGION,)):
        for region in regions:
            by_region[region] = limit(replace(scope, region=region)).state
    if guardrails.organization_id is None and found.state is LimitState.PART and depends_on(stops, ORGANIZATION_KEYS):
        reasons = (*found.reasons, ORGANIZATION_UNKNOWN)
        return GuardrailAnswer(asked.question, asked.subject, LimitState.UNKNOWN, stops, reasons)
    return GuardrailAnswer(asked.question, asked.subject, found.state, stops, found.reasons, by_region, found.facts)


def over_https(scope: ActionScope) -> ActionScope:
    """Only the requests that are sent over HTTPS."""
    return replace(scope, context={**scope.context, _HTTPS: ("true",)})


def _stops(found: LimitAnswer, scps: Sequence[GuardrailLevel], rcps: Sequence[GuardrailLevel]) -> Iterator[GuardrailStop]:
    """The limits of an answer, whose places count the levels of RCPs on from those of SCPs."""
    levels = (*scps, *rcps)
    for limit in found.limits:
        place = limit.place
        level, kind = levels[place.level], GuardrailKind.SCP if place.level < len(scps) else GuardrailKind.RCP
        policy = None if place.document is None else level.policies[place.document]
        sets = []
        for each in limit.sets:
            sample = each.sample
            example = "" if sample is None else example_of(sample.action, sample.resource, sample.caller, sample.context)
            sets.append(StoppedRequests(each.constraints, each.actions, example))
        yield GuardrailStop("customer", kind, level.name, policy, place.statement, limit.is_certain, tuple(sets), limit.more)


def example_of(action: str, resource: str, caller: str, context: _Context) -> str:
    """One request in words."""
    keys = ", ".join(f"{key} = {', '.join(values)}" for key, values in context.items())
    return f"{action} on {resource} by {caller}" + (f" with {keys}" if keys else "")


def depends_on(stops: Iterable[GuardrailStop], keys: Iterable[str]) -> bool:
    """Whether what is stopped depends on one of the condition keys (lower case)."""
    return any(not stop.keys.isdisjoint(keys) for stop in stops)


def permission_questions(module: Module, scope: ActionScope) -> Iterator[PermissionQuestion]:
    """One question for each Allow statement of the role's policies. Its Deny statements are not considered."""
    role = _role(module)
    for name, document in _documents(module, role):
        for number, statement in enumerate(document.statements, start=1):
            if statement.effect == "Allow":
                subject = f"{name}: statement {statement.sid or number}"
                actions = tuple(actions_of(statement))
                own = scope.owner and replace(scope.owner, elsewhere=tuple(resources_elsewhere(statement, scope.account_id)))
                narrow = replace(scope, actions=actions, owner=own)
                yield PermissionQuestion(GuardrailQuestion.PERMISSION, subject, statement, narrow)


def resources_elsewhere(statement: Statement, account_id: str) -> Iterator[str]:
    """The resources of a permission whose ARN names another account."""
    for text in statement.resources:
        parts = text.split(":", 5)
        if len(parts) == _ARN_PARTS and parts[4] not in ("", account_id) and not any(mark in parts[4] for mark in "*?$"):
            yield text


def session_scope(module: Module, guardrails: Guardrails, *, session_tags: bool, now: datetime | None = None) -> ActionScope:
    """All requests of the role's sessions from `now` on, for resources of the account."""
    role = _role(module)
    return ActionScope(
        module.partition,
        module.account.account_id,
        role.arn,
        context=_session_context(role, session_tags=session_tags) | _member_context(guardrails),
        absent=() if session_tags else ("aws:principaltag/",),
        owner=_owner(module, guardrails),
        now=moment_of(now),
    )


def moment_of(now: datetime | None) -> float | None:
    """A moment in seconds since 1970."""
    return None if now is None else now.timestamp()


def _owner(module: Module, guardrails: Guardrails) -> ResourceOwner:
    return ResourceOwner(module.account.account_id, guardrails.organization_id or "", guardrails.organization_path)


def _member_context(guardrails: Guardrails) -> dict[str, tuple[str, ...]]:
    """What is known of the organization of all principals of the account."""
    values = {
        "aws:principalorgid": guardrails.organization_id,
        "aws:principalorgpaths": guardrails.organization_path,
    }
    return {key: (value,) for key, value in values.items() if value}


def _session_context(role: Role, *, session_tags: bool) -> dict[str, tuple[str, ...]]:
    """Keys with one value in all requests of the role's sessions.

    aws:MultiFactorAuthPresent is "included in the request context only when the principal uses temporary security
    credentials to make the request" (AWS global condition context keys), and "The temporary credentials returned by
    AssumeRole do not include MFA information in the context" (Secure API access with MFA).
    """
    context: dict[str, tuple[str, ...]] = {"aws:multifactorauthpresent": ("false",), "aws:multifactorauthage": ()}
    if not session_tags:
        context |= {f"aws:principaltag/{key.lower()}": (value,) for key, value in role.tags.items()}
    return context


def unknown_permissions(module: Module, guardrails: Guardrails, scope: ActionScope) -> Iterator[GuardrailAnswer]:
    """Attached policies whose document is not known: not stopped if nothing that the role could do is, else unknown."""
    role = _role(module)
    unknown = [
        arn
        for arn in sorted(role.attached)
        if arn not in module.access.policies and arn.rpartition("/")[2] not in AWS_MANAGED_DOCUMENTS
    ]
    if not unknown:
        return
    scps, rcps = (documents_of(guardrails.levels_of(kind)) for kind in GuardrailKind)
    everything = Statement("Allow", ("*",), ("*",))

    def stops_nothing(requests: ActionScope) -> bool:
        return limit_permission(requests, everything, scps, rcps, budget=review_budget()).state is LimitState.NONE

    works = stops_nothing(scope)
    over = not works and stops_nothing(over_https(scope))
    for arn in unknown:
        if works:
            yield GuardrailAnswer(GuardrailQuestion.PERMISSION, arn, LimitState.NONE)
        else:
            reason = "the document of the policy is not known, and SCPs or RCPs stop some requests of the role"
            state = LimitState.UNKNOWN
            yield GuardrailAnswer(GuardrailQuestion.PERMISSION, arn, state, reasons=(reason,), works_over_https=over)


def _role(module: Module) -> Role:
    if module.customer is None:
        raise ValueError(f"{module.path} is not the module of a customer")
    return module.customer.role


def _documents(module: Module, role: Role) -> Iterator[tuple[str, PolicyDocument]]:
    for name, document in sorted(role.inline.items()):
        yield f"inline policy {name}", document
    for arn in sorted(role.attached):
        if (policy := module.access.policies.get(arn)) is not None:
            yield f"policy {arn.rpartition('/')[2]}", policy.document
        elif (known := AWS_MANAGED_DOCUMENTS.get(arn.rpartition("/")[2])) is not None:
            yield f"policy {arn.rpartition('/')[2]}", known


def actions_of(statement: Statement) -> Iterator[ActionForms]:
    """The actions that AWS has and that the statement names, and those that it names without wildcards."""
    found: dict[str, None] = {}
    if statement.not_actions:
        excluded = PolicyVariables(name.lower() for name in statement.not_actions)
        found = {name: None for name in _all_actions() if not excluded.match(name.lower(), {})}
    for pattern in statement.actions:
        if pattern == "*" or "*" in pattern.partition(":")[0] or "?" in pattern.partition(":")[0]:
            matches = PolicyVariables((pattern.lower(),))
            found |= {name: None for name in _all_actions() if matches.match(name.lower(), {})}
        elif "*" in pattern or "?" in pattern:
            found |= dict.fromkeys(expand(pattern))
        else:
            found[pattern] = None
    for name in found:
        known = find_action(name)
        has_rcps, has_owner, global_service = is_restricted_by_rcps(name), has_owner_keys(name), is_global(name)
        if known is None or NO_RESOURCE in known.resource_forms:  # a resource type without a form
            yield ActionForms(name, None, has_rcps, has_owner, global_service)
        else:
            forms = known.resource_forms if known.requires_resource else (*known.resource_forms, NO_RESOURCE)
            yield ActionForms(str(known), forms, has_rcps and bool(known.resource_forms), has_owner, global_service)


def _all_actions() -> Iterator[str]:
    for service in sorted(services()):
        yield from expand(f"{service}:*")


def apply_questions(
    module: Module, guardrails: Guardrails, administrator: str | None, now: datetime | None = None
) -> Iterator[PermissionQuestion]:
    """What applying the module needs: one question for each kind of resource.

    `administrator` is the ARN of the user or role that applies it; None for any principal of the account. RCPs do not
    restrict IAM. "Query API requests are HTTPS requests" (Calling the IAM API using HTTP query requests).
    """
    role = _role(module)
    arn, region = role.arn, PARTITIONS[module.partition].default_region
    scope = ActionScope(
        module.partition,
        module.account.account_id,
        administrator or "",
        context={_REGION: (region,), _HTTPS: ("true",), **_member_context(guardrails)},
        owner=_owner(module, guardrails),
        now=moment_of(now),
    )
    boundary = {"iam:permissionsboundary": (role.boundary,) if role.boundary else ()}
    untagged, existing = _request_tags({}), {**_request_tags({}), **_resource_tags(role.tags)}
    tagged = replace(scope, absent=_REQUEST_TAGS)
    known = replace(scope, absent=(*_REQUEST_TAGS, *_RESOURCE_TAGS))
    create = ["iam:CreateRole", *(["iam:TagRole"] if role.tags else [])]
    yield _apply(tagged, "create the role", create, arn, {**boundary, **_request_tags(role.tags)})
    read = ["iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies"]
    yield _apply(known, "read the role", read, arn, existing)
    if role.inline:
        yield _apply(known, "write its inline policies", ["iam:PutRolePolicy"], arn, {**boundary, **existing})
        yield _apply(known, "read its inline policies", ["iam:GetRolePolicy"], arn, existing)
    for policy in sorted(role.attached):
        context = {**boundary, **existing, "iam:policyarn": (policy,)}
        yield _apply(known, f"attach {policy.rpartition('/')[2]}", ["iam:AttachRolePolicy"], arn, context)
    for policy, managed in sorted(module.access.policies.items()):
        name = policy.rpartition("/")[2]
        actions = ["iam:CreatePolicy", *(["iam:TagPolicy"] if managed.tags else [])]
        yield _apply(tagged, f"create policy {name}", actions, policy, _request_tags(managed.tags))
        context = {**untagged, **_resource_tags(managed.tags)}
        yield _apply(known, f"read policy {name}", ["iam:GetPolicy", "iam:GetPolicyVersion"], policy, context)


def _request_tags(tags: Mapping[str, str]) -> _Context:
    """The keys of the tags that a request passes."""
    return {
        **{f"{_REQUEST_TAGS[0]}{key.lower()}": (value,) for key, value in tags.items()},
        "aws:tagkeys": tuple(tags),
    }


def _resource_tags(tags: Mapping[str, str]) -> _Context:
    """The keys of the tags of an IAM resource that exists."""
    return {f"{prefix}{key.lower()}": (value,) for prefix in _RESOURCE_TAGS for key, value in tags.items()}


def _apply(scope: ActionScope, subject: str, actions: Sequence[str], resource: str, context: _Context) -> PermissionQuestion:
    statement = Statement("Allow", tuple(actions), (resource,))
    found = replace(scope, actions=tuple(actions_of(statement)), context={**scope.context, **context})
    return PermissionQuestion(GuardrailQuestion.APPLY, subject, statement, found)
