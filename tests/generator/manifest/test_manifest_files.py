"""Manifest files: includes, CSV, sizes, encodings, locations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from rolecall_generator.errors import ManifestError, Problem
from rolecall_generator.manifest.loader import LoadedManifest, included_by, load_manifest, parse_csv
from rolecall_generator.manifest.messages import translate
from rolecall_generator.manifest.models import Customer, IncludedFile

MAIN = 'version: 1\nbackend: {account_id: "111111111111"}\n'
CUSTOMER = 'customers: [{name: b, account_id: "222222222222"}]\n'


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / "accounts.yaml"


def load(folder: Path, files: Mapping[str, str | bytes]) -> LoadedManifest:
    return load_manifest(write(folder, files))


def problems(folder: Path, files: Mapping[str, str | bytes]) -> tuple[Problem, ...]:
    path = write(folder, files)
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    return caught.value.problems


def test_includes_are_merged_in_order(tmp_path: Path) -> None:
    """Customers of included YAML and CSV files follow those of the main file, by order of patterns and then by file name."""
    loaded = load(
        tmp_path,
        {
            "accounts.yaml": MAIN + "include: [customers/*.yaml, fleet.csv]\n"
            'customers: [{name: a, account_id: "999999999999"}]\n',
            "customers/2.yaml": CUSTOMER.replace("name: b", "name: c"),
            "customers/1.yaml": CUSTOMER.replace("2222", "3333"),
            "fleet.csv": "name,account_id\nd,012345678901\n",
        },
    )
    assert ["a", "b", "c", "d"] == [customer.name for customer in loaded.manifest.customers]
    assert ["accounts.yaml", "1.yaml", "2.yaml", "fleet.csv"] == [file.name for file in loaded.files]
    assert "012345678901" == loaded.manifest.customers[3].account_id


def test_location_of_included_entry_has_its_file(tmp_path: Path) -> None:
    """A customer, by name or index, and its keys have locations in its own file; so does a permission set."""
    loaded = load(
        tmp_path,
        {
            "accounts.yaml": MAIN + "include: [more.yml, fleet.csv]\n",
            "more.yml": "permission_sets:\n  p: {managed_policies: [A]}\n" + CUSTOMER,
            "fleet.csv": "name,account_id,tag:team\nd,333333333333,x\n",
        },
    )
    find = loaded.places.find
    assert ("more.yml", 3, 35) == where(find("customers", "b", "account_id"))
    assert ("more.yml", 3, 13) == where(find("customers", 0, "role"))
    assert ("fleet.csv", 2, 3) == where(find("customers", "d", "tags", "team"))
    assert ("more.yml", 2, 3) == where(find("permission_sets", "p", key=True))
    assert ("accounts.yaml", 2, 23) == where(find("backend", "account_id"))
    assert ("accounts.yaml", 1, 1) == where(find("customers", "nobody"))


def where(place: object) -> tuple[str, int, int]:
    file, line, column = str(place).rsplit(":", 2)
    return Path(file).name, int(line), int(column)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("../outside.yaml", "leaves the manifest's folder"),
        ("a/../../outside.yaml", "leaves the manifest's folder"),
        ("/etc/*.yaml", "leaves the manifest's folder"),
        ("none/*.yaml", "matches no file"),
        ("''", "(empty) is not a valid pattern"),
        ("notes.txt", "neither YAML nor CSV"),
    ],
)
def test_invalid_include_is_problem_at_its_pattern(tmp_path: Path, pattern: str, what: str) -> None:
    """Paths outside of the folder, patterns without a match, and unsupported file types."""
    (problem,) = problems(tmp_path, {"accounts.yaml": MAIN + f"include:\n  - {pattern}\n", "notes.txt": "x"})
    assert (4, 5) == (problem.line, problem.column)
    assert what in problem.what


@pytest.mark.parametrize("folder_too", [False, True])
def test_link_to_outside_of_folder_is_not_followed(tmp_path: Path, *, folder_too: bool) -> None:
    """Neither a linked file nor a linked folder includes files from outside of the manifest's folder."""
    inside = tmp_path / "inside"
    write(tmp_path, {"outside/x.yaml": CUSTOMER, "inside/accounts.yaml": MAIN + "include: [linked/*.yaml]\n"})
    if folder_too:
        (inside / "linked").symlink_to(tmp_path / "outside")
    else:
        (inside / "linked").mkdir()
        (inside / "linked" / "x.yaml").symlink_to(tmp_path / "outside" / "x.yaml")
    (problem,) = problems(inside, {})
    assert "leaves the manifest's folder" in problem.what


