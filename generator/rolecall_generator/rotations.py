"""What became of external ids that were rotated: `rolecall.rotations.json` in the output folder.

    {"version": 1, "rotations": {"acme": {"started": "2026-11-24T12:00:00+00:00", "ended": "", "retired": ""}}}

`gen customer rotate-external-id` writes it, an entry a customer: when the last rotation started, when it ended ("" while it
is under way), and the id that went with its end. `runner verify` reads it: a retired id must be refused. External ids are no
secrets (IAM user guide, "Access to AWS accounts owned by third parties"); the file is meant to be committed, as the lock is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rolecall_generator.disk import alone, output_error
from rolecall_generator.errors import OutputError

ROTATIONS_NAME = "rolecall.rotations.json"
ROTATIONS_VERSION = 1
_MEND = "restore it from version control, or delete it: retired external ids are then no longer tried"


@dataclass(frozen=True, slots=True)
class Rotation:
    """One customer's last rotation. Times are ISO 8601 with a time zone; `ended` and `retired` are "" until it ends."""

    started: str
    ended: str = ""
    retired: str = ""


def read_rotations(out: Path) -> dict[str, Rotation]:
    """The rotations by customer, empty when none was ever started. Raises OutputError for a broken or newer file."""
    path = out / ROTATIONS_NAME
    try:
        body = json.loads(path.read_bytes())
        newer = body["version"] > ROTATIONS_VERSION
        found = {} if newer else {str(name): _rotation(entry) for name, entry in body["rotations"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror}", where=str(path), mend="see to its permissions") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputError("the record of rotations cannot be read", where=str(path), mend=_MEND) from error
    if newer:
        raise OutputError(
            "the record of rotations was written by a newer rolecall", where=str(path), mend="install the newer rolecall"
        )
    return found


def change_rotations(out: Path, change: Callable[[Mapping[str, Rotation]], Mapping[str, Rotation]]) -> None:
    """Replace the record by what `change` makes of it, in one step; another process waits. Raises OutputError."""
    path = out / ROTATIONS_NAME
    temporary = path.with_name(f".{ROTATIONS_NAME}.new")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with alone(out):
            changed = {name: asdict(entry) for name, entry in sorted(change(read_rotations(out)).items())}
            body = {"version": ROTATIONS_VERSION, "rotations": changed}
            _place(temporary, path, json.dumps(body, indent=2) + "\n")
    except OSError as error:
        raise output_error(error, str(path)) from error


def _place(temporary: Path, path: Path, text: str) -> None:
    """Whole or not at all; a full disk leaves nothing behind. Raises OSError."""
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _rotation(body: Mapping[str, str]) -> Rotation:
    found = Rotation(**body)
    for moment in (found.started, found.ended):
        if moment and datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError("a time without a time zone")
    if not isinstance(found.retired, str):
        raise TypeError("an external id is text")
    return found
