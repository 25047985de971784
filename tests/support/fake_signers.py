"""Fake signing programs: they accept minisign's and sigstore's arguments and write a placeholder instead of a signature."""

from __future__ import annotations

import sys
from pathlib import Path

_MINISIGN = """
import hashlib, sys
from pathlib import Path
words = sys.argv[1:]
value = lambda flag: words[words.index(flag) + 1]
digest = hashlib.sha256(Path(value("-m")).read_bytes()).hexdigest()
if "-S" in words:
    Path(value("-x")).write_text(f"{value('-t')} {digest} {value('-s') if '-s' in words else 'default'}")
    print("a line that no one wants")
else:
    good = Path(value("-x")).read_text().split()[-2] == digest
    print("Signature verified" if good else "Signature verification failed", file=sys.stdout if good else sys.stderr)
    sys.exit(0 if good else 1)
"""
_SIGSTORE = """
import sys
from pathlib import Path
words = sys.argv[1:]
bundle = Path(words[words.index("--bundle") + 1])
if words[0] == "sign":
    bundle.write_text(words[-1])
else:
    sys.exit(0 if words[words.index("--cert-identity") + 1] == "me@example.com" else 1)
"""
PROGRAMS = {"minisign": _MINISIGN, "sigstore": _SIGSTORE}


def install(folder: Path, name: str, *, body: str | None = None) -> Path:
    """Install a program of this name into a folder that can be used as PATH; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!{sys.executable}\n{body if body is not None else PROGRAMS[name]}")
    program.chmod(0o755)
    return folder
