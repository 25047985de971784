"""Commands in the documentation print the output that the documentation shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from command_lines import complaint, of_script
from docs_page import Saved, Typed, read_page
from docs_runner import ROOT, objections, rewritten, run_page
from rolecall_generator.terraform.parser.readers import read_native

DOCS = ROOT / "docs"
PYTHON = Path(sys.executable)
# The longest pages: two minutes of CPU time in total, and each of their commands has its own tests.
SLOW = {
    "dask.md", "how-to/act-in-an-account.md", "how-to/mfa.md", "how-to/partitions.md", "how-to/pre-commit.md",
    "how-to/python.md", "how-to/query.md", "how-to/quota.md", "how-to/rehearse.md", "how-to/verify.md", "index.md",
    "onboarding.md", "plays.md", "query.md", "rotation.md", "tutorial.md",
}  # fmt: skip
PAGES = [
    path
    for path in sorted(DOCS.rglob("*.md"))
    if any(isinstance(s, Typed) for s in read_page(path.read_text("utf-8")).steps)
]


def marked(path: Path) -> Any:
    """A page as a test parameter; the slowest run only in .ci/run."""
    name = path.relative_to(DOCS).as_posix()
    return pytest.param(path, id=name, marks=pytest.mark.slow if name in SLOW else ())


@pytest.mark.parametrize("path", [marked(path) for path in PAGES])
def test_page_shows_actual_output(path: Path, tmp_path: Path) -> None:
    """All commands of a page, run in order in one shell, print the output shown; `make golden` rewrites it."""
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
def test_workflow_on_a_page_passes_zizmor(page: Path, file: Saved, tmp_path: Path) -> None:
    """zizmor reports nothing (pins, permissions, credentials, injection), and the workflow's commands exist."""
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
def test_terraform_on_a_page_parses(page: Path, file: Saved) -> None:
    """The code parses and defines what the page mentions."""
    assert [block for block in read_native(file.text, file.name).blocks if block.type == "resource"], page


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


def test_page_runs_in_one_shell(tmp_path: Path) -> None:
    """Files are saved first, the shell is reused, cuts and dates are ignored, and blocks marked `not run` are skipped."""
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
def test_wrong_page_is_reported(tmp_path: Path, before: str, after: str, said: str) -> None:
    """Different output, an unmarked cut, an undocumented failure and a shell that exits are each reported."""
    assert before in PAGE
    page = read_page(PAGE.replace(before, after))

    assert said in "\n".join(objections(page, run_page(page, tmp_path)))


def test_rewrite_changes_only_wrong_output(tmp_path: Path) -> None:
    """Correct output, including cuts, is kept; wrong output is replaced by the actual output."""
    wrong = PAGE.replace("\nkept\nfolder", "\nlost").replace("    indented reader", "    indented writer")
    page = read_page(wrong)

    assert PAGE == rewritten(wrong, page, run_page(page, tmp_path))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_every_typed_command_is_run(path: Path) -> None:
    """No typed line (`$ `) of a page is in a block that is not run, unless the page gives a reason."""
    text = path.read_text("utf-8")
    page = read_page(text)
    typed = [line for step in page.steps if isinstance(step, Typed) for line in step.command.splitlines()[:1]]
    skipped = {line for line, _ in page.skipped}
    lines = text.splitlines()
    of_skipped = [line for start in skipped for line in takewhile(lambda each: each != "```", lines[start - 1 :])]
    shown = [line.strip()[2:] for line in lines if line.strip().startswith("$ ")]

    assert Counter(shown) == Counter([*typed, *(line[2:] for line in of_skipped if line.startswith("$ "))])
