"""Sentences of the security review: the type `Phrase`, trust policies, permissions, and how to revoke access.

A `Phrase` keeps fixed text and values apart, so that Markdown, HTML and PDF can each escape the values, which are untrusted:
they can contain anything that a manifest contains.

Sources on revoking access, November 2026: IAM User Guide, "Revoke IAM role temporary security credentials" (the console
attaches the inline policy AWSRevokeOlderSessions, which denies everything to earlier sessions) and "Disabling permissions
for temporary security credentials" (permissions are evaluated at each request; changes may take a few minutes).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rolecall_generator.bundle.forms.interface import policy_body
from rolecall_generator.iam import Access, Arn, Condition, Group, Module, PolicyDocument, Principal, Role, Statement, quotas
from rolecall_generator.iam.catalog import (
    DEPRECATED,
    ESCALATION_ACTIONS,
    OVERLY_BROAD,
    escalation_actions,
    expand,
    find_action,
    managed_policy_name,
)
from rolecall_generator.text import duration, escape_markup, markdown_code, pluralize


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
_html = lru_cache(maxsize=4_096)(escape_markup)
_markdown = lru_cache(maxsize=4_096)(markdown_code)


def _element(part: str | PhraseValue) -> str:
    if isinstance(part, PhraseValue):
        return _html(part.text) if part.prose else f"<code>{_html(part.text)}</code>"
    return _html(part)


def format_phrase(pattern: str, *values: str | Phrase) -> Phrase:
    """Make a phrase from a pattern in which each `{}` is replaced by a value or by the parts of another phrase."""
    strings = pattern.split("{}")
    if len(strings) != len(values) + 1:
        raise ValueError(f"{pattern!r} has {len(strings) - 1} placeholders for {len(values)} values")
    parts: list[str | PhraseValue] = [strings[0]]
    for value, string in zip(values, strings[1:], strict=True):
        if isinstance(value, Phrase):
            parts += value.parts
        else:
            parts.append(PhraseValue(value))
        parts.append(string)
    return Phrase(tuple(part for part in parts if part))


def join_phrases(values: Iterable[str | Phrase], last: str = "and") -> Phrase:
    """Join values: `a`, `b` and `c`. `last` is the conjunction, or a character that separates all values."""
    items = list(values)
    if not items:
        return Phrase(())
    separators = ["", *[", "] * (len(items) - 2), f" {last} " if last.isalpha() else f"{last} "][: len(items)]
    return format_phrase("".join(f"{separator}{{}}" for separator in separators), *items)


def join_sentences(phrases: Sequence[Phrase]) -> Phrase:
    """Join phrases with spaces."""
    return format_phrase(" ".join(["{}"] * len(phrases)), *phrases)


def capitalize(phrase: Phrase) -> Phrase:
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
class RevocationMethod:
    """A method to revoke access: a label and instructions."""

    label: str
    steps: Phrase


_REMOVE = (
    RevocationMethod("Terraform", format_phrase("Run {} in the folder where it was applied.", "terraform destroy")),
    RevocationMethod("CloudFormation", Phrase(("Delete the stack.",))),
    RevocationMethod("AWS CLI", format_phrase("Run {}.", "aws-cli/remove.sh")),
)


def name_of(arn: str) -> str:
    """The name in an ARN."""
    parsed = Arn.parse(arn)
    return parsed.name if parsed is not None else arn


def revocation_methods(module: Module) -> tuple[RevocationMethod, ...]:
    """All methods to revoke what the module creates; empty for a module that creates nothing."""
    created = module.access.roles or module.access.groups or module.access.users or module.access.policies
    if not created:
        return ()
    roles = tuple(method for role in module.access.roles.values() for method in _role(role))
    return (*roles, *_people(module), *_REMOVE, *_console(module))


_REVOKE = (
    "IAM console, Roles, {}, tab Revoke sessions, Revoke active sessions: AWS attaches the inline policy {}, which denies "
    "everything to earlier sessions. Then remove the role: until then, new sessions can be opened."
)
_RUNNING = (
    "Without the role's policies, they lose all permissions within minutes: AWS evaluates permissions at every request. "
    "They end after {} at the latest."
)


def _role(role: Role) -> tuple[RevocationMethod, ...]:
    longest = Phrase((duration(role.max_session_seconds),))
    return (
        RevocationMethod("Immediately", format_phrase(_REVOKE, name_of(role.arn), "AWSRevokeOlderSessions")),
        RevocationMethod("Running sessions", format_phrase(_RUNNING, longest)),
    )


def _people(module: Module) -> tuple[RevocationMethod, ...]:
    """How to remove one user from the group."""
    if not module.access.groups:
        return ()
    group = name_of(next(iter(module.access.groups)))
    person = RevocationMethod(
        "One person", format_phrase("IAM console, User groups, {}, tab Users: remove the user from the group.", group)
    )
    if module.access.roles or module.switch_role is None:
        return (person,)
    target = module.switch_role.role
    parsed = Arn.parse(target.arn)
    account = parsed.account_id if parsed is not None else ""
    running = format_phrase(
        "End them in account {}: IAM console, Roles, {}, tab Revoke sessions.", account, name_of(target.arn)
    )
    return (person, RevocationMethod("Running sessions", running))


def _console(module: Module) -> tuple[RevocationMethod, ...]:
    group = next(iter(module.access.groups.values()), None)
    if module.access.roles or group is None or not group.existing:
        name = next((name_of(arn) for arn in (*module.access.roles, *module.access.groups)), "")
        where = "Roles" if module.access.roles else "User groups"
        return (RevocationMethod("Console", format_phrase(f"IAM console, {where}, {{}}, Delete.", name)),)
    policies = join_phrases(name_of(arn) for arn in sorted(group.attached & module.access.policies.keys()))
    kept = "IAM console, User groups, {}, tab Permissions: remove {}. The group itself existed before and is kept."
    return (RevocationMethod("Console", format_phrase(kept, name_of(group.arn), policies)),)


_PRINCIPAL_ARN = "aws:principalarn"
_EXTERNAL_ID = "sts:externalid"
_MFA = "aws:multifactorauthpresent"

_SESSION_ACTIONS = {
    "sts:TagSession": "pass session tags ({})",
    "sts:SetSourceIdentity": "set a source identity ({})",
}


def statements_of(role: Role) -> tuple[Statement, ...]:
    """The statements of the role's trust policy; none for a role that is only looked up."""
    return role.trust.statements if role.trust is not None else ()


