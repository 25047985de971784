"""The interface of importers: their registration, the accounts that they return, and the validation of accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.errors import ManifestError, Problem
from rolecall_generator.iam import Arn
from rolecall_generator.manifest import Manifest, customer_problems
from rolecall_generator.manifest.yaml_source import MAXIMUM_BYTES, START, ListNode, MapNode, Point, problem_at
from rolecall_generator.text import clip, code_point, first_hidden_index, pluralize

Value = str | int | bool | Sequence[str] | Mapping[str, str]
"""The value of a customer's field."""


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
            node.put(key, _node(value, mark), mark)
        items.put(node, account.at)
    return tree


def _node(value: Value, mark: Point) -> object:
    if isinstance(value, Mapping):
        map_node = MapNode(mark)
        for key, text in value.items():
            map_node.put(key, text, mark)
        return map_node
    if isinstance(value, str | int):
        return value
    list_node = ListNode(mark)
    for text in value:
        list_node.put(text, mark)
    return list_node
