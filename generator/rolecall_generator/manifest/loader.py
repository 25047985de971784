"""Load a manifest with its includes and CSV files: one validated manifest, or every problem of all its files.

A CSV file is parsed to the same tree as YAML. `gen init` writes the commented starter manifest.
"""

from __future__ import annotations

import csv
import io
import re
import secrets
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ValidationError

from rolecall_generator.errors import ManifestError, OutputError, Problem
from rolecall_generator.manifest.messages import translate
from rolecall_generator.manifest.models import Customer, IncludedFile, Manifest
from rolecall_generator.manifest.validation import Declared, validate_references
from rolecall_generator.manifest.yaml_source import (
    START,
    ListNode,
    Loc,
    MapNode,
    Point,
    SourceMap,
    YamlMark,
    YamlSource,
    node_of,
    parse_source,
    problem_at,
    read_text,
    walk,
)
from rolecall_generator.package_digest import template_folder
from rolecall_generator.text import clip, code_point, first_hidden_index, suggest
from rolecall_generator.workers import collection_paused

if TYPE_CHECKING:
    from _csv import Reader


CellValue = str | int | bool | tuple[str, ...]
_MAPS = {"tag": "tags", "label": "labels", "variable": "variables"}


@dataclass(frozen=True, slots=True)
class CsvColumns:
    """The columns of a table of customers, by the type of their cells.

    `plain` are the fields with a column of their own; `lists`, `numbers` and `booleans` are those of them whose cells are
    not strings. `maps` gives the field of a prefix: the column `tag:KEY` holds the value of KEY in `tags`.
    """

    plain: tuple[str, ...] = tuple(name for name in Customer.model_fields if name not in _MAPS.values())
    lists: tuple[str, ...] = ("permissions", "regions")
    numbers: tuple[str, ...] = ("max_session_seconds",)
    booleans: tuple[str, ...] = ("session_tags", "source_identity")
    maps: Mapping[str, str] = field(default_factory=lambda: _MAPS)

    @property
    def all(self) -> tuple[str, ...]:
        """Every column, as in messages: `tag:KEY` for the columns of mappings."""
        return (*self.plain, *(f"{prefix}:KEY" for prefix in self.maps))

    def value(self, column: str, cell: str, separators: re.Pattern[str]) -> CellValue:
        """The value of a cell of a plain column; `separators` split lists. An invalid number or boolean stays a string."""
        if column in self.lists:
            return tuple(part for part in separators.split(cell) if part)
        if column in self.numbers:
            return int(cell) if cell.isascii() and cell.isdecimal() else cell
        return _BOOLEANS.get(cell.casefold(), cell) if column in self.booleans else cell


CSV_COLUMNS = CsvColumns()
_SEPARATORS = re.compile(r"[;\s]+")
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False}


def parse_csv(text: str, file: str) -> YamlSource:
    """Parse CSV to the tree `{customers: [...]}`. An empty cell leaves its field out.

    Lists are split at spaces and `;`. A mark's column is the number of the cell.
    """
    problems: list[Problem] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    tree = MapNode(START)
    customers = ListNode(START)
    tree.put("customers", customers, START)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, file, problems)
        with collection_paused():
            _read_rows(reader, header, customers, file, problems)
    except csv.Error as error:
        problems.append(Problem(file, max(reader.line_num, 1), 1, f"not CSV: {error}", "quote cells that contain commas"))
    return YamlSource(
        file, tree, tuple(problems), unicodedata.is_normalized("NFC", text) and first_hidden_index(text) is None
    )


def _check_header(header: list[str], file: str, problems: list[Problem]) -> None:
    if not any(header):
        problems.append(
            Problem(file, 1, 1, "the file has no header row", f"start it with name,account_id: {', '.join(CSV_COLUMNS.all)}")
        )
        return
    seen: set[str] = set()
    for number, name in enumerate(header, 1):
        prefix, colon, key = name.partition(":")
        if name in seen:
            problems.append(Problem(file, 1, number, f"duplicate column {clip(name)}", "keep one of the two"))
        elif colon and prefix in CSV_COLUMNS.maps and not key:
            problems.append(Problem(file, 1, number, f"the column {name} has no key", f"write {prefix}:KEY"))
        elif name not in CSV_COLUMNS.plain and not (colon and prefix in CSV_COLUMNS.maps):
            hint = suggest(name, CSV_COLUMNS.all, "remove it; known columns")
            problems.append(Problem(file, 1, number, f"unknown column {clip(name) or '(without a name)'}", hint))
        seen.add(name)


