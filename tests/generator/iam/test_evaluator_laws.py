"""Laws that hold for every policy and request, tried on generated ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from naive_oracle import matches
from rolecall_generator.iam.evaluation.evaluator import Decision, Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller, IdentitySide
from rolecall_generator.iam.matching.conditions import Truth, compile_condition
from rolecall_generator.iam.matching.wildcards import wildcard
from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement

ROLE = "arn:aws:iam::222222222222:role/r"
CALLER = "arn:aws:iam::111111111111:role/c"
KEY = "sts:ExternalId"

PRINCIPALS = st.sampled_from(
    [Principal("*", "*"), Principal("AWS", CALLER), Principal("AWS", "111111111111"), Principal("AWS", "333333333333")]
)
POSITIVE = ("StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnLike", "ArnEquals")
NEGATED = ("StringNotEquals", "StringNotLike", "StringNotEqualsIgnoreCase", "ArnNotLike", "ArnNotEquals")
TEXT = st.text("ab*?:/", max_size=6)
ARN = TEXT.map(lambda text: f"arn:aws:iam::111111111111:role/{text}")
CONDITIONS = st.lists(
    st.builds(
        Condition,
        st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "Null", "Unknown"]),
        st.just(KEY),
        st.sampled_from([("a",), ("true",), ("b", "a")]),
    ),
    max_size=2,
).map(tuple)
STATEMENTS = st.builds(
    Statement,
    effect=st.sampled_from(["Allow", "Deny"]),
    actions=st.sampled_from([("sts:AssumeRole",), ("sts:*",), ("s3:*",)]),
    principals=st.lists(PRINCIPALS, min_size=1, max_size=2).map(tuple),
    conditions=CONDITIONS,
)
TRUSTS = st.lists(STATEMENTS, max_size=4)
CONTEXTS = st.sampled_from([{}, {KEY: ()}, {KEY: "a"}, {KEY: "b"}])


def decide(statements: list[Statement], context: dict[str, str | tuple[str, ...]]) -> Decision:
    access = Access.of(Role(ROLE, PolicyDocument(tuple(statements))))
    return Evaluator(access).may_assume(Request(Caller(CALLER, IdentitySide.ALLOWS_ALL), ROLE, context=context))


@given(TRUSTS, CONTEXTS)
def test_an_explicit_deny_always_wins(statements: list[Statement], context: dict[str, str | tuple[str, ...]]) -> None:
    """An unconditional Deny for everyone overrides every Allow."""
    deny = Statement("Deny", ("sts:AssumeRole",), principals=(Principal("*", "*"),))

    assert Effect.EXPLICIT_DENY is decide([*statements, deny], context).effect


@given(TRUSTS, STATEMENTS.filter(lambda statement: statement.effect == "Allow"), CONTEXTS)
def test_another_allow_never_turns_allowed_to_refused(
    statements: list[Statement], more: Statement, context: dict[str, str | tuple[str, ...]]
) -> None:
    """Who is allowed stays allowed when an Allow is added, even one that cannot be evaluated."""
    if decide(statements, context).allowed:
        assert decide([*statements, more], context).allowed


@given(TRUSTS, STATEMENTS.filter(lambda statement: statement.effect == "Deny"), CONTEXTS)
def test_another_deny_never_lets_anybody_in(
    statements: list[Statement], more: Statement, context: dict[str, str | tuple[str, ...]]
) -> None:
    """Who is not allowed stays out when a Deny is added."""
    if not decide(statements, context).allowed:
        assert not decide([*statements, more], context).allowed


@given(TRUSTS, CONTEXTS)
def test_the_order_of_statements_means_nothing(
    statements: list[Statement], context: dict[str, str | tuple[str, ...]]
) -> None:
    """A document read backwards decides the same."""
    assert decide(statements, context).effect is decide(statements[::-1], context).effect


@given(TRUSTS, CONTEXTS)
def test_free_requests_allow_at_least_as_much(
    statements: list[Statement], context: dict[str, str | tuple[str, ...]]
) -> None:
    """What any value of an unsaid key would allow, a free request allows."""
    access = Access.of(Role(ROLE, PolicyDocument(tuple(statements))))
    caller = Caller(CALLER, IdentitySide.ALLOWS_ALL)
    free = Evaluator(access).may_assume(Request(caller, ROLE, free=True))

    if decide(statements, context).allowed:
        assert free.allowed


@given(st.sampled_from(POSITIVE), st.lists(ARN, min_size=1, max_size=3))
def test_missing_key_fails_positive_operators_and_passes_if_exists(operator: str, values: list[str]) -> None:
    """Without the key a positive operator is false, with IfExists true."""
    plain = compile_condition(Condition(operator, "k", tuple(values)), variables=True)
    if_exists = compile_condition(Condition(f"{operator}IfExists", "k", tuple(values)), variables=True)

    assert (Truth.FALSE, Truth.TRUE) == (plain.run({}), if_exists.run({}))


@given(st.sampled_from(NEGATED), st.lists(ARN, min_size=1, max_size=3))
def test_missing_key_passes_negated_operators(operator: str, values: list[str]) -> None:
    """Without the key a negated operator is true."""
    assert Truth.TRUE is compile_condition(Condition(operator, "k", tuple(values)), variables=True).run({})


@given(st.sampled_from(list(zip(POSITIVE[:3], NEGATED[:3], strict=True))), st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_negated_operator_is_the_opposite_on_a_present_key(pair: tuple[str, str], values: list[str], value: str) -> None:
    """For a single value the negated operator is the opposite of the plain one."""
    plain, negated = (compile_condition(Condition(name, "k", tuple(values)), variables=True) for name in pair)

    assert plain.run({"k": (value,)}) is not negated.run({"k": (value,)})


@given(st.sampled_from([*POSITIVE, *NEGATED]), st.lists(ARN, min_size=1, max_size=3))
def test_empty_sets_satisfy_all_and_no_any(operator: str, values: list[str]) -> None:
    """Without the key ForAllValues is true and ForAnyValue is false, negated or not."""
    every, some = (
        compile_condition(Condition(f"{name}:{operator}", "k", tuple(values)), variables=True)
        for name in ("ForAllValues", "ForAnyValue")
    )

    assert (Truth.TRUE, Truth.FALSE) == (every.run({}), some.run({}))


@given(TEXT, st.text("ab:/\n", max_size=6))
def test_wildcards_match_as_the_definition(pattern: str, text: str) -> None:
    """The compiled matcher agrees with the definition of `*` and `?`."""
    assert matches(pattern, text) == wildcard(pattern)(text)


def test_many_wildcards_take_no_ages() -> None:
    """A hostile pattern of many wildcards is decided at once; a backtracking matcher would not come back."""
    assert not wildcard("*a" * 40 + "*b")("a" * 4000)


WILD = st.text(max_size=12) | st.sampled_from(
    ["${aws:username}", "${x", "arn:aws:iam::1:role/*", "arn:aws:sts::1:assumed-role", "*", "é="]
)
OPERATORS = (
    "StringLike",
    "ArnLike",
    "NumericLessThan",
    "DateEquals",
    "IpAddress",
    "BinaryEquals",
    "Bool",
    "Null",
    "ForAnyValue:Bool",
)


@given(st.sampled_from(OPERATORS) | WILD, WILD, st.lists(WILD, max_size=3), WILD, WILD, WILD)
def test_whatever_a_policy_says_there_is_a_decision(
    operator: str, key: str, values: list[str], value: str, principal: str, caller: str
) -> None:
    """No text in a policy or a request makes the evaluator fail: it decides or refuses."""
    body = Statement(
        "Allow",
        (principal, "sts:*"),
        (),
        (Principal("AWS", principal), Principal("*", "*")),
        (Condition(operator, key, tuple(values)),),
    )
    evaluator = Evaluator(Access.of(Role(ROLE, PolicyDocument((body,)))))
    for free in (True, False):
        request = Request(Caller(caller, IdentitySide.ALLOWS_ALL), ROLE, context={key: value}, free=free)
        assert isinstance(evaluator.may_assume(request), Decision)
