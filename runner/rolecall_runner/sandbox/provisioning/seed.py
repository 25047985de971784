"""Seeds a sandbox from a manifest: its modules, placeholders for what they do not create, and the actors.

`in_process_sandbox` starts such a sandbox in this process for the duration of a command; run as a program, this module is
the process of `runner sandbox up`: it publishes the address of the sandbox and waits for its end.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from rolecall_generator.check import ManifestAccess, read_access
from rolecall_generator.errors import RolecallError, SelectionError
from rolecall_generator.iam import (
    PARTITIONS,
    Access,
    Arn,
    Group,
    ManagedPolicy,
    ModuleKind,
    PolicyDocument,
    Role,
    Statement,
    User,
)
from rolecall_generator.manifest import Manifest
from rolecall_generator.output import LOCK_NAME
from rolecall_generator.text import sanitize_line
from rolecall_runner.sandbox.iam.iam_writes import Limits
from rolecall_runner.sandbox.protocol.aws_protocol import SandboxError
from rolecall_runner.sandbox.protocol.faults import parse_faults
from rolecall_runner.sandbox.provisioning.provision import AdminClient, Provisioned, provision, split_by_account
from rolecall_runner.sandbox.server.server import DEFAULT_LIMITS, Sandbox
from rolecall_runner.sandbox.server.state_dir import (
    OPERATOR,
    Actor,
    RunningSandbox,
    SandboxRequest,
    StateDir,
    open_log,
    read_record,
    write_record,
)

PLACEHOLDER_TAG = "rolecall-placeholder"
_DESCRIPTION = "Placeholder of the rolecall sandbox: the content of the real policy is not known"
_ALLOW_ALL = PolicyDocument((Statement("Allow", ("*",), ("*",), sid="PlaceholderBoundary"),))
_NOTHING = PolicyDocument((Statement("Allow", ("sts:GetCallerIdentity",), ("*",), sid="PlaceholderPolicy"),))


def placeholder_policies(accesses: Iterable[Access]) -> Access:
    """Placeholders for customer managed policies that are attached or used as boundary, but created by no module.

    IAM refuses roles that name missing policies, and the content of these is not known. A placeholder boundary allows
    everything, so that the role's own policies decide; an attached placeholder allows only sts:GetCallerIdentity, which
    needs no permission. The effect of the real policies is not rehearsed, which `placeholder_note` reports.
    """
    whole = Access.union(accesses)
    boundaries = {one.boundary for kind in (whole.roles, whole.users) for one in kind.values() if one.boundary}
    attached = {arn for kind in (whole.roles, whole.groups, whole.users) for one in kind.values() for arn in one.attached}
    missing = sorted(arn for arn in (boundaries | attached) - whole.policies.keys() if _is_customer_managed(arn))
    return Access.of(
        *(
            ManagedPolicy(arn, _ALLOW_ALL if arn in boundaries else _NOTHING, _DESCRIPTION, tags={PLACEHOLDER_TAG: "true"})
            for arn in missing
        )
    )


def _is_customer_managed(arn: str) -> bool:
    parsed = Arn.parse(arn)
    return parsed is not None and parsed.account_id.isdigit()


def placeholder_note(placeholders: Sequence[str]) -> str:
    """A note on placeholder policies to append to a sentence; empty without placeholders."""
    if not placeholders:
        return ""
    first, more = placeholders[0], len(placeholders) - 1
    which = first + (f" and {more:,} more" if more else "")
    return f"; the content of {which} is not known, so placeholders are used and its effect is not rehearsed"


@dataclass(frozen=True, slots=True)
class SandboxSeed:
    """The modules to seed a sandbox with; `origin` is a phrase with their source."""

    found: ManifestAccess
    origin: str

    @property
    def limits(self) -> Limits:
        """The quotas of the manifest."""
        return iam_limits(self.found.loaded.manifest)


@dataclass(frozen=True, slots=True)
class SandboxContents:
    """The accounts and actors of a seeded sandbox, and the result of provisioning."""

    accounts: tuple[str, ...]
    actors: tuple[Actor, ...]
    provisioned: Provisioned


def iam_limits(manifest: Manifest) -> Limits:
    """The quotas of a manifest as limits of the sandbox."""
    return Limits(
        trust_policy_characters=manifest.quotas.trust_policy_characters,
        role_managed_policies=manifest.quotas.role_managed_policies,
    )


def read_seed(manifest: Path, out: Path) -> SandboxSeed:
    """The modules of a manifest as generated in `out`, or as planned when nothing was generated.

    Raises ManifestError, PlanError, OutputError; SandboxError when a generated module cannot be parsed completely.
    """
    planned = not (out / LOCK_NAME).exists()
    found = read_access(manifest, out, planned=planned)
    if unread := [finding for finding in found.findings if finding.rule.startswith("RC90") and finding.rule != "RC909"]:
        first = unread[0]
        raise SandboxError(
            f"the generated modules cannot be parsed completely: {first.rule} {first.message}",
            where=f"{first.file}:{first.line or 1}" if first.file else str(out),
            hint="list all findings with gen check, or run gen terraform",
        )
    how = f"as planned from {manifest}" if planned else f"as generated in {out}"
    return SandboxSeed(found, how + placeholder_note(tuple(placeholder_policies(found.accesses).policies)))


def seed(
    sandbox: Sandbox,
    sandbox_seed: SandboxSeed,
    *,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> SandboxContents:
    """Provision the accounts. `started` is called with their number, `progress` with the number of finished ones.

    Raises SandboxError when IAM refuses part of an account.
    """
    found = sandbox_seed.found
    prerequisites = (placeholder_principals(found.accesses), placeholder_policies(found.accesses))
    accesses = split_by_account(Access.union([*found.accesses, *prerequisites]))
    started(len(accesses))
    done: set[str] = set()

    def count(account_id: str) -> None:
        done.add(account_id)
        progress(len(done))

    operator = AdminClient(sandbox.url, partition=found.loaded.manifest.partition)
    provisioned = provision(accesses, operator=operator, progress=count)
    if failed := provisioned.failed:
        raise SandboxError(
            f"{len(failed)} accounts could not be provisioned; first: {failed[0].problems[0]}",
            where=f"account {failed[0].account_id}",
            hint="gen check reports what AWS would refuse",
        )
    actors = actors_of(found)
    _register_devices(operator, actors)
    return SandboxContents(tuple(accesses), actors, provisioned)


def _register_devices(operator: AdminClient, actors: Iterable[Actor]) -> None:
    """Register an MFA device for every user without one, as users do at their first sign-in: Terraform cannot."""
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


def actors_of(found: ManifestAccess) -> tuple[Actor, ...]:
    """The backend roles, then the users of all switch roles, without duplicates."""
    actors: dict[str, Actor] = {}
    for module in found.modules:
        if module.kind is ModuleKind.BACKEND:
            actors.update({arn: Actor(arn.rpartition("/")[2], arn, "role") for arn in module.access.roles})
    for module in found.modules:
        if module.switch_role is not None:
            actors.update({arn: Actor(arn.rpartition("/")[2], arn, "user") for arn in module.switch_role.users})
    return tuple(actors.values())


def actor_environment(sandbox: Sandbox, actor: Actor, *, mfa: bool = True) -> dict[str, str]:
    """Environment variables for AWS tools to act as the actor in the sandbox.

    They contain credentials for this sandbox; those of roles are renewed automatically. `mfa`: whether a user has signed in
    with MFA.
    """
    if actor.kind == "role":
        return {**_common(sandbox), **sandbox.container_environment(actor.arn)}
    session = sandbox.user_credentials(actor.arn, mfa=mfa)
    return {
        **_common(sandbox),
        "AWS_ACCESS_KEY_ID": session.access_key,
        "AWS_SECRET_ACCESS_KEY": session.secret,
        "AWS_SESSION_TOKEN": session.session_token or "",
    }


def operator_environment(sandbox: Sandbox) -> dict[str, str]:
    """Environment variables for AWS tools to act as the operator, who may assume the administrator role of any account."""
    key = sandbox.operator_credentials()
    return {**_common(sandbox), "AWS_ACCESS_KEY_ID": key.access_key, "AWS_SECRET_ACCESS_KEY": key.secret}


def _common(sandbox: Sandbox) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": sandbox.url,
        "AWS_REGION": sandbox.region,
        "AWS_DEFAULT_REGION": sandbox.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def placeholder_principals(accesses: Iterable[Access]) -> Access:
    """Empty principals for those that the modules look up, or name in a trust policy, without creating them.

    IAM refuses trust policies with missing principals. Backend roles declared as existing are among them.
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


