"""Reads the files of a module folder that Terraform loads, with override files merged, and reports all others.

Terraform 1.11 loads `*.tf` and `*.tf.json` except for hidden files and backups of editors. Values of variables it loads from
`terraform.tfvars`, `terraform.tfvars.json`, `*.auto.tfvars` and `*.auto.tfvars.json`, including hidden files. `terraform
test` also runs the test files in the folder and in `tests/`; a test file is accepted if it only tests the module with a
mocked provider, as those in bundles do. A provider lock is accepted if it contains only HashiCorp's AWS provider.

Sources: hashicorp/terraform `configs/parser_config_dir.go` and `command/meta_vars.go`, each file name verified; Terraform
language documentation, "Tests", "Dependency Lock File" and "Override Files"; November 2026.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rolecall_generator.errors import ModuleError
from rolecall_generator.findings import Severity
from rolecall_generator.terraform.parser import schema as r
from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.lexer import Unreadable, scan
from rolecall_generator.terraform.parser.readers import read_json, read_json_values, read_native

MAXIMUM_FILES = 1_000
"""Maximum number of files and subfolders in a module folder; a generated module has four files."""
MAXIMUM_FOLDER_BYTES = 8 * 1024 * 1024
MAXIMUM_BYTES = 1024 * 1024
"""Maximum size of a file; a backend role at its quotas takes less than a tenth of it."""

_CONFIGURATION = (".tf", ".tf.json", ".tofu", ".tofu.json")
_TESTS = (".tftest.hcl", ".tftest.json", ".tofutest.hcl", ".tofutest.json")
_VALUES = (".tfvars", ".tfvars.json")
_AUTOMATIC_VALUES = (".auto.tfvars", ".auto.tfvars.json")
_NAMED_VALUES = ("terraform.tfvars", "terraform.tfvars.json")
_PLAN_NAMES = ("tfplan", "terraform.tfplan")
_LOCK = ".terraform.lock.hcl"
_TEST_FOLDER = "tests"
_REPOSITORY_FOLDERS = frozenset({".git", ".github", ".hg", ".idea", ".svn", ".vscode"})
_ENVIRONMENT = frozenset({".env", ".envrc", "mise.toml", ".mise.toml"})
_TEXTS = frozenset({
    ".ds_store", ".editorconfig", ".gitattributes", ".gitignore", ".gitkeep", ".terraformignore", "changelog", "codeowners",
    "contributing", "copying", "desktop.ini", "licence", "license", "notice", "readme", "sha256sums", "thumbs.db",
})  # fmt: skip
_TEXT_ENDINGS = (".md", ".txt", ".pdf", ".sha256", ".sig", ".asc")
_GENERATED_TEXT = "README.md"


def is_ignored(name: str) -> bool:
    """True if Terraform does not load a configuration or test file of this name: a hidden file or a backup."""
    return name.startswith(".") or name.endswith("~") or (name.startswith("#") and name.endswith("#"))


def is_configuration(name: str) -> bool:
    """True if Terraform or OpenTofu loads the file as configuration."""
    return name.endswith(_CONFIGURATION) and not is_ignored(name)


def is_values(name: str) -> bool:
    """True if Terraform loads the file automatically as values of variables."""
    return name in _NAMED_VALUES or name.endswith(_AUTOMATIC_VALUES)


def is_test(name: str) -> bool:
    """True if `terraform test` runs the file. `name` may start with the folder `tests/`."""
    return name.endswith(_TESTS) and not is_ignored(name.rpartition("/")[2])


def read_folder(folder: Path, report: r.ParseFindings, *, returned: bool = True) -> dict[str, bytes]:
    """Read the files that Terraform loads, by name (`tests/x.tftest.hcl` in the test folder), and report all others.

    `returned`: someone else sent the folder. If false, it is in the vendor's own output folder, and Terraform's working
    files are expected and less severe. Symbolic links are not followed.

    Raises ModuleError if the folder cannot be read or is larger than MAXIMUM_FILES or MAXIMUM_FOLDER_BYTES.
    """
    try:
        return _Walk(os.fspath(folder), report, returned=returned).read()
    except PermissionError as error:
        what = "permission to read the module is missing"
        hint = "add read permission to the folder and its files"
        raise ModuleError(what, where=str(error.filename or folder), hint=hint) from None
    except OSError as error:
        raise ModuleError(
            f"the module cannot be read: {error.strerror or error}",
            where=str(folder),
            hint="use a folder that contains a Terraform module",
        ) from None


@dataclass(slots=True)
class _Walk:
    """One pass over a folder. `_entries` and `_bytes` count all files, also those not read."""

    folder: str
    report: r.ParseFindings
    returned: bool
    _files: dict[str, bytes] = field(default_factory=dict)
    _entries: int = 0
    _bytes: int = 0

    def read(self) -> dict[str, bytes]:
        to_read: list[str] = []
        for entry in self._listed(self.folder):
            to_read.extend(self._entry(entry))
        # After the listing, so that a folder that is too large is rejected before its files are read.
        for name in to_read:
            # One byte too many shows that the file is too large. O_NONBLOCK: a pipe created meanwhile must not block.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(f"{self.folder}/{name}", flags), "rb") as stream:  # noqa: PTH123 - a descriptor
                self._files[name] = stream.read(MAXIMUM_BYTES + 1)
        return self._files

    def _listed(self, folder: str) -> list[os.DirEntry[str]]:
        """The entries of a folder, sorted by name. Counts them."""
        found: list[os.DirEntry[str]] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self._count(entry)
                found.append(entry)
        return sorted(found, key=lambda entry: entry.name)

    def _count(self, entry: os.DirEntry[str]) -> None:
        self._entries += 1
        if self._entries > MAXIMUM_FILES:
            raise self._too_large(f"more than {MAXIMUM_FILES:,} files and subfolders")
        if entry.is_file(follow_symlinks=False):
            self._bytes += entry.stat(follow_symlinks=False).st_size
            if self._bytes > MAXIMUM_FOLDER_BYTES:
                raise self._too_large(f"more than {MAXIMUM_FOLDER_BYTES // 1024 // 1024} MiB")

    def _too_large(self, what: str) -> ModuleError:
        return ModuleError(
            f"the module folder contains {what}", where=self.folder, hint="send only the files that belong to the module"
        )

    def _say(self, name: str, message: str, severity: Severity = Severity.ERROR) -> None:
        self.report.add(r.EXTRA_FILE, name, message, name, 1, severity)

    def _entry(self, entry: os.DirEntry[str]) -> Iterator[str]:
        """Yield the names of files to read in an entry of the folder, and report everything else."""
        name = entry.name
        if entry.is_symlink():
            self._say(name, "a symbolic link: Terraform follows it, rolecall does not")
        elif entry.is_dir(follow_symlinks=False):
            yield from self._subfolder(entry)
        elif not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            self._say(name, "neither a file nor a folder")
        elif is_configuration(name) or is_values(name) or is_test(name) or name == _LOCK:
            yield name
        elif name != _GENERATED_TEXT:
            self._other_file(name)

    def _other_file(self, name: str) -> None:
        # On a case-insensitive file system TERRAFORM.TFVARS is terraform.tfvars.
        folded = name.casefold()
        if ".tfstate" in folded:
            self._state(name)
        elif folded.endswith(_VALUES) or folded == _LOCK:
            self._say(name, "values or settings that Terraform loads on request, or on some file systems")
        elif folded.endswith(".tfplan") or folded in _PLAN_NAMES:
            self._say(name, "a saved plan: applying it ignores the configuration")
        elif folded in _ENVIRONMENT:
            self._say(name, "sets environment variables, which can set Terraform's variables")
        elif folded.endswith((".hcl", ".hcl.json")) and not is_ignored(name):
            self._say(name, "configuration of Terraform or another tool that is not read")
        elif folded in _TEXTS or folded.partition(".")[0] in _TEXTS or folded.endswith(_TEXT_ENDINGS):
            self._say(name, "a text file that Terraform does not load", Severity.NOTE)
        else:
            self._say(name, "a file that Terraform does not load", Severity.WARNING)

    def _state(self, name: str) -> None:
        message = "a Terraform state: it determines what Terraform changes and destroys, and may contain passwords"
        self._say(name, message, Severity.ERROR if self.returned else Severity.WARNING)

    def _subfolder(self, entry: os.DirEntry[str]) -> Iterator[str]:
        name = entry.name
        folded = name.casefold()
        if folded == ".terraform":
            self._working_folder(entry)
        elif folded == "terraform.tfstate.d":
            self._state(name)
        elif folded in _REPOSITORY_FOLDERS:
            self._say(name, "a folder of a version control system or an editor; Terraform does not load it", Severity.NOTE)
        elif name == _TEST_FOLDER:
            yield from self._test_folder(entry)
        else:
            self._unread(entry.path, name)

    def _test_folder(self, folder: os.DirEntry[str]) -> Iterator[str]:
        for entry in self._listed(folder.path):
            name = f"{folder.name}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                self._unread(entry.path, name)
            elif entry.is_symlink() or not entry.is_file(follow_symlinks=False) or is_values(entry.name):
                self._say(name, "a link, a special file or values of variables that terraform test loads")
            elif is_test(entry.name):
                yield name
            else:
                self._other_file(name)

    def _unread(self, path: str, name: str) -> None:
        """Report a subfolder, as an error if Terraform could load anything in it or it cannot be read."""
        worst = Severity.NOTE
        pending = [path]
        while pending:
            try:
                entries = self._listed(pending.pop())
            except OSError:  # no permission, or the path is too long
                worst = Severity.ERROR
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    worst = max(worst, _severity_below(entry))
        message = "a subfolder that is not read" if worst is Severity.ERROR else "a subfolder that Terraform does not load"
        self._say(name, message, max(worst, Severity.WARNING))

    def _working_folder(self, folder: os.DirEntry[str]) -> None:
        """`.terraform`: programs of providers, called modules, the backend and the workspace."""
        expected = not self.returned and _has_only_the_aws_provider(folder.path)
        message = "Terraform's working folder: it contains programs that Terraform runs, and can select workspace and state"
        self._say(folder.name, message, Severity.NOTE if expected else Severity.ERROR)


def _severity_below(entry: os.DirEntry[str]) -> Severity:
    """The severity of a file in a subfolder, which Terraform loads only if the module or a user refers to it."""
    folded = entry.name.casefold()
    if not entry.is_file(follow_symlinks=False):
        return Severity.ERROR
    if folded.endswith((*_CONFIGURATION, *_VALUES, ".hcl", ".hcl.json", ".tfplan")) or ".tfstate" in folded:
        return Severity.ERROR
    return Severity.WARNING


def _has_only_the_aws_provider(path: str) -> bool:
    """True if the folder contains only what `terraform init` creates for a generated module."""
    allowed = {"": {"providers", "terraform.tfstate"}, "providers": {"registry.terraform.io", "registry.opentofu.org"}}
    allowed |= {f"providers/{registry}": {"hashicorp"} for registry in allowed["providers"]}
    allowed |= {f"providers/{registry}/hashicorp": {"aws"} for registry in allowed["providers"]}
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            names = os.listdir(f"{path}/{folder}")  # noqa: PTH208 - only names are needed
        except OSError:
            return False
        if not set(names) <= allowed[folder]:
            return False
        pending += [below for name in names if (below := f"{folder}/{name}".lstrip("/")) in allowed]
    return True


_OVERRIDES = frozenset({"override_data", "override_resource"})
_RUN_BLOCKS = frozenset({"assert", *_OVERRIDES})
_RUN_ARGUMENTS = frozenset({"command", "expect_failures"})


def check_test_file(name: str, body: s.Body, report: r.ParseFindings) -> None:
    """Report everything in a test file that could access a real account, another module or a file."""
    mocked = False
    for block in body.blocks:
        if (block.type, block.labels) == ("mock_provider", ("aws",)) and _is_empty(block.body):
            mocked = True
        elif block.type == "run":
            _check_run(name, block, report)
        elif block.type not in _OVERRIDES:
            _report(name, f"the block {block.type}", block.line, report)
    if not mocked:
        _report(name, "no mocked AWS provider, so the test accesses a real account", 1, report)


def _check_run(name: str, run: s.Block, report: r.ParseFindings) -> None:
    for argument, attribute in run.body.attributes.items():
        if argument not in _RUN_ARGUMENTS:
            _report(name, f"the argument {argument} of a run", attribute.line, report)
    for block in run.body.blocks:
        if block.type not in _RUN_BLOCKS:
            _report(name, f"the block {block.type} of a run", block.line, report)


def _is_empty(body: s.Body) -> bool:
    return not body.attributes and not body.blocks and not body.repeated


def _report(name: str, what: str, line: int, report: r.ParseFindings) -> None:
    report.add(r.EXTRA_FILE, name, f"terraform test runs this file, and it is not fully supported: {what}", name, line)


def check_provider_lock(name: str, body: s.Body, report: r.ParseFindings, *, returned: bool) -> None:
    """Report providers other than HashiCorp's AWS provider. In a returned module the lock itself is a note."""
    foreign = False
    for block in body.blocks:
        if block.type != "provider" or len(block.labels) != 1 or block.labels[0] not in r.PROVIDER_SOURCES:
            foreign = True
            report.add(r.EXTRA_FILE, name, "it selects a provider that is not HashiCorp's AWS provider", name, block.line)
    if returned and not foreign:
        message = "it selects the version of the AWS provider, and the checksums that terraform init accepts"
        report.add(r.EXTRA_FILE, name, message, name, 1, Severity.NOTE)


