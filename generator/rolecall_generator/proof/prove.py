"""The proof: on every role the intended callers get in, and no one else, each cell decided by the evaluator.

Cells that must be refused assume the worst: the caller's own account allows everything, and every context key that the
case does not fix is as the caller wishes. So a refusal rests on the trust policy alone and holds for every such request.
Who calls, and with which external id, is searched: one witness stands for all that the trust policy cannot tell apart. Where
the search is not complete, or no witness can be built, the cell is undecided, which counts as failed.

Where a role is meant to trust a whole account, that account decides who of its people gets in. There a principal is decided
by the identity policies that are known of it; what the account alone can know is noted as delegated. What the trust policy
asks of everybody, as MFA, must be asked of them too, whatever their account allows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import Enum

from rolecall_generator.iam import POLICY_VERSION, Access, Condition, PolicyDocument, Role
from rolecall_generator.iam.evaluation import (
    ASSUME_ROLE,
    FEDERATED_ASSUME,
    Caller,
    Decision,
    Effect,
    Evaluator,
    IdentitySide,
    Patterns,
    PrincipalKind,
    Request,
    Shape,
    Truth,
    UnsupportedError,
    compile_condition,
    identity_of,
    literal,
    patterns_of,
    principal_context,
    variables_of,
)
from rolecall_generator.proof.callers import STRANGER, Candidate, Candidates, NameSource, other_in, unforeseeable_name
from rolecall_generator.proof.trust_reading import CLOSED, TrustReading, doubt_of, read_trust, relax, role_context
from rolecall_generator.proof.witnesses import LONGEST_EXTERNAL_ID, Budget, find_external_ids

EXTERNAL_ID = "sts:ExternalId"
MFA = "aws:MultiFactorAuthPresent"
_MFA_AGE = "aws:MultiFactorAuthAge"
_SESSION_NAME = "sts:RoleSessionName"
_NOBODYS_ID = "rolecall-nobodys-external-id"
# A role has one external id, two while it rotates: among so many ids there is a foreign one.
_FEW = 8
# Conditions for which an id of another customer is looked up; the search for any other id looks at all of them.
_CONDITIONS_TRIED = 16
STEPS = 1_000_000
"""Steps of search for a whole proof, about 3 seconds. Each role may take `STEPS_FOR_ONE_ROLE` of them, and
`STEPS_PER_ROLE` in any case: an ordinary policy needs no more, and its walk is shared by all roles that are alike.
"""
STEPS_PER_ROLE = 4_000
STEPS_FOR_ONE_ROLE = 200_000


@dataclass(frozen=True, slots=True)
class Trust:
    """What is intended for one role: who may assume it, with which external id, with MFA or without.

    `callers` are ARNs of users and roles, or names of services; empty means no one. `subject` is the manifest's name.
    `delegates_to` holds the ids of accounts that decide by themselves who of their principals gets in besides.
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
    """One cell: the request, what must come out, and what does. The decision of a failed cell is its counterexample.

    `delegated`: the trust policy lets in whom the caller's account lets in, that is intended, and whether the account does
    is not known here. Such a cell is neither ok nor failed.
    """

    subject: str
    case: Case
    request: Request
    expected: bool
    decision: Decision
    delegated: bool = False

    @property
    def ok(self) -> bool:
        """True when the decision is as expected; a refusal to decide proves nothing."""
        as_expected = self.decision.effect is not Effect.REFUSED and self.decision.allowed is self.expected
        return as_expected and not self.delegated

    @property
    def failed(self) -> bool:
        """True when the decision is not as expected, or none."""
        return not self.ok and not self.delegated


@dataclass(frozen=True, slots=True)
class Proof:
    """The matrix, row after row in the order of the trusts."""

    cells: tuple[Cell, ...]

    @property
    def failures(self) -> tuple[Cell, ...]:
        """Cells that came out otherwise than expected, or undecided."""
        return tuple(cell for cell in self.cells if cell.failed)

    @property
    def delegated(self) -> tuple[Cell, ...]:
        """Cells that the caller's account decides, as intended."""
        return tuple(cell for cell in self.cells if cell.delegated)

    @property
    def ok(self) -> bool:
        """True when no cell failed."""
        return not any(cell.failed for cell in self.cells)


def prove(
    access: Access,
    trusts: Iterable[Trust],
    *,
    roles: Collection[str] | None = None,
    names: NameSource = unforeseeable_name,
) -> Proof:
    """Decide every cell for the trusts, and that no one may assume the roles of `access` that no trust names.

    `roles`: ARNs of the roles whose rows are wanted, all when left out; all trusts count as intended either way. `names`
    makes the names of principals that do not exist; a policy must not be able to foresee them.
    """
    wanted = list(trusts)
    listed = {trust.role_arn for trust in wanted}
    unlisted = [Trust(arn, arn, ()) for arn, role in access.roles.items() if arn not in listed and role.trust is not None]
    prover = _Prover(access, [*wanted, *unlisted], names)
    chosen = [trust for trust in prover.trusts if roles is None or trust.role_arn in roles]
    return Proof(tuple(cell for trust in chosen for cell in prover.row(trust)))


