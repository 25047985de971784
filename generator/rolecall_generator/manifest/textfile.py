"""A file of the manifest as text: its size, encoding and permissions are checked here."""

from __future__ import annotations

import re
from pathlib import Path

from rolecall_generator.errors import Problem
from rolecall_generator.text import code_point, first_hidden

MAXIMUM_BYTES = 32 * 1024 * 1024
# YAML 1.1 and 1.2, production c-printable; libyaml refuses them too, but without a line.
_BREAKS = str.maketrans("\x85\u2028\u2029", "\n\n\n")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


def read_text(path: Path, file: str) -> str | Problem:
    """The text of a UTF-8 file without its byte order mark, or why it cannot be had."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            return _too_large(file)
        with path.open("rb") as stream:
            data = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        return _unreadable(file, error)
    return text_of(data, file)


def text_of(data: bytes, file: str) -> str | Problem:
    """The text of a file's bytes, as `read_text` gives it, or why they are none."""
    if len(data) > MAXIMUM_BYTES:  # a pipe, or a file that grew meanwhile
        return _too_large(file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        column = len(before) - before.rfind("\n")
        return Problem(file, before.count("\n") + 1, column, "the file is not UTF-8 text", "save it as plain text in UTF-8")
    if control := _CONTROL.search(text):
        start = control.start()
        column = start - text.rfind("\n", 0, start)
        what = f"the file holds the control character U+{ord(control[0]):04X}, as binary files do"
        return Problem(file, text.count("\n", 0, start) + 1, column, what, "save it as plain text in UTF-8")
    return _unseen(text, file) or text


def _unseen(text: str, file: str) -> Problem | None:
    """What nobody sees in an editor: it shows a name as another one, or a comment as code (CVE-2021-42574)."""
    # The breaks of YAML that are no line feed are told apart where a value holds one.
    start = None if text.isascii() else first_hidden(text.translate(_BREAKS))
    if start is None:
        return None
    before = text.rfind("\n", 0, start)
    what = f"the file holds the invisible character {code_point(text[start])}"
    mend = "delete it: in an editor that shows it, or by typing the line anew"
    return Problem(file, text.count("\n", 0, start) + 1, start - before, what, mend)


def _too_large(file: str) -> Problem:
    limit = MAXIMUM_BYTES // (1024 * 1024)
    return Problem(file, 1, 1, f"the file is larger than {limit} MiB", "split the customers over files with `include`")


def _unreadable(file: str, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(file, 1, 1, "there is no such file", "name the manifest, or write a first one with `gen init`")
    if isinstance(error, IsADirectoryError):
        return Problem(file, 1, 1, "this is a folder, not a file", "name the manifest inside it")
    if isinstance(error, PermissionError):
        return Problem(file, 1, 1, "reading the file is not permitted", "give yourself read permission on it")
    return Problem(file, 1, 1, f"the file cannot be read: {error.strerror or error}", "check the path and the disk")
