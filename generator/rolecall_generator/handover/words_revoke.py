"""How access is taken back: each way to remove it, and how to cut sessions that run.

Sources, read November 2026: IAM User Guide, "Revoke IAM role temporary security credentials" (the console attaches the
inline policy AWSRevokeOlderSessions, which denies everything to sessions opened before) and "Disabling permissions for
temporary security credentials" (permissions are evaluated at each request; changes may take a few minutes).
"""

from __future__ import annotations

from dataclasses import dataclass

from rolecall_generator.handover.words import Phrase, duration, listed, say
from rolecall_generator.iam.access import Role
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.module import Module


@dataclass(frozen=True, slots=True)
class Way:
    """One way to take access back: when or with what, and what to do."""

    when: str
    how: Phrase


_REMOVE = (
    Way("Terraform", say("{} in the folder that was applied.", "terraform destroy")),
    Way("CloudFormation", Phrase(("Delete the stack.",))),
    Way("AWS CLI", say("Run {}.", "aws-cli/remove.sh")),
)


def name_of(arn: str) -> str:
    """The plain name at an ARN's end."""
    parsed = parse_arn(arn)
    return parsed.name if parsed is not None else arn


def revoking(module: Module) -> tuple[Way, ...]:
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


def _role(role: Role) -> tuple[Way, ...]:
    longest = Phrase((duration(role.max_session_seconds),))
    return (
        Way("At once", say(_REVOKE, name_of(role.arn), "AWSRevokeOlderSessions")),
        Way("Running sessions", say(_RUNNING, longest)),
    )


def _people(module: Module) -> tuple[Way, ...]:
    """Where the people are: how one person loses the right to switch."""
    if not module.access.groups:
        return ()
    group = name_of(next(iter(module.access.groups)))
    person = Way("One person", say("IAM console, User groups, {}, tab Users: remove the user from the group.", group))
    if module.access.roles or module.switch_role is None:
        return (person,)
    target = module.switch_role.role
    there = parse_arn(target.arn)
    account = there.account_id if there is not None else ""
    running = say("Cut in account {}: IAM console, Roles, {}, tab Revoke sessions.", account, name_of(target.arn))
    return (person, Way("Running sessions", running))


def _console(module: Module) -> tuple[Way, ...]:
    group = next(iter(module.access.groups.values()), None)
    if module.access.roles or group is None or not group.existing:
        name = next((name_of(arn) for arn in (*module.access.roles, *module.access.groups)), "")
        where = "Roles" if module.access.roles else "User groups"
        return (Way("Console", say(f"IAM console, {where}, {{}}, Delete.", name)),)
    policies = listed(name_of(arn) for arn in sorted(group.attached & module.access.policies.keys()))
    kept = "IAM console, User groups, {}, tab Permissions: remove {}. The group itself was there before, and stays."
    return (Way("Console", say(kept, name_of(group.arn), policies)),)
