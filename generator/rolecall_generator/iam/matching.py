"""Matching of names in policies: wildcards, policy variables and ARNs.

Quotations are from the IAM User Guide, looked up in November 2026; the page stands behind each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

Context = Mapping[str, tuple[str, ...]]
"""Request context: key in lower case -> values; an empty tuple is a key known to be absent."""

Matcher = Callable[[str], bool]

_TOKEN = re.compile(r"\$\{([^}]*)\}|([*?])")
_VARIABLE = re.compile(r"^\s*([^,'\s]+)\s*(?:,\s*'([^']*)'\s*)?$")
_SPECIAL = ("*", "?", "$")
ARN_COLONS = 5  # between its six components


@lru_cache(maxsize=65_536)
def wildcard(pattern: str) -> Matcher:
    """A matcher for `*` and `?` that takes the whole text, compiled once per pattern.

    "The asterisk (*) character can expand to replace everything within a segment, including characters like a forward
    slash (/)". "If the * wildcard is the last character of a resource ARN segment, it can expand to match beyond the colon
    boundaries." (IAM JSON policy elements: Resource). Here each `*` may cross colons: the wider reading, which matters for
    no ARN of IAM.
    """
    if pattern == "*":
        return lambda _text: True
    if "*" not in pattern and "?" not in pattern:
        return pattern.__eq__
    if pattern.find("*") == len(pattern) - 1 and "?" not in pattern:
        head = pattern[:-1]
        return lambda text: text.startswith(head)
    return _glob(tuple(pattern))


@lru_cache(maxsize=65_536)
def _glob(tokens: tuple[str, ...]) -> Matcher:
    """A matcher of tokens: `*`, `?` or literal text (which carries a leading NUL when it was escaped).

    Pieces between stars are found from left to right, which is enough for globs and takes linear steps where one regular
    expression of many stars could take ages on a hostile policy.
    """
    pieces: list[list[str]] = [[]]
    for token in tokens:
        if token == "*":  # noqa: S105 - a wildcard, no password
            pieces.append([])
        else:
            pieces[-1].append(token)
    first, *middle, last = (_piece(piece) for piece in pieces) if len(pieces) > 1 else (_piece(pieces[0]), _piece([]))
    if len(pieces) == 1:
        return lambda text: first.fullmatch(text) is not None
    length = sum(1 if token == "?" else len(token.removeprefix("\0")) for token in pieces[-1])  # noqa: S105 - as above

    def match(text: str) -> bool:
        end = len(text) - length
        found = first.match(text)
        if found is None or found.end() > end or last.fullmatch(text, end) is None:
            return False
        place = found.end()
        for piece in middle:
            found = piece.search(text, place, end)
            if found is None:
                return False
            place = found.end()
        return True

    return match


def _piece(tokens: list[str]) -> re.Pattern[str]:
    """An expression without stars, so of fixed length."""
    source = "".join("." if token == "?" else re.escape(token.removeprefix("\0")) for token in tokens)  # noqa: S105 - as above
    return re.compile(source, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable: the context key in lower case and the default, None when there is none."""

    key: str
    default: str | None


class Template:
    """A policy value with variables, wildcards or both.

    "${*} - use where you need an * (asterisk) character. ${?} - use where you need a ? (question mark) character.
    ${$} - use where you need a $ (dollar sign) character." (IAM policy elements: Variables and tags)
    """

    __slots__ = ("_tokens", "text", "variables")

    def __init__(self, text: str) -> None:
        """Raises ValueError when a `${...}` is not a variable as documented."""
        self.text = text
        self._tokens = tuple(_tokens(text))
        self.variables = tuple(token for token in self._tokens if isinstance(token, Variable))

    def fill(self, context: Context) -> tuple[str, ...] | None:
        """Tokens for `_glob` with every variable replaced; None when one has no single value and no default.

        "You can use any available single-valued context key as a policy variable, but you cannot use a multivalued context
        key as a policy variable." (Single-valued vs. multivalued context keys)
        """
        filled: list[str] = []
        for token in self._tokens:
            if isinstance(token, str):
                filled.append(token)
                continue
            values = context.get(token.key, ())
            value = values[0] if len(values) == 1 else token.default
            if value is None:
                return None
            # NUL marks text from the request as literal: a caller's `*` is no wildcard.
            filled.append("\0" + value)
        return tuple(filled)

    def literal(self, context: Context) -> str | None:
        """The text where wildcards mean themselves (StringEquals and its kin)."""
        filled = self.fill(context)
        return None if filled is None else "".join(token.removeprefix("\0") for token in filled)

    def matcher(self, context: Context) -> Matcher | None:
        """A matcher with wildcards; None when a variable has no value."""
        filled = self.fill(context)
        return None if filled is None else _glob(filled)


