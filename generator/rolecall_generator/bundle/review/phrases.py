"""Sentences whose values stay apart from our own words, so that every form escapes them in its own way.

A `Phrase` is what a text says; Markdown, HTML and PDF are ways of writing it down. Our own words are trusted, a value never
is: it may hold whatever stands in a manifest.

Policy documents as the text that people read, compare and paste.

How access is taken back: each way to remove it, and how to cut sessions that run. Sources, read November 2026: IAM User
Guide, "Revoke IAM role temporary security credentials" (the console attaches the inline policy AWSRevokeOlderSessions,
which denies everything to sessions opened before) and "Disabling permissions for temporary security credentials"
(permissions are evaluated at each request; changes may take a few minutes).

Who may assume a role, and on which condition: a trust policy in words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rolecall_generator.html_page import escape
from rolecall_generator.iam import Arn, Condition, Module, PolicyDocument, Principal, Role, Statement, quotas
from rolecall_generator.text import duration, markdown


@dataclass(frozen=True, slots=True)
class PhraseValue:
    """A part of a phrase that comes from the manifest: a name, an ARN, an id, a condition's value.

    `prose`: whole sentences with such values in them, which are set as text where a form can do that safely.
    """

    text: str
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence or a part of one: our own words, and values between them."""

    parts: tuple[str | PhraseValue, ...]

    def __str__(self) -> str:
        return "".join(part.text if isinstance(part, PhraseValue) else part for part in self.parts)

    def __html__(self) -> str:
        """HTML, values as code. Jinja2 takes it as escaped already."""
        return "".join(map(_element, self.parts))

    @property
    def md(self) -> str:
        """Markdown for running text and lists, values as code spans."""
        # The bar is escaped for tables alone: within a code span elsewhere the backslash would show.
        return self.cell.replace("\\|", "|")

    @property
    def cell(self) -> str:
        """Markdown for a cell of a table."""
        return "".join(_markdown(part.text) if isinstance(part, PhraseValue) else part for part in self.parts)


# What customers share stays in these however many there are: it is asked for again with each of them.
_html = lru_cache(maxsize=4_096)(escape)
_markdown = lru_cache(maxsize=4_096)(markdown)


def _element(part: str | PhraseValue) -> str:
    if isinstance(part, PhraseValue):
        return _html(part.text) if part.prose else f"<code>{_html(part.text)}</code>"
    return _html(part)


def say(pattern: str, *values: str | Phrase) -> Phrase:
    """A phrase of our own words with each `{}` replaced: by a value, or by the parts of another phrase."""
    words = _split(pattern)
    if len(words) != len(values) + 1:
        raise ValueError(f"{pattern!r} has {len(words) - 1} places for {len(values)} values")
    parts: list[str | PhraseValue] = [words[0]]
    for value, word in zip(values, words[1:], strict=True):
        if isinstance(value, Phrase):
            parts += value.parts
        else:
            parts.append(PhraseValue(value))
        parts.append(word)
    return Phrase(tuple(part for part in parts if part))


@lru_cache(maxsize=1_024)
def _split(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split("{}"))


def listed(values: Iterable[str | Phrase], last: str = "and") -> Phrase:
    """Values as people list them: `a`, `b` and `c`. `last` is a word, or a sign that stands before each further value."""
    items = list(values)
    if not items:
        return Phrase(())
    separators = ["", *[", "] * (len(items) - 2), f" {last} " if last.isalpha() else f"{last} "][: len(items)]
    return say("".join(f"{separator}{{}}" for separator in separators), *items)


def sentence(phrases: Sequence[Phrase]) -> Phrase:
    """Phrases one after the other, a space between them."""
    return say(" ".join(["{}"] * len(phrases)), *phrases)


def capital(phrase: Phrase) -> Phrase:
    """The phrase as the beginning of a sentence; a value at its head stays as it is."""
    first = phrase.parts[0] if phrase.parts else ""
    if not first or isinstance(first, PhraseValue):
        return phrase
    return Phrase((first[0].upper() + first[1:], *phrase.parts[1:]))


