"""Proves for each role that its trust policy allows exactly the intended requests, and derives the cells of the matrix.

The comparison of trust policy and intent covers all requests (see `symbolic`). It assumes the worst case: the caller's
account allows everything. A column of the matrix is a region of the request space, such as "the intended callers without
an external ID": its cell is OK if nothing unintended is allowed there. Only a role that is not as intended is compared
region by region. The cells of intended callers also require that the caller's own policies allow the request.

If a role is intended to trust a whole account, that account decides which of its principals can assume the role. Known
identity policies decide the cells of their principals; what remains is marked as delegated. What the trust policy requires
of all callers, such as MFA, must be required of these principals too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import chain

from rolecall_generator.iam import Access, Condition, PolicyDocument, Principal, Role, Statement, User, root_arn
from rolecall_generator.iam.evaluation import (
    ASSUME_ROLE,
    Caller,
    CallerProfiles,
    CompiledStatement,
    Compiler,
    Decision,
    Effect,
    Evaluator,
    PrincipalKind,
    Request,
    identity_of,
)
from rolecall_generator.proof.symbolic import (
    Inclusion,
    InclusionState,
    RegionComparison,
    RequestWitness,
    RoleProof,
    Trust,
    prove_roles,
)

EXTERNAL_ID = "sts:ExternalId"
MFA = "aws:MultiFactorAuthPresent"
_MFA_AGE = "aws:MultiFactorAuthAge"
_SESSION_NAME = "sts:RoleSessionName"
_ARN, _ACCOUNT = "aws:PrincipalArn", "aws:PrincipalAccount"
_ANY_USER_OR_ROLE = Condition("ArnLike", _ARN, ("arn:*:iam::*:*",))
_LOCATED_USERS = 200
"""Maximum number of declared users that have a cell of their own where a role is not as intended."""


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
    OTHER = "another request that the trust policy allows"


class CellState(Enum):
    """The result of a cell.

    DELEGATED: as intended, the trust policy leaves the decision to the caller's account, whose policies are not known. Such
    a cell is neither ok nor failed. NOT_APPLICABLE: a row of a matrix has no such cell.
    """

    OK = "ok"
    FAILED = "failed"
    UNDECIDED = "undecided"
    DELEGATED = "decided by the account"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Cell:
    """Whether all requests of one kind have the intended result. Many rows share a cell that is OK.

    `caller` is the ARN of the intended caller, of the account that decides, or of the caller in the counterexample; empty
    if there is none. `requires` are the condition keys that an intended request must satisfy. A failed cell has the
    counterexample as a `witness`, with the evaluator's decision. `reasons`: why the result is undecided.
    """

    case: Case
    state: CellState
    caller: str = ""
    requires: tuple[str, ...] = ()
    decision: Decision | None = None
    witness: RequestWitness | None = None
    reasons: tuple[str, ...] = ()

    @property
    def expected(self) -> bool:
        """Whether the requests must be allowed."""
        return self.case is Case.INTENDED

    @property
    def ok(self) -> bool:
        """True if the result is as intended; False if it is undecided."""
        return self.state is CellState.OK

    @property
    def delegated(self) -> bool:
        """Whether the caller's account decides."""
        return self.state is CellState.DELEGATED

    @property
    def failed(self) -> bool:
        """True if the result is undecided or not as intended."""
        return self.state in {CellState.FAILED, CellState.UNDECIDED}


@dataclass(frozen=True, slots=True)
class RoleRow:
    """The cells of one role for one subject."""

    subject: str
    role_arn: str
    cells: tuple[Cell, ...]

    @property
    def failures(self) -> tuple[Cell, ...]:
        """The failed cells."""
        return tuple(cell for cell in self.cells if cell.failed)


