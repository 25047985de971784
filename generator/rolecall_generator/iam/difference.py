"""Differences between two Access values as sentences, for drift, for checks of written modules and for reviews.

Two values are equal if and only if `differences` returns no changes. Statements of two documents are paired by equality,
then by effect and Sid, then by similarity, so that one added action is reported as one added action; a statement without a
counterpart is reported as added or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rolecall_generator.iam import (
    Access,
    Arn,
    Condition,
    ConsolePassword,
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyDocument,
    Principal,
    Role,
    Statement,
    User,
)
from rolecall_generator.iam.matching import find_operator

Label = Callable[[str], str]
"""Returns the display name of an ARN, with its kind if it is not a role: `account1/role1`, `group reena-switchers`."""

_MINIMUM_SIMILARITY = 0.5  # statements that share less are reported as one removed and one added
_MAXIMUM_PAIRS = 10_000  # beyond it, statements are reported as removed or added: comparing all pairs would take seconds
_CONTEXT = 3  # number of unchanged items named next to a change; the rest are counted


TRUST_DOCUMENT, MANAGED_DOCUMENT, INLINE_DOCUMENT = "trust", "policy", "inline/"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of access. `kind` is added, removed or changed; `subject` is the ARN of the principal or policy.

    `widens` is True if more is allowed than before, False if less, None if it is undetermined or nothing changes.
    `document` is the policy of the subject whose content changes: TRUST_DOCUMENT, MANAGED_DOCUMENT, or the name of an inline
    policy after INLINE_DOCUMENT; empty for any other change.
    """

    kind: str
    subject: str
    text: str
    widens: bool | None
    document: str = ""

    @property
    def in_trust(self) -> bool:
        """Whether it is a change of the trust policy."""
        return self.document == TRUST_DOCUMENT


@dataclass(frozen=True, slots=True)
class _Wording:
    """Wording of the changes of one document. `verbs` is TRUST, HOLDER or POLICY; `suffix` ends each sentence.

    `fresh`: the holder is new; its statements are reported without "also". `document`: see `Change`.
    """

    subject: str
    name: str
    verbs: str
    label: Label
    fresh: bool = False
    suffix: str = ""
    document: str = ""

    def change(self, kind: str, text: str, widens: bool | None) -> Change:
        """A change of the holder; its name precedes the text."""
        return Change(kind, self.subject, f"{self.name} {text}{self.suffix}", widens, self.document)


TRUST, HOLDER, POLICY = "trust", "holder", "policy"
_VERBS = {
    (TRUST, "Allow"): ("trusts", "also trusts", "no longer trusts"),
    (TRUST, "Deny"): ("refuses", "also refuses", "no longer refuses"),
    (HOLDER, "Allow"): ("may", "may now also", "may no longer"),
    (HOLDER, "Deny"): ("is denied", "is now denied", "is no longer denied"),
    (POLICY, "Allow"): ("allows", "now also allows", "no longer allows"),
    (POLICY, "Deny"): ("denies", "now also denies", "no longer denies"),
}


def _document_changes(before: PolicyDocument, after: PolicyDocument, wording: _Wording) -> Iterator[Change]:
    """Changes between two canonical documents; none if they are equal."""
    if before.version != after.version:
        yield wording.change("changed", f"uses policy version {after.version} instead of {before.version}", None)
    gone, new, pairs = _match(before.statements, after.statements)
    for old, young in pairs:
        yield from _statement_changes(old, young, wording)
    for statement in new:
        verb = _verbs(wording, statement)[0 if wording.fresh else 1]
        yield wording.change("added", f"{verb} {_grant(statement, wording)}", _widening(statement))
    for statement in gone:
        widens = _widening(statement)
        text = f"{_verbs(wording, statement)[2]} {_grant(statement, wording)}"
        yield wording.change("removed", text, None if widens is None else not widens)


def _widening(statement: Statement) -> bool | None:
    """Effect of adding the statement on `Change.widens`: True for Allow, False for Deny, None for any other effect."""
    return {"Allow": True, "Deny": False}.get(statement.effect)


def _condition_text(condition: Condition) -> str:
    """A condition as a noun phrase: `external ID 0f0c`, `MFA`, `aws:PrincipalArn ArnLike a or b`."""
    values = " or ".join(condition.values) if condition.values else "nothing"
    if (condition.operator, condition.key.lower()) == ("StringEquals", "sts:externalid"):
        return f"external ID {values}"
    if (condition.operator, condition.key.lower(), values) == ("Bool", "aws:multifactorauthpresent", "true"):
        return "MFA"
    return f"{condition.key} {condition.operator} {values}"