def test_dangling_link_is_problem(tmp_path: Path) -> None:
    """A link to a missing file, and a link to itself."""
    (tmp_path / "a.yaml").symlink_to(tmp_path / "gone.yaml")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "b.yaml")
    found = problems(tmp_path, {"accounts.yaml": MAIN + "include: ['?.yaml']\n"})
    assert [True, True] == ["broken link" in problem.what for problem in found]


def test_manifest_that_matches_its_own_pattern_is_read_once(tmp_path: Path) -> None:
    """`include: ["*.yaml"]` includes the other files, not the manifest itself, and each file once."""
    loaded = load(tmp_path, {"accounts.yaml": MAIN + 'include: ["*.yaml", b.yaml]\n', "b.yaml": CUSTOMER})
    assert ["accounts.yaml", "b.yaml"] == [file.name for file in loaded.files]


@pytest.mark.parametrize("key", ["include: [c.yaml]", "backend: {}", "defaults: {}"])
def test_included_file_can_contain_only_entries(tmp_path: Path, key: str) -> None:
    """Other keys belong to the main manifest and are rejected in an included file, with a hint."""
    (problem,) = problems(tmp_path, {"accounts.yaml": MAIN + "include: [b.yaml]\n", "b.yaml": CUSTOMER + key + "\n"})
    assert ("b.yaml", 2, "move it to the main manifest") == (Path(problem.file).name, problem.line, problem.hint)


def test_problems_of_all_files_are_reported_in_file_order(tmp_path: Path) -> None:
    """Those of the main file, a YAML file and a CSV file are reported in one pass, main file first."""
    found = problems(
        tmp_path,
        {
            "accounts.yaml": MAIN + "include: [z.yaml, a.csv]\nbogus: 1\n",
            "z.yaml": "customers: [\n",
            "a.csv": "name,account_id\na b,222222222222\n",
        },
    )
    assert ["accounts.yaml", "z.yaml", "a.csv"] == [Path(problem.file).name for problem in found]


def test_duplicate_names_are_found_across_files(tmp_path: Path) -> None:
    """The second of two customers with the same name has the problem, which names the location of the first."""
    files = {"accounts.yaml": MAIN + "include: [b.yaml]\n" + CUSTOMER, "b.yaml": CUSTOMER.replace("2222", "4444")}
    (problem,) = problems(tmp_path, files)
    assert ("b.yaml", 1) == (Path(problem.file).name, problem.line)
    assert "accounts.yaml:4:20" in problem.what


def test_file_of_100_mb_is_rejected_before_reading(tmp_path: Path) -> None:
    """A sparse file is rejected because of its size."""
    file = tmp_path / "accounts.yaml"
    with file.open("wb") as stream:
        stream.truncate(100_000_000)
    (problem,) = problems(tmp_path, {})
    assert "larger than 32 MiB" in problem.what


@pytest.mark.parametrize(
    ("content", "line", "column", "what"),
    [
        (b"version: 1\nx: \xff\n", 2, 4, "not UTF-8"),
        ("version: 1\n".encode("utf-16"), 1, 1, "not UTF-8"),
        (b"\x7fELF\x02\x01\x00", 1, 1, "control character"),
        (b"version: 1\n\x00", 2, 1, "control character U+0000"),
    ],
)
def test_binary_file_is_rejected(tmp_path: Path, content: bytes, line: int, column: int, what: str) -> None:
    """Binary files and unsupported encodings are rejected at the first invalid byte."""
    (problem,) = problems(tmp_path, {"accounts.yaml": content})
    assert (line, column) == (problem.line, problem.column)
    assert what in problem.what


def test_missing_file_and_folder_are_problems(tmp_path: Path) -> None:
    """Both have a hint."""
    (missing,) = problems(tmp_path, {})
    (tmp_path / "accounts.yaml").mkdir()
    (folder,) = problems(tmp_path, {})
    assert ("there is no such file", "this is a folder, not a file") == (missing.what, folder.what)