_HIDDEN = re.compile("[^\n\x20-\x7e\xa1-\xac\xae-\xff]")
"""What cannot be seen or could mislead; a soft hyphen too. A policy holds printable Latin-1 alone."""


@lru_cache(maxsize=1_024)
def document_text(document: PolicyDocument) -> str:
    """The document as AWS's JSON, indented by two spaces; characters that cannot be seen are written as JSON escapes.

    Statements without id have none here: the empty one that provider 3.39 writes means the same.
    """
    body = document.to_json()
    for statement in body["Statement"]:
        if not statement["Sid"]:
            del statement["Sid"]
    return _HIDDEN.sub(lambda found: json.dumps(found.group())[1:-1], json.dumps(body, indent=2, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class RevocationWay:
    """One way to take access back: when or with what, and what to do."""

    when: str
    how: Phrase


_REMOVE = (
    RevocationWay("Terraform", say("{} in the folder that was applied.", "terraform destroy")),
    RevocationWay("CloudFormation", Phrase(("Delete the stack.",))),
    RevocationWay("AWS CLI", say("Run {}.", "aws-cli/remove.sh")),
)


def name_of(arn: str) -> str:
    """The plain name at an ARN's end."""
    parsed = Arn.parse(arn)
    return parsed.name if parsed is not None else arn


def revoking(module: Module) -> tuple[RevocationWay, ...]:
    """All ways for what the module makes; none for a module that makes nothing."""
    made = module.access.roles or module.access.groups or module.access.users or module.access.policies
    if not made:
        return ()
    roles = tuple(way for role in module.access.roles.values() for way in _role(role))
    return (*roles, *_people(module), *_REMOVE, *_console(module))


_REVOKE = (
    "IAM console, Roles, {}, tab Revoke sessions, Revoke active sessions: AWS attaches the inline policy {}, which denies "
    "everything to sessions opened before. Then remove the role: until then new sessions can be opened."
)
_RUNNING = (
    "Without the role's policies they can do nothing, within a few minutes: AWS evaluates permissions at every request. "
    "They end after {} at the latest."
)


def _role(role: Role) -> tuple[RevocationWay, ...]:
    longest = Phrase((duration(role.max_session_seconds),))
    return (
        RevocationWay("At once", say(_REVOKE, name_of(role.arn), "AWSRevokeOlderSessions")),
        RevocationWay("Running sessions", say(_RUNNING, longest)),
    )


def _people(module: Module) -> tuple[RevocationWay, ...]:
    """Where the people are: how one person loses the right to switch."""
    if not module.access.groups:
        return ()
    group = name_of(next(iter(module.access.groups)))
    person = RevocationWay(
        "One person", say("IAM console, User groups, {}, tab Users: remove the user from the group.", group)
    )
    if module.access.roles or module.switch_role is None:
        return (person,)
    target = module.switch_role.role
    there = Arn.parse(target.arn)
    account = there.account_id if there is not None else ""
    running = say("Cut in account {}: IAM console, Roles, {}, tab Revoke sessions.", account, name_of(target.arn))
    return (person, RevocationWay("Running sessions", running))


def _console(module: Module) -> tuple[RevocationWay, ...]:
    group = next(iter(module.access.groups.values()), None)
    if module.access.roles or group is None or not group.existing:
        name = next((name_of(arn) for arn in (*module.access.roles, *module.access.groups)), "")
        where = "Roles" if module.access.roles else "User groups"
        return (RevocationWay("Console", say(f"IAM console, {where}, {{}}, Delete.", name)),)
    policies = listed(name_of(arn) for arn in sorted(group.attached & module.access.policies.keys()))
    kept = "IAM console, User groups, {}, tab Permissions: remove {}. The group itself was there before, and stays."
    return (RevocationWay("Console", say(kept, name_of(group.arn), policies)),)


_PRINCIPAL_ARN = "aws:principalarn"
_EXTERNAL_ID = "sts:externalid"
_MFA = "aws:multifactorauthpresent"

_EXTRAS = {
    "sts:TagSession": "pass session tags ({})",
    "sts:SetSourceIdentity": "set a source identity ({})",
}


def statements_of(role: Role) -> tuple[Statement, ...]:
    """The statements of the role's trust policy; none for a role that is only looked up."""
    return role.trust.statements if role.trust is not None else ()


def who_assumes(role: Role) -> Phrase:
    """Everybody whom the trust policy names: by `aws:PrincipalArn` where a statement asks for it, else by principal."""
    named = [who for statement in statements_of(role) if statement.effect == "Allow" for who in _callers(statement)]
    if not named:
        return Phrase(("No one.",))
    return capital(say("{}, and no one else.", listed(dict.fromkeys(named))))


def _callers(statement: Statement) -> list[Phrase]:
    by_condition = [value for item in statement.conditions if item.key.lower() == _PRINCIPAL_ARN for value in item.values]
    if by_condition:
        return [_arn(arn) for arn in by_condition]
    return [_principal(principal) for principal in statement.principals]


def _principal(principal: Principal) -> Phrase:
    text = principal.identifier
    if text == "*":
        return Phrase(("everybody",))
    if principal.type == "AWS":
        return say("whom account {} lets in", text) if text.isdigit() else _arn(text)
    return say("the service {}", text)


def _arn(text: str) -> Phrase:
    parsed = Arn.parse(text)
    if parsed is not None and parsed.resource == "root":
        return say("whom account {} lets in", parsed.account_id)
    return say(f"the {parsed.kind if parsed is not None and parsed.kind in {'role', 'user'} else 'principal'} {{}}", text)


def on_condition(role: Role) -> Phrase:
    """What a request must bring along. Statements that ask for the same are said once."""
    asked = dict.fromkeys(_asks(statement) for statement in statements_of(role) if statement.effect == "Allow")
    return sentence(list(asked)) if asked else Phrase(("Nothing is asked.",))


def _asks(statement: Statement) -> Phrase:
    conditions = [item for item in statement.conditions if item.key.lower() != _PRINCIPAL_ARN]
    if not conditions:
        return Phrase(("No condition: neither an external id nor MFA is asked for.",))
    return capital(say("{}.", listed(_condition(item) for item in conditions)))


def _condition(condition: Condition) -> Phrase:
    key, values = condition.key.lower(), condition.values
    if key == _EXTERNAL_ID and condition.operator == "StringEquals":
        more = "" if len(values) == 1 else " (two stand side by side while the id is rotated)"
        return say(f"the external id {{}} is presented{more}", listed(values, "or"))
    if key == _MFA and condition.operator == "Bool" and values == ("true",):
        return Phrase(("the caller has signed in with MFA",))
    return say("{} {} {}", condition.key, condition.operator, listed(values, "or"))


def allowed_besides(role: Role) -> Phrase | None:
    """What the caller may do with the session beyond opening it; None when nothing."""
    actions = dict.fromkeys(action for statement in statements_of(role) for action in statement.actions)
    extras = [say(_EXTRAS[action], action) for action in actions if action in _EXTRAS]
    return say("The caller may also {}.", listed(extras)) if extras else None


def session(role: Role, callers: Iterable[str] = ()) -> Phrase:
    """How long a session lasts at most. `callers` are ARNs of who opens it."""
    longest = role.max_session_seconds
    chained = longest > quotas.CHAINED_SESSION_SECONDS and any(":role/" in arn for arn in callers)
    limit = " A role that assumes this one gets 1 hour at most (role chaining)." if chained else ""
    return say(f"At most {duration(longest)} ({{}} seconds).{limit}", str(longest))
