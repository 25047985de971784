"""Accounts from other sources: the interface of importers, the validation of accounts, and the changes that they make.

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

from rolecall_generator.errors import ManifestError, Problem, SelectionError
from rolecall_generator.iam import Arn
from rolecall_generator.manifest import Customer, Manifest, customer_problems, normalized_name
from rolecall_generator.manifest.editing import AddCustomer, Edit, SetField, Value
from rolecall_generator.manifest.yaml_source import MAXIMUM_BYTES, START, ListNode, MapNode, Point, node_of, problem_at
from rolecall_generator.text import clip, code_point, first_hidden_index, pluralize, suggest


@dataclass(frozen=True, slots=True)
class ImportedAccount:
    """An account in a source.

    `name` can be any string. `fields` has the customer's fields in the source, without the name. `at` is the position in
    `file`, counted from 0; `marks` has the positions of fields, if known. `partition` is "" if unknown.
    """

    name: str
    fields: Mapping[str, Value]
    file: str
    at: Point = START
    marks: Mapping[str, Point] = field(default_factory=dict)
    partition: str = ""

    @property
    def account_id(self) -> str:
        """The account ID; "" if the source has none."""
        return str(self.fields.get("account_id", ""))

    @property
    def role(self) -> str | None:
        """The name of the role; None if the source has none."""
        role = self.fields.get("role")
        return role if isinstance(role, str) else None

    def problem(self, of: str, what: str, hint: str) -> Problem:
        """A problem at the position of a field."""
        return problem_at(self.file, self.marks.get(of, self.at), what, hint)


@dataclass(frozen=True, slots=True)
class SkippedAccount:
    """An account that is not imported, with the reason. `differs`: source and manifest have different values."""

    name: str
    account_id: str
    reason: str
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading a source. `source` is its display name; `ignored` are columns that match no field.

    `notes` are shown before the user confirms. `from_customers`: customers wrote the source, so its content must prove which
    customer it is from, and it must not set external IDs.
    """

    source: str
    accounts: tuple[ImportedAccount, ...]
    skipped: tuple[SkippedAccount, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    from_customers: bool = False


@dataclass(frozen=True, slots=True)
class ImportOption:
    """A command-line parameter of an importer: the option `flag`, or an argument if `flag` is empty."""

    help: str
    flag: str = ""
    metavar: str | None = None


@dataclass(frozen=True, slots=True)
class Importer:
    """A kind of source. Modules of this package register one as `IMPORTER`.

    Attributes:
        name: Name of the subcommand of `gen import`.
        read: Reads the source. Its first parameter is a function that loads the manifest. Each other parameter is annotated
            with an `ImportOption`. Its docstring is the help of the command.
        examples: Examples that the help shows.
        update: Whether existing entries are updated by default.
    """

    name: str
    read: Callable[..., Reading]
    examples: str = ""
    update: bool = False


class ImportProblemsError(ManifestError):
    """The source has problems, and nothing was imported. `problems` has all of them.

    `accounts` are those that could be read, for `with_manifest_problems` to validate.
    """

    def __init__(self, problems: Sequence[Problem], accounts: Sequence[ImportedAccount] = ()) -> None:
        self.accounts = tuple(accounts)
        super().__init__(sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column)))
        self.what = f"{pluralize(len(self.problems), 'problem')}: nothing was imported"

    @classmethod
    def at(cls, path: Path, line: int, what: str, hint: str, column: int = 1) -> ImportProblemsError:
        """Create the error for one problem of a file. Line and column count from 1."""
        return cls([Problem(str(path), line, column, what, hint)])


