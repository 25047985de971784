"""Targets, and their selection by host patterns, as in Ansible. Does not import the manifest loader.

    all                 every target                     tier=gold     a label or tag; wildcards in the value
    acme                a name                           region=eu-*   also region, permission and kind of the target
    acme-*, a?me        names with wildcards             222222222222  an account ID
    ~ac(me|ne)          a regular expression, from the start of the name
    @names.txt          a file of terms, one per line; `#` starts a comment

Terms are joined with `:` or `,`. As in Ansible, the union of all plain terms is narrowed by `:&term`, then reduced by
`:!term`, in any order; without a plain term the union is all targets. `\\` escapes the next character.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from rolecall_generator.errors import NothingToDoError, SelectionError


class TargetKind(StrEnum):
    """Kind of a target in the manifest."""

    CUSTOMER = "customer"
    SWITCH_ROLE = "switch-role"


@dataclass(frozen=True, slots=True)
class Target:
    """A role that a run assumes or reads.

    `name` is unique among targets of one kind. `external_id` None: the role is assumed without one. During a rotation
    `previous_external_id` is valid too; `retired_external_id`, of the last rotation, must be denied. `backend_role_arn`: the
    principal that may assume the role: a customer's backend role, or the root of a switch role's trusted account. `regions`
    are used by queries, `labels` and `tags` by selections, `variables` by queries and plays. `session_tags` and
    `source_identity`: whether the trust policy allows the caller to set them. `require_mfa`: whether it requires MFA.
    """

    name: str
    account_id: str
    partition: str
    role_arn: str
    external_id: str | None = None
    previous_external_id: str | None = None
    retired_external_id: str | None = None
    backend_role_arn: str = ""
    regions: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    permissions: tuple[str, ...] = ()
    max_session_seconds: int = 3600
    session_tags: bool = False
    source_identity: bool = False
    kind: TargetKind = TargetKind.CUSTOMER
    require_mfa: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name, which identify the target in its manifest."""
        return str(self.kind), self.name


_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_OPENING, _CLOSING = "([{", ")]}"
Test = Callable[[Target], bool]
ALL_TARGETS = "all"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which targets a run includes: a host pattern, narrowed to a random sample or to the failures of an earlier run."""

    limit: str = field(default=ALL_TARGETS, metadata={"description": "Accounts to include, as an Ansible host pattern."})
    sample: int | None = field(
        default=None, metadata={"description": "Random sample of this size, see --seed.", "ge": 1, "strict": True}
    )
    seed: int = field(default=0, metadata={"description": "Seed of the random sample."})
    retry: str | None = field(default=None, metadata={"description": "Only accounts that did not succeed in that run."})

    @property
    def summary(self) -> str:
        """A short description of the selection, for run records and reports."""
        parts = [self.limit]
        if self.retry is not None:
            parts.append(f"failed in {self.retry}")
        if self.sample is not None:
            parts.append(f"sample of {self.sample} (seed {self.seed})")
        return ", ".join(parts)


def read_text(path: str) -> str:
    """Read a UTF-8 file. The default reader for `@file`."""
    return Path(path).read_text("utf-8")


def select(targets: Sequence[Target], pattern: str, *, read: Callable[[str], str] = read_text) -> tuple[Target, ...]:
    """The targets that match a pattern, in the order of `targets`.

    Raises SelectionError for a term without a match (also in exclusions, since it may be a typo) with the nearest name, for
    a pattern without terms, and if no target remains.
    """
    if not targets:
        raise SelectionError("the manifest has no customer and no switch role", hint="add one, or use another manifest")
    terms = list(_terms(pattern))
    if not terms:
        raise SelectionError("an empty pattern selects no account", where="--limit", hint="use `all` for every account")
    selected: set[int] = set()
    for term in [text for sign, text in terms if not sign] or [ALL_TARGETS]:
        selected |= _matches(targets, term, read)
    for term in [text for sign, text in terms if sign == "&"]:
        selected &= _matches(targets, term, read)
    for term in [text for sign, text in terms if sign == "!"]:
        selected -= _matches(targets, term, read)
    if not selected:
        raise SelectionError(
            "the terms combined select no account",
            where=pattern,
            hint="remove a term, or check the terms one by one",
        )
    return tuple(target for index, target in enumerate(targets) if index in selected)


def sample(targets: Sequence[Target], count: int, seed: int) -> tuple[Target, ...]:
    """A random sample of this size, in the order of `targets`, reproducible by `seed`.

    Raises SelectionError for a size below 1.
    """
    if count < 1:
        raise SelectionError(f"a sample of {count} selects no account", hint="use a sample size of 1 or more")
    picked = random.Random(seed).sample(range(len(targets)), min(count, len(targets)))  # noqa: S311 - not a secret
    return tuple(targets[index] for index in sorted(picked))


def select_keys(targets: Iterable[Target], keys: Collection[tuple[str, str]], run: str) -> tuple[Target, ...]:
    """The targets with these keys (kind and name), such as the failed targets of an earlier run.

    Keys without a target are ignored. `run`: ID of that run, for the error. Raises NothingToDoError without keys, and
    SelectionError if no target remains.
    """
    if not keys:
        raise NothingToDoError("all of its accounts succeeded; nothing to retry", where=f"run {run}")
    found = tuple(target for target in targets if target.key in keys)
    if not found:
        why = "none of its accounts is in the manifest any more"
        raise SelectionError(why, where=f"run {run}", hint="use another run, or omit --retry")
    return found


def _terms(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield the sign ("", "&" or "!") and the text of each term. Brackets of a regular expression can contain separators."""
    for raw in _split(pattern):
        sign = raw[0] if raw[:1] in {"&", "!"} else ""
        text = raw[len(sign) :].strip()
        if text:
            yield sign, text


