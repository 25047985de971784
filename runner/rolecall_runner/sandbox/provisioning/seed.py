"""Managed policies that a manifest names and no module makes: in the sandbox a placeholder stands for each.

A customer's own policy is in the customer's account, and its content is not known here. Without it IAM would refuse every
role that names it. A placeholder boundary allows everything, so that the role's own policies decide; a placeholder that is
attached allows only what needs no permission at all. What the real policy limits or allows is not rehearsed: outputs say so.

A sandbox seeded from a manifest: its accounts, its modules as they are written, and who can act in it.

Who must stand in the accounts before anything that names them can be made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.check import ModuleAccess, module_access
from rolecall_generator.iam import Access, Arn, Group, ManagedPolicy, ModuleKind, PolicyDocument, Role, Statement, User
from rolecall_generator.manifest import Manifest
from rolecall_generator.output import LOCK_NAME
from rolecall_runner.sandbox.iam.iam_validation import Limits
from rolecall_runner.sandbox.protocol.error_catalog import SandboxError
from rolecall_runner.sandbox.provisioning.admin_client import AdminClient
from rolecall_runner.sandbox.provisioning.provision import Provisioned, by_account, provision
from rolecall_runner.sandbox.server.server import Sandbox
from rolecall_runner.sandbox.server.state_dir import Actor

PLACEHOLDER_TAG = "rolecall-placeholder"
_DESCRIPTION = "Placeholder of the rolecall sandbox: what the real policy says is not known"
_NO_LIMIT = PolicyDocument((Statement("Allow", ("*",), ("*",), sid="PlaceholderBoundary"),))
_NOTHING = PolicyDocument((Statement("Allow", ("sts:GetCallerIdentity",), ("*",), sid="PlaceholderPolicy"),))


def placeholder_policies(accesses: Iterable[Access]) -> Access:
    """A placeholder for every policy of an account that is attached or a boundary and that no module makes."""
    whole = Access.union(accesses)
    boundaries = {one.boundary for kind in (whole.roles, whole.users) for one in kind.values() if one.boundary}
    attached = {arn for kind in (whole.roles, whole.groups, whole.users) for one in kind.values() for arn in one.attached}
    missing = sorted(arn for arn in (boundaries | attached) - whole.policies.keys() if _is_an_accounts_own(arn))
    return Access.of(
        *(
            ManagedPolicy(arn, _NO_LIMIT if arn in boundaries else _NOTHING, _DESCRIPTION, tags={PLACEHOLDER_TAG: "true"})
            for arn in missing
        )
    )


def _is_an_accounts_own(arn: str) -> bool:
    parsed = Arn.parse(arn)
    return parsed is not None and parsed.account_id.isdigit()


def note_on(placeholders: Sequence[str]) -> str:
    """A sentence's end that says what is not rehearsed, by the ARNs; empty when there are none."""
    if not placeholders:
        return ""
    first, more = placeholders[0], len(placeholders) - 1
    which = first + (f" and {more:,} more" if more else "")
    return f"; the content of {which} is not known, so placeholders stand in and what it allows or limits is not rehearsed"


@dataclass(frozen=True, slots=True)
class SandboxSeed:
    """What a sandbox is to be seeded with; `how` says in a sentence where its accounts' IAM comes from."""

    found: ModuleAccess
    how: str

    @property
    def limits(self) -> Limits:
        """The quotas that the manifest says AWS has raised."""
        return limits_of(self.found.loaded.manifest)


@dataclass(frozen=True, slots=True)
class SandboxContents:
    """What stands in the sandbox."""

    accounts: tuple[str, ...]
    actors: tuple[Actor, ...]
    provisioned: Provisioned


def limits_of(manifest: Manifest) -> Limits:
    """The quotas of a manifest as the sandbox holds them."""
    return Limits(
        trust_policy_characters=manifest.quotas.trust_policy_characters,
        role_managed_policies=manifest.quotas.role_managed_policies,
    )


def read_scenery(manifest: Path, out: Path) -> SandboxSeed:
    """The modules of a manifest as they are written in `out`, or as planned where nothing is written.

    Raises ManifestError, PlanError, OutputError; SandboxError where the written modules cannot be read as a whole.
    """
    planned = not (out / LOCK_NAME).exists()
    found = module_access(manifest, out, planned=planned)
    if unread := [finding for finding in found.findings if finding.rule.startswith("RC90") and finding.rule != "RC909"]:
        first = unread[0]
        raise SandboxError(
            f"the written modules cannot be read as a whole: {first.rule} {first.message}",
            where=f"{first.file}:{first.line or 1}" if first.file else str(out),
            hint="see gen check for all of them, or run gen terraform",
        )
    how = f"as planned from {manifest}" if planned else f"as written in {out}"
    return SandboxSeed(found, how + note_on(tuple(placeholder_policies(found.accesses).policies)))


