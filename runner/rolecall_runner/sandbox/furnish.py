"""A sandbox furnished from a manifest: its accounts, its modules as they are written, and who can act in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rolecall_generator.checking import ModuleAccess, module_access
from rolecall_generator.iam.access import union
from rolecall_generator.iam.module import Module, ModuleKind
from rolecall_generator.lock import LOCK_NAME
from rolecall_runner.rehearse.principals import bare_principals
from rolecall_runner.sandbox.backends import SandboxError
from rolecall_runner.sandbox.operator import Operator
from rolecall_runner.sandbox.provision import Provisioned, by_account, provision
from rolecall_runner.sandbox.server import Sandbox


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who can act in the sandbox: a backend role by its name, a person by the user's name."""

    name: str
    arn: str
    kind: str


@dataclass(frozen=True, slots=True)
class Furnished:
    """What stands in the sandbox. `how` says in a sentence where its accounts' IAM comes from."""

    accounts: tuple[str, ...]
    actors: tuple[Actor, ...]
    provisioned: Provisioned
    how: str


def furnish(
    sandbox: Sandbox,
    manifest: Path,
    out: Path,
    *,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Furnished:
    """Make the accounts of a manifest: its modules as they are written in `out`, or as planned where nothing is written.

    `started` hears how many accounts there are, `progress` how many are done. Raises ManifestError, PlanError,
    OutputError; SandboxError where an account could not be made as it is written.
    """
    planned = not (out / LOCK_NAME).exists()
    found = module_access(manifest, out, planned=planned)
    if unread := [finding for finding in found.findings if finding.rule.startswith("RC9")]:
        first = unread[0]
        raise SandboxError(
            f"the written modules cannot be read as a whole: {first.rule} {first.message}",
            where=f"{first.file}:{first.line}" if first.file else str(out),
            mend="see gen check for all of them, or run gen terraform",
        )
    accesses = by_account(union([*found.accesses, bare_principals(found.accesses)]))
    started(len(accesses))
    done: list[str] = []

    def count(account_id: str) -> None:
        done.append(account_id)
        progress(min(len(set(done)), len(accesses)))

    operator = Operator(sandbox.url, partition=found.loaded.manifest.partition)
    provisioned = provision(accesses, operator=operator, progress=count)
    how = f"as planned from {manifest}" if planned else f"as written in {out}"
    return Furnished(tuple(accesses), actors_of(found), provisioned, how)


def actors_of(found: ModuleAccess) -> tuple[Actor, ...]:
    """The backend roles, then the people of all switch roles, each once."""
    actors: dict[str, Actor] = {}
    for module in found.modules:
        if module.kind is ModuleKind.BACKEND:
            actors.update({arn: Actor(arn.rpartition("/")[2], arn, "role") for arn in module.access.roles})
    for module in found.modules:
        if module.kind is ModuleKind.TRUSTING:
            actors.update({arn: Actor(arn.rpartition("/")[2], arn, "user") for arn in _users(module)})
    return tuple(actors.values())


def _users(module: Module) -> tuple[str, ...]:
    return cast("tuple[str, ...]", module.facts["users"])


def environment_of(sandbox: Sandbox, actor: Actor, *, mfa: bool = True) -> dict[str, str]:
    """The variables under which AWS's tools act as the actor in the sandbox; those of roles renew by themselves.

    They hold credentials, good for this sandbox alone. A person has signed in with MFA unless `mfa` is false.
    """
    common = {
        "AWS_ENDPOINT_URL": sandbox.url,
        "AWS_REGION": sandbox.region,
        "AWS_DEFAULT_REGION": sandbox.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return {**common, **_credentials(sandbox, actor, mfa=mfa)}


def _credentials(sandbox: Sandbox, actor: Actor, *, mfa: bool) -> Mapping[str, str]:
    if actor.kind == "role":
        return sandbox.container_environment(actor.arn)
    session = sandbox.user_credentials(actor.arn, mfa=mfa)
    return {
        "AWS_ACCESS_KEY_ID": session.access_key,
        "AWS_SECRET_ACCESS_KEY": session.secret,
        "AWS_SESSION_TOKEN": session.session_token or "",
    }
