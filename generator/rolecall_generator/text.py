"""Formats strings for messages: sanitizes untrusted strings, and formats suggestions, counts, durations and commands.

Names, values and messages from returned folders, AWS accounts and run records are untrusted. Printed unchanged, they could
control a terminal (escape sequences), fake lines (line breaks), hide or reorder characters (CVE-2021-42574) or run a
workflow command of a CI system (`::error::`). The sanitizer replaces the following with U+FFFD:

- control characters (C0, DEL, C1), lone surrogates and noncharacters,
- format characters and other invisible characters: bidirectional controls, zero-width characters, U+2028 and U+2029, byte
  order marks, tag characters, variation selectors (Unicode categories Cc, Cf, Cs, Zl, Zp and the property
  Default_Ignorable_Code_Point); a variation selector after an emoji is kept,
- the start of workflow commands: `::name` at the start of a line, and `##[`, `##vso[`, `##teamcity[` anywhere (GitHub
  Actions runner, ActionCommand.cs; Azure Pipelines agent, Command.cs; TeamCity, "Service messages"; November 2026).

Letters, accents, CJK and emoji are kept. Each character is replaced by one character, so lengths and styled spans stay
correct. `rolecall_generator.terminal` sanitizes all terminal output; code that writes other formats must sanitize itself.
"""

from __future__ import annotations

import difflib
import html
import json
import os
import re
import shlex
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_INVISIBLE = (
    "\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SURROGATES = "\ud800-\udfff"
_EMOJI = "\xa9\xae\u203c-\u3299\U0001f000-\U0001faff"
_SELECTOR = f"(?<![{_EMOJI}])[\ufe0e\ufe0f]"
_NOT_IN_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f{_INVISIBLE}{_SURROGATES}]|{_SELECTOR}")
_NOT_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_INVISIBLE}{_SURROGATES}]|{_SELECTOR}")
_HIDDEN = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_INVISIBLE}{_SURROGATES}]|{_SELECTOR}")
_TO_SPACES = str.maketrans("\t\n\r", "   ")
_WORKFLOW_COMMAND = re.compile(r"(?m)(?<=#)#(?=\w*\[)|(?<![^\n])(?P<blank>[^\S\n]*):(?=:[^\S\n]*[A-Za-z])")
_JSON_WORKFLOW_COMMAND = re.compile(r"(?<=#)#(?=\w*\[)")


def sanitize_line(text: str) -> str:
    """Sanitize a string for one line: line breaks and tabs become spaces, hidden characters U+FFFD. Keeps the length."""
    return _without_commands(_visible_line(text))


