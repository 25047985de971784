"""Proves that the intended callers can assume each role, and no other caller can. The evaluator decides each cell.

Cells that must be denied assume the worst case: the caller's account allows everything, and every context key that the case
does not fix has the value that favors the caller. A denial then depends only on the trust policy and applies to all such
requests. The proof searches for callers and external IDs: one witness represents all those that the trust policy does not
distinguish. If the search is incomplete or there is no valid witness, the cell is undecided, which counts as failed.

If a role is intended to trust a whole account, that account decides which of its principals can assume the role. Known
identity policies decide the cells of their principals; the cells of all others are marked as delegated. What the trust
policy requires of all callers, such as MFA, must be required of these principals too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import Enum

from rolecall_generator.iam import Access, Condition, PolicyDocument, Role
from rolecall_generator.iam.evaluation import (
    ASSUME_ROLE,
    FEDERATED_ASSUME,
    Caller,
    Decision,
    Effect,
    Evaluator,
    IdentitySide,
    PrincipalKind,
    Request,
    identity_of,
    principal_context,
)
from rolecall_generator.iam.matching import (
    NoPatterns,
    Patterns,
    Truth,
    UnsupportedError,
    compile_condition,
    literal,
    patterns_of,
    variables_of,
)
from rolecall_generator.proof.callers import (
    UNRELATED_PREFIX,
    Candidate,
    Candidates,
    NameSource,
    other_in,
    unpredictable_name,
)
from rolecall_generator.proof.trust_reading import (
    CLOSED,
    TrustReading,
    indeterminate_reason,
    read_trust,
    relax,
    role_context,
)
from rolecall_generator.proof.witnesses import LONGEST_EXTERNAL_ID, Budget, find_external_ids

EXTERNAL_ID = "sts:ExternalId"
MFA = "aws:MultiFactorAuthPresent"
_MFA_AGE = "aws:MultiFactorAuthAge"
_SESSION_NAME = "sts:RoleSessionName"
_UNUSED_ID = "rolecall-unused-external-id"
# A role has one external ID, or two during a rotation, so at least one of this many IDs belongs to another role.
_IDS_TRIED = 8
# Maximum number of conditions for which an ID of another customer is looked up; the search for other IDs uses all of them.
_CONDITIONS_TRIED = 16
_MAX_REASONS = 8
STEPS = 1_000_000
"""Search steps for a whole proof, about 3 seconds. A role uses at most `STEPS_FOR_ONE_ROLE` of them. At least
`STEPS_PER_ROLE` are always available to it, enough for an ordinary policy. Roles with equal policies share the search.
"""
STEPS_PER_ROLE = 4_000
STEPS_FOR_ONE_ROLE = 200_000


@dataclass(frozen=True, slots=True)
class Trust:
    """The intended trust of one role: who may assume it, with which external ID, and whether MFA is required.

    `callers` are ARNs of users and roles, or names of services; empty means no one. `subject` is the name in the manifest.
    `delegates_to` are IDs of accounts that decide by their own policies which other principals may assume the role.
    """

    subject: str
    role_arn: str
    callers: tuple[str, ...]
    external_id: str | None = None
    requires_mfa: bool = False
    delegates_to: frozenset[str] = frozenset()


class Case(Enum):
    """The columns of the matrix."""

    INTENDED = "intended caller"
    NO_EXTERNAL_ID = "no external ID"
    OTHER_EXTERNAL_ID = "another customer's external ID"
    NO_MFA = "no MFA in the request"
    MFA_FALSE = "signed in without MFA"
    OTHER_PRINCIPAL = "another principal of the caller's account"
    OTHER_ACCOUNT = "a principal of the same name in another account"
    UNRELATED_ACCOUNT = "a principal of an unrelated account"
    OTHER_USER = "another user"
    OTHER = "another principal that the trust policy matches"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: the request, whether it must be allowed, and the decision. A failed cell is a counterexample.

    `delegated`: as intended, the trust policy leaves the decision to the caller's account, whose policies are not known.
    Such a cell is neither ok nor failed.
    """

    subject: str
    case: Case
    request: Request
    expected: bool
    decision: Decision
    delegated: bool = False

    @property
    def ok(self) -> bool:
        """True if the decision is as expected; False if it is undecided."""
        as_expected = self.decision.effect is not Effect.REFUSED and self.decision.allowed is self.expected
        return as_expected and not self.delegated

    @property
    def failed(self) -> bool:
        """True if the decision is undecided or not as expected, unless the cell is delegated."""
        return not self.ok and not self.delegated