def _read_rows(reader: Reader, header: list[str], customers: ListNode, file: str, problems: list[Problem]) -> None:
    line = reader.line_num
    for row in reader:
        start, line = line, reader.line_num  # a quoted cell may span lines
        if not any(row):
            continue
        if len(row) > len(header):
            what = f"the row has {len(row)} cells, the header {len(header)}"
            problems.append(Problem(file, start + 1, len(header) + 1, what, "quote cells that contain commas"))
        mark = Point(start, 0)
        customers.put(_customer(row, header, mark), mark)


def _customer(row: list[str], header: list[str], mark: Point) -> MapNode:
    node = MapNode(mark)
    # Rows may be shorter (empty cells at the end) or longer (reported by the caller) than the header.
    for number, (name, cell) in enumerate(zip(header, row, strict=False)):
        value = cell.strip()
        if not value:
            continue
        at = Point(mark.line, number)
        prefix, colon, key = name.partition(":")
        if colon:
            if prefix in CSV_COLUMNS.maps and key:
                field = CSV_COLUMNS.maps[prefix]
                if field not in node:
                    node.put(field, MapNode(at), at)
                node[field].put(key, value, at)
        elif name in CSV_COLUMNS.plain:
            node.put(name, node_of(CSV_COLUMNS.value(name, value, _SEPARATORS), at), at)
    return node


_MAXIMUM_INCLUDED_FILES = 20_000
_SALVAGE_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A valid manifest with its includes merged.

    `places.find("customers", name)` gives the position of an entry; `files` are all files read, the main one first.
    """

    INCLUDE_SUFFIXES: ClassVar = (".yaml", ".yml", ".csv")
    """File name extensions of included files."""

    manifest: Manifest
    places: SourceMap
    files: tuple[Path, ...]

    def includes(self, file: Path) -> bool:
        """Whether a pattern of `include` matches a file, given relative to the manifest's folder. It need not exist."""
        return any(included_by(pattern, file) for pattern in self.manifest.include)


Read = Callable[[Path, str], str | Problem]
"""Returns the text of a file, or the problem that prevents reading it. The second argument is the name in messages."""


@collection_paused()
def load_manifest(path: Path, *, read: Read = read_text, new_files: Collection[Path] = ()) -> LoadedManifest:
    """Read and validate a manifest. Raises ManifestError with every problem of all files, in their order.

    For an edit that is not written yet, `read` returns the edited texts and `new_files` are the files to be created.
    """
    main = _source(path, read)
    problems = list(main.problems)
    files = (path, *_include(path, main, problems, new_files))
    sources = [main]
    for file in files[1:]:
        source = _source(file, read)
        sources.append(source)
        problems += source.problems
    order = {str(file): number for number, file in reversed(list(enumerate(files)))}
    declared = _declared(sources, whole=not problems)
    models: list[BaseModel | None] = []
    for source in sources:
        unicode_problems = _unicode_problems(source)
        model, found = _validate(source, Manifest if source is main else IncludedFile, unicode_problems)
        models.append(model)
        problems += unicode_problems + found
    places = SourceMap([(source.file, source.tree) for source in sources])
    if isinstance(models[0], Manifest):
        manifest = _merge(models[0], [model for model in models[1:] if isinstance(model, IncludedFile)])
        problems += validate_references(manifest, places, declared)
        if not problems:
            return LoadedManifest(manifest, places, files)
    raise ManifestError(sorted(set(problems), key=lambda problem: (order[problem.file], problem.line, problem.column)))


def _source(path: Path, read: Read) -> YamlSource:
    file = str(path)
    text = read(path, file)
    if isinstance(text, Problem):
        return YamlSource(file, None, (text,))
    return parse_csv(text, file) if path.suffix.lower() == ".csv" else parse_source(text, file)


def _validate(
    source: YamlSource, model: type[BaseModel], unicode_problems: list[Problem]
) -> tuple[BaseModel | None, list[Problem]]:
    """Validate a tree. On errors, remove the invalid parts and retry, so that the rest can still be checked."""
    problems: list[Problem] = []
    if source.tree is None:
        return None, problems
    for attempt in range(_SALVAGE_ROUNDS):
        try:
            return model.model_validate(source.tree), problems
        except ValidationError as error:
            found = translate(error, source.tree, source.file, model)
            if attempt == 0:
                # A problem that is already reported at the same position has the same cause.
                known = {(problem.line, problem.column) for problem in (*source.problems, *unicode_problems)}
                problems = [problem for problem, _ in found if (problem.line, problem.column) not in known]
            _cut(source.tree, [loc for _, loc in found])
    return None, problems


