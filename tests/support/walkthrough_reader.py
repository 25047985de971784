"""Parses a walkthrough: converts its tables and JSON blocks to the access that a user would create by following it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rolecall_generator.iam.arn import iam_arn
from rolecall_generator.iam.model import Access, ConsolePassword, Group, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import PolicyDocument


@dataclass(slots=True)
class Section:
    """A section below one heading: rows of its tables with parsed cells, and documents by the text before them."""

    settings: dict[str, list[str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    documents: list[tuple[str, PolicyDocument]] = field(default_factory=list)

    def one(self, label: str) -> str:
        """The value of a setting that occurs once."""
        (value,) = self.settings[label]
        return value

    def all(self, label: str) -> frozenset[str]:
        """The values of a setting that may occur several times or never."""
        return frozenset(self.settings.get(label, ()))


def tokens_of(text: str) -> list[Token]:
    """The text as tokenized by a renderer of GitHub's Markdown."""
    return MarkdownIt("commonmark").enable("table").parse(text)


def sections_of(text: str) -> list[Section]:
    """All sections in order; the first is the text above the first second-level heading."""
    found, words = [Section()], ""
    tokens = tokens_of(text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            found.append(Section())
        elif token.type == "table_open":
            _table(list(_rows(tokens, at)), found[-1])
        elif token.type == "inline":
            words = _plain(token)
        elif token.type == "fence" and token.info == "json":
            found[-1].documents.append((words, PolicyDocument.from_json(json.loads(token.content))))
    return found


def access_from(text: str) -> Access:
    """The access that the walkthrough creates."""
    parts = sections_of(text)
    place = parts[0].one("Partition"), parts[0].one("Account")
    made: list[Role | ManagedPolicy | Group | User] = []
    for part in parts[1:]:
        if "Role name" in part.settings:
            made.append(_role(part, place, _inline(parts, part.one("Role name"))))
        elif "Policy name" in part.settings:
            made.append(_policy(part, place))
        elif "User group name" in part.settings:
            made.append(_group(part, place))
        elif "User name" in part.settings:
            made.append(_user(part, place))
    return Access.of(*made)


def _rows(tokens: list[Token], at: int) -> Iterator[list[str]]:
    row: list[str] = []
    for token in tokens[at:]:
        if token.type == "table_close":
            return
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            row.append(_cell(token))
        elif token.type == "tr_close":
            yield row


def _cell(token: Token) -> str:
    """The value of a cell: its code span, parsed as JSON if marked so, or its text."""
    children = token.children or []
    code = [child.content for child in children if child.type == "code_inline"]
    if not code:
        return token.content.replace("(empty)", "")
    words = "".join(child.content for child in children if child.type == "text").strip()
    assert len(code) == 1, token.content
    assert words in {"", "JSON", "seconds"}, words
    read: str = json.loads(code[0]) if words == "JSON" else code[0]
    return read


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or [])


def _table(rows: list[list[str]], section: Section) -> None:
    head, *body = rows
    for label, value in body:
        if head[0] == "Tag":
            section.tags[label] = value
        else:
            section.settings.setdefault(label, []).append(value)


def _inline(parts: list[Section], role: str) -> dict[str, PolicyDocument]:
    found = {}
    for part in parts:
        for words, document in part.documents:
            _, mark, name = words.removesuffix(":").partition("paste the inline policy ")
            if mark:
                found[name] = document
    assert role or not found
    return found


def _arn(part: Section, place: tuple[str, str], kind: str, label: str) -> str:
    return iam_arn(*place, kind, part.one("Path"), part.one(label))


def _role(part: Section, place: tuple[str, str], inline: dict[str, PolicyDocument]) -> Role:
    (trust,) = (document for words, document in part.documents if "custom trust policy" in words)
    boundary = part.one("Permissions boundary")
    return Role(
        _arn(part, place, "role", "Role name"),
        trust=trust,
        inline=inline,
        attached=part.all("Permissions policy"),
        boundary=None if boundary == "none" else boundary,
        max_session_seconds=int(part.one("Maximum session duration")),
        description=part.one("Description"),
        tags=part.tags,
    )


def _policy(part: Section, place: tuple[str, str]) -> ManagedPolicy:
    ((_, document),) = part.documents
    arn = _arn(part, place, "policy", "Policy name")
    return ManagedPolicy(arn, document, description=part.one("Description"), tags=part.tags)


def _group(part: Section, place: tuple[str, str]) -> Group:
    arn = _arn(part, place, "group", "User group name")
    return Group(arn, attached=part.all("Permissions policy"), existing=part.one("Exists already") == "yes")


def _user(part: Section, place: tuple[str, str]) -> User:
    keys: dict[str, Any] = {}
    if part.one("Console password") == "yes":
        key = next(iter(part.all("PGP key for the first password")), None)
        keys["console_password"] = ConsolePassword(pgp_key=key)
    arn, existing = _arn(part, place, "user", "User name"), part.one("Exists already") == "yes"
    return User(arn, groups=part.all("Group"), tags=part.tags, existing=existing, **keys)
