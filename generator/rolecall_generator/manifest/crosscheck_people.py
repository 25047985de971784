"""What switch roles say about each other: groups, users and policies of one account, and the console's limits."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.errors import Problem
from rolecall_generator.iam.quotas import SWITCH_ROLE_LINK_CHARACTERS
from rolecall_generator.manifest.models import Manifest, SwitchGroup, SwitchRole, SwitchUser
from rolecall_generator.manifest.people import people_account, people_of
from rolecall_generator.manifest.places import Places
from rolecall_generator.manifest.tree import Loc


def people_problems(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """Problems of switch roles, each at its place."""
    for index, switch in enumerate(manifest.switch_roles):
        yield from _users(switch, index, places)
        yield from _link(switch, index, places)
    yield from _groups(manifest, places)
    yield from _policies(manifest, places)
    yield from _new_users(manifest, places)
    yield from _one_spelling(manifest, places)


def _users(switch: SwitchRole, index: int, places: Places) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for number, user in enumerate(switch.users):
        at: Loc = ("switch_roles", index, "users", number)
        first = seen.setdefault(user.name.casefold(), number)
        if first != number:
            yield places.problem((*at, "name"), f"user {user.name} stands twice in {switch.name}", "remove one of the two")
        if user.existing and (user.console_password or user.pgp_key):
            key = "console_password" if user.console_password else "pgp_key"
            what = f"{key} on user {user.name}, who exists already"
            yield places.problem((*at, key), what, "remove it: existing users keep the password they have", key=True)
        elif user.pgp_key and not user.console_password:
            what = f"user {user.name} has a pgp_key but no console password to encrypt"
            yield places.problem((*at, "pgp_key"), what, "add console_password: true, or remove pgp_key", key=True)
    if switch.trust == "users" and not switch.users:
        what = f"{switch.name}: trust: users lets nobody in, as there are no users"
        yield places.problem(("switch_roles", index, "trust"), what, "add users, or write trust: account")


def _link(switch: SwitchRole, index: int, places: Places) -> Iterator[Problem]:
    length = len(f"{switch.path}{switch.role}".lstrip("/"))
    if length > SWITCH_ROLE_LINK_CHARACTERS:
        what = f"{switch.name}: path and name of the role have {length} characters together"
        mend = f"shorten them to {SWITCH_ROLE_LINK_CHARACTERS}: the console's switch-role page takes no more"
        yield places.problem(("switch_roles", index, "role"), what, mend)


def _groups(manifest: Manifest, places: Places) -> Iterator[Problem]:
    made: dict[tuple[str, str], int] = {}
    for index, switch in enumerate(manifest.switch_roles):
        group = switch.switch_group
        key = (people_account(switch), group.name.casefold())
        if not group.existing:
            first = made.setdefault(key, index)
            if first != index:
                other = manifest.switch_roles[first].name
                what = f"{switch.name}: group {group.name} of account {key[0]} is made by {other} already"
                mend = f"write group: {{name: {group.name}, existing: true}} here"
                yield places.problem(("switch_roles", index, "group"), what, mend)


def _policies(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """Each group has a policy of its own; two of one name in one account would overwrite each other."""
    people = people_of(manifest)
    policies: dict[tuple[str, str], int] = {}
    for index, switch in enumerate(manifest.switch_roles):
        if people[switch.name].keeper is not switch:
            continue
        account, policy = people_account(switch), switch.policy or f"assume-{switch.role}"
        first = policies.setdefault((account, policy.casefold()), index)
        if first != index:
            other = manifest.switch_roles[first].name
            what = f"{switch.name}: policy {policy} of account {account} would overwrite that of {other}"
            at = "policy" if switch.policy else "group"
            yield places.problem(("switch_roles", index, at), what, "give one of them another name with `policy: NAME`")


def _one_spelling(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """IAM tells no names apart by case: one group or user has one name and one path wherever it is named."""
    known: dict[tuple[str, str, str], tuple[SwitchGroup | SwitchUser, str]] = {}
    for index, switch in enumerate(manifest.switch_roles):
        account = people_account(switch)
        named: list[tuple[str, SwitchGroup | SwitchUser, Loc]] = [("group", switch.switch_group, ("group",))]
        named += [("user", user, ("users", number, "name")) for number, user in enumerate(switch.users)]
        for kind, part, key in named:
            first, other = known.setdefault((account, kind, part.name.casefold()), (part, switch.name))
            made_twice = not (first.existing or part.existing)  # a problem of its own
            if (first.name, first.path) != (part.name, part.path) and not made_twice:
                here, there = f"{part.path}{part.name}", f"{first.path}{first.name}"
                what = f"{switch.name}: {kind} {here} of account {account} is {there} in {other}"
                yield places.problem(("switch_roles", index, *key), what, "write name and path the same way in both")


def _new_users(manifest: Manifest, places: Places) -> Iterator[Problem]:
    made: dict[tuple[str, str], int] = {}
    for index, switch in enumerate(manifest.switch_roles):
        account = people_account(switch)
        for number, user in enumerate(switch.users):
            if user.existing:
                continue
            first = made.setdefault((account, user.name.casefold()), index)
            if first != index:
                other = manifest.switch_roles[first].name
                what = f"{switch.name}: user {user.name} of account {account} is made by {other} already"
                mend = "write existing: true on the second, and keep console_password on the first"
                yield places.problem(("switch_roles", index, "users", number, "name"), what, mend)
