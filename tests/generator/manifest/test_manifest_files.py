"""Manifest files as files: includes, CSV, sizes, encodings, places."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from rolecall_generator.errors import ManifestError, Problem
from rolecall_generator.manifest.loader import LoadedManifest, included_by, load_manifest

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


def test_includes_add_up_in_order(tmp_path: Path) -> None:
    """Customers of YAML and CSV files follow the main file's own, patterns in order and files sorted."""
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


def test_places_know_the_file_of_an_included_entry(tmp_path: Path) -> None:
    """A customer is found by name or index in its own file, down to the key, and a set in the file that holds it."""
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
def test_an_include_that_cannot_be_followed_is_told_at_its_pattern(tmp_path: Path, pattern: str, what: str) -> None:
    """Leaving the folder, matching nothing and naming other kinds of files are refused where the pattern stands."""
    (problem,) = problems(tmp_path, {"accounts.yaml": MAIN + f"include:\n  - {pattern}\n", "notes.txt": "x"})
    assert (4, 5) == (problem.line, problem.column)
    assert what in problem.what


@pytest.mark.parametrize("folder_too", [False, True])
def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path: Path, *, folder_too: bool) -> None:
    """Neither a linked file nor a linked folder brings in what is outside the manifest's folder."""
    inside = tmp_path / "inside"
    write(tmp_path, {"outside/x.yaml": CUSTOMER, "inside/accounts.yaml": MAIN + "include: [linked/*.yaml]\n"})
    if folder_too:
        (inside / "linked").symlink_to(tmp_path / "outside")
    else:
        (inside / "linked").mkdir()
        (inside / "linked" / "x.yaml").symlink_to(tmp_path / "outside" / "x.yaml")
    (problem,) = problems(inside, {})
    assert "leaves the manifest's folder" in problem.what


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    """A dangling link and a link to itself are problems, not crashes."""
    (tmp_path / "a.yaml").symlink_to(tmp_path / "gone.yaml")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "b.yaml")
    found = problems(tmp_path, {"accounts.yaml": MAIN + "include: ['?.yaml']\n"})
    assert [True, True] == ["broken link" in problem.what for problem in found]


def test_a_manifest_that_matches_its_own_pattern_is_read_once(tmp_path: Path) -> None:
    """`include: ["*.yaml"]` takes the neighbours and not the manifest itself, and no file twice."""
    loaded = load(tmp_path, {"accounts.yaml": MAIN + 'include: ["*.yaml", b.yaml]\n', "b.yaml": CUSTOMER})
    assert ["accounts.yaml", "b.yaml"] == [file.name for file in loaded.files]


@pytest.mark.parametrize("key", ["include: [c.yaml]", "backend: {}", "defaults: {}"])
def test_an_included_file_holds_entries_alone(tmp_path: Path, key: str) -> None:
    """What belongs into the main manifest is refused in an included file, with the hint."""
    (problem,) = problems(tmp_path, {"accounts.yaml": MAIN + "include: [b.yaml]\n", "b.yaml": CUSTOMER + key + "\n"})
    assert ("b.yaml", 2, "move it to the main manifest") == (Path(problem.file).name, problem.line, problem.hint)


def test_problems_of_all_files_come_at_once_in_file_order(tmp_path: Path) -> None:
    """A bad main file, a broken YAML file and a bad CSV file are all told, main file first."""
    found = problems(
        tmp_path,
        {
            "accounts.yaml": MAIN + "include: [z.yaml, a.csv]\nbogus: 1\n",
            "z.yaml": "customers: [\n",
            "a.csv": "name,account_id\na b,222222222222\n",
        },
    )
    assert ["accounts.yaml", "z.yaml", "a.csv"] == [Path(problem.file).name for problem in found]


def test_duplicates_are_found_across_files(tmp_path: Path) -> None:
    """The second of two customers with one name is told in its own file, and names the place of the first."""
    files = {"accounts.yaml": MAIN + "include: [b.yaml]\n" + CUSTOMER, "b.yaml": CUSTOMER.replace("2222", "4444")}
    (problem,) = problems(tmp_path, files)
    assert ("b.yaml", 1) == (Path(problem.file).name, problem.line)
    assert "accounts.yaml:4:20" in problem.what


def test_a_hundred_megabytes_are_refused_unread(tmp_path: Path) -> None:
    """A sparse file of 100 MB is refused by its size."""
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
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, line: int, column: int, what: str) -> None:
    """Binary files and other encodings are refused at the first byte that shows it."""
    (problem,) = problems(tmp_path, {"accounts.yaml": content})
    assert (line, column) == (problem.line, problem.column)
    assert what in problem.what


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    """A manifest that is not there or is a folder is a problem with a hint."""
    (missing,) = problems(tmp_path, {})
    (tmp_path / "accounts.yaml").mkdir()
    (folder,) = problems(tmp_path, {})
    assert ("there is no such file", "this is a folder, not a file") == (missing.what, folder.what)


class Locked(type(Path())):  # type: ignore[misc]
    """A path that may not be read, for root too."""

    def open(self, *_arguments: object, **_options: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")


def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    """Permission denied is a problem with a hint."""
    with pytest.raises(ManifestError) as caught:
        load_manifest(Locked(write(tmp_path, {"accounts.yaml": MAIN})))
    (problem,) = caught.value.problems
    assert ("permission denied", "check the permissions of the file") == (problem.what, problem.hint)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Files that Windows editors saved load, and their columns count without the mark."""
    loaded = load(tmp_path, {"accounts.yaml": b"\xef\xbb\xbf" + MAIN.encode()})
    assert 10 == loaded.places.find("version").column


@pytest.mark.parametrize(("pattern", "found"), [("c/*", ["a"]), ("c/.*", ["hidden"]), ("**/*", ["a"])])
def test_wildcards_leave_hidden_files_out(tmp_path: Path, pattern: str, found: list[str]) -> None:
    """What editors and file managers put next to the files is no part of the manifest, unless the pattern asks for it."""
    manifest = tmp_path / "accounts.yaml"
    manifest.write_text(f'version: 1\nbackend: {{account_id: "111111111111"}}\ninclude: ["{pattern}"]\n')
    (tmp_path / "c").mkdir()
    for name, file, account in (("a", "a.yaml", "222222222222"), ("hidden", ".b.yaml", "333333333333")):
        (tmp_path / "c" / file).write_text(f'customers:\n  - {{name: {name}, account_id: "{account}"}}\n')

    assert found == [customer.name for customer in load_manifest(manifest).manifest.customers]
    assert [included_by(pattern, Path("c") / file) for file in ("a.yaml", ".b.yaml")] == ["a" in found, "hidden" in found]
