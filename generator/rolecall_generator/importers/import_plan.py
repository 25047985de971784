"""What an import would change in a manifest: accounts that are new, entries that differ, and what stays as it is.

An account of the manifest is known by its id (by id and role where the manifest or the source has several of one account),
so that the same import twice changes nothing, whatever the entries are called by then.

Names of customers out of what sources call accounts: fit for a folder, and each its own.

What an import would do, as edits of the manifest's files, and in sentences; nothing is written here.
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
from rolecall_generator.manifest import Customer, Manifest, fold
from rolecall_generator.manifest.editing import AddCustomer, Edit, SetField
from rolecall_generator.text import clip, suggest

_MAPS = frozenset({"tags", "labels", "variables"})


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """How to import. `permissions`: for new customers that the source gives none; None: the manifest's default.

    `update`: bring entries of known accounts up to what the source says. `make_id` gives a fresh external id.
    `retired`: by customer, the external id that went with its last rotation; no source brings it back.
    """

    make_id: Callable[[], str]
    permissions: tuple[str, ...] | None = None
    update: bool = False
    retired: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of an entry that gets another value; `old` is None where it had none of its own."""

    customer: str
    field: str
    old: object
    new: Value


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do: `added` are whole entries, field by field; `known` are accounts that stay as they are."""

    added: tuple[Mapping[str, Value], ...] = ()
    changed: tuple[FieldChange, ...] = ()
    known: tuple[LeftOut, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    added: list[dict[str, Value]] = field(default_factory=list)
    changed: list[FieldChange] = field(default_factory=list)
    known: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan_import(reading: Reading, manifest: Manifest, settings: ImportSettings) -> ImportPlan:
    """Decide what becomes of each account. Raises ImportProblemsError with every account that is wrong, at its place.

    Raises SelectionError for permission sets of the settings that the manifest does not have.
    """
    _known_sets(settings.permissions or (), manifest)
    if problems := problems_of(reading.accounts, manifest):
        raise ImportProblemsError(problems)
    several = _several(reading.accounts)
    by_account: dict[str, list[Customer]] = {}
    for customer in manifest.customers:
        by_account.setdefault(customer.account_id, []).append(customer)
    names = CustomerNames(customer.name for customer in manifest.customers)
    owners = {fold(customer.name): customer for customer in manifest.customers}
    foreign: list[Problem] = []
    draft = _Draft()
    for account in reading.accounts:
        found = _known(
            account, by_account.get(account.account_id, ()), manifest.defaults.role, account.account_id in several
        )
        if found is None:
            if reading.from_customers:
                foreign += [*_one_of_several(account, reading.accounts), *_named_as_another(account, None, owners)]
            draft.added.append(_entry(account, names, settings, manifest.defaults.path))
        elif _compare(account, found, manifest, settings, draft) and settings.update:
            proof = list(_without_proof(account, found, settings)) if reading.from_customers else []
            foreign += proof or _named_as_another(account, found, owners)
    if foreign:
        raise ImportProblemsError(foreign)
    notes = (*reading.notes, *draft.notes)
    return ImportPlan(tuple(draft.added), tuple(draft.changed), tuple(draft.known), reading.left_out, reading.ignored, notes)


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
    """The manifest's entry of an account; None when it has none."""
    if len(customers) == 1 and not several:
        return customers[0]
    wanted = (account.role or default_role).casefold()
    return next((one for one in customers if (one.role or default_role).casefold() == wanted), None)


def _compare(
    account: ImportedAccount, customer: Customer, manifest: Manifest, settings: ImportSettings, draft: _Draft
) -> bool:
    """Note what becomes of a known account; whether the source says otherwise than the manifest."""
    changes = [
        FieldChange(customer.name, key, old, _merged(key, old, new))
        for key, new in account.fields.items()
        if _merged(key, old := _current(customer, key, manifest), new) != _plain(old)
        and not (key == "external_id" and _had_before(new, customer, settings, draft))
    ]
    if changes and settings.update:
        draft.changed += changes
        return True
    fields = ", ".join(change.field for change in changes)
    why = f"is customer {customer.name}" + (f"; {fields} differ: --update takes them over" if changes else "")
    draft.known.append(LeftOut(account.name or customer.name, account.account_id, why, bool(changes)))
    return bool(changes)


def _had_before(external_id: Value, customer: Customer, settings: ImportSettings, draft: _Draft) -> bool:
    """Whether it is the id of before a rotation that the customer has yet to apply: that is no difference."""
    if external_id == customer.previous_external_id:
        return True
    if external_id != settings.retired.get(customer.name):
        return False
    draft.notes.append(
        f"{customer.name} gives the external id that its last rotation retired: the newest module is not applied"
    )
    return True


