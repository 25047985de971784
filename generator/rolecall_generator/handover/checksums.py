"""SHA256SUMS, in the form of GNU coreutils: `sha256sum -c SHA256SUMS` and `shasum -a 256 -c SHA256SUMS` read it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rolecall_generator.handover.model import Files
from rolecall_generator.survey import sha256

_LINE = re.compile(r"([0-9a-f]{64})  ([^\\\n\r]+)")


def sums_of(files: Files) -> bytes:
    """The checksums of the files, sorted by name, one a line."""
    return "".join(f"{sha256(files[name])}  {name}\n" for name in sorted(files)).encode()


def read_sums(content: bytes) -> Mapping[str, str]:
    """SHA-256 (hex) by file name. Raises ValueError for anything but the lines that `sums_of` writes."""
    sums: dict[str, str] = {}
    for number, line in enumerate(content.decode().splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is no checksum with a file name")
        if match[2] in sums:
            raise ValueError(f"line {number} names {match[2]} a second time")
        sums[match[2]] = match[1]
    return sums