def _tokens(text: str) -> Iterable[str | Variable]:
    place = 0
    for match in _TOKEN.finditer(text):
        if match.start() > place:
            yield "\0" + text[place : match.start()]
        place = match.end()
        if match.group(2):
            yield match.group(2)
        elif match.group(1) in _SPECIAL:
            yield "\0" + match.group(1)
        else:
            yield _variable(match.group(1))
    if place < len(text):
        yield "\0" + text[place:]


def _variable(inside: str) -> Variable:
    """Read a variable: "surround the default value with single quotes (' '), and separate the variable text and the default
    value with a comma and space (, )" (IAM policy elements: Variables and tags).
    """
    parsed = _VARIABLE.match(inside)
    if parsed is None:
        raise ValueError(f"${{{inside}}} is not a policy variable")
    return Variable(parsed.group(1).lower(), parsed.group(2))


def _resource_template(pattern: str) -> Template:
    """A resource with variables. A variable without a value matches nothing: "the resource that includes a policy variable
    with no value will not match any resource." (IAM policy elements: Variables and tags)

    Raises ValueError for a variable where the documentation allows none: "You can use a policy variable in the Resource
    element, but only in the resource portion of the ARN. This portion of the ARN appears after the fifth colon (:)."
    """
    if pattern.partition("${")[0].count(":") < ARN_COLONS:
        raise ValueError(f"{pattern} has a policy variable before the fifth colon, where AWS takes none")
    return Template(pattern)


class Names:
    """A list of patterns that one name is held against: literals in a set, the rest in order.

    `variables`: the patterns are resources that may have policy variables; raises ValueError where they may not.
    """

    __slots__ = ("_literals", "_matchers", "_templates", "any")

    def __init__(self, patterns: Iterable[str], *, variables: bool = False) -> None:
        literals, matchers, templates = set(), [], []
        for pattern in patterns:
            if variables and "${" in pattern:
                templates.append(_resource_template(pattern))
            elif "*" in pattern or "?" in pattern:
                matchers.append(wildcard(pattern))
            else:
                literals.add(pattern)
        self._literals = frozenset(literals)
        self._matchers = tuple(matchers)
        self._templates = tuple(templates)
        self.any = bool(literals or matchers or templates)

    def match(self, name: str, context: Context) -> bool:
        """True when any pattern takes the name."""
        if name in self._literals:
            return True
        for matcher in self._matchers:
            if matcher(name):
                return True
        for template in self._templates:
            filled = template.matcher(context)
            if filled is not None and filled(name):
                return True
        return False


@lru_cache(maxsize=65_536)
def arn_like(pattern: str) -> Matcher:
    """A matcher of ARNs: "Each of the six colon-delimited components of the ARN is checked separately and each can
    include multi-character match wildcards (*) or single-character match wildcards (?)." (IAM JSON policy elements:
    Condition operators)
    """
    matchers = tuple(wildcard(part) for part in pattern.split(":", ARN_COLONS))

    def match(text: str) -> bool:
        parts = text.split(":", ARN_COLONS)
        return len(parts) == len(matchers) and all(m(part) for m, part in zip(matchers, parts, strict=True))

    return match
