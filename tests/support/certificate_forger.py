"""Certificates of false claims, made to look like proofs, and random pairs of policies as rolecall writes them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any

from certificate_programs import is_covered
from policy_pairs import ACCOUNTS, ROLE, ROLES, SESSIONS, USERS
from policy_text import document
from rolecall_generator.iam import PolicyDocument, Role
from rolecall_generator.proof.symbolic import InclusionState, certificate, compare

Content = dict[str, Any]
FACTS = ("operations", "source identity of sessions", "age of MFA", "HTTPS", "request tags")
"""The facts that a certificate can name."""


def random_source(seed: int) -> Random:
    """Reproducible random choices."""
    return Random(seed)  # noqa: S311 - for tests


def forge(trust: PolicyDocument, intent: PolicyDocument, rng: Random) -> Content | None:
    """A certificate that claims `nothing_else`, which is false, with all facts in some order, and with tags.

    None if the claim is true or unknown.
    """
    if compare(Role(ROLE, trust), trust, intent).forward.state is not InclusionState.REFUTED:
        return None
    return {
        "format": certificate.FORMAT,
        "role": ROLE,
        "tags": {},
        "policies": {"trust": trust.to_json(), "intent": intent.to_json()},
        "claims": {"nothing_else": {"facts": rng.sample(FACTS, len(FACTS))}},
    }


def alter(content: Content, rng: Random) -> Content:
    """The certificate with one random change of its claims, facts, role, tags or policies."""
    found = copy.deepcopy(content)
    rng.choice(ALTERATIONS)(found, rng)
    return found


def _claim(found: Content, rng: Random) -> Any:
    return found["claims"][rng.choice(sorted(found["claims"]))]


def _statements(found: Content, rng: Random, *sides: str) -> Any:
    return found["policies"][rng.choice(sides or ("trust", "intent"))]["Statement"]


def _condition(found: Content, rng: Random) -> tuple[Content, str, str] | None:
    """The keys of an operator, the operator and a key, of a random condition."""
    bodies = [body for body in _statements(found, rng) if body.get("Condition")]
    if not bodies:
        return None
    conditions = rng.choice(bodies)["Condition"]
    operator = rng.choice(sorted(conditions))
    return conditions, operator, rng.choice(sorted(conditions[operator]))


def _replace_role(found: Content, rng: Random) -> None:
    found["role"] = rng.choice(
        [*ROLES, "arn:aws-cn:iam::222222222222:role/role1", found["role"].replace(":role/", ":user/")]
    )


def _replace_tags(found: Content, rng: Random) -> None:
    found["tags"] = rng.choice([{}, {"team": "xx"}, {"TEAM": "ab"}, {"team": None}, {"team": ["ab"]}, [], {"team": "*"}])


def _add_fact(found: Content, rng: Random) -> None:
    _claim(found, rng)["facts"].append(rng.choice([*FACTS, "presence of Caller", "unknown", "", "operations "]))


def _drop_facts(found: Content, rng: Random) -> None:
    _claim(found, rng)["facts"] = []


def _retype_facts(found: Content, rng: Random) -> None:
    _claim(found, rng)["facts"] = rng.choice([None, "HTTPS", {"HTTPS": True}, [["HTTPS"]], [None], 0])


def _retype_claim(found: Content, rng: Random) -> None:
    found["claims"][rng.choice(sorted(found["claims"]))] = rng.choice([None, [], {}, True, {"steps": [None]}])


def _swap_claims(found: Content, _rng: Random) -> None:
    found["claims"] = dict(zip(found["claims"], reversed(found["claims"].values()), strict=True))


def _claim_everything(found: Content, _rng: Random) -> None:
    found["claims"]["everything_intended"] = found["claims"]["nothing_else"]


def _rename_claim(found: Content, rng: Random) -> None:
    name = rng.choice(sorted(found["claims"]))
    found["claims"][rng.choice(["everything_intended", "Nothing_else", "nothing", ""])] = found["claims"].pop(name)


def _swap_policies(found: Content, _rng: Random) -> None:
    trust, intent = found["policies"]["trust"], found["policies"]["intent"]
    found["policies"] = {"trust": intent, "intent": trust}


def _drop_statement(found: Content, rng: Random) -> None:
    statements = _statements(found, rng)
    if len(statements) > 1:
        statements.pop(rng.randrange(len(statements)))


def _drop_conditions(found: Content, rng: Random) -> None:
    rng.choice(_statements(found, rng)).pop("Condition", None)


def _replace_principal(found: Content, rng: Random) -> None:
    principal = rng.choice([{"AWS": rng.choice([*ROLES, *USERS, *SESSIONS, *ACCOUNTS])}, "*", {"AWS": "*"}, {}])
    rng.choice(_statements(found, rng))["Principal"] = principal


def _add_principal(found: Content, rng: Random) -> None:
    _statements(found, rng, "trust").append(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": rng.choice([*ROLES, *USERS, *SESSIONS])}}
    )


def _negate_principal(found: Content, rng: Random) -> None:
    body = rng.choice(_statements(found, rng))
    body["NotPrincipal"] = body.pop("Principal")


def _negate_action(found: Content, rng: Random) -> None:
    body = rng.choice(_statements(found, rng))
    body["NotAction"] = body.pop("Action", "sts:AssumeRole")


def _replace_action(found: Content, rng: Random) -> None:
    actions = ["sts:*", "*", "STS:assumerole", "sts:Assume?ole", ["sts:AssumeRole", "sts:TagSession"], "sts:TagSession", []]
    rng.choice(_statements(found, rng))["Action"] = rng.choice(actions)


def _flip_effect(found: Content, rng: Random) -> None:
    body = rng.choice(_statements(found, rng))
    body["Effect"] = rng.choice(["Deny" if body["Effect"] == "Allow" else "Allow", "allow", ""])


def _replace_values(found: Content, rng: Random) -> None:
    if (place := _condition(found, rng)) is not None:
        conditions, operator, key = place
        values = rng.choice(["*", "", [], ["?*"], ["id-one", "id-two"], "${aws:username}", "true", "10", ["${*}"], [None]])
        conditions[operator][key] = values


def _replace_operator(found: Content, rng: Random) -> None:
    if (place := _condition(found, rng)) is not None:
        conditions, operator, _ = place
        opposite = operator.replace("Not", "") if "Not" in operator else operator.replace("String", "StringNot")
        others = [f"{operator}IfExists", f"ForAllValues:{operator}", f"ForAnyValue:{operator}", opposite, "StringEqual"]
        conditions[rng.choice(others)] = conditions.pop(operator)


def _replace_key(found: Content, rng: Random) -> None:
    if (place := _condition(found, rng)) is not None:
        conditions, operator, key = place
        others = [key.upper(), key + " ", "sts:ExternalId", "aws:PrincipalArn", "Caller", "Action", "aws:ResourceTag/team"]
        conditions[operator] = {rng.choice(others): conditions[operator][key]}


def _repeat_key(found: Content, rng: Random) -> None:
    """A condition a second time, with the key in upper case and another value."""
    if (place := _condition(found, rng)) is not None:
        conditions, operator, key = place
        conditions[operator][key.upper()] = "id-three"


def _replace_version(found: Content, rng: Random) -> None:
    policy = found["policies"][rng.choice(["trust", "intent"])]
    policy["Version"] = rng.choice(["2008-10-17", "2012-10-18", None, ""])


def _add_element(found: Content, rng: Random) -> None:
    rng.choice(_statements(found, rng))[rng.choice(["Resource", "Conditions", "principal", "NotResource"])] = "*"


def _retype_policy(found: Content, rng: Random) -> None:
    side = rng.choice(["trust", "intent"])
    found["policies"][side] = rng.choice([None, [], {}, "", {"Version": "2012-10-17", "Statement": []}])


Alteration = Callable[[Content, Random], None]
ALTERATIONS: tuple[Alteration, ...] = (
    _replace_role,
    _replace_tags,
    _add_fact,
    _drop_facts,
    _retype_facts,
    _retype_claim,
    _swap_claims,
    _claim_everything,
    _rename_claim,
    _swap_policies,
    _drop_statement,
    _drop_conditions,
    _replace_principal,
    _add_principal,
    _negate_principal,
    _negate_action,
    _replace_action,
    _flip_effect,
    _replace_values,
    _replace_operator,
    _replace_key,
    _repeat_key,
    _replace_version,
    _add_element,
    _retype_policy,
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
