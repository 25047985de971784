"""Properties of matching and of the evaluator's decisions, whatever the policies and requests are."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_oracle import matches
from rolecall_generator.iam.evaluation.evaluator import Decision, Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller, IdentitySide
from rolecall_generator.iam.matching.conditions import Truth, compile_condition
from rolecall_generator.iam.matching.wildcards import may_match, wildcard
from rolecall_generator.iam.model import Access, ManagedPolicy, Role
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from strategies_access import ACCOUNTS, statements

BUCKET = "arn:${Partition}:s3:::${BucketName}"
OBJECT = "arn:${Partition}:s3:::${BucketName}/${ObjectName}"
USER = "arn:${Partition}:iam::${Account}:user/${UserNameWithPath}"


@pytest.mark.parametrize(
    ("resource", "form", "expected"),
    [
        ("arn:aws:s3:::b", BUCKET, True),
        ("arn:aws:s3:::b/*", BUCKET, False),
        ("arn:aws:s3:::b*", BUCKET, True),
        ("arn:aws:s3:::b", OBJECT, False),
        ("arn:aws:s3:::b/a/deep/key", OBJECT, True),
        ("arn:aws:s3:::b*", OBJECT, True),
        ("arn:aws:s3:::a?c", OBJECT, True),
        ("arn:*", OBJECT, True),
        ("*", OBJECT, True),
        ("arn:aws:iam::111111111111:user/${aws:username}", USER, True),
        ("arn:aws:iam::111111111111:role/*", USER, False),
        ("arn:aws:s3:::b/${*}", OBJECT, True),
        ("arn:aws:s3:::b${*}", OBJECT, False),
    ],
)
def test_resource_matches_its_arn_format(resource: str, form: str, expected: bool) -> None:
    """Buckets and objects are distinguished; wildcards and policy variables match anything."""
    assert expected is may_match(resource, form)


PIECES = st.lists(st.sampled_from(["a", "b", "/", "*", "?"]), max_size=7).map("".join)
TEXTS = st.text("ab/", max_size=6)


def test_hostile_resource_is_assumed_to_match() -> None:
    """An impossible resource is assumed to match instead of being searched for minutes."""
    assert may_match("arn:" + "*a" * 100_000, BUCKET)


@given(pattern=PIECES, form=st.lists(st.sampled_from(["a", "b", "/", "${X}"]), max_size=5).map("".join), text=TEXTS)
def test_common_match_is_always_found(pattern: str, form: str, text: str) -> None:
    """If one string matches both sides, the result is true."""
    by_pattern = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    by_form = ".*".join(re.escape(part) for part in form.split("${X}"))
    if re.fullmatch(by_pattern, text) and re.fullmatch(by_form, text):
        assert may_match(pattern, form)


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


BACKEND_ROLE = f"arn:aws:iam::{ACCOUNTS[0]}:role/backend_role"
TARGETS = tuple(f"arn:aws:iam::{account}:role/target" for account in ACCOUNTS)
EVERYTHING = PolicyDocument((Statement("Allow", ("*",), ("*",)),))


def documents(*, trust: bool) -> st.SearchStrategy[PolicyDocument]:
    lists = st.lists(statements(trust=trust), max_size=3).map(tuple)
    return st.builds(PolicyDocument, lists, st.sampled_from(["2012-10-17", "2008-10-17"]))


@st.composite
def worlds(draw: st.DrawFn) -> Access:
    """A caller with inline, managed and boundary policies, and a role to assume in each account."""
    managed = ManagedPolicy(f"arn:aws:iam::{ACCOUNTS[0]}:policy/p", draw(documents(trust=False)))
    caller = Role(
        BACKEND_ROLE,
        None,
        {"inline": draw(documents(trust=False))},
        frozenset({managed.arn}),
        boundary=draw(st.sampled_from([None, managed.arn, "arn:aws:iam::aws:policy/Unknown"])),
    )
    return Access.of(managed, caller, *(Role(target, draw(documents(trust=True))) for target in TARGETS))


REQUESTS = st.lists(
    st.builds(
        Request,
        st.builds(
            Caller, st.sampled_from([BACKEND_ROLE, f"arn:aws:iam::{ACCOUNTS[1]}:user/u"]), st.sampled_from(IdentitySide)
        ),
        st.sampled_from(TARGETS),
        context=st.sampled_from([{}, {"sts:ExternalId": "a1"}, {"aws:MultiFactorAuthPresent": "true"}]),
        free=st.booleans(),
    ),
    min_size=2,
    max_size=6,
)


def fresh(access: Access, request: Request) -> Decision:
    return Evaluator(access).may_assume(request)


@settings(deadline=None)
@given(worlds(), REQUESTS)
def test_reused_evaluator_decides_like_a_new_one(access: Access, requests: list[Request]) -> None:
    """Decisions do not depend on earlier requests."""
    used = Evaluator(access)

    assert [fresh(access, request) for request in requests] == [used.may_assume(request) for request in requests]


@settings(deadline=None)
@given(worlds(), st.sampled_from(TARGETS), st.booleans())
def test_worst_case_identity_allows_everything(access: Access, target: str, free: bool) -> None:
    """The decision is the same as for a caller whose policy allows everything."""
    open_role = Role(BACKEND_ROLE, None, {"open": EVERYTHING})
    opened = replace(access, roles={**access.roles, BACKEND_ROLE: open_role})
    worst = fresh(access, Request(Caller(BACKEND_ROLE, IdentitySide.ALLOWS_ALL), target, free=free))
    known = fresh(opened, Request(Caller(BACKEND_ROLE), target, free=free))

    assert (known.effect, known.statement, known.assumed) == (worst.effect, worst.statement, worst.assumed)
