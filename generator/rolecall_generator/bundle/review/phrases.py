"""Sentences of the security review: the type `Phrase`, trust policies in words, and how to revoke access.

A `Phrase` keeps fixed text and values apart, so that Markdown, HTML and PDF can each escape the values, which are untrusted:
they can contain anything that a manifest contains.

Sources on revoking access, November 2026: IAM User Guide, "Revoke IAM role temporary security credentials" (the console
attaches the inline policy AWSRevokeOlderSessions, which denies everything to earlier sessions) and "Disabling permissions
for temporary security credentials" (permissions are evaluated at each request; changes may take a few minutes).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rolecall_generator.bundle.forms.interface import policy_body
from rolecall_generator.html_page import escape
from rolecall_generator.iam import Arn, Condition, Module, PolicyDocument, Principal, Role, Statement, quotas
from rolecall_generator.text import duration, markdown_code


@dataclass(frozen=True, slots=True)
class PhraseValue:
    """A value from the manifest in a phrase: a name, an ARN, an ID, the value of a condition.

    `prose`: the value is a whole sentence, which is not formatted as code.
    """

    text: str
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence or a part of one: fixed text and values."""

    parts: tuple[str | PhraseValue, ...]

    def __str__(self) -> str:
        return "".join(part.text if isinstance(part, PhraseValue) else part for part in self.parts)

    def __html__(self) -> str:
        """HTML with values as code; Jinja2 does not escape it again."""
        return "".join(map(_element, self.parts))

    @property
    def md(self) -> str:
        """Markdown for running text and lists, values as code spans."""
        # The bar is escaped only in tables: in a code span elsewhere, the backslash would be visible.
        return self.cell.replace("\\|", "|")

    @property
    def cell(self) -> str:
        """Markdown for a table cell."""
        return "".join(_markdown(part.text) if isinstance(part, PhraseValue) else part for part in self.parts)


# Many customers share the same values.
_html = lru_cache(maxsize=4_096)(escape)
_markdown = lru_cache(maxsize=4_096)(markdown_code)


def _element(part: str | PhraseValue) -> str:
    if isinstance(part, PhraseValue):
        return _html(part.text) if part.prose else f"<code>{_html(part.text)}</code>"
    return _html(part)


def say(pattern: str, *values: str | Phrase) -> Phrase:
    """Make a phrase from a pattern in which each `{}` is replaced by a value or by the parts of another phrase."""
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
    """Join values: `a`, `b` and `c`. `last` is the conjunction, or a character that separates all values."""
    items = list(values)
    if not items:
        return Phrase(())
    separators = ["", *[", "] * (len(items) - 2), f" {last} " if last.isalpha() else f"{last} "][: len(items)]
    return say("".join(f"{separator}{{}}" for separator in separators), *items)


def sentence(phrases: Sequence[Phrase]) -> Phrase:
    """Join phrases with spaces."""
    return say(" ".join(["{}"] * len(phrases)), *phrases)


def capital(phrase: Phrase) -> Phrase:
    """Capitalize the phrase, unless it starts with a value."""
    first = phrase.parts[0] if phrase.parts else ""
    if not first or isinstance(first, PhraseValue):
        return phrase
    return Phrase((first[0].upper() + first[1:], *phrase.parts[1:]))


_HIDDEN = re.compile("[^\n\x20-\x7e\xa1-\xac\xae-\xff]")
"""Invisible or misleading characters, including the soft hyphen. A policy contains only printable Latin-1."""


