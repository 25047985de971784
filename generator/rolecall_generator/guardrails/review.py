"""The review of the guard rails around a customer's account: does the hand-over work, and which exemptions does it need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from rolecall_generator.errors import SelectionError
from rolecall_generator.guardrails.answers import (
    GuardrailAnswer,
    GuardrailQuestion,
    GuardrailReview,
)
from rolecall_generator.guardrails.decisions import (
    AssumeSetting,
    PermissionQuestion,
    answer_assume,
    answer_permission,
    apply_questions,
    permission_questions,
    session_scope,
    unknown_permissions,
)
from rolecall_generator.guardrails.exemptions import ExemptionTarget, apply_exemptions, exemptions_of
from rolecall_generator.guardrails.policies import Guardrails, findings_of
from rolecall_generator.iam import Arn, CustomerDetails, Module, Statement
from rolecall_generator.manifest import ResolvedCustomer, load_manifest, resolve_customers
from rolecall_generator.output import read_lock
from rolecall_generator.planning import make_plan, previous_slots
from rolecall_generator.proof.symbolic import LimitState
from rolecall_generator.text import suggest


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """What is known besides the customer's guard rails.

    `backend`: SCPs of the vendor's organization. `backend_organization`: its ID, "none", or None if not known.
    `administrator`: ARN of the user or role that applies the module; None for any principal of the account. `now`: the
    requests of the hand-over are sent from then on; at any time if None.
    """

    backend: Guardrails = field(default_factory=Guardrails)
    backend_organization: str | None = None
    administrator: str | None = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class CustomerModule:
    """A customer of the manifest with the module to hand over."""

    customer: ResolvedCustomer
    module: Module

    @property
    def backend_account_id(self) -> str:
        """The account of the role that assumes the customer's role; empty if it has none."""
        details = self.module.customer
        backend = None if details is None else Arn.parse(details.backend_role_arn)
        return "" if backend is None else backend.account_id


def find_customer(manifest: Path, out: Path, name: str) -> CustomerModule:
    """The planned module of a customer. Raises ManifestError, PlanError, OutputError, or SelectionError for the name."""
    loaded = load_manifest(manifest).manifest
    customers = {customer.name: customer for customer in resolve_customers(loaded)}
    if name not in customers:
        hint = suggest(name, customers, "use a customer of the manifest")
        raise SelectionError(f"there is no customer named {name}", where="CUSTOMER", hint=hint)
    plan = make_plan(loaded, previous_slots(read_lock(out)))
    modules = (planned.build() for planned in plan.modules if planned.subject == name)
    return CustomerModule(customers[name], next(module for module in modules if module.customer is not None))


def review_guardrails(found: CustomerModule, guardrails: Guardrails, settings: ReviewSettings) -> GuardrailReview:
    """Answer the questions of a hand-over, and find the exemptions that it needs with the proof of what they open."""
    details = found.module.customer
    if details is None:
        raise ValueError(f"{found.module.path} is not the module of a customer")
    session = session_scope(found.module, guardrails, session_tags=found.customer.session_tags, now=settings.now)
    questions = [
        *permission_questions(found.module, session),
        *apply_questions(found.module, guardrails, settings.administrator, settings.now),
    ]
    assume = AssumeSetting(
        details.role,
        found.backend_account_id,
        guardrails,
        settings.backend,
        settings.backend_organization,
        settings.now,
    )
    regions = found.customer.regions
    answers = [answer_assume(assume), *(answer_permission(each, guardrails, regions) for each in questions)]
    sides = {"customer": guardrails, "backend": settings.backend}
    targets = list(_targets(answers, [None, *(each.permission for each in questions)], details, settings))
    exemptions = exemptions_of(targets, sides, found.module.partition)
    new = {side: apply_exemptions(rails, side, exemptions) for side, rails in sides.items()}
    after = []
    if exemptions:
        setting = replace(assume, customer=new["customer"], backend=new["backend"])
        again = [answer_assume(setting), *(answer_permission(each, new["customer"], regions) for each in questions)]
        after = [answer for answer, old in zip(again, answers, strict=True) if _has_exemption(old, settings)]
    return GuardrailReview(
        customer=found.customer.name,
        account_id=found.customer.account_id,
        role_arn=details.role.arn,
        backend_role_arn=details.backend_role_arn,
        levels=tuple(level.name for level in guardrails.levels),
        notes=tuple(_notes(guardrails, settings, questions, answers)),
        findings=(*findings_of(guardrails), *findings_of(settings.backend)),
        answers=(*answers, *unknown_permissions(found.module, guardrails, session)),
        exemptions=tuple(exemptions),
        after=tuple(after),
    )


def _has_exemption(answer: GuardrailAnswer, settings: ReviewSettings) -> bool:
    named = answer.question is not GuardrailQuestion.APPLY or settings.administrator is not None
    return bool(answer.stops) and not answer.works and answer.state is not LimitState.UNKNOWN and named


def _targets(
    answers: Iterable[GuardrailAnswer],
    permissions: Iterable[Statement | None],
    details: CustomerDetails,
    settings: ReviewSettings,
) -> Iterator[ExemptionTarget]:
    """Who is to be let through: the backend role on the customer's role, the role itself, and the administrator if known."""
    role = details.role.arn
    assume = Statement("Allow", ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"), (role,))
    for answer, permission in zip(answers, permissions, strict=True):
        for stop in () if answer.works or answer.state is LimitState.UNKNOWN else answer.stops:
            if stop.only_without_https:
                continue
            if answer.question is GuardrailQuestion.ASSUME:
                yield ExemptionTarget(details.backend_role_arn, role, stop, assume)
            elif answer.question is GuardrailQuestion.PERMISSION and permission is not None:
                yield ExemptionTarget(role, None, stop, permission)
            elif settings.administrator is not None and permission is not None:
                (resource,) = permission.resources
                yield ExemptionTarget(settings.administrator, resource, stop, permission)


def _notes(
    guardrails: Guardrails,
    settings: ReviewSettings,
    questions: Iterable[PermissionQuestion],
    answers: Iterable[GuardrailAnswer],
) -> Iterator[str]:
    yield from guardrails.notes
    yield from settings.backend.notes
    if guardrails.is_management:
        yield "the account is the management account, which SCPs and RCPs do not restrict"
    if settings.backend.is_management:
        yield "the backend account is the management account of its organization, which SCPs do not restrict"
    owners = [question.scope.owner for question in questions if question.scope.owner is not None]
    if elsewhere := sorted({resource for owner in owners for resource in owner.elsewhere}):
        yield f"RCPs around resources of other accounts are not examined: {', '.join(elsewhere)}"
    stopped = any(not answer.works for answer in answers if answer.question is GuardrailQuestion.APPLY)
    if settings.administrator is None and stopped:
        yield "the administrator is any user or role of the account; name it with --administrator for its exemption"
