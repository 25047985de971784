"""Response headers read line by line; what is no plain `Name: value` is left to Python's own parser.

http.client reads them with the parser for e-mail, which is a tenth of the time that a small answer from AWS takes.
"""

from __future__ import annotations

import http.client
import io
import re
from http.client import HTTPMessage, HTTPResponse
from types import FunctionType
from typing import BinaryIO

_PLAIN = re.compile(rb"([!-9;-~]+):[ \t]*([^\r\n]*)\r\n")


def parse_headers(file: BinaryIO) -> HTTPMessage:
    """The headers of a response up to the empty line, as `http.client.parse_headers` reads them; raises what it raises."""
    lines: list[bytes] = http.client._read_headers(file)  # type: ignore[attr-defined]
    headers = HTTPMessage()
    for line in lines[:-1]:
        found = _PLAIN.fullmatch(line)
        if found is None:
            return http.client.parse_headers(io.BytesIO(b"".join(lines)))
        headers.set_raw(found[1].decode("ascii"), found[2].decode("iso-8859-1"))
    return headers


class QuickResponse(HTTPResponse):
    """Python's response with the headers read as above: `begin` is its own, with `parse_headers` of this module."""

    # What `begin` decides besides (length, chunks, whether the connection stays) must stay Python's: it is not copied.
    begin = FunctionType(HTTPResponse.begin.__code__, {**vars(http.client), "parse_headers": parse_headers}, "begin")
