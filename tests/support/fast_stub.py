"""AWS as fast as Python can respond, over HTTPS on loopback: AssumeRole, GetCallerIdentity, DescribeInstances; no moto.

The signer of every request is checked: the access key returned by AssumeRole contains the account ID, the token must belong
to that key, and DescribeInstances has the account ID in a filter (`owner-id`). `violations` counts mismatches. Run as a
program (`fast_stub.py PORT CERTIFICATE KEY OPTIONS`) by `FastStub`, in one or several processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import hmac
import ipaddress
import json
import re
import socket
import ssl
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_plus

SOURCE_KEY = "AKIAVENDORBACKEND001"
SOURCE_ACCOUNT = "111111111111"
SOURCE_ARN = f"arn:aws:sts::{SOURCE_ACCOUNT}:assumed-role/backend_role/i-0123456789abcdef0"
EXPIRES = "2099-01-01T00:00:00Z"


def secret_of(access_key: str) -> str:
    """The secret key of an access key, for client and server."""
    return hashlib.sha256(access_key.encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Options:
    """Every n-th request of a process is throttled, answered with 500, disconnected, or rejected as expired; 0: never.

    `verify`: check signatures. Each reply is delayed by `delay_seconds`. `shared_external_id` is accepted for every role.
    """

    throttle_every: int = 0
    error_every: int = 0
    cut_every: int = 0
    expire_every: int = 0
    verify: bool = False
    delay_seconds: float = 0.0
    shared_external_id: str = ""


class _Stub(asyncio.Protocol):
    def __init__(self, options: Options, counts: Counter[str]) -> None:
        self._options = options
        self._counts = counts
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            length = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < length:
                return
            body, self._buffer = self._buffer[end + 4 : length], self._buffer[length:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        self._counts["requests"] += 1
        number = self._counts["requests"]
        options = self._options
        if options.cut_every and number % options.cut_every == 0:
            self._transport.abort()
            return
        if options.throttle_every and number % options.throttle_every == 0:
            reply = _error(400, "Throttling", "Rate exceeded")
        elif options.error_every and number % options.error_every == 0:
            reply = _error(500, "InternalFailure", "try again")
        elif options.expire_every and number % options.expire_every == 0:
            reply = _error(403, "ExpiredToken", "The security token included in the request is expired")
        else:
            reply = self._reply(head, body)
        if options.delay_seconds:
            asyncio.get_running_loop().call_later(options.delay_seconds, self._transport.write, reply)
        else:
            self._transport.write(reply)

    def _reply(self, head: bytes, body: bytes) -> bytes:
        credential = re.search(rb"Credential=([^/]+)/", head)
        if credential is None:
            self._counts["violations"] += 1
            return _error(403, "MissingAuthenticationToken", "not signed")
        key = credential[1].decode()
        token = re.search(rb"(?i)\r\nx-amz-security-token: *([^\r]+)", head)
        own_token = token is not None and token[1].decode() == token_of(key)
        if (key != SOURCE_KEY and not own_token) or (self._options.verify and not _signed_well(head, body, key)):
            self._counts["violations"] += 1
            return _error(403, "SignatureDoesNotMatch", f"key {key}")
        parameters = dict(pair.partition("=")[::2] for pair in unquote_plus(body.decode()).split("&"))
        action = parameters.get("Action", "")
        self._counts[action] += 1
        if action == "AssumeRole":
            return self._assume_role(key, parameters)
        if action == "GetCallerIdentity":
            return _caller_identity(key)
        if action == "DescribeInstances":
            return self._describe_instances(key, parameters)
        return _error(400, "InvalidAction", action)

    def _assume_role(self, key: str, parameters: dict[str, str]) -> bytes:
        if key != SOURCE_KEY:
            self._counts["violations"] += 1
        account = parameters["RoleArn"].split(":")[4]
        if parameters.get("ExternalId") not in {f"external-id-{account}", self._options.shared_external_id or None} - {None}:
            user = f"User: {SOURCE_ARN} is not authorized to perform: sts:AssumeRole on resource: {parameters['RoleArn']}"
            return _error(403, "AccessDenied", user)
        session = key_of(account)
        arn = f"arn:aws:sts::{account}:assumed-role/VendorAccess/{parameters['RoleSessionName']}"
        return _ok(
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
            f"<AssumedRoleUser><AssumedRoleId>AROA{account}:x</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>"
            f"<Credentials><AccessKeyId>{session}</AccessKeyId><SecretAccessKey>{secret_of(session)}</SecretAccessKey>"
            f"<SessionToken>{token_of(session)}</SessionToken><Expiration>{EXPIRES}</Expiration></Credentials>"
            "</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
        )

    def _describe_instances(self, key: str, parameters: dict[str, str]) -> bytes:
        account = account_of(key)
        if parameters.get("Filter.1.Name") == "owner-id" and parameters.get("Filter.1.Value.1") != account:
            self._counts["violations"] += 1
        return _ok(
            '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>'
            f"<reservationSet><item><reservationId>r-{account}</reservationId><ownerId>{account}</ownerId><groupSet/>"
            f"<instancesSet><item><instanceId>{instance_of(account)}</instanceId><imageId>ami-0abcdef0123456789</imageId>"
            "<instanceState><code>16</code><name>running</name></instanceState><privateDnsName>ip-10-0-0-1.ec2.internal"
            "</privateDnsName><dnsName/><reason/><amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>t3.micro"
            "</instanceType><launchTime>2026-11-01T10:00:00.000Z</launchTime><placement><availabilityZone>us-east-1a"
            "</availabilityZone><groupName/><tenancy>default</tenancy></placement><monitoring><state>disabled</state>"
            "</monitoring><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.1</privateIpAddress>"
            "<sourceDestCheck>true</sourceDestCheck><groupSet><item><groupId>sg-1</groupId><groupName>default</groupName>"
            "</item></groupSet><architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType><tagSet><item>"
            "<key>Name</key><value>web</value></item></tagSet><hypervisor>xen</hypervisor></item></instancesSet></item>"
            "</reservationSet></DescribeInstancesResponse>"
        )


def key_of(account: str) -> str:
    """The access key of an account's session."""
    return f"ASIA{account}AAAA"


