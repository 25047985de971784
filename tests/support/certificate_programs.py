"""The programs of `templates/certificate`, loaded as modules, and certificates for them."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "templates" / "certificate"
PAGE = ROOT / "docs" / "reference" / "certificate.md"
ACCEPTED, REJECTED, UNSUPPORTED = 0, 1, 2


def _load(name: str) -> Any:
    before, path = sys.dont_write_bytecode, list(sys.path)
    sys.dont_write_bytecode, sys.path[:0] = True, [str(FOLDER)]
    try:
        return importlib.import_module(name)
    finally:
        sys.dont_write_bytecode, sys.path[:] = before, path


verify_certificate = _load("verify_certificate")
verify_full_certificate = _load("verify_full_certificate")
PROGRAMS = {"verify_certificate": verify_certificate, "verify_full_certificate": verify_full_certificate}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a program answers."""

    status: int
    text: str


def check(program: str, content: Any, folder: Path, trust: Path | None = None) -> Verdict:
    """The verdict of a program on a certificate: JSON content, or the bytes of the file."""
    path = folder / "certificate.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return Verdict(*PROGRAMS[program].check(path, trust))


_COVERED = {
    ("StringEquals", "sts:ExternalId"),
    ("ArnEquals", "aws:PrincipalArn"),
    ("Bool", "aws:MultiFactorAuthPresent"),
}


def is_covered(policy: Any) -> bool:
    """Whether the short program covers the conditions and effects of a policy: rolecall writes no others."""
    for statement in policy["Statement"]:
        conditions = [(name, *item) for name, keys in statement.get("Condition", {}).items() for item in keys.items()]
        values = [value for *_, value in conditions if value in ("false", ["false"])]
        if statement["Effect"] != "Allow" or values or not {(name, key) for name, key, _ in conditions} <= _COVERED:
            return False
    return True


def example() -> dict[str, Any]:
    """The certificate that the documentation shows."""
    found: dict[str, Any] = json.loads(PAGE.read_text("utf-8").split("```json\n")[1].split("```")[0])
    return found