MAXIMUM_TOKENS = 120_000
"""Maximum number of tokens in a module. 200 backend roles for 10,000 customers have 75,000, parsed in 3 s with 150 MiB."""
_BYTES_PER_TOKEN = 32
"""Bytes of comments and strings that count as one token: scanning 1 MiB takes 0.5 s."""
_TOKEN = re.compile(r"\w++|[^\w \t]")
_JSON_TOKEN = re.compile(r'"[^"\\$%]*+"|\w++|[^\w\s]')


@dataclass(frozen=True, slots=True)
class ModuleFiles:
    """A module's blocks, and the values of variables in its `.tfvars` files, with the file's name."""

    blocks: tuple[s.Block, ...]
    values: Mapping[str, tuple[s.Attribute, str]]


def load(files: Mapping[str, bytes], report: r.ParseFindings, *, returned: bool = True) -> ModuleFiles:
    """Parse all files, given by name. Files that cannot be parsed are reported. `returned`: someone else sent the module."""
    plain: list[s.Block] = []
    overriding: list[s.Block] = []
    values: dict[str, tuple[s.Attribute, str]] = {}
    _check_companions(files, report, returned=returned)
    names = [name for name in files if is_configuration(name) or is_values(name)]
    if not any(map(is_configuration, names)):
        report.add(r.UNREADABLE, "module", "the folder contains no Terraform file")
    # A file has at most as many tokens as bytes, so small modules need no counting.
    counted = sum(len(files[name]) for name in names) > MAXIMUM_TOKENS
    tokens = 0
    for name in sorted(names, key=_order):
        tokens += _count_tokens(name, files[name]) if counted else 0
        if tokens > MAXIMUM_TOKENS:
            message = f"the module has more than {MAXIMUM_TOKENS:,} tokens; this file and those after it are not read"
            report.add(r.UNREADABLE, name, message, name, 1)
            break
        body = _read(name, files[name], report)
        if body is None:
            continue
        if is_values(name):
            report.add(
                r.OVERRIDE, name, "a variable definitions file changes the module's variables", name, 1, Severity.WARNING
            )
            _check_values(name, body, report)
            values.update({key: (attribute, name) for key, attribute in body.attributes.items()})
            continue
        _no_arguments(name, body, report)
        (overriding if is_override(name) else plain).extend(body.blocks)
        if is_override(name):
            report.add(r.OVERRIDE, name, "an override file changes blocks of the other files", name, 1, Severity.WARNING)
    _check(plain, report)
    _check(overriding, report, addresses=False)
    for block in overriding:
        for what, line in inexact(block):
            message = f"an override file changes {what}, which is not read exactly"
            report.add(r.OVERRIDE, block.address, message, block.file, line)
    blocks, unmatched = merge(plain, overriding)
    for block in unmatched:
        report.add(r.OVERRIDE, block.address, "an override file overrides nothing here", block.file, block.line)
    return ModuleFiles(tuple(blocks), values)


