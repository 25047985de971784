"""Notifications of changed verdicts: one POST to a webhook, signed with HMAC-SHA256.

The body has no free text of AWS or of customers, no external ID and no secret: names, account IDs, verdicts, and IDs of
checks and causes. The URL may contain a secret, so messages name only its host.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from rolecall_generator._version import __version__
from rolecall_generator.errors import SelectionError
from rolecall_generator.records import is_loopback
from rolecall_runner.inventory import Target
from rolecall_runner.status import StatusPlace, read_status
from rolecall_runner.verify import Mark, RunInfo, Verdict

KEY_VARIABLE = "ROLECALL_NOTIFY_KEY"
URL_VARIABLE = "ROLECALL_NOTIFY_URL"
SIGNATURE_HEADER = "X-Rolecall-Signature-256"
BODY_VERSION = 1
MAXIMUM_CHANGES = 1000
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
_ATTEMPTS = 2
_PAUSE_SECONDS = 1.0
_OPTION = "--notify"
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A target whose verdict differs from the one of its last verification.

    `previous`: None if it was never verified. `failed_checks`: steps. `causes`: IDs of docs/diagnosis.md.
    """

    kind: str
    name: str
    account_id: str
    role_arn: str
    previous: str | None
    verdict: str
    failed_checks: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


def previous_verdicts(place: StatusPlace, targets: Iterable[Target]) -> dict[tuple[str, str], str]:
    """The verdicts of the last verification in the status file, by kind and name. Raises StatusError."""
    status = read_status(place.status)
    last_runs = ((target.key, status.entry(target).last_run) for target in targets)
    return {key: run.mark for key, run in last_runs if run is not None}


def verdict_changes(previous: Mapping[tuple[str, str], str], verdicts: Iterable[Verdict]) -> tuple[VerdictChange, ...]:
    """The verdicts that differ from the previous ones, in order. A skipped target has no verdict."""
    return tuple(
        VerdictChange(
            verdict.kind,
            verdict.name,
            verdict.account_id,
            verdict.role_arn,
            previous.get((verdict.kind, verdict.name)),
            str(verdict.mark),
            tuple(dict.fromkeys(str(check.step) for check in verdict.checks if check.mark is Mark.FAILED)),
            tuple(dict.fromkeys(diagnosis.cause for diagnosis in verdict.diagnoses)),
        )
        for verdict in verdicts
        if verdict.mark is not Mark.SKIPPED and previous.get((verdict.kind, verdict.name)) != str(verdict.mark)
    )


def body_of(changes: Sequence[VerdictChange], info: RunInfo) -> bytes:
    """The JSON body, in UTF-8. At most MAXIMUM_CHANGES changes; `omitted` counts the others."""
    body = {
        "version": BODY_VERSION,
        "event": "verdict-changed",
        "run": {
            "run_id": info.run_id,
            "started": info.started.isoformat(),
            "ended": info.ended.isoformat(),
            "rolecall": info.version,
            "rehearsal": info.rehearsal,
        },
        "changes": [asdict(change) for change in changes[:MAXIMUM_CHANGES]],
        "omitted": max(0, len(changes) - MAXIMUM_CHANGES),
    }
    return json.dumps(body, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that receives notifications. `key` signs them; None: they are not signed."""

    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)
    timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS)
    sleep: Callable[[float], object] = time.sleep

    @classmethod
    def create(cls, url: str, environ: Mapping[str, str]) -> Webhook:
        """A webhook with the key from ROLECALL_NOTIFY_KEY.

        Raises SelectionError for a URL that is not https (http is allowed on loopback) or contains credentials, and for an
        empty key.
        """
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            raise SelectionError("not a valid URL", where=_OPTION, hint="use https://HOST/PATH") from None
        if not host or not url.isascii() or not url.isprintable() or " " in url:
            raise SelectionError("not a valid URL", where=_OPTION, hint="use https://HOST/PATH")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
            raise SelectionError(f"the URL of {host} is not https", where=_OPTION, hint="use https://HOST/PATH")
        if parts.username is not None or parts.password is not None:
            hint = f"remove them; a receiver can verify the signature with the key in {KEY_VARIABLE}"
            raise SelectionError(f"the URL of {host} contains credentials", where=_OPTION, hint=hint)
        key = environ.get(KEY_VARIABLE)
        if key == "":
            raise SelectionError("the key is empty", where=KEY_VARIABLE, hint="set it to a random string, or unset it")
        return cls(url, key.encode("utf-8", "surrogateescape") if key is not None else None)

    @property
    def host(self) -> str:
        """The host of the URL, for messages."""
        return urlsplit(self.url).hostname or ""

    def send(self, body: bytes) -> str | None:
        """POST the body; one retry after a connection error, a time-out, or a temporary status. Redirects are errors.

        Returns None, or why it was not accepted. Does not raise.
        """
        problem: str | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sleep(_PAUSE_SECONDS)
            try:
                status = self._post(body)
            except (BotoCoreError, OSError, ValueError) as error:
                problem = type(error).__name__  # its message contains the URL
                continue
            if 200 <= status < 300:  # noqa: PLR2004 - success
                return None
            problem = f"HTTP status {status}"
            if status not in _RETRIED:
                break
        return problem

    def _post(self, body: bytes) -> int:
        headers = {"Content-Type": "application/json", "User-Agent": f"rolecall/{__version__}"}
        if self.key is not None:
            headers[SIGNATURE_HEADER] = f"sha256={hmac.new(self.key, body, hashlib.sha256).hexdigest()}"
        session = URLLib3Session(
            verify=os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
            proxies={} if is_loopback(self.url) else get_environ_proxies(self.url),
            timeout=self.timeout,
        )
        try:
            request = AWSRequest("POST", self.url, headers, body, stream_output=True)  # the reply's body is not read
            response = session.send(request.prepare())
            response.raw.close()
            return int(response.status_code)
        finally:
            session.close()