def seed(
    sandbox: Sandbox,
    sandbox_seed: SandboxSeed,
    *,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> SandboxContents:
    """Make the accounts. `started` hears how many there are, `progress` how many are done.

    Raises SandboxError where an account cannot be made as it is written.
    """
    found = sandbox_seed.found
    made_before = (bare_principals(found.accesses), placeholder_policies(found.accesses))
    accesses = by_account(Access.union([*found.accesses, *made_before]))
    started(len(accesses))
    done: set[str] = set()

    def count(account_id: str) -> None:
        done.add(account_id)
        progress(len(done))

    operator = AdminClient(sandbox.url, partition=found.loaded.manifest.partition)
    provisioned = provision(accesses, operator=operator, progress=count)
    if failed := provisioned.failed:
        raise SandboxError(
            f"{len(failed)} accounts cannot be made as they are written; first: {failed[0].problems[0]}",
            where=f"account {failed[0].account_id}",
            hint="gen check says what AWS would refuse",
        )
    actors = actors_of(found)
    _register_devices(operator, actors)
    return SandboxContents(tuple(accesses), actors, provisioned)


def _register_devices(operator: AdminClient, actors: Iterable[Actor]) -> None:
    """Give every person an MFA device, as people register one at their first sign-in: no module can do that for them."""
    for actor in actors:
        parsed = Arn.parse(actor.arn)
        if actor.kind == "user" and parsed is not None:
            with operator.acting_in(parsed.account_id):
                iam = operator.client("iam")
                if not iam.list_mfa_devices(UserName=actor.name)["MFADevices"]:
                    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=actor.name)["VirtualMFADevice"][
                        "SerialNumber"
                    ]
                    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
                    iam.enable_mfa_device(UserName=actor.name, SerialNumber=serial, **codes)


def actors_of(found: ModuleAccess) -> tuple[Actor, ...]:
    """The backend roles, then the people of all switch roles, each once."""
    actors: dict[str, Actor] = {}
    for module in found.modules:
        if module.kind is ModuleKind.BACKEND:
            actors.update({arn: Actor(arn.rpartition("/")[2], arn, "role") for arn in module.access.roles})
    for module in found.modules:
        if module.switch_role is not None:
            actors.update({arn: Actor(arn.rpartition("/")[2], arn, "user") for arn in module.switch_role.users})
    return tuple(actors.values())


def environment_of(sandbox: Sandbox, actor: Actor, *, mfa: bool = True) -> dict[str, str]:
    """The variables under which AWS's tools act as the actor in the sandbox; those of roles renew by themselves.

    They hold credentials, good for this sandbox alone. A person has signed in with MFA unless `mfa` is false.
    """
    return {**_common(sandbox), **_credentials(sandbox, actor, mfa=mfa)}


def operator_environment(sandbox: Sandbox) -> dict[str, str]:
    """The variables under which AWS's tools act as the operator, who may assume the administrator's role of any account."""
    key = sandbox.operator_credentials()
    return {**_common(sandbox), "AWS_ACCESS_KEY_ID": key.access_key, "AWS_SECRET_ACCESS_KEY": key.secret}


def _common(sandbox: Sandbox) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": sandbox.url,
        "AWS_REGION": sandbox.region,
        "AWS_DEFAULT_REGION": sandbox.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _credentials(sandbox: Sandbox, actor: Actor, *, mfa: bool) -> Mapping[str, str]:
    if actor.kind == "role":
        return sandbox.container_environment(actor.arn)
    session = sandbox.user_credentials(actor.arn, mfa=mfa)
    return {
        "AWS_ACCESS_KEY_ID": session.access_key,
        "AWS_SECRET_ACCESS_KEY": session.secret,
        "AWS_SESSION_TOKEN": session.session_token or "",
    }


def bare_principals(accesses: Iterable[Access]) -> Access:
    """Principals that the modules only look up, and roles and users that a trust names and no module makes: all bare.

    A backend role that a manifest calls existing is one of them: IAM refuses a trust that names a missing principal.
    """
    whole = Access.union(accesses)
    existing: list[Role | Group | User] = [
        *(Role(role.arn, None, existing=True) for role in whole.roles.values() if role.existing),
        *(Group(group.arn, existing=True) for group in whole.groups.values() if group.existing),
        *(User(user.arn, existing=True) for user in whole.users.values() if user.existing),
    ]
    named = {
        principal.identifier
        for role in whole.roles.values()
        if role.trust is not None
        for statement in role.trust.statements
        for principal in statement.principals
        if principal.type == "AWS"
    }
    for arn in sorted(named - whole.roles.keys() - whole.users.keys()):
        parsed = Arn.parse(arn)
        if parsed is not None and parsed.kind == "role":
            existing.append(Role(arn, None, existing=True))
        elif parsed is not None and parsed.kind == "user":
            existing.append(User(arn, existing=True))
    return Access.of(*existing)
