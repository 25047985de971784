"""Which requests of any action the policies of an organization allow, level by level, over all requests of a scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from rolecall_generator.iam import PolicyDocument, Statement
from rolecall_generator.iam.evaluation import CompiledStatement, PolicyType
from rolecall_generator.iam.matching import Truth
from rolecall_generator.proof.symbolic.action_space import ActionScope, ActionSpace, Evaluation, RequestSet
from rolecall_generator.proof.symbolic.boxes import EVERYTHING, AllowedSet, Formula, complement, conjunction
from rolecall_generator.proof.symbolic.budget import TOO_LARGE, OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.policies import without_principal
from rolecall_generator.proof.symbolic.world import PolicyLevel


@dataclass(frozen=True, slots=True)
class StatementPlace:
    """A statement of the levels by its positions: level, document of the level, statement of the document.

    Without `document` and `statement`: no statement of the level allows the requests.
    """

    level: int
    document: int | None = None
    statement: int | None = None


@dataclass(frozen=True, slots=True)
class StatementLimit:
    """What one statement stops. `is_certain`: False if it is not certain that it stops anything.

    `sets` are the first sets of the requests; `more` of them are left out.
    """

    place: StatementPlace
    is_certain: bool
    sets: tuple[RequestSet, ...]
    more: int = 0


class LimitState(Enum):
    """How much of a set of requests is stopped."""

    NONE = "not stopped"
    PART = "partly stopped"
    ALL = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LimitAnswer:
    """How much of what a permission allows is stopped, and by which statements. `reasons` explain what is not known, `facts`
    why nothing is stopped although a statement names such requests.
    """

    state: LimitState
    limits: tuple[StatementLimit, ...] = ()
    reasons: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitChange:
    """Two versions of the levels compared over all requests of a scope.

    `is_exact`: True if the new version allows nothing but intended requests in addition, and denies nothing in addition;
    False if that is refuted, None if it is unknown. `surplus` are requests that it allows in addition and that are not
    intended, `lost` those that only the old version allows.
    """

    is_exact: bool | None
    surplus: tuple[RequestSet, ...] = ()
    lost: tuple[RequestSet, ...] = ()
    reasons: tuple[str, ...] = ()


def limit_permission(
    scope: ActionScope,
    permission: Statement,
    levels: Sequence[PolicyLevel],
    resource_levels: Sequence[PolicyLevel] = (),
    *,
    budget: SearchBudget | None = None,
) -> LimitAnswer:
    """How much of what an Allow statement of an identity policy allows is stopped by levels of SCPs and of RCPs.

    `scope.actions` are the actions of the statement. `resource_levels` are those of the RCPs around `scope.owner`; in the
    places of the answer they are counted on from `levels`. Exact over all resources and values of keys; what cannot be
    represented is UNKNOWN.
    """
    if not levels and not resource_levels:
        return LimitAnswer(LimitState.NONE)
    try:
        return _Limiter(scope, permission, levels, resource_levels, budget or SearchBudget()).answer()
    except OutOfBudgetError:
        return LimitAnswer(LimitState.UNKNOWN, reasons=(TOO_LARGE,))


def compare_limits(
    scope: ActionScope,
    before: Sequence[PolicyLevel],
    after: Sequence[PolicyLevel],
    intended: Iterable[tuple[Statement, str]],
    *,
    budget: SearchBudget | None = None,
) -> LimitChange:
    """Compare two versions of levels of SCPs or RCPs.

    `intended` are statements, whose effect does not matter, each with the ARN of a user or role: the requests of this
    principal to which the statement applies are intended to be allowed.
    """
    try:
        return _compare(scope, before, after, tuple(intended), budget or SearchBudget())
    except OutOfBudgetError:
        return LimitChange(None, reasons=(TOO_LARGE,))


class LimitSets:
    """The requests that levels of policies allow in a space. `rcps` of them, the last ones, are levels of RCPs."""

    def __init__(self, space: ActionSpace, levels: Sequence[PolicyLevel], rcps: int = 0) -> None:
        self._space = space
        self._restricted = space.restricted_by_rcps() if rcps else EVERYTHING
        self._first_rcps = len(levels) - rcps
        self.compiled = [
            [space.compiler.compile(document, PolicyType.IDENTITY).statements for document in level] for level in levels
        ]

    def allowed(self) -> AllowedSet:
        """What every level allows."""
        return AllowedSet.intersection(map(self._level, range(len(self.compiled))))

    def _level(self, level: int) -> AllowedSet:
        allowed = AllowedSet.intersection((self.granted(level), self._denied(level).inverse))
        return AllowedSet.union((self.restricted(level).inverse, allowed))

    def restricted(self, level: int) -> AllowedSet:
        """The requests to which the policies of the level apply."""
        return EVERYTHING if level < self._first_rcps else self._restricted

    def granted(self, level: int) -> AllowedSet:
        """The requests that some Allow statement of the level applies to."""
        return self._union(level, effect="Deny")

    def _denied(self, level: int) -> AllowedSet:
        return self._union(level, effect="Allow")

    def _union(self, level: int, *, effect: str) -> AllowedSet:
        """The requests of all statements that do not have this effect: one with an unknown effect may do both."""
        return AllowedSet.union(
            self._space.statement_set(statement)
            for statements in self.compiled[level]
            for statement in statements
            if statement.source.effect != effect
        )

    def evaluate(self, outcome: Evaluation) -> bool | None:
        """Whether the levels allow a request, by the evaluator; None if it leaves that open. Without RCPs."""
        decisions = set()
        for documents in self.compiled:
            granted, denied = Truth.FALSE, Truth.FALSE
            for statement in (each for statements in documents for each in statements):
                truth = outcome(statement)
                if statement.source.effect == "Allow":
                    granted = max(granted, truth, key=_CERTAINTY.index)
                elif statement.source.effect == "Deny":
                    denied = max(denied, truth, key=_CERTAINTY.index)
                else:
                    return None
            if denied is Truth.TRUE or granted is Truth.FALSE:
                return False
            decisions.add(granted is Truth.TRUE and denied is Truth.FALSE)
        return True if decisions <= {True} else None

    def denials(self) -> Iterator[tuple[int, int, CompiledStatement]]:
        """Each Deny statement with the positions of its level and document."""
        for level, documents in enumerate(self.compiled):
            for document, statements in enumerate(documents):
                yield from ((level, document, each) for each in statements if each.source.effect != "Allow")


class _Limiter:
    def __init__(
        self,
        scope: ActionScope,
        permission: Statement,
        scps: Sequence[PolicyLevel],
        rcps: Sequence[PolicyLevel],
        budget: SearchBudget,
    ) -> None:
        own = PolicyDocument((permission,))
        levels = self._levels = [*scps, *(tuple(map(without_principal, level)) for level in rcps)]
        documents = [document for level in levels for document in level]
        self._space = ActionSpace(scope, [own, *documents], budget, with_rcps=bool(rcps))
        (self._permission,) = self._space.compiler.compile(own, PolicyType.IDENTITY).statements
        self._own = self._space.statement_set(self._permission)
        self._sets = LimitSets(self._space, levels, len(rcps))

    def answer(self) -> LimitAnswer:
        space, own, allowed = self._space, self._own, self._sets.allowed()
        stopped = conjunction([own.maybe, complement(allowed.sure)])
        if space.is_empty(stopped):
            return LimitAnswer(LimitState.NONE, facts=space.explanations(stopped))
        limits = tuple(self._limits())
        if space.is_empty(conjunction([own.maybe, allowed.maybe])):
            return LimitAnswer(LimitState.ALL, limits)
        if any(limit.is_certain for limit in limits):
            return LimitAnswer(LimitState.PART, limits, tuple(space.reasons))
        return LimitAnswer(LimitState.UNKNOWN, limits, tuple(space.reasons) or (_UNDOCUMENTED,))

    def _limits(self) -> Iterator[StatementLimit]:
        for level, document, statement in self._sets.denials():
            found = self._space.statement_set(statement)
            place = StatementPlace(level, document, _position(self._levels[level][document], statement))
            yield from self._limit(place, found.sure, found.maybe, statement)
        for level in range(len(self._levels)):
            granted = self._sets.granted(level)
            yield from self._limit(StatementPlace(level), complement(granted.maybe), complement(granted.sure), None)

    def _limit(
        self, place: StatementPlace, sure: Formula, maybe: Formula, denial: CompiledStatement | None
    ) -> Iterator[StatementLimit]:
        """What a statement or a level stops of the permission. It is certain if the evaluator confirms an example."""
        restricted = self._sets.restricted(place.level)
        sure = conjunction([self._own.sure, restricted.sure, sure])
        maybe = conjunction([self._own.maybe, restricted.maybe, maybe])
        allows = [s for statements in self._sets.compiled[place.level] for s in statements if s.allow]
        applying = [self._permission, *([] if denial is None else [denial])]
        others = allows if denial is None else ()

        def confirms(outcome: Evaluation) -> bool:
            applies = all(outcome(each) is Truth.TRUE for each in applying)
            return applies and all(outcome(each) is Truth.FALSE for each in others)

        sets, more = self._space.sets_of(sure, care=self._own.sure, confirms=confirms)
        if any(each.is_confirmed for each in sets):
            yield StatementLimit(place, True, sets, more)
        elif sets or not self._space.is_empty(maybe):
            yield StatementLimit(place, False, sets, more)


_UNDOCUMENTED = "AWS does not document the outcome for some values"
_NO_EXAMPLE = "no action that AWS has was found with which a caller can send such a request"
_CERTAINTY = (Truth.FALSE, Truth.UNDECIDED, Truth.TRUE)


def _position(document: PolicyDocument, statement: CompiledStatement) -> int:
    """The position of a compiled statement in its document: compiled documents have another order."""
    return next(at for at, source in enumerate(document.statements) if source is statement.source)


def _compare(
    scope: ActionScope,
    before: Sequence[PolicyLevel],
    after: Sequence[PolicyLevel],
    intended: Sequence[tuple[Statement, str]],
    budget: SearchBudget,
) -> LimitChange:
    versions = [[tuple(map(without_principal, level)) for level in levels] for levels in (before, after)]
    own = PolicyDocument(tuple(statement for statement, _ in intended))
    documents = [document for levels in versions for level in levels for document in level]
    space = ActionSpace(scope, [own, *documents], budget, apart=[arn for _, arn in intended], assumes=True)
    compiled = {id(each.source): each for each in space.compiler.compile(own, PolicyType.IDENTITY).statements}
    wanted = AllowedSet.union(
        AllowedSet.intersection(
            (space.statement_set(compiled[id(statement)]), AllowedSet.exact(space.callers_in([principal])))
        )
        for statement, principal in intended
    )
    old_sets, new_sets = (LimitSets(space, levels) for levels in versions)
    old, new = old_sets.allowed(), new_sets.allowed()
    opened = conjunction([new.maybe, complement(old.sure), complement(wanted.sure)])
    closed = conjunction([old.maybe, complement(new.sure)])
    if space.is_empty(opened) and space.is_empty(closed):
        return LimitChange(True)

    def changes(first: LimitSets, second: LimitSets) -> Callable[[Evaluation], bool]:
        return lambda outcome: (
            first.evaluate(outcome) is False
            and second.evaluate(outcome) is True
            and all(outcome(each) is not Truth.UNDECIDED for each in compiled.values())
        )

    surplus, _ = space.sets_of(opened, confirms=changes(old_sets, new_sets))
    lost, _ = space.sets_of(closed, confirms=changes(new_sets, old_sets))
    if any(each.sample is not None for each in (*surplus, *lost)):
        return LimitChange(False, surplus, lost)
    found = tuple(space.reasons) or (_UNDOCUMENTED,)
    if not space.reasons and any(each.is_confirmed for each in (*surplus, *lost)):
        found = (_NO_EXAMPLE,)
    return LimitChange(None, surplus, lost, found)
