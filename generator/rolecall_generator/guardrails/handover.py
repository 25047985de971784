"""Whether guard rails stop the backend role from assuming the customer's role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from rolecall_generator.guardrails.answers import GuardrailAnswer, GuardrailQuestion, GuardrailStop, StoppedRequests
from rolecall_generator.guardrails.permissions import ORGANIZATION_KEYS, ORGANIZATION_UNKNOWN, depends_on, moment_of
from rolecall_generator.guardrails.policies import (
    FULL_ACCESS,
    GuardrailKind,
    GuardrailLevel,
    Guardrails,
    documents_of,
    review_budget,
)
from rolecall_generator.iam import PolicyDocument, Role
from rolecall_generator.proof.symbolic import (
    BoxConstraint,
    InclusionState,
    LimitState,
    OrganizationMembership,
    OutOfBudgetError,
    World,
    compare,
    difference,
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
    stops = tuple(stop for side, levels in sides.items() for stop in _stops(setting, side, levels))
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


def _stops(setting: AssumeSetting, side: _Side, levels: Sequence[GuardrailLevel]) -> Iterator[GuardrailStop]:
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
