"""Completion of commands, options and names of the manifest, as printed by the programs and as completed by the shells."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_rig import gen, runner

MANIFEST = """\
version: 1
include: [more/*.yaml, fleet.csv]
backend: {account_id: "111111111111"}
permission_sets: {ec2-read: {managed_policies: [AmazonEC2ReadOnlyAccess]}}
defaults: {permissions: [ec2-read]}
customers:
  - {name: acme, account_id: "222222222222"}
  - {name: "acme & sons", account_id: no one knows}
switch_roles:
  - {name: reena-in-sumesh}
"""
SOURCED = 'eval "$(env _{upper}_COMPLETE=source_bash {program})"'
TYPED = (
    "COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
    '_{program}_completion {program}; printf "%s\\n" "${{COMPREPLY[@]}}"'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest with errors and included files, and another manifest next to it."""
    (tmp_path / "more").mkdir()
    (tmp_path / "accounts.yaml").write_text(MANIFEST)
    (tmp_path / "more" / "some.yaml").write_text("customers: [{name: globex}, {account_id: nameless}]\n")
    (tmp_path / "fleet.csv").write_text("name,account_id\ninitech,333333333333\n")
    (tmp_path / "other.yaml").write_text('version: 1\ncustomers: [{name: umbrella, account_id: "444444444444"}]\n')
    return tmp_path


def shell(name: str, script: str, folder: Path) -> list[str]:
    """The lines that a shell prints for a script, without any error output. Skips the test if the shell is missing."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not on PATH")
    if (
        name == "bash"
        and subprocess.run(["bash", "-c", "((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404))"], check=False).returncode
    ):
        pytest.skip("Typer completes for bash 4.4 and newer")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("_GEN", "_RUNNER", "_TYPER", "AWS_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**kept, "PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "TERM": "dumb"}
    options = {"bash": ["--norc"], "zsh": ["--no-rcs"], "fish": ["--no-config"]}[name]
    done = subprocess.run(
        [name, *options, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "" == done.stderr
    return done.stdout.splitlines()


def completed(line: str, folder: Path) -> list[str]:
    """What a program prints for bash for the last word of a line, which may be empty (`''`)."""
    program, *_ = words = shlex.split(line)
    variables = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    environ = {f"_{program.upper()}_COMPLETE": "complete_bash", **variables}
    ended = {"gen": gen, "runner": runner}[program](cwd=folder, environ=environ)
    assert "" == ended.err
    return [each for each in ended.out.splitlines() if each]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gen terr", ["terraform"]),
        ("gen customer ro", ["rotate-external-id", "rotations"]),
        ("gen terraform --no-pr", ["--no-prune"]),
        ("gen check --fail-on w", ["warning"]),
        ("gen terraform --only ''", ["acme", "acme & sons", "globex", "initech", "reena-in-sumesh"]),
        ("gen terraform --only g", ["globex"]),
        ("gen terraform other.yaml --only ''", ["umbrella"]),
        ("gen bundle --manifest other.yaml u", ["umbrella"]),
        ("gen bundle acme i", ["initech"]),
        ("gen customer remove r", ["reena-in-sumesh"]),
        ("gen customer rotate-external-id ini", ["initech"]),
        ("runner onboard ''", ["acme", "acme & sons", "globex", "initech"]),
        ("runner switch-url ''", ["reena-in-sumesh"]),
        ("runner verify --limit gl", ["globex"]),
        ("runner shell gl", ["globex"]),
        ("runner status re", ["reena-in-sumesh"]),
        ("runner sandbox u", ["up"]),
    ],
)
def test_program_completes(folder: Path, line: str, expected: list[str]) -> None:
    """Commands, options, values and names, from the manifest on the line, including its includes, valid or not."""
    assert sorted(expected) == sorted(completed(line, folder))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gen terr", ["terraform"]),
        ("gen terraform --only ''", ["acme", "acme & sons", "globex", "initech", "reena-in-sumesh"]),
        ("runner onboard ''", ["acme", "acme & sons", "globex", "initech"]),
        ("runner nonsense x", []),
    ],
)
def test_bash_completes(folder: Path, line: str, expected: list[str]) -> None:
    """Bash completes names with spaces as one word each."""
    program = line.split(maxsplit=1)[0]
    script = f"{SOURCED}\n{TYPED}".format(upper=program.upper(), program=program, line=line)

    assert sorted(expected) == sorted(each for each in shell("bash", script, folder) if each)


@pytest.mark.parametrize(
    "text",
    [None, "customers: [", "- a list", "customers: {name: no list}", "include: [../../etc/*, /etc/*, 3]", "\x00", "&a [*a]"],
    ids=["none", "torn", "a list", "a mapping", "outside", "binary", "a loop"],
)
def test_unreadable_manifest_completes_nothing_silently(folder: Path, text: str | None) -> None:
    path = folder / "accounts.yaml"
    path.unlink() if text is None else path.write_text(text)

    assert [] == completed("gen terraform --only ''", folder)


@pytest.mark.parametrize("program", ["gen", "runner"])
def test_installed_completion_works_in_new_shell(folder: Path, program: str) -> None:
    """--install-completion detects the shell and writes its configuration."""
    shell("bash", f"{program} --install-completion; true", folder)
    line = f"{program} --vers"
    found = shell("bash", f". ~/.bashrc; {TYPED}".format(program=program, line=line), folder)

    assert ["--version"] == found


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["gen", "runner"])
def test_show_completion_prints_script_of_current_shell(folder: Path, name: str, program: str) -> None:
    shown = "\n".join(shell(name, f"{program} --show-completion; true", folder))

    assert f"complete_{name}" in shown
    assert program in shown


def test_fish_completes(folder: Path) -> None:
    line = shlex.quote("gen terraform --only g")
    found = shell("fish", f"env _GEN_COMPLETE=source_fish gen | source; complete -C {line}", folder)

    assert ["globex"] == [each.split("\t")[0] for each in found]


def test_zsh_completes(folder: Path) -> None:
    """The completion function passes names to `_arguments` of zsh."""
    script = (
        'compdef() { : }; _arguments() { print -r -- "$@" }; eval "$(env _GEN_COMPLETE=source_zsh gen)"; '
        "words=(gen terraform --only g); CURRENT=4; _gen_completion"
    )

    assert ['*: :(("globex"))'] == shell("zsh", script, folder)
