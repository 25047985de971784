"""The difference of two policy documents in sentences: which principal, action, resource or condition came or went.

Statements are paired so that one added action is said as one added action: equal ones first, then by effect and Sid, then
by how much they share. What finds no partner came or went as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rolecall_generator.iam.operators import find_operator
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement

Label = Callable[[str], str]
"""An ARN as people say it, with its kind where that is not plain: `account1/role1`, `group reena-switchers`."""

_ALIKE = 0.5  # statements that share less than half of their parts are said as one gone and one new
_MOST_PAIRS = 10_000  # beyond, each statement is reported as gone or new: comparing all pairs would take seconds
_CONTEXT = 3  # unchanged things named beside a change; the rest are counted


@dataclass(frozen=True, slots=True)
class Change:
    """One change of access. `kind` is added, removed or changed; `subject` the ARN of the principal or policy.

    `widens` is True when more is allowed than before, False when less, None when neither can be said.
    """

    kind: str
    subject: str
    text: str
    widens: bool | None


@dataclass(frozen=True, slots=True)
class Voice:
    """How sentences about one document speak. `verbs` come from TRUST, HOLDER or POLICY; `suffix` ends each sentence."""

    subject: str
    name: str
    verbs: str
    label: Label
    fresh: bool = False
    suffix: str = ""

    def say(self, kind: str, text: str, widens: bool | None) -> Change:
        """A change with the holder's name before the text."""
        return Change(kind, self.subject, f"{self.name} {text}{self.suffix}", widens)


TRUST, HOLDER, POLICY = "trust", "holder", "policy"
_VERBS = {
    (TRUST, "Allow"): ("trusts", "also trusts", "no longer trusts"),
    (TRUST, "Deny"): ("refuses", "also refuses", "no longer refuses"),
    (HOLDER, "Allow"): ("may", "may now also", "may no longer"),
    (HOLDER, "Deny"): ("may never", "may now never", "is no longer kept from"),
    (POLICY, "Allow"): ("allows", "now also allows", "no longer allows"),
    (POLICY, "Deny"): ("denies", "now also denies", "no longer denies"),
}


def document_changes(before: PolicyDocument, after: PolicyDocument, voice: Voice) -> Iterator[Change]:
    """All changes between two canonical documents; none when they are equal."""
    if before.version != after.version:
        yield voice.say("changed", f"uses policy version {after.version} instead of {before.version}", None)
    gone, new, pairs = _match(before.statements, after.statements)
    for old, young in pairs:
        yield from _statement_changes(old, young, voice)
    for statement in new:
        verb = _verbs(voice, statement)[0 if voice.fresh else 1]
        yield voice.say("added", f"{verb} {_grant(statement, voice)}", widening(statement))
    for statement in gone:
        widens = widening(statement)
        text = f"{_verbs(voice, statement)[2]} {_grant(statement, voice)}"
        yield voice.say("removed", text, None if widens is None else not widens)


def widening(statement: Statement) -> bool | None:
    """What adding a statement does: True for Allow, False for Deny, None for an effect that AWS does not know."""
    return {"Allow": True, "Deny": False}.get(statement.effect)


def condition_text(condition: Condition) -> str:
    """A condition as a noun: `external id 0f0c`, `MFA`, `aws:PrincipalArn ArnLike a or b`."""
    values = " or ".join(condition.values) if condition.values else "nothing"
    if (condition.operator, condition.key.lower()) == ("StringEquals", "sts:externalid"):
        return f"external id {values}"
    if (condition.operator, condition.key.lower(), values) == ("Bool", "aws:multifactorauthpresent", "true"):
        return "MFA"
    return f"{condition.key} {condition.operator} {values}"


def _verbs(voice: Voice, statement: Statement) -> tuple[str, str, str]:
    known = _VERBS.get((voice.verbs, statement.effect))
    return known or (f"has {statement.effect}:", f"also has {statement.effect}:", f"no longer has {statement.effect}:")


