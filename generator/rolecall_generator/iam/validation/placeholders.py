"""Placeholders left in a policy: `${bucket}`, `{{ bucket }}`, `<BUCKET>`, `%BUCKET%`.

AWS supports policy variables `${KEY}` with the name of a condition key, optionally with a default (`${KEY, 'default'}`),
and `${*}`, `${?}` and `${$}` for the characters themselves (IAM User Guide, "IAM policy elements: Variables and tags",
November 2026). AWS does not substitute anything else that looks like a variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rolecall_generator.iam.catalog import find_key, is_federated, key_with_placeholder, nearest_key

_ESCAPES = frozenset("*?$")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DEFAULT = re.compile(r"^([^,'\s]+)\s*(?:,\s*'([^']*)')?$")
_FILL = "write the value itself; AWS replaces only its own variables, as in ${aws:username}"

_TEMPLATES: tuple[re.Pattern[str], ...] = (
    re.compile(r"\$\([^()]*\)|\$\[[^\[\]]*\]"),
    re.compile(r"\$(?!(?:LATEST|DEFAULT)\b)[A-Z][A-Z0-9_]{2,}\b"),
    re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<%.*?%>"),
    re.compile(r"(?<!&)#?\{[A-Za-z_][A-Za-z0-9_.:-]*\}"),
    re.compile(r"<[^<>]+>"),
    re.compile(r"%\([^()]*\)[sd]?|%[A-Za-z_][A-Za-z0-9_.-]{2,}%"),
    re.compile(r"@[A-Za-z_][A-Za-z0-9_]+@|\b__[A-Za-z][A-Za-z0-9_]*?__(?![A-Za-z0-9])|\[[A-Z][A-Z_ -]{2,}\]"),
)
"""Placeholders of template languages, shells, CI systems and documentation, in search order."""

_NOT_PLACEHOLDERS = re.compile(r"%[0-9A-Fa-f]{2}%|__(?:pycache__|init__|main__|HIVE_DEFAULT_PARTITION__)")

_SUGGESTIVE = re.compile(
    r"(?<![A-Za-z0-9])(?:your[-_]?(?:bucket|account|region|role|queue|topic|table|key|org|name|company|domain)[a-z0-9_-]*"
    r"|replace[-_]?(?:me|with|this)|change[-_]?me|insert[-_](?:here|your)|fill[-_]?me|todo|fixme|x{6,})(?![A-Za-z0-9])",
    re.IGNORECASE,
)

_EQUIVALENT_VARIABLES: Mapping[str, str] = {
    "aws::accountid": "aws:PrincipalAccount",
    "accountid": "aws:PrincipalAccount",
    "account_id": "aws:PrincipalAccount",
    "account": "aws:PrincipalAccount",
    "username": "aws:username",
    "user": "aws:username",
    "userid": "aws:userid",
    "user_id": "aws:userid",
}
"""AWS policy variables by the lower-case names of equivalent variables in other languages."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder: its text, a description of the fault, and a hint.

    `certain`: nothing substitutes it. Otherwise the key may be missing in the catalog, or the text is only suspicious.
    """

    text: str
    what: str
    hint: str
    certain: bool = True


def find_placeholder(text: str) -> Placeholder | None:
    """The first unsubstituted placeholder in a string of a policy; None if there is none."""
    if "$${" in text:
        return Placeholder("$${", "$${ is Terraform's escape of ${", "write ${: rolecall escapes it for Terraform")
    for match in _VARIABLE.finditer(text):
        if (found := _variable(match[0], match[1])) is not None:
            return found
    rest = _VARIABLE.sub("", text)
    if "${" in rest:
        return Placeholder("${", "${ has no closing brace", "write ${KEY}, as in ${aws:username}")
    for pattern in _TEMPLATES:
        for match in pattern.finditer(rest):
            if not _is_no_placeholder(match[0]):
                return Placeholder(match[0], f"{match[0]} is never replaced", _FILL)
    if suspect := _SUGGESTIVE.search(rest):
        return Placeholder(suspect[0], f"{suspect[0]} looks like a placeholder", "write the value itself", certain=False)
    return None


def has_variable(text: str) -> bool:
    """Whether the string has a policy variable other than the escapes ${*}, ${?} and ${$}."""
    return any(match[1] not in _ESCAPES for match in _VARIABLE.finditer(text))


def without_variables(text: str, filling: str) -> str:
    """The string with each `${...}` replaced by `filling`."""
    return _VARIABLE.sub(filling, text)


def _is_no_placeholder(text: str) -> bool:
    """Whether a match is not a placeholder: percent-encoding (`%C3%` in `%C3%A9`) or a special name of Python or Hive."""
    return _NOT_PLACEHOLDERS.fullmatch(text) is not None


def _variable(written: str, inside: str) -> Placeholder | None:
    if inside in _ESCAPES:
        return None
    parsed = _DEFAULT.match(inside)
    if parsed is None:
        what = f"{written} is not a policy variable" if inside.strip() else f"{written} names no key"
        return Placeholder(written, what, "write ${KEY}, or ${KEY, 'default'}, without spaces around KEY")
    name = parsed[1]
    known = find_key(name)
    if known is None:
        return None if is_federated(name) else _unknown_key(written, name)
    if known.is_multivalued:
        what = f"{written}: {known.name} is multivalued, which AWS does not support in variables"
        return Placeholder(written, what, "use a single-valued key, such as aws:PrincipalTag/KEY", certain=False)
    return None


def _unknown_key(written: str, name: str) -> Placeholder:
    if (form := key_with_placeholder(name)) is not None:
        start = form.name.partition("$")[0].partition("<")[0]
        return Placeholder(written, f"{written} is incomplete: the name after {start} is missing", f"write ${{{start}KEY}}")
    nearest = _EQUIVALENT_VARIABLES.get(name.lower()) or nearest_key(name)
    hint = f"write ${{{nearest}}}, or the value itself" if nearest else _FILL
    # A new service-specific key may be missing in the catalog; a name without a prefix is never a key.
    service_key = re.fullmatch(r"[a-z0-9-]+:[^:]+", name) is not None and not name.startswith("aws:")
    return Placeholder(written, f"{written} is never replaced: AWS has no such variable", hint, certain=not service_key)