def _verbs(wording: _Wording, statement: Statement) -> tuple[str, str, str]:
    known = _VERBS.get((wording.verbs, statement.effect))
    return known or (f"has {statement.effect}:", f"also has {statement.effect}:", f"no longer has {statement.effect}:")


def _match(
    before: Sequence[Statement], after: Sequence[Statement]
) -> tuple[list[Statement], list[Statement], list[tuple[Statement, Statement]]]:
    """Removed statements, added statements, and pairs of changed ones."""
    kept = set(before) & set(after)
    gone = [statement for statement in before if statement not in kept]
    new = [statement for statement in after if statement not in kept]
    if len(gone) * len(new) > _MAXIMUM_PAIRS:
        return gone, new, []
    candidates = []
    for i, old in enumerate(gone):
        for j, young in enumerate(new):
            same_sid = bool(old.sid) and old.sid == young.sid
            alike = _similarity(old, young)
            if old.effect == young.effect and alike and (same_sid or alike >= _MINIMUM_SIMILARITY):
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


def _similarity(one: Statement, other: Statement) -> float:
    """Share of common members, averaged over the elements that either statement has; 1 if all are equal."""
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


def _statement_changes(old: Statement, new: Statement, wording: _Wording) -> Iterator[Change]:
    wider = _widening(new)
    if old.sid != new.sid:
        renamed = wording.change("changed", f"renames statement {old.sid or '(no Sid)'} to {new.sid or '(no Sid)'}", None)
        yield replace(renamed, document="")  # a Sid has no effect on requests
    for part in ("principals", "actions", "resources"):
        yield from _part_changes(old, new, part, wording)
    for change in _condition_changes(old, new, wording):
        yield change if wider else replace(change, widens=_flip(change.widens) if wider is False else None)


def _part_changes(old: Statement, new: Statement, part: str, wording: _Wording) -> Iterator[Change]:
    """Changes of an element and of its `not_` form. `widens` is None if the statement switched between the two."""
    same_form = all(bool(getattr(old, name)) == bool(getattr(new, name)) for name in (part, f"not_{part}"))
    for name, sign in ((part, True), (f"not_{part}", False)):
        was, now = set(getattr(old, name)), set(getattr(new, name))
        for kind, members, statement in (("added", now - was, new), ("removed", was - now, old)):
            if members:
                widens = (_widening(new) is sign) is (kind == "added") if same_form and _widening(new) is not None else None
                text = _member_text(statement, name, tuple(sorted(members)), kind, wording)
                yield wording.change(kind, text, widens)


def _member_text(statement: Statement, name: str, members: tuple[object, ...], kind: str, wording: _Wording) -> str:
    chosen: dict[str, Any] = {name: members}
    part = replace(statement, **chosen)
    verb = _verbs(wording, statement)[1 if kind == "added" else 2]
    if name.startswith("not_"):
        excludes = "now also excludes" if kind == "added" else "no longer excludes"
        return f"{excludes} {_list_members(members, wording)} from what it {_verbs(wording, statement)[0]}"
    if wording.verbs == TRUST and name == "principals":
        return f"{verb} {_principals(part, wording)}"
    if wording.verbs == TRUST and name == "actions":
        allows = _VERBS.get((POLICY, statement.effect), ("", verb, verb))[1 if kind == "added" else 2]
        return f"{allows} {_join(part.actions)} to {_principals(statement, wording, _CONTEXT)}"
    shown = part if kind == "added" else replace(part, conditions=())
    few_actions = None if name == "actions" else _CONTEXT
    return f"{verb} {_grant(shown, wording, few_actions, None if name == 'resources' else _CONTEXT)}"