def _visible_line(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return _NOT_IN_LINE.sub(REPLACEMENT, text.translate(_TO_SPACES))


def sanitize_lines(text: str) -> str:
    """Sanitize a string of several lines. Keeps tabs and line feeds; CR LF becomes a line feed."""
    return _without_commands(_visible_lines(text))


def escape_markup(text: str) -> str:
    """Sanitize and escape a string for HTML or XML. A workflow command starts with a character reference, so it is kept."""
    escaped = html.escape(_visible_lines(text), quote=True)
    if "##" not in escaped and "::" not in escaped:
        return escaped
    return _WORKFLOW_COMMAND.sub(lambda found: "&#35;" if found["blank"] is None else f"{found['blank']}&#58;", escaped)


def _visible_lines(text: str) -> str:
    return _NOT_IN_LINES.sub(REPLACEMENT, text.replace("\r\n", "\n"))


def first_hidden_index(text: str) -> int | None:
    """The index of the first hidden character; None if there is none. Line breaks and tabs are not hidden characters."""
    if text.isascii() and text.isprintable():
        return None
    found = _HIDDEN.search(text)
    return None if found is None else found.start()


def code_point(character: str) -> str:
    """The Unicode notation of a character, such as `U+202E`."""
    return f"U+{ord(character):04X}"


def json_text(
    value: Any,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
    ascii_only: bool = True,
) -> str:
    """Encode a value as JSON. Hidden characters and the start of workflow commands are escaped, which keeps the value.

    Parameters are those of `json.dumps`, with `ascii_only` for `ensure_ascii`. Raises TypeError if the value cannot be
    encoded.
    """
    text = json.dumps(value, indent=indent, separators=separators, default=default, ensure_ascii=ascii_only)
    # The replaced characters occur in JSON only inside strings.
    return _JSON_WORKFLOW_COMMAND.sub(r"\\u0023", _HIDDEN.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    units = (code,) if code < 0x10000 else (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF))  # noqa: PLR2004 - UTF-16
    return "".join(f"\\u{unit:04x}" for unit in units)


def _without_commands(text: str) -> str:
    if "##" not in text and "::" not in text:
        return text
    return _WORKFLOW_COMMAND.sub(lambda found: (found["blank"] or "") + REPLACEMENT, text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The most similar known word, ignoring case; None if none is similar."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, 1, 0.6)
    return folded[close[0]] if close else None


DEFAULT_MANIFEST = Path("accounts.yaml")
DEFAULT_OUT = Path("output")

_MANIFEST_COMMANDS = frozenset(
    {"gen terraform", "gen diff", "gen check", "gen prove", "gen profiles", "runner verify", "runner rehearse"}
)
"""Commands with the manifest as argument; all others have the option --manifest."""


def command_line(words: str, manifest: Path, out: Path) -> str:
    """Add manifest and output folder to a command line, if they are not the defaults.

    `words` contains the program, the command and its other arguments, already quoted.
    """
    program, command, *rest = words.split(" ", 2)
    parts = [f"{program} {command}", *rest]
    if manifest != DEFAULT_MANIFEST:
        if parts[0] in _MANIFEST_COMMANDS:
            parts.insert(1, shell_word(manifest))
        else:
            parts.append(f"--manifest {shell_word(manifest)}")
    if out != DEFAULT_OUT:
        parts.append(f"--out {shell_word(out)}")
    return " ".join(parts)


def shell_word(text: str | Path) -> str:
    """Quote a string for a shell. File names that are not valid UTF-8 become `$'...'`, for bash and zsh."""
    text = str(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        escaped = os.fsencode(text).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
        return "$'" + escaped.replace("'", "\\'") + "'"
    return shlex.quote(text)


_MAX_NAMES = 24
"""Maximum number of names listed in a hint."""


def suggest(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint with the most similar known word; if none is similar, `otherwise`, with the known words if they are few."""
    names = list(known)
    if close := nearest(word, names):
        return f"write {close}"
    return f"{otherwise}: {', '.join(names)}" if 0 < len(names) <= _MAX_NAMES else otherwise


def clip(text: str, characters: int = 60) -> str:
    """Sanitize a string for one line and shorten it to this length."""
    sanitized = sanitize_line(text[: characters + 1])
    return sanitized if len(sanitized) <= characters else sanitized[: characters - 3] + "..."


_UNITS = (("hour", 3_600), ("minute", 60), ("second", 1))


@lru_cache(maxsize=256)
def duration(seconds: int) -> str:
    """Format a duration in the largest unit without a remainder: `1 hour`, `90 minutes`."""
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return pluralize(seconds // size, unit)


def pluralize(number: int, thing: str) -> str:
    """Format a number with its noun: `1 role`, `2 roles`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def join_words(words: Iterable[str]) -> str:
    """Format one or more words as a list: `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def markdown_code(text: str) -> str:
    """Format any string as a Markdown code span."""
    sanitized = " ".join(_visible_line(text).split())
    fence = "`"
    while fence in sanitized:
        fence += "`"
    padding = " " if "`" in sanitized else ""
    # Behind the fence `::` starts no workflow command, and is kept.
    span = _without_commands(f"{fence}{padding}{sanitized}{padding}{fence}")
    return span.replace("|", "\\|") if sanitized else "(empty)"
