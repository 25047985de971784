"""Switch roles: a role that users of another account switch to in the console, and the group that allows it.

By default, the group, its users and the STS policy are in the trusted account. With `group_in: trusting` they are in the
trusting account, and the role trusts both accounts, because the users could not switch otherwise.

If switch roles share a group, only the keeper's module manages the group, its policies, users and memberships
(`manifest/validation.py`). No module can then remove what another one needs.
"""

from __future__ import annotations

import json

from rolecall_generator.errors import PlanError
from rolecall_generator.iam import (
    Access,
    AccountLabel,
    Condition,
    ConsolePassword,
    Group,
    ManagedPolicy,
    Module,
    ModuleKind,
    PolicyDocument,
    Principal,
    Role,
    Statement,
    SwitchRoleDetails,
    User,
    iam_arn,
    quotas,
    role_arn,
    root_arn,
    switch_role_url,
)
from rolecall_generator.manifest import AccountRef, SharedGroup, SwitchRole, SwitchUser
from rolecall_generator.planning.permissions import Permissions

_MFA = Condition("Bool", "aws:MultiFactorAuthPresent", ("true",))


def switch_role_path(name: str, side: ModuleKind) -> str:
    """Folder of one side's module, relative to the output folder."""
    return f"switch-roles/{name}/{side}"


def switch_trust(entry: SwitchRole, partition: str) -> PolicyDocument:
    """The trust policy of the role: it trusts the users' account, with MFA if required.

    `Bool`, not `BoolIfExists`: requests with long-term keys have no MFA context key, and `BoolIfExists` would match them.
    """
    accounts = [("TrustTrustedAccount", entry.trusted)]
    if entry.group_in == "trusting":
        accounts.append(("TrustTrustingAccount", entry.trusting))
    statements = []
    for sid, account in accounts:
        conditions = [_MFA] if entry.require_mfa else []
        if entry.trust == "users" and account.account_id == entry.home.account_id:
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
    """ARN of a user of this switch role, in the account that has the users."""
    return iam_arn(partition, entry.home.account_id, "user", path, name)


def switch_role_modules(
    entry: SwitchRole, partition: str, permissions: Permissions, people: SharedGroup
) -> tuple[Module, Module]:
    """The modules of the trusting and the trusted account. Raises PlanError if too many switch roles share a group."""
    role = Role(
        _role_arn(entry, partition),
        trust=switch_trust(entry, partition),
        inline=permissions.inline,
        attached=permissions.attached(partition, entry.trusting.account_id, entry.role),
        boundary=entry.permissions_boundary,
        max_session_seconds=entry.max_session_seconds,
        description=f"People of account {entry.trusted.account_id} switch to this role",
        tags=entry.tags,
    )
    policies = permissions.policies(partition, entry.trusting.account_id, entry.role, entry.tags)
    managing_side = ModuleKind.TRUSTING if people.keeper.group_in == "trusting" else ModuleKind.TRUSTED
    managing_path = switch_role_path(people.keeper.name, managing_side)
    link = switch_role_url(partition, entry.trusting.account_id, entry.path, entry.role, entry.name)
    details = SwitchRoleDetails(
        name=entry.name,
        role=role,
        trusting=_label(entry.trusting),
        trusted=_label(entry.trusted),
        home=_label(entry.home),
        group=entry.switch_group.name,
        users=tuple(user_arn(entry, partition, user.path, user.name) for user in _callers(entry, people)),
        names_users=entry.trust == "users",
        delegates_to=delegated_accounts(entry),
        require_mfa=entry.require_mfa,
        link=link,
        keeper=people.keeper.name,
        people_path=managing_path,
        targets=tuple(
            _role_arn(other, partition) for other in (people.switch_roles if people.keeper is entry else (entry,))
        ),
        has_first_passwords=any(user.console_password for user in entry.users),
        has_existing_people=entry.switch_group.existing or any(user.existing for user in entry.users),
    )
    sides = (
        (ModuleKind.TRUSTING, details.trusting, Access.of(role, *policies)),
        (ModuleKind.TRUSTED, details.trusted, Access()),
    )
    trusting, trusted = (
        Module(
            kind=kind,
            path=path,
            subject=entry.name,
            account=account,
            partition=partition,
            access=Access.union((own, Access.of(*_group_parts(people, partition)))) if path == managing_path else own,
            outputs={"switch_role_url": link} if link else {},
            dependents=people.dependents if path == managing_path else (),
            switch_role=details,
        )
        for kind, account, own in sides
        for path in (switch_role_path(entry.name, kind),)
    )
    return trusting, trusted