def _grant(statement: Statement, wording: _Wording, actions: int | None = None, resources: int | None = None) -> str:
    """What a statement grants, to follow the verb; lists longer than the limits are cut and the rest counted."""
    conditions = [_condition_text(condition) for condition in statement.conditions]
    with_conditions = f" with {' and '.join(conditions)}" if conditions else ""
    what = (
        f"everything except {_join(statement.not_actions)}" if statement.not_actions else _join(statement.actions, actions)
    )
    where = _join(statement.resources, resources)
    if statement.not_resources:
        where = f"everything except {_join(statement.not_resources)}"
    on = f" on {where}" if where else ""
    if wording.verbs == TRUST:
        what_for = "" if statement.actions == ("sts:AssumeRole",) and not statement.not_actions else f" for {what}"
        return f"{_principals(statement, wording)}{what_for}{on}{with_conditions}"
    who = _principals(statement, wording) if statement.principals or statement.not_principals else ""
    return f"{what or 'nothing'}{on}{f' for {who}' if who else ''}{with_conditions}"


def _condition_changes(old: Statement, new: Statement, wording: _Wording) -> Iterator[Change]:
    """Changes of conditions, with `widens` as in an Allow statement."""
    gone = [condition for condition in old.conditions if condition not in new.conditions]
    came = [condition for condition in new.conditions if condition not in old.conditions]
    for was in list(gone):
        partners = [now for now in came if now.key.lower() == was.key.lower()]
        now = next((now for now in partners if now.operator == was.operator), partners[0] if partners else None)
        if now is not None:
            gone.remove(was)
            came.remove(now)
            yield _changed_condition(was, now, new, wording)
    for was in gone:
        yield wording.change("removed", _requirement("no longer requires", _condition_text(was), new, wording), True)
    for now in came:
        yield wording.change("added", _requirement("now requires", _condition_text(now), new, wording), False)


def _changed_condition(was: Condition, now: Condition, statement: Statement, wording: _Wording) -> Change:
    if (was.operator, was.values) == (now.operator, now.values):  # the names of keys are not case-sensitive
        return wording.change("changed", f"writes condition key {was.key} as {now.key}", None)
    more, fewer = set(now.values) - set(was.values), set(was.values) - set(now.values)
    if was.operator == now.operator and was.values and now.values and bool(more) is not bool(fewer):
        use = find_operator(now.operator)
        negated = use is not None and use.operator.negated
        verb = "now accepts" if more else "no longer accepts"
        if negated:
            verb = "now excludes" if more else "no longer excludes"
        changed = replace(now, values=tuple(sorted(more or fewer)))
        widens = None if use is None or use.operator.compare is None else bool(more) is not negated
        also = verb.replace("now accepts", "also accepts") if more else verb
        text = _requirement(also, _condition_text(changed), statement, wording)
        return wording.change("added" if more else "removed", text, widens)
    weaker = now.values == was.values and now.operator == f"{was.operator}IfExists"
    stronger = now.values == was.values and was.operator == f"{now.operator}IfExists"
    text = _requirement("now requires", f"{_condition_text(now)} instead of {_condition_text(was)}", statement, wording)
    return wording.change("changed", text, True if weaker else False if stronger else None)


def _requirement(verb: str, what: str, statement: Statement, wording: _Wording) -> str:
    if wording.verbs == TRUST:
        return f"{verb} {what}"
    return f"{verb} {what} for {_grant(replace(statement, conditions=()), wording, _CONTEXT, _CONTEXT)}"


def _principals(statement: Statement, wording: _Wording, limit: int | None = None) -> str:
    if statement.not_principals:
        return f"everyone except {_list_members(statement.not_principals, wording)}"
    return _list_members(statement.principals, wording, limit) or "no one"


def _list_members(members: Sequence[object], wording: _Wording, limit: int | None = None) -> str:
    return _join(
        [_principal(member, wording.label) if isinstance(member, Principal) else str(member) for member in members], limit
    )


def _principal(principal: Principal, label: Label) -> str:
    if principal.type == "*" or (principal.type, principal.identifier) == ("AWS", "*"):
        return "everyone"
    return label(principal.identifier) if principal.type == "AWS" else f"{principal.type} {principal.identifier}"


def _join(items: Sequence[str], limit: int | None = None) -> str:
    if limit is not None and len(items) > limit:
        return f"{', '.join(items[:limit])} and {len(items) - limit} more"
    return ", ".join(items)


def _flip(widens: bool | None) -> bool | None:
    return None if widens is None else not widens


Part = Role | ManagedPolicy | Group | User | InstanceProfile
_EMPTY = PolicyDocument(())