@dataclass(frozen=True, slots=True)
class _Target:
    """A role with its trust policy as it was read. The relaxed evaluators are there where some condition is in doubt."""

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
        """The role as read, None where its trust policy is not known. The last one is kept: a role can have two trusts."""
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
        """Without what the trust policy asks of everybody, no one gets in.

        `search` for any other external id; where not even the right one works, that is not what is wrong.
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
        yield self._must_fail(trust, Case.STRANGER, f"arn:{partition}:iam::{nowhere}:user/{STRANGER}-{suffix}")

    def _others(self, trust: Trust, asked: Set[str]) -> Iterator[Cell]:
        """Every principal that the trust policy can tell from a stranger, but for those that were `asked` already."""
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
            # A session of an intended role is that role under one name.
            if arn in known or (who.kind is PrincipalKind.SESSION and _role_name(arn) in sessions):
                continue
            # The search finds principals of all accounts. Those of whom no statement speaks are as the stranger above.
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
        """The budget of one role: what others have used up leaves it enough for an ordinary policy."""
        return Budget(max(STEPS_PER_ROLE, min(STEPS_FOR_ONE_ROLE, self.budget.left)))

    def _gap(self, trust: Trust, why: str) -> Cell:
        """The cell of everybody whom the search did not reach."""
        stranger = f"arn:{identity_of(trust.role_arn).partition}:iam::{self.candidates.free_account}:role/{STRANGER}"
        request = Request(Caller(stranger, IdentitySide.ALLOWS_ALL), trust.role_arn, free=True)
        decision = Decision(Effect.REFUSED, f"refused: whom else the trust policy lets in is not known: {why}", ASSUME_ROLE)
        return Cell(trust.subject, Case.OTHER, request, False, decision)

    def _other(self, trust: Trust, case: Case, candidate: Candidate, action: str = ASSUME_ROLE) -> Iterator[Cell]:
        """Someone who is not meant: refused, or decided by an account that is meant to decide."""
        cell = self._worst_case(trust, case, candidate, {}, action)
        who = identity_of(candidate.caller.arn)
        if who.kind is PrincipalKind.EXTERNAL or who.account_id not in self.delegated[trust.role_arn]:
            yield cell
            return
        # Whether such a principal can exist is for its account to say, like all else about it.
        candidate = replace(candidate, exists=True)
        cell = self._worst_case(trust, case, candidate, {}, action)
        yield from self._lacking_of_delegated(trust, candidate)
        yield cell if not cell.decision.allowed else self._by_account(trust, case, cell)

    def _lacking_of_delegated(self, trust: Trust, candidate: Candidate) -> Iterator[Cell]:
        """As `_lacking` for someone whom an account may let in."""
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
        """The cell of a witness. Undecided where only what the search cannot tell apart keeps it out, or where it may not
        exist.
        """
        cell = self._must_fail(trust, case, candidate.caller, context, action)
        if why := self._doubt(trust, cell, candidate):
            return replace(cell, decision=_undecided(cell, why))
        return cell

    def _doubt(self, trust: Trust, cell: Cell, candidate: Candidate) -> str:
        """Why nothing can be claimed of the cell, or nothing."""
        target, arn, effect = self.target(trust.role_arn), cell.request.principal.arn, cell.decision.effect
        external = identity_of(arn).kind is PrincipalKind.EXTERNAL
        if external and _is_id(arn):
            # AWS replaces such an id by the ARN of the principal that has it, if there is one.
            return f"whose id {arn} is cannot be known here"
        if external and target is not None and _is_named(arn, target.trust):
            return f"{arn} is not a user, role or account, and what AWS makes of it as a principal is not documented"
        if effect is Effect.ALLOW:
            return "" if candidate.exists else "whether a principal of such a name can exist is not known"
        if effect is Effect.REFUSED or target is None:
            return ""
        # A service or provider has no ARN, account or name that could be compared with anything.
        relaxed = target.relaxed
        if external:
            relaxed = target.relaxed_for_providers if cell.request.action in FEDERATED_ASSUME else None
        if relaxed is None or relaxed.may_assume(cell.request).effect in _NO:
            return ""
        doubts = (_UNSIGNED,) if external else target.reading.doubts
        return "; ".join(doubts[:_FEW])

    def _by_account(self, trust: Trust, case: Case, worst: Cell) -> Cell:
        """The cell of a principal that the trust policy lets in if its account does: by what is known of the account.

        `worst` is the cell that assumes the worst. Of principals that are looked up alone, or have policies whose text is
        not known, only an allow and an explicit deny are sure.
        """
        arn = worst.request.principal.arn
        principal = self.access.users.get(arn) or self.access.roles.get(identity_of(arn).role or "")
        if principal is None:
            return replace(worst, delegated=True)
        request = Request(Caller(arn), trust.role_arn, worst.request.action, {}, free=True)
        evaluator = self.evaluator
        if isinstance(principal, Role) and principal.tags:
            # Sessions of the role can carry other tags: those are the caller's to choose.
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
        """The caller with an external id that is not the role's, whichever: `foreign`, where it stands for all of them."""
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
        """The cell of an external id that is not the role's and that the policy takes or may take, None without any."""
        budget = self._share()
        given = budget.left
        said = {**principal_context(identity_of(caller), {}, known=False), **role_context(target.role)}
        found = [
            _external_id_patterns(condition, said, variables=target.trust.version == POLICY_VERSION) for condition in asked
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
        doubts = {c: each for c, each in zip(asked, found, strict=True) if each in (Shape.RELATION, Shape.OTHER_OPERATOR)}
        cell = self._must_fail(trust, Case.OTHER_EXTERNAL_ID, caller, {EXTERNAL_ID: self._foreign_id(trust)})
        if budget.spent:
            return replace(cell, decision=_undecided(cell, "its patterns of external ids take too long to search"))
        if undecided is None and doubts:
            relaxed = replace(target.role, trust=relax(target.trust, doubts.keys()))
            if Evaluator(Access({relaxed.arn: relaxed})).may_assume(cell.request).effect not in _NO:
                return replace(cell, decision=_undecided(cell, "; ".join(sorted({doubt_of(c, doubts[c]) for c in doubts}))))
        return undecided

    def _foreign_id(self, trust: Trust) -> str:
        """An external id of another role: one that this trust policy takes if there is any, else the next one."""
        role = self.access.roles.get(trust.role_arn)
        budget = _CONDITIONS_TRIED
        for statement in role.trust.statements if role is not None and role.trust is not None else ():
            for condition in statement.conditions:
                if condition.key.lower() == EXTERNAL_ID.lower() and (budget := budget - 1) >= 0:
                    for value in self._taken(condition):
                        if self._foreign(value, trust):
                            return value
        return next((value for value in self.ids[:_FEW] if self._foreign(value, trust)), _NOBODYS_ID)

    def _taken(self, condition: Condition) -> Iterable[str]:
        """External ids that occur and satisfy the condition. Only odd operators need all of them to be tried."""
        if condition.operator == "StringEquals":
            return condition.values
        try:
            test = compile_condition(condition, variables=False)
        except UnsupportedError:
            return ()
        return (value for value in self.ids if test.run({test.key: (value,)}) is Truth.TRUE)

    def _foreign(self, value: str, trust: Trust) -> bool:
        return value != trust.external_id and value in self.owners and trust.role_arn not in self.owners[value]


_NO = frozenset({Effect.IMPLICIT_DENY, Effect.EXPLICIT_DENY})
_UNSIGNED = "whether a request that is not signed has aws:PrincipalIsAWSService or aws:PrincipalAccount is not known"
_ID = re.compile(r"[A-Z0-9]{16,}")


def _worst(arn: str) -> Candidate:
    return Candidate(Caller(arn, IdentitySide.ALLOWS_ALL))


def _undecided(cell: Cell, why: str) -> Decision:
    decision = cell.decision
    return replace(decision, effect=Effect.REFUSED, reason=f"refused: {why}", assumed=())


def _is_id(arn: str) -> bool:
    """Whether a principal is named by its unique id (AROA..., AIDA...) and not by its ARN."""
    return _ID.fullmatch(arn) is not None and not arn.isdigit()


def _is_named(arn: str, trust: PolicyDocument) -> bool:
    """Whether an Allow names it as a principal of type AWS."""
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


def _external_id_patterns(condition: Condition, said: Mapping[str, tuple[str, ...]], *, variables: bool) -> Patterns | Shape:
    """What the condition holds an external id against; a relation where its value is one of another condition's."""
    try:
        if condition.key.lower() != EXTERNAL_ID.lower():
            return Shape.RELATION if variables else Shape.NONE_NEEDED
        return patterns_of(condition, said, {EXTERNAL_ID.lower()}, variables=variables)
    except UnsupportedError:
        return Shape.NONE_NEEDED


def _role_name(arn: str) -> tuple[str, str]:
    """Account and plain name of the role behind a role's or session's ARN."""
    who = identity_of(arn)
    return who.account_id, (who.role or "").rpartition("/")[2]
