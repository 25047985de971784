"""What an import would change in a manifest: accounts that are new, entries that differ, and what stays as it is.

An account of the manifest is known by its id (by id and role where the manifest or the source has several of one account),
so that the same import twice changes nothing, whatever the entries are called by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rolecall_generator.errors import Problem, SelectionError
from rolecall_generator.importing.model import Account, ImportProblemsError, LeftOut, Reading, Value
from rolecall_generator.importing.names import Names
from rolecall_generator.importing.validity import problems_of
from rolecall_generator.manifest.crosscheck import fold
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.models import Customer, Manifest
from rolecall_generator.manifest.scalars import clip

_MAPS = frozenset({"tags", "labels", "variables"})


@dataclass(frozen=True, slots=True)
class Settings:
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


def plan_import(reading: Reading, manifest: Manifest, settings: Settings) -> ImportPlan:
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
    names = Names(customer.name for customer in manifest.customers)
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
            mend = suggest(name, manifest.permission_sets, "add it to the manifest's permission_sets")
            raise SelectionError(f"there is no permission set {name}", where="--permissions", mend=mend)


def _entry(account: Account, names: Names, settings: Settings, default_path: str) -> dict[str, Value]:
    given = {key: value for key, value in account.fields.items() if (key, value) != ("path", default_path)}
    given["name"] = names.name(account.name, account.account_id)
    if settings.permissions is not None:
        given.setdefault("permissions", settings.permissions)
    given.setdefault("external_id", settings.make_id())
    return {name: given[name] for name in Customer.model_fields if name in given}


def _known(account: Account, customers: Sequence[Customer], default_role: str, several: bool) -> Customer | None:
    """The manifest's entry of an account; None when it has none."""
    if len(customers) == 1 and not several:
        return customers[0]
    wanted = (account.role or default_role).casefold()
    return next((one for one in customers if (one.role or default_role).casefold() == wanted), None)


def _compare(account: Account, customer: Customer, manifest: Manifest, settings: Settings, draft: _Draft) -> bool:
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


def _had_before(external_id: Value, customer: Customer, settings: Settings, draft: _Draft) -> bool:
    """Whether it is the id of before a rotation that the customer has yet to apply: that is no difference."""
    if external_id == customer.previous_external_id:
        return True
    if external_id != settings.retired.get(customer.name):
        return False
    draft.notes.append(
        f"{customer.name} gives the external id that its last rotation retired: the newest module is not applied"
    )
    return True


def _without_proof(account: Account, customer: Customer, settings: Settings) -> Iterator[Problem]:
    """What shows that a file is this customer's: the external id that the vendor gave to this account and to no other.

    The account id alone shows nothing, since the sender writes it, and the file's name still less: `acme (1).json` is what a
    browser calls a second download. Another external id is never taken over: it is made by the vendor, and whoever chose
    one for somebody else's account could have the vendor act there for them.
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


def _one_of_several(account: Account, accounts: Iterable[Account]) -> Iterator[Problem]:
    """Several roles of one account, of which the manifest does not have this one: nothing says which is meant."""
    others = [one for one in accounts if one is not account and one.account_id == account.account_id]
    if others:
        where = ", ".join(f"{one.file}:{one.at.line + 1}" for one in others)
        role = clip(account.role or "")
        what = f"role {role} of account {account.account_id} is not in the manifest, and {where} names another"
        yield account.problem("account_id", what, "leave out the one that is wrong, or add both with `gen customer add`")


def _named_as_another(account: Account, customer: Customer | None, owners: Mapping[str, Customer]) -> Iterator[Problem]:
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


def _several(accounts: Iterable[Account]) -> frozenset[str]:
    """Accounts that the source names more than once, with different roles."""
    return frozenset(account_id for account_id, times in Counter(one.account_id for one in accounts).items() if times > 1)
