"""Whether guard rails stop what the role may do, and what applying its module needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rolecall_generator.guardrails.answers import GuardrailAnswer, GuardrailQuestion, GuardrailStop, StoppedRequests
from rolecall_generator.guardrails.policies import GuardrailKind, Guardrails, review_budget
from rolecall_generator.iam import PARTITIONS, Module, PolicyDocument, Role, Statement
from rolecall_generator.iam.catalog import expand, find_action, services
from rolecall_generator.iam.evaluation import AWS_MANAGED_DOCUMENTS
from rolecall_generator.iam.matching import PolicyVariables
from rolecall_generator.proof.symbolic import (
    ActionForms,
    ActionScope,
    LimitState,
    RequestSet,
    limit_permission,
)

_REGION = "aws:requestedregion"
NO_RESOURCE = "*"
_Context = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PermissionQuestion:
    """Requests that a caller makes: an Allow statement, and the scope of its requests."""

    question: GuardrailQuestion
    subject: str
    permission: Statement
    scope: ActionScope


def answer_permission(asked: PermissionQuestion, guardrails: Guardrails, regions: Sequence[str] = ()) -> GuardrailAnswer:
    """Compare a permission with the SCPs of the account, over all requests. `regions`: those of the manifest."""
    levels = guardrails.levels_of(GuardrailKind.SCP)
    documents = [tuple(policy.document for policy in level.policies) for level in levels]
    found = limit_permission(asked.scope, asked.permission, documents, budget=review_budget())
    stops = []
    for limit in found.limits:
        level = levels[limit.place.level]
        policy = None if limit.place.document is None else level.policies[limit.place.document]
        sets = tuple(map(_stopped, limit.sets))
        stops.append(
            GuardrailStop(
                "customer",
                GuardrailKind.SCP,
                level.name,
                policy,
                limit.place.statement,
                limit.is_certain,
                sets,
                limit.more,
            )
        )
    by_region: dict[str, LimitState] = {}
    if found.state is LimitState.PART and _depends_on_region(stops):
        for region in regions:
            scope = replace(asked.scope, context={**asked.scope.context, _REGION: (region,)})
            by_region[region] = limit_permission(scope, asked.permission, documents, budget=review_budget()).state
    return GuardrailAnswer(asked.question, asked.subject, found.state, tuple(stops), found.reasons, by_region)


def _depends_on_region(stops: Iterable[GuardrailStop]) -> bool:
    return any(each.name.lower() == _REGION for stop in stops for requests in stop.sets for each in requests.constraints)


def _stopped(requests: RequestSet) -> StoppedRequests:
    sample = requests.sample
    if sample is None:
        return StoppedRequests(requests.constraints, requests.actions)
    caller = f" by {sample.caller}"
    keys = ", ".join(f"{key} = {', '.join(values)}" for key, values in sample.context.items())
    example = f"{sample.action} on {sample.resource}{caller}" + (f" with {keys}" if keys else "")
    return StoppedRequests(requests.constraints, requests.actions, example)


def permission_questions(module: Module, scope: ActionScope) -> Iterator[PermissionQuestion]:
    """One question for each Allow statement of the role's policies. Its Deny statements are not considered."""
    role = _role(module)
    for name, document in _documents(module, role):
        for number, statement in enumerate(document.statements, start=1):
            if statement.effect == "Allow":
                subject = f"{name}: statement {statement.sid or number}"
                actions = tuple(actions_of(statement))
                yield PermissionQuestion(GuardrailQuestion.PERMISSION, subject, statement, replace(scope, actions=actions))


def session_scope(module: Module, *, session_tags: bool, organization_id: str | None) -> ActionScope:
    """All requests of the role's sessions."""
    role = _role(module)
    return ActionScope(
        module.partition,
        module.account.account_id,
        role.arn,
        context=_session_context(role, session_tags=session_tags, organization_id=organization_id),
        absent=() if session_tags else ("aws:principaltag/",),
    )


