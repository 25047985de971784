"""The specification of a verify run, the agreed access of its targets, and the context that each process makes once.

Agreed access comes from the modules of a manifest. Its snapshots for the status file are JSON values with digests in place
of external IDs: two snapshots are equal if and only if the modules grant the same access; comments and README files do not
matter.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from rolecall_generator.check import ManifestAccess, read_access
from rolecall_generator.iam import (
    Access,
    Condition,
    ConsolePassword,
    Group,
    ManagedPolicy,
    Module,
    ModuleKind,
    PolicyDocument,
    Role,
    User,
)
from rolecall_generator.manifest import Manifest
from rolecall_generator.output import LOCK_NAME
from rolecall_generator.records import external_id_digest
from rolecall_runner.aws import (
    Assumer,
    AwsConfig,
    Clients,
    RetryPolicy,
    Sessions,
    SigningCredentials,
    utc_now,
)
from rolecall_runner.inventory import Target, TargetKind, inventory_of
from rolecall_runner.sandbox import AdminClient


def access_by_role(found: ManifestAccess) -> dict[str, Access]:
    """The access that each role's modules grant, by role ARN: a customer's module, or both sides of a switch role."""
    by_path = {module.path: access for module, access in zip(found.modules, found.accesses, strict=True)}
    by_subject: dict[tuple[bool, str], list[Access]] = {}
    for module, access in zip(found.modules, found.accesses, strict=True):
        if module.kind is not ModuleKind.BACKEND:
            by_subject.setdefault((module.kind is ModuleKind.CUSTOMER, module.subject), []).append(access)
    by_role: dict[str, Access] = {}
    for module in found.modules:
        if module.kind is not ModuleKind.BACKEND:
            parts = [*by_subject[module.kind is ModuleKind.CUSTOMER, module.subject], *_shared_group(module, by_path)]
            whole = parts[0] if len(parts) == 1 else Access.union(parts)
            by_role.update(dict.fromkeys(module.access.roles, whole))
    return by_role


def _shared_group(module: Module, by_path: Mapping[str, Access]) -> Iterator[Access]:
    """Group, users and the group's policies of a switch role that shares them with the module of another one."""
    if module.switch_role is None or module.switch_role.keeper == module.subject:
        return
    access = by_path.get(module.switch_role.people_path)
    if access is not None:
        attached = {arn for group in access.groups.values() for arn in group.attached}
        policies = {arn: policy for arn, policy in access.policies.items() if arn in attached}
        yield Access(policies=policies, groups=access.groups, users=access.users)


def before_applying(target: Target) -> Target:
    """The target as its role has it before the customer applies a rotation: current and previous external ID swapped.

    The new ID takes the place of the previous one, so that calls go on to work if the customer applies meanwhile.
    """
    return replace(target, external_id=target.previous_external_id, previous_external_id=target.external_id)


def access_before(access: Access, target: Target) -> Access:
    """The agreed access before the target's rotation: without the new external ID in the trust policy."""
    role = access.roles.get(target.role_arn)
    if role is None or role.trust is None or target.external_id is None:
        return access
    trust = _with_external_ids(role.trust, lambda values: tuple(value for value in values if value != target.external_id))
    return replace(access, roles={**access.roles, role.arn: replace(role, trust=trust)})


_EXTERNAL_ID = "sts:externalid"


