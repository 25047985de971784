"""The interface of importers: how they are registered, the accounts that they return, and the accounts' validation."""

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

    `name` is any string. `fields`: the fields of a customer that the source has, without the name. `at` is the position in
    `file`, counted from 0; `marks` are the positions of fields, if known. `partition` is "" if unknown.
    """

    name: str
    fields: Mapping[str, Value]
    file: str
    at: Point = START
    marks: Mapping[str, Point] = field(default_factory=dict)
    partition: str = ""

    @property
    def account_id(self) -> str:
        """The account id; "" if the source has none."""
        return str(self.fields.get("account_id", ""))

    @property
    def role(self) -> str | None:
        """The role's name, if the source has one."""
        role = self.fields.get("role")
        return role if isinstance(role, str) else None

    def problem(self, of: str, what: str, hint: str) -> Problem:
        """A problem at the position of a field."""
        return problem_at(self.file, self.marks.get(of, self.at), what, hint)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An account that is not imported, with the reason. `differs`: source and manifest have different values."""

    name: str
    account_id: str
    why: str
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading a source. `source` is its display name; `ignored`: columns that match no field.

    `notes` are sentences to show before the user agrees. `from_customers`: written by customers, so that it must prove by
    its content whose it is, and must not choose an external id.
    """

    source: str
    accounts: tuple[ImportedAccount, ...]
    left_out: tuple[LeftOut, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    from_customers: bool = False


@dataclass(frozen=True, slots=True)
class ImportOption:
    """A parameter of an importer on the command line: the option `flag`, or an argument if it is empty."""

    help: str
    flag: str = ""
    metavar: str | None = None


@dataclass(frozen=True, slots=True)
class Importer:
    """A source of accounts. A module of this folder registers it as `IMPORTER`.

    Attributes:
        name: Name of the command below `gen import`.
        read: Reads the source. Its first parameter is a function that loads the manifest, the others are annotated with an
            `ImportOption` each. Its docstring is the command's help.
        examples: Examples to show below the help.
        update: Whether existing entries are changed by default.
    """

    name: str
    read: Callable[..., Reading]
    examples: str = ""
    update: bool = False


class ImportProblemsError(ManifestError):
    """The source has problems, and nothing was imported. `problems` are all that were found.

    `accounts`: those that could be read, so that `all_problems` can validate them too.
    """

    def __init__(self, problems: Sequence[Problem], accounts: Sequence[ImportedAccount] = ()) -> None:
        self.accounts = tuple(accounts)
        super().__init__(sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column)))
        self.what = f"{pluralize(len(self.problems), 'problem')}: nothing was imported"

    @classmethod
    def at(cls, path: Path, line: int, what: str, hint: str, column: int = 1) -> ImportProblemsError:
        """The error for one problem of a file; line and column count from 1."""
        return cls([Problem(str(path), line, column, what, hint)])


def read_source(path: Path, hint: str) -> bytes:
    """Read a file; `hint` is for one that is too large. Raises ImportProblemsError."""
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
    """Account id, role and path of a role's ARN; None for anything else."""
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service != "iam" or parsed.kind != "role" or not parsed.account_id:
        return None
    path, _, name = parsed.resource.removeprefix("role").rpartition("/")
    return {"account_id": parsed.account_id, "role": name, "path": f"{path}/"}


def with_manifest_problems(error: ImportProblemsError, manifest: Manifest) -> ImportProblemsError:
    """Add the problems of the accounts that could be read, so that all are reported in one pass."""
    places = {(problem.file, problem.line, problem.column) for problem in error.problems}
    more = problems_of(error.accounts, manifest)
    return ImportProblemsError([*error.problems, *(one for one in more if (one.file, one.line, one.column) not in places)])


def problems_of(accounts: Sequence[ImportedAccount], manifest: Manifest) -> list[Problem]:
    """Every problem of the accounts on their own, with each other and with the manifest's customers."""
    return [
        *_invisible(accounts),
        *_malformed(accounts),
        *_duplicates(accounts),
        *_shared_ids(accounts, manifest),
        *_unknown_sets(accounts, manifest),
        *_other_partition(accounts, manifest),
    ]


def _invisible(accounts: Iterable[ImportedAccount]) -> Iterator[Problem]:
    """Invisible characters, which make a name look like another one in the manifest and in reviews."""
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
        earlier = first.setdefault(key, account)
        if earlier is not account and account.account_id:
            where = f"{earlier.file}:{earlier.at.line + 1}"
            yield account.problem(
                "account_id", f'account_id "{clip(account.account_id)}" is listed twice, first at {where}',
                "leave one of the two out, or give each its own role",
            )  # fmt: skip


def _shared_ids(accounts: Iterable[ImportedAccount], manifest: Manifest) -> Iterator[Problem]:
    """External ids of another customer (confused deputy), unless the manifest allows the accounts to share one."""
    owners: dict[str, tuple[str, str, str]] = {}
    for customer in manifest.customers:
        for external_id in (customer.external_id, customer.previous_external_id):
            if external_id is not None:
                owners.setdefault(external_id, (customer.account_id, customer.name, f"customer {customer.name}"))
    for account in accounts:
        for key in ("external_id", "previous_external_id"):
            given = account.fields.get(key)
            if not isinstance(given, str):
                continue
            place = f"the account at {account.file}:{account.at.line + 1}"
            account_id, name, owner = owners.setdefault(given, (account.account_id, account.name, place))
            if account_id != account.account_id and not manifest.may_share_external_id(name, account.name):
                yield account.problem(
                    key, f'{key} "{clip(given)}" is the same as that of {owner}',
                    "leave it empty to generate one: an external id belongs to exactly one customer",
                )  # fmt: skip


def _unknown_sets(accounts: Iterable[ImportedAccount], manifest: Manifest) -> Iterator[Problem]:
    for account in accounts:
        named = account.fields.get("permissions", ())
        for name in named if isinstance(named, tuple | list) else ():
            if name not in manifest.permission_sets:
                known = ", ".join(manifest.permission_sets) or "none"
                yield account.problem(
                    "permissions", f"there is no permission set {clip(name)}", f"the manifest has: {known}"
                )


def _other_partition(accounts: Iterable[ImportedAccount], manifest: Manifest) -> Iterator[Problem]:
    """Roles of another partition, which cannot be assumed from this one."""
    for account in accounts:
        if account.partition not in {"", manifest.partition}:
            what = f"the role is in partition {clip(account.partition)}, the manifest in {manifest.partition}"
            yield account.problem("role", what, "import it into a manifest of that partition")


def _malformed(accounts: Sequence[ImportedAccount]) -> list[Problem]:
    """Missing account ids, and fields that the manifest's models reject."""
    missing = "the account id is missing", "write its 12 digits"
    found = [account.problem("account_id", *missing) for account in accounts if not account.account_id]
    by_file: dict[str, list[ImportedAccount]] = {}
    for account in accounts:
        by_file.setdefault(account.file, []).append(account)
    for file, ones in by_file.items():
        found += customer_problems(_tree([one for one in ones if one.account_id]), file)
    return found


def _tree(accounts: Iterable[ImportedAccount]) -> MapNode:
    """The accounts as a tree of customers. They get a valid name, because names are made later."""
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
        inner = MapNode(mark)
        for key, text in value.items():
            inner.put(key, text, mark)
        return inner
    if isinstance(value, str | int):
        return value
    listed = ListNode(mark)
    for text in value:
        listed.put(text, mark)
    return listed
