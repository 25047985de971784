"""Imports customers' Terraform outputs.

The input is the output of `terraform output -json` or `terraform show -json`, or a state file of version 4. A customer is a
pair of outputs role_arn and external_id, an output whose value is an object with a role_arn (from a root module that calls
the customer modules), or a map of such objects.

Customers create these files, and mail programs and browsers rename them. Therefore, a file is matched by the account ID in
the role ARN and by the external ID. Its name is only used for a customer that is not in the manifest yet.
Source: Terraform documentation, "JSON output format", November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from rolecall_generator.errors import Problem
from rolecall_generator.importers.import_plan import (
    ImportedAccount,
    Importer,
    ImportOption,
    ImportProblemsError,
    Reading,
    read_source,
    role_fields,
)
from rolecall_generator.manifest.yaml_source import Point
from rolecall_generator.text import clip

_ROLE_ARN, _EXTERNAL_ID = "role_arn", "external_id"
_GENERIC_NAMES = frozenset({"output", "outputs", "terraform", "state", "show", "plan"})
_HINT = "write it with `terraform output -json` in the folder of the customer's module"

Output = tuple[str, Mapping[str, Any]]
"""A customer's name, and its output values by name."""


def read_output_accounts(paths: Sequence[Path]) -> Reading:
    """Read the accounts in the files. Raises ImportProblemsError with the problems of all files."""
    problems: list[Problem] = []
    accounts: list[ImportedAccount] = []
    for path in paths:
        try:
            text, body = _load(path)
            accounts += _accounts(path, text, body)
        except ImportProblemsError as error:
            problems += error.problems
    if problems:
        raise ImportProblemsError(problems, accounts)
    return Reading(", ".join(map(str, paths)), tuple(accounts), from_customers=True)


def _accounts(path: Path, text: str, body: Any) -> Iterator[ImportedAccount]:
    found = list(_customers(_outputs(path, body), path))
    if not found:
        message = f"there is no output {_ROLE_ARN}, and none whose value is an object with a {_ROLE_ARN}"
        raise ImportProblemsError.at(path, 1, message, _HINT)
    for name, values in found:
        arn, external_id = values[_ROLE_ARN], values.get(_EXTERNAL_ID)
        fields = role_fields(arn) if isinstance(arn, str) else None
        line = _line_of(text, arn)
        if fields is None:
            hint = "role_arn must be arn:aws:iam::ACCOUNT:role/NAME: have the customer apply, then send it again"
            raise ImportProblemsError.at(
                path, line + 1, f"{_ROLE_ARN} of {name} is not the ARN of a role: {clip(json.dumps(arn))}", hint
            )
        positions = dict.fromkeys(fields, Point(line, 0))
        if external_id is not None:
            if not isinstance(external_id, str):
                message = f"{_EXTERNAL_ID} of {name} is not a string: {clip(json.dumps(external_id))}"
                raise ImportProblemsError.at(
                    path, _line_of(text, external_id) + 1, message, "write the external ID as a string"
                )
            fields[_EXTERNAL_ID] = external_id
            positions[_EXTERNAL_ID] = Point(_line_of(text, external_id), 0)
        yield ImportedAccount(name, fields, str(path), Point(line, 0), positions, arn.split(":")[1])


def _outputs(path: Path, body: Any) -> Mapping[str, Any]:
    """The values of the outputs by name."""
    if isinstance(body, dict) and "format_version" in body:
        values = body.get("values")
        body = values.get("outputs") if isinstance(values, dict) else None
    elif isinstance(body, dict) and isinstance(body.get("version"), int) and "terraform_version" in body:
        body = body.get("outputs")
    if not isinstance(body, dict) or not all(isinstance(item, dict) and "value" in item for item in body.values()):
        raise ImportProblemsError.at(path, 1, "the file does not contain Terraform outputs", _HINT)
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
    """The customer's name: the file name without extensions, or the folder name if the file name is generic."""
    stem = path.name.partition(".")[0]
    return path.resolve().parent.name if stem.casefold() in _GENERIC_NAMES else stem


def _load(path: Path) -> tuple[str, Any]:
    data = read_source(path, _HINT)
    try:
        # Windows PowerShell writes UTF-16 when it redirects output to a file.
        text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
        return text, json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise ImportProblemsError.at(path, error.lineno, f"the file is not JSON: {error.msg}", _HINT) from error
    except _DuplicateNameError as error:
        raise ImportProblemsError.at(
            path, 1, f"the file has the name {clip(str(error))} twice in one object", _HINT
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a number with too many digits, or deep nesting
        raise ImportProblemsError.at(path, 1, "the file is not JSON", _HINT) from error


class _DuplicateNameError(Exception):
    """A JSON object has a name twice. Parsers differ in which value they use."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise _DuplicateNameError(name)
        values[name] = value
    return values


def _line_of(text: str, value: Any) -> int:
    """The line, counted from 0, of the first occurrence of a value; 0 if it does not occur."""
    at = text.find(json.dumps(value, ensure_ascii=False))
    return text.count("\n", 0, at) if at >= 0 else 0


def _read(
    _manifest: object,
    files: Annotated[
        list[Path],
        ImportOption("Output of `terraform output -json` or `terraform show -json`, or a state file.", metavar="FILE..."),
    ],
) -> Reading:
    """Import the Terraform outputs of customers. Entries with a different role are shown and updated.

    A file is matched by its content: the account ID in its role_arn, and the external ID that you gave to that account. A
    new customer gets the name of its file, or of the file's folder if the file is called outputs.json.
    """
    return read_output_accounts(files)


IMPORTER = Importer(
    "terraform-outputs",
    _read,
    """Examples:

gen import terraform-outputs returned/acme.json            output of `terraform output -json` at acme

gen import terraform-outputs returned/*.json --no-update   only new customers""",
    update=True,
)