def _match(
    before: Sequence[Statement], after: Sequence[Statement]
) -> tuple[list[Statement], list[Statement], list[tuple[Statement, Statement]]]:
    """Statements that went, that came, and pairs of those that changed."""
    kept = set(before) & set(after)
    gone = [statement for statement in before if statement not in kept]
    new = [statement for statement in after if statement not in kept]
    if len(gone) * len(new) > _MOST_PAIRS:
        return gone, new, []
    candidates = []
    for i, old in enumerate(gone):
        for j, young in enumerate(new):
            same_sid = bool(old.sid) and old.sid == young.sid
            alike = _likeness(old, young)
            if old.effect == young.effect and alike and (same_sid or alike >= _ALIKE):
                candidates.append((not same_sid, -alike, i, j))
    pairs: list[tuple[Statement, Statement]] = []
    taken_old: set[int] = set()
    taken_new: set[int] = set()
    for _, _, i, j in sorted(candidates):
        if i not in taken_old and j not in taken_new:
            taken_old.add(i)
            taken_new.add(j)
            pairs.append((gone[i], new[j]))
    return (
        [statement for i, statement in enumerate(gone) if i not in taken_old],
        [statement for j, statement in enumerate(new) if j not in taken_new],
        pairs,
    )


def _likeness(one: Statement, other: Statement) -> float:
    """The share of common members, averaged over the parts that either statement has; 1 when all are equal."""
    shares = []
    for a, b in zip(_parts(one), _parts(other), strict=True):
        if a or b:
            shares.append(len(a & b) / len(a | b))
    return sum(shares) / len(shares) if shares else 1.0


def _parts(statement: Statement) -> list[frozenset[object]]:
    return [
        frozenset(statement.actions),
        frozenset(statement.not_actions),
        frozenset(statement.resources),
        frozenset(statement.not_resources),
        frozenset(statement.principals),
        frozenset(statement.not_principals),
        frozenset((condition.operator, condition.key) for condition in statement.conditions),
    ]


def _statement_changes(old: Statement, new: Statement, voice: Voice) -> Iterator[Change]:
    wider = widening(new)
    if old.sid != new.sid:
        yield voice.say("changed", f"calls statement {old.sid or '(no Sid)'} now {new.sid or '(no Sid)'}", None)
    for part in ("principals", "actions", "resources"):
        yield from _part_changes(old, new, part, voice)
    for change in _condition_changes(old, new, voice):
        yield change if wider else replace(change, widens=_flip(change.widens) if wider is False else None)


def _part_changes(old: Statement, new: Statement, part: str, voice: Voice) -> Iterator[Change]:
    """Changes of one element and of its `not_` twin. A statement that changed its form compares to nothing: None."""
    same_form = all(bool(getattr(old, name)) == bool(getattr(new, name)) for name in (part, f"not_{part}"))
    for name, sign in ((part, True), (f"not_{part}", False)):
        was, now = set(getattr(old, name)), set(getattr(new, name))
        for kind, members, statement in (("added", now - was, new), ("removed", was - now, old)):
            if members:
                widens = (widening(new) is sign) is (kind == "added") if same_form and widening(new) is not None else None
                text = _member_text(statement, name, tuple(sorted(members)), kind, voice)
                yield voice.say(kind, text, widens)


def _member_text(statement: Statement, name: str, members: tuple[object, ...], kind: str, voice: Voice) -> str:
    chosen: dict[str, Any] = {name: members}
    part = replace(statement, **chosen)
    verb = _verbs(voice, statement)[1 if kind == "added" else 2]
    if name.startswith("not_"):
        listed = _list_members(members, voice)
        return (
            f"{'now also' if kind == 'added' else 'no longer'} excepts {listed} from what it {_verbs(voice, statement)[0]}"
        )
    if voice.verbs == TRUST and name == "principals":
        return f"{verb} {_principals(part, voice)}"
    if voice.verbs == TRUST and name == "actions":
        allows = _VERBS.get((POLICY, statement.effect), ("", verb, verb))[1 if kind == "added" else 2]
        return f"{allows} {_join(part.actions)} to {_principals(statement, voice, _CONTEXT)}"
    shown = part if kind == "added" else replace(part, conditions=())
    few_actions = None if name == "actions" else _CONTEXT
    return f"{verb} {_grant(shown, voice, few_actions, None if name == 'resources' else _CONTEXT)}"


