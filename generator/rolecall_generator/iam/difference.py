"""The difference of two Access values, said in access terms: who also trusts whom, who may do more, what went.

Used for drift, for the parse-back check and for reviews. Equal access means no changes, and no changes equal access.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rolecall_generator.iam.access import Access, ConsolePassword, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_generator.iam.statement_difference import HOLDER, POLICY, TRUST, Change, Label, Voice, document_changes

__all__ = ["Change", "Label", "differences", "plain_label"]

Part = Role | ManagedPolicy | Group | User | InstanceProfile
_EMPTY = PolicyDocument(())


def plain_label(arn: str) -> str:
    """An IAM ARN without the account's name: `222222222222/role1`, `222222222222:root`, `group 222222222222/admins`."""
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "iam":
        return arn
    if parsed.resource == "root":
        return f"{parsed.account_id}:root"
    name = parsed.resource.partition("/")[2]
    if parsed.account_id == "aws":
        return f"{parsed.kind} {name}"
    return f"{'' if parsed.kind == 'role' else parsed.kind + ' '}{parsed.account_id}/{name}"


def differences(before: Access, after: Access, *, label: Label = plain_label) -> tuple[Change, ...]:
    """Every change from one access to another, ordered by kind of thing and ARN; `label` names ARNs in the sentences."""
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
            how = "is now referred to; it exists already" if existing else "is new"
            yield Change("added", arn, f"{label(arn)} {how}", None)
            yield from _changes(_blank(new), new, label, fresh=True)
        elif new is None:
            yield Change("removed", arn, f"{label(arn)} is removed", False)
        elif old is not None and old != new:
            changes = [*_changes(old, new, label, fresh=False)]
            yield from changes or [Change("changed", arn, f"{label(arn)} differs in a detail that has no words yet", None)]


def _blank(part: Part) -> Part:
    """The same part with nothing on it, so that all that a new one brings is said."""
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
    voice = Voice(new.arn, label(new.arn), HOLDER, label, fresh)
    if not isinstance(new, ManagedPolicy | InstanceProfile) and not isinstance(old, ManagedPolicy | InstanceProfile):
        if old.existing != new.existing:
            yield voice.say("changed", "is now only referred to" if new.existing else "is now made here", None)
        yield from _permissions(old, new, voice)
    if isinstance(old, Role) and isinstance(new, Role):
        yield from _role_changes(old, new, voice)
    elif isinstance(old, ManagedPolicy) and isinstance(new, ManagedPolicy):
        yield from document_changes(old.document, new.document, replace(voice, verbs=POLICY))
    elif isinstance(old, User) and isinstance(new, User):
        yield from _user_changes(old, new, voice)
    elif isinstance(old, InstanceProfile) and isinstance(new, InstanceProfile) and old.role != new.role:
        instead = f" instead of {label(old.role)}" if old.role else ""
        yield voice.say("changed" if old.role else "added", f"carries {label(new.role)}{instead}", None)
    if (
        isinstance(old, Role | ManagedPolicy)
        and isinstance(new, Role | ManagedPolicy)
        and old.description != new.description
    ):
        instead = f" instead of {old.description!r}" if old.description else ""
        yield voice.say("changed", f"is described as {new.description!r}{instead}", None)
    if not isinstance(old, Group) and not isinstance(new, Group):
        yield from _tag_changes(old.tags, new.tags, voice)


def _permissions(old: Role | Group | User, new: Role | Group | User, voice: Voice) -> Iterator[Change]:
    for arn in sorted(new.attached - old.attached):
        yield voice.say("added", f"gains {_policy(arn, voice)}", True)
    for arn in sorted(old.attached - new.attached):
        yield voice.say("removed", f"loses {_policy(arn, voice)}", False)
    for name in sorted(old.inline.keys() | new.inline.keys()):
        was, now = old.inline.get(name), new.inline.get(name)
        if was is None or now is None:
            kind, verb, known = ("added", "gains", now) if was is None else ("removed", "loses", was)
            if known is not None and not known.statements:
                yield voice.say(kind, f"{verb} the empty inline policy {name}", None)
        version = (now or was or _EMPTY).version
        empty = PolicyDocument((), version)
        yield from document_changes(was or empty, now or empty, replace(voice, suffix=f" (inline policy {name})"))


def _role_changes(old: Role, new: Role, voice: Voice) -> Iterator[Change]:
    if old.trust is not None and new.trust is not None:
        yield from document_changes(old.trust, new.trust, replace(voice, verbs=TRUST))
    elif old.trust is not new.trust:
        yield voice.say("changed", f"has a trust policy that is {'no longer' if new.trust is None else 'now'} known", None)
        if new.trust is not None:
            known = PolicyDocument((), new.trust.version)
            yield from document_changes(known, new.trust, replace(voice, verbs=TRUST, fresh=True))
    yield from _boundary_change(old.boundary, new.boundary, voice)
    if old.max_session_seconds != new.max_session_seconds:
        text = f"allows sessions of {new.max_session_seconds} s instead of {old.max_session_seconds} s"
        yield voice.say("changed", text, new.max_session_seconds > old.max_session_seconds)


def _boundary_change(old: str | None, new: str | None, voice: Voice) -> Iterator[Change]:
    if old == new:
        return
    if old is None and new is not None:
        yield voice.say("added", f"is now bounded by {_policy(new, voice)}", False)
    elif old is not None and new is None:
        yield voice.say("removed", f"is no longer bounded by {_policy(old, voice)}", True)
    elif old is not None and new is not None:
        yield voice.say("changed", f"is bounded by {_policy(new, voice)} instead of {_policy(old, voice)}", None)


def _user_changes(old: User, new: User, voice: Voice) -> Iterator[Change]:
    for arn in sorted(new.groups - old.groups):
        yield voice.say("added", f"joins {voice.label(arn)}", True)
    for arn in sorted(old.groups - new.groups):
        yield voice.say("removed", f"leaves {voice.label(arn)}", False)
    yield from _password_changes(old.console_password, new.console_password, voice)
    yield from _boundary_change(old.boundary, new.boundary, voice)


def _password_changes(old: ConsolePassword | None, new: ConsolePassword | None, voice: Voice) -> Iterator[Change]:
    if old is None and new is not None:
        how = "" if new.reset_required else " that need not be changed"
        yield voice.say("added", f"gains a console password{how}", True)
    elif old is not None and new is None:
        yield voice.say("removed", "loses the console password", False)
    elif old is not None and new is not None:
        if old.reset_required != new.reset_required:
            must = "must now" if new.reset_required else "need no longer"
            yield voice.say("changed", f"{must} change the first console password", None)
        if old.pgp_key != new.pgp_key:
            how = "in plain text in the state" if new.pgp_key is None else "encrypted with another PGP key"
            yield voice.say("changed", f"gets the first console password {how}", None)


def _tag_changes(old: Mapping[str, str], new: Mapping[str, str], voice: Voice) -> Iterator[Change]:
    """Tags grant nothing by themselves, but policies may look at them: whether they widen cannot be said."""
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            yield voice.say("added", f"gains tag {key}={new[key]!r}", None)
        elif key not in new:
            yield voice.say("removed", f"loses tag {key}={old[key]!r}", None)
        elif old[key] != new[key]:
            yield voice.say("changed", f"has tag {key}={new[key]!r} instead of {old[key]!r}", None)


def _policy(arn: str, voice: Voice) -> str:
    name = voice.label(arn)
    return name if "policy " in name else f"policy {name}"