@dataclass(frozen=True, slots=True)
class Proof:
    """The cells, row by row in the order of the trusts."""

    cells: tuple[Cell, ...]

    @property
    def failures(self) -> tuple[Cell, ...]:
        """The failed cells."""
        return tuple(cell for cell in self.cells if cell.failed)

    @property
    def delegated(self) -> tuple[Cell, ...]:
        """The delegated cells."""
        return tuple(cell for cell in self.cells if cell.delegated)

    @property
    def ok(self) -> bool:
        """True if no cell failed."""
        return not any(cell.failed for cell in self.cells)


def prove(
    access: Access,
    trusts: Iterable[Trust],
    *,
    roles: Collection[str] | None = None,
    names: NameSource = unpredictable_name,
) -> Proof:
    """Decide the cells of the trusts, and of the roles of `access` without a trust, which no one may assume.

    `roles`: ARNs of the roles to prove, None for all. All trusts count as intended in either case. `names` generates names
    of nonexistent principals, which no policy may contain.
    """
    intended = list(trusts)
    intended_roles = {trust.role_arn for trust in intended}
    unintended = [
        Trust(arn, arn, ()) for arn, role in access.roles.items() if arn not in intended_roles and role.trust is not None
    ]
    prover = _Prover(access, [*intended, *unintended], names)
    selected = [trust for trust in prover.trusts if roles is None or trust.role_arn in roles]
    return Proof(tuple(cell for trust in selected for cell in prover.row(trust)))


@dataclass(frozen=True, slots=True)
class _Target:
    """A role and the analysis of its trust policy. The relaxed evaluators are set if a condition is indeterminate."""

    role: Role
    trust: PolicyDocument
    reading: TrustReading
    relaxed: Evaluator | None = None
    relaxed_for_providers: Evaluator | None = None