@dataclass(frozen=True, slots=True)
class InProcessSandbox:
    """A running sandbox: the selected backend role, all actors, and a phrase with the source of its accounts."""

    sandbox: Sandbox = field(repr=False)
    backend: Actor
    actors: tuple[Actor, ...]
    origin: str


@contextmanager
def in_process_sandbox(
    manifest: Path,
    out: Path,
    *,
    acting: str | None = None,
    faults: str = "",
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Iterator[InProcessSandbox]:
    """Run a sandbox with the accounts of a manifest. `acting` selects the backend role by name, by default the first.

    `faults` is a fault plan. Raises SelectionError without such a role, and the errors of `read_seed`, `seed` and
    `parse_faults`.
    """
    plan = parse_faults(faults) if faults else None
    sandbox_seed = read_seed(manifest, out)
    region = PARTITIONS[sandbox_seed.found.loaded.manifest.partition].default_region
    with Sandbox(region=region, faults=plan, limits=sandbox_seed.limits) as sandbox:
        seeded = seed(sandbox, sandbox_seed, started=started, progress=progress)
        roles = [actor for actor in seeded.actors if actor.kind == "role"]
        chosen = [actor for actor in roles if acting in (None, actor.name)]
        if not chosen:
            names = ", ".join(actor.name for actor in roles)
            raise SelectionError(
                f"no backend role is named {acting}" if acting else "the manifest has no backend role",
                where=str(manifest),
                hint=f"use one of {names}" if names else "add customers and a backend to the manifest",
            )
        yield InProcessSandbox(sandbox, chosen[0], seeded.actors, sandbox_seed.origin)


_POLL_SECONDS = 0.5


class _EndedError(Exception):
    """Stopped before all accounts were provisioned."""


def serve(home: StateDir, ended: threading.Event) -> None:
    """Run the sandbox until `ended` is set or its record disappears; with `keep_state`, restore and save its accounts."""
    wanted = SandboxRequest(**read_record(home.request))
    faults = parse_faults(wanted.faults) if wanted.faults else None
    sandbox_seed = read_seed(Path(wanted.manifest), Path(wanted.out)) if wanted.manifest else None
    limits = sandbox_seed.limits if sandbox_seed else DEFAULT_LIMITS
    region = (
        wanted.region or PARTITIONS[sandbox_seed.found.loaded.manifest.partition if sandbox_seed else "aws"].default_region
    )
    with (
        io.TextIOWrapper(open_log(home), "utf-8", line_buffering=True) as log,
        Sandbox(
            port=wanted.port, region=region, faults=faults, limits=limits, log=partial(_write_line, log, threading.Lock())
        ) as sandbox,
    ):
        if wanted.keep_state and home.state.exists():
            sandbox.restore(home.state)
        found = seed(sandbox, sandbox_seed, **_progress(home, ended)) if sandbox_seed else None
        actors = found.actors if found else ()
        variables = {actor.name: actor_environment(sandbox, actor) for actor in actors}
        write_record(home.environments, variables | {OPERATOR: operator_environment(sandbox)} | variables)
        running = RunningSandbox(
            os.getpid(),
            sandbox.url,
            sandbox.region,
            datetime.now(UTC).isoformat(timespec="seconds"),
            sandbox_seed.origin if sandbox_seed else "empty",
            found.accounts if found else tuple(sorted(sandbox.accounts)),
            actors,
        )
        write_record(home.record, asdict(running))
        own = home.record.read_bytes()
        # Also stop when the record was replaced or removed: nothing could find this sandbox to stop it.
        while not ended.wait(_POLL_SECONDS) and _unchanged(home.record, own):
            pass
        if wanted.keep_state and home.folder.exists():
            sandbox.save(home.state)
    home.environments.unlink(missing_ok=True)
    home.record.unlink(missing_ok=True)


def _write_line(log: IO[str], lock: threading.Lock, line: str) -> None:
    """Write one line with the time in UTC; names in it come from callers and may contain line breaks."""
    with lock:  # so that times ascend
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log.write(f"{now} {sanitize_line(line)}\n")


def _unchanged(record: Path, own: bytes) -> bool:
    try:
        return record.read_bytes() == own
    except OSError:
        return False


def _progress(home: StateDir, ended: threading.Event) -> dict[str, Callable[[int], None]]:
    """Callbacks of `seed` that write the progress file, which `start` reads."""
    total = [0]

    def started(number: int) -> None:
        total[0] = number

    def progress(done: int) -> None:
        if ended.is_set():
            raise _EndedError
        write_record(home.progress, [done, total[0]])

    return {"started": started, "progress": progress}


def main(folder: str) -> int:
    """Run a sandbox for a state directory; an error goes to its failure file. Returns the exit code."""
    home = StateDir(Path(folder))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        serve(home, ended)
    except _EndedError:
        return 0
    except RolecallError as error:
        write_record(home.failure, {"text": str(error), "exit_code": int(error.exit_code)})
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
