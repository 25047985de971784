"""The proof that the intended callers, and no others, can assume each role; the evaluator decides each cell.

Cells that must be denied assume the worst case: the caller's account allows everything, and every context key that the case
does not fix has the value that favors the caller. The denial then depends only on the trust policy and is valid for all such
requests. Callers and external IDs are searched: one witness represents all that the trust policy does not distinguish. If
the search is incomplete or there is no valid witness, the cell is undecided, which counts as failed.

If a role is intended to trust a whole account, that account decides which of its principals can assume it. Principals with
known identity policies are decided by these, all others are marked as delegated. The requirements of the trust policy for
all callers, such as MFA, must hold for them too.
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
from rolecall_generator.proof.callers import STRANGER_PREFIX, Candidate, Candidates, NameSource, other_in, unforeseeable_name
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
# A role has one external ID, two during a rotation: among this many IDs there is one of another role.
_FEW = 8
# Number of conditions for which an ID of another customer is looked up; the search for any other ID uses all of them.
_CONDITIONS_TRIED = 16
STEPS = 1_000_000
"""Search steps for a whole proof, about 3 seconds. A role can use up to `STEPS_FOR_ONE_ROLE` of them, and always
`STEPS_PER_ROLE`, which is enough for an ordinary policy; roles with equal policies share the search.
"""
STEPS_PER_ROLE = 4_000
STEPS_FOR_ONE_ROLE = 200_000


@dataclass(frozen=True, slots=True)
class Trust:
    """The intended trust of one role: who may assume it, with which external ID, and whether MFA is required.

    `callers` are ARNs of users and roles, or names of services; empty means no one. `subject` is the name in the manifest.
    `delegates_to` are IDs of accounts that decide which of their principals may assume the role as well.
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
    NO_EXTERNAL_ID = "no external id"
    OTHER_EXTERNAL_ID = "another customer's external id"
    NO_MFA = "no MFA in the request"
    MFA_FALSE = "signed in without MFA"
    OTHER_PRINCIPAL = "another principal of the caller's account"
    OTHER_ACCOUNT = "the same name in another account"
    STRANGER = "a stranger"
    OTHER_USER = "another user"
    OTHER = "another principal that occurs"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: the request, whether it must be allowed, and the decision. A failed cell is a counterexample.

    `delegated`: the trust policy leaves the decision to the caller's account, as intended, and the account's policies are
    not known. Such a cell is neither ok nor failed.
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
        """True if the decision is not as expected or undecided."""
        return not self.ok and not self.delegated


@dataclass(frozen=True, slots=True)
class Proof:
    """The cells, row by row in the order of the trusts."""

    cells: tuple[Cell, ...]

    @property
    def failures(self) -> tuple[Cell, ...]:
        """Cells whose decision is not as expected or undecided."""
        return tuple(cell for cell in self.cells if cell.failed)

    @property
    def delegated(self) -> tuple[Cell, ...]:
        """Cells that the caller's account decides, as intended."""
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
    names: NameSource = unforeseeable_name,
) -> Proof:
    """Decide every cell for the trusts, and that no one can assume roles of `access` without a trust.

    `roles`: ARNs of the roles to prove, None for all; all trusts count as intended in either case. `names` generates names
    of principals that do not exist; no policy may contain them.
    """
    wanted = list(trusts)
    listed = {trust.role_arn for trust in wanted}
    unlisted = [Trust(arn, arn, ()) for arn, role in access.roles.items() if arn not in listed and role.trust is not None]
    prover = _Prover(access, [*wanted, *unlisted], names)
    chosen = [trust for trust in prover.trusts if roles is None or trust.role_arn in roles]
    return Proof(tuple(cell for trust in chosen for cell in prover.row(trust)))


