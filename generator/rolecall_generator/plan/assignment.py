"""Which backend role, and which of its managed policies, carries each customer's grant.

The assignment is stable: whoever has a place keeps it, newcomers take the first place with room. So adding or removing
one customer changes one policy, and the number of policies is the fewest that fit as long as nobody left. Where holes
pile up, repacking closes them; it moves customers between policies of one role, never between roles, since a customer's
trust names its role.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Grant:
    """One customer's need for room. `characters` is its own cost; its `shape` costs a statement once a policy."""

    key: str
    characters: int
    shape: tuple[str, ...]
    wanted_role: str | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room of one backend role: how many managed policies it may hold."""

    role: str
    policies: int


@dataclass(frozen=True, slots=True)
class Room:
    """Cost model of one policy, in characters as AWS counts them (white space is free)."""

    limit: int
    skeleton: int
    statement: Mapping[tuple[str, ...], int]


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place: the backend role's name and the policy's number, from 1."""

    role: str
    policy: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Slots by grant key, and the keys that found no place."""

    slots: Mapping[str, Slot] = field(default_factory=dict)
    homeless: tuple[str, ...] = ()

    @property
    def policies(self) -> int:
        """How many policies are in use."""
        return len(set(self.slots.values()))


class _Policy:
    """A policy being filled; mutable, private to one call of `assign`."""

    __slots__ = ("free", "shapes", "slot")

    def __init__(self, slot: Slot, room: Room) -> None:
        self.slot = slot
        self.free = room.limit - room.skeleton
        self.shapes: set[tuple[str, ...]] = set()

    def take(self, grant: Grant, room: Room) -> bool:
        cost = grant.characters
        if grant.shape not in self.shapes:
            cost += room.statement[grant.shape]
        if cost > self.free:
            return False
        self.free -= cost
        self.shapes.add(grant.shape)
        return True


def assign(
    grants: Sequence[Grant],
    capacities: Sequence[Capacity],
    room: Room,
    previous: Mapping[str, Slot],
    *,
    repack: bool = False,
) -> Assignment:
    """Give every grant a slot. What finds none is in `homeless`; the caller says what to do about it."""
    policies = _empty_policies(capacities, room)
    slots: dict[str, Slot] = {}
    newcomers: list[Grant] = []
    for grant in grants:
        slot = previous.get(grant.key)
        if slot is None or slot.role not in policies or grant.wanted_role not in (None, slot.role):
            newcomers.append(grant)
        elif repack or slot.policy > len(policies[slot.role]) or not policies[slot.role][slot.policy - 1].take(grant, room):
            newcomers.append(Grant(grant.key, grant.characters, grant.shape, slot.role))
        else:
            slots[grant.key] = slot
    homeless = _place(newcomers, policies, room, slots)
    if homeless and not previous:
        # Nothing is deployed that could move: the tighter packing (longest first) is free to take.
        return _assign_tightly(grants, capacities, room, Assignment(slots, tuple(homeless)))
    return Assignment(slots, tuple(homeless))


def _assign_tightly(grants: Sequence[Grant], capacities: Sequence[Capacity], room: Room, loose: Assignment) -> Assignment:
    policies = _empty_policies(capacities, room)
    slots: dict[str, Slot] = {}
    homeless = _place(sorted(grants, key=lambda grant: -grant.characters), policies, room, slots)
    return Assignment(slots, tuple(homeless)) if len(homeless) < len(loose.homeless) else loose


def _empty_policies(capacities: Sequence[Capacity], room: Room) -> dict[str, list[_Policy]]:
    return {
        capacity.role: [_Policy(Slot(capacity.role, number), room) for number in range(1, capacity.policies + 1)]
        for capacity in capacities
    }


def _place(
    grants: Sequence[Grant], policies: Mapping[str, Sequence[_Policy]], room: Room, slots: dict[str, Slot]
) -> list[str]:
    """First fit, roles and policies in order. Returns the keys without a place."""
    homeless: list[str] = []
    every = [policy for own in policies.values() for policy in own]
    # Policies before this one were full for a grant of that size and shape, and only fill further.
    start: dict[tuple[str | None, int, tuple[str, ...]], int] = {}
    for grant in grants:
        candidates = every if grant.wanted_role is None else policies.get(grant.wanted_role, ())
        kind = (grant.wanted_role, grant.characters, grant.shape)
        position = start.get(kind, 0)
        while position < len(candidates) and not candidates[position].take(grant, room):
            position += 1
        start[kind] = position
        if position < len(candidates):
            slots[grant.key] = candidates[position].slot
        else:
            homeless.append(grant.key)
    return homeless