def _cut(tree: Any, locs: list[Loc]) -> None:
    """Remove invalid values, and whole entries in which a required key is missing.

    Permission sets and switch roles are removed as a whole: a statement without its invalid action would be reported as
    incomplete.
    """
    doomed: set[Loc] = set()
    for loc in locs:
        target = loc
        if not walk(tree, loc).found:
            target = loc[:-1] or loc
        if loc and loc[0] in ("permission_sets", "switch_roles"):
            target = loc[:2]
        doomed.add(target)
    if ("version",) in doomed and isinstance(tree, MapNode):
        tree["version"] = 1
        tree.marks.setdefault("version", (tree.mark, tree.mark))
        doomed.remove(("version",))
    for loc in sorted(doomed, key=lambda loc: [(str(type(part)), part) for part in loc], reverse=True):
        spot = walk(tree, loc)
        if not spot.found or not isinstance(spot.parent, MapNode | ListNode):
            continue
        del spot.parent[spot.key]  # type: ignore[arg-type]
        if isinstance(spot.parent, ListNode) and isinstance(spot.key, int):
            del spot.parent.marks[spot.key]


def _merge(manifest: Manifest, included: list[IncludedFile]) -> Manifest:
    if not included:
        return manifest
    parts: list[Manifest | IncludedFile] = [manifest, *included]
    update = {
        "permission_sets": {name: value for part in parts for name, value in part.permission_sets.items()},
        "customers": tuple(customer for part in parts for customer in part.customers),
        "switch_roles": tuple(switch for part in parts for switch in part.switch_roles),
    }
    return manifest.model_copy(update=update)


def _declared(sources: list[YamlSource], *, whole: bool) -> Declared:
    """The names that the files declare, before invalid parts are removed."""
    sets = frozenset(
        name
        for source in sources
        if isinstance(names := walk(source.tree, ("permission_sets",)).value, MapNode)
        for name in names
    )
    backend = walk(sources[0].tree, ("backend",))
    roles = walk(backend.value, ("roles",))
    many = roles.value if roles.found and isinstance(roles.value, ListNode) else []
    names = [walk(role, ("name",)).value for role in (walk(backend.value, ("role",)).value, *many)]
    return Declared(
        permission_sets=sets if whole else None,
        backend=backend.found,
        backend_roles=frozenset(name for name in names if isinstance(name, str)),
    )


def _include(path: Path, main: YamlSource, problems: list[Problem], new_files: Collection[Path]) -> list[Path]:
    """The files that match `include`, sorted within each pattern, without duplicates."""
    patterns = main.tree.get("include") if isinstance(main.tree, MapNode) else None
    if not isinstance(patterns, ListNode):
        return []
    folder = path.parent
    files: dict[Path, Path] = {path.resolve(): path}
    for pattern, mark in zip(patterns, patterns.marks, strict=True):
        if isinstance(pattern, str):
            found = _matches(folder, pattern, new_files)
            if isinstance(found, list):
                for file in found:
                    if file not in new_files and (refusal := _refusal(folder, file)):
                        problems.append(problem_at(main.file, mark, *refusal))
                    else:
                        files.setdefault(file.resolve(), file)
            else:
                problems.append(problem_at(main.file, mark, *found))
    if len(files) > _MAXIMUM_INCLUDED_FILES:
        what = f"include matches {len(files):,} files, more than the maximum of {_MAXIMUM_INCLUDED_FILES:,}"
        problems.append(problem_at(main.file, patterns.mark, what, "put several customers into one YAML or CSV file"))
        return []
    return list(files.values())[1:]


def included_by(pattern: str, file: Path) -> bool:
    """Whether a pattern of `include` matches a file, given relative to the manifest's folder. The file need not exist.

    As in a shell, wildcards do not match hidden files: editors and killed programs leave those behind.
    """

    def fits(parts: tuple[str, ...], segments: tuple[str, ...]) -> bool:
        if not segments or not parts:
            return not segments and not parts
        if segments[0] == "**":
            return fits(parts, segments[1:]) or fits(parts[1:], segments)
        return fnmatchcase(parts[0], segments[0]) and fits(parts[1:], segments[1:])

    return not _hidden(pattern, file) and fits(file.parts, Path(pattern).parts)


def _hidden(pattern: str, file: Path) -> bool:
    return file.name.startswith(".") and not Path(pattern).name.startswith(".")


