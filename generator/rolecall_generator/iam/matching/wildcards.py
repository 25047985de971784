"""Matching of names in policies: wildcards, policy variables, ARNs, and resources against the ARN forms of a service.

ARN forms are those of AWS's Service Authorization Reference, as in `arn:${Partition}:s3:::${BucketName}/${ObjectName}`.
Quotations are from the IAM User Guide, November 2026; the page is given in parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_VARIABLE_OR_WILDCARD = re.compile(r"\$\{[^}]*\}|[*?]")

_EXCLUDED = {"Partition": ":", "Region": ":", "Account": ":", "BucketName": "/:", "TableName": "/:"}
"""Characters that a placeholder cannot contain: parts of an ARN, and names whose path depth determines the type."""

_ESCAPED = {"${*}": "*", "${?}": "?", "${$}": "$"}


LONGEST_RESOURCE_CHARACTERS = 2_048
"""Longer resources count as matching: AWS's ARNs are not longer, and the comparison takes quadratic time."""


@dataclass(frozen=True, slots=True)
class _Token:
    """One literal character; or, if `text` is None, any run of characters (exactly one if `single`) not in `excluded`."""

    text: str | None
    excluded: str = ""
    single: bool = False

    def takes(self, character: str) -> bool:
        return self.text == character if self.text is not None else character not in self.excluded

    @property
    def repeats(self) -> bool:
        return self.text is None and not self.single


@lru_cache(maxsize=65_536)
def may_match(resource: str, form: str) -> bool:
    """False only if the resource pattern can match no ARN of the form; unknown placeholders match everything."""
    if resource == "*" or len(resource) > LONGEST_RESOURCE_CHARACTERS:
        return True
    if _VARIABLE_OR_WILDCARD.search(resource) is None:
        return _form_pattern(form).fullmatch(resource) is not None
    return _overlap(_resource_tokens(resource), _form_tokens(form))


@lru_cache(maxsize=4_096)
def _form_pattern(form: str) -> re.Pattern[str]:
    parts = []
    for token in _form_tokens(form):
        if token.text is not None:
            parts.append(re.escape(token.text))
        else:
            parts.append(f"[^{re.escape(token.excluded)}]*" if token.excluded else ".*")
    return re.compile("".join(parts), re.DOTALL)


@lru_cache(maxsize=4_096)
def _form_tokens(form: str) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    at = 0
    for found in _PLACEHOLDER.finditer(form):
        tokens += _literal(form[at : found.start()])
        tokens.append(_Token(None, _EXCLUDED.get(found[1], "")))
        at = found.end()
    return (*tokens, *_literal(form[at:]))


def _literal(text: str) -> list[_Token]:
    """Tokens of the literal part of an ARN form; a few forms contain `*`."""
    return [_Token(None) if character == "*" else _Token(character) for character in text]


def _resource_tokens(resource: str) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    at = 0
    for found in _VARIABLE_OR_WILDCARD.finditer(resource):
        tokens += [_Token(character) for character in resource[at : found.start()]]
        escaped = _ESCAPED.get(found[0])
        tokens.append(_Token(escaped) if escaped else _Token(None, single=found[0] == "?"))
        at = found.end()
    return (*tokens, *(_Token(character) for character in resource[at:]))


def _overlap(one: tuple[_Token, ...], other: tuple[_Token, ...]) -> bool:
    """Whether any string matches both patterns: a search over pairs of positions, each visited once."""
    todo = [(0, 0)]
    seen = set(todo)
    while todo:
        i, j = todo.pop()
        if i == len(one) and j == len(other):
            return True
        for state in _steps(one, other, i, j):
            if state not in seen:
                seen.add(state)
                todo.append(state)
    return False


def _steps(one: tuple[_Token, ...], other: tuple[_Token, ...], i: int, j: int) -> list[tuple[int, int]]:
    left = one[i] if i < len(one) else None
    right = other[j] if j < len(other) else None
    steps = []
    if left is not None and left.repeats:
        steps.append((i + 1, j))
    if right is not None and right.repeats:
        steps.append((i, j + 1))
    if left is not None and right is not None and not (left.repeats and right.repeats) and _share(left, right):
        steps.append((i if left.repeats else i + 1, j if right.repeats else j + 1))
    return steps


def _share(left: _Token, right: _Token) -> bool:
    if left.text is not None:
        return right.takes(left.text)
    return right.text is None or left.takes(right.text)


Context = Mapping[str, tuple[str, ...]]
"""Request context: values by lower-case key; an empty tuple is a key known to be absent."""

Matcher = Callable[[str], bool]

_TOKEN = re.compile(r"\$\{([^}]*)\}|([*?])")
_VARIABLE = re.compile(r"^\s*([^,'\s]+)\s*(?:,\s*'([^']*)'\s*)?$")
_SPECIAL = ("*", "?", "$")
_WILDCARDS = frozenset("*?")
ARN_COLONS = 5  # between its six components