def delegated_accounts(entry: SwitchRole) -> frozenset[str]:
    """IDs of the trusted accounts that decide by their own policies which principals may switch.

    With `group_in: trusting` the role trusts both accounts, and `trust: users` names only users of the trusting one.
    """
    accounts = {entry.trusted.account_id}
    if entry.group_in == "trusting":
        accounts.add(entry.trusting.account_id)
    if entry.trust == "users":
        accounts.discard(entry.home.account_id)
    return frozenset(accounts)


def _label(account: AccountRef) -> AccountLabel:
    return AccountLabel(account.name, account.account_id)


def _callers(entry: SwitchRole, people: SharedGroup) -> tuple[SwitchUser, ...]:
    """The users who may switch: every member of the group, or the users in the trust policy."""
    return entry.users if entry.trust == "users" else tuple(user for user, _ in people.users)


def _role_arn(entry: SwitchRole, partition: str) -> str:
    return role_arn(partition, entry.trusting.account_id, entry.path, entry.role)


def _group_parts(people: SharedGroup, partition: str) -> tuple[Group | ManagedPolicy | User, ...]:
    keeper = people.keeper
    account_id = keeper.home.account_id
    group = keeper.switch_group
    group_arn = iam_arn(partition, account_id, "group", group.path, group.name)
    policies = _assume_policies(people, partition)
    if not group.existing:
        paths = sorted({user.path for user, _ in people.users} or {"/"})
        policies.append(
            ManagedPolicy(
                iam_arn(partition, account_id, "policy", "/", f"{group.name}-self-service"),
                self_service(partition, account_id, paths),
                description="Lets members change their own password and register their own MFA device",
                tags=keeper.tags,
            )
        )
    if len(policies) > quotas.GROUP_MANAGED_POLICIES:
        raise PlanError(
            f"{len(people.switch_roles):,} roles behind group {group.name} need {len(policies)} managed policies; the "
            f"quota of a group is {quotas.GROUP_MANAGED_POLICIES}",
            where=f"switch role {keeper.name}",
            hint="use another group for some of the switch roles",
        )
    users = (
        User(
            user_arn(keeper, partition, user.path, user.name),
            groups=frozenset({group_arn}),
            console_password=ConsolePassword(pgp_key=user.pgp_key) if user.console_password else None,
            tags={} if user.existing else owner.tags,
            existing=user.existing,
        )
        for user, owner in people.users
    )
    attached = frozenset(policy.arn for policy in policies)
    return (*policies, Group(group_arn, attached=attached, existing=group.existing), *users)


def _assume_policies(people: SharedGroup, partition: str) -> list[ManagedPolicy]:
    """The policies that list the roles of a group: as many as the size quota requires.

    Their description only names the keeper's role. If it listed all roles, adding or removing a switch role would make
    Terraform replace the policy, because AWS cannot change descriptions.
    """
    keeper = people.keeper
    name = keeper.policy or f"assume-{keeper.role}"
    policies: list[ManagedPolicy] = []
    for number, targets in enumerate(_chunks([_role_arn(entry, partition) for entry in people.switch_roles]), start=1):
        suffix = f"-{number}" if number > 1 else ""
        policies.append(
            ManagedPolicy(
                iam_arn(
                    partition,
                    keeper.home.account_id,
                    "policy",
                    "/",
                    name[: quotas.POLICY_NAME_CHARACTERS - len(suffix)] + suffix,
                ),
                _assume(targets),
                description=f"Lets members switch to {_role_arn(keeper, partition)}",
                tags=keeper.tags,
            )
        )
    return policies


def _chunks(targets: list[str]) -> list[list[str]]:
    """Split the ARNs, in order, into as few policies as the size quota allows. Each ARN is counted with a comma."""
    chunks: list[list[str]] = []
    size = quotas.MANAGED_POLICY_CHARACTERS
    for target in targets:
        added = len(json.dumps(target)) + len(",")
        if size + added > quotas.MANAGED_POLICY_CHARACTERS:
            chunks.append([])
            size = _assume(["", ""]).size
        chunks[-1].append(target)
        size += added
    return chunks


def _assume(targets: list[str]) -> PolicyDocument:
    return PolicyDocument((Statement("Allow", ("sts:AssumeRole",), tuple(targets), sid="SwitchRole"),))


def self_service(partition: str, account_id: str, paths: list[str]) -> PolicyDocument:
    """The policy with which users change their own password and register their own MFA device, before they have MFA.

    Source: AWS documentation, "AWS: Allows MFA-authenticated IAM users to manage their own MFA device on the Security
    credentials page", November 2026. Removing a device requires MFA, so a stolen password is not enough.
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