def _grant(statement: Statement, voice: Voice, actions: int | None = None, resources: int | None = None) -> str:
    """What a statement gives, after the verb; lists longer than the limits are cut and counted."""
    conditions = [condition_text(condition) for condition in statement.conditions]
    with_conditions = f" with {' and '.join(conditions)}" if conditions else ""
    what = (
        _join(statement.actions, actions) if not statement.not_actions else f"everything but {_join(statement.not_actions)}"
    )
    where = _join(statement.resources, resources)
    if statement.not_resources:
        where = f"everything but {_join(statement.not_resources)}"
    on = f" on {where}" if where else ""
    if voice.verbs == TRUST:
        what_for = "" if statement.actions == ("sts:AssumeRole",) and not statement.not_actions else f" for {what}"
        return f"{_principals(statement, voice)}{what_for}{on}{with_conditions}"
    who = _principals(statement, voice) if statement.principals or statement.not_principals else ""
    return f"{what or 'nothing'}{on}{f' for {who}' if who else ''}{with_conditions}"


def _condition_changes(old: Statement, new: Statement, voice: Voice) -> Iterator[Change]:
    """Changes of conditions, `widens` as for an Allow statement."""
    gone = [condition for condition in old.conditions if condition not in new.conditions]
    came = [condition for condition in new.conditions if condition not in old.conditions]
    for was in list(gone):
        partners = [now for now in came if now.key == was.key]
        now = next((now for now in partners if now.operator == was.operator), partners[0] if partners else None)
        if now is not None:
            gone.remove(was)
            came.remove(now)
            yield _changed_condition(was, now, new, voice)
    for was in gone:
        yield voice.say("removed", _asks("no longer asks for", condition_text(was), new, voice), True)
    for now in came:
        yield voice.say("added", _asks("now asks for", condition_text(now), new, voice), False)


def _changed_condition(was: Condition, now: Condition, statement: Statement, voice: Voice) -> Change:
    more, fewer = set(now.values) - set(was.values), set(was.values) - set(now.values)
    if was.operator == now.operator and was.values and now.values and bool(more) is not bool(fewer):
        use = find_operator(now.operator)
        negated = use is not None and use.operator.negated
        verb = "now accepts" if more else "no longer accepts"
        if negated:
            verb = "now shuts out" if more else "no longer shuts out"
        changed = replace(now, values=tuple(sorted(more or fewer)))
        widens = None if use is None or use.operator.compare is None else bool(more) is not negated
        also = verb.replace("now accepts", "also accepts") if more else verb
        return voice.say("added" if more else "removed", _asks(also, condition_text(changed), statement, voice), widens)
    weaker = now.values == was.values and now.operator == f"{was.operator}IfExists"
    stronger = now.values == was.values and was.operator == f"{now.operator}IfExists"
    text = _asks("now asks for", f"{condition_text(now)} instead of {condition_text(was)}", statement, voice)
    return voice.say("changed", text, True if weaker else False if stronger else None)


def _asks(verb: str, what: str, statement: Statement, voice: Voice) -> str:
    if voice.verbs == TRUST:
        return f"{verb} {what}"
    return f"{verb} {what} for {_grant(replace(statement, conditions=()), voice, _CONTEXT, _CONTEXT)}"


def _principals(statement: Statement, voice: Voice, limit: int | None = None) -> str:
    if statement.not_principals:
        return f"everybody but {_list_members(statement.not_principals, voice)}"
    return _list_members(statement.principals, voice, limit) or "nobody"


def _list_members(members: Sequence[object], voice: Voice, limit: int | None = None) -> str:
    return _join(
        [_principal(member, voice.label) if isinstance(member, Principal) else str(member) for member in members], limit
    )


def _principal(principal: Principal, label: Label) -> str:
    if principal.type == "*" or (principal.type, principal.identifier) == ("AWS", "*"):
        return "everybody"
    return label(principal.identifier) if principal.type == "AWS" else f"{principal.type} {principal.identifier}"


def _join(items: Sequence[str], limit: int | None = None) -> str:
    if limit is not None and len(items) > limit:
        return f"{', '.join(items[:limit])} and {len(items) - limit} more"
    return ", ".join(items)


def _flip(widens: bool | None) -> bool | None:
    return None if widens is None else not widens
