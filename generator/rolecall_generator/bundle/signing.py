"""Signatures over SHA256SUMS, made and checked by the user's own program: no key is ever read here.

minisign: `minisign -S -m FILE -x SIGNATURE -t COMMENT [-s KEY]`, `minisign -V -m FILE -x SIGNATURE -p KEY` (manual page of
minisign 0.11). sigstore: `sigstore sign --bundle BUNDLE FILE`, `sigstore verify identity --bundle BUNDLE --cert-identity WHO
--cert-oidc-issuer ISSUER FILE` (sigstore-python 4).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import SelectionError, ToolError
from rolecall_generator.records import SUMS

MINISIGN, SIGSTORE = f"{SUMS}.minisig", f"{SUMS}.sigstore.json"
SIGNATURES = (MINISIGN, SIGSTORE)
_LONGEST_REFUSAL = 400
"""Characters of a program's own words that are shown, the last ones: minisign names both keys in two lines."""
_HOMES = {"minisign": "https://jedisct1.github.io/minisign/", "sigstore": "https://pypi.org/project/sigstore/"}


@dataclass(frozen=True, slots=True)
class Signer:
    """How checksums are signed: `minisign` or `sigstore`, and for minisign the file of the secret key, if not its own
    default. The program is the first of that name on PATH."""

    program: str
    key: str | None = None

    def ready(self) -> None:
        """Raise ToolError when the program is not there."""
        _find(self.program, "--sign")

    def sign(self, folder: str, name: str, *, where: str) -> Mapping[str, bytes]:
        """Sign a file of a folder; hands back the signature by its name. Raises ToolError, for the bundle `where`."""
        signature = MINISIGN if self.program == "minisign" else SIGSTORE
        _run(self._command(name, signature), folder, where)
        return {signature: Path(folder, signature).read_bytes()}

    def _command(self, name: str, signature: str) -> list[str]:
        program = _find(self.program, "--sign")
        if self.program == "sigstore":
            return [program, "sign", "--bundle", signature, name]
        key = [] if self.key is None else ["-s", self.key]
        # A comment of our own: minisign's holds the time, and the same bundle is to have the same signature.
        return [program, "-S", "-m", name, "-x", signature, "-t", "checksums of a rolecall bundle", *key]


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whose signature counts: a minisign public key (a file, or the key itself), or a sigstore identity and its issuer."""

    public_key: str | None = None
    identity: str | None = None
    issuer: str | None = None

    def __post_init__(self) -> None:
        """Raise SelectionError for what would be checked in part only: no option that asks for a signature is ignored."""
        if self.public_key is not None and (self.identity, self.issuer) != (None, None):
            raise SelectionError(
                "--public-key asks for minisign's signature, --identity for sigstore's", where="--public-key",
                hint="check one after the other",
            )  # fmt: skip
        if (self.identity is None) != (self.issuer is None):
            given, missing = ("--issuer", "--identity") if self.identity is None else ("--identity", "--issuer")
            raise SelectionError("an identity counts together with its issuer", where=given, hint=f"add {missing}")

    @property
    def nobody(self) -> bool:
        """True when no signature was asked for."""
        return self.public_key is None and self.identity is None

    @property
    def signature(self) -> str:
        """Name of the signature's file that counts."""
        return SIGSTORE if self.public_key is None else MINISIGN

    def refusal(self, folder: Path) -> str | None:
        """Why the signature of SHA256SUMS in a folder does not count; None when it does. Raises ToolError."""
        if not (folder / self.signature).is_file():
            return "there is no such signature"
        done = subprocess.run(self._command(), cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - the user's own program
        said = " ".join((done.stderr or done.stdout).split())[-_LONGEST_REFUSAL:]
        return None if done.returncode == 0 else said or f"exit code {done.returncode}"

    def _command(self) -> list[str]:
        if self.public_key is not None:
            flag = "-p" if Path(self.public_key).is_file() else "-P"
            key = str(Path(self.public_key).resolve()) if flag == "-p" else self.public_key
            return [_find("minisign", "--public-key"), "-V", "-m", SUMS, "-x", MINISIGN, flag, key]
        who = ["--cert-identity", str(self.identity), "--cert-oidc-issuer", str(self.issuer)]
        return [_find("sigstore", "--identity"), "verify", "identity", "--bundle", SIGSTORE, *who, SUMS]


def _find(program: str, option: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise ToolError(f"{program} is not on PATH", where=option, hint=f"install it: {_HOMES[program]}")
    return found


def _run(command: Sequence[str], folder: str, where: str) -> None:
    """Run the signer with the user's terminal, so that it can ask for a password. Raises ToolError when it fails."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - the user's own program
    if done.returncode:
        raise ToolError(
            f"{Path(command[0]).name} could not sign (exit code {done.returncode})",
            where=where,
            hint="its message stands above; nothing of this bundle was changed",
        )