def _order(name: str) -> tuple[int, bytes]:
    """Sort key for Terraform's order of precedence: `terraform.tfvars`, its JSON form, automatic files by name."""
    place = {"terraform.tfvars": 0, "terraform.tfvars.json": 1}.get(name, 2)
    return place, os.fsencode(name)


def _count_tokens(name: str, content: bytes) -> int:
    """The number of tokens in a file, increased for its size; 0 if it cannot be parsed."""
    try:
        text = _text(content)
        json = name.endswith(".json")
        found = sum(1 for _ in (_JSON_TOKEN if json else _TOKEN).finditer(text if json else scan(text).shape))
    except Unreadable:
        return 0
    return found + len(content) // _BYTES_PER_TOKEN


def _check_values(name: str, body: s.Body, report: r.ParseFindings) -> None:
    """Report what Terraform rejects in a variable definitions file."""
    for block in body.blocks:
        report.add(r.UNREADABLE, name, f"a variable definitions file contains the block {block.type}", name, block.line)
    for argument, line in body.repeated:
        report.add(r.DUPLICATE, name, f"the value {argument} is given twice", name, line)


def _check_companions(files: Mapping[str, bytes], report: r.ParseFindings, *, returned: bool) -> None:
    """Check test files and the provider lock, which Terraform uses together with the module."""
    for name, content in files.items():
        if not is_test(name) and name != _LOCK:
            continue
        if not name.endswith(".hcl"):
            report.add(r.EXTRA_FILE, name, "a test file in JSON is not read", name, 1)
            continue
        body = _read(name, content, report)
        if body is None:
            continue
        _no_arguments(name, body, report)
        if is_test(name):
            check_test_file(name, body, report)
        else:
            check_provider_lock(name, body, report, returned=returned)