@dataclass(frozen=True, slots=True)
class Proof:
    """The rows in the order of the trusts, and for each role the comparison of its trust policy with the intent.

    `deviating`: the roles that are not proven to be as intended, each with the intent as a trust policy.
    """

    rows: tuple[RoleRow, ...] = ()
    roles: tuple[RoleProof, ...] = ()
    deviating: tuple[tuple[Role, PolicyDocument], ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, row by row."""
        return tuple([cell for row in self.rows for cell in row.cells])

    @property
    def failures(self) -> tuple[Cell, ...]:
        """The failed cells."""
        return tuple([cell for cell in self.cells if cell.failed])

    @property
    def delegated(self) -> tuple[Cell, ...]:
        """The delegated cells."""
        return tuple([cell for cell in self.cells if cell.delegated])

    @property
    def ok(self) -> bool:
        """True if no cell failed."""
        return not self.failures


def prove(access: Access, trusts: Iterable[Trust], *, roles: Collection[str] | None = None) -> Proof:
    """Compare the trust policies of `access` with the trusts. A role without a trust may be assumed by no one.

    `roles`: ARNs of the roles to prove, None for all.
    """
    by_role: dict[str, list[Trust]] = {}
    for trust in trusts:
        if roles is None or trust.role_arn in roles:
            by_role.setdefault(trust.role_arn, []).append(trust)
    selected = {arn: role for arn, role in access.roles.items() if roles is None or arn in roles}
    prover = _Prover(access, by_role)
    proofs = tuple(prove_roles(replace(access, roles=selected), by_role, regions=prover.region_documents))
    rows = (row for proof in proofs for row in prover.rows(proof))
    deviating = tuple(
        (selected[proof.role_arn], proof.intent)
        for proof in proofs
        if not proof.comparison.is_equal and proof.role_arn in selected
    )
    return Proof(tuple(rows), proofs, deviating)


@dataclass(frozen=True, slots=True)
class _Region:
    """A kind of requests. `account`: the intended trust leaves the decision about them to this account."""

    case: Case
    document: PolicyDocument
    account: str = ""


class _Prover:
    def __init__(self, access: Access, trusts: Mapping[str, list[Trust]]) -> None:
        self._access = access
        self._trusts = trusts
        self._grants: dict[str, tuple[CompiledStatement, ...]] = {}
        self._as_intended: dict[object, tuple[Cell, ...]] = {}

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self._access)

    @cached_property
    def _profiles(self) -> CallerProfiles:
        return CallerProfiles(self._access, Compiler())

    def rows(self, proof: RoleProof) -> Iterator[RoleRow]:
        """The rows of a role: one for each subject of its trusts."""
        arn = proof.role_arn
        by_subject: dict[str, list[Trust]] = {}
        for trust in self._trusts.get(arn) or [Trust(arn, arn)]:
            by_subject.setdefault(trust.subject, []).append(trust)
        by_row = {subject: [self._cells(trust, proof) for trust in trusts] for subject, trusts in by_subject.items()}
        intended = all(cell.ok for found in by_row.values() for cells in found for cell in cells if cell.expected)
        further = () if proof.comparison.is_equal else tuple(self._located(proof, intended=intended))
        for subject, found in by_row.items():
            # Most roles have one trust and share its cells with others.
            alone = len(found) == 1 and not further
            yield RoleRow(subject, arn, found[0] if alone else (*chain.from_iterable(found), *further))
            further = ()

    def _cells(self, trust: Trust, proof: RoleProof) -> tuple[Cell, ...]:
        granted = all(self._is_granted(caller, trust.role_arn) for caller in trust.callers)
        if trust.delegates_to or not granted or not proof.comparison.is_equal:
            return tuple(self._decide(trust, proof))
        key = trust.callers, trust.external_id is None, trust.requires_mfa
        found = self._as_intended.get(key)
        if found is None:
            found = self._as_intended[key] = tuple(self._decide(trust, proof))
        return found

    def _decide(self, trust: Trust, proof: RoleProof) -> Iterator[Cell]:
        yield from (self._intended(trust, caller, proof) for caller in trust.callers)
        regions = list(_regions(trust))
        if proof.comparison.is_equal:
            for region in regions:
                yield _delegated(region) if region.account else Cell(region.case, CellState.OK)
        elif not proof.regions:
            reasons = proof.comparison.forward.reasons
            yield from (Cell(region.case, CellState.UNDECIDED, reasons=reasons) for region in regions)
        else:
            positions = {document: number for number, document in enumerate(self.region_documents(trust.role_arn))}
            for region in regions:
                yield self._compared(region, proof.regions[positions[region.document]])
        yield from self._known_principals(trust)

    def region_documents(self, role_arn: str) -> Sequence[PolicyDocument]:
        """The regions of a role, each as the trust policy that allows it, without duplicates."""
        trusts = self._trusts.get(role_arn) or [Trust(role_arn, role_arn)]
        found = [region.document for trust in trusts for region in _regions(trust)]
        if users := self._other_users(trusts):
            found.append(_document(users))
        return list(dict.fromkeys(found))

    def _other_users(self, trusts: Iterable[Trust]) -> list[Principal]:
        """Declared users that the trusts do not intend; those of an account that decides itself are decided singly."""
        callers = {caller for trust in trusts for caller in trust.callers}
        accounts = {account for trust in trusts for account in trust.delegates_to}
        users = [arn for arn in self._access.users if arn not in callers and identity_of(arn).account_id not in accounts]
        return [Principal("AWS", arn) for arn in users[:_LOCATED_USERS]]

    def _located(self, proof: RoleProof, *, intended: bool) -> Iterator[Cell]:
        """Cells that only exist where the trust policy is not as intended: intended requests that it does not allow, and
        what it allows to other users and to requests of no other region. `intended`: the request of each intended caller
        without anything that is not required is allowed.
        """
        if not proof.regions:
            return
        narrower = proof.comparison.backward
        if intended and narrower.state is not InclusionState.PROVEN:
            # Although the simplest requests are allowed: with session tags, from an address.
            yield self._failed(Case.INTENDED, narrower)
        trusts = self._trusts.get(proof.role_arn) or [Trust(proof.role_arn, proof.role_arn)]
        if users := self._other_users(trusts):
            document = _document(users)
            number = list(self.region_documents(proof.role_arn)).index(document)
            cell = self._compared(_Region(Case.OTHER_USER, document), proof.regions[number])
            if cell.failed:
                yield cell
        cell = self._compared(_Region(Case.OTHER, PolicyDocument(())), proof.regions[-1])
        if cell.failed:
            yield cell

    def _compared(self, region: _Region, result: RegionComparison) -> Cell:
        found = result.unintended
        if found.state is InclusionState.PROVEN:
            return _delegated(region) if region.account and result.reached else Cell(region.case, CellState.OK)
        return self._failed(region.case, found)

    def _failed(self, case: Case, found: Inclusion) -> Cell:
        """The cell of an inclusion that is not proven."""
        if found.witness is None:
            return Cell(case, CellState.UNDECIDED, reasons=found.reasons)
        request = found.witness.request
        decision = self._evaluator.may_assume(request)
        return Cell(case, CellState.FAILED, request.principal.arn, decision=decision, witness=found.witness)

    # Intended callers

    def _intended(self, trust: Trust, caller: str, proof: RoleProof) -> Cell:
        requires = (*[EXTERNAL_ID] * (trust.external_id is not None), *[MFA] * trust.requires_mfa)
        if proof.comparison.is_equal and self._is_granted(caller, trust.role_arn):
            return Cell(Case.INTENDED, CellState.OK, caller, requires)
        request = _intended_request(trust, caller)
        decision = self._evaluator.may_assume(request)
        if decision.allowed:
            return Cell(Case.INTENDED, CellState.OK, caller, requires, decision)
        reasons = (decision.reason.removeprefix("refused: "),) if decision.effect is Effect.REFUSED else ()
        state = CellState.UNDECIDED if reasons else CellState.FAILED
        return Cell(
            Case.INTENDED, state, caller, requires, decision, RequestWitness.of_request(request, decision.reason), reasons
        )

    def _is_granted(self, caller: str, role_arn: str) -> bool:
        """Whether the caller's policies plainly allow it to assume the role: a statement without conditions, and nothing
        that could deny it. If not, the evaluator has to decide; it takes ten times longer.
        """
        grants = self._grants.get(caller)
        if grants is None:
            grants = self._grants[caller] = self._plain_grants(caller)
        return any(statement.applies_to("sts:assumerole", role_arn, {}) for statement in grants)

    def _plain_grants(self, caller: str) -> tuple[CompiledStatement, ...]:
        if identity_of(caller).kind is PrincipalKind.EXTERNAL:
            return ()
        profile = self._profiles.profile(Caller(caller))
        statements = [statement for _, document in profile.policies for statement in document.statements]
        if profile.boundary is not None or profile.unknown_boundary or profile.unknown_policies:
            return ()
        if any(statement.refusal is not None or not statement.allow for statement in statements):
            return ()
        return tuple(statement for statement in statements if not statement.source.conditions)

    # Accounts that decide

    def _known_principals(self, trust: Trust) -> Iterator[Cell]:
        """Cells of the declared principals of accounts that decide: their identity policies decide, as far as known.

        If these may be incomplete (existing principals, unknown policies), only an allow and an explicit deny are certain.
        """
        if not trust.delegates_to:
            return
        principals: tuple[User | Role, ...] = (*self._access.users.values(), *self._access.roles.values())
        for principal in principals:
            arn = principal.arn
            if identity_of(arn).account_id not in trust.delegates_to or arn in trust.callers:
                continue
            case = Case.OTHER_PRINCIPAL if isinstance(principal, Role) else Case.OTHER_USER
            decision = self._decide_known(principal.arn, trust.role_arn)
            incomplete = principal.existing or bool(decision.unknown_policies)
            if decision.effect is Effect.REFUSED:
                reason = decision.reason.removeprefix("refused: ")
                yield Cell(case, CellState.UNDECIDED, arn, decision=decision, reasons=(reason,))
            elif decision.allowed:
                witness = RequestWitness.of_request(
                    _intended_request(trust, arn), "the manifest does not intend this caller"
                )
                yield Cell(case, CellState.FAILED, arn, decision=decision, witness=witness)
            elif decision.effect is Effect.IMPLICIT_DENY and incomplete:
                yield Cell(case, CellState.DELEGATED, arn, decision=decision)
            else:
                yield Cell(case, CellState.OK, arn, decision=decision)

    def _decide_known(self, arn: str, role_arn: str) -> Decision:
        request = Request(Caller(arn), role_arn, ASSUME_ROLE, {}, free=True)
        role = self._access.roles.get(arn)
        if role is None or not role.tags:
            return self._evaluator.may_assume(request)
        # The caller can choose other session tags.
        untagged = {**self._access.roles, arn: replace(role, tags={})}
        return Evaluator(replace(self._access, roles=untagged)).may_assume(request)


def _intended_request(trust: Trust, caller: str) -> Request:
    """The request of an intended caller, without anything that is not required."""
    identity = identity_of(caller)
    context: dict[str, str | tuple[str, ...]] = {
        _SESSION_NAME: identity.name if identity.kind is PrincipalKind.USER else "rolecall",
        EXTERNAL_ID: () if trust.external_id is None else trust.external_id,
        MFA: "true" if trust.requires_mfa else (),
        _MFA_AGE: "60" if trust.requires_mfa else (),
    }
    return Request(Caller(caller), trust.role_arn, context=context)


def _delegated(region: _Region) -> Cell:
    return Cell(region.case, CellState.DELEGATED, region.account)


def _document(principals: Iterable[Principal], *conditions: Condition) -> PolicyDocument:
    statement = Statement("Allow", ("sts:*",), principals=tuple(principals), conditions=conditions)
    return PolicyDocument((statement,))


def _regions(trust: Trust) -> Iterator[_Region]:
    """The kinds of requests that must be refused, in the order of the cells."""
    callers = trust.principals
    if callers:
        yield from _without_requirements(trust, callers)
    named = [caller for caller in trust.callers if identity_of(caller).kind is not PrincipalKind.EXTERNAL]
    accounts = tuple(dict.fromkeys((*(identity_of(caller).account_id for caller in named), *sorted(trust.delegates_to))))
    elsewhere = [Condition("StringNotEquals", _ACCOUNT, accounts)] if accounts else []
    if named:
        same_name = tuple(dict.fromkeys(f"arn:*:iam::*:{caller.split(':', 5)[5]}" for caller in named))
        yield _Region(
            Case.OTHER_ACCOUNT, _document([Principal("*", "*")], Condition("ArnLike", _ARN, same_name), *elsewhere)
        )
    partition = trust.role_arn.split(":")[1]
    for account in accounts:
        root = root_arn(partition, account)
        others = [Condition("StringNotEquals", _ARN, trust.callers)] if named else []
        whole = [Principal("AWS", root)]
        if account not in trust.delegates_to:
            yield _Region(Case.OTHER_PRINCIPAL, _document(whole, *others))
            continue
        yield from _without_requirements(trust, whole, *others)
        if trust.external_id is not None:
            others.append(Condition("StringEquals", EXTERNAL_ID, (trust.external_id,)))
        if trust.requires_mfa:
            others.append(Condition("Bool", MFA, ("true",)))
        yield _Region(Case.OTHER_PRINCIPAL, _document(whole, *others), root)
    yield _Region(Case.UNRELATED_ACCOUNT, _document([Principal("*", "*")], _ANY_USER_OR_ROLE, *elsewhere))


def _without_requirements(trust: Trust, callers: Iterable[Principal], *conditions: Condition) -> Iterator[_Region]:
    callers = list(callers)
    if trust.external_id is not None:
        absent, present = (Condition("Null", EXTERNAL_ID, (value,)) for value in ("true", "false"))
        other = Condition("StringNotEquals", EXTERNAL_ID, (trust.external_id,))
        yield _Region(Case.NO_EXTERNAL_ID, _document(callers, *conditions, absent))
        yield _Region(Case.OTHER_EXTERNAL_ID, _document(callers, *conditions, present, other))
    if trust.requires_mfa:
        yield _Region(Case.NO_MFA, _document(callers, *conditions, Condition("Null", MFA, ("true",))))
        yield _Region(Case.MFA_FALSE, _document(callers, *conditions, Condition("Bool", MFA, ("false",))))
