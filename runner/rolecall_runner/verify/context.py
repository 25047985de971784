"""The specification of a verify run, and its context: caller, clients and agreed access, made once in each process."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from rolecall_generator.check import read_access
from rolecall_generator.iam import Access, ModuleKind
from rolecall_generator.manifest import Manifest
from rolecall_generator.output import LOCK_NAME
from rolecall_runner.aws import (
    Assumer,
    AwsConfig,
    CallerIdentity,
    Clients,
    ClientSettings,
    RetryPolicy,
    Sessions,
    SigningCredentials,
    find_caller,
    utc_now,
)
from rolecall_runner.inventory import Target, TargetKind, inventory_of
from rolecall_runner.sandbox import AdminClient
from rolecall_runner.verify.agreed_access import EarlierModule, ModuleHistory, access_by_role, same_access

Actions = Literal["none", "sample", "all"]


@dataclass(frozen=True, slots=True)
class VerifySpec:
    """What a verify run checks. Options of `runner verify`, keys of a play, and run records derive from it.

    `retry` is for one call that came out inconclusive; the engine may process the whole target again after that.
    """

    actions: Actions = field(default="sample", metadata={"description": "Granted read actions to try."})
    drift: bool = field(
        default=True,
        metadata={"description": "Compare the role with the modules, where it may read itself.", "strict": True},
    )
    all_regions: bool = field(default=False, metadata={"description": "Try actions in all Regions of the account."})
    actions_per_service: int = field(default=3, metadata={"description": "Sample size: granted actions per service."})
    outside_actions: int = field(default=5, metadata={"description": "Sample size: actions that were not granted."})
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=5, base_seconds=0.2, cap_seconds=5.0))

    @property
    def probe_actions(self) -> bool:
        """Whether granted actions are tried at all."""
        return self.actions != "none"

    @property
    def all_actions(self) -> bool:
        """Whether all granted actions are tried, not only a sample."""
        return self.actions == "all"


class CallMemo:
    """Results of calls that are made once for all targets of a run. Thread-safe; a pickled copy is empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, ...], bool] = {}

    def get(self, key: tuple[str, ...], call: Callable[[], bool | None]) -> bool | None:
        """The stored result of the key, else that of `call`, which is stored unless it is None (not known)."""
        with self._lock:
            known = self._answers.get(key)
        if known is not None:
            return known
        answer = call()  # not under the lock, since it calls AWS; two threads may make the same call
        if answer is not None:
            with self._lock:
                self._answers.setdefault(key, answer)
        return answer

    def __reduce__(self) -> tuple[type[CallMemo], tuple[()]]:
        return CallMemo, ()


@dataclass(frozen=True, slots=True)
class VerifyContext:
    """The input of `verify` besides the target. Shared by all threads of a process.

    `clock` returns the current time, `ticks` a monotonic time in seconds; `sleep` takes seconds; `random` returns a float
    from 0 to 1.
    `external_ids`: the current external ID of every customer, by name.
    `intended`: the agreed access by role ARN: of the customer's module, or of both accounts' modules of a switch role.
    `output_access`: the same as parsed from the modules in output/; empty without modules.
    `backend`: the access of the backend module as written, else as planned; None if not known.
    `backend_roles`: ARNs of the backend roles of the manifest's customers; the caller may be one of several.
    `references`: a few customers whose roles are assumed to distinguish problems of the vendor from those of one customer.
    `without_external_id`: reasons of customers for which the manifest suppresses RC103, by name.
    `readers`: credentials that may read IAM in the accounts of switch roles, by account ID.
    `second_caller`: a principal of the backend's account that is not a backend role of these customers, if there is one.
    """

    assumer: Assumer
    sessions: Sessions
    clients: Clients
    clock: Callable[[], datetime] = utc_now
    ticks: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    random: Callable[[], float] = random.random
    external_ids: Mapping[str, str] = field(default_factory=dict)
    intended: Mapping[str, Access] = field(default_factory=dict)
    output_access: Mapping[str, Access] = field(default_factory=dict)
    backend: Access | None = None
    references: Sequence[Target] = ()
    backend_roles: frozenset[str] = frozenset()
    without_external_id: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, SigningCredentials] = field(default_factory=dict, repr=False)
    second_caller: Assumer | None = None
    history: ModuleHistory = field(default_factory=ModuleHistory)
    options: VerifySpec = field(default_factory=VerifySpec)
    memory: CallMemo = field(default_factory=CallMemo)

    @property
    def rehearsal(self) -> bool:
        """Whether a sandbox is used instead of AWS."""
        return self.assumer.caller.rehearsal or self.clients.rehearsal

    def with_run_id(self, run_id: str) -> VerifyContext:
        """This context for another run: sessions are assumed again, under names with the ID, and no call is remembered."""
        assumer = replace(self.assumer, run_id=run_id)
        return replace(self, assumer=assumer, sessions=Sessions(assumer), memory=CallMemo())

    def earlier(self, target: Target) -> tuple[EarlierModule, ...]:
        """The target's earlier modules."""
        return self.history.earlier.get(target.key, ())

    def output_is_current(self, target: Target) -> bool:
        """Whether the target's written module grants the agreed access; True if either is not known."""
        found, wanted = self.output_access.get(target.role_arn), self.intended.get(target.role_arn)
        return found is None or wanted is None or found == wanted or same_access(found, wanted)

    @staticmethod
    def drawn(target: Target, *what: str) -> int:
        """A number for samples of one target; the same in every run, so that runs are comparable."""
        text = "\0".join((str(target.kind), target.role_arn, *what))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def another_external_id(self, target: Target) -> str | None:
        """Another customer's external ID, the same in every run of a manifest; None if no other customer has one.

        Never the target's own or previous one.
        """
        names = tuple(self.external_ids)
        own = {target.external_id, target.previous_external_id}
        start = self.drawn(target, "another external id") if names else 0
        for step in range(len(names)):
            found = self.external_ids[names[(start + step) % len(names)]]
            if found not in own:
                return found
        return None


