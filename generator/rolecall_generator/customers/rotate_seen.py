"""Was a customer's external id accepted? Read from the status file that `runner verify` writes.

    output/status.json           what was heard from AWS (status.sandbox.json: from a sandbox)
    {"version": 1, "customers": {"acme": {"external_id_seen": {"sha256": "...", "date": "2026-11-24T12:00:00+00:00"}}}}

Nothing else of the file is looked at; docs/onboarding.md describes it.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from rolecall_generator.errors import OutputError

STATUS_NAME = "status.json"
STATUS_VERSION = 1
REHEARSAL_NAME = "status.sandbox.json"
_MEND = "restore it from version control, or delete it and run `runner verify` again"


def seen_at(out: Path, name: str, external_id: str, *, rehearsal: bool = False) -> str | None:
    """When the customer's role first let us in with this external id, if that is the one that it took last.

    ISO 8601 with a time zone; None when it did not, as far as is known. `rehearsal`: in a sandbox instead of AWS. Raises
    OutputError for a broken or newer file.
    """
    path = out / (REHEARSAL_NAME if rehearsal else STATUS_NAME)
    try:
        body = json.loads(path.read_bytes())
        newer = body["version"] > STATUS_VERSION
        seen = None if newer else body["customers"].get(name, {}).get("external_id_seen")
        if seen is not None:
            datetime.fromisoformat(seen["date"])  # whoever lists rotations reckons with it
            seen = seen["date"] if seen["sha256"] == hashlib.sha256(external_id.encode()).hexdigest() else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror}", where=str(path), mend="see to its permissions") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputError("the status file cannot be read", where=str(path), mend=_MEND) from error
    if newer:
        what = "the status file was written by a newer rolecall"
        raise OutputError(what, where=str(path), mend="install the newer rolecall")
    return str(seen) if seen is not None else None
