"""The cached parse tables of python-hcl2's grammar result in the same parser and are never read from an unsafe location."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lark import Lark
from lark.exceptions import UnexpectedInput

from rolecall_generator.terraform.parser import readers as grammar
from rolecall_generator.user_cache import user_cache_folder

GOLDEN = Path(__file__).parents[3] / "golden"
SAMPLES = {
    "empty": "",
    "operators": "a = !b && -1 + 2 * 3 >= 4 % 5 || c != d\n",
    "conditional over lines": "a = b ?\n  c :\n  d\n",
    "for": 'a = [for k, v in b : "${k}-${v}" if v]\nc = {for k in b : k => k...}\n',
    "paths": "a = b.c[0].d[*].e.*.f.0\n",
    "calls": "a = f(b, c...)\nd = p::q::r()\n",
    "objects": 'a = {b = 1, "c" : 2\n  (d) = 3\n  in = 4}\n',
    "blocks": 'a "b" c {\n  d {}\n}\nfor in {}\n',
    "heredoc": "a = <<EOF\n  ${b}\nEOF\n",
    "directives": 'a = "%{ if b }c%{ else }d%{ endif }$${e}"\n',
    "comments": "# a\n// b\n/* c\n*/ d = 1\n",
    "bad": "a = = b\n",
    "cut off": "a {\n",
}


@pytest.fixture(scope="module")
def cache_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables") / grammar.CACHE_NAME


@pytest.fixture(scope="module", autouse=True)
def built(cache_file: Path) -> Lark:
    """A parser with newly built tables, which are now in the cache file."""
    return grammar.build(str(cache_file))


@pytest.fixture(scope="module")
def cached(built: Lark, cache_file: Path) -> Lark:  # noqa: ARG001 - `built` writes the file
    """A parser with the tables of the cache file."""
    return grammar.build(str(cache_file))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder of this user, and no parser in this process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "rolecall").mkdir(mode=0o700, parents=True)
    grammar.parser.cache_clear()
    yield tmp_path / "cache" / "rolecall"
    grammar.parser.cache_clear()


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The cache argument that `parser` passes to `build`, which is replaced by a stub."""
    passed: list[str | None] = []
    monkeypatch.setattr(grammar, "build", lambda cache=None: passed.append(cache))
    return passed


def outcome(parser: Lark, text: str) -> object:
    try:
        tree = parser.parse(text + "\n")
    except UnexpectedInput as error:
        return type(error), error.line, error.column
    return tree, [(token, token.line, token.end_pos) for token in tree.scan_values(lambda _: True)]


@pytest.mark.parametrize("name", SAMPLES)
def test_cached_tables_parse_as_new_ones(name: str, built: Lark, cached: Lark) -> None:
    """Trees, positions and errors are the same."""
    assert outcome(built, SAMPLES[name]) == outcome(cached, SAMPLES[name])


def test_cached_tables_parse_generated_modules_as_new_ones(built: Lark, cached: Lark) -> None:
    texts = {path.read_text("utf-8") for path in GOLDEN.rglob("*.tf")}

    assert texts
    assert [] == [text for text in texts if outcome(built, text) != outcome(cached, text)]


@pytest.mark.parametrize("content", [b"", pytest.param(b"\0" * 4096, marks=pytest.mark.slow), b"cut off"])
def test_damaged_cache_is_rebuilt(content: bytes, folder: Path, cache_file: Path) -> None:
    file = folder / grammar.CACHE_NAME
    file.write_bytes(cache_file.read_bytes()[:100_000] if content == b"cut off" else content)

    assert outcome(grammar.parser(), SAMPLES["for"])
    assert cache_file.stat().st_size == pytest.approx(file.stat().st_size, rel=0.01)


def test_second_process_loads_the_tables(folder: Path) -> None:
    """The first process writes the cache, and a process that cannot build the tables still parses."""
    (module := folder.parent / "module").mkdir()
    (module / "main.tf").write_text('resource "aws_iam_group" "a" {\n  name = "b"\n}\n')
    script = (
        "import sys\nfrom pathlib import Path\nsys.path[:] = sys.argv[3:]\nimport lark.load_grammar\n"
        "if sys.argv[1] == 'second':\n    del lark.load_grammar.load_grammar, lark.lark.load_grammar\n"
        "from rolecall_generator.terraform.parser.parse import parse_module\n"
        "print(*parse_module(Path(sys.argv[2]), account_id='222222222222').access.groups)"
    )
    for run in ("first", "second"):
        command = [sys.executable, "-c", script, run, str(module), *sys.path]
        done = subprocess.run(
            command, env={"XDG_CACHE_HOME": str(folder.parent)}, capture_output=True, text=True, check=True
        )
        assert "arn:aws:iam::222222222222:group/b" == done.stdout.strip()


def test_private_folder_is_used(folder: Path, caches: list[str | None]) -> None:
    grammar.parser()

    assert [str(folder / grammar.CACHE_NAME)] == caches


def test_missing_folder_is_created_private(folder: Path) -> None:
    folder.rmdir()

    assert folder == user_cache_folder()
    assert 0o700 == folder.stat().st_mode & 0o777


class Exploit:
    """Unpickling this writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_folder_that_others_can_use_is_not_read(folder: Path, tmp_path: Path) -> None:
    """A pickle in a folder with permissions for others is not loaded, although Lark would load it."""
    (folder / grammar.CACHE_NAME).write_bytes(b"hash\n" + pickle.dumps(Exploit(tmp_path / "loaded")))
    folder.chmod(0o707)

    assert outcome(grammar.parser(), "a = 1\n")
    assert not (tmp_path / "loaded").exists()


def other_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)


def link_to_folder(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    folder.rename(folder.parent / "other")
    folder.symlink_to(folder.parent / "other")


def no_home(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/dev/null/home")


UNSAFE: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "readable by the group": lambda folder, _: folder.chmod(0o750),
    "open to others": lambda folder, _: folder.chmod(0o707),
    "writable by the group": lambda folder, _: folder.chmod(0o720),
    "in a folder where others could replace it": lambda folder, _: folder.parent.chmod(0o777),
    "a link": link_to_folder,
    "of another user": other_user,
    "without a home folder": no_home,
    "with a link as file": lambda folder, _: (folder / grammar.CACHE_NAME).symlink_to("/dev/null"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_cache_is_not_used(
    name: str, folder: Path, caches: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    UNSAFE[name](folder, monkeypatch)

    grammar.parser()

    assert [None] == caches


def test_folder_below_a_sticky_one_is_safe(folder: Path) -> None:
    """Others can write to the parent folder, but cannot replace the cache folder."""
    folder.parent.chmod(0o1777)

    assert folder == user_cache_folder()