@dataclass(slots=True)
class _Prover:
    access: Access
    trusts: list[Trust]
    names: NameSource
    evaluator: Evaluator = field(init=False)
    candidates: Candidates = field(init=False)
    intended: dict[str, set[str]] = field(init=False)
    delegated: dict[str, set[str]] = field(init=False)
    owners: dict[str, set[str]] = field(init=False)
    ids: list[str] = field(init=False)
    own_ids: dict[str, set[str]] = field(init=False)
    budget: Budget = field(init=False)
    _target: tuple[str, _Target | None] = ("", None)

    def __post_init__(self) -> None:
        self.evaluator = Evaluator(self.access)
        callers = [caller for trust in self.trusts for caller in trust.callers]
        self.candidates = Candidates(self.access, callers, self.names)
        self.budget = Budget(STEPS)
        self.intended = {}
        self.delegated = {}
        self.owners = {}
        self.own_ids = {}
        for trust in self.trusts:
            self.intended.setdefault(trust.role_arn, set()).update(trust.callers)
            self.delegated.setdefault(trust.role_arn, set()).update(trust.delegates_to)
            if trust.external_id is not None:
                self.owners.setdefault(trust.external_id, set()).add(trust.role_arn)
                self.own_ids.setdefault(trust.role_arn, set()).add(trust.external_id)
        self.ids = list(self.owners)

    def target(self, role_arn: str) -> _Target | None:
        """The analyzed role; None if its trust policy is not known. Caches the last role, which can have two trusts."""
        if self._target[0] != role_arn:
            role = self.access.roles.get(role_arn)
            self._target = role_arn, None if role is None or role.trust is None else self._read(role, role.trust)
        return self._target[1]

    def _read(self, role: Role, trust: PolicyDocument) -> _Target:
        reading = read_trust(role, trust, self.intended[role.arn], self.delegated[role.arn])
        if reading is CLOSED:
            return _Target(role, trust, reading)
        relaxed, for_providers = (
            None if document is None else Evaluator(Access({role.arn: replace(role, trust=document)}))
            for document in (reading.relaxed, reading.relaxed_for_providers)
        )
        return _Target(role, trust, reading, relaxed, for_providers)

    def row(self, trust: Trust) -> Iterator[Cell]:
        for caller in trust.callers:
            intended = self._intended(trust, caller)
            yield intended
            yield from self._without_requirements(trust, caller, search=intended.ok)
        covered: set[str] = set()
        for cell in self._outsiders(trust):
            covered.add(cell.request.principal.arn)
            yield cell
        yield from self._other_principals(trust, covered)

    def _without_requirements(self, trust: Trust, caller: str, *, search: bool) -> Iterator[Cell]:
        """Cells of an intended caller without the required external ID or MFA.

        `search`: also search for any other external ID that the policy accepts.
        """
        if trust.external_id is not None:
            yield self._must_be_denied(trust, Case.NO_EXTERNAL_ID, caller, {EXTERNAL_ID: ()})
            foreign = self._must_be_denied(trust, Case.OTHER_EXTERNAL_ID, caller, {EXTERNAL_ID: self._foreign_id(trust)})
            yield self._any_other_external_id(trust, caller, foreign) if search and foreign.ok else foreign
        if trust.requires_mfa:
            yield self._must_be_denied(trust, Case.NO_MFA, caller, {MFA: (), _MFA_AGE: ()})
            yield self._must_be_denied(trust, Case.MFA_FALSE, caller, {MFA: "false", _MFA_AGE: ()})

    def _intended(self, trust: Trust, caller: str) -> Cell:
        identity = identity_of(caller)
        context: dict[str, str | tuple[str, ...]] = {
            _SESSION_NAME: identity.name if identity.kind is PrincipalKind.USER else "rolecall",
            EXTERNAL_ID: () if trust.external_id is None else trust.external_id,
            MFA: "true" if trust.requires_mfa else (),
            _MFA_AGE: "60" if trust.requires_mfa else (),
        }
        request = Request(Caller(caller), trust.role_arn, context=context)
        return Cell(trust.subject, Case.INTENDED, request, True, self.evaluator.may_assume(request))

    def _outsiders(self, trust: Trust) -> Iterator[Cell]:
        unused_account = self.candidates.free_account
        target = self.target(trust.role_arn)
        suffix = self.candidates.suffix(target.reading if target is not None else CLOSED)
        accounts: dict[str, str] = {}
        for caller in trust.callers:
            identity = identity_of(caller)
            if identity.kind is not PrincipalKind.EXTERNAL:
                accounts.setdefault(identity.account_id, identity.partition)
                elsewhere = caller.replace(f":{identity.account_id}:", f":{unused_account}:", 1)
                yield self._must_be_denied(trust, Case.OTHER_ACCOUNT, elsewhere)
        partition = identity_of(trust.role_arn).partition
        for account in sorted(trust.delegates_to):
            accounts.setdefault(account, partition)
        for account, account_partition in accounts.items():
            yield from self._unintended(
                trust, Case.OTHER_PRINCIPAL, _worst_case_candidate(other_in(account_partition, account, suffix))
            )
        yield self._must_be_denied(
            trust, Case.UNRELATED_ACCOUNT, f"arn:{partition}:iam::{unused_account}:user/{UNRELATED_PREFIX}-{suffix}"
        )

    def _other_principals(self, trust: Trust, covered: Set[str]) -> Iterator[Cell]:
        """Cells of the unintended principals that the trust policy distinguishes, except those in `covered`."""
        target = self.target(trust.role_arn)
        if target is None:
            return
        excluded = self.intended[trust.role_arn] | covered
        sessions = {_account_and_role(caller) for caller in self.intended[trust.role_arn]}
        budget = self._role_budget()
        initial = budget.left
        search = self.candidates.search(trust.role_arn, target.trust, trust.callers, target.reading, budget)
        for candidate in search.candidates:
            arn = candidate.caller.arn
            identity = identity_of(arn)
            # A session of an intended role is intended.
            if arn in excluded or (identity.kind is PrincipalKind.SESSION and _account_and_role(arn) in sessions):
                continue
            # Principals that the search found and that no statement names are decided like the unrelated account's.
            if candidate.found and not self.evaluator.names(trust.role_arn, arn):
                continue
            case = Case.OTHER_USER if arn in self.access.users else Case.OTHER
            for action in (ASSUME_ROLE, *FEDERATED_ASSUME) if identity.kind is PrincipalKind.EXTERNAL else (ASSUME_ROLE,):
                yield from self._unintended(trust, case, candidate, action)
            budget.left -= len(target.trust.statements)
        self.budget.left -= initial - budget.left
        if search.gap:
            yield self._undecided_gap(trust, search.gap)

    def _role_budget(self) -> Budget:
        """The budget of one role, see STEPS."""
        return Budget(max(STEPS_PER_ROLE, min(STEPS_FOR_ONE_ROLE, self.budget.left)))

    def _undecided_gap(self, trust: Trust, gap: str) -> Cell:
        """The undecided cell that represents all callers the search did not reach."""
        unrelated = (
            f"arn:{identity_of(trust.role_arn).partition}:iam::{self.candidates.free_account}:role/{UNRELATED_PREFIX}"
        )
        request = Request(Caller(unrelated, IdentitySide.ALLOWS_ALL), trust.role_arn, free=True)
        reason = f"refused: which other callers the trust policy allows is not known: {gap}"
        decision = Decision(Effect.REFUSED, reason, ASSUME_ROLE)
        return Cell(trust.subject, Case.OTHER, request, False, decision)

    def _unintended(self, trust: Trust, case: Case, candidate: Candidate, action: str = ASSUME_ROLE) -> Iterator[Cell]:
        """Cells of an unintended caller, denied unless the role delegates the decision to the caller's account."""
        cell = self._worst_case(trust, case, candidate, {}, action)
        identity = identity_of(candidate.caller.arn)
        if identity.kind is PrincipalKind.EXTERNAL or identity.account_id not in self.delegated[trust.role_arn]:
            yield cell
            return
        # The account can create such a principal.
        candidate = replace(candidate, exists=True)
        cell = self._worst_case(trust, case, candidate, {}, action)
        yield from self._delegated_without_requirements(trust, candidate)
        yield cell if not cell.decision.allowed else self._decided_by_account(trust, case, cell)

    def _delegated_without_requirements(self, trust: Trust, candidate: Candidate) -> Iterator[Cell]:
        """As `_without_requirements`, for a principal of an account that the role delegates to."""
        if trust.external_id is not None:
            for case, external_id in (
                (Case.NO_EXTERNAL_ID, ()),
                (Case.OTHER_EXTERNAL_ID, self._foreign_id(trust)),
            ):
                yield self._worst_case(trust, case, candidate, {EXTERNAL_ID: external_id})
        if trust.requires_mfa:
            yield self._worst_case(trust, Case.NO_MFA, candidate, {MFA: (), _MFA_AGE: ()})
            yield self._worst_case(trust, Case.MFA_FALSE, candidate, {MFA: "false", _MFA_AGE: ()})

    def _worst_case(
        self,
        trust: Trust,
        case: Case,
        candidate: Candidate,
        context: Mapping[str, str | tuple[str, ...]],
        action: str = ASSUME_ROLE,
    ) -> Cell:
        """The cell of a witness. Undecided if only an indeterminate condition denies it, or if the witness may not exist."""
        cell = self._must_be_denied(trust, case, candidate.caller, context, action)
        if undecided_reason := self._indeterminate(trust, cell, candidate):
            return replace(cell, decision=_undecided(cell, undecided_reason))
        return cell

    def _indeterminate(self, trust: Trust, cell: Cell, candidate: Candidate) -> str:
        """Why the cell cannot be decided; empty if it can."""
        target, arn, effect = self.target(trust.role_arn), cell.request.principal.arn, cell.decision.effect
        external = identity_of(arn).kind is PrincipalKind.EXTERNAL
        if external and _is_unique_id(arn):
            # If the principal exists, AWS shows its ARN instead of such an ID.
            return f"which principal has the ID {arn} is not known"
        if external and target is not None and _is_named_by_allow(arn, target.trust):
            return f"{arn} is not a user, role or account, and its meaning as a principal is not documented"
        if effect is Effect.ALLOW:
            return "" if candidate.exists else "whether a principal with such a name can exist is not known"
        if effect is Effect.REFUSED or target is None:
            return ""
        # A service or provider has no ARN, account or name to compare.
        relaxed = target.relaxed
        if external:
            relaxed = target.relaxed_for_providers if cell.request.action in FEDERATED_ASSUME else None
        if relaxed is None or relaxed.may_assume(cell.request).effect in _DENIED:
            return ""
        reasons = (_UNDOCUMENTED_KEYS,) if external else target.reading.indeterminate
        return "; ".join(reasons[:_MAX_REASONS])

    def _decided_by_account(self, trust: Trust, case: Case, worst: Cell) -> Cell:
        """Decide by identity policies the cell of a principal that the trust policy allows if its account does.

        `worst` is the worst-case cell. The cell stays delegated if the identity policies are not known. If they may be
        incomplete (existing principals, unknown policies), only an allow and an explicit deny are certain.
        """
        arn = worst.request.principal.arn
        principal = self.access.users.get(arn) or self.access.roles.get(identity_of(arn).role or "")
        if principal is None:
            return replace(worst, delegated=True)
        request = Request(Caller(arn), trust.role_arn, worst.request.action, {}, free=True)
        evaluator = self.evaluator
        if isinstance(principal, Role) and principal.tags:
            # The caller can choose other session tags.
            untagged = {**self.access.roles, principal.arn: replace(principal, tags={})}
            evaluator = Evaluator(replace(self.access, roles=untagged))
        decision = evaluator.may_assume(request)
        incomplete = principal.existing or bool(decision.unknown_policies)
        if decision.effect is Effect.IMPLICIT_DENY and incomplete:
            return replace(worst, delegated=True)
        return Cell(trust.subject, case, request, False, decision)

    def _must_be_denied(
        self,
        trust: Trust,
        case: Case,
        principal: str | Caller,
        context: Mapping[str, str | tuple[str, ...]] | None = None,
        action: str = ASSUME_ROLE,
    ) -> Cell:
        caller = Caller(principal, IdentitySide.ALLOWS_ALL) if isinstance(principal, str) else principal
        request = Request(caller, trust.role_arn, action, context or {}, free=True)
        if caller.role is not None or self.evaluator.names(trust.role_arn, caller.arn):
            decision = self.evaluator.may_assume(request)
        else:
            decision = Decision(
                Effect.IMPLICIT_DENY, f"no statement of the trust policy of {trust.role_arn} names it", action
            )
        return Cell(trust.subject, case, request, False, decision)

    def _any_other_external_id(self, trust: Trust, caller: str, foreign: Cell) -> Cell:
        """The cell of the caller with any external ID that is not the role's; `foreign` if it represents them all."""
        target = self.target(trust.role_arn)
        if target is None:
            return foreign
        owned = self.own_ids[trust.role_arn]
        conditions = [
            condition
            for statement in target.trust.statements
            for condition in statement.conditions
            if EXTERNAL_ID.lower() in (condition.key.lower(), *_variables(condition))
        ]
        if all(_is_literal_external_id(condition) and owned.issuperset(condition.values) for condition in conditions):
            return foreign
        return self._search_external_ids(trust, caller, target, conditions) or foreign

    def _search_external_ids(
        self, trust: Trust, caller: str, target: _Target, conditions: Collection[Condition]
    ) -> Cell | None:
        """The cell of an external ID that is not the role's but that the policy accepts or may accept; None without one."""
        budget = self._role_budget()
        initial = budget.left
        context = {**principal_context(identity_of(caller), {}, known=False), **role_context(target.role)}
        found = [
            _external_id_patterns(condition, context, variables=target.trust.version == PolicyDocument.VERSION)
            for condition in conditions
        ]
        patterns = dict.fromkeys(each for each in found if isinstance(each, frozenset))
        own = frozenset(map(literal, self.own_ids[trust.role_arn]))
        witnesses = find_external_ids((*patterns, own), budget)
        undecided: Cell | None = None
        for value in witnesses.found.values():
            budget.left -= len(target.trust.statements)
            if budget.is_exhausted or value in self.own_ids[trust.role_arn]:
                continue
            cell = self._must_be_denied(trust, Case.OTHER_EXTERNAL_ID, caller, {EXTERNAL_ID: value})
            if cell.decision.allowed and len(value) <= LONGEST_EXTERNAL_ID:
                self.budget.left -= initial - budget.left
                return cell
            if cell.failed:
                undecided = replace(cell, decision=_undecided(cell, "whether such an external ID can exist is not known"))
        self.budget.left -= initial - budget.left
        shapes = {
            c: each
            for c, each in zip(conditions, found, strict=True)
            if each in (NoPatterns.RELATION, NoPatterns.OTHER_OPERATOR)
        }
        cell = self._must_be_denied(trust, Case.OTHER_EXTERNAL_ID, caller, {EXTERNAL_ID: self._foreign_id(trust)})
        if budget.is_exhausted:
            return replace(cell, decision=_undecided(cell, "searching its patterns of external IDs takes too long"))
        if undecided is None and shapes:
            relaxed = replace(target.role, trust=relax(target.trust, shapes.keys()))
            if Evaluator(Access({relaxed.arn: relaxed})).may_assume(cell.request).effect not in _DENIED:
                reasons = sorted({indeterminate_reason(condition, shape) for condition, shape in shapes.items()})
                return replace(cell, decision=_undecided(cell, "; ".join(reasons)))
        return undecided

    def _foreign_id(self, trust: Trust) -> str:
        """An external ID of another role, preferably one that this trust policy accepts; an unused ID if there is none."""
        role = self.access.roles.get(trust.role_arn)
        budget = _CONDITIONS_TRIED
        for statement in role.trust.statements if role is not None and role.trust is not None else ():
            for condition in statement.conditions:
                if condition.key.lower() == EXTERNAL_ID.lower() and (budget := budget - 1) >= 0:
                    for value in self._accepted_ids(condition):
                        if self._is_foreign(value, trust):
                            return value
        return next((value for value in self.ids[:_IDS_TRIED] if self._is_foreign(value, trust)), _UNUSED_ID)

    def _accepted_ids(self, condition: Condition) -> Iterable[str]:
        """The known external IDs that satisfy the condition, or the IDs in the condition itself."""
        if condition.operator == "StringEquals":
            return condition.values
        try:
            test = compile_condition(condition, variables=False)
        except UnsupportedError:
            return ()
        return (value for value in self.ids if test.run({test.key: (value,)}) is Truth.TRUE)

    def _is_foreign(self, value: str, trust: Trust) -> bool:
        return value != trust.external_id and value in self.owners and trust.role_arn not in self.owners[value]


