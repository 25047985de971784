"""Was a customer's external id accepted? Read from the status file that `runner verify` writes.

    {"version": 1, "customers": {"acme": {"external_id_seen": {"sha256": "...", "date": "2026-11-24T12:00:00+00:00"}}}}

Nothing else of the file is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rolecall_generator.errors import OutputError
from rolecall_generator.status_file import STATUS_VERSION, external_id_digest, status_path

_MEND = "restore it from version control, or delete it and run `runner verify` again"


@dataclass(frozen=True, slots=True)
class SeenIds:
    """The external ids that roles let us in with, as a status file has them; `customers` is as it stands in the file."""

    path: Path
    customers: Any

    def at(self, name: str, external_id: str) -> str | None:
        """When the customer's role first let us in with this external id, if that is the one that it took last.

        ISO 8601 with a time zone; None when it did not, as far as is known. Raises OutputError for a broken entry.
        """
        with _read_as_broken(self.path):
            seen = self.customers.get(name, {}).get("external_id_seen")
            if seen is None:
                return None
            datetime.fromisoformat(seen["date"])  # whoever lists rotations reckons with it
            return str(seen["date"]) if seen["sha256"] == external_id_digest(external_id) else None


def read_seen(out: Path, *, rehearsal: bool = False) -> SeenIds:
    """Read the file of an output folder, once for all customers. `rehearsal`: what was seen in a sandbox instead of AWS.

    Raises OutputError for a broken or newer file.
    """
    path = status_path(out, rehearsal=rehearsal)
    with _read_as_broken(path):
        try:
            body = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return SeenIds(path, {})
        except OSError as error:
            raise OutputError(f"cannot be read: {error.strerror}", where=str(path), mend="see to its permissions") from error
        if body["version"] > STATUS_VERSION:
            what = "the status file was written by a newer rolecall"
            raise OutputError(what, where=str(path), mend="install the newer rolecall")
        return SeenIds(path, body["customers"])


@contextmanager
def _read_as_broken(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputError("the status file cannot be read", where=str(path), mend=_MEND) from error
