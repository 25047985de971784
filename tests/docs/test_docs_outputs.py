"""What the documentation shows is what happens: its files saved, its commands run, their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

import hcl2
import pytest

from command_lines import complaint, of_script
from docs_page import Saved, Typed, read_page
from docs_runner import ROOT, objections, rewritten, run_page

DOCS = ROOT / "docs"
PYTHON = Path(sys.executable)
# The longest pages: two minutes of CPU time together, and each of their commands has tests of its own.
SLOW = {
    "dask.md", "how-to/mfa.md", "how-to/partitions.md", "how-to/pre-commit.md", "how-to/python.md", "how-to/quota.md",
    "index.md", "onboarding.md", "plays.md", "query.md", "rotation.md",
}  # fmt: skip
PAGES = [
    path
    for path in sorted(DOCS.rglob("*.md"))
    if any(isinstance(s, Typed) for s in read_page(path.read_text("utf-8")).steps)
]


def marked(path: Path) -> Any:
    """A page as a case; the slowest are left to .ci/run."""
    name = path.relative_to(DOCS).as_posix()
    return pytest.param(path, id=name, marks=pytest.mark.slow if name in SLOW else ())


@pytest.mark.parametrize("path", [marked(path) for path in PAGES])
def test_a_page_shows_what_happens(path: Path, tmp_path: Path) -> None:
    """Every command of the page, in its order in one shell, prints what stands below it; `make golden` writes that anew."""
    text = path.read_text("utf-8")
    page = read_page(text)
    results = run_page(page, tmp_path)
    if os.environ.get("ROLECALL_REWRITE_GOLDEN"):
        path.write_text(rewritten(text, page, results), encoding="utf-8")
        page = read_page(path.read_text("utf-8"))
    found = objections(page, results)

    assert [] == found, "\n\n".join(found)


ALL = sorted(DOCS.rglob("*.md"))
FILES = [(path, step) for path in ALL for step in read_page(path.read_text("utf-8")).steps if isinstance(step, Saved)]
WORKFLOWS = [(path, file) for path, file in FILES if file.name.startswith(".github/workflows/")]
MODULES = [(path, file) for path, file in FILES if file.name.endswith(".tf")]


@pytest.mark.parametrize(("page", "file"), WORKFLOWS, ids=lambda each: getattr(each, "name", None))
def test_a_workflow_that_a_page_shows_passes_the_strictest_judge(page: Path, file: Saved, tmp_path: Path) -> None:
    """zizmor has no objection: pins, permissions, credentials, injection; and its commands are known."""
    path = tmp_path / file.name
    path.parent.mkdir(parents=True)
    path.write_text(file.text, encoding="utf-8")
    options = ("--offline", "--persona=auditor", "--strict-collection", "--no-progress", "--color=never")
    done = subprocess.run([PYTHON.with_name("zizmor"), *options, str(path)], capture_output=True, text=True, check=False)
    commands = re.findall(r"run: ((?:gen|runner) .*)$", file.text, re.MULTILINE)

    assert (0, "No findings to report. Good job!") == (done.returncode, done.stdout.splitlines()[0]), done.stdout
    assert commands, page
    assert [] == [found for line in commands for words in of_script(line) if (found := complaint(words))]


@pytest.mark.parametrize(("page", "file"), MODULES, ids=lambda each: getattr(each, "name", None))
def test_terraform_that_a_page_shows_is_terraform(page: Path, file: Saved) -> None:
    """It parses, and defines what the page speaks of."""
    found = hcl2.loads(file.text)

    assert found.get("resource"), page


PAGE = """\
<!-- starts with: examples/accounts.yaml as there.yaml -->

```yaml title="folder/kept.txt"
kept
```

```console
$ cat folder/kept.txt && ls
kept
folder
there.yaml
$ printf 'one\\ntwo\\nthree 2026-01-01\\n'
one
...
three 2030-12-31
$ false
$ echo $?
1
$ name=reader; echo \\
    "$name and more"
reader ...
```

<!-- not run: it needs an account -->
```console
$ false
```

    $ echo indented $name
    indented reader
"""


def test_a_page_is_run_as_a_reader_would(tmp_path: Path) -> None:
    """Files are saved first, the shell stays the same, cuts and dates are no difference, what is not run is not."""
    page = read_page(PAGE)

    assert [] == objections(page, run_page(page, tmp_path))
    assert ["it needs an account"] == [reason for _, reason in page.skipped]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("\nkept\nfolder", "\nlost\nfolder", "line 8: $ cat folder/kept.txt && ls\n-- the page shows\nlost"),
        ("one\n...\nthree", "one\nthree", "line 12: $ printf"),
        ("three 2030-12-31", "three of 2030-12-31", "line 12: $ printf"),
        ("$ echo $?\n1\n", "", "ended with 1, and the page does not say so"),
        ("kept.txt && ls", "kept.txt && exit", "was not reached, or did not end"),
    ],
)
def test_a_page_that_shows_something_else_is_noticed(tmp_path: Path, before: str, after: str, said: str) -> None:
    """Another output, a cut that is not marked, a failure that is not told and a shell that ends are each named."""
    assert before in PAGE
    page = read_page(PAGE.replace(before, after))

    assert said in "\n".join(objections(page, run_page(page, tmp_path)))


def test_a_page_is_rewritten_where_it_shows_something_else(tmp_path: Path) -> None:
    """What is right stays as it was written, cuts too; what is wrong becomes what was printed."""
    wrong = PAGE.replace("\nkept\nfolder", "\nlost").replace("    indented reader", "    indented writer")
    page = read_page(wrong)

    assert PAGE == rewritten(wrong, page, run_page(page, tmp_path))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_sessions_are_where_they_are_run(path: Path) -> None:
    """No typed line (`$ `) of a page stands in a block that no one runs, unless a reason says so."""
    text = path.read_text("utf-8")
    page = read_page(text)
    typed = [line for step in page.steps if isinstance(step, Typed) for line in step.command.splitlines()[:1]]
    skipped = {line for line, _ in page.skipped}
    lines = text.splitlines()
    of_skipped = [line for start in skipped for line in takewhile(lambda each: each != "```", lines[start - 1 :])]
    shown = [line.strip()[2:] for line in lines if line.strip().startswith("$ ")]

    assert Counter(shown) == Counter([*typed, *(line[2:] for line in of_skipped if line.startswith("$ "))])