def plain_label(arn: str) -> str:
    """Display name of an IAM ARN by account ID: `222222222222/role1`, `222222222222:root`, `group 222222222222/admins`."""
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service != "iam":
        return arn
    if parsed.resource == "root":
        return f"{parsed.account_id}:root"
    name = parsed.resource.partition("/")[2]
    if parsed.account_id == "aws":
        return f"{parsed.kind} {name}"
    return f"{'' if parsed.kind == 'role' else parsed.kind + ' '}{parsed.account_id}/{name}"


def differences(before: Access, after: Access, *, label: Label = plain_label) -> tuple[Change, ...]:
    """All changes from `before` to `after`, by type of resource and ARN; `label` names ARNs in the sentences."""
    before, after = before.canonical(), after.canonical()
    return (
        *_each(before.roles, after.roles, label),
        *_each(before.policies, after.policies, label),
        *_each(before.groups, after.groups, label),
        *_each(before.users, after.users, label),
        *_each(before.instance_profiles, after.instance_profiles, label),
    )


def _each(before: Mapping[str, Part], after: Mapping[str, Part], label: Label) -> Iterator[Change]:
    for arn in sorted(before.keys() | after.keys()):
        old, new = before.get(arn), after.get(arn)
        if old is None and new is not None:
            existing = getattr(new, "existing", False)
            how = "is now referenced as existing" if existing else "is new"
            yield Change("added", arn, f"{label(arn)} {how}", None)
            yield from _changes(_blank(new), new, label, fresh=True)
        elif new is None:
            yield Change("removed", arn, f"{label(arn)} is removed", False)
        elif old is not None and old != new:
            changes = [*_changes(old, new, label, fresh=False)]
            yield from changes or [Change("changed", arn, f"{label(arn)} differs in another detail", None)]


def _blank(part: Part) -> Part:
    """The same principal or policy without permissions and attributes, so that all of a new one is reported."""
    match part:
        case Role():
            return Role(part.arn, _EMPTY if part.trust is not None else None, existing=part.existing)
        case ManagedPolicy():
            return ManagedPolicy(part.arn, replace(part.document, statements=()))
        case Group():
            return Group(part.arn, existing=part.existing)
        case User():
            return User(part.arn, existing=part.existing)
        case InstanceProfile():
            return InstanceProfile(part.arn, "")


def _changes(old: Part, new: Part, label: Label, *, fresh: bool) -> Iterator[Change]:
    wording = _Wording(new.arn, label(new.arn), HOLDER, label, fresh)
    if not isinstance(new, ManagedPolicy | InstanceProfile) and not isinstance(old, ManagedPolicy | InstanceProfile):
        if old.existing != new.existing:
            how = "is now referenced as existing" if new.existing else "is now created by this module"
            yield wording.change("changed", how, None)
        yield from _permissions(old, new, wording)
    if isinstance(old, Role) and isinstance(new, Role):
        yield from _role_changes(old, new, wording)
    elif isinstance(old, ManagedPolicy) and isinstance(new, ManagedPolicy):
        own = replace(wording, verbs=POLICY, document=MANAGED_DOCUMENT)
        yield from _document_changes(old.document, new.document, own)
    elif isinstance(old, User) and isinstance(new, User):
        yield from _user_changes(old, new, wording)
    elif isinstance(old, InstanceProfile) and isinstance(new, InstanceProfile) and old.role != new.role:
        instead = f" instead of {label(old.role)}" if old.role else ""
        yield wording.change("changed" if old.role else "added", f"has {label(new.role)}{instead}", None)
    if (
        isinstance(old, Role | ManagedPolicy)
        and isinstance(new, Role | ManagedPolicy)
        and old.description != new.description
    ):
        instead = f" instead of {old.description!r}" if old.description else ""
        yield wording.change("changed", f"is described as {new.description!r}{instead}", None)
    if not isinstance(old, Group) and not isinstance(new, Group):
        yield from _tag_changes(old.tags, new.tags, wording)


def _permissions(old: Role | Group | User, new: Role | Group | User, wording: _Wording) -> Iterator[Change]:
    for arn in sorted(new.attached - old.attached):
        yield wording.change("added", f"gains {_policy(arn, wording)}", True)
    for arn in sorted(old.attached - new.attached):
        yield wording.change("removed", f"loses {_policy(arn, wording)}", False)
    for name in sorted(old.inline.keys() | new.inline.keys()):
        was, now = old.inline.get(name), new.inline.get(name)
        if was is None or now is None:
            kind, verb, known = ("added", "gains", now) if was is None else ("removed", "loses", was)
            if known is not None and not known.statements:
                yield wording.change(kind, f"{verb} the empty inline policy {name}", None)
        version = (now or was or _EMPTY).version
        empty = PolicyDocument((), version)
        own = replace(wording, suffix=f" (inline policy {name})", document=f"{INLINE_DOCUMENT}{name}")
        yield from _document_changes(was or empty, now or empty, own)


