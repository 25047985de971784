"""Batches and tags for any sizes and sets: every account is in one batch, and tags select tasks as in Ansible."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.plays.play_file import batches
from rolecall_runner.plays.play_model import PlayStep
from rolecall_runner.plays.play_session import TaskFilter, is_selected, tags_of

STEPS = st.lists(
    st.one_of(
        st.integers(1, 50).map(PlayStep),
        st.floats(0.1, 100, allow_nan=False).map(lambda share: PlayStep(share, percent=True)),
    ),
    max_size=4,
)
TAGS = st.sets(st.sampled_from(["a", "b", "c", "always", "never"]))
WISHES = st.frozensets(st.sampled_from(["a", "b", "all", "tagged", "untagged", "always", "never"]))


@given(st.integers(0, 200), STEPS)
def test_every_account_is_in_one_batch_in_order(count: int, steps: list[PlayStep]) -> None:
    """No batch is empty."""
    made = list(batches(range(count), steps))

    assert list(range(count)) == [each for batch in made for each in batch]
    assert all(made)


@given(st.integers(1, 200), STEPS.filter(bool))
def test_batches_have_the_given_sizes(count: int, steps: list[PlayStep]) -> None:
    """The n-th batch has the n-th size, the last size repeats; only the last batch may be smaller."""
    made = list(batches(range(count), steps))

    for number, batch in enumerate(made[:-1]):
        step = steps[min(number, len(steps) - 1)]
        assert len(batch) == max(1, int(step.size * count / 100) if step.percent else int(step.size))


def test_percentage_is_of_all_accounts() -> None:
    """First one, then a quarter of all eight at a time; without sizes all at once."""
    found = [len(batch) for batch in batches(range(8), [PlayStep(1), PlayStep(25, percent=True)])]

    assert [1, 2, 2, 2, 1] == found
    assert [8] == [len(batch) for batch in batches(range(8), [])]


def ansible(own: set[str], only: frozenset[str], skip: frozenset[str]) -> bool:
    """Ansible's rule as documented (Tags, November 2026), one sentence per line."""
    tags = own or {"untagged"}
    asked = only or frozenset({"all"})
    run = False
    if "always" in tags:
        run = True
    if "all" in asked and "never" not in tags:
        run = True
    if tags & asked:
        run = True
    if "tagged" in asked and own and "never" not in tags:
        run = True
    if "all" in skip:
        return run and "always" in tags and "always" not in skip
    if tags & skip:
        return False
    return run and not ("tagged" in skip and own)


@given(TAGS, WISHES, WISHES)
def test_task_runs_as_in_ansible(own: set[str], only: frozenset[str], skip: frozenset[str]) -> None:
    """For any set of tags and options."""
    assert ansible(own, only, skip) == is_selected(own, TaskFilter(only, skip))


def test_tag_options_are_split_at_commas() -> None:
    """`--tags a,b --tags c` are three tags."""
    assert frozenset("abc") == tags_of(["a, b", "c"])
