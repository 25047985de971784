"""Caller identity in CI: a job with an OIDC token is the backend role, without access keys (docs/how-to/ci.md)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from rolecall_generator.errors import CallerError
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import find_caller

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "ci.md").read_text("utf-8")
ROLE = "arn:aws:iam::111111111111:role/backend_role"
SESSION = "arn:aws:sts::111111111111:assumed-role/backend_role/job"
GIVEN = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIAOFTHEJOB00000000</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>"""
KNOWN = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>{SESSION}</Arn>
<UserId>A:job</UserId><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


@dataclass
class Sts:
    """An STS stub that accepts or refuses the token, and records requests with their access keys."""

    url: str = ""
    vouches: bool = True
    asked: list[tuple[dict[str, str], str]] = field(default_factory=list)


@contextmanager
def sts(*, vouches: bool) -> Iterator[Sts]:
    """A running stub."""
    state = Sts(vouches=vouches)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {key: values[0] for key, values in parse_qs(body).items()}
            signer = re.search(r"Credential=([A-Z0-9]+)/", self.headers.get("Authorization", ""))
            state.asked.append((form, signer[1] if signer else ""))
            wanted = form["Action"] == "AssumeRoleWithWebIdentity"
            answer = (GIVEN if state.vouches else REFUSED) if wanted else KNOWN
            self.send_response(403 if answer is REFUSED else 200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of the documented workflow, and the file with the OIDC token of the job."""
    token = tmp_path / "vouched"
    token.write_text("a.signed.token")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    given = dict(re.findall(r"^      (AWS_[A-Z_]+): (\S+)$", PAGE, re.MULTILINE))
    for name, value in {**given, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return token


def test_job_with_accepted_token_is_backend_role(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three documented variables suffice: the token is sent to STS, and the returned key signs the first call."""
    with sts(vouches=True) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        caller = find_caller(Clients(ClientSettings(endpoint_url=service.url)))

    assert (SESSION, "111111111111", "us-east-1") == (caller.arn, caller.account_id, caller.region)
    (vouching, unsigned), (_, signer) = service.asked
    assert (ROLE, job.read_text(), "") == (vouching["RoleArn"], vouching["WebIdentityToken"], unsigned)
    assert "ASIAOFTHEJOB00000000" == signer


@pytest.mark.usefixtures("job")
def test_job_of_another_repository_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error message has AWS's refusal without the token, and no traceback."""
    with sts(vouches=False) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        with pytest.raises(CallerError) as refused:
            find_caller(Clients(ClientSettings(endpoint_url=service.url)))

    assert "AccessDenied" in str(refused.value)
    assert "a.signed.token" not in str(refused.value)
