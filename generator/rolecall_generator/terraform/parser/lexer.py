"""Lexer of Terraform's native syntax: removes comments, and extracts and decodes string literals.

The rest of a file is its shape, in which numbers replace the literals; files that differ only in literals have the same
shape. python-hcl2 parses only shapes, since it reads strings, escapes and heredocs differently from Terraform (python-hcl2
8.1.4 continues `$${` past the closing quote, and a heredoc past a marker with a space after it).

Source: HCL native syntax specification and hashicorp/hcl `hclsyntax/scan_tokens.rl`, November 2026.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from rolecall_generator.terraform.parser.values import GO_SPACES, MAXIMUM_COMBINING, has_long_combining_run

MAXIMUM_DEPTH = 100
"""Maximum nesting of brackets; ordinary modules have fewer than 20 levels."""

DIRECTIVE = "template_directive()"
"""Replaces a `%{ }` directive in a shape: a call of a function that does not exist, and that a module cannot define."""

_CODE = re.compile(
    r"""(?P<plain>[^"#/<{}\[\]()\r\n]+)|"(?P<literal>[^"\\$%\r\n]*)"|(?P<newline>\r?\n)"""
    r"""|(?P<comment>\#[^\n]*|//[^\n]*)|(?P<block>/\*.*?\*/)"""
    r"""|(?P<heredoc><<(?P<trim>-?)(?P<marker>[^\W\d][\w.-]*)\r?\n)|(?P<open>[{\[(])|(?P<close>[}\])])|(?P<quote>")"""
    r"""|(?P<bad>/\*|\r)|(?P<other>[/<])""",
    re.DOTALL,
)
# A run of `$` or `%` is one token, so that scanning takes linear time.
_QUOTED = re.compile(
    r"""(?P<plain>[^"\\$%\r\n]+)|(?P<end>")|(?P<simple>\\[nrt"\\])|(?P<unicode>\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8})"""
    r"""|(?P<bad>\\|\r|\n)|(?P<escaped>\$\$+\{|%%+\{)|(?P<interpolation>\$\{)|(?P<directive>%\{)|(?P<sign>\$++|%++)"""
)
_HEREDOC = re.compile(
    r"""(?P<plain>[^$%]+)|(?P<escaped>\$\$+\{|%%+\{)|(?P<interpolation>\$\{)"""
    r"""|(?P<directive>%\{)|(?P<sign>\$++|%++)"""
)
_SIMPLE = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"', "\\\\": "\\"}


class Unreadable(Exception):  # noqa: N818 - becomes a finding
    """A file cannot be parsed with certainty; `line` counts from 1."""

    def __init__(self, reason: str, line: int) -> None:
        self.reason = reason
        self.line = line
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class ScannedText:
    """A file's shape (code with numbers for literals and the same line breaks) and the decoded literals by number.

    `depth` is the number of brackets open at the end; negative if more were closed than opened.
    """

    shape: str
    literals: tuple[str, ...]
    depth: int = 0


def scan(text: str) -> ScannedText:
    """Scan a `.tf` file. Raises Unreadable."""
    scanner = _Scanner(text)
    scanner.code(inside_template=False)
    return ScannedText("".join(scanner.out), tuple(scanner.literals), scanner.depth)


def scan_template(text: str) -> ScannedText:
    """Scan a template without escapes (a JSON string, the body of a heredoc) as the argument `x`. Raises Unreadable."""
    scanner = _Scanner(text)
    scanner.out.append("x = ")
    scanner.template(text)
    return ScannedText("".join(scanner.out) + "\n", tuple(scanner.literals))


def normalize(value: str) -> str:
    """Normalize a string to NFC, as Terraform does with every string.

    Raises Unreadable for a long run of combining characters, since normalizing it takes quadratic time.
    """
    if value.isascii():
        return value
    if has_long_combining_run(value):
        raise Unreadable(f"more than {MAXIMUM_COMBINING} combining characters in a row", 1)
    return unicodedata.normalize("NFC", value)


def _joins_its_margin(line: str) -> bool:
    """True if a combining character may follow the indentation: Terraform removes it together with the last blank."""
    first = line.lstrip(GO_SPACES)[:1]
    return first >= "\u0300" and (first in _JOINING_LETTERS or unicodedata.category(first)[0] in "MCS")


_JOINING_LETTERS = "\u0e33\u0eb3"
"""Letters of Thai and Lao that form a grapheme cluster with the character before them."""


class _Scanner:
    def __init__(self, text: str, line: int = 1, depth: int = 0) -> None:
        self.text = text
        self.first_line = line
        self.position = 0
        self.depth = depth
        self.out: list[str] = []
        self.literals: list[str] = []
        # Line breaks in block comments and heredocs, added at the next line break to keep line numbers.
        self.held = 0
        # Line breaks up to the last heredoc: counting from the start each time would take quadratic time.
        self.counted_to = 0
        self.counted = 0

    def refuse(self, reason: str) -> Unreadable:
        return Unreadable(reason, self.first_line + self.text.count("\n", 0, self.position))

    def normalize(self, value: str) -> str:
        try:
            return normalize(value)
        except Unreadable as error:
            raise self.refuse(error.reason) from None

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            raise self.refuse(f"nested more than {MAXIMUM_DEPTH} deep")

    def code(self, *, inside_template: bool) -> None:
        """Copy code up to the end, or to the brace that closes the template sequence."""
        outside = self.depth
        while match := _CODE.match(self.text, self.position):
            kind, found = match.lastgroup, match.group()
            if kind == "bad":
                raise self.refuse("a comment that is not closed" if found == "/*" else "a bare carriage return")
            self.position = match.end()
            if inside_template and found == "}" and self.depth == outside:
                return
            if kind in ("plain", "other"):
                self.out.append(found)
            elif kind == "literal":
                self.out += ('"', str(len(self.literals)), '"')
                self.literals.append(self.normalize(match["literal"]))
            elif kind == "quote":
                self.quoted()
            elif kind in ("open", "close"):
                self.bracket(found, opening=kind == "open")
            elif kind == "heredoc":
                self.heredoc(match.group("marker"), dedent=bool(match.group("trim")))
            else:
                self.blank(found)
        if inside_template:
            raise self.refuse("a template sequence that is not closed")

    def bracket(self, found: str, *, opening: bool) -> None:
        """Copy a bracket and update the depth."""
        if opening:
            self.enter()
        else:
            self.depth -= 1
        self.out.append(found)

    def blank(self, found: str) -> None:
        """Copy a line break, or skip a comment except for its line breaks."""
        if found in ("\n", "\r\n"):
            self.out.append("\n" * (1 + self.held))
            self.held = 0
        elif found.startswith("/*"):
            self.out.append(" ")
            self.held += found.count("\n")

    def literal(self, parts: list[str]) -> None:
        self.out.append(str(len(self.literals)))
        self.literals.append(self.normalize("".join(parts)))
        parts.clear()

    def sequence(self, *, directive: bool) -> None:
        """Copy one `${ }` or `%{ }` after its opening."""
        self.enter()
        before = len(self.out)
        self.code(inside_template=True)
        if directive:
            del self.out[before:]
            self.out.append(DIRECTIVE)
        self.depth -= 1

    def quoted(self) -> None:
        """Copy a quoted string after its opening quote."""
        parts: list[str] = []
        self.out.append('"')
        empty = True
        while match := _QUOTED.match(self.text, self.position):
            kind, token = match.lastgroup, match.group()
            if kind == "bad":
                raise self.refuse("a string that Terraform rejects, with a line break or an unknown escape")
            self.position = match.end()
            if kind == "end":
                if parts or empty:
                    self.literal(parts)
                self.out.append('"')
                return
            empty = False
            if kind in ("interpolation", "directive"):
                self.interpolate(parts, directive=kind == "directive")
            else:
                parts.append(self.decoded(kind, token))
        raise self.refuse("a string that is not closed")

    def decoded(self, kind: str | None, token: str) -> str:
        if kind == "simple":
            return _SIMPLE[token]
        if kind == "escaped":
            return token[1:]
        if kind != "unicode":
            return token
        try:
            character = chr(int(token[2:], 16))
            character.encode()  # a surrogate is a character only in Python
        except ValueError:
            raise self.refuse("an escape of an invalid character") from None
        return character

    def interpolate(self, parts: list[str], *, directive: bool) -> None:
        if parts:
            self.literal(parts)
        self.out.append("${")
        self.sequence(directive=directive)
        self.out.append("}")

    def heredoc(self, marker: str, *, dedent: bool) -> None:
        """Copy a heredoc after its first line. As in Terraform, the end marker may have blanks on both sides."""
        lines: list[str] = []
        start = self.position
        while self.position < len(self.text):
            end = self.text.find("\n", self.position)
            end = len(self.text) if end < 0 else end
            line = self.text[self.position : end]
            if line.strip(GO_SPACES) == marker:
                self.position = end
                self.held += 1 + len(lines)
                self.heredoc_body(lines, start, dedent=dedent)
                return
            lines.append(line + "\n")
            self.position = end + 1
        self.position = start
        raise self.refuse(f"a heredoc without its end {marker}")

    def heredoc_body(self, lines: list[str], start: int, *, dedent: bool) -> None:
        if dedent:
            # A tab counts as one blank, and blank lines are unchanged.
            indented = [line for line in lines if line.strip(GO_SPACES)]
            margins = [line[: len(line) - len(line.lstrip(GO_SPACES))] for line in indented]
            if any(margin.strip(" \t") for margin in margins) or any(map(_joins_its_margin, indented)):
                raise self.refuse("a heredoc indented with unusual white space")
            margin = min(map(len, margins), default=0)
            lines = [line[margin:] if line.strip(GO_SPACES) else line for line in lines]
        self.counted += self.text.count("\n", self.counted_to, start)
        self.counted_to = start
        inner = _Scanner("".join(lines), self.first_line + self.counted, self.depth)
        inner.out, inner.literals = self.out, self.literals
        inner.template(inner.text)

    def template(self, text: str) -> None:
        """Copy a template without escapes as a quoted string."""
        parts: list[str] = []
        self.out.append('"')
        while match := _HEREDOC.match(text, self.position):
            kind = match.lastgroup
            self.position = match.end()
            if kind in ("interpolation", "directive"):
                before = self.position
                self.interpolate(parts, directive=kind == "directive")
                if "\n" in text[before : self.position]:
                    raise self.refuse("a template sequence over several lines of a heredoc")
            else:
                parts.append(self.decoded(kind, match.group()))
        if parts or not text:
            self.literal(parts)
        self.out.append('"')
