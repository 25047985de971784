"""The proof: on every role the intended callers get in, and nobody else, each cell decided by the evaluator.

Cells that must be refused assume the worst: the caller's own account allows everything, and every context key that the
case does not fix is as the caller wishes. So a refusal rests on the trust policy alone and holds for every such request.

Where a role is meant to trust a whole account, that account decides who of its people gets in. There a principal is decided
by the identity policies that are known of it; what the account alone can know is noted as delegated. What the trust policy
asks of everybody, as MFA, must be asked of them too, whatever their account allows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import Enum

from rolecall_generator.checks.candidates import Candidates, other_in
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.comparisons import UnsupportedError
from rolecall_generator.iam.conditions import Truth, compile_condition
from rolecall_generator.iam.evaluator import (
    ASSUME_ROLE,
    FEDERATED_ASSUME,
    Caller,
    Decision,
    Effect,
    Evaluator,
    IdentitySide,
    Request,
)
from rolecall_generator.iam.policy import Condition
from rolecall_generator.iam.principals import Kind, identity_of

EXTERNAL_ID = "sts:ExternalId"
MFA = "aws:MultiFactorAuthPresent"
_MFA_AGE = "aws:MultiFactorAuthAge"
_SESSION_NAME = "sts:RoleSessionName"
_NOBODYS_ID = "rolecall-nobodys-external-id"
# A role has one external id, two while it rotates: among so many ids there is a foreign one.
_FEW = 8


@dataclass(frozen=True, slots=True)
class Trust:
    """What is intended for one role: who may assume it, with which external id, with MFA or without.

    `callers` are ARNs of users and roles, or names of services; empty means nobody. `subject` is the manifest's name.
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


def prove(access: Access, trusts: Iterable[Trust], *, roles: Collection[str] | None = None) -> Proof:
    """Decide every cell for the trusts, and that nobody may assume the roles of `access` that no trust names.

    `roles`: ARNs of the roles whose rows are wanted, all when left out; all trusts count as intended either way.
    """
    wanted = list(trusts)
    listed = {trust.role_arn for trust in wanted}
    unlisted = [Trust(arn, arn, ()) for arn, role in access.roles.items() if arn not in listed and role.trust is not None]
    prover = _Prover(access, [*wanted, *unlisted])
    chosen = [trust for trust in prover.trusts if roles is None or trust.role_arn in roles]
    return Proof(tuple(cell for trust in chosen for cell in prover.row(trust)))


