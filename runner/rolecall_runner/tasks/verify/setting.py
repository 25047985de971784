"""What the roll call of a manifest is given, made in each process that takes part: who calls, and what was agreed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from rolecall_generator.checking import ModuleAccess, module_access
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.module import ModuleKind
from rolecall_generator.lock import LOCK_NAME
from rolecall_generator.manifest.models import Manifest
from rolecall_runner.aws_config import AwsConfig
from rolecall_runner.clients import Clients, ClientSettings, SigningCredentials
from rolecall_runner.credentials import Assumer, Sessions, utc_now
from rolecall_runner.inventory import inventory_of
from rolecall_runner.source import find_caller
from rolecall_runner.targets import Target, TargetKind
from rolecall_runner.tasks.verify.by_role import access_by_role
from rolecall_runner.tasks.verify.context import History, VerifyContext
from rolecall_runner.tasks.verify.spec import VerifySpec

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
        from rolecall_runner.sandbox.operator import Operator  # noqa: PLC0415 - an extra that a run against AWS lacks

        operator = Operator(config.aws.endpoint_url, partition=manifest.partition)
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