def read_source(path: Path, hint: str) -> bytes:
    """Read a file. Raises ImportProblemsError; `hint` is its hint if the file is too large."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        what, check = f"the file cannot be read: {error.strerror}", "check its name and permissions"
        raise ImportProblemsError.at(path, 1, what, check) from error
    if len(data) > MAXIMUM_BYTES:
        raise ImportProblemsError.at(path, 1, f"the file is larger than {MAXIMUM_BYTES // 1024 // 1024} MiB", hint)
    return data


def role_fields(arn: str) -> dict[str, Value] | None:
    """The fields account_id, role and path of a role ARN; None for any other string."""
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service != "iam" or parsed.kind != "role" or not parsed.account_id:
        return None
    path, _, name = parsed.resource.removeprefix("role").rpartition("/")
    return {"account_id": parsed.account_id, "role": name, "path": f"{path}/"}


def with_manifest_problems(error: ImportProblemsError, manifest: Manifest) -> ImportProblemsError:
    """Return the error with the problems of its accounts added, so that all are reported in one pass."""
    positions = {(problem.file, problem.line, problem.column) for problem in error.problems}
    further = problems_of(error.accounts, manifest)
    return ImportProblemsError(
        [*error.problems, *(problem for problem in further if (problem.file, problem.line, problem.column) not in positions)]
    )


def problems_of(accounts: Sequence[ImportedAccount], manifest: Manifest) -> list[Problem]:
    """Validate the accounts, and compare them with each other and with the customers of the manifest."""
    return [
        *_invisible_characters(accounts),
        *_invalid_fields(accounts),
        *_duplicates(accounts),
        *_shared_external_ids(accounts, manifest),
        *_unknown_permission_sets(accounts, manifest),
        *_other_partition(accounts, manifest),
    ]


def _invisible_characters(accounts: Iterable[ImportedAccount]) -> Iterator[Problem]:
    """Report invisible characters, with which a name can look like another one in the manifest and in reviews."""
    for account in accounts:
        for key, text in (("name", account.name), *_strings(account.fields)):
            if (hidden := first_hidden_index(text)) is not None:
                yield account.problem(
                    key, f'{key} "{clip(text)}" contains the invisible character {code_point(text[hidden])}',
                    "remove it in the source, or leave this account out",
                )  # fmt: skip


def _strings(fields: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    for key, value in fields.items():
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, Mapping):
            yield from ((key, text) for pair in value.items() for text in pair if isinstance(text, str))
        elif isinstance(value, tuple | list):
            yield from ((key, text) for text in value if isinstance(text, str))


def _duplicates(accounts: Iterable[ImportedAccount]) -> Iterator[Problem]:
    first: dict[tuple[str, str | None], ImportedAccount] = {}
    for account in accounts:
        key = (account.account_id, account.role.casefold() if account.role else None)
        first_account = first.setdefault(key, account)
        if first_account is not account and account.account_id:
            where = f"{first_account.file}:{first_account.at.line + 1}"
            yield account.problem(
                "account_id", f'account_id "{clip(account.account_id)}" is listed twice, first at {where}',
                "remove one of the two, or give each its own role",
            )  # fmt: skip


def _shared_external_ids(accounts: Iterable[ImportedAccount], manifest: Manifest) -> Iterator[Problem]:
    """Report external IDs of another customer (confused deputy), unless the manifest allows the accounts to share one."""
    owners: dict[str, tuple[str, str, str]] = {}
    for customer in manifest.customers:
        for external_id in (customer.external_id, customer.previous_external_id):
            if external_id is not None:
                owners.setdefault(external_id, (customer.account_id, customer.name, f"customer {customer.name}"))
    for account in accounts:
        for key in ("external_id", "previous_external_id"):
            value = account.fields.get(key)
            if not isinstance(value, str):
                continue
            place = f"the account at {account.file}:{account.at.line + 1}"
            account_id, name, owner = owners.setdefault(value, (account.account_id, account.name, place))
            if account_id != account.account_id and not manifest.may_share_external_id(name, account.name):
                yield account.problem(
                    key, f'{key} "{clip(value)}" is the same as that of {owner}',
                    "leave it empty to generate one: an external ID belongs to exactly one customer",
                )  # fmt: skip


def _unknown_permission_sets(accounts: Iterable[ImportedAccount], manifest: Manifest) -> Iterator[Problem]:
    for account in accounts:
        named = account.fields.get("permissions", ())
        for name in named if isinstance(named, tuple | list) else ():
            if name not in manifest.permission_sets:
                known = ", ".join(manifest.permission_sets) or "none"
                yield account.problem(
                    "permissions", f"there is no permission set {clip(name)}", f"the manifest has: {known}"
                )


def _other_partition(accounts: Iterable[ImportedAccount], manifest: Manifest) -> Iterator[Problem]:
    """Report roles of another partition, which cannot be assumed from this one."""
    for account in accounts:
        if account.partition not in {"", manifest.partition}:
            what = f"the role is in partition {clip(account.partition)}, the manifest in {manifest.partition}"
            yield account.problem("role", what, "import it into a manifest of that partition")


def _invalid_fields(accounts: Sequence[ImportedAccount]) -> list[Problem]:
    """Report missing account IDs, and fields that the models of the manifest reject."""
    missing = "the account ID is missing", "write its 12 digits"
    problems = [account.problem("account_id", *missing) for account in accounts if not account.account_id]
    by_file: dict[str, list[ImportedAccount]] = {}
    for account in accounts:
        by_file.setdefault(account.file, []).append(account)
    for file, file_accounts in by_file.items():
        problems += customer_problems(_tree([account for account in file_accounts if account.account_id]), file)
    return problems


def _tree(accounts: Iterable[ImportedAccount]) -> MapNode:
    """Convert accounts to a YAML tree of customers, all with the same valid name: names are assigned later."""
    tree, items = MapNode(START), ListNode(START)
    tree.put("customers", items, START)
    for account in accounts:
        node = MapNode(account.at)
        for key, value in {"name": "name", **account.fields}.items():
            mark = account.marks.get(key, account.at)
            node.put(key, node_of(value, mark), mark)
        items.put(node, account.at)
    return tree


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