@dataclass(slots=True)
class _Prover:
    access: Access
    trusts: list[Trust]
    evaluator: Evaluator = field(init=False)
    candidates: Candidates = field(init=False)
    intended: dict[str, set[str]] = field(init=False)
    delegated: dict[str, set[str]] = field(init=False)
    owners: dict[str, set[str]] = field(init=False)
    ids: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.evaluator = Evaluator(self.access)
        callers = [caller for trust in self.trusts for caller in trust.callers]
        self.candidates = Candidates(self.access, callers)
        self.intended = {}
        self.delegated = {}
        self.owners = {}
        for trust in self.trusts:
            self.intended.setdefault(trust.role_arn, set()).update(trust.callers)
            self.delegated.setdefault(trust.role_arn, set()).update(trust.delegates_to)
            if trust.external_id is not None:
                self.owners.setdefault(trust.external_id, set()).add(trust.role_arn)
        self.ids = list(self.owners)

    def row(self, trust: Trust) -> Iterator[Cell]:
        for caller in trust.callers:
            yield self._intended(trust, caller)
            yield from self._lacking(trust, caller)
        asked: set[str] = set()
        for cell in self._outsiders(trust):
            asked.add(cell.request.principal.arn)
            yield cell
        yield from self._others(trust, asked)

    def _lacking(self, trust: Trust, caller: str) -> Iterator[Cell]:
        """Without what the trust policy asks of everybody, nobody gets in."""
        if trust.external_id is not None:
            yield self._must_fail(trust, Case.NO_EXTERNAL_ID, caller, {EXTERNAL_ID: ()})
            yield self._must_fail(trust, Case.OTHER_EXTERNAL_ID, caller, {EXTERNAL_ID: self._foreign_id(trust)})
        if trust.requires_mfa:
            yield self._must_fail(trust, Case.NO_MFA, caller, {MFA: (), _MFA_AGE: ()})
            yield self._must_fail(trust, Case.MFA_FALSE, caller, {MFA: "false", _MFA_AGE: ()})

    def _intended(self, trust: Trust, caller: str) -> Cell:
        who = identity_of(caller)
        context: dict[str, str | tuple[str, ...]] = {
            _SESSION_NAME: who.name if who.kind is Kind.USER else "rolecall",
            EXTERNAL_ID: () if trust.external_id is None else trust.external_id,
            MFA: "true" if trust.requires_mfa else (),
            _MFA_AGE: "60" if trust.requires_mfa else (),
        }
        request = Request(Caller(caller), trust.role_arn, context=context)
        return Cell(trust.subject, Case.INTENDED, request, True, self.evaluator.may_assume(request))

    def _outsiders(self, trust: Trust) -> Iterator[Cell]:
        nowhere = self.candidates.free_account
        accounts: dict[str, str] = {}
        for caller in trust.callers:
            who = identity_of(caller)
            if who.kind is not Kind.EXTERNAL:
                accounts.setdefault(who.account_id, who.partition)
                elsewhere = caller.replace(f":{who.account_id}:", f":{nowhere}:", 1)
                yield self._must_fail(trust, Case.OTHER_ACCOUNT, elsewhere)
        partition = identity_of(trust.role_arn).partition
        for account in sorted(trust.delegates_to):
            accounts.setdefault(account, partition)
        for account, its_partition in accounts.items():
            yield from self._other(trust, Case.OTHER_PRINCIPAL, other_in(its_partition, account))
        yield self._must_fail(trust, Case.STRANGER, f"arn:{partition}:iam::{nowhere}:user/rolecall-stranger")

    def _others(self, trust: Trust, asked: Set[str]) -> Iterator[Cell]:
        """Every principal that the trust policy can tell from a stranger, whether it occurs in the access or only there,
        but for those that were `asked` already.
        """
        role = self.access.roles.get(trust.role_arn)
        if role is None or role.trust is None:
            return
        known = self.intended[trust.role_arn] | asked
        sessions = {_role_name(caller) for caller in self.intended[trust.role_arn]}
        for arn in self.candidates.of(trust.role_arn, role.trust, trust.callers):
            who = identity_of(arn)
            # A session of an intended role is that role under one name.
            if arn in known or (who.kind is Kind.SESSION and _role_name(arn) in sessions):
                continue
            case = Case.OTHER_USER if arn in self.access.users else Case.OTHER
            for action in (ASSUME_ROLE, *FEDERATED_ASSUME) if who.kind is Kind.EXTERNAL else (ASSUME_ROLE,):
                yield from self._other(trust, case, arn, action)

    def _other(self, trust: Trust, case: Case, arn: str, action: str = ASSUME_ROLE) -> Iterator[Cell]:
        """Somebody who is not meant: refused, or decided by an account that is meant to decide."""
        cell = self._must_fail(trust, case, arn, action=action)
        if identity_of(arn).account_id not in self.delegated[trust.role_arn]:
            yield cell
            return
        yield from self._lacking(trust, arn)
        yield cell if not cell.decision.allowed else self._by_account(trust, case, cell)

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
        decision = self.evaluator.may_assume(request)
        incomplete = principal.existing or bool(decision.unknown_policies)
        if decision.effect is Effect.IMPLICIT_DENY and incomplete:
            return replace(worst, delegated=True)
        return Cell(trust.subject, case, request, False, decision)

    def _must_fail(
        self,
        trust: Trust,
        case: Case,
        arn: str,
        context: Mapping[str, str | tuple[str, ...]] | None = None,
        action: str = ASSUME_ROLE,
    ) -> Cell:
        caller = Caller(arn, IdentitySide.ALLOWS_ALL)
        request = Request(caller, trust.role_arn, action, context or {}, free=True)
        if self.evaluator.names(trust.role_arn, arn):
            decision = self.evaluator.may_assume(request)
        else:
            decision = Decision(
                Effect.IMPLICIT_DENY, f"no statement of the trust policy of {trust.role_arn} names it", action
            )
        return Cell(trust.subject, case, request, False, decision)

    def _foreign_id(self, trust: Trust) -> str:
        """An external id of another role: one that this trust policy takes if there is any, else the next one."""
        role = self.access.roles.get(trust.role_arn)
        for statement in role.trust.statements if role is not None and role.trust is not None else ():
            for condition in statement.conditions:
                if condition.key.lower() == EXTERNAL_ID.lower():
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


def _role_name(arn: str) -> tuple[str, str]:
    """Account and plain name of the role behind a role's or session's ARN."""
    who = identity_of(arn)
    return who.account_id, (who.role or "").rpartition("/")[2]