def _session_context(role: Role, *, session_tags: bool, organization_id: str | None) -> _Context:
    """Keys with one value in all requests of the role's sessions.

    aws:MultiFactorAuthPresent is "included in the request context only when the principal uses temporary security
    credentials to make the request" (AWS global condition context keys), and "The temporary credentials returned by
    AssumeRole do not include MFA information in the context" (Secure API access with MFA).
    """
    context: dict[str, tuple[str, ...]] = {"aws:multifactorauthpresent": ("false",), "aws:multifactorauthage": ()}
    if not session_tags:
        context |= {f"aws:principaltag/{key.lower()}": (value,) for key, value in role.tags.items()}
    if organization_id:
        context["aws:principalorgid"] = (organization_id,)
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
    documents = [tuple(policy.document for policy in level.policies) for level in guardrails.levels_of(GuardrailKind.SCP)]
    state = limit_permission(scope, Statement("Allow", ("*",), ("*",)), documents, budget=review_budget()).state
    for arn in unknown:
        if state is LimitState.NONE:
            yield GuardrailAnswer(GuardrailQuestion.PERMISSION, arn, state)
        else:
            reason = "the document of the policy is not known to this program, and the SCPs stop some requests of the role"
            yield GuardrailAnswer(GuardrailQuestion.PERMISSION, arn, LimitState.UNKNOWN, reasons=(reason,))


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
        if known is None or NO_RESOURCE in known.resource_forms:  # a resource type without a form
            yield ActionForms(name)
        else:
            forms = known.resource_forms if known.requires_resource else (*known.resource_forms, NO_RESOURCE)
            yield ActionForms(str(known), forms)


def _all_actions() -> Iterator[str]:
    for service in sorted(services()):
        yield from expand(f"{service}:*")


def apply_questions(module: Module, administrator: str | None) -> Iterator[PermissionQuestion]:
    """What applying the module needs: one question for each kind of resource.

    `administrator` is the ARN of the user or role that applies it; None for any principal of the account.
    """
    role = _role(module)
    arn, region = role.arn, PARTITIONS[module.partition].default_region
    scope = ActionScope(module.partition, module.account.account_id, administrator or "", context={_REGION: (region,)})
    boundary = {"iam:permissionsboundary": (role.boundary,) if role.boundary else ()}
    tags = {f"aws:requesttag/{key.lower()}": (value,) for key, value in role.tags.items()}
    create = ["iam:CreateRole", *(["iam:TagRole"] if role.tags else [])]
    yield _apply(scope, "create the role", create, arn, {**boundary, **tags})
    yield _apply(scope, "read the role", ["iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies"], arn, {})
    if role.inline:
        yield _apply(scope, "write its inline policies", ["iam:PutRolePolicy", "iam:GetRolePolicy"], arn, boundary)
    for policy in sorted(role.attached):
        context = {**boundary, "iam:policyarn": (policy,)}
        yield _apply(scope, f"attach {policy.rpartition('/')[2]}", ["iam:AttachRolePolicy"], arn, context)
    for policy, managed in sorted(module.access.policies.items()):
        own = {f"aws:requesttag/{key.lower()}": (value,) for key, value in managed.tags.items()}
        actions = ["iam:CreatePolicy", *(["iam:TagPolicy"] if managed.tags else []), "iam:GetPolicy", "iam:GetPolicyVersion"]
        yield _apply(scope, f"create policy {policy.rpartition('/')[2]}", actions, policy, own)


def _apply(scope: ActionScope, subject: str, actions: Sequence[str], resource: str, context: _Context) -> PermissionQuestion:
    statement = Statement("Allow", tuple(actions), (resource,))
    found = replace(scope, actions=tuple(actions_of(statement)), context={**scope.context, **context})
    return PermissionQuestion(GuardrailQuestion.APPLY, subject, statement, found)
