"""The parts of the symbolic proof: walks over strings, representatives of ordered values, callers, keys, boxes, budgets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.iam import Condition
from rolecall_generator.iam.data import read_table
from rolecall_generator.iam.matching import OPERATORS, Automaton, Pattern, ignoring_case, literal, outlines_of
from rolecall_generator.proof.symbolic.boxes import (
    FALSE,
    TRUE,
    And,
    Formula,
    Leaf,
    Not,
    Or,
    complement,
    conjunction,
    disjunction,
    is_member,
    merge_boxes,
    solutions,
)
from rolecall_generator.proof.symbolic.budget import BudgetShare, OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.callers import CallerDistinctions, caller_dimension, is_certain_name
from rolecall_generator.proof.symbolic.cells import NotRepresentedError, representatives
from rolecall_generator.proof.symbolic.keys import ANY_STRING, CallerKind, Setter, ValueType, key_facts
from rolecall_generator.proof.symbolic.language import ALPHABETS, Shape, fits, walk

ROLE = "arn:aws:iam::222222222222:role/role1"


def share() -> BudgetShare:
    return BudgetShare(SearchBudget(seconds=None))


def like(text: str) -> frozenset[Pattern]:
    return frozenset(outlines_of(Condition("StringLike", "", (text,))))


# Strings

_SMALL = st.text("ab*?", max_size=5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(_SMALL, min_size=1, max_size=3), st.lists(st.text("abcAB:", max_size=6), min_size=5, max_size=5))
def test_every_string_has_a_representative(patterns: list[str], strings: list[str]) -> None:
    found = walk([like(pattern) for pattern in patterns], ANY_STRING, share())
    automata = [Automaton(like(pattern)) for pattern in patterns]

    assert found.complete
    for text in (*strings, *found.found.values()):
        assert tuple(a.accepts(a.run(a.start, text)) for a in automata) in found.found


def test_representatives_are_the_shortest() -> None:
    found = walk([like("a*c"), like("??*")], ANY_STRING, share())

    assert {(False, False): "", (False, True): "xx", (True, True): "ac"} == found.found


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Shape(ALPHABETS["name"], 2, 3), {(True,): "ax", (False,): "xx"}),
        (Shape(ALPHABETS["digits"], 2, 2), {(False,): "99"}),
        (Shape(ALPHABETS["any"], 0, None, outlines_of(Condition("StringLike", "", ("b?",)))[0]), {(False,): "bx"}),
    ],
)
def test_shape_limits_the_strings(shape: Shape, expected: dict[tuple[bool, ...], str]) -> None:
    assert expected == walk([like("a?*")], shape, share()).found


def test_string_longer_than_the_shape_is_not_found() -> None:
    long = frozenset({literal("a" * 9)})

    assert {(False,): "xx"} == walk([long], Shape(ALPHABETS["name"], 2, 8), share()).found


def test_incomplete_walk_has_instances_of_the_patterns() -> None:
    budget = SearchBudget(8_000, None)
    found = walk([like(f"*a{'?' * 24}b")], ANY_STRING, BudgetShare(budget))

    assert not found.complete
    assert "a" + "x" * 24 + "b" == found.found[True,]


@pytest.mark.parametrize(
    ("name", "text", "accepted"),
    [
        ("tag", "team é 7_.:/=+-@", True),
        ("tag", "a#b", False),
        ("name", "a/b", False),
        ("external-id", "a/b:c", True),
        ("any", "\u2603\n", True),
    ],
)
def test_alphabet_accepts_the_characters_of_aws(name: str, text: str, accepted: bool) -> None:
    assert accepted is fits(text, Shape(ALPHABETS[name]))


def test_alphabet_always_has_another_character_if_it_is_open() -> None:
    everything = frozenset(chr(code) for code in range(0x20, 0x200))

    assert ALPHABETS["any"].choices(everything)[0] not in everything
    assert ALPHABETS["tag"].choices(everything)[0] not in everything
    assert sorted("0123456789") == sorted(ALPHABETS["digits"].choices(frozenset("0123456789")))


def test_ignoring_case_matches_as_the_evaluator() -> None:
    automaton = Automaton(frozenset({ignoring_case("kA1")}))
    compare = OPERATORS["StringEqualsIgnoreCase"].compare
    assert compare is not None
    matches = compare(("kA1",))
    for letters in itertools.product("kK\u212aax", "aAb", "1"):
        text = "".join(letters)
        assert matches(text) is automaton.accepts(automaton.run(automaton.start, text))


@pytest.mark.parametrize(
    ("operator", "value", "matching"),
    [
        ("StringEquals", "a${aws:username}*", ["a*", "abc*"]),
        ("StringLike", "a${aws:username}${*}", ["a*", "abc*"]),
        ("StringEqualsIgnoreCase", "A${aws:username, 'x'}b", ["ab", "axxB"]),
        ("ArnLike", "arn:aws:iam::${aws:PrincipalAccount}:role/${aws:username}", ["arn:aws:iam::1:role/x:y"]),
    ],
)
def test_outline_matches_every_value_of_the_variables(operator: str, value: str, matching: list[str]) -> None:
    automaton = Automaton(frozenset(outlines_of(Condition(operator, "k", (value,)))))

    assert all(automaton.accepts(automaton.run(automaton.start, text)) for text in matching)
    assert not automaton.accepts(automaton.run(automaton.start, "b"))


# Ordered values


def _tests(operators: list[str], values: list[str]) -> Iterator[object]:
    for operator in operators:
        compare = OPERATORS[operator].compare
        assert compare is not None
        yield from (compare((value,)) for value in values)


@pytest.mark.parametrize(
    ("family", "operators", "values", "samples"),
    [
        (
            "Numeric",
            ["NumericEquals", "NumericLessThan", "NumericGreaterThanEquals"],
            ["10", "3600.5", "-2", "1e3"],
            ["9.99", "10", "10.0", "11", "1000", "1000.0001", "3600.49", "1e9", "-3", "-2", "0", "x", ""],
        ),
        (
            "Date",
            ["DateEquals", "DateLessThan", "DateGreaterThan"],
            ["2026-01-01T00:00:00Z", "2026", "2027-05", "1800000000"],
            ["1999", "2026-01-01", "2026-06-01T12:00:00+02:00", "2027-04-30T23:59:59Z", "2027-05-01", "1900000000", "x", ""],
        ),
        (
            "IpAddress",
            ["IpAddress"],
            ["10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "0.0.0.0/1"],
            ["10.0.0.1", "10.1.2.3", "10.1.2.4", "11.0.0.0", "200.0.0.1", "2001:db8::5", "2002::", "::", "x", ""],
        ),
        ("Binary", ["BinaryEquals"], ["QUI=", "YWI=", ""], ["QUI=", "QUJ=", "YWI=", "AAAA", "", "x", "QUIx"]),
    ],
)
def test_every_ordered_value_has_a_representative(
    family: str, operators: list[str], values: list[str], samples: list[str]
) -> None:
    tests = list(_tests(operators, values))
    found = {tuple(test(value) for test in tests) for value in representatives(family, values, ValueType.STRING)}  # type: ignore[operator]

    assert {tuple(test(value) for test in tests) for value in samples} <= found  # type: ignore[operator]


def test_every_family_of_operators_is_represented() -> None:
    """A family is a string or ARN family, Bool, Null, or has representatives."""
    ordered = {
        operator.family.name for operator in OPERATORS.values() if operator.text is None and operator.compare is not None
    }

    assert {"Numeric", "Date", "IpAddress", "Binary", "Bool"} == ordered


def test_unknown_family_is_not_represented() -> None:
    with pytest.raises(NotRepresentedError):
        representatives("Vector", ["1"], ValueType.STRING)


def test_integer_key_has_integers_only() -> None:
    found = representatives("Numeric", ["10", "10.5"], ValueType.INTEGER)

    assert {"9", "10", "11", "12"} == set(found)


@pytest.mark.parametrize("values", [["1", "1.00000000000000000000000000000000000001"], ["1e4000"]])
def test_numbers_beyond_the_precision_are_not_represented(values: list[str]) -> None:
    with pytest.raises(NotRepresentedError):
        representatives("Numeric", values, ValueType.STRING)


# Callers


def test_ordinary_paths_come_before_unusual_ones() -> None:
    distinctions = CallerDistinctions()
    distinctions.add("arns", like("*/*/*/*"))
    dimension = caller_dimension(distinctions, ROLE, SearchBudget(seconds=None))
    arns = {cell.caller.arn for cell in dimension.cells if cell.caller is not None}

    assert {"arn:aws:iam::999999999999:role/x", "arn:aws:iam::999999999999:role/x/x/x"} <= arns
    assert all(map(is_certain_name, (arn for arn in arns if ":role/" in arn)))


def test_name_that_is_too_long_is_split_into_path_and_name() -> None:
    distinctions = CallerDistinctions()
    distinctions.add("arns", like(f"arn:aws:iam::*:role/{'?' * 70}"))
    dimension = caller_dimension(distinctions, ROLE, SearchBudget(seconds=None))
    long = [cell.caller.arn for cell in dimension.cells if cell.caller is not None and len(cell.caller.arn) > 90]

    assert long
    assert all(map(is_certain_name, long))


def test_invented_externals_differ_from_the_named_ones() -> None:
    distinctions = CallerDistinctions()
    distinctions.services.setdefault("rolecall-other.amazonaws.com")
    distinctions.providers.setdefault("rolecall-other.example.com")
    dimension = caller_dimension(distinctions, ROLE, SearchBudget(seconds=None))
    arns = [cell.caller.arn for cell in dimension.cells if cell.caller is not None]

    assert len(set(arns)) == len(arns)
    assert {"rolecall-other0.amazonaws.com", "rolecall-other0.example.com"} <= set(arns)


# Keys


def test_every_entry_of_the_key_table_has_a_source() -> None:
    table = read_table("assume_role_keys.json")

    assert table["source"]
    assert table["date"]
    assert all(entry["source"] for part in ("shapes", "keys") for entry in table[part].values())


@pytest.mark.parametrize(
    ("name", "many", "setter"),
    [
        ("aws:tagkeys", True, Setter.REQUEST),
        ("aws:principaltag/team", False, Setter.CALLER),
        ("aws:resourcetag/team", False, Setter.ROLE),
        ("token.actions.githubusercontent.com:sub", False, Setter.CALLER),
        ("cognito-identity.amazonaws.com:amr", True, Setter.REQUEST),
        ("example.com:k", True, Setter.REQUEST),
        ("aws:principaltag/", True, Setter.REQUEST),
    ],
)
def test_key_that_is_not_listed_takes_every_form(name: str, many: bool, setter: Setter) -> None:
    facts = key_facts(name)

    assert (many, setter) == (facts.many, facts.setter)


def test_external_id_is_not_sent_by_a_provider() -> None:
    assert CallerKind.PROVIDER not in key_facts("sts:externalid").callers


# Boxes

_COSTS = ((0, 3, 5), (0, 1), (0, 0, 2, 9))
_LEAVES = st.dictionaries(st.integers(0, 2), st.integers(1, 3), min_size=1, max_size=3).map(Leaf)


def _formulas() -> st.SearchStrategy[Formula]:
    return st.recursive(
        _LEAVES,
        lambda parts: st.one_of(
            parts.map(Not), st.lists(parts, max_size=3).map(tuple).map(And), st.lists(parts, max_size=3).map(tuple).map(Or)
        ),
        max_leaves=8,
    )


def _holds(formula: Formula, cells: tuple[int, ...]) -> bool:
    if isinstance(formula, Leaf):
        return all(mask >> cells[dimension] & 1 for dimension, mask in formula.masks.items())
    if isinstance(formula, Not):
        return not _holds(formula.part, cells)
    return (all if isinstance(formula, And) else any)(_holds(part, cells) for part in formula.parts)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(_formulas())
def test_solutions_are_disjoint_complete_and_in_order_of_cost(formula: Formula) -> None:
    points = list(itertools.product(*(range(len(costs)) for costs in _COSTS)))
    found = list(solutions(formula, _COSTS, SearchBudget(seconds=None)))
    covered = [[all(mask >> c & 1 for c, mask in zip(point, each.masks, strict=True)) for each in found] for point in points]

    assert [_holds(formula, point) for point in points] == [any(row) for row in covered]
    assert all(sum(row) <= 1 for row in covered)
    assert [each.cost for each in found] == sorted(each.cost for each in found)
    if found:
        cheapest = min(
            sum(costs[c] for c, costs in zip(point, _COSTS, strict=True)) for point in points if _holds(formula, point)
        )
        assert cheapest == found[0].cost
    assert all(is_member(formula, point) is _holds(formula, point) for point in points)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(_formulas())
def test_merge_boxes_are_the_same_set(formula: Formula) -> None:
    points = list(itertools.product(*(range(len(costs)) for costs in _COSTS)))
    found = list(solutions(formula, _COSTS, SearchBudget(seconds=None)))
    merged = merge_boxes(found)
    covered = [sum(all(m >> c & 1 for c, m in zip(point, each.masks, strict=True)) for each in merged) for point in points]

    assert len(merged) <= len(found)
    assert [int(_holds(formula, point)) for point in points] == covered


def test_formulas_simplify() -> None:
    part = Leaf({0: 1})

    assert conjunction([part, FALSE]) is FALSE
    assert disjunction([part, TRUE]) is TRUE
    assert conjunction([]) is TRUE
    assert disjunction([]) is FALSE
    assert complement(complement(part)) is part


# Budget


def test_budget_ends_by_steps() -> None:
    budget = SearchBudget(10, None)
    budget.spend(10)

    with pytest.raises(OutOfBudgetError):
        budget.spend(1)


def test_budget_ends_by_time() -> None:
    """With long states a step takes longer than usual, so the clock counts too."""
    now = [0.0]
    budget = SearchBudget(1_000_000, 1.0, clock=lambda: now[0])
    budget.spend(10_000)
    now[0] = 2.0

    with pytest.raises(OutOfBudgetError):
        budget.spend(10_000)
    with pytest.raises(OutOfBudgetError):
        budget.spend(1)


def test_share_of_a_budget_leaves_a_reserve() -> None:
    budget = SearchBudget(1_000, None)
    for _ in range(30):
        part = BudgetShare(budget)
        part.spend(part.left)
        with pytest.raises(OutOfBudgetError):
            part.spend(1)

    assert budget.left >= 200
