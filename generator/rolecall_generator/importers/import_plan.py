"""Plans the changes of an import: new customers, changed entries and unchanged accounts. Returns them as edits and notes.

Accounts are matched by their ID, or by ID and role if the manifest or the source has several roles of an account. Repeating
an import therefore changes nothing, even if entries were renamed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.errors import Problem, SelectionError
from rolecall_generator.importers.interface import (
    ImportedAccount,
    ImportProblemsError,
    Reading,
    SkippedAccount,
    Value,
    problems_of,
)
from rolecall_generator.manifest import Customer, Manifest, normalized_name
from rolecall_generator.manifest.editing import AddCustomer, Edit, SetField
from rolecall_generator.text import clip, suggest

_MAP_FIELDS = frozenset({"tags", "labels", "variables"})


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """Options of an import. `make_id` generates an external ID.

    `permissions`: permission sets of new customers without any in the source; None for the manifest's default. `update`:
    update existing entries with the values of the source. `retired`: by customer, the external ID that its last rotation
    retired and that no source may restore.
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
    """The changes of an import. `added` are new entries; `known` are accounts whose entries do not change."""

    added: tuple[Mapping[str, Value], ...] = ()
    changed: tuple[FieldChange, ...] = ()
    known: tuple[SkippedAccount, ...] = ()
    skipped: tuple[SkippedAccount, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_import(reading: Reading, manifest: Manifest, settings: ImportSettings) -> ImportPlan:
    """Compare each account with the manifest.

    Raises ImportProblemsError with the problems of all accounts, or SelectionError if the manifest does not have a
    permission set of the settings.
    """
    _check_permission_sets(settings.permissions or (), manifest)
    if problems := problems_of(reading.accounts, manifest):
        raise ImportProblemsError(problems)
    occurrences = Counter(account.account_id for account in reading.accounts)
    by_account: dict[str, list[Customer]] = {}
    for customer in manifest.customers:
        by_account.setdefault(customer.account_id, []).append(customer)
    names = CustomerNames(customer.name for customer in manifest.customers)
    customer_by_name = {normalized_name(customer.name): customer for customer in manifest.customers}
    source_problems: list[Problem] = []
    added: list[dict[str, Value]] = []
    changed: list[FieldChange] = []
    known: list[SkippedAccount] = []
    notes = list(reading.notes)
    for account in reading.accounts:
        existing = _find_customer(
            account, by_account.get(account.account_id, ()), manifest.defaults.role, occurrences[account.account_id] > 1
        )
        if existing is None:
            if reading.from_customers:
                source_problems += [
                    *_ambiguous_role_problems(account, reading.accounts),
                    *_other_account_problems(account, None, customer_by_name),
                ]
            added.append(_new_entry(account, names, settings, manifest.defaults.path))
            continue
        changes = _changes(account, existing, manifest, settings, notes)
        if changes and settings.update:
            changed += changes
            id_problems = list(_external_id_problems(account, existing, settings)) if reading.from_customers else []
            source_problems += id_problems or _other_account_problems(account, existing, customer_by_name)
        else:
            fields = ", ".join(change.field for change in changes)
            reason = f"is customer {existing.name}" + (f"; {fields} differ: --update applies them" if changes else "")
            known.append(SkippedAccount(account.name or existing.name, account.account_id, reason, bool(changes)))
    if source_problems:
        raise ImportProblemsError(source_problems)
    return ImportPlan(tuple(added), tuple(changed), tuple(known), reading.skipped, reading.ignored, tuple(notes))


def _check_permission_sets(names: Iterable[str], manifest: Manifest) -> None:
    for name in names:
        if name not in manifest.permission_sets:
            hint = suggest(name, manifest.permission_sets, "add it to the manifest's permission_sets")
            raise SelectionError(f"there is no permission set {name}", where="--permissions", hint=hint)


def _new_entry(
    account: ImportedAccount, names: CustomerNames, settings: ImportSettings, default_path: str
) -> dict[str, Value]:
    values = {key: value for key, value in account.fields.items() if (key, value) != ("path", default_path)}
    values["name"] = names.name(account.name, account.account_id)
    if settings.permissions is not None:
        values.setdefault("permissions", settings.permissions)
    values.setdefault("external_id", settings.make_id())
    return {name: values[name] for name in Customer.model_fields if name in values}


def _find_customer(
    account: ImportedAccount, customers: Sequence[Customer], default_role: str, several: bool
) -> Customer | None:
    """The manifest entry of an account; None if the account is new. `several`: the source has several roles of it."""
    if len(customers) == 1 and not several:
        return customers[0]
    role = (account.role or default_role).casefold()
    return next((customer for customer in customers if (customer.role or default_role).casefold() == role), None)


def _changes(
    account: ImportedAccount, customer: Customer, manifest: Manifest, settings: ImportSettings, notes: list[str]
) -> list[FieldChange]:
    """The differences between a known account and its entry. Notes about rotated external IDs are appended to `notes`."""
    return [
        FieldChange(customer.name, key, old, _merged(key, old, new))
        for key, new in account.fields.items()
        if _merged(key, old := _current(customer, key, manifest), new) != _comparable(old)
        and not (key == "external_id" and _is_rotated_id(new, customer, settings, notes))
    ]


def _is_rotated_id(external_id: Value, customer: Customer, settings: ImportSettings, notes: list[str]) -> bool:
    """Whether this is the external ID from before a rotation that the customer has not applied yet, so not a difference."""
    if external_id == customer.previous_external_id:
        return True
    if external_id != settings.retired.get(customer.name):
        return False
    notes.append(f"{customer.name} has the external ID retired by its last rotation: the latest module is not applied yet")
    return True


def _external_id_problems(account: ImportedAccount, customer: Customer, settings: ImportSettings) -> Iterator[Problem]:
    """Report a file without the external ID that the vendor assigned to this account.

    Only that ID proves that the file is from this customer, because the sender chooses account ID and file name. No other
    external ID is accepted: a sender who could choose the ID of another customer's account could make the vendor act there
    on their behalf (confused deputy).
    """
    accepted = {customer.external_id, customer.previous_external_id, settings.retired.get(customer.name)} - {None}
    external_id = account.fields.get("external_id")
    if external_id in accepted or (external_id is None and not accepted):
        return
    what = f"names account {account.account_id} of customer {customer.name}, but not with its external ID"
    if external_id is not None:
        what = f"{what}: it has {clip(str(external_id))}"
    yield account.problem(
        "external_id" if external_id is not None else "account_id",
        what,
        f"find out who sent it. If {customer.name} has applied this ID, adopt it with "
        f"`gen customer rotate-external-id {customer.name} --external-id ID`",
    )


def _ambiguous_role_problems(account: ImportedAccount, accounts: Iterable[ImportedAccount]) -> Iterator[Problem]:
    """Report an account with several roles in the source, if the manifest does not have this role: it is ambiguous."""
    others = [other for other in accounts if other is not account and other.account_id == account.account_id]
    if others:
        where = ", ".join(f"{other.file}:{other.at.line + 1}" for other in others)
        role = clip(account.role or "")
        what = f"role {role} of account {account.account_id} is not in the manifest, and {where} has another one"
        yield account.problem("account_id", what, "remove the wrong one, or add both with `gen customer add`")


def _other_account_problems(
    account: ImportedAccount, customer: Customer | None, owners: Mapping[str, Customer]
) -> Iterator[Problem]:
    """Report a source with the name of one customer and the account of another."""
    owner = owners.get(normalized_name(account.name), customer)
    if owner is not None and owner is not customer:
        relation = f"of customer {customer.name}" if customer is not None else "which no customer has"
        yield account.problem(
            "account_id",
            f"{clip(account.name)} is a customer of account {owner.account_id}, but this is account {account.account_id}, "
            f"{relation}",
            "find out whose it is, then rename it, or import it with --no-update",
        )


def _current(customer: Customer, key: str, manifest: Manifest) -> object:
    """The value of a field in an entry; for role and path, which ARNs contain, the default if the entry has none."""
    value = getattr(customer, key)
    if value is None and key in {"role", "path"}:
        return getattr(manifest.defaults, key)
    return value


def _comparable(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return tuple(value) if isinstance(value, tuple | list) else value


def _merged(key: str, old: object, new: Value) -> Value:
    """The new value of a field. Tags, labels and variables of the source are merged into the existing ones."""
    if key in _MAP_FIELDS and isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **new}
    return tuple(new) if isinstance(new, list) else new


_MAX_NAME_LENGTH = 64
_VALID_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_INVALID_CHARACTERS = re.compile(r"[^a-z0-9._]+")


def slug(text: str, account_id: str) -> str:
    """Convert any string to a valid customer name.

    Valid names are unchanged. Others are reduced to lowercase ASCII letters, digits and `._-`. If nothing is left, the name
    is `account-ACCOUNT_ID`.
    """
    if _VALID_NAME.fullmatch(text) and len(text) <= _MAX_NAME_LENGTH:
        return text
    ascii_text = unicodedata.normalize("NFKD", text.casefold())
    ascii_text = "".join(character for character in ascii_text if not unicodedata.combining(character))
    name = _INVALID_CHARACTERS.sub("-", ascii_text).strip("-._")
    if not name:
        return f"account-{account_id}"
    return (name if name[0].isalpha() else f"customer-{name}")[:_MAX_NAME_LENGTH].rstrip("-._")


class CustomerNames:
    """Assigns unique names. The account ID is appended to a name that differs from a used one only in case or `._-`."""

    def __init__(self, used: Iterable[str]) -> None:
        self._used = {normalized_name(name) for name in used}

    def name(self, text: str, account_id: str) -> str:
        """Return an unused name and mark it as used."""
        base_name = slug(text, account_id)
        name, number = base_name, 1
        while normalized_name(name) in self._used:
            tail = f"-{account_id}" if number == 1 else f"-{account_id}-{number}"
            name = f"{base_name[: _MAX_NAME_LENGTH - len(tail)].rstrip('-._')}{tail}"
            number += 1
        self._used.add(normalized_name(name))
        return name


def import_edits(plan: ImportPlan, into: Path | None) -> Sequence[Edit]:
    """The edits of a plan. `into`: the file for new customers; None for the file of the last customer."""
    edits: list[Edit] = [SetField(change.customer, change.field, change.new) for change in plan.changed]
    edits += (AddCustomer(entry, into) for entry in plan.added)
    return edits


def import_notes(plan: ImportPlan, most: int | None = None) -> Iterator[str]:
    """Lines that summarize an import: counts, differences, skipped accounts. `most`: maximum number of names per kind."""
    changed = len({change.customer for change in plan.changed})
    unchanged = [account for account in plan.known if not account.differs]
    suffix = f", {len(plan.known) - len(unchanged):,} that differ" if len(plan.known) > len(unchanged) else ""
    yield f"{len(plan.added):,} new, {changed:,} changed, {len(unchanged):,} unchanged{suffix}"
    differing = [
        f"{clip(account.name)} ({account.account_id}) {account.reason}" for account in plan.known if account.differs
    ]
    skipped = [f"skipped: {clip(account.name)} ({account.account_id}): {account.reason}" for account in plan.skipped]
    for sentences in (differing, skipped):
        yield from sentences[:most]
        if most is not None and len(sentences) > most:
            yield f"and {len(sentences) - most:,} more; --format json lists all"
    for change in plan.changed:
        if change.field == "external_id" and change.old is not None:
            yield f"{change.customer} has a different external ID than the manifest: only the vendor chooses external IDs"
    yield from plan.notes
    if plan.ignored:
        columns = ", ".join(clip(column) for column in plan.ignored)
        yield f"ignored columns: {columns} (use --column FIELD=HEADER to map one)"
