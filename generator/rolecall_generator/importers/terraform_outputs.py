"""`gen import terraform-outputs`: what customers' applies gave, as `terraform output -json` or a state says it.

Read are `terraform output -json`, `terraform show -json` and a state file of version 4. In each, outputs stand by name with
a `value`: a customer is a module's own pair of role_arn and external_id, or any output whose value is an object with a
role_arn (those who call the modules as children pass them on so), or a mapping of such objects.

Customers write these files, and mail programs and browsers name them. So a file is matched by the account id in the role's
ARN and the external id with it; its name serves only to name a customer that the manifest does not have yet.
Source: Terraform documentation, "JSON output format", November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rolecall_generator.errors import Problem
from rolecall_generator.importers.interface import ImportedAccount, ImportProblemsError, Reading, role_fields
from rolecall_generator.manifest.yaml_source import MAXIMUM_BYTES, Point
from rolecall_generator.text import clip

_ROLE_ARN, _EXTERNAL_ID = "role_arn", "external_id"
_GENERAL = frozenset({"output", "outputs", "terraform", "state", "show", "plan"})
_HOW = "write it with `terraform output -json` in the folder of the customer's module"

Output = tuple[str, Mapping[str, Any]]
"""The name of a customer as a source has it, and its values by the outputs' names."""


def read_output_accounts(paths: Sequence[Path]) -> Reading:
    """The accounts of such files. Raises ImportProblemsError with everything that is wrong in any of them."""
    problems: list[Problem] = []
    accounts: list[ImportedAccount] = []
    for path in paths:
        try:
            text, body = _read(path)
            accounts += _accounts(path, text, body)
        except ImportProblemsError as error:
            problems += error.problems
    if problems:
        raise ImportProblemsError(problems, accounts)
    return Reading(", ".join(map(str, paths)), tuple(accounts), from_customers=True)


def _accounts(path: Path, text: str, body: Any) -> Iterator[ImportedAccount]:
    found = list(_customers(_outputs(path, body), path))
    if not found:
        what = f"no output is called {_ROLE_ARN}, nor has an object with a {_ROLE_ARN} as its value"
        raise _error(path, 1, what, _HOW)
    for name, values in found:
        arn, external_id = values[_ROLE_ARN], values.get(_EXTERNAL_ID)
        fields = role_fields(arn) if isinstance(arn, str) else None
        line = _line_of(text, arn)
        if fields is None:
            hint = "the module's role_arn is arn:aws:iam::ACCOUNT:role/NAME: have the customer apply, then send it again"
            raise _error(path, line + 1, f"{_ROLE_ARN} of {name} is no role: {clip(json.dumps(arn))}", hint)
        marks = dict.fromkeys(fields, Point(line, 0))
        if external_id is not None:
            if not isinstance(external_id, str):
                what = f"{_EXTERNAL_ID} of {name} is no text: {clip(json.dumps(external_id))}"
                raise _error(path, _line_of(text, external_id) + 1, what, "an external id is a text in quotes")
            fields[_EXTERNAL_ID] = external_id
            marks[_EXTERNAL_ID] = Point(_line_of(text, external_id), 0)
        yield ImportedAccount(name, fields, str(path), Point(line, 0), marks, arn.split(":")[1])


def _outputs(path: Path, body: Any) -> Mapping[str, Any]:
    """Outputs by name, with their values."""
    if isinstance(body, dict) and "format_version" in body:
        values = body.get("values")
        body = values.get("outputs") if isinstance(values, dict) else None
    elif isinstance(body, dict) and isinstance(body.get("version"), int) and "terraform_version" in body:
        body = body.get("outputs")
    if not isinstance(body, dict) or not all(isinstance(item, dict) and "value" in item for item in body.values()):
        raise _error(path, 1, "these are no outputs of Terraform", _HOW)
    return {name: item["value"] for name, item in body.items()}


def _customers(outputs: Mapping[str, Any], path: Path) -> Iterator[Output]:
    if isinstance(outputs.get(_ROLE_ARN), str):
        yield _name_of(path), outputs
    for name, value in outputs.items():
        if isinstance(value, dict) and _ROLE_ARN in value:
            yield name, value
        elif isinstance(value, dict):
            yield from ((key, inner) for key, inner in value.items() if isinstance(inner, dict) and _ROLE_ARN in inner)


def _name_of(path: Path) -> str:
    """A customer's name by its file, or by the file's folder where the file is called as all of them are."""
    stem = path.name.partition(".")[0]
    return path.resolve().parent.name if stem.casefold() in _GENERAL else stem


def _read(path: Path) -> tuple[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAXIMUM_BYTES + 1)
        if len(data) > MAXIMUM_BYTES:
            raise _error(path, 1, f"the file is larger than {MAXIMUM_BYTES // 1024 // 1024} MiB", _HOW)
        # Windows' shells write UTF-16 when told to redirect into a file.
        text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
        return text, json.loads(text, object_pairs_hook=_unambiguous)
    except OSError as error:
        raise _error(path, 1, f"the file cannot be read: {error.strerror}", "check its name and permissions") from error
    except json.JSONDecodeError as error:
        raise _error(path, error.lineno, f"the file is not JSON: {error.msg}", _HOW) from error
    except _TwiceError as error:
        raise _error(path, 1, f"the file has {clip(str(error))} twice in one object", _HOW) from error
    except (ValueError, RecursionError) as error:  # no UTF-8; a number of thousands of digits; endless nesting
        raise _error(path, 1, "the file is not JSON text", _HOW) from error


class _TwiceError(Exception):
    """A name that an object has twice: readers of JSON disagree about which value counts."""


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(name)
        found[name] = value
    return found


def _line_of(text: str, value: Any) -> int:
    """The line (from 0) in which a value stands first."""
    at = text.find(json.dumps(value, ensure_ascii=False))
    return text.count("\n", 0, at) if at >= 0 else 0


def _error(path: Path, line: int, what: str, hint: str) -> ImportProblemsError:
    return ImportProblemsError([Problem(str(path), line, 1, what, hint)])
