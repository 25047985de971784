from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rolecall_generator.planning.backend import Assignment, PolicyGrant, PolicySizes, Slot, assign

SHAPE = ("sts:AssumeRole",)
ROOM = PolicySizes(free=960, statement={SHAPE: 60, ("sts:AssumeRole", "sts:TagSession"): 80})
ROLES = {"one": 5, "two": 5}

grants = st.lists(
    st.builds(
        PolicyGrant,
        key=st.uuids().map(str),
        characters=st.integers(30, 120),
        shape=st.sampled_from(sorted(ROOM.statement)),
        required_role=st.sampled_from([None, None, "one", "two"]),
    ),
    max_size=60,
)


def changed(before: Assignment, after: Assignment) -> set[Slot]:
    """Slots with changed members."""
    keys = before.slots.keys() | after.slots.keys()
    pairs = [(before.slots.get(key), after.slots.get(key)) for key in keys]
    return {slot for one, other in pairs if one != other for slot in (one, other) if slot}


def loads(assignment: Assignment, entries: list[PolicyGrant]) -> dict[Slot, int]:
    """Number of characters in each policy, recomputed."""
    sizes: dict[Slot, int] = {}
    for slot in set(assignment.slots.values()):
        members = [entry for entry in entries if assignment.slots.get(entry.key) == slot]
        shapes = {entry.shape for entry in members}
        sizes[slot] = sum(ROOM.statement[s] for s in shapes) + sum(m.characters for m in members)
    return sizes


@given(grants)
def test_no_policy_exceeds_its_limit(entries: list[PolicyGrant]) -> None:
    """Assigned grants fit, and grants that do not fit are returned."""
    made = assign(entries, ROLES, ROOM, {})

    assert all(size <= ROOM.free for size in loads(made, entries).values())
    assert {entry.key for entry in entries} == set(made.slots) | set(made.unplaced)


@given(grants, st.integers(30, 120))
def test_adding_one_grant_changes_one_policy(entries: list[PolicyGrant], characters: int) -> None:
    """All other grants keep their policies."""
    before = assign(entries, ROLES, ROOM, {})
    kept = [entry for entry in entries if entry.key in before.slots]

    after = assign([PolicyGrant("new", characters, SHAPE), *kept], ROLES, ROOM, before.slots)

    assert len(changed(before, after)) <= 1


@given(grants, st.data())
def test_removing_one_grant_changes_one_policy(entries: list[PolicyGrant], data: st.DataObject) -> None:
    """The remaining grants keep their policies."""
    before = assign(entries, ROLES, ROOM, {})
    kept = [entry for entry in entries if entry.key in before.slots]
    leaving = data.draw(st.sampled_from(kept)) if kept else None

    after = assign([entry for entry in kept if entry is not leaving], ROLES, ROOM, before.slots)

    assert len(changed(before, after)) == (1 if leaving else 0)


@given(grants)
def test_required_backend_role_is_used(entries: list[PolicyGrant]) -> None:
    """A grant with a backend role is assigned only to that role."""
    made = assign(entries, ROLES, ROOM, {})

    assert all(made.slots[e.key].role == e.required_role for e in entries if e.required_role and e.key in made.slots)


@given(grants)
def test_repacking_keeps_the_role_of_every_grant(entries: list[PolicyGrant]) -> None:
    """The trust policy of a customer names its backend role, so grants are repacked only within a role."""
    before = assign(entries, ROLES, ROOM, {})
    kept = [entry for entry in entries if entry.key in before.slots][::2]

    after = assign(kept, ROLES, ROOM, before.slots, repack=True)

    assert all(after.slots[entry.key].role == before.slots[entry.key].role for entry in kept if entry.key in after.slots)
    assert after.policies <= before.policies
