"""What an import changes in a manifest: new customers, changed entries and unchanged accounts, as edits and as notes.

Accounts are matched by their id, or by id and role if the manifest or the source has several roles of one account, so that
repeating an import changes nothing, whatever the entries have been renamed to.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.errors import Problem, SelectionError
from rolecall_generator.importers.interface import ImportedAccount, ImportProblemsError, LeftOut, Reading, Value, problems_of
from rolecall_generator.manifest import Customer, Manifest, normalized_name
from rolecall_generator.manifest.editing import AddCustomer, Edit, SetField
from rolecall_generator.text import clip, suggest

_MAPS = frozenset({"tags", "labels", "variables"})


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """Options of an import. `make_id` generates an external id.

    `permissions`: for new customers without any in the source; None for the manifest's default. `update`: update existing
    entries to the source's values. `retired`: by customer, the external id retired by its last rotation, which no source
    may restore.
    """

    make_id: Callable[[], str]
    permissions: tuple[str, ...] | None = None
    update: bool = False
    retired: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A changed field of an entry; `old` is None if the entry did not have it."""

    customer: str
    field: str
    old: object
    new: Value


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The changes of an import: `added` are new entries; `known` are accounts whose entries stay unchanged."""

    added: tuple[Mapping[str, Value], ...] = ()
    changed: tuple[FieldChange, ...] = ()
    known: tuple[LeftOut, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_import(reading: Reading, manifest: Manifest, settings: ImportSettings) -> ImportPlan:
    """Compare each account with the manifest. Raises ImportProblemsError with the problems of all accounts.

    Raises SelectionError for permission sets of the settings that the manifest does not have.
    """
    _known_sets(settings.permissions or (), manifest)
    if problems := problems_of(reading.accounts, manifest):
        raise ImportProblemsError(problems)
    times = Counter(account.account_id for account in reading.accounts)
    by_account: dict[str, list[Customer]] = {}
    for customer in manifest.customers:
        by_account.setdefault(customer.account_id, []).append(customer)
    names = CustomerNames(customer.name for customer in manifest.customers)
    owners = {normalized_name(customer.name): customer for customer in manifest.customers}
    foreign: list[Problem] = []
    added: list[dict[str, Value]] = []
    changed: list[FieldChange] = []
    known: list[LeftOut] = []
    notes = list(reading.notes)
    for account in reading.accounts:
        found = _known(
            account, by_account.get(account.account_id, ()), manifest.defaults.role, times[account.account_id] > 1
        )
        if found is None:
            if reading.from_customers:
                foreign += [*_one_of_several(account, reading.accounts), *_named_as_another(account, None, owners)]
            added.append(_entry(account, names, settings, manifest.defaults.path))
            continue
        changes = _changes(account, found, manifest, settings, notes)
        if changes and settings.update:
            changed += changes
            proof = list(_without_proof(account, found, settings)) if reading.from_customers else []
            foreign += proof or _named_as_another(account, found, owners)
        else:
            fields = ", ".join(change.field for change in changes)
            why = f"is customer {found.name}" + (f"; {fields} differ: --update takes them over" if changes else "")
            known.append(LeftOut(account.name or found.name, account.account_id, why, bool(changes)))
    if foreign:
        raise ImportProblemsError(foreign)
    return ImportPlan(tuple(added), tuple(changed), tuple(known), reading.left_out, reading.ignored, tuple(notes))


def _known_sets(names: Iterable[str], manifest: Manifest) -> None:
    for name in names:
        if name not in manifest.permission_sets:
            hint = suggest(name, manifest.permission_sets, "add it to the manifest's permission_sets")
            raise SelectionError(f"there is no permission set {name}", where="--permissions", hint=hint)


def _entry(account: ImportedAccount, names: CustomerNames, settings: ImportSettings, default_path: str) -> dict[str, Value]:
    given = {key: value for key, value in account.fields.items() if (key, value) != ("path", default_path)}
    given["name"] = names.name(account.name, account.account_id)
    if settings.permissions is not None:
        given.setdefault("permissions", settings.permissions)
    given.setdefault("external_id", settings.make_id())
    return {name: given[name] for name in Customer.model_fields if name in given}


def _known(account: ImportedAccount, customers: Sequence[Customer], default_role: str, several: bool) -> Customer | None:
    """The manifest's entry for an account, None for a new one."""
    if len(customers) == 1 and not several:
        return customers[0]
    wanted = (account.role or default_role).casefold()
    return next((one for one in customers if (one.role or default_role).casefold() == wanted), None)


def _changes(
    account: ImportedAccount, customer: Customer, manifest: Manifest, settings: ImportSettings, notes: list[str]
) -> list[FieldChange]:
    """The differences between a known account and its entry; sentences about ids of a rotation are added to `notes`."""
    return [
        FieldChange(customer.name, key, old, _merged(key, old, new))
        for key, new in account.fields.items()
        if _merged(key, old := _current(customer, key, manifest), new) != _plain(old)
        and not (key == "external_id" and _had_before(new, customer, settings, notes))
    ]


def _had_before(external_id: Value, customer: Customer, settings: ImportSettings, notes: list[str]) -> bool:
    """Whether it is the id from before a rotation, which the customer has not applied yet: not a difference."""
    if external_id == customer.previous_external_id:
        return True
    if external_id != settings.retired.get(customer.name):
        return False
    notes.append(f"{customer.name} has the external id retired by its last rotation: the latest module is not applied yet")
    return True