def _matches(folder: Path, pattern: str, new_files: Collection[Path]) -> list[Path] | tuple[str, str]:
    shown = clip(pattern)
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        return f"include {shown} leaves the manifest's folder", "name files below the manifest, relative to it"
    try:
        there = {file for file in folder.glob(pattern) if not (file.is_dir() or _hidden(pattern, file))}
        found = sorted(there.union(new for new in new_files if included_by(pattern, new.relative_to(folder))))
    except (ValueError, NotImplementedError, OSError) as error:
        return f"include {shown or '(empty)'} is not a valid pattern: {error}", "write a path like customers/*.yaml"
    return found or (f"include {shown} matches no file", "check the path: it is relative to the manifest's folder")


def _refusal(folder: Path, file: Path) -> tuple[str, str] | None:
    """Why a matched file is not read, as message and hint; None if it is."""
    shown = clip(str(file.relative_to(folder)))
    try:
        resolved = file.resolve(strict=True)
    except (OSError, RuntimeError):
        return f"include {shown} is a broken link", "fix the link, or remove it"
    if not resolved.is_relative_to(folder.resolve()):
        return f"include {shown} is a link that leaves the manifest's folder", "copy the file into the folder"
    if not resolved.is_file():
        return f"include {shown} is not a regular file", "name YAML or CSV files"
    if file.suffix.lower() not in LoadedManifest.INCLUDE_SUFFIXES:
        return f"include {shown} is neither YAML nor CSV", "name files that end in .yaml, .yml or .csv"
    return None


def _unicode_problems(source: YamlSource) -> list[Problem]:
    """Problems of strings that look like other strings: with invisible or decomposed characters."""
    problems: list[Problem] = []
    pending: list[tuple[Any, YamlMark]] = [] if source.plain else [(source.tree, START)]
    while pending:
        node, mark = pending.pop()
        if isinstance(node, MapNode):
            for key, value in node.items():
                pending += ((key, node.marks[key][0]), (value, node.marks[key][1]))
        elif isinstance(node, ListNode):
            pending += zip(node, node.marks, strict=True)
        elif isinstance(node, str) and (hidden := first_hidden_index(node)) is not None:
            what = f'"{clip(node)}" contains the invisible character {code_point(node[hidden])}'
            problems.append(problem_at(source.file, mark, what, "remove it, and find out who wrote it"))
        elif isinstance(node, str) and not unicodedata.is_normalized("NFC", node):
            what = f'"{clip(node)}" has decomposed characters (not Unicode NFC)'
            problems.append(problem_at(source.file, mark, what, f"write {clip(unicodedata.normalize('NFC', node))}"))
    return problems


MOST_FILES = 2_000
"""Maximum number of included files that are read for shell completion."""


def entry_names(path: Path, *sections: str) -> list[str]:
    """Names of the entries of `sections` (customers, switch_roles) in the order of the files, for shell completion.

    Nothing is validated: files that cannot be read are skipped. Takes a quarter of the time of `load_manifest`.
    """
    main = _source(path, read_text)
    files = _include(path, main, [], ())[:MOST_FILES]
    trees = [main.tree, *(_source(file, read_text).tree for file in files)]
    lists = (walk(tree, (section,)).value for section in sections for tree in trees)
    entries = (entry for found in lists if isinstance(found, ListNode) for entry in found)
    names = (entry.get("name") for entry in entries if isinstance(entry, MapNode))
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and name))


def starter_manifest(make_id: Callable[[], str] | None = None) -> str:
    """A valid manifest with comments. `make_id` generates external IDs; default: `fresh_external_id`."""
    make = make_id or fresh_external_id
    template = Template((template_folder() / "manifest" / "starter.yaml").read_text("utf-8"))
    # In quotes: YAML reads a hex id without letters, or with a single e, as a number.
    return template.substitute(first=f'"{make()}"', second=f'"{make()}"')


def fresh_external_id() -> str:
    """128 random bits in hex. An external ID is not a secret, but must not be guessable."""
    return secrets.token_hex(16)


def write_starter(path: Path, *, force: bool) -> None:
    """Write a starter manifest. Raises OutputError if the file cannot be written, or exists and `force` is not set."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(starter_manifest())
    except FileExistsError:
        raise OutputError("the file exists", where=str(path), hint="choose another name, or use --force") from None
    except OSError as error:
        raise OutputError(
            f"cannot write: {error.strerror}", where=str(path), hint="choose a file in a writable folder"
        ) from error
