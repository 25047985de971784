"""Checks of the symbolic proof against the evaluator: points, cells, and requests that were not made from cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random

from policy_pairs import (
    ACCOUNTS,
    GLOBS,
    ROLES,
    SOURCE_ARNS,
    STRINGS,
    USERS,
    VALUES,
    PolicyGenerator,
)
from rolecall_generator.iam import Access, PolicyDocument
from rolecall_generator.iam.evaluation import (
    Evaluator,
    PrincipalKind,
    PrincipalReach,
    Request,
    identity_of,
    principal_context,
)
from rolecall_generator.proof.symbolic.boxes import TRUE, AllowedSet, restrict
from rolecall_generator.proof.symbolic.keys import (
    CALLER,
    KEPT_SOURCE_IDENTITY,
    SOURCE_IDENTITY,
    TAG_KEYS,
    TRANSITIVE_TAG_KEYS,
    CallerKind,
    key_facts,
)
from rolecall_generator.proof.symbolic.language import fits
from rolecall_generator.proof.symbolic.question import TrustQuestion
from rolecall_generator.proof.symbolic.space import KeyTest, OpenCondition
from rolecall_generator.proof.symbolic.witness import RequestOutcome

_TAG_DIMENSIONS = (TAG_KEYS, TRANSITIVE_TAG_KEYS, SOURCE_IDENTITY)


def wrong_points(question: TrustQuestion, rng: Random, count: int, *, exact: bool = True) -> Iterator[str]:
    """Random combinations of cells that the sets decide differently than the evaluator.

    `exact`: the sets may leave nothing open that the evaluator decides, apart from requests of services and providers, and
    conditions that are not represented.
    """
    space = question.space
    if space.relations:
        return
    exact = exact and not any(isinstance(reading, OpenCondition) for reading in space.readings())
    for _ in range(count):
        cells = [rng.randrange(len(dimension.cells)) for dimension in space.dimensions]
        for name in _TAG_DIMENSIONS:
            if rng.random() < 0.6:
                cells[space.index[name]] = 0
        box = [1 << cell for cell in cells]
        if any(restrict(fact.impossible, box) is TRUE for fact in question.facts):
            continue
        point = question.finder.point_of(cells)
        if point is None:
            continue
        external = space.callers.cells[cells[0]].kind in {CallerKind.PROVIDER, CallerKind.SERVICE}
        for side, allowed in zip(question.sides, question.sets, strict=True):
            decision = question.finder.decide(side, point)
            if not _agrees(decision.outcome, allowed, box, exact=exact and not external):
                yield f"{decision} {point} {side.trust.to_json()}"


def _agrees(outcome: RequestOutcome, allowed: AllowedSet, box: Sequence[int], *, exact: bool) -> bool:
    sure, maybe = restrict(allowed.sure, box) is TRUE, restrict(allowed.maybe, box) is TRUE
    if sure and not maybe:
        return False
    if outcome is RequestOutcome.OPEN:
        return not sure
    if outcome is RequestOutcome.ALLOWED:
        return maybe and (sure or not exact)
    return not sure and not (maybe and exact)


def uncovered_values(question: TrustQuestion, rng: Random, count: int) -> Iterator[str]:
    """Random values that the conditions distinguish from every cell."""
    space = question.space
    generator = PolicyGenerator(rng)
    for dimension in space.dimensions:
        if dimension.rest:
            continue
        tests = [
            reading.test
            for reading in space.readings()
            if isinstance(reading, KeyTest) and reading.dimension == dimension.name and not reading.test.variables
        ]
        if dimension.name == CALLER:
            yield from _uncovered_callers(question, tests, rng, count)
            continue
        found = {tuple(test.run(cell.context) for test in tests) for cell in dimension.cells}
        for _ in range(count if tests else 0):
            context = _random_values(dimension.name, generator)
            if context is not None and tuple(test.run(context) for test in tests) not in found:
                yield f"{dimension.name} {context}"


def _random_values(name: str, generator: PolicyGenerator) -> dict[str, tuple[str, ...]] | None:
    """Random values of a key; None if AWS would not accept them."""
    rng, facts = generator.rng, key_facts(name)
    pool = SOURCE_ARNS if name == "aws:sourcearn" else (*GLOBS, *STRINGS, "Team", "AB", "aB", "KK", "\u212ab")
    draw = rng.random()
    count = 0 if draw < 0.1 and not facts.always else 1 if draw < 0.6 or not facts.many else rng.randint(2, 4)
    values = tuple(rng.choice(VALUES[name]) if name in VALUES else generator.string(pool) for _ in range(count))
    if not all(
        fits(each, facts.shape) and (facts.shape.pattern is None or each.count(":") >= ARN_COLONS) for each in values
    ):
        return None
    return {name: values, **({KEPT_SOURCE_IDENTITY: rng.choice([(), values])} if name == SOURCE_IDENTITY else {})}


ARN_COLONS = 5


def _uncovered_callers(question: TrustQuestion, tests: Sequence[object], rng: Random, count: int) -> Iterator[str]:
    space = question.space
    statements = space.trust_statements()

    def signature(who: object, context: object) -> tuple[object, ...]:
        return (
            *(test.run(context) for test in tests),  # type: ignore[attr-defined]
            *(statement.principals.reach(who) is not PrincipalReach.NONE for statement in statements),  # type: ignore[arg-type]
        )

    found = {signature(cell.caller, cell.context) for cell in space.callers.cells if cell.caller is not None}
    sessions = any(cell.caller is not None and ":assumed-role/" in cell.caller.arn for cell in space.callers.cells)
    generator = PolicyGenerator(rng)
    for _ in range(count):
        arn = rng.choice(USERS if sessions else (*ROLES, *USERS))
        head, tail = arn.split(":", 5)[:5], arn.split(":", 5)[5]
        if rng.random() < 0.5:
            name = generator.string(["backend", "ops-1", "ab", "ann", "p/backend", "bob"]).strip("/")
            tail = f"{tail.split('/')[0]}/{name.replace('//', '/') or 'q'}"
        if rng.random() < 0.3:
            head[4] = rng.choice([*ACCOUNTS, "123456789012"])
        who = identity_of(":".join([*head, tail]))
        if signature(who, principal_context(who, {}, known=False)) not in found:
            yield who.arn


def request_between(question: TrustQuestion, generator: PolicyGenerator, count: int) -> Request | None:
    """A random request that the first trust policy allows and the second does not, and that AWS can receive."""
    role = question.space.role
    for _ in range(count):
        request = generator.request()
        if _is_of_second_role(request, [side.trust for side in question.sides]):
            continue
        first, second = (
            Evaluator(Access(roles={role.arn: replace(role, trust=side.trust)})).may_assume(request)
            for side in question.sides
        )
        if first.allowed and not second.allowed:
            return request
    return None


def _is_of_second_role(request: Request, trusts: Iterable[PolicyDocument]) -> bool:
    """Whether the caller is a session of a role whose name another role of the account has, with another path: the trust
    policies name that role and a session of it, and names are unique in an account.
    """
    caller = request.principal
    if caller.role is None:
        return False
    key = (identity_of(caller.arn).account_id, caller.role.rpartition("/")[2])
    named = [
        identity_of(each.identifier) for trust in trusts for statement in trust.statements for each in statement.principals
    ]
    same_name = [each for each in named if each.role and (each.account_id, each.role.rpartition("/")[2]) == key]
    roles = {each.arn for each in same_name if each.kind is PrincipalKind.ROLE}
    return bool(roles) and caller.role not in roles and any(each.kind is PrincipalKind.SESSION for each in same_name)