def trusted_principals(role: Role) -> Phrase:
    """All callers that the trust policy allows: by condition on `aws:PrincipalArn` if there is one, else by principal."""
    named = [caller for statement in statements_of(role) if statement.effect == "Allow" for caller in _callers(statement)]
    if not named:
        return Phrase(("No one.",))
    return capitalize(format_phrase("{}, and no one else.", join_phrases(dict.fromkeys(named))))


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
        return format_phrase("principals that account {} allows", text) if text.isdigit() else _arn(text)
    return format_phrase("the service {}", text)


def _arn(text: str) -> Phrase:
    parsed = Arn.parse(text)
    if parsed is not None and parsed.resource == "root":
        return format_phrase("principals that account {} allows", parsed.account_id)
    return format_phrase(
        f"the {parsed.kind if parsed is not None and parsed.kind in {'role', 'user'} else 'principal'} {{}}", text
    )


def trust_conditions(role: Role) -> Phrase:
    """The conditions of the trust policy, without repetitions."""
    conditions = dict.fromkeys(_requirement(statement) for statement in statements_of(role) if statement.effect == "Allow")
    return join_sentences(list(conditions)) if conditions else Phrase(("None.",))


def _requirement(statement: Statement) -> Phrase:
    conditions = [item for item in statement.conditions if item.key.lower() != _PRINCIPAL_ARN]
    if not conditions:
        return Phrase(("No condition: neither an external ID nor MFA is required.",))
    return capitalize(format_phrase("{}.", join_phrases(_condition(item) for item in conditions)))


