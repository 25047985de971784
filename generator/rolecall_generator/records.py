"""Output files that the generator and the runner share: bundles, the status file, and the record of rotations.

This module has few imports, so that `runner status` does not load the code that builds bundles. docs/onboarding.md
describes the status file. `gen customer rotate-external-id` writes the record of rotations, `rolecall.rotations.json`:

    {"version": 1, "rotations": {"acme": {"started": "2026-11-24T12:00:00+00:00", "ended": "", "retired": ""}}}

`runner verify` reads it and checks that roles refuse retired external IDs. External IDs are not secrets (IAM User Guide,
"Access to AWS accounts owned by third parties"), so commit the file together with the lock file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from rolecall_generator.errors import OutputError
from rolecall_generator.output import Disk, Placer, folder_lock, output_error

SUMS_NAME = "SHA256SUMS"
"""File name of a bundle's checksums."""
TERRAFORM = "terraform"
"""Folder of the Terraform module in a bundle."""

OWNER_TAG = "rolecall:bundle"
"""Key of the tag that `aws-cli/apply.sh` adds to resources that it creates. The tag does not affect access."""

_CUSTOMERS = "customers/"


def bundle_path(module_path: str) -> str:
    """Path of a module's bundle, relative to the bundle folder; for customers, only the name."""
    return module_path.removeprefix(_CUSTOMERS)


STATUS_VERSION = 2
_STATUS_NAME = "status.json"
_REHEARSAL_NAME = "status.sandbox.json"


def status_path(out: Path, *, rehearsal: bool) -> Path:
    """The status file of an output folder. `rehearsal`: the file for runs against a sandbox instead of AWS."""
    return out / (_REHEARSAL_NAME if rehearsal else _STATUS_NAME)


_AWS_SUFFIXES = (
    "amazonaws.com", "api.aws", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "amazonaws.eu",
    "api.amazonwebservices.eu", "c2s.ic.gov", "api.aws.ic.gov", "sc2s.sgov.gov", "api.aws.scloud", "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk", "csp.hci.ic.gov", "api.aws.hci.ic.gov",
)  # fmt: skip
"""DNS suffixes of AWS endpoints, including VPC endpoints (botocore 1.44.5, data/partitions.json, November 2026)."""


def is_aws_address(url: str) -> bool:
    """Whether a URL is an AWS endpoint. Runs with any other endpoint, such as the sandbox, are rehearsals."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    return host.endswith(tuple(f".{suffix}" for suffix in _AWS_SUFFIXES))


def is_loopback(url: str) -> bool:
    """Whether a URL is an address of this machine, such as that of a sandbox."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def rehearsing(environ: Mapping[str, str]) -> bool:
    """Whether the environment variables of the AWS SDKs select an endpoint other than AWS.

    For commands that do not call AWS. Runs use the endpoints of their clients instead.
    """
    addresses = (environ.get("AWS_ENDPOINT_URL"), environ.get("AWS_ENDPOINT_URL_STS"))
    return any(address and not is_aws_address(address) for address in addresses)


def external_id_digest(external_id: str) -> str:
    """The digest of an external ID in the status file: SHA-256 of its UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(external_id.encode()).hexdigest()


ROTATIONS_NAME = "rolecall.rotations.json"
ROTATIONS_VERSION = 1
_HINT = "restore it from version control, or delete it: retired external IDs are then no longer checked"


@dataclass(frozen=True, slots=True)
class Rotation:
    """The last rotation of a customer. Times are ISO 8601 with a time zone; `ended` and `retired` are "" until it ends."""

    started: str
    ended: str = ""
    retired: str = ""


def read_rotations(out: Path) -> dict[str, Rotation]:
    """The rotations by customer; empty if there is no file. Raises OutputError for an invalid or newer file."""
    path = out / ROTATIONS_NAME
    try:
        body = json.loads(path.read_bytes())
        newer = body["version"] > ROTATIONS_VERSION
        found = {} if newer else {str(name): _rotation(entry) for name, entry in body["rotations"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror}", where=str(path), hint="check its permissions") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OutputError("the record of rotations cannot be read", where=str(path), hint=_HINT) from error
    if newer:
        raise OutputError(
            "the record of rotations was written by a newer rolecall", where=str(path), hint="install the newer rolecall"
        )
    return found


def change_rotations(out: Path, change: Callable[[Mapping[str, Rotation]], Mapping[str, Rotation]]) -> None:
    """Replace the record with the result of `change`, atomically and under the folder's lock. Raises OutputError."""
    path = out / ROTATIONS_NAME
    try:
        out.mkdir(parents=True, exist_ok=True)
        with folder_lock(out), closing(Placer(Disk(), str(out))) as placer:
            rotations = {name: asdict(entry) for name, entry in sorted(change(read_rotations(out)).items())}
            body = {"version": ROTATIONS_VERSION, "rotations": rotations}
            placer.place_file(ROTATIONS_NAME, f"{json.dumps(body, indent=2)}\n".encode())
    except OSError as error:
        error.filename = str(path)  # not that of the temporary staging folder
        raise output_error(error, str(path)) from error


def _rotation(body: Mapping[str, str]) -> Rotation:
    rotation = Rotation(**body)
    for timestamp in (rotation.started, rotation.ended):
        if timestamp and datetime.fromisoformat(timestamp).tzinfo is None:
            raise ValueError("a time without a time zone")
    if not isinstance(rotation.retired, str):
        raise TypeError("an external ID is not a string")
    return rotation