@lru_cache(maxsize=65_536)
def wildcard(pattern: str) -> Matcher:
    """A matcher of whole strings with the wildcards `*` and `?`, cached by pattern.

    "The asterisk (*) character can expand to replace everything within a segment, including characters like a forward
    slash (/)". "If the * wildcard is the last character of a resource ARN segment, it can expand to match beyond the colon
    boundaries." (IAM JSON policy elements: Resource). Here each `*` can match colons: the wider reading, without effect on
    ARNs of IAM.
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
    """A matcher of tokens: `*`, `?` or literal text (with a leading NUL if it was escaped).

    Searches the pieces between stars from left to right, without the backtracking of one regular expression.
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
    """A regular expression without stars, which matches strings of one length."""
    source = "".join("." if token == "?" else re.escape(token.removeprefix("\0")) for token in tokens)  # noqa: S105 - as above
    return re.compile(source, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable: the context key in lower case, and the default or None."""

    key: str
    default: str | None


class PolicyTemplate:
    """A policy value with variables, wildcards or both.

    "${*} - use where you need an * (asterisk) character. ${?} - use where you need a ? (question mark) character.
    ${$} - use where you need a $ (dollar sign) character." (IAM policy elements: Variables and tags)
    """

    __slots__ = ("_tokens", "text", "variables")

    def __init__(self, text: str) -> None:
        """Raises ValueError for a `${...}` that is not a documented variable."""
        self.text = text
        self._tokens = tuple(_tokens(text))
        self.variables = tuple(token for token in self._tokens if isinstance(token, Variable))

    def check_defaults(self) -> None:
        """Raise ValueError for a default with a wildcard: AWS does not document whether it is one or a literal character."""
        for variable in self.variables:
            if variable.default is not None and not _WILDCARDS.isdisjoint(variable.default):
                raise ValueError(f"the default of the policy variable in {self.text} has a wildcard")

    def fill(self, context: Context) -> tuple[str, ...] | None:
        """Tokens with every variable replaced; None if a variable has neither exactly one value nor a default.

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
            # NUL marks text from the request as literal: a `*` in it is not a wildcard.
            filled.append("\0" + value)
        return tuple(filled)

    def outline(self, *, wildcards: bool) -> tuple[str, ...]:
        """Tokens with `*` in place of every variable. `wildcards`: `*` and `?` of the value are wildcards, not literal."""
        return tuple(
            "*" if isinstance(token, Variable) else token if wildcards else "\0" + token.removeprefix("\0")
            for token in self._tokens
        )

    def literal(self, context: Context) -> str | None:
        """The string with wildcards as literal characters, for StringEquals and StringEqualsIgnoreCase; None as `fill`."""
        filled = self.fill(context)
        return None if filled is None else "".join(token.removeprefix("\0") for token in filled)

    def matcher(self, context: Context) -> Matcher | None:
        """A matcher with wildcards; None as `fill`."""
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
    """Parse a variable: "surround the default value with single quotes (' '), and separate the variable text and the default
    value with a comma and space (, )" (IAM policy elements: Variables and tags).
    """
    parsed = _VARIABLE.match(inside)
    if parsed is None:
        raise ValueError(f"${{{inside}}} is not a policy variable")
    return Variable(parsed.group(1).lower(), parsed.group(2))


def _resource_template(pattern: str) -> PolicyTemplate:
    """A resource with variables. A variable without a value matches nothing: "the resource that includes a policy variable
    with no value will not match any resource." (IAM policy elements: Variables and tags)

    Raises ValueError for a variable where the documentation allows none: "You can use a policy variable in the Resource
    element, but only in the resource portion of the ARN. This portion of the ARN appears after the fifth colon (:)."
    """
    if pattern.partition("${")[0].count(":") < ARN_COLONS:
        raise ValueError(f"{pattern} has a policy variable before the fifth colon, which AWS does not support")
    template = PolicyTemplate(pattern)
    template.check_defaults()
    return template


class PolicyVariables:
    """A list of patterns for one name.

    `variables`: the patterns are resources that can have policy variables. Raises ValueError for a variable in a place
    that AWS does not support.
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
        """True if any pattern matches the name."""
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
    return components_matcher([wildcard(part) for part in pattern.split(":", ARN_COLONS)])


def components_matcher(matchers: Sequence[Matcher]) -> Matcher:
    """A matcher of ARNs by one matcher for each component."""

    def match(text: str) -> bool:
        parts = text.split(":", ARN_COLONS)
        return len(parts) == len(matchers) and all(m(part) for m, part in zip(matchers, parts, strict=True))

    return match