@dataclass(frozen=True, slots=True)
class _Target:
    """A role and the analysis of its trust policy. The relaxed evaluators are set if some condition is indeterminate."""

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
        """The analyzed role, None if its trust policy is not known. The last one is cached: a role can have two trusts."""
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
            yield from self._lacking(trust, caller, search=intended.ok)
        asked: set[str] = set()
        for cell in self._outsiders(trust):
            asked.add(cell.request.principal.arn)
            yield cell
        yield from self._others(trust, asked)

    def _lacking(self, trust: Trust, caller: str, *, search: bool) -> Iterator[Cell]:
        """Cells of the caller without the required external ID or MFA.

        `search`: also search for any other external ID that the policy accepts.
        """
        if trust.external_id is not None:
            yield self._must_fail(trust, Case.NO_EXTERNAL_ID, caller, {EXTERNAL_ID: ()})
            foreign = self._must_fail(trust, Case.OTHER_EXTERNAL_ID, caller, {EXTERNAL_ID: self._foreign_id(trust)})
            yield self._any_other_external_id(trust, caller, foreign) if search and foreign.ok else foreign
        if trust.requires_mfa:
            yield self._must_fail(trust, Case.NO_MFA, caller, {MFA: (), _MFA_AGE: ()})
            yield self._must_fail(trust, Case.MFA_FALSE, caller, {MFA: "false", _MFA_AGE: ()})

    def _intended(self, trust: Trust, caller: str) -> Cell:
        who = identity_of(caller)
        context: dict[str, str | tuple[str, ...]] = {
            _SESSION_NAME: who.name if who.kind is PrincipalKind.USER else "rolecall",
            EXTERNAL_ID: () if trust.external_id is None else trust.external_id,
            MFA: "true" if trust.requires_mfa else (),
            _MFA_AGE: "60" if trust.requires_mfa else (),
        }
        request = Request(Caller(caller), trust.role_arn, context=context)
        return Cell(trust.subject, Case.INTENDED, request, True, self.evaluator.may_assume(request))

    def _outsiders(self, trust: Trust) -> Iterator[Cell]:
        nowhere = self.candidates.free_account
        target = self.target(trust.role_arn)
        suffix = self.candidates.suffix(target.reading if target is not None else CLOSED)
        accounts: dict[str, str] = {}
        for caller in trust.callers:
            who = identity_of(caller)
            if who.kind is not PrincipalKind.EXTERNAL:
                accounts.setdefault(who.account_id, who.partition)
                elsewhere = caller.replace(f":{who.account_id}:", f":{nowhere}:", 1)
                yield self._must_fail(trust, Case.OTHER_ACCOUNT, elsewhere)
        partition = identity_of(trust.role_arn).partition
        for account in sorted(trust.delegates_to):
            accounts.setdefault(account, partition)
        for account, its_partition in accounts.items():
            yield from self._other(trust, Case.OTHER_PRINCIPAL, _worst(other_in(its_partition, account, suffix)))
        yield self._must_fail(trust, Case.STRANGER, f"arn:{partition}:iam::{nowhere}:user/{STRANGER_PREFIX}-{suffix}")

    def _others(self, trust: Trust, asked: Set[str]) -> Iterator[Cell]:
        """Cells of all principals that the trust policy distinguishes, except those in `asked`."""
        target = self.target(trust.role_arn)
        if target is None:
            return
        known = self.intended[trust.role_arn] | asked
        sessions = {_role_name(caller) for caller in self.intended[trust.role_arn]}
        budget = self._share()
        given = budget.left
        search = self.candidates.search(trust.role_arn, target.trust, trust.callers, target.reading, budget)
        for candidate in search.candidates:
            arn = candidate.caller.arn
            who = identity_of(arn)
            # A session of an intended role is intended.
            if arn in known or (who.kind is PrincipalKind.SESSION and _role_name(arn) in sessions):
                continue
            # The search finds principals of all accounts. Those that no statement names are decided like the stranger above.
            if candidate.found and not self.evaluator.names(trust.role_arn, arn):
                continue
            case = Case.OTHER_USER if arn in self.access.users else Case.OTHER
            for action in (ASSUME_ROLE, *FEDERATED_ASSUME) if who.kind is PrincipalKind.EXTERNAL else (ASSUME_ROLE,):
                yield from self._other(trust, case, candidate, action)
            budget.left -= len(target.trust.statements)
        self.budget.left -= given - budget.left
        if search.gap:
            yield self._gap(trust, search.gap)

    def _share(self) -> Budget:
        """The budget of one role, always enough for an ordinary policy."""
        return Budget(max(STEPS_PER_ROLE, min(STEPS_FOR_ONE_ROLE, self.budget.left)))

    def _gap(self, trust: Trust, why: str) -> Cell:
        """The undecided cell for all callers that the search did not reach."""
        stranger = f"arn:{identity_of(trust.role_arn).partition}:iam::{self.candidates.free_account}:role/{STRANGER_PREFIX}"
        request = Request(Caller(stranger, IdentitySide.ALLOWS_ALL), trust.role_arn, free=True)
        reason = f"refused: which other callers the trust policy allows is not known: {why}"
        decision = Decision(Effect.REFUSED, reason, ASSUME_ROLE)
        return Cell(trust.subject, Case.OTHER, request, False, decision)

    def _other(self, trust: Trust, case: Case, candidate: Candidate, action: str = ASSUME_ROLE) -> Iterator[Cell]:
        """Cells of an unintended caller: denied, or decided by an account that the role delegates to."""
        cell = self._worst_case(trust, case, candidate, {}, action)
        who = identity_of(candidate.caller.arn)
        if who.kind is PrincipalKind.EXTERNAL or who.account_id not in self.delegated[trust.role_arn]:
            yield cell
            return
        # Whether such a principal exists is up to its account.
        candidate = replace(candidate, exists=True)
        cell = self._worst_case(trust, case, candidate, {}, action)
        yield from self._lacking_of_delegated(trust, candidate)
        yield cell if not cell.decision.allowed else self._by_account(trust, case, cell)

    def _lacking_of_delegated(self, trust: Trust, candidate: Candidate) -> Iterator[Cell]:
        """As `_lacking`, for a principal of an account that the role delegates to."""
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
        """The cell of a witness. Undecided if it is denied only by an indeterminate condition, or may not exist."""
        cell = self._must_fail(trust, case, candidate.caller, context, action)
        if why := self._indeterminate(trust, cell, candidate):
            return replace(cell, decision=_undecided(cell, why))
        return cell

    def _indeterminate(self, trust: Trust, cell: Cell, candidate: Candidate) -> str:
        """Why the cell cannot be decided; empty if it can."""
        target, arn, effect = self.target(trust.role_arn), cell.request.principal.arn, cell.decision.effect
        external = identity_of(arn).kind is PrincipalKind.EXTERNAL
        if external and _is_id(arn):
            # AWS replaces such an ID with the ARN of its principal, if there is one.
            return f"which principal has the id {arn} is not known"
        if external and target is not None and _is_named(arn, target.trust):
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
        reasons = (_UNSIGNED,) if external else target.reading.indeterminate
        return "; ".join(reasons[:_FEW])

    def _by_account(self, trust: Trust, case: Case, worst: Cell) -> Cell:
        """The cell of a principal that the trust policy allows if its account does, by its known identity policies.

        `worst` is the worst-case cell. For existing principals, and those with unknown policies, only an allow and an
        explicit deny are certain; otherwise the cell is delegated.
        """
        arn = worst.request.principal.arn
        principal = self.access.users.get(arn) or self.access.roles.get(identity_of(arn).role or "")
        if principal is None:
            return replace(worst, delegated=True)
        request = Request(Caller(arn), trust.role_arn, worst.request.action, {}, free=True)
        evaluator = self.evaluator
        if isinstance(principal, Role) and principal.tags:
            # Sessions of the role can have other tags, which the caller chooses.
            untagged = {**self.access.roles, principal.arn: replace(principal, tags={})}
            evaluator = Evaluator(replace(self.access, roles=untagged))
        decision = evaluator.may_assume(request)
        incomplete = principal.existing or bool(decision.unknown_policies)
        if decision.effect is Effect.IMPLICIT_DENY and incomplete:
            return replace(worst, delegated=True)
        return Cell(trust.subject, case, request, False, decision)

    def _must_fail(
        self,
        trust: Trust,
        case: Case,
        who: str | Caller,
        context: Mapping[str, str | tuple[str, ...]] | None = None,
        action: str = ASSUME_ROLE,
    ) -> Cell:
        caller = Caller(who, IdentitySide.ALLOWS_ALL) if isinstance(who, str) else who
        request = Request(caller, trust.role_arn, action, context or {}, free=True)
        if caller.role is not None or self.evaluator.names(trust.role_arn, caller.arn):
            decision = self.evaluator.may_assume(request)
        else:
            decision = Decision(
                Effect.IMPLICIT_DENY, f"no statement of the trust policy of {trust.role_arn} names it", action
            )
        return Cell(trust.subject, case, request, False, decision)

    def _any_other_external_id(self, trust: Trust, caller: str, foreign: Cell) -> Cell:
        """The cell of the caller with any external ID that is not the role's; `foreign` if it represents all of them."""
        target = self.target(trust.role_arn)
        if target is None:
            return foreign
        owned = self.own_ids[trust.role_arn]
        asked = [
            condition
            for statement in target.trust.statements
            for condition in statement.conditions
            if EXTERNAL_ID.lower() in (condition.key.lower(), *_variables(condition))
        ]
        if all(_is_plain(condition) and owned.issuperset(condition.values) for condition in asked):
            return foreign
        return self._search_external_ids(trust, caller, target, asked) or foreign

    def _search_external_ids(self, trust: Trust, caller: str, target: _Target, asked: Collection[Condition]) -> Cell | None:
        """The cell of an external ID that is not the role's and that the policy accepts or may accept; None without any."""
        budget = self._share()
        given = budget.left
        stated = {**principal_context(identity_of(caller), {}, known=False), **role_context(target.role)}
        found = [
            _external_id_patterns(condition, stated, variables=target.trust.version == PolicyDocument.VERSION)
            for condition in asked
        ]
        patterns = dict.fromkeys(each for each in found if isinstance(each, frozenset))
        own = frozenset(map(literal, self.own_ids[trust.role_arn]))
        walk = find_external_ids((*patterns, own), budget)
        undecided: Cell | None = None
        for value in walk.found.values():
            budget.left -= len(target.trust.statements)
            if budget.spent or value in self.own_ids[trust.role_arn]:
                continue
            cell = self._must_fail(trust, Case.OTHER_EXTERNAL_ID, caller, {EXTERNAL_ID: value})
            if cell.decision.allowed and len(value) <= LONGEST_EXTERNAL_ID:
                self.budget.left -= given - budget.left
                return cell
            if cell.failed:
                undecided = replace(cell, decision=_undecided(cell, "whether such an external id can exist is not known"))
        self.budget.left -= given - budget.left
        shapes = {
            c: each for c, each in zip(asked, found, strict=True) if each in (NoPatterns.RELATION, NoPatterns.OTHER_OPERATOR)
        }
        cell = self._must_fail(trust, Case.OTHER_EXTERNAL_ID, caller, {EXTERNAL_ID: self._foreign_id(trust)})
        if budget.spent:
            return replace(cell, decision=_undecided(cell, "searching its patterns of external ids takes too long"))
        if undecided is None and shapes:
            relaxed = replace(target.role, trust=relax(target.trust, shapes.keys()))
            if Evaluator(Access({relaxed.arn: relaxed})).may_assume(cell.request).effect not in _DENIED:
                reasons = sorted({indeterminate_reason(condition, shape) for condition, shape in shapes.items()})
                return replace(cell, decision=_undecided(cell, "; ".join(reasons)))
        return undecided

    def _foreign_id(self, trust: Trust) -> str:
        """An external ID of another role: one that this trust policy accepts if there is any, otherwise any other."""
        role = self.access.roles.get(trust.role_arn)
        budget = _CONDITIONS_TRIED
        for statement in role.trust.statements if role is not None and role.trust is not None else ():
            for condition in statement.conditions:
                if condition.key.lower() == EXTERNAL_ID.lower() and (budget := budget - 1) >= 0:
                    for value in self._taken(condition):
                        if self._foreign(value, trust):
                            return value
        return next((value for value in self.ids[:_FEW] if self._foreign(value, trust)), _UNUSED_ID)

    def _taken(self, condition: Condition) -> Iterable[str]:
        """Known external IDs that satisfy the condition."""
        if condition.operator == "StringEquals":
            return condition.values
        try:
            test = compile_condition(condition, variables=False)
        except UnsupportedError:
            return ()
        return (value for value in self.ids if test.run({test.key: (value,)}) is Truth.TRUE)

    def _foreign(self, value: str, trust: Trust) -> bool:
        return value != trust.external_id and value in self.owners and trust.role_arn not in self.owners[value]