def _condition(condition: Condition) -> Phrase:
    key, values = condition.key.lower(), condition.values
    if key == _EXTERNAL_ID and condition.operator == "StringEquals":
        more = "" if len(values) == 1 else " (both are valid while the ID is rotated)"
        return format_phrase(f"the external ID {{}} is presented{more}", join_phrases(values, "or"))
    if key == _MFA and condition.operator == "Bool" and values == ("true",):
        return Phrase(("the caller has signed in with MFA",))
    return format_phrase("{} {} {}", condition.key, condition.operator, join_phrases(values, "or"))


def session_actions(role: Role) -> Phrase | None:
    """What the trust policy allows in addition to assuming the role; None if nothing."""
    actions = dict.fromkeys(action for statement in statements_of(role) for action in statement.actions)
    permissions = [format_phrase(_SESSION_ACTIONS[action], action) for action in actions if action in _SESSION_ACTIONS]
    return format_phrase("The caller may also {}.", join_phrases(permissions)) if permissions else None


def session(role: Role, callers: Iterable[str] = ()) -> Phrase:
    """The maximum session duration. `callers` are the ARNs of the callers."""
    longest = role.max_session_seconds
    chained = longest > quotas.CHAINED_SESSION_SECONDS and any(":role/" in arn for arn in callers)
    limit = " A role that assumes this one gets 1 hour at most (role chaining)." if chained else ""
    return format_phrase(f"At most {duration(longest)} ({{}} seconds).{limit}", str(longest))


LEVELS = ("List", "Read", "Write", "Tagging", "Permissions management")
"""AWS's access levels, least powerful first (Service Authorization Reference, November 2026)."""

_NAMED = 8
"""Maximum number of actions or resources in a sentence; more are counted."""

_WARNINGS = 4


@dataclass(frozen=True, slots=True)
class GrantDescription:
    """One grant.

    Attributes:
        sentence: The grant as a sentence.
        source: The policy and statement.
        levels: Number of actions per access level; empty for AWS managed policies.
        warnings: What a reviewer should notice.
        sweeping: Whether it grants very broad access.
    """

    sentence: Phrase
    source: Phrase | None = None
    levels: str = ""
    warnings: tuple[Phrase, ...] = ()
    broad: bool = False


def grants_of(owner: Role | Group, access: Access) -> tuple[GrantDescription, ...]:
    """All permissions of a role or group: inline policies, own managed policies, and those of AWS and other accounts."""
    found: list[GrantDescription] = []
    for name, document in sorted(owner.inline.items()):
        found += _of_document(document, format_phrase("Inline policy {}", name))
    for arn in sorted(owner.attached):
        own = access.policies.get(arn)
        found += _of_document(own.document, format_phrase("Policy {}", name_of(arn))) if own is not None else [_managed(arn)]
    return tuple(found)


def _of_document(document: PolicyDocument, source: Phrase) -> list[GrantDescription]:
    return [_of_statement(statement, source) for statement in document.statements]


@lru_cache(maxsize=1_024)
def _of_statement(statement: Statement, source: Phrase) -> GrantDescription:
    verb = "Allows" if statement.effect == "Allow" else "Denies"
    sentence = format_phrase(
        f"{verb} {{}} on {{}}{{}}.", _actions(statement), _resources(statement), _conditions(statement.conditions)
    )
    if statement.sid:
        source = format_phrase("{}, statement {}", source, statement.sid)
    warnings = _warnings(statement) if statement.effect == "Allow" else ()
    return GrantDescription(sentence, source, levels_of(statement), warnings, bool(warnings))


def _actions(statement: Statement) -> Phrase:
    if statement.not_actions:
        return format_phrase("every action except {}", _some(statement.not_actions, "action"))
    if set(statement.actions) & {"*", "*:*"}:
        return Phrase(("every action of every service",))
    return _some(statement.actions, "action")


def _resources(statement: Statement) -> Phrase:
    if statement.not_resources:
        return format_phrase("every resource except {}", _some(statement.not_resources, "resource"))
    return Phrase(("every resource",)) if "*" in statement.resources else _some(statement.resources, "resource")


