"""The status file's place, version and digest, as both programs know them: `runner` writes it, `gen customer` asks it.

    output/status.json            what was heard from AWS
    output/status.sandbox.json    what was heard from a sandbox: a rehearsal must not speak of live accounts

Its form is described in docs/onboarding.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

STATUS_VERSION = 1
_STATUS_NAME = "status.json"
_REHEARSAL_NAME = "status.sandbox.json"


def status_path(out: Path, *, rehearsal: bool) -> Path:
    """The file of an output folder. `rehearsal`: whether a sandbox answers in AWS's stead."""
    return out / (_REHEARSAL_NAME if rehearsal else _STATUS_NAME)


def rehearsing(environ: Mapping[str, str]) -> bool:
    """Whether a sandbox answers in AWS's stead: the variables name an address for all services, as AWS's tools read it."""
    return bool(environ.get("AWS_ENDPOINT_URL"))


def external_id_digest(external_id: str) -> str:
    """What the file keeps of an external id: SHA-256 of its UTF-8 bytes, in hex."""
    return hashlib.sha256(external_id.encode()).hexdigest()
