"""All bytes of a PDF, compressed or not: for tests that search for forbidden content."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from io import BytesIO

from pypdf import PdfReader

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)


def pdf_bytes(content: bytes) -> bytes:
    """The file itself, each of its streams decompressed, and the text of its pages."""
    pages = "\n".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages)
    return b"\n".join((content, *_streams(content), pages.encode()))


def _streams(content: bytes) -> Iterator[bytes]:
    for match in _STREAM.finditer(content):
        packed = match[1]
        if packed.rstrip().endswith(b"~>"):
            packed = base64.a85decode(packed.strip().removesuffix(b"~>"))
        try:
            yield zlib.decompress(packed)
        except zlib.error:
            yield packed