def _some(values: tuple[str, ...], thing: str) -> Phrase:
    """All values if they are few, else the first ones and the total."""
    if len(values) <= _NAMED:
        return join_phrases(values)
    first = join_phrases(values[: _NAMED - 2], ",").parts
    return Phrase((f"{pluralize(len(values), thing)} (", *first, ", the others are in the policy document)"))


def _conditions(conditions: tuple[Condition, ...]) -> Phrase:
    if not conditions:
        return Phrase(())
    tests = (format_phrase("{} {} {}", item.key, item.operator, join_phrases(item.values, "or")) for item in conditions)
    return format_phrase(", on condition that {}", join_phrases(tests))


@lru_cache(maxsize=1_024)
def levels_of(statement: Statement) -> str:
    """What the statement's actions do, counted by access level: `1 list, 1 read; no write, no permissions management`."""
    if statement.not_actions or set(statement.actions) & {"*", "*:*"}:
        return "all access levels, permissions management among them"
    counts = Counter(_level(action) for pattern in statement.actions for action in set(expand(pattern)))
    some = ", ".join(f"{counts[level]:,} {level.lower()}" for level in LEVELS if counts[level])
    none = " or ".join(level.lower() for level in ("Write", "Permissions management") if not counts[level])
    actions = some or "no action that AWS has today"
    return f"{actions}; no {none}" if none and some else actions


def _level(action: str) -> str:
    found = find_action(action)
    levels = found.levels if found is not None else frozenset()
    return next((level for level in reversed(LEVELS) if level in levels), LEVELS[2])


def _warnings(statement: Statement) -> tuple[Phrase, ...]:
    """Warnings for a reviewer: very broad access, and actions that allow privilege escalation."""
    if statement.not_actions:
        return (Phrase(("This allows all actions that are not listed, including those that AWS adds in the future.",)),)
    if set(statement.actions) & {"*", "*:*"}:
        return (Phrase(("This allows everything that no other policy denies.",)),)
    found = dict.fromkeys(action for pattern in statement.actions for action in escalation_actions(pattern))
    shown = [
        format_phrase(f"{{}} {ESCALATION_ACTIONS[action]}.", _action_name(action)) for action in list(found)[:_WARNINGS]
    ]
    remaining = len(found) - len(shown)
    more = [Phrase((f"{pluralize(remaining, 'more action')} like these.",))] if remaining > 0 else []
    return (*shown, *more)


def _action_name(action: str) -> str:
    known = find_action(action)
    return str(known) if known is not None else action


@lru_cache(maxsize=1_024)
def _managed(arn: str) -> GrantDescription:
    name = managed_policy_name(arn)
    if name is None:
        account = Arn.parse(arn)
        where = account.account_id if account is not None else arn
        return GrantDescription(
            format_phrase("Everything in the policy {} of account {}; its content is not part of this bundle.", arn, where)
        )
    sentence = format_phrase("Everything in the AWS managed policy {}. AWS may change its content.", arn)
    notes = []
    if name in OVERLY_BROAD:
        notes.append(Phrase((f"This policy {OVERLY_BROAD[name]}.",)))
    if name in DEPRECATED:
        new = DEPRECATED[name].replacement
        notes.append(
            format_phrase("AWS has deprecated it; the replacement is {}.", new)
            if new
            else Phrase(("AWS has deprecated it.",))
        )
    return GrantDescription(sentence, warnings=tuple(notes), broad=name in OVERLY_BROAD)


def documents_of(owners: Iterable[Role | Group], access: Access) -> list[tuple[Phrase, PolicyDocument]]:
    """Every policy document of the owners with its title, in the order of `grants_of`."""
    found: list[tuple[Phrase, PolicyDocument]] = []
    for owner in owners:
        found += [(format_phrase("Inline policy {}", name), document) for name, document in sorted(owner.inline.items())]
        found += [
            (format_phrase("Policy {}", name_of(arn)), access.policies[arn].document)
            for arn in sorted(owner.attached)
            if arn in access.policies
        ]
    return found