_DENIED = frozenset({Effect.IMPLICIT_DENY, Effect.EXPLICIT_DENY})
_UNSIGNED = "whether an unsigned request has aws:PrincipalIsAWSService or aws:PrincipalAccount is not documented"
_ID = re.compile(r"[A-Z0-9]{16,}")


def _worst(arn: str) -> Candidate:
    return Candidate(Caller(arn, IdentitySide.ALLOWS_ALL))


def _undecided(cell: Cell, why: str) -> Decision:
    decision = cell.decision
    return replace(decision, effect=Effect.REFUSED, reason=f"refused: {why}", assumed=())


def _is_id(arn: str) -> bool:
    """Whether a principal is a unique ID (AROA..., AIDA...) instead of an ARN."""
    return _ID.fullmatch(arn) is not None and not arn.isdigit()


def _is_named(arn: str, trust: PolicyDocument) -> bool:
    """Whether an Allow names the ARN as a principal of type AWS."""
    return any(
        principal.type == "AWS" and principal.identifier == arn
        for statement in trust.statements
        if statement.effect == "Allow"
        for principal in statement.principals
    )


def _is_plain(condition: Condition) -> bool:
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
    """The patterns that the condition compares an external ID with; a relation if another key is compared with it."""
    try:
        if condition.key.lower() != EXTERNAL_ID.lower():
            return NoPatterns.RELATION if variables else NoPatterns.NONE_NEEDED
        return patterns_of(condition, stated, {EXTERNAL_ID.lower()}, variables=variables)
    except UnsupportedError:
        return NoPatterns.NONE_NEEDED


def _role_name(arn: str) -> tuple[str, str]:
    """Account ID and name of the role of a role's or session's ARN."""
    who = identity_of(arn)
    return who.account_id, (who.role or "").rpartition("/")[2]
