"""What each role's own modules grant. Loads nothing of AWS.

What the roll call of one target is given: who calls, with what, and what was agreed with every customer.

What the roll call of a manifest is given, made in each process that takes part: who calls, and what was agreed.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from rolecall_generator.check import ModuleAccess, module_access
from rolecall_generator.iam import Access, Module, ModuleKind
from rolecall_generator.manifest import Manifest
from rolecall_generator.output import LOCK_NAME
from rolecall_runner.aws import (
    Assumer,
    AwsConfig,
    Clients,
    ClientSettings,
    Clock,
    Sessions,
    SigningCredentials,
    find_caller,
    utc_now,
)
from rolecall_runner.inventory import Target, TargetKind, inventory_of
from rolecall_runner.sandbox import AdminClient
from rolecall_runner.verify.verify_spec import VerifySpec


def access_by_role(found: ModuleAccess) -> dict[str, Access]:
    """What each role's own modules grant: a customer's module, or both sides of a switch role. Equal parts are shared.

    The people of a switch role are in another one's module where several share a group.
    """
    by_path = {module.path: access for module, access in zip(found.modules, found.accesses, strict=True)}
    by_subject: dict[tuple[bool, str], list[Access]] = {}
    for module, access in zip(found.modules, found.accesses, strict=True):
        if module.kind is not ModuleKind.BACKEND:
            by_subject.setdefault((module.kind is ModuleKind.CUSTOMER, module.subject), []).append(access)
    by_role: dict[str, Access] = {}
    for module in found.modules:
        if module.kind is not ModuleKind.BACKEND:
            parts = [*by_subject[module.kind is ModuleKind.CUSTOMER, module.subject], *_shared_people(module, by_path)]
            whole = parts[0] if len(parts) == 1 else Access.union(parts)
            by_role.update(dict.fromkeys(module.access.roles, whole))
    return by_role


def _shared_people(module: Module, by_path: Mapping[str, Access]) -> Iterator[Access]:
    """Group, users and the group's policies, where they are in another switch role's module."""
    if module.switch_role is None or module.switch_role.keeper == module.subject:
        return
    access = by_path.get(module.switch_role.people_path)
    if access is not None:
        attached = {arn for group in access.groups.values() for arn in group.attached}
        policies = {arn: policy for arn, policy in access.policies.items() if arn in attached}
        yield Access(policies=policies, groups=access.groups, users=access.users)


class CallMemo:
    """What is asked once for all targets of a run: does another customer's role let us in? Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, ...], bool] = {}

    def once(self, key: tuple[str, ...], ask: Callable[[], bool | None]) -> bool | None:
        """The answer kept under the key, else that of `ask`; None (not known this time) is not kept."""
        with self._lock:
            known = self._answers.get(key)
        if known is not None:
            return known
        answer = ask()  # outside the lock: it takes a call to AWS; two threads may ask the same at once, which harms nobody
        if answer is not None:
            with self._lock:
                self._answers.setdefault(key, answer)
        return answer

    def __reduce__(self) -> tuple[type[CallMemo], tuple[()]]:
        return CallMemo, ()  # another process begins with an empty one


@dataclass(frozen=True, slots=True)
class Earlier:
    """A module that was verified or handed over before the newest one, as a snapshot (see `snapshot`).

    `gone`: a roll call has shown since that the customer does not have it any more; what it granted is probed all the same.
    """

    access: Access
    gone: bool = False


Key = tuple[str, str]
"""Kind and name of a target."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of targets from before, by kind and name: earlier modules, and how each customer applies them."""

    earlier: Mapping[Key, tuple[Earlier, ...]] = field(default_factory=dict)
    forms: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifyContext:
    """All that `verify` needs next to the target. Shared by all threads of a process.

    `clock` is the time of day, `ticks` seconds that only grow; `sleep` takes seconds; `random` draws evenly from 0 to 1.
    `external_ids`: the current external id of every customer, by customer's name.
    `intended`: the agreed Access by role ARN: for a customer its own module's, for a switch role both accounts'.
    `written`: the same as parsed from the modules in output/; empty where none are written.
    `backend`: Access of the backend module as written, else as planned; None: not known.
    `backend_roles`: the roles that carry the manifest's customers, by ARN: the caller may be one of several.
    `witnesses`: a few customers whose roles are assumed to tell our own side's trouble from one customer's.
    `without_external_id`: customers of whom the manifest suppresses RC103, by name, with its reason.
    `readers`: credentials that may read IAM on the sides of switch roles, by account id.
    `history`: earlier modules of the targets, and how their customers apply them.
    `second_caller`: another principal of the backend's account, no backend role of these customers; None: there is none.
    """

    assumer: Assumer
    sessions: Sessions
    clients: Clients
    clock: Clock = utc_now
    ticks: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    random: Callable[[], float] = random.random
    external_ids: Mapping[str, str] = field(default_factory=dict)
    intended: Mapping[str, Access] = field(default_factory=dict)
    written: Mapping[str, Access] = field(default_factory=dict)
    backend: Access | None = None
    witnesses: Sequence[Target] = ()
    backend_roles: frozenset[str] = frozenset()
    without_external_id: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, SigningCredentials] = field(default_factory=dict, repr=False)
    second_caller: Assumer | None = None
    history: History = field(default_factory=History)
    options: VerifySpec = field(default_factory=VerifySpec)
    memory: CallMemo = field(default_factory=CallMemo)

    @property
    def rehearsal(self) -> bool:
        """Whether a sandbox answers instead of AWS."""
        return self.assumer.caller.rehearsal or self.clients.rehearsal

    def earlier(self, target: Target) -> tuple[Earlier, ...]:
        """The target's earlier modules."""
        return self.history.earlier.get((str(target.kind), target.name), ())

    @staticmethod
    def drawn(target: Target, *what: str) -> int:
        """A number for samples of one target: the same in every run, so that a later run sees what an earlier one saw."""
        text = "\0".join((str(target.kind), target.role_arn, *what))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def another_external_id(self, target: Target) -> str | None:
        """One other customer's external id, the same in every run of a manifest; None where no other customer has one.

        Never the target's own or previous one, which it accepts by right.
        """
        names = tuple(self.external_ids)
        own = {target.external_id, target.previous_external_id}
        start = self.drawn(target, "another external id") if names else 0
        for step in range(len(names)):
            found = self.external_ids[names[(start + step) % len(names)]]
            if found not in own:
                return found
        return None