def _with_external_ids(trust: PolicyDocument, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> PolicyDocument:
    """The trust policy with other external IDs in its conditions."""

    def changed(condition: Condition) -> Condition:
        return replace(condition, values=change(condition.values)) if condition.key.lower() == _EXTERNAL_ID else condition

    statements = (replace(each, conditions=tuple(map(changed, each.conditions))) for each in trust.statements)
    return replace(trust, statements=tuple(statements))


_DIGEST = "sha256:"


@dataclass(frozen=True, slots=True)
class EarlierModule:
    """A module that was verified or handed over before the newest one, with digests in place of external IDs.

    `gone`: a later run has shown that it is no longer applied; what it granted is still probed.
    """

    access: Access
    gone: bool = False


Key = tuple[str, str]
"""Kind and name of a target."""


@dataclass(frozen=True, slots=True)
class ModuleHistory:
    """Earlier modules of targets, and how customers apply modules (a `Form`), by kind and name of the target."""

    earlier: Mapping[Key, tuple[EarlierModule, ...]] = field(default_factory=dict)
    forms: Mapping[Key, str] = field(default_factory=dict)


def hash_external_id(external_id: str) -> str:
    """The digest of an external ID; digests and patterns are returned unchanged."""
    if external_id.startswith(_DIGEST) or "*" in external_id or "?" in external_id:
        return external_id
    return f"{_DIGEST}{external_id_digest(external_id)}"


def hash_external_ids(document: PolicyDocument) -> PolicyDocument:
    """The trust policy with digests in place of external IDs, and without statement IDs."""
    hashed = _with_external_ids(document, lambda values: tuple(map(hash_external_id, values)))
    return replace(hashed, statements=tuple(replace(each, sid="") for each in hashed.statements))


def encode_access(access: Access) -> dict[str, Any]:
    """The access as canonical JSON values, without empty ones."""
    found = access.canonical()
    return _without_empty({name: {arn: _encode(part) for arn, part in getattr(found, name).items()} for name in _KINDS})


def decode_access(body: Mapping[str, Any]) -> Access:
    """Read `encode_access` back. Raises ValueError for anything else."""
    try:
        parts = {
            name: {arn: _decode(_KINDS[name], arn, each) for arn, each in body.get(name, {}).items()} for name in _KINDS
        }
        return Access(**parts)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is not a snapshot of a module: {error}") from error


def same_access(one: Access, other: Access) -> bool:
    """Whether two modules grant the same, tags and descriptions included."""
    return encode_access(one) == encode_access(other)


_KINDS: Mapping[str, type] = {"roles": Role, "policies": ManagedPolicy, "groups": Group, "users": User}


def _encode(part: Any) -> dict[str, Any]:
    """The fields of a role, policy, group or user. The ARN is the key of the entry."""
    if isinstance(part, Role) and part.trust is not None:
        part = replace(part, trust=hash_external_ids(part.trust))
    body = {each.name: _encode_value(getattr(part, each.name)) for each in fields(part) if each.name != "arn"}
    if isinstance(part, User):
        password = body.pop("console_password")
        body["password_reset"] = password.reset_required if password is not None else None
    return _without_empty(body)


def _encode_value(value: Any) -> Any:
    if isinstance(value, PolicyDocument):
        return _document(value)
    if isinstance(value, Mapping):
        return {key: _encode_value(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return None if value is False else value


def _document(document: PolicyDocument) -> dict[str, Any]:
    plain = replace(document, statements=tuple(replace(each, sid="") for each in document.statements)).canonical()
    body = plain.to_json()
    for statement in body["Statement"]:
        statement.pop("Sid", None)
    return body


def _without_empty(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value not in (None, "", {}, [])}


_READ: Mapping[str, Callable[[Any], Any]] = {
    "trust": PolicyDocument.from_json,
    "document": PolicyDocument.from_json,
    "inline": lambda body: {name: PolicyDocument.from_json(each) for name, each in body.items()},
    "attached": frozenset,
    "groups": frozenset,
    "max_session_seconds": int,
    "existing": bool,
}


def _decode(kind: type, arn: str, body: Mapping[str, Any]) -> Any:
    known = {each.name for each in fields(kind)} - {"arn", "console_password"}
    values = {name: _READ.get(name, lambda given: given)(value) for name, value in body.items() if name in known}
    if kind is Role:
        values.setdefault("trust", None)
    if kind is User and "password_reset" in body:
        values["console_password"] = ConsolePassword(bool(body["password_reset"]))
    return kind(arn, **values)


Actions = Literal["none", "sample", "all"]

NOT_AGREED = "not checkable: the manifest has no agreed access for this role"


@dataclass(frozen=True, slots=True)
class VerifySpec:
    """What a verify run checks. Options of `runner verify`, keys of a play, and run records derive from it.

    `retry` is for one call that came out inconclusive.
    """

    actions: Actions = field(default="sample", metadata={"description": "Granted read actions to try."})
    drift: bool = field(
        default=True,
        metadata={"description": "Compare the role with the modules, where it may read itself.", "strict": True},
    )
    all_regions: bool = field(default=False, metadata={"description": "Try actions in all Regions of the account."})
    actions_per_service: int = field(default=3, metadata={"description": "Sample size: granted actions per service."})
    outside_actions: int = field(default=5, metadata={"description": "Sample size: actions that were not granted."})
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(base_seconds=2.0))

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

    def client(self, service: str) -> Any:
        """The shared client of a service in the caller's Region, for use inside `account`."""
        return self.clients.client(service, self.assumer.caller.region)

    def first_region(self, target: Target) -> str:
        """The first Region to make calls in."""
        return target.regions[0] if target.regions else self.assumer.caller.region

    def agreed(self, target: Target) -> Access | None:
        """The agreed access with the target's role; None if the manifest has none for it."""
        intended = self.intended.get(target.role_arn)
        return intended if intended is not None and target.role_arn in intended.roles else None

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

    def make_context(self) -> VerifyContext:
        """Find the caller and read the agreed access of all targets. Raises the errors of `make_context`."""
        return make_context(self)


def make_context(config: RunConfig) -> VerifyContext:
    """Find the caller and read the agreed access of all targets.

    Raises CallerError, ManifestError, PlanError or OutputError.
    """
    clients = config.aws.clients()
    caller = config.aws.find_caller(clients)
    # Without session policies: the checks are about the role.
    options = replace(config.aws.session, policy="", policy_arns=())
    assumer = Assumer(clients, caller, config.run_id, options=options)
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
        account_id: replace(config.aws, profile=profile).find_caller(clients).credentials
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
