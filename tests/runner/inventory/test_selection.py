"""Host patterns select as in Ansible, and patterns without a match are errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_generator.errors import NothingToDoError, SelectionError
from rolecall_runner.inventory.targets import Target, TargetKind, sample, select, select_keys


def target(name: str, number: int, **changes: object) -> Target:
    account = f"{number:012}"
    return Target(name, account, "aws", f"arn:aws:iam::{account}:role/r", **changes)  # type: ignore[arg-type]


TARGETS = (
    target("acme", 1, labels={"tier": "gold"}, regions=("eu-west-1",)),
    target("acne", 2, labels={"tier": "silver"}, permissions=("s3-read",)),
    target("bolt", 3, labels={"tier": "gold"}, tags={"team": "a:b"}),
    target("core-1", 4, tags={"tier": "bronze"}),
    target("core-2", 5, kind=TargetKind.SWITCH_ROLE),
)
FILES = {"names.txt": "# of today\nbolt\n\nacne  # and this\n", "empty.txt": "#\n", "nested.txt": "@names.txt\n"}


def names(pattern: str) -> str:
    return " ".join(each.name for each in select(TARGETS, pattern, read=FILES.__getitem__))


@pytest.mark.parametrize(
    ("pattern", "selected"),
    [
        ("all", "acme acne bolt core-1 core-2"),
        ("*", "acme acne bolt core-1 core-2"),
        ("bolt", "bolt"),
        ("bolt:acme", "acme bolt"),
        ("bolt,acme", "acme bolt"),
        (" bolt , acme ", "acme bolt"),
        ("ac?e", "acme acne"),
        ("core-[2-9]", "core-2"),
        ("~ac(m|n)e", "acme acne"),
        ("~(?:bolt|core-1)$:acne", "acne bolt core-1"),
        ("~a.{1,2}e", "acme acne"),
        ("~[:a]cme", "acme"),
        ("~olt|acme", "acme"),
        ("tier=gold", "acme bolt"),
        ("tier=*", "acme acne bolt core-1"),
        ("tier=bronze", "core-1"),
        ("team=a\\:b", "bolt"),
        ("region=eu-*", "acme"),
        ("permission=s3-read", "acne"),
        ("kind=switch-role", "core-2"),
        ("000000000003", "bolt"),
        ("@names.txt", "acne bolt"),
        ("@names.txt:!bolt", "acne"),
        ("tier=gold:!acme", "bolt"),
        ("!acme", "acne bolt core-1 core-2"),
        ("&tier=gold", "acme bolt"),
        ("!acme:tier=gold", "bolt"),
        ("all:&tier=gold:!bolt", "acme"),
        ("a*:core-*:&tier=*:!tier=silver", "acme core-1"),
    ],
)
def test_pattern_selects(pattern: str, selected: str) -> None:
    """Unions first, then intersections, then exclusions; the result is in the order of the manifest."""
    assert selected == names(pattern)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("acmee", "acmee selects no account\n  hint: did you mean acme?"),
        ("all:!acmee", "did you mean acme?"),
        ("all:&tier=gould", "did you mean tier=gold?"),
        ("000000000009", "did you mean 00000000000"),
        ("~zzz", "selects no account"),
        ("~a(b", "not a regular expression"),
        ("acme:!acme", "the terms combined select no account"),
        ("@empty.txt", "the file contains no terms"),
        ("@nested.txt", "cannot include other files"),
        ("ACME", "selects no account"),
    ],
)
def test_pattern_without_match_is_error_with_suggestion(pattern: str, said: str) -> None:
    """Also an exclusion that excludes nothing."""
    with pytest.raises(SelectionError) as caught:
        names(pattern)

    assert said in str(caught.value)


def test_missing_file_is_error_with_name_and_reason() -> None:
    with pytest.raises(SelectionError, match=r"nowhere\.txt: the file cannot be read: No such file"):
        select(TARGETS, "@nowhere.txt")


@given(st.lists(st.sampled_from([each.name for each in TARGETS]), min_size=1), st.sampled_from(":,"))
def test_selection_is_in_order_of_the_manifest(chosen: list[str], separator: str) -> None:
    """Each name once, for any order and repetition in the pattern."""
    assert [each.name for each in TARGETS if each.name in chosen] == names(separator.join(chosen)).split()


@given(st.text(max_size=30))
def test_any_pattern_selects_or_raises_selection_error(pattern: str) -> None:
    def read(_path: str) -> str:
        raise FileNotFoundError(2, "No such file")

    try:
        chosen = select(TARGETS, pattern, read=read)
    except SelectionError:
        return
    assert chosen


def test_sample_is_stable_for_a_seed() -> None:
    """It has the given size, in order; a size above the total selects all."""
    many = [target(f"c{number}", number) for number in range(100)]

    first = sample(many, 10, seed=7)

    assert 10 == len(first)
    assert first == sample(many, 10, seed=7)
    assert first != sample(many, 10, seed=8)
    assert sorted(first, key=many.index) == list(first)
    assert tuple(many) == sample(many, 1000, seed=7)


def test_empty_sample_is_error() -> None:
    with pytest.raises(SelectionError, match="a sample of 0"):
        sample(TARGETS, 0, seed=1)


def test_selection_from_earlier_run_uses_kind_and_name() -> None:
    """A customer and a switch role may have the same name."""
    assert ("acme",) == tuple(
        each.name for each in select_keys(TARGETS, {("customer", "acme"), ("customer", "core-2")}, "last")
    )


def test_earlier_run_with_nothing_left_is_a_success() -> None:
    """An empty run is not started."""
    with pytest.raises(NothingToDoError):
        select_keys(TARGETS, frozenset(), "last")
