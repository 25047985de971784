"""Runs the commands of a documentation page and compares their output with the page.

`docs_page` describes the blocks of a page. A command that fails is followed by `$ echo $?`, so that readers see it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from docs_page import Page, Saved, Typed
from shared_cache import SHARED_CACHE

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 600
_ENDED = re.compile(r"^ended (\d+) (\d+)$", re.MULTILINE)

# Normalize in both outputs what differs between runs.
_VOLATILE = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b20\d{6}-\d{6}-[0-9a-f]{6}\b"), "RUN"),
    (re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?"), "TIME"),
    (re.compile(r"\b20\d\d-\d\d-\d\d\b"), "DATE"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "HEX"),
    (re.compile(r"\bA[KSRI][A-Z]{2}[A-Z0-9]{12,17}\b"), "KEY"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    # An age in its own column is `now` below one second, and minutes on a slow machine.
    (re.compile(r"\b\d+(?:\.\d+)? (?:s|ms|min)\b|(?<=  )now(?=  )"), "SECONDS"),
    (re.compile(r"\b(ok|skipped)=\d+"), r"\1=N"),  # each verify run tries another sample of actions
    (re.compile(r"\bpid \d+"), "pid PID"),
    (re.compile(r"\brolecall-(other|unrelated)-[0-9a-f]{12}\b"), r"rolecall-\1-NAME"),
    (re.compile(r"\bvpc-[0-9a-f]+\b"), "VPC"),
    (re.compile(r"([━─═])[━─═]+"), r"\1"),
    (re.compile(r" {2,}"), "  "),
)


@dataclass(frozen=True, slots=True)
class Printed:
    """Output of a command on both streams, and its exit code; None when the shell ended before it."""

    lines: tuple[str, ...]
    code: int | None


def run_page(page: Page, folder: Path) -> list[Printed]:
    """Run a page's steps in an empty folder; one result per command, in order."""
    work, record = folder / "work", folder / "record"
    for each in (work, record, folder / "home"):
        each.mkdir(parents=True)
    for source, target in page.starts:
        (work / target).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
        copy(ROOT / source, work / target)
    commands = [step for step in page.steps if isinstance(step, Typed)]
    script = folder / "page.sh"
    script.write_text(_script(page.steps, record), encoding="utf-8")
    ended = _shell(script, work, _environment(folder))
    codes = {int(number): int(code) for number, code in _ENDED.findall(ended)}
    return [_printed(record / f"{number}.out", codes.get(number)) for number in range(len(commands))]


def _script(steps: tuple[Typed | Saved, ...], record: Path) -> str:
    """One script per page: all commands in one shell, the output of each in a file."""
    lines = ["exec 3>&1", "ended=0"]
    if any(isinstance(step, Typed) and "sandbox up" in step.command for step in steps):
        lines.insert(0, "trap 'runner sandbox down --quiet >/dev/null 2>&1' EXIT")
    number = 0
    for step in steps:
        if isinstance(step, Saved):
            name = shlex.quote(step.name)
            lines += [f'mkdir -p "$(dirname {name})"', f"printf %s {shlex.quote(step.text)} > {name}"]
            continue
        out = shlex.quote(str(record / f"{number}.out"))
        # `$?` is passed on to the next command, as on a terminal; commands do not read the script as their input.
        lines += [f"{{ (exit $ended); {step.command}", f"}} > {out} 2>&1 3>&- < /dev/null", "ended=$?"]
        lines.append(f"echo ended {number} $ended >&3")
        number += 1
    return "\n".join([*lines, ""])


def _shell(script: Path, work: Path, environment: dict[str, str]) -> str:
    """The shell's report on the ends of its commands; after a timeout, the report so far."""
    command = ["bash", "--norc", str(script)]
    with subprocess.Popen(
        command, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as shell:
        try:
            return shell.communicate(timeout=TIMEOUT_SECONDS)[0]
        except subprocess.TimeoutExpired:
            shell.terminate()
            return shell.communicate(timeout=30)[0]


def _environment(folder: Path) -> dict[str, str]:
    """A reader's environment: no AWS variables and no git identity, the programs first on PATH."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "GIT_", "ROLECALL_", "PYTEST_"))}
    return {
        **kept,
        **SHARED_CACHE,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "PRE_COMMIT_HOME": str(folder / "home" / "pre-commit"),
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "120",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "AWS_EC2_METADATA_DISABLED": "true",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Reader",
        "GIT_AUTHOR_EMAIL": "reader@example.com",
        "GIT_COMMITTER_NAME": "Reader",
        "GIT_COMMITTER_EMAIL": "reader@example.com",
    }


def _printed(out: Path, code: int | None) -> Printed:
    text = out.read_text("utf-8", errors="replace") if out.exists() else ""
    return Printed(tuple(line.rstrip() for line in text.rstrip().splitlines()), code)


def objections(page: Page, results: list[Printed]) -> list[str]:
    """Where a page differs from the output or omits a failure: command, output shown, actual output."""
    found = []
    commands = [step for step in page.steps if isinstance(step, Typed)]
    for place, (typed, printed) in enumerate(zip(commands, results, strict=True)):
        where = f"line {typed.line}: $ {typed.command}"
        following = commands[place + 1].command if place + 1 < len(commands) else ""
        if printed.code is None:
            found.append(f"{where}\nwas not reached, or did not end")
        elif printed.code != 0 and following != "echo $?":
            found.append(f"{where}\nended with {printed.code}, and the page does not say so:\n" + "\n".join(printed.lines))
        if printed.code is not None and not shows(typed.shown, printed.lines):
            found.append("\n".join([where, "-- the page shows", *typed.shown, "-- printed was", *printed.lines]))
    return found


def shows(shown: tuple[str, ...], printed: tuple[str, ...]) -> bool:
    """Whether the shown lines equal the output, except for cuts (`...`) and what differs between runs."""
    lines = [alike(line) for line in printed]
    reached = {0}
    for line in shown:
        if line.strip() == "...":
            reached = set(range(min(reached), len(lines) + 1))
        else:
            pattern = _line_pattern(alike(line))
            reached = {place + 1 for place in reached if place < len(lines) and pattern.fullmatch(lines[place])}
        if not reached:
            return False
    return len(lines) in reached


def _line_pattern(line: str) -> re.Pattern[str]:
    """A line in which `...` matches anything. Atomic groups prevent minutes of backtracking on pages with many cuts."""
    first, *others = map(re.escape, line.split("..."))
    if not others:
        return re.compile(first)
    return re.compile(first + "".join(f"(?>.*?{part})" for part in others[:-1]) + f".*{others[-1]}")


def alike(line: str) -> str:
    """A line without what differs between runs."""
    for pattern, replacement in _VOLATILE:
        line = pattern.sub(replacement, line)
    return line.rstrip()


def rewritten(text: str, page: Page, results: list[Printed]) -> str:
    """The page with actual output where it differs; for deliberate changes, to be reviewed afterwards."""
    lines = text.splitlines()
    commands = [step for step in page.steps if isinstance(step, Typed)]
    for typed, printed in reversed(list(zip(commands, results, strict=True))):
        if shows(typed.shown, printed.lines):
            continue
        start = typed.line - 1 + len(typed.command.splitlines())
        indent = "    " if lines[typed.line - 1].startswith("    ") else ""
        lines[start : start + len(typed.shown)] = [f"{indent}{line}".rstrip() for line in printed.lines]
    return "\n".join([*lines, ""])
