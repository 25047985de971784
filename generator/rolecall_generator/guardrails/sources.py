"""Reads the policies of an organization from files, a folder, or standard input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import SelectionError
from rolecall_generator.guardrails.policies import (
    MAXIMUM_CHARACTERS,
    GuardrailKind,
    GuardrailLevel,
    GuardrailPolicy,
    Guardrails,
    PolicyProblemsError,
    parse_policies,
    with_full_access,
)

STANDARD_INPUT = "-"
_PASTED = "organization"
_DEEPEST = 8  # root, five levels of units, account, and one more for a folder around them


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The files of a command line, each as FILE or LEVEL=FILE; `-` is standard input. `folder`: see `read_folder`."""

    scps: tuple[str, ...] = ()
    rcps: tuple[str, ...] = ()
    folder: Path | None = None


def read_files(
    files: PolicyFiles, account_id: str, stdin: Callable[[], str], organization_id: str | None = None
) -> Guardrails:
    """Read the policies of an account, from the root down.

    Files without a level are attached to one level; levels are in the order of their first file.

    Raises PolicyProblemsError for what cannot be read, or SelectionError for an argument that names nothing.
    """
    levels: dict[str, list[GuardrailPolicy]] = {}
    if files.folder is not None:
        for level in read_folder(files.folder, account_id):
            levels.setdefault(level.name, []).extend(level.policies)
    for kind, arguments in ((GuardrailKind.SCP, files.scps), (GuardrailKind.RCP, files.rcps)):
        for argument in arguments:
            level_name, path = _split(argument, f"--{kind.lower()}")
            text = stdin() if path == STANDARD_INPUT else _read(Path(path))
            where = "standard input" if path == STANDARD_INPUT else path
            levels.setdefault(level_name, []).extend(parse_policies(text, where, kind))
    found, notes = with_full_access(GuardrailLevel(name, tuple(policies)) for name, policies in levels.items())
    return Guardrails(found, organization_id, notes=notes)


def _split(argument: str, option: str) -> tuple[str, str]:
    if not argument.strip():
        raise SelectionError("the value is empty", where=option, hint="write FILE, LEVEL=FILE, or - for standard input")
    level, equals, path = argument.partition("=")
    if equals and not Path(argument).exists():
        if not level or not path:
            raise SelectionError(f"{argument} names no level and file", where=option, hint="write LEVEL=FILE")
        return level, path
    return _PASTED, argument


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(4 * MAXIMUM_CHARACTERS + 1)
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyProblemsError.at(str(path), "the file is not UTF-8 text", "save it as UTF-8") from error
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise PolicyProblemsError.at(str(path), what, "check its name and permissions") from error


def read_folder(folder: Path, account_id: str) -> list[GuardrailLevel]:
    """The levels of a folder whose subfolders are the units, and the account in or below them.

    The account's folder is the one whose name contains the account ID. Without one, the folders must form a single chain.
    Each JSON file is a policy that is attached to the level of its folder; RCPs have a Principal, SCPs have none.
    """
    if not folder.is_dir():
        raise SelectionError(f"{folder} is not a folder", where="--folder", hint="name the folder of the root")
    chain = _chain(folder, account_id)
    if chain is None:
        hint = f"name the folder of the account after its ID, {account_id}"
        raise SelectionError(f"no folder below {folder} is that of the account", where="--folder", hint=hint)
    return [
        GuardrailLevel(
            "/".join((folder.name, *level.relative_to(folder).parts)),
            tuple(
                policy for file in sorted(level.glob("*.json")) for policy in parse_policies(_read(file), str(file), None)
            ),
        )
        for level in chain
    ]


def _chain(folder: Path, account_id: str) -> Sequence[Path] | None:
    """The folders from `folder` to that of the account; None if there is none."""
    if account_id in folder.name:
        return [folder]
    single: list[Path] | None = [folder]
    pending: list[tuple[Path, tuple[Path, ...]]] = [(folder, (folder,))]
    while pending:
        parent, path = pending.pop()
        children = sorted(child for child in parent.iterdir() if child.is_dir() and not child.name.startswith("."))
        for child in children:
            if account_id in child.name:
                return (*path, child)
            if len(path) < _DEEPEST:
                pending.append((child, (*path, child)))
        if len(children) > 1:
            single = None
        elif single is not None and children and parent == single[-1]:
            single.append(children[0])
    return single