def token_of(key: str) -> str:
    """The session token of an access key; as long as AWS's are."""
    return f"token-{key}-" + "a" * 300


def account_of(key: str) -> str:
    """The account that an access key belongs to."""
    return SOURCE_ACCOUNT if key == SOURCE_KEY else key[4:16]


def instance_of(account: str) -> str:
    """The only instance of an account."""
    return f"i-{account}00000"


def _caller_identity(key: str) -> bytes:
    account = account_of(key)
    arn = SOURCE_ARN if key == SOURCE_KEY else f"arn:aws:sts::{account}:assumed-role/VendorAccess/rolecall"
    return _ok(
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{arn}</Arn><UserId>AROA{account}:x</UserId><Account>{account}</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def _http(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\nx-amzn-RequestId: 1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _ok(text: str) -> bytes:
    return _http(200, text.encode())


def _error(status: int, code: str, message: str) -> bytes:
    return _http(
        status,
        f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>".encode(),
    )


def _signed_well(head: bytes, body: bytes, key: str) -> bool:
    """Signature version 4 of a POST to `/`, calculated with the secret of the key."""
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:])
    }
    scope, names, signature = re.findall(
        r"Credential=[^/]+/([^,]+), *SignedHeaders=([^,]+), *Signature=(\w+)", headers["authorization"]
    )[0]
    canonical = "\n".join(
        [
            "POST",
            "/",
            "",
            *(f"{name}:{headers[name]}" for name in names.split(";")),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signing = f"AWS4{secret_of(key)}".encode()
    for part in scope.split("/"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(hmac.new(signing, text.encode(), hashlib.sha256).hexdigest(), str(signature))


async def _serve(listening: socket.socket, certificate: str, key: str, options: Options) -> None:
    counts: Counter[str] = Counter()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Stub(options, counts), sock=listening, ssl=context, backlog=256)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while await reader.readline():
        sys.stdout.write(json.dumps(counts) + "\n")
        sys.stdout.flush()
    server.close()


def main() -> None:
    """Serve until standard input is closed; each input line is answered with the counts so far."""
    port, certificate, key, options = sys.argv[1:]
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("127.0.0.1", int(port)))
    asyncio.run(_serve(listening, certificate, key, Options(**json.loads(options))))


class FastStub:
    """The stub as a context manager: `url`, `ca_bundle` (a path), and `counts()` of all its processes in total."""

    def __init__(self, *, processes: int = 1, options: Options | None = None) -> None:
        self._processes = processes
        self._options = options or Options()
        self._running: list[subprocess.Popen[str]] = []
        self._stack = contextlib.ExitStack()
        self.url = ""
        self.ca_bundle = ""

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="rolecall-stub-")))
        certificate, key = write_certificate(folder)
        held = self._stack.enter_context(socket.socket())
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))  # bound, not listening: reserves the port, accepts no connection
        port = held.getsockname()[1]
        for _ in range(self._processes):
            command = [sys.executable, __file__, str(port), str(certificate), str(key), json.dumps(asdict(self._options))]
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._running.append(child)
        for child in self._running:
            assert child.stdout is not None
            assert "ready\n" == child.stdout.readline()
        self.url = f"https://127.0.0.1:{port}"
        self.ca_bundle = str(certificate)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for child in self._running:
            child.communicate(timeout=10)
        self._stack.close()

    def counts(self) -> Counter[str]:
        """Requests, connections, violations and calls by action since the start."""
        total: Counter[str] = Counter()
        for child in self._running:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("counts\n")
            child.stdin.flush()
            total.update(json.loads(child.stdout.readline()))
        return total


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and localhost, and its key, as PEM files."""
    from cryptography import x509  # noqa: PLC0415 - the server itself, a process of its own, does not need it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    addresses: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


if __name__ == "__main__":
    main()
