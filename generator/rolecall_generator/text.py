r"""The one sanitizer: how text that someone else wrote may be shown.

Names, values and messages come from returned folders, AWS accounts, run records and forms. Shown as they are they could
steer a terminal (escape sequences), fake lines (line breaks), hide or reorder characters (CVE-2021-42574), start a command
of a build server (`::error::`), or break out of a format. What is replaced:

- control characters (C0, DEL, C1), lone surrogates and noncharacters,
- format characters and all others that are invisible: bidirectional controls, zero-width characters, U+2028 and U+2029,
  byte order marks, tag characters, variation selectors (Unicode categories Cc, Cf, Cs, Zl, Zp and the property
  Default_Ignorable_Code_Point); an emoji keeps the selector after it,
- beginnings of workflow commands: `::name` at the start of a line, and `##[`, `##vso[`, `##teamcity[` anywhere (GitHub
  Actions runner, ActionCommand.cs; Azure Pipelines agent, Command.cs; TeamCity, "Service messages"; November 2026).

Letters, accents, CJK and emoji stay. The replacement is U+FFFD, one for one, so that styles and widths stay right.
`rolecall_generator.terminal` applies this to everything that is printed; formats with rules of their own call it themselves.

Also here: suggestions of the nearest name, counts and durations for messages, command lines to copy, Markdown code spans.
"""

from __future__ import annotations

import difflib
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
_NOT_ON_A_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f{_INVISIBLE}{_SURROGATES}]|{_SELECTOR}")
_NOT_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_INVISIBLE}{_SURROGATES}]|{_SELECTOR}")
_HIDDEN = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_INVISIBLE}{_SURROGATES}]|{_SELECTOR}")
_BLANKS = str.maketrans("\t\n\r", "   ")
_COMMAND = re.compile(r"(?m)(?<=#)#(?=\w*\[)|(?<![^\n])(?P<blank>[^\S\n]*):(?=:[^\S\n]*[A-Za-z])")
_JSON_COMMAND = re.compile(r"(?<=#)#(?=\w*\[)")


def one_line(text: str) -> str:
    """The text for one line: line breaks and tabs become spaces, what is not shown becomes U+FFFD. Length stays."""
    if text.isascii() and text.isprintable():
        return _without_commands(text)
    return _without_commands(_NOT_ON_A_LINE.sub(REPLACEMENT, text.translate(_BLANKS)))


def lines_of(text: str) -> str:
    """The same for text of several lines, whose tabs and line feeds stay; CR LF becomes a line feed."""
    return _without_commands(_NOT_IN_LINES.sub(REPLACEMENT, text.replace("\r\n", "\n")))


def first_hidden(text: str) -> int | None:
    """The index of the first character that a person cannot see and that no name needs; None when there is none.

    Line breaks and tabs do not count. Used where text is taken into the manifest.
    """
    if text.isascii() and text.isprintable():
        return None
    found = _HIDDEN.search(text)
    return None if found is None else found.start()


def code_point(character: str) -> str:
    """A character as people look it up: `U+202E`."""
    return f"U+{ord(character):04X}"


def json_text(
    value: Any,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
    ascii_only: bool = True,
) -> str:
    """JSON without control and invisible characters, DEL included, and without beginnings of workflow commands.

    The value is unchanged: what is not shown is written as an escape. `ascii_only` false leaves letters of all scripts
    legible. Raises TypeError as `json.dumps` does.
    """
    text = json.dumps(value, indent=indent, separators=separators, default=default, ensure_ascii=ascii_only)
    # Neither character occurs in JSON outside of strings.
    return _JSON_COMMAND.sub(r"\\u0023", _HIDDEN.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    units = (code,) if code < 0x10000 else (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF))  # noqa: PLR2004 - UTF-16
    return "".join(f"\\u{unit:04x}" for unit in units)


def _without_commands(text: str) -> str:
    if "##" not in text and "::" not in text:
        return text
    return _COMMAND.sub(lambda found: (found["blank"] or "") + REPLACEMENT, text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, whatever its case; None when nothing is close."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, 1, 0.6)
    return folded[close[0]] if close else None


DEFAULT_MANIFEST = Path("accounts.yaml")
DEFAULT_OUT = Path("output")

_ABOUT_A_MANIFEST = frozenset(
    {"gen terraform", "gen diff", "gen check", "gen prove", "gen profiles", "runner verify", "runner rehearse"}
)
"""Commands that take the manifest as their first argument; all others have an option."""


def command_line(words: str, manifest: Path, out: Path) -> str:
    """A command with manifest and output folder. `words`: the program, the command and the rest, quoted already."""
    program, command, *rest = words.split(" ", 2)
    parts = [f"{program} {command}", *rest]
    if manifest != DEFAULT_MANIFEST:
        if parts[0] in _ABOUT_A_MANIFEST:
            parts.insert(1, shell_word(manifest))
        else:
            parts.append(f"--manifest {shell_word(manifest)}")
    if out != DEFAULT_OUT:
        parts.append(f"--out {shell_word(out)}")
    return " ".join(parts)


def shell_word(text: str | Path) -> str:
    """Text to be copied into a shell; a file's name that is no text in the quotes that bash and zsh have for it."""
    text = str(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        named = os.fsencode(text).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
        return "$'" + named.replace("'", "\\'") + "'"
    return shlex.quote(text)


_MOST_NAMES = 24
"""How many names a hint lists before it becomes unreadable."""


def suggest(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint that names the nearest known word, else all of them when they are few, else `otherwise`."""
    names = list(known)
    if close := nearest(word, names):
        return f"write {close}"
    return f"{otherwise}: {', '.join(names)}" if 0 < len(names) <= _MOST_NAMES else otherwise


def clip(text: str, characters: int = 60) -> str:
    """Text short enough for one line of a message, without line breaks or other control characters."""
    shown = one_line(text[: characters + 1])
    return shown if len(shown) <= characters else shown[: characters - 3] + "..."


_UNITS = (("hour", 3_600), ("minute", 60), ("second", 1))


@lru_cache(maxsize=256)
def duration(seconds: int) -> str:
    """A length of time in the largest unit that fits without a rest: `1 hour`, `90 minutes`."""
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return counted(seconds // size, unit)


def counted(number: int, thing: str) -> str:
    """`1 role`, `2 roles`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def markdown(text: str) -> str:
    """Any string as a Markdown code span."""
    plain = " ".join(one_line(text).split())
    fence = "`"
    while fence in plain:
        fence += "`"
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}".replace("|", "\\|") if plain else "(empty)"
