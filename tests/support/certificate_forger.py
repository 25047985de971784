"""Certificates of false claims, made to look like proofs, and random pairs of policies as rolecall writes them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from random import Random
from typing import Any

from certificate_programs import is_covered
from policy_pairs import ACCOUNTS, ROLE, ROLES, USERS, document
from rolecall_generator.iam import PolicyDocument, Role
from rolecall_generator.proof.symbolic import InclusionState, SearchBudget, certificate
from rolecall_generator.proof.symbolic.boxes import FALSE, TRUE, Formula, complement, conjunction, disjunction, restrict
from rolecall_generator.proof.symbolic.keys import ACTION
from rolecall_generator.proof.symbolic.question import TrustQuestion
from rolecall_generator.proof.symbolic.world import WORST_CASE

Content = dict[str, Any]
_TRIES = 200


def random_source(seed: int) -> Random:
    """Reproducible random choices."""
    return Random(seed)  # noqa: S311 - for tests


def forge(trust: PolicyDocument, intent: PolicyDocument, rng: Random) -> Content | None:
    """A certificate that claims `nothing_else`, which is false: it leaves out the representatives of all counterexamples.

    None if the claim is true or unknown, or if all representatives of a dimension would be left out.
    """
    question = TrustQuestion(Role(ROLE, trust), (trust, intent), (WORST_CASE, WORST_CASE), SearchBudget())
    dimensions = question.space.dimensions
    if any(dimension.rest for dimension in dimensions) or question.inclusion(0, 1).state is not InclusionState.REFUTED:
        return None
    facts = disjunction(fact.impossible for fact in question.facts)
    surplus = conjunction([question.sets[0].maybe, complement(question.sets[1].sure), complement(facts)])
    kept = [dimension.full for dimension in dimensions]
    for _ in range(_TRIES):
        box = _counterexamples(surplus, kept)
        if box is None:
            return _content(question, surplus, kept)
        restricted = [
            place
            for place, mask in enumerate(box)
            if kept[place] & ~mask and (dimensions[place].name != ACTION or rng.random() < _RARELY)
        ]
        if not restricted:
            return None
        chosen = rng.choice(restricted)
        kept[chosen] &= ~box[chosen]
    return None


_RARELY = 0.1


def _counterexamples(formula: Formula, box: Sequence[int]) -> list[int] | None:
    """A box of requests that satisfy the formula."""
    todo = [(formula, list(box))]
    while todo:
        rest, part = todo.pop()
        rest = restrict(rest, part) if all(part) else FALSE
        if rest is TRUE:
            return part
        if rest is not FALSE:
            place, mask = certificate._cut(rest)
            todo += [(rest, [*part[:place], part[place] & side, *part[place + 1 :]]) for side in (mask, ~mask)]
    return None


def _content(question: TrustQuestion, surplus: Formula, kept: Sequence[int]) -> Content:
    """The certificate in which only the kept representatives are listed."""
    names, steps = certificate._names(question), list[Any]()
    certificate._split(surplus, kept, names, steps)
    cells, places = certificate._dimensions(question), dict[str, list[int]]()
    for name, mask in zip(names, kept, strict=True):
        places[name] = [place for place in range(len(cells[name])) if mask >> place & 1]
        cells[name] = [cells[name][place] for place in places[name]]
    for step in steps:
        if step is not None:
            step[1] = [places[step[0]].index(place) for place in step[1]]
    trust, intent = (side.trust.to_json() for side in question.sides)
    names_of_facts = sorted({fact.name for fact in question.facts} - {certificate._RELATIONS})
    return {
        "format": certificate.FORMAT,
        "role": ROLE,
        "tags": {},
        "policies": {"trust": trust, "intent": intent},
        "dimensions": cells,
        "claims": {"nothing_else": {"facts": names_of_facts, "steps": steps}},
    }


def alter(content: Content, rng: Random) -> Content:
    """The certificate with one random change of its representatives, steps, claims or policies."""
    found = copy.deepcopy(content)
    rng.choice(_ALTERATIONS)(found, rng)
    return found


def _cells(found: Content, rng: Random) -> Any:
    return found["dimensions"][rng.choice(sorted(found["dimensions"]))]


def _claim(found: Content, rng: Random) -> Any:
    return found["claims"][rng.choice(sorted(found["claims"]))]


def _drop_cell(found: Content, rng: Random) -> None:
    cells = _cells(found, rng)
    cells.pop(rng.randrange(len(cells)))


def _repeat_cell(found: Content, rng: Random) -> None:
    cells = _cells(found, rng)
    cells[rng.randrange(len(cells))] = rng.choice(cells)


def _replace_cell(found: Content, rng: Random) -> None:
    cells = _cells(found, rng)
    cells[rng.randrange(len(cells))] = rng.choice([[], [""], ["x"], ["x", "y"]])


def _widen_cell(found: Content, rng: Random) -> None:
    """A representative with another value before or behind its own: a program must not read it as both."""
    cells = _cells(found, rng)
    place, value = rng.randrange(len(cells)), rng.choice(["sts:AssumeRole", "sts:Other", "id-one", "", ROLES[0], None])
    cells[place] = rng.choice([[value, *cells[place]], [*cells[place], value]])


def _retype_cell(found: Content, rng: Random) -> None:
    """A representative of another type, which could be read as an absent value or as all of its parts."""
    cells = _cells(found, rng)
    place = rng.randrange(len(cells))
    cells[place] = rng.choice([None, "", "".join(cells[place]), [None], [cells[place]], {}, 0])


def _replace_role(found: Content, rng: Random) -> None:
    found["role"] = rng.choice(
        [*ROLES, "arn:aws-cn:iam::222222222222:role/role1", found["role"].replace(":role/", ":user/")]
    )


def _drop_dimension(found: Content, rng: Random) -> None:
    del found["dimensions"][rng.choice(sorted(found["dimensions"]))]


def _empty_dimension(found: Content, rng: Random) -> None:
    _cells(found, rng).clear()


def _drop_step(found: Content, rng: Random) -> None:
    steps = _claim(found, rng)["steps"]
    steps.pop(rng.randrange(len(steps)))


def _insert_step(found: Content, rng: Random) -> None:
    steps = _claim(found, rng)["steps"]
    steps.insert(rng.randrange(len(steps)), None)


def _end_step(found: Content, rng: Random) -> None:
    steps = _claim(found, rng)["steps"]
    place = rng.randrange(len(steps))
    steps[place:] = [None] * len(steps[place:]) if rng.random() < _EVEN else [None]


def _replace_step(found: Content, rng: Random) -> None:
    name, steps = rng.choice(sorted(found["dimensions"])), _claim(found, rng)["steps"]
    steps[rng.randrange(len(steps))] = [name, [rng.randrange(len(found["dimensions"][name]))]]


def _add_fact(found: Content, rng: Random) -> None:
    name = rng.choice(sorted(found["dimensions"]))
    _claim(found, rng)["facts"].append(rng.choice(["operations", "age of MFA", f"presence of {name}", "nobody knows"]))


def _swap_claims(found: Content, _rng: Random) -> None:
    found["claims"] = dict(zip(found["claims"], reversed(found["claims"].values()), strict=True))


def _change_policy(found: Content, rng: Random) -> None:
    statements = found["policies"][rng.choice(["trust", "intent"])]["Statement"]
    changed = rng.choice(statements)
    if len(statements) > 1 and rng.random() < _EVEN:
        statements.remove(changed)
    elif changed.get("Condition") and rng.random() < _EVEN:
        del changed["Condition"]
    else:
        changed["Principal"] = {"AWS": rng.choice(ROLES)}


_EVEN = 0.5
_ALTERATIONS = (
    _drop_cell,
    _repeat_cell,
    _replace_cell,
    _widen_cell,
    _retype_cell,
    _replace_role,
    _drop_dimension,
    _empty_dimension,
    _drop_step,
    _insert_step,
    _end_step,
    _replace_step,
    _add_fact,
    _swap_claims,
    _change_policy,
)


def usual_pair(rng: Random) -> tuple[PolicyDocument, PolicyDocument]:
    """Two similar trust policies as rolecall writes them."""
    one = [_usual_statement(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
    other = copy.deepcopy(one)
    draw = rng.random()
    if draw < 0.25:
        other[0].pop("Condition", None)
    elif draw < 0.5:
        other.append(_usual_statement(rng))
    elif draw < 0.75:
        other[0] = {**_usual_statement(rng), "Principal": other[0]["Principal"]}
    else:
        other[0] = {**other[0], "Principal": _usual_statement(rng)["Principal"]}
    pair = document(one), document(other)
    return pair if rng.random() < 0.5 else pair[::-1]


def covered_pair(rng: Random) -> tuple[PolicyDocument, PolicyDocument]:
    """As `usual_pair`, of the kind that the short program covers."""
    while True:
        pair = usual_pair(rng)
        if all(is_covered(one.to_json()) for one in pair):
            return pair


def _usual_statement(rng: Random) -> Content:
    accounts = [f"arn:aws:iam::{account}:root" for account in ACCOUNTS]
    aws = rng.sample([*ACCOUNTS, *accounts, *ROLES, *USERS], rng.choice([1, 1, 2]))
    actions = rng.choice([["TagSession"], ["SetSourceIdentity"], ["TagSession", "SetSourceIdentity"], [], [], []])
    conditions: dict[str, dict[str, Any]] = {}
    if rng.random() < 0.6:
        ids = rng.sample(["id-one", "id-two", "id-three"], rng.choice([1, 1, 2]))
        conditions[rng.choice(["StringEquals", "StringEquals", "StringNotEquals", "StringLike"])] = {"sts:ExternalId": ids}
    elif rng.random() < 0.3:
        conditions["Null"] = {"sts:ExternalId": rng.choice(["true", "false"])}
    if rng.random() < 0.3:
        conditions["Bool"] = {"aws:MultiFactorAuthPresent": rng.choice(["true", "true", "false"])}
    if rng.random() < 0.4:
        conditions[rng.choice(["ArnEquals", "ArnLike", "ArnNotEquals"])] = {
            "aws:PrincipalArn": rng.sample([*ROLES, *USERS], 2)
        }
    return {
        "Effect": "Allow",
        "Action": ["sts:AssumeRole", *(f"sts:{action}" for action in actions)],
        "Principal": rng.choice([{"AWS": aws}, {"AWS": aws}, {"AWS": aws}, {"Service": "ec2.amazonaws.com"}]),
        "Condition": conditions,
    }