_WITNESSES = 3
NO_EXTERNAL_ID_RULE = "RC103"
"""The rule whose suppression says that a customer's role is meant to be assumable without an external id."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """From where a verify run starts. Picklable and without secrets: each process finds the caller's credentials itself.

    `readers`: account ids with the AWS CLI profiles that may read IAM there, for the sides of switch roles; in a sandbox of
    the command's own (`sandbox`) its operator reads them. `history`: what the status file knows of the targets.
    """

    manifest: Path
    out: Path
    run_id: str = ""
    aws: AwsConfig = field(default_factory=AwsConfig)
    options: VerifySpec = field(default_factory=VerifySpec)
    readers: tuple[tuple[str, str], ...] = ()
    sandbox: bool = False
    history: History = field(default_factory=History)


def make_clients(config: AwsConfig) -> Clients:
    """The shared clients of a run in this process."""
    return Clients(ClientSettings(endpoint_url=config.endpoint_url, connections=config.workers))


def make_context(config: RunConfig) -> VerifyContext:
    """Find the caller and read what was agreed. Raises CallerError, ManifestError, PlanError, OutputError."""
    clients = make_clients(config.aws)
    caller = find_caller(clients, profile=config.aws.profile, region=config.aws.region)
    assumer = Assumer(clients, caller, config.run_id)
    found = module_access(config.manifest, config.out, planned=True)
    manifest = found.loaded.manifest
    targets = inventory_of(manifest, found.plan.assignment.slots).targets
    customers = [target for target in targets if target.kind is TargetKind.CUSTOMER]
    written = module_access(config.manifest, config.out) if (config.out / LOCK_NAME).exists() else None
    return VerifyContext(
        assumer=assumer,
        sessions=Sessions(assumer),
        clients=clients,
        clock=utc_now,
        random=random.random,
        external_ids={target.name: target.external_id for target in customers if target.external_id is not None},
        intended=access_by_role(found),
        written=access_by_role(written) if written is not None else {},
        backend=backend_of(written or found),
        witnesses=_witnesses(customers, caller.arn),
        backend_roles=frozenset(target.backend_role_arn for target in customers),
        without_external_id=suppressed(manifest, customers),
        readers=_readers(config, clients, manifest),
        history=config.history,
        options=config.options,
    )


def _readers(config: RunConfig, clients: Clients, manifest: Manifest) -> dict[str, SigningCredentials]:
    """Who may read IAM on the sides of switch roles, by account id. Raises CallerError for a profile that is no good."""
    if config.sandbox and config.aws.endpoint_url is not None:
        operator = AdminClient(config.aws.endpoint_url, partition=manifest.partition)
        sides = {side.account_id for entry in manifest.switch_roles for side in (entry.trusting, entry.trusted)}
        return {account_id: operator.session(account_id) for account_id in sides}
    return {
        account_id: find_caller(clients, profile=profile, region=config.aws.region).credentials
        for account_id, profile in config.readers
    }


def backend_of(found: ModuleAccess) -> Access | None:
    """What the backend's module grants; None in a manifest without one."""
    return next(
        (access for module, access in zip(found.modules, found.accesses, strict=True) if module.kind is ModuleKind.BACKEND),
        None,
    )


def suppressed(manifest: Manifest, customers: Iterable[Target]) -> dict[str, str]:
    """Customers whose role is meant to be assumable without an external id, by name, with the manifest's reason."""
    entries = [entry for entry in manifest.suppress if entry.rule == NO_EXTERNAL_ID_RULE]
    return {
        target.name: entry.reason
        for entry in reversed(entries)
        for target in customers
        if fnmatchcase(target.name, entry.subject)
    }


def _witnesses(customers: Iterable[Target], caller_arn: str) -> tuple[Target, ...]:
    """A few customers whose trust names the caller's role, spread over the manifest."""
    name = caller_arn.split("/")[1] if ":assumed-role/" in caller_arn else caller_arn.rpartition("/")[2]
    known = [target for target in customers if target.backend_role_arn.rpartition("/")[2] == name]
    step = max(1, len(known) // _WITNESSES)
    return tuple(known[::step][:_WITNESSES])