def _no_arguments(name: str, body: s.Body, report: r.ParseFindings) -> None:
    for attribute, line in [*body.repeated, *((key, found.line) for key, found in body.attributes.items())]:
        report.add(r.UNREADABLE, name, f"the argument {attribute} is outside of any block", name, line)


def _read(name: str, content: bytes, report: r.ParseFindings) -> s.Body | None:
    if ".tofu" in name:
        report.add(r.FOREIGN, name, "a file that OpenTofu reads and Terraform does not", name, 1)
    try:
        text = _text(content)
        if name.endswith(".tfvars.json"):
            return read_json_values(text, name)
        return read_json(text, name) if name.endswith(".json") else read_native(text, name)
    except Unreadable as error:
        report.add(r.UNREADABLE, name, f"the file cannot be read: {error.reason}", name, error.line)
    return None


def _text(content: bytes) -> str:
    if len(content) > MAXIMUM_BYTES:
        raise Unreadable(f"larger than {MAXIMUM_BYTES:,} bytes", 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8", content.count(b"\n", 0, error.start) + 1) from None
    if "\0" in text:
        raise Unreadable("binary", text.count("\n", 0, text.index("\0")) + 1)
    return text


def _check(blocks: list[s.Block], report: r.ParseFindings, *, addresses: bool = True) -> None:
    """Report repeated addresses, names and arguments, which Terraform rejects."""
    seen: dict[str, s.Block] = {}
    for block in blocks:
        for inner in _all(block):
            for name, line in inner.body.repeated:
                report.add(r.DUPLICATE, block.address, f"the argument {name} is repeated", block.file, line)
        if not addresses or block.type in ("terraform", "moved", "removed", "import", "locals"):
            for name in block.body.attributes if addresses and block.type == "locals" else ():
                _once(f"local.{name}", block, seen, report)
            continue
        _once(block.address, block, seen, report)


def _once(address: str, block: s.Block, seen: dict[str, s.Block], report: r.ParseFindings) -> None:
    if address in seen:
        first = seen[address]
        message = f"declared twice, first in {first.file}:{first.line}"
        report.add(r.DUPLICATE, address, message, block.file, block.line)
    seen.setdefault(address, block)


def _all(block: s.Block) -> Iterator[s.Block]:
    yield block
    for inner in block.body.blocks:
        yield from _all(inner)


_MERGED_INSIDE = frozenset({"required_providers"})


def is_override(name: str) -> bool:
    """True if Terraform treats the file as an override file."""
    stem = name.removesuffix(".json").removesuffix(".tf")
    return stem == "override" or stem.endswith("_override")


def inexact(block: s.Block) -> Iterator[tuple[str, int]]:
    """Yield the parts of an overriding block, with their lines, for which merging arguments is not exact.

    Terraform rejects conditions in an overriding `lifecycle`, does not let an empty `ignore_changes` clear the list, and
    converts a variable's default to the overridden type first.
    """
    for inner in block.body.blocks:
        if inner.type == "lifecycle":
            yield "lifecycle", inner.line
    if block.type == "variable" and "type" in block.body.attributes:
        yield "the type of a variable", block.body.attributes["type"].line


def merge(blocks: list[s.Block], overriding: Iterable[s.Block]) -> tuple[list[s.Block], list[s.Block]]:
    """Return the merged blocks, and the overriding blocks without a block to override, which Terraform rejects.

    The `lifecycle` of an overriding block is not merged: see `inexact`.
    """
    merged = list(blocks)
    places: dict[tuple[str, tuple[str, ...]], int] = {}
    positions: dict[str, int] = {}
    for number, base in enumerate(merged):
        places.setdefault((base.type, base.labels), number)
        if base.type == "locals":
            positions.update({name: number for name in base.body.attributes if name not in positions})
    unmatched: list[s.Block] = []
    for block in overriding:
        if block.type == "locals":
            unmatched.extend(_merge_locals(merged, positions, block))
            continue
        position = places.get((block.type, block.labels))
        if position is None:
            unmatched.append(block)
            # Kept, so that the access that it grants is reported.
            places[block.type, block.labels] = len(merged)
            merged.append(block)
        else:
            merged[position] = _over(merged[position], block)
    return merged, unmatched


def _merge_locals(merged: list[s.Block], positions: dict[str, int], block: s.Block) -> list[s.Block]:
    """Replace locals one by one; returns those that override nothing. `positions`: the index in `merged` by local."""
    changed: dict[int, dict[str, s.Attribute]] = {}
    left: dict[str, s.Attribute] = {}
    for name, attribute in block.body.attributes.items():
        if name in positions:
            changed.setdefault(positions[name], {})[name] = attribute
        else:
            left[name] = attribute
    for position, attributes in changed.items():
        base = merged[position]
        merged[position] = replace(base, body=replace(base.body, attributes={**base.body.attributes, **attributes}))
    if not left:
        return []
    rest = replace(block, body=s.Body(left))
    positions.update(dict.fromkeys(left, len(merged)))
    merged.append(rest)
    return [rest]


def _over(base: s.Block, block: s.Block) -> s.Block:
    """Merge arguments one by one. Nested blocks replace all of their type; `required_providers` is merged by argument."""
    own = [inner for inner in block.body.blocks if inner.type != "lifecycle"]
    replaced = {_nested_type(inner) for inner in own}
    kept = [inner for inner in base.body.blocks if _nested_type(inner) not in replaced - _MERGED_INSIDE]
    added = []
    for inner in own:
        position = next((n for n, old in enumerate(kept) if old.type == inner.type), None)
        if inner.type in _MERGED_INSIDE and position is not None:
            kept[position] = _over(kept[position], inner)
        else:
            added.append(inner)
    body = s.Body(
        {**base.body.attributes, **block.body.attributes},
        (*kept, *added),
        (*base.body.repeated, *block.body.repeated),
    )
    return replace(base, body=body)


def _nested_type(block: s.Block) -> str:
    return block.labels[0] if block.type == "dynamic" and block.labels else block.type