class Locked(type(Path())):  # type: ignore[misc]
    """A path that cannot be read, not even by root."""

    def open(self, *_arguments: object, **_options: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")


def test_file_without_permission_is_problem(tmp_path: Path) -> None:
    """It has a hint."""
    with pytest.raises(ManifestError) as caught:
        load_manifest(Locked(write(tmp_path, {"accounts.yaml": MAIN})))
    (problem,) = caught.value.problems
    assert ("permission denied", "check the permissions of the file") == (problem.what, problem.hint)


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """Files saved by Windows editors are loaded, and columns are counted without the mark."""
    loaded = load(tmp_path, {"accounts.yaml": b"\xef\xbb\xbf" + MAIN.encode()})
    assert 10 == loaded.places.find("version").column


@pytest.mark.parametrize(("pattern", "found"), [("c/*", ["a"]), ("c/.*", ["hidden"]), ("**/*", ["a"])])
def test_wildcards_do_not_match_hidden_files(tmp_path: Path, pattern: str, found: list[str]) -> None:
    """Files of editors and file managers are not part of the manifest, unless the pattern starts with a dot."""
    manifest = tmp_path / "accounts.yaml"
    manifest.write_text(f'version: 1\nbackend: {{account_id: "111111111111"}}\ninclude: ["{pattern}"]\n')
    (tmp_path / "c").mkdir()
    for name, file, account in (("a", "a.yaml", "222222222222"), ("hidden", ".b.yaml", "333333333333")):
        (tmp_path / "c" / file).write_text(f'customers:\n  - {{name: {name}, account_id: "{account}"}}\n')

    assert found == [customer.name for customer in load_manifest(manifest).manifest.customers]
    assert [included_by(pattern, Path("c") / file) for file in ("a.yaml", ".b.yaml")] == ["a" in found, "hidden" in found]


def customers(text: str) -> tuple[Customer, ...]:
    source = parse_csv(text, "fleet.csv")
    assert () == source.problems
    return IncludedFile.model_validate(source.tree).customers


def test_every_kind_of_column_is_read() -> None:
    """Strings, lists, numbers, booleans, tags, labels and variables are read into their fields; empty cells are ignored."""
    (customer,) = customers(
        "name, account_id ,permissions,regions,max_session_seconds,session_tags,tag:team,label:tier,variable:x,role\n"
        "a,012345678901,s3-read; ec2-read,eu-west-1 eu-central-1,7200,TRUE,blue,gold,1,\n"
    )
    expected = Customer(
        name="a",
        account_id="012345678901",
        permissions=("s3-read", "ec2-read"),
        regions=("eu-west-1", "eu-central-1"),
        max_session_seconds=7200,
        session_tags=True,
        tags={"team": "blue"},
        labels={"tier": "gold"},
        variables={"x": "1"},
    )
    assert expected == customer


def test_short_rows_and_blank_lines_are_accepted() -> None:
    """Missing cells at the end of a row and empty lines between rows are ignored."""
    found = customers("name,account_id,role\r\na,222222222222\r\n\r\n,,\r\nb,333333333333,r\r\n")
    assert [("a", None), ("b", "r")] == [(customer.name, customer.role) for customer in found]


@pytest.mark.parametrize(
    ("text", "line", "column", "what", "hint"),
    [
        ("", 1, 1, "no header row", "name,account_id"),
        ("name,acount_id\n", 1, 2, "unknown column acount_id", "write account_id"),
        ("name,zzzzz\n", 1, 2, "unknown column zzzzz", "tag:KEY"),
        ("name,name\n", 1, 2, "duplicate column name", "keep one"),
        ("name,tag:\n", 1, 2, "has no key", "tag:KEY"),
        ("name,account_id\na,222222222222,x\n", 2, 3, "3 cells, the header 2", "quote cells"),
        ('name,account_id\n"a', 2, 1, "not CSV", "quote cells"),
        ('name,account_id\n"a"b,1\n', 2, 1, "not CSV", "quote cells"),
    ],
)
def test_invalid_csv_has_problem_with_line_and_field(text: str, line: int, column: int, what: str, hint: str) -> None:
    """The line is that of the file, and the column is the number of the field."""
    (problem,) = parse_csv(text, "fleet.csv").problems
    assert (line, column) == (problem.line, problem.column)
    assert what in problem.what
    assert hint in problem.hint


def test_line_of_problem_counts_line_breaks_in_cells() -> None:
    """Lines are those of the file, not rows: a quoted line break shifts the following rows."""
    source = parse_csv('name,account_id,variable:note\na,222222222222,"two\nlines"\nb,33,\n', "fleet.csv")
    try:
        IncludedFile.model_validate(source.tree)
    except ValueError as error:
        found = translate(error, source.tree, "fleet.csv", IncludedFile)  # type: ignore[arg-type]
    ((problem, _),) = found
    assert ("fleet.csv", 4, 2) == (problem.file, problem.line, problem.column)