@lru_cache(maxsize=1_024)
def document_text(document: PolicyDocument) -> str:
    """The document as AWS's JSON, indented by two spaces, with JSON escapes for invisible characters."""
    body = policy_body(document)
    return _HIDDEN.sub(lambda found: json.dumps(found.group())[1:-1], json.dumps(body, indent=2, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class RevocationWay:
    """A way to revoke access: a label and instructions."""

    when: str
    how: Phrase


_REMOVE = (
    RevocationWay("Terraform", say("Run {} in the folder where it was applied.", "terraform destroy")),
    RevocationWay("CloudFormation", Phrase(("Delete the stack.",))),
    RevocationWay("AWS CLI", say("Run {}.", "aws-cli/remove.sh")),
)


def name_of(arn: str) -> str:
    """The name in an ARN."""
    parsed = Arn.parse(arn)
    return parsed.name if parsed is not None else arn


def revocation_ways(module: Module) -> tuple[RevocationWay, ...]:
    """All ways to revoke what the module creates; empty for a module that creates nothing."""
    made = module.access.roles or module.access.groups or module.access.users or module.access.policies
    if not made:
        return ()
    roles = tuple(way for role in module.access.roles.values() for way in _role(role))
    return (*roles, *_people(module), *_REMOVE, *_console(module))


_REVOKE = (
    "IAM console, Roles, {}, tab Revoke sessions, Revoke active sessions: AWS attaches the inline policy {}, which denies "
    "everything to earlier sessions. Then remove the role: until then, new sessions can be opened."
)
_RUNNING = (
    "Without the role's policies, they lose all permissions within minutes: AWS evaluates permissions at every request. "
    "They end after {} at the latest."
)


def _role(role: Role) -> tuple[RevocationWay, ...]:
    longest = Phrase((duration(role.max_session_seconds),))
    return (
        RevocationWay("Immediately", say(_REVOKE, name_of(role.arn), "AWSRevokeOlderSessions")),
        RevocationWay("Running sessions", say(_RUNNING, longest)),
    )


def _people(module: Module) -> tuple[RevocationWay, ...]:
    """How to remove one user from the group."""
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
    running = say("End them in account {}: IAM console, Roles, {}, tab Revoke sessions.", account, name_of(target.arn))
    return (person, RevocationWay("Running sessions", running))


def _console(module: Module) -> tuple[RevocationWay, ...]:
    group = next(iter(module.access.groups.values()), None)
    if module.access.roles or group is None or not group.existing:
        name = next((name_of(arn) for arn in (*module.access.roles, *module.access.groups)), "")
        where = "Roles" if module.access.roles else "User groups"
        return (RevocationWay("Console", say(f"IAM console, {where}, {{}}, Delete.", name)),)
    policies = listed(name_of(arn) for arn in sorted(group.attached & module.access.policies.keys()))
    kept = "IAM console, User groups, {}, tab Permissions: remove {}. The group itself existed before and is kept."
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
    """All callers that the trust policy allows: by condition on `aws:PrincipalArn` if there is one, else by principal."""
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
        return Phrase(("any principal",))
    if principal.type == "AWS":
        return say("principals that account {} allows", text) if text.isdigit() else _arn(text)
    return say("the service {}", text)


def _arn(text: str) -> Phrase:
    parsed = Arn.parse(text)
    if parsed is not None and parsed.resource == "root":
        return say("principals that account {} allows", parsed.account_id)
    return say(f"the {parsed.kind if parsed is not None and parsed.kind in {'role', 'user'} else 'principal'} {{}}", text)


def on_condition(role: Role) -> Phrase:
    """The conditions of the trust policy, without repetitions."""
    asked = dict.fromkeys(_asks(statement) for statement in statements_of(role) if statement.effect == "Allow")
    return sentence(list(asked)) if asked else Phrase(("None.",))


def _asks(statement: Statement) -> Phrase:
    conditions = [item for item in statement.conditions if item.key.lower() != _PRINCIPAL_ARN]
    if not conditions:
        return Phrase(("No condition: neither an external ID nor MFA is required.",))
    return capital(say("{}.", listed(_condition(item) for item in conditions)))


def _condition(condition: Condition) -> Phrase:
    key, values = condition.key.lower(), condition.values
    if key == _EXTERNAL_ID and condition.operator == "StringEquals":
        more = "" if len(values) == 1 else " (both are valid while the ID is rotated)"
        return say(f"the external ID {{}} is presented{more}", listed(values, "or"))
    if key == _MFA and condition.operator == "Bool" and values == ("true",):
        return Phrase(("the caller has signed in with MFA",))
    return say("{} {} {}", condition.key, condition.operator, listed(values, "or"))


def allowed_besides(role: Role) -> Phrase | None:
    """What the trust policy allows besides assuming the role; None if nothing."""
    actions = dict.fromkeys(action for statement in statements_of(role) for action in statement.actions)
    extras = [say(_EXTRAS[action], action) for action in actions if action in _EXTRAS]
    return say("The caller may also {}.", listed(extras)) if extras else None


def session(role: Role, callers: Iterable[str] = ()) -> Phrase:
    """The maximum session duration. `callers` are the ARNs of the callers."""
    longest = role.max_session_seconds
    chained = longest > quotas.CHAINED_SESSION_SECONDS and any(":role/" in arn for arn in callers)
    limit = " A role that assumes this one gets 1 hour at most (role chaining)." if chained else ""
    return say(f"At most {duration(longest)} ({{}} seconds).{limit}", str(longest))