_REFERENCES = 3
_NO_EXTERNAL_ID_RULE = "RC103"
"""Suppressing this rule declares that a customer's role may be assumed without an external ID."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The input of `make_context`. Picklable and without secrets: each process loads the caller's credentials itself.

    `readers`: pairs of an account ID and the AWS CLI profile that may read IAM there, for the accounts of switch roles.
    `sandbox`: the command has its own sandbox, whose admin client reads IAM instead.
    """

    manifest: Path
    out: Path
    run_id: str = ""
    aws: AwsConfig = field(default_factory=AwsConfig)
    options: VerifySpec = field(default_factory=VerifySpec)
    readers: tuple[tuple[str, str], ...] = ()
    sandbox: bool = False
    history: ModuleHistory = field(default_factory=ModuleHistory)

    def make_clients(self) -> Clients:
        """The clients of this process."""
        return Clients(ClientSettings(endpoint_url=self.aws.endpoint_url, connections=self.aws.workers))

    def find_caller(self, clients: Clients | None = None) -> CallerIdentity:
        """The identity that the run starts from. Raises CallerError."""
        return find_caller(clients or self.make_clients(), profile=self.aws.profile, region=self.aws.region)

    def make_context(self) -> VerifyContext:
        """Find the caller and read the agreed access of all targets. Raises the errors of `make_context`."""
        return make_context(self)


def make_context(config: RunConfig) -> VerifyContext:
    """Find the caller and read the agreed access of all targets.

    Raises CallerError, ManifestError, PlanError or OutputError.
    """
    clients = config.make_clients()
    caller = config.find_caller(clients)
    assumer = Assumer(clients, caller, config.run_id)
    found = read_access(config.manifest, config.out, planned=True)
    manifest = found.loaded.manifest
    targets = inventory_of(manifest, found.plan.assignment.slots).targets
    customers = [target for target in targets if target.kind is TargetKind.CUSTOMER]
    written = read_access(config.manifest, config.out) if (config.out / LOCK_NAME).exists() else None
    newest = written or found
    backends = [
        access for module, access in zip(newest.modules, newest.accesses, strict=True) if module.kind is ModuleKind.BACKEND
    ]
    return VerifyContext(
        assumer=assumer,
        sessions=Sessions(assumer),
        clients=clients,
        clock=utc_now,
        random=random.random,
        external_ids={target.name: target.external_id for target in customers if target.external_id is not None},
        intended=access_by_role(found),
        output_access=access_by_role(written) if written is not None else {},
        backend=next(iter(backends), None),
        references=_references(customers, caller.arn),
        backend_roles=frozenset(target.backend_role_arn for target in customers),
        without_external_id=_suppressions(manifest, customers),
        readers=_readers(config, clients, manifest),
        history=config.history,
        options=config.options,
    )


def _readers(config: RunConfig, clients: Clients, manifest: Manifest) -> dict[str, SigningCredentials]:
    """Credentials that may read IAM in the accounts of switch roles, by account ID. Raises CallerError."""
    if config.sandbox and config.aws.endpoint_url is not None:
        admin = AdminClient(config.aws.endpoint_url, partition=manifest.partition)
        sides = {side.account_id for entry in manifest.switch_roles for side in (entry.trusting, entry.trusted)}
        return {account_id: admin.session(account_id) for account_id in sides}
    return {
        account_id: find_caller(clients, profile=profile, region=config.aws.region).credentials
        for account_id, profile in config.readers
    }


def _suppressions(manifest: Manifest, customers: Iterable[Target]) -> dict[str, str]:
    """Reasons of customers for which the manifest suppresses RC103, by name."""
    entries = [entry for entry in manifest.suppress if entry.rule == _NO_EXTERNAL_ID_RULE]
    return {
        target.name: entry.reason
        for entry in reversed(entries)
        for target in customers
        if fnmatchcase(target.name, entry.subject)
    }


def _references(customers: Iterable[Target], caller_arn: str) -> tuple[Target, ...]:
    """A few customers that trust the caller's role, spread over the manifest."""
    name = caller_arn.split("/")[1] if ":assumed-role/" in caller_arn else caller_arn.rpartition("/")[2]
    known = [target for target in customers if target.backend_role_arn.rpartition("/")[2] == name]
    step = max(1, len(known) // _REFERENCES)
    return tuple(known[::step][:_REFERENCES])