def _without_proof(account: ImportedAccount, customer: Customer, settings: ImportSettings) -> Iterator[Problem]:
    """The problem of a file that does not have the external id that the vendor gave to this account.

    Only that id proves that the file is from this customer: account id and file name are written by the sender. Another
    external id is never accepted: a sender who could choose the id for another customer's account could make the vendor
    act there on their behalf (confused deputy).
    """
    known = {customer.external_id, customer.previous_external_id, settings.retired.get(customer.name)} - {None}
    given = account.fields.get("external_id")
    if given in known or (given is None and not known):
        return
    what = f"names account {account.account_id} of customer {customer.name}, but not with its external id"
    if given is not None:
        what = f"{what}: it has {clip(str(given))}"
    yield account.problem(
        "external_id" if given is not None else "account_id",
        what,
        f"find out who sent it. If {customer.name} has applied this id, adopt it with "
        f"`gen customer rotate-external-id {customer.name} --external-id ID`",
    )


def _one_of_several(account: ImportedAccount, accounts: Iterable[ImportedAccount]) -> Iterator[Problem]:
    """The problem of an account with several roles, of which the manifest does not have this one: ambiguous."""
    others = [one for one in accounts if one is not account and one.account_id == account.account_id]
    if others:
        where = ", ".join(f"{one.file}:{one.at.line + 1}" for one in others)
        role = clip(account.role or "")
        what = f"role {role} of account {account.account_id} is not in the manifest, and {where} has another one"
        yield account.problem("account_id", what, "remove the wrong one, or add both with `gen customer add`")


def _named_as_another(
    account: ImportedAccount, customer: Customer | None, owners: Mapping[str, Customer]
) -> Iterator[Problem]:
    """The problem of a source with the name of one customer and the account of another."""
    owner = owners.get(normalized_name(account.name), customer)
    if owner is not None and owner is not customer:
        whose = f"of customer {customer.name}" if customer is not None else "which no customer has"
        yield account.problem(
            "account_id",
            f"{clip(account.name)} is a customer of account {owner.account_id}, but this is account {account.account_id}, "
            f"{whose}",
            "find out whose it is, then rename it, or import it with --no-update",
        )


def _current(customer: Customer, key: str, manifest: Manifest) -> object:
    """An entry's value of a field; for role and path, which an ARN contains, with the default filled in."""
    value = getattr(customer, key)
    if value is None and key in {"role", "path"}:
        return getattr(manifest.defaults, key)
    return value


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return tuple(value) if isinstance(value, tuple | list) else value


def _merged(key: str, old: object, new: Value) -> Value:
    """The new value of a field: tags, labels and variables of the source are merged with the existing ones."""
    if key in _MAPS and isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **new}
    return tuple(new) if isinstance(new, list) else new


_CHARACTERS = 64
_FIT = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_UNFIT = re.compile(r"[^a-z0-9._]+")


def slug(text: str, account_id: str) -> str:
    """A customer's name from any string: unchanged if valid, else reduced to lowercase ASCII letters, digits and ._-.

    `account-ACCOUNT_ID` if nothing is left. Deterministic.
    """
    if _FIT.fullmatch(text) and len(text) <= _CHARACTERS:
        return text
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    name = _UNFIT.sub("-", plain).strip("-._")
    if not name:
        return f"account-{account_id}"
    return (name if name[0].isalpha() else f"customer-{name}")[:_CHARACTERS].rstrip("-._")


class CustomerNames:
    """Assigns unique names: one that differs from a used name only in case or ._- gets the account id appended."""

    def __init__(self, used: Iterable[str]) -> None:
        self._used = {normalized_name(name) for name in used}

    def name(self, text: str, account_id: str) -> str:
        """Return an unused name and mark it as used."""
        wanted = slug(text, account_id)
        found, number = wanted, 1
        while normalized_name(found) in self._used:
            tail = f"-{account_id}" if number == 1 else f"-{account_id}-{number}"
            found = f"{wanted[: _CHARACTERS - len(tail)].rstrip('-._')}{tail}"
            number += 1
        self._used.add(normalized_name(found))
        return found


def import_edits(plan: ImportPlan, into: Path | None) -> Sequence[Edit]:
    """The edits of a plan. `into`: the file for new customers; None: the file of the last customer."""
    edits: list[Edit] = [SetField(change.customer, change.field, change.new) for change in plan.changed]
    edits += (AddCustomer(entry, into) for entry in plan.added)
    return edits


def import_notes(plan: ImportPlan, most: int | None = None) -> Iterator[str]:
    """Summary of an import for the user: counts, differences, skipped accounts. `most`: maximum names per kind."""
    changed = len({change.customer for change in plan.changed})
    same = [one for one in plan.known if not one.differs]
    differ = f", {len(plan.known) - len(same):,} that differ" if len(plan.known) > len(same) else ""
    yield f"{len(plan.added):,} new, {changed:,} changed, {len(same):,} unchanged{differ}"
    differing = [f"{clip(one.name)} ({one.account_id}) {one.why}" for one in plan.known if one.differs]
    left_out = [f"left out: {clip(one.name)} ({one.account_id}): {one.why}" for one in plan.left_out]
    for sentences in (differing, left_out):
        yield from sentences[:most]
        if most is not None and len(sentences) > most:
            yield f"and {len(sentences) - most:,} more; --format json lists all"
    for change in plan.changed:
        if change.field == "external_id" and change.old is not None:
            yield f"{change.customer} has a different external id than the manifest: only the vendor chooses external ids"
    yield from plan.notes
    if plan.ignored:
        columns = ", ".join(clip(column) for column in plan.ignored)
        yield f"ignored columns: {columns} (use --column FIELD=HEADER to map one)"
