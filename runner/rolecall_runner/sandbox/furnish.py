"""A sandbox furnished from a manifest: its accounts, its modules as they are written, and who can act in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checking import ModuleAccess, module_access
from rolecall_generator.iam.access import union
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.module import ModuleKind
from rolecall_generator.lock import LOCK_NAME
from rolecall_generator.manifest.models import Manifest
from rolecall_runner.sandbox.errors import SandboxError
from rolecall_runner.sandbox.home import Actor
from rolecall_runner.sandbox.iam_limits import Limits
from rolecall_runner.sandbox.operator import Operator
from rolecall_runner.sandbox.placeholder_policies import note_on, placeholder_policies
from rolecall_runner.sandbox.principals import bare_principals
from rolecall_runner.sandbox.provision import Provisioned, by_account, provision
from rolecall_runner.sandbox.server import Sandbox


@dataclass(frozen=True, slots=True)
class Scenery:
    """What a sandbox is to be furnished with; `how` says in a sentence where its accounts' IAM comes from."""

    found: ModuleAccess
    how: str

    @property
    def limits(self) -> Limits:
        """The quotas that the manifest says AWS has raised."""
        return limits_of(self.found.loaded.manifest)


@dataclass(frozen=True, slots=True)
class Furnished:
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


def read_scenery(manifest: Path, out: Path) -> Scenery:
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
            mend="see gen check for all of them, or run gen terraform",
        )
    how = f"as planned from {manifest}" if planned else f"as written in {out}"
    return Scenery(found, how + note_on(tuple(placeholder_policies(found.accesses).policies)))


def furnish(
    sandbox: Sandbox,
    scenery: Scenery,
    *,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Furnished:
    """Make the accounts. `started` hears how many there are, `progress` how many are done.

    Raises SandboxError where an account cannot be made as it is written.
    """
    found = scenery.found
    made_before = (bare_principals(found.accesses), placeholder_policies(found.accesses))
    accesses = by_account(union([*found.accesses, *made_before]))
    started(len(accesses))
    done: set[str] = set()

    def count(account_id: str) -> None:
        done.add(account_id)
        progress(len(done))

    operator = Operator(sandbox.url, partition=found.loaded.manifest.partition)
    provisioned = provision(accesses, operator=operator, progress=count)
    if failed := provisioned.failed:
        raise SandboxError(
            f"{len(failed)} accounts cannot be made as they are written; first: {failed[0].problems[0]}",
            where=f"account {failed[0].account_id}",
            mend="gen check says what AWS would refuse",
        )
    actors = actors_of(found)
    _register_devices(operator, actors)
    return Furnished(tuple(accesses), actors, provisioned)


def _register_devices(operator: Operator, actors: Iterable[Actor]) -> None:
    """Give every person an MFA device, as people register one at their first sign-in: no module can do that for them."""
    for actor in actors:
        parsed = parse_arn(actor.arn)
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