_DENIED = frozenset({Effect.IMPLICIT_DENY, Effect.EXPLICIT_DENY})
_UNDOCUMENTED_KEYS = "whether an unsigned request has aws:PrincipalIsAWSService or aws:PrincipalAccount is not documented"
_UNIQUE_ID = re.compile(r"[A-Z0-9]{16,}")


def _worst_case_candidate(arn: str) -> Candidate:
    return Candidate(Caller(arn, IdentitySide.ALLOWS_ALL))


def _undecided(cell: Cell, why: str) -> Decision:
    decision = cell.decision
    return replace(decision, effect=Effect.REFUSED, reason=f"refused: {why}", assumed=())


def _is_unique_id(arn: str) -> bool:
    """Whether a principal is a unique ID (AROA..., AIDA...) instead of an ARN."""
    return _UNIQUE_ID.fullmatch(arn) is not None and not arn.isdigit()


def _is_named_by_allow(arn: str, trust: PolicyDocument) -> bool:
    """Whether an Allow names the ARN as a principal of type AWS."""
    return any(
        principal.type == "AWS" and principal.identifier == arn
        for statement in trust.statements
        if statement.effect == "Allow"
        for principal in statement.principals
    )


def _is_literal_external_id(condition: Condition) -> bool:
    return (
        condition.operator == "StringEquals"
        and condition.key.lower() == EXTERNAL_ID.lower()
        and not any("${" in value for value in condition.values)
    )


def _variables(condition: Condition) -> Collection[str]:
    if not any("${" in value for value in condition.values):
        return ()
    try:
        return variables_of(condition)
    except UnsupportedError:
        return ()


def _external_id_patterns(
    condition: Condition, stated: Mapping[str, tuple[str, ...]], *, variables: bool
) -> Patterns | NoPatterns:
    """The patterns that the condition compares an external ID with; RELATION if it compares another key with it."""
    try:
        if condition.key.lower() != EXTERNAL_ID.lower():
            return NoPatterns.RELATION if variables else NoPatterns.NONE_NEEDED
        return patterns_of(condition, stated, {EXTERNAL_ID.lower()}, variables=variables)
    except UnsupportedError:
        return NoPatterns.NONE_NEEDED


def _account_and_role(arn: str) -> tuple[str, str]:
    """Account ID and role name of the ARN of a role or session."""
    identity = identity_of(arn)
    return identity.account_id, (identity.role or "").rpartition("/")[2]
