"""Signatures of SHA256SUMS, created and verified by minisign or sigstore. This module reads no keys.

minisign: `minisign -S -m FILE -x SIGNATURE -t COMMENT [-s KEY]`, `minisign -V -m FILE -x SIGNATURE -p KEY` (manual page of
minisign 0.11). sigstore: `sigstore sign --bundle BUNDLE FILE`, `sigstore verify identity --bundle BUNDLE --cert-identity WHO
--cert-oidc-issuer ISSUER FILE` (sigstore-python 4).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import SelectionError, ToolError
from rolecall_generator.records import SUMS_NAME

MINISIGN, SIGSTORE = f"{SUMS_NAME}.minisig", f"{SUMS_NAME}.sigstore.json"
SIGNATURES = (MINISIGN, SIGSTORE)
_LONGEST_REFUSAL = 400
"""Maximum number of characters of a program's output in a message. The last ones are shown."""
_HOMES = {"minisign": "https://jedisct1.github.io/minisign/", "sigstore": "https://pypi.org/project/sigstore/"}


@dataclass(frozen=True, slots=True)
class Signer:
    """How checksums are signed.

    Attributes:
        program: `minisign` or `sigstore`; the first executable of that name on PATH is used.
        key: File of minisign's secret key; None for minisign's default.
    """

    program: str
    key: str | None = None

    def ready(self) -> None:
        """Raise ToolError if the program is not installed."""
        _find(self.program, "--sign")

    def sign(self, folder: str, name: str, *, where: str) -> Mapping[str, bytes]:
        """Sign a file of a folder and return the signature by file name. Raises ToolError with the location `where`."""
        signature = MINISIGN if self.program == "minisign" else SIGSTORE
        command = self._command(name, signature)
        # On the user's terminal, so that the program can prompt for a password.
        done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - a program that the user chose
        if done.returncode:
            what = f"{self.program} could not sign (exit code {done.returncode})"
            raise ToolError(what, where=where, hint="see its message above; this bundle was not changed")
        return {signature: Path(folder, signature).read_bytes()}

    def _command(self, name: str, signature: str) -> list[str]:
        program = _find(self.program, "--sign")
        if self.program == "sigstore":
            return [program, "sign", "--bundle", signature, name]
        key = [] if self.key is None else ["-s", self.key]
        # The default comment contains the time; with a fixed one, the same bundle has the same signature.
        return [program, "-S", "-m", name, "-x", signature, "-t", "checksums of a rolecall bundle", *key]


@dataclass(frozen=True, slots=True)
class RequiredSigner:
    """The required signer: a minisign public key (a file, or the key itself), or a sigstore identity and its issuer."""

    public_key: str | None = None
    identity: str | None = None
    issuer: str | None = None

    def __post_init__(self) -> None:
        """Raise SelectionError for a combination of options of which one would be ignored."""
        if self.public_key is not None and (self.identity, self.issuer) != (None, None):
            raise SelectionError(
                "--public-key is for minisign signatures, --identity for sigstore signatures", where="--public-key",
                hint="verify one signature at a time",
            )  # fmt: skip
        if (self.identity is None) != (self.issuer is None):
            given, missing = ("--issuer", "--identity") if self.identity is None else ("--identity", "--issuer")
            raise SelectionError("--identity and --issuer must be given together", where=given, hint=f"add {missing}")

    @property
    def required(self) -> bool:
        """Whether a signature is required."""
        return self.public_key is not None or self.identity is not None

    @property
    def signature(self) -> str:
        """File name of the required signature."""
        return SIGSTORE if self.public_key is None else MINISIGN

    def refusal(self, folder: Path) -> str | None:
        """Verify the signature of SHA256SUMS in a folder: None, or why it failed. Raises ToolError."""
        if not (folder / self.signature).is_file():
            return "there is no signature"
        done = subprocess.run(self._command(), cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - a program that the user chose
        message = " ".join((done.stderr or done.stdout).split())[-_LONGEST_REFUSAL:]
        return None if done.returncode == 0 else message or f"exit code {done.returncode}"

    def _command(self) -> list[str]:
        if self.public_key is not None:
            flag = "-p" if Path(self.public_key).is_file() else "-P"
            key = str(Path(self.public_key).resolve()) if flag == "-p" else self.public_key
            return [_find("minisign", "--public-key"), "-V", "-m", SUMS_NAME, "-x", MINISIGN, flag, key]
        identity = ["--cert-identity", str(self.identity), "--cert-oidc-issuer", str(self.issuer)]
        return [_find("sigstore", "--identity"), "verify", "identity", "--bundle", SIGSTORE, *identity, SUMS_NAME]


def _find(program: str, option: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise ToolError(f"{program} is not on PATH", where=option, hint=f"install it: {_HOMES[program]}")
    return found
