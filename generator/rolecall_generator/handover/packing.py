"""A bundle's files as one zip: the same files give the same bytes, whatever the clock, the umask or the folder.

Compressed bytes are those of the zlib that Python was built with; `stored` gives the same bytes under every zlib.
"""

from __future__ import annotations

import io
import zipfile

from rolecall_generator.handover.model import Files

_MIDNIGHT_1980 = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: files of a bundle have no time of their own."""
_UNIX = 3
_FILE, _PROGRAM = 0o100644 << 16, 0o100755 << 16
_LEVEL = 6
_PACKED = (".pdf",)
"""Files that are compressed in themselves."""


def is_program(name: str) -> bool:
    """Whether a file of a bundle is meant to be run."""
    return name.endswith(".sh")


def zip_bytes(files: Files, top: str, *, stored: bool = False) -> bytes:
    """A zip of the files below a folder `top`, sorted by name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{top}/{name}", _MIDNIGHT_1980)
            entry.compress_type = zipfile.ZIP_STORED if stored or name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = _PROGRAM if is_program(name) else _FILE
            archive.writestr(entry, files[name], compresslevel=_LEVEL)
    return packed.getvalue()