def _split(pattern: str) -> list[str]:
    parts, depth, index = [""], 0, 0
    while index < len(pattern):
        character = pattern[index]
        regex = parts[-1].lstrip("&! ").startswith("~")
        if character == "\\" and index + 1 < len(pattern):
            index += 1
            parts[-1] += (character if regex else "") + pattern[index]
        elif character in ":," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
            depth += regex * ((character in _OPENING) - (character in _CLOSING))
            depth = max(depth, 0)
        index += 1
    return [part.strip() for part in parts if part.strip()]


def _matches(targets: Sequence[Target], term: str, read: Callable[[str], str]) -> set[int]:
    """Indexes of the targets that match a term. Raises SelectionError if there are none."""
    if term.startswith("@"):
        found: set[int] = set()
        for line in _lines(term[1:], read):
            found |= _matches(targets, line, read)
        return found
    test = _matcher(term)
    found = {index for index, target in enumerate(targets) if test(target)}
    if not found:
        raise SelectionError(f"{term} selects no account", where="--limit", hint=_suggestion(targets, term))
    return found


def _lines(path: str, read: Callable[[str], str]) -> list[str]:
    try:
        text = read(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SelectionError(
            f"the file cannot be read: {reason}", where=path, hint="specify a text file of terms"
        ) from error
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    terms = [line for line in lines if line]
    if not terms:
        raise SelectionError("the file contains no terms", where=path, hint="write one term per line")
    if nested := [line for line in terms if line.startswith("@")]:
        raise SelectionError(
            f"{nested[0]}: a file of terms cannot include other files", where=path, hint="copy its lines here"
        )
    return terms


def _matcher(text: str) -> Test:
    if text in {"all", "*"}:
        return lambda _target: True
    if text.startswith("~"):
        try:
            regex = re.compile(text[1:])
        except re.error as error:
            hint = "fix the expression after ~"
            raise SelectionError(f"not a regular expression: {error}", where=text, hint=hint) from error
        return lambda target: regex.match(target.name) is not None
    if _ACCOUNT_ID.fullmatch(text):
        return lambda target: text in (target.account_id, target.name)
    key, equals, value = text.partition("=")
    if equals:
        return lambda target: any(fnmatchcase(own, value) for own in _values(target, key))
    if any(character in text for character in "*?["):
        return lambda target: fnmatchcase(target.name, text)
    return lambda target: target.name == text


def _values(target: Target, key: str) -> Iterable[str]:
    """Values of a key: of a label or a tag, otherwise the target's regions, permission sets, or kind."""
    own = [each[key] for each in (target.labels, target.tags) if key in each]
    if own:
        return own
    return {"region": target.regions, "permission": target.permissions, "kind": (str(target.kind),)}.get(key, ())


def _suggestion(targets: Sequence[Target], text: str) -> str:
    if "=" in text:
        known = {f"{key}={value}" for each in targets for pairs in (each.labels, each.tags) for key, value in pairs.items()}
    elif _ACCOUNT_ID.fullmatch(text):
        known = {target.account_id for target in targets}
    else:
        known = {target.name for target in targets}
    near = get_close_matches(text.lstrip("~"), known, n=1)
    return f"did you mean {near[0]}?" if near else "use a customer, switch role, label=value, account ID or @file"
