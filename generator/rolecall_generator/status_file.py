"""The status file's place, version and digest, as both programs know them: `runner` writes it, `gen customer` asks it.

    output/status.json            what was heard from AWS
    output/status.sandbox.json    what was heard from a sandbox: a rehearsal must not speak of live accounts

Its form is described in docs/onboarding.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

STATUS_VERSION = 2
_STATUS_NAME = "status.json"
_REHEARSAL_NAME = "status.sandbox.json"


def status_path(out: Path, *, rehearsal: bool) -> Path:
    """The file of an output folder. `rehearsal`: whether a sandbox answers in AWS's stead."""
    return out / (_REHEARSAL_NAME if rehearsal else _STATUS_NAME)


_AWS_SUFFIXES = (
    "amazonaws.com", "api.aws", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "amazonaws.eu",
    "api.amazonwebservices.eu", "c2s.ic.gov", "api.aws.ic.gov", "sc2s.sgov.gov", "api.aws.scloud", "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk", "csp.hci.ic.gov", "api.aws.hci.ic.gov",
)  # fmt: skip
"""DNS suffixes of AWS's endpoints, VPC endpoints included (botocore 1.44.5, data/partitions.json, November 2026)."""


def is_aws_address(url: str) -> bool:
    """Whether a service's address is one of AWS: everything else (the sandbox, a simulator) makes a run a rehearsal."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    return host.endswith(tuple(f".{suffix}" for suffix in _AWS_SUFFIXES))


def rehearsing(environ: Mapping[str, str]) -> bool:
    """Whether a sandbox answers in place of AWS, as far as the variables that AWS's tools read say so.

    For commands that ask nothing of AWS; a run knows it from the addresses that its own clients use.
    """
    addresses = (environ.get("AWS_ENDPOINT_URL"), environ.get("AWS_ENDPOINT_URL_STS"))
    return any(address and not is_aws_address(address) for address in addresses)


def external_id_digest(external_id: str) -> str:
    """What the file keeps of an external id: SHA-256 of its UTF-8 bytes, in hex."""
    return hashlib.sha256(external_id.encode()).hexdigest()