def _without_proof(account: ImportedAccount, customer: Customer, settings: ImportSettings) -> Iterator[Problem]:
    """What shows that a file is this customer's: the external id that the vendor gave to this account and to no other.

    The account id alone shows nothing, since the sender writes it, and the file's name still less: `acme (1).json` is what a
    browser calls a second download. Another external id is never taken over: it is made by the vendor, and whoever chose
    one for someone else's account could have the vendor act there for them.
    """
    known = {customer.external_id, customer.previous_external_id, settings.retired.get(customer.name)} - {None}
    given = account.fields.get("external_id")
    if given in known or (given is None and not known):
        return
    what = f"names account {account.account_id} of customer {customer.name}, but not its external id"
    if given is not None:
        what = f"{what}: it has {clip(str(given))}"
    yield account.problem(
        "external_id" if given is not None else "account_id",
        what,
        f"find out who sent it. If {customer.name} applied this id, take it over with "
        f"`gen customer rotate-external-id {customer.name} --external-id ID`",
    )


def _one_of_several(account: ImportedAccount, accounts: Iterable[ImportedAccount]) -> Iterator[Problem]:
    """Several roles of one account, of which the manifest does not have this one: nothing says which is meant."""
    others = [one for one in accounts if one is not account and one.account_id == account.account_id]
    if others:
        where = ", ".join(f"{one.file}:{one.at.line + 1}" for one in others)
        role = clip(account.role or "")
        what = f"role {role} of account {account.account_id} is not in the manifest, and {where} names another"
        yield account.problem("account_id", what, "leave out the one that is wrong, or add both with `gen customer add`")


def _named_as_another(
    account: ImportedAccount, customer: Customer | None, owners: Mapping[str, Customer]
) -> Iterator[Problem]:
    """A source that bears the name of one customer and speaks of the account of another contradicts itself."""
    owner = owners.get(fold(account.name), customer)
    if owner is not None and owner is not customer:
        whose = f"of customer {customer.name}" if customer is not None else "which no customer has"
        yield account.problem(
            "account_id",
            f"{clip(account.name)} is a customer of account {owner.account_id}, but this is account {account.account_id}, "
            f"{whose}",
            "find out whose it is; then call it by its own name, or import it with --no-update",
        )


def _current(customer: Customer, key: str, manifest: Manifest) -> object:
    """What an entry says of a field; for those that a role's ARN gives, what holds by default."""
    value = getattr(customer, key)
    if value is None and key in {"role", "path"}:
        return getattr(manifest.defaults, key)
    return value


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return tuple(value) if isinstance(value, tuple | list) else value


def _merged(key: str, old: object, new: Value) -> Value:
    """The value that a field is to have: what a source says of tags, labels and variables adds to what there is."""
    if key in _MAPS and isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **new}
    return tuple(new) if isinstance(new, list) else new


def _several(accounts: Iterable[ImportedAccount]) -> frozenset[str]:
    """Accounts that the source names more than once, with different roles."""
    return frozenset(account_id for account_id, times in Counter(one.account_id for one in accounts).items() if times > 1)


_CHARACTERS = 64
_FIT = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_UNFIT = re.compile(r"[^a-z0-9._]+")


def slug(text: str, account_id: str) -> str:
    """A name for a customer out of any text: as it is where it fits, else small ASCII letters, digits and ._-.

    Where nothing of it fits it is `account-ACCOUNT_ID`. The same text always gives the same name.
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
    """Gives each account a name of its own: what differs from a taken one in case or ._- alone gets the account id too."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {fold(name) for name in taken}

    def name(self, text: str, account_id: str) -> str:
        """A free name, which is then taken."""
        wanted = slug(text, account_id)
        found, number = wanted, 1
        while fold(found) in self._taken:
            tail = f"-{account_id}" if number == 1 else f"-{account_id}-{number}"
            found = f"{wanted[: _CHARACTERS - len(tail)].rstrip('-._')}{tail}"
            number += 1
        self._taken.add(fold(found))
        return found


def edits_of(plan: ImportPlan, into: Path | None) -> Sequence[Edit]:
    """The edits that carry a plan out. `into`: the file that new customers go to; None: where the last customer stands."""
    edits: list[Edit] = [SetField(change.customer, change.field, change.new) for change in plan.changed]
    edits += (AddCustomer(entry, into) for entry in plan.added)
    return edits


def notes_of(plan: ImportPlan, most: int | None = None) -> Iterator[str]:
    """What a person should know of an import: who is new, known or left out, and why. `most`: so many names each."""
    changed = len({change.customer for change in plan.changed})
    same = [one for one in plan.known if not one.differs]
    differ = f", {len(plan.known) - len(same):,} that differ" if len(plan.known) > len(same) else ""
    yield f"{len(plan.added):,} new, {changed:,} changed, {len(same):,} as they are{differ}"
    differing = [f"{clip(one.name)} ({one.account_id}) {one.why}" for one in plan.known if one.differs]
    left_out = [f"left out: {clip(one.name)} ({one.account_id}): {one.why}" for one in plan.left_out]
    for sentences in (differing, left_out):
        yield from sentences[:most]
        if most is not None and len(sentences) > most:
            yield f"and {len(sentences) - most:,} more like the last: --format json names all"
    for change in plan.changed:
        if change.field == "external_id" and change.old is not None:
            yield f"{change.customer} has another external id than the manifest: the vendor makes them, never the customer"
    yield from plan.notes
    if plan.ignored:
        columns = ", ".join(clip(column) for column in plan.ignored)
        yield f"columns that are not taken over: {columns} (--column FIELD=HEADER maps one)"
