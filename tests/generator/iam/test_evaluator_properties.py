"""Properties that hold for every policy and request, tested on generated ones."""

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
def test_explicit_deny_overrides_every_allow(statements: list[Statement], context: dict[str, str | tuple[str, ...]]) -> None:
    """An unconditional Deny for all principals overrides every Allow."""
    deny = Statement("Deny", ("sts:AssumeRole",), principals=(Principal("*", "*"),))

    assert Effect.EXPLICIT_DENY is decide([*statements, deny], context).effect


@given(TRUSTS, STATEMENTS.filter(lambda statement: statement.effect == "Allow"), CONTEXTS)
def test_additional_allow_never_revokes_access(
    statements: list[Statement], more: Statement, context: dict[str, str | tuple[str, ...]]
) -> None:
    """An allowed request stays allowed when an Allow is added, even one that cannot be evaluated."""
    if decide(statements, context).allowed:
        assert decide([*statements, more], context).allowed


@given(TRUSTS, STATEMENTS.filter(lambda statement: statement.effect == "Deny"), CONTEXTS)
def test_additional_deny_never_grants_access(
    statements: list[Statement], more: Statement, context: dict[str, str | tuple[str, ...]]
) -> None:
    """A denied request stays denied when a Deny is added."""
    if not decide(statements, context).allowed:
        assert not decide([*statements, more], context).allowed


@given(TRUSTS, CONTEXTS)
def test_order_of_statements_does_not_matter(statements: list[Statement], context: dict[str, str | tuple[str, ...]]) -> None:
    """A document with reversed statements decides the same."""
    assert decide(statements, context).effect is decide(statements[::-1], context).effect


@given(TRUSTS, CONTEXTS)
def test_free_requests_allow_at_least_as_much(
    statements: list[Statement], context: dict[str, str | tuple[str, ...]]
) -> None:
    """A free request is allowed if any value of an unset key would allow it."""
    access = Access.of(Role(ROLE, PolicyDocument(tuple(statements))))
    caller = Caller(CALLER, IdentitySide.ALLOWS_ALL)
    free = Evaluator(access).may_assume(Request(caller, ROLE, free=True))

    if decide(statements, context).allowed:
        assert free.allowed


@given(st.sampled_from(POSITIVE), st.lists(ARN, min_size=1, max_size=3))
def test_missing_key_fails_positive_operators_and_passes_if_exists(operator: str, values: list[str]) -> None:
    """Without the key a positive operator is false, and true with IfExists."""
    plain = compile_condition(Condition(operator, "k", tuple(values)), variables=True)
    if_exists = compile_condition(Condition(f"{operator}IfExists", "k", tuple(values)), variables=True)

    assert (Truth.FALSE, Truth.TRUE) == (plain.run({}), if_exists.run({}))


@given(st.sampled_from(NEGATED), st.lists(ARN, min_size=1, max_size=3))
def test_missing_key_passes_negated_operators(operator: str, values: list[str]) -> None:
    """Without the key a negated operator is true."""
    assert Truth.TRUE is compile_condition(Condition(operator, "k", tuple(values)), variables=True).run({})


@given(st.sampled_from(list(zip(POSITIVE[:3], NEGATED[:3], strict=True))), st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_negated_operator_is_the_opposite_on_a_present_key(pair: tuple[str, str], values: list[str], value: str) -> None:
    """For a single value the negated operator is the opposite of the positive one."""
    plain, negated = (compile_condition(Condition(name, "k", tuple(values)), variables=True) for name in pair)

    assert plain.run({"k": (value,)}) is not negated.run({"k": (value,)})


@given(st.sampled_from([*POSITIVE, *NEGATED]), st.lists(ARN, min_size=1, max_size=3))
def test_missing_key_satisfies_for_all_values_only(operator: str, values: list[str]) -> None:
    """Without the key ForAllValues is true and ForAnyValue is false, negated or not."""
    every, some = (
        compile_condition(Condition(f"{name}:{operator}", "k", tuple(values)), variables=True)
        for name in ("ForAllValues", "ForAnyValue")
    )

    assert (Truth.TRUE, Truth.FALSE) == (every.run({}), some.run({}))


@given(TEXT, st.text("ab:/\n", max_size=6))
def test_compiled_wildcards_match_as_defined(pattern: str, text: str) -> None:
    """The compiled matcher agrees with the definition of `*` and `?`."""
    assert matches(pattern, text) == wildcard(pattern)(text)


def test_many_wildcards_are_matched_in_linear_time() -> None:
    """A hostile pattern of many wildcards is decided quickly; a backtracking matcher would not return."""
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
def test_evaluator_always_returns_a_decision(
    operator: str, key: str, values: list[str], value: str, principal: str, caller: str
) -> None:
    """No string in a policy or request makes the evaluator raise; the effect may be REFUSED."""
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