def _role_changes(old: Role, new: Role, wording: _Wording) -> Iterator[Change]:
    if old.trust is not None and new.trust is not None:
        own = replace(wording, verbs=TRUST, document=TRUST_DOCUMENT)
        yield from _document_changes(old.trust, new.trust, own)
    elif old.trust is not new.trust:
        yield wording.change(
            "changed", f"has a trust policy that is {'no longer' if new.trust is None else 'now'} known", None
        )
        if new.trust is not None:
            known = PolicyDocument((), new.trust.version)
            own = replace(wording, verbs=TRUST, document=TRUST_DOCUMENT, fresh=True)
            yield from _document_changes(known, new.trust, own)
    yield from _boundary_change(old.boundary, new.boundary, wording)
    if old.max_session_seconds != new.max_session_seconds:
        text = f"allows sessions of {new.max_session_seconds} s instead of {old.max_session_seconds} s"
        yield wording.change("changed", text, new.max_session_seconds > old.max_session_seconds)


def _boundary_change(old: str | None, new: str | None, wording: _Wording) -> Iterator[Change]:
    if old == new:
        return
    if old is None and new is not None:
        yield wording.change("added", f"now has the permissions boundary {_policy(new, wording)}", False)
    elif old is not None and new is None:
        yield wording.change("removed", f"no longer has the permissions boundary {_policy(old, wording)}", True)
    elif old is not None and new is not None:
        text = f"has the permissions boundary {_policy(new, wording)} instead of {_policy(old, wording)}"
        yield wording.change("changed", text, None)


def _user_changes(old: User, new: User, wording: _Wording) -> Iterator[Change]:
    for arn in sorted(new.groups - old.groups):
        yield wording.change("added", f"joins {wording.label(arn)}", True)
    for arn in sorted(old.groups - new.groups):
        yield wording.change("removed", f"leaves {wording.label(arn)}", False)
    yield from _password_changes(old.console_password, new.console_password, wording)
    yield from _boundary_change(old.boundary, new.boundary, wording)


def _password_changes(old: ConsolePassword | None, new: ConsolePassword | None, wording: _Wording) -> Iterator[Change]:
    if old is None and new is not None:
        how = "" if new.reset_required else " that does not have to be changed"
        yield wording.change("added", f"gains a console password{how}", True)
    elif old is not None and new is None:
        yield wording.change("removed", "loses the console password", False)
    elif old is not None and new is not None:
        if old.reset_required != new.reset_required:
            must = "now has to" if new.reset_required else "no longer has to"
            yield wording.change("changed", f"{must} change the first console password", None)
        if old.pgp_key != new.pgp_key:
            how = "in plain text in the state" if new.pgp_key is None else "encrypted with another PGP key"
            yield wording.change("changed", f"gets the first console password {how}", None)


def _tag_changes(old: Mapping[str, str], new: Mapping[str, str], wording: _Wording) -> Iterator[Change]:
    """Changes of tags. Conditions may depend on tags, so `widens` is None."""
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            yield wording.change("added", f"gains tag {key}={new[key]!r}", None)
        elif key not in new:
            yield wording.change("removed", f"loses tag {key}={old[key]!r}", None)
        elif old[key] != new[key]:
            yield wording.change("changed", f"has tag {key}={new[key]!r} instead of {old[key]!r}", None)


def _policy(arn: str, wording: _Wording) -> str:
    name = wording.label(arn)
    return name if "policy " in name else f"policy {name}"


def labeller(names: Mapping[str, str]) -> Label:
    """A Label with account names by account ID; ARNs of other accounts get `plain_label`."""

    def label(arn: str) -> str:
        parsed = Arn.parse(arn)
        if parsed is None or parsed.account_id not in names:
            return plain_label(arn)
        account = names[parsed.account_id]
        if parsed.resource == "root":
            return f"{account}:root"
        name = parsed.resource.partition("/")[2]
        return f"{account}/{name}" if parsed.kind == "role" else f"{account}'s {parsed.kind} {name}".rstrip()

    return label
