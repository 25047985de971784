"""Switch roles: a role that people of another account switch to in the console, and the group that lets them.

The notes put group, user and STS policy into the TRUSTING account (`group_in: trusting`). A user there can only switch if
the role also trusts the trusting account, so then it trusts both. By default they live in the trusted account.
"""

from __future__ import annotations

from rolecall_generator.iam.access import ConsolePassword, Group, ManagedPolicy, Role, User, access_of
from rolecall_generator.iam.arn import iam_arn, role_arn, root_arn, switch_role_url
from rolecall_generator.iam.module import AccountLabel, Module, ModuleKind
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.manifest.models import AccountRef, SwitchRole
from rolecall_generator.plan.permissions import Permissions

_MFA = Condition("Bool", "aws:MultiFactorAuthPresent", ("true",))


def switch_role_path(name: str, side: ModuleKind) -> str:
    """Folder of one side's module, relative to the output folder."""
    return f"switch-roles/{name}/{side}"


def switch_trust(entry: SwitchRole, partition: str) -> PolicyDocument:
    """The trust policy: the people's account, with MFA unless the manifest says otherwise.

    `Bool`, never `BoolIfExists`: long-term keys carry no MFA key at all, and the latter would let them in.
    """
    home = _home(entry)
    accounts = [("TrustTrustedAccount", entry.trusted)]
    if entry.group_in == "trusting":
        accounts.append(("TrustTrustingAccount", entry.trusting))
    statements = []
    for sid, account in accounts:
        conditions = [_MFA] if entry.require_mfa else []
        if entry.trust == "users" and account.account_id == home.account_id:
            users = tuple(user_arn(entry, partition, user.path, user.name) for user in entry.users)
            conditions.append(Condition("ArnEquals", "aws:PrincipalArn", users))
        statements.append(
            Statement(
                "Allow",
                actions=("sts:AssumeRole",),
                principals=(Principal("AWS", root_arn(partition, account.account_id)),),
                conditions=tuple(conditions),
                sid=sid,
            )
        )
    return PolicyDocument(tuple(statements))


def user_arn(entry: SwitchRole, partition: str, path: str, name: str) -> str:
    """ARN of a user of this switch role, in the account where the people are."""
    return iam_arn(partition, _home(entry).account_id, "user", path, name)


def switch_role_modules(entry: SwitchRole, partition: str, permissions: Permissions) -> tuple[Module, Module]:
    """Both sides: the trusting account's module and the trusted account's."""
    arn = role_arn(partition, entry.trusting.account_id, entry.path, entry.role)
    role = Role(
        arn,
        trust=switch_trust(entry, partition),
        inline=permissions.inline,
        attached=permissions.attached(partition, entry.trusting.account_id, entry.role),
        boundary=entry.permissions_boundary,
        max_session_seconds=entry.max_session_seconds,
        description=f"People of account {entry.trusted.account_id} switch to this role",
        tags=entry.tags,
    )
    policies = permissions.policies(partition, entry.trusting.account_id, entry.role, entry.tags)
    people = _people(entry, partition, arn)
    in_trusting = entry.group_in == "trusting"
    link = switch_role_url(partition, entry.trusting.account_id, entry.path, entry.role, entry.name)
    facts = {
        "entry": entry,
        "role": role,
        "users": tuple(user_arn(entry, partition, user.path, user.name) for user in entry.users),
        "home": _home(entry),
        "link": link,
        "outputs": {"switch_role_url": link} if link else {},
    }
    sides = (
        (ModuleKind.TRUSTING, entry.trusting, (role, *policies, *(people if in_trusting else ()))),
        (ModuleKind.TRUSTED, entry.trusted, () if in_trusting else people),
    )
    trusting, trusted = (
        Module(
            kind=kind,
            path=switch_role_path(entry.name, kind),
            subject=entry.name,
            account=AccountLabel(account.name, account.account_id),
            partition=partition,
            access=access_of(*parts),
            facts=facts,
        )
        for kind, account, parts in sides
    )
    return trusting, trusted


def _home(entry: SwitchRole) -> AccountRef:
    """The account where group and users live."""
    return entry.trusting if entry.group_in == "trusting" else entry.trusted


def _people(entry: SwitchRole, partition: str, target: str) -> tuple[Group | ManagedPolicy | User, ...]:
    account_id = _home(entry).account_id
    group = entry.switch_group
    group_arn = iam_arn(partition, account_id, "group", group.path, group.name)
    policies = [
        ManagedPolicy(
            iam_arn(partition, account_id, "policy", "/", entry.policy or f"assume-{entry.role}"),
            PolicyDocument((Statement("Allow", ("sts:AssumeRole",), (target,), sid="SwitchRole"),)),
            description=f"Lets members switch to {target}",
            tags=entry.tags,
        )
    ]
    if not group.existing:
        policies.append(
            ManagedPolicy(
                iam_arn(partition, account_id, "policy", "/", f"{group.name}-self-service"),
                self_service(partition, account_id, sorted({user.path for user in entry.users} or {"/"})),
                description="Lets members change their own password and register their own MFA device",
                tags=entry.tags,
            )
        )
    users = (
        User(
            user_arn(entry, partition, user.path, user.name),
            groups=frozenset({group_arn}),
            console_password=ConsolePassword(pgp_key=user.pgp_key) if user.console_password else None,
            tags={} if user.existing else entry.tags,
            existing=user.existing,
        )
        for user in entry.users
    )
    attached = frozenset(policy.arn for policy in policies)
    return (*policies, Group(group_arn, attached=attached, existing=group.existing), *users)


def self_service(partition: str, account_id: str, paths: list[str]) -> PolicyDocument:
    """What a new user needs before MFA is there: change the first password, register a device. Nothing on others.

    Source: AWS documentation, "AWS: Allows MFA-authenticated IAM users to manage their own MFA device on the Security
    credentials page", November 2026. Taking a device away asks for MFA, so a stolen password cannot.
    """
    own = tuple(f"arn:{partition}:iam::{account_id}:user{path}${{aws:username}}" for path in paths)
    devices = (f"arn:{partition}:iam::{account_id}:mfa/*",)
    return PolicyDocument(
        (
            Statement(
                "Allow", ("iam:GetAccountPasswordPolicy", "iam:ListVirtualMFADevices"), ("*",), sid="ReadAccountSettings"
            ),
            Statement("Allow", ("iam:ChangePassword", "iam:GetUser"), own, sid="ChangeOwnPassword"),
            Statement("Allow", ("iam:CreateVirtualMFADevice",), devices, sid="CreateOwnMfaDevice"),
            Statement(
                "Allow",
                ("iam:EnableMFADevice", "iam:ListMFADevices", "iam:ResyncMFADevice"),
                own,
                sid="RegisterOwnMfaDevice",
            ),
            Statement("Allow", ("iam:DeactivateMFADevice",), own, conditions=(_MFA,), sid="RemoveOwnMfaDeviceWithMfa"),
        )
    )
