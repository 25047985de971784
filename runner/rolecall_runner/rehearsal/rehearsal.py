"""Rehearses modules in the sandbox: prepare, apply, compare, destroy, and check for leftovers.

A backend applies the modules with Terraform, or parses and provisions them without Terraform.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from rolecall_generator.errors import RolecallError
from rolecall_generator.findings import Severity
from rolecall_generator.iam import Access, ConsolePassword
from rolecall_generator.iam.difference import Change, differences
from rolecall_generator.terraform.parser import parse_module
from rolecall_runner.live import read_account
from rolecall_runner.rehearsal.terraform_cli import (
    CompletedCommand,
    Provider,
    RehearsalSelection,
    RehearsedModules,
    Terraform,
    Workspace,
    find_provider,
    make_workspace,
    reason_to_skip,
    select_modules,
)
from rolecall_runner.sandbox import (
    OPERATOR_ROLE,
    UPSTREAM_ERRORS,
    AdminClient,
    placeholder_note,
    placeholder_policies,
    placeholder_principals,
    provision,
    remove_added,
    split_by_account,
)


class RehearsalMethod(StrEnum):
    """How the modules were applied."""

    TERRAFORM = "terraform"
    PARSED = "parsed modules"


class ModuleOutcome(StrEnum):
    """The result of applying a module."""

    APPLIED = "applied"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class ModuleRehearsal:
    """The result of one module. `error`: Terraform's error, or why it was skipped; `destroy_error`: error of the destroy."""

    path: str
    account_id: str
    outcome: ModuleOutcome
    seconds: float = 0.0
    error: str | None = None
    destroyed: bool = False
    destroy_error: str | None = None


@dataclass(frozen=True, slots=True)
class AccountRehearsal:
    """The result of one account.

    `differences`: from the intended access to the access found after the apply. `leftovers`: from the access before the
    apply to the access found after the destroy. `problem`: why the account could not be prepared or read.
    """

    account_id: str
    differences: tuple[Change, ...] = ()
    leftovers: tuple[Change, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result of a rehearsal, with modules in the order of the plan. `reason` explains the `method` in a sentence."""

    method: RehearsalMethod
    reason: str
    modules: tuple[ModuleRehearsal, ...]
    accounts: tuple[AccountRehearsal, ...]
    kept: bool
    tool_version: str | None = None
    provider_version: str | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether at least one module was applied, none failed, and no account has differences, leftovers or problems."""
        modules = all(
            module.outcome is ModuleOutcome.SKIPPED
            or (module.outcome is ModuleOutcome.APPLIED and module.destroy_error is None)
            for module in self.modules
        )
        accounts = all(not (account.differences or account.leftovers or account.problem) for account in self.accounts)
        return modules and accounts and any(module.outcome is ModuleOutcome.APPLIED for module in self.modules)


def rehearsal_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """The rehearsal as JSON values."""
    return {
        "passed": rehearsal.passed,
        "method": str(rehearsal.method),
        "reason": rehearsal.reason,
        "tool_version": rehearsal.tool_version,
        "provider_version": rehearsal.provider_version,
        "kept": rehearsal.kept,
        "seconds": round(rehearsal.seconds, 3),
        "modules": [asdict(module) | {"seconds": round(module.seconds, 3)} for module in rehearsal.modules],
        "accounts": [
            {
                "account_id": account.account_id,
                "differences": [asdict(change) for change in account.differences],
                "leftovers": [asdict(change) for change in account.leftovers],
                "problem": account.problem,
            }
            for account in rehearsal.accounts
        ],
    }


class Stage(StrEnum):
    """Stages of a rehearsal, in order."""

    PROVIDER = "provider"
    PREPARE = "prepare"
    APPLY = "apply"
    COMPARE = "compare"
    DESTROY = "destroy"
    CHECK = "check for leftovers"


@dataclass(frozen=True, slots=True)
class RehearsalProgress:
    """Start (`ok` is None) or end of a stage, of one module or (`path` is None) of all; `seconds` is its duration."""

    stage: Stage
    path: str | None = None
    ok: bool | None = None
    seconds: float = 0.0


ProgressListener = Callable[[RehearsalProgress], None]
"""Called from several threads, but never concurrently."""


@dataclass(slots=True)
class StageResult:
    """The result of a step. The block sets `ok` to False if the step failed; `seconds` is set after the block."""

    ok: bool = True
    seconds: float = 0.0


class Steps:
    """Reports the start and end of steps to a listener. Thread-safe."""

    def __init__(self, listener: ProgressListener, clock: Callable[[], float]) -> None:
        self._listener = listener
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: Stage, path: str | None = None) -> Iterator[StageResult]:
        """Report the start and end of the block as a step. The step has failed if the block raises an exception."""
        result = StageResult()
        self._report(RehearsalProgress(stage, path))
        started = self._clock()
        try:
            yield result
        except BaseException:
            result.ok = False
            raise
        finally:
            result.seconds = self._clock() - started
            self._report(RehearsalProgress(stage, path, result.ok, result.seconds))

    def _report(self, progress: RehearsalProgress) -> None:
        with self._lock:
            self._listener(progress)


_INTERRUPTED = "interrupted"


class RehearsalBackend(Protocol):
    """Applies the modules in the sandbox and destroys them."""

    results: dict[str, ModuleRehearsal]
    """The current result of each module, by path."""

    def apply(self) -> None:
        """Apply all modules. The errors of a module are in its result."""
        ...

    def destroy(self) -> None:
        """Destroy everything that was applied, also after an interrupted `apply`."""
        ...


@dataclass
class TerraformBackend:
    """Uses Terraform. Applies the backend module first and destroys it last, since other trust policies name its roles."""

    chosen: Sequence[RehearsedModules]
    terraform: Terraform
    provider: Provider
    url: str
    folder: Path
    parallel: int
    step: Steps
    results: dict[str, ModuleRehearsal] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _started: dict[str, Workspace] = field(default_factory=dict)

    def apply(self) -> None:
        """Apply the modules in parallel. Errors are in the results; KeyboardInterrupt stops all Terraform commands."""
        for backend in (True, False):
            self._run_parallel([item for item in self.chosen if item.is_backend is backend], self._apply)

    def destroy(self) -> None:
        """Destroy all modules whose apply was started, in parallel."""
        started = [item for item in self.chosen if item.path in self._started]
        for backend in (False, True):
            self._run_parallel([item for item in started if item.is_backend is backend], self._destroy)

    def _run_parallel(self, chosen: Iterable[RehearsedModules], work: Callable[[RehearsedModules], None]) -> None:
        self._stopped.clear()
        pool = ThreadPoolExecutor(self.parallel)
        try:
            for future in [pool.submit(work, item) for item in chosen]:
                future.result()
        except BaseException:
            self._stopped.set()
            self.terraform.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _apply(self, chosen: RehearsedModules) -> None:
        result = ModuleRehearsal(chosen.path, chosen.account_id, ModuleOutcome.INTERRUPTED, error=_INTERRUPTED)
        self.results[chosen.path] = result
        if reason := reason_to_skip(chosen.module, self.provider.version):
            self.results[chosen.path] = replace(result, outcome=ModuleOutcome.SKIPPED, error=reason)
            return
        with self.step(Stage.APPLY, chosen.path) as step_result:
            completed = self._init_and_apply(chosen)
            step_result.ok = completed.code == 0
        result = replace(result, seconds=step_result.seconds)
        if completed.code == 0:
            result = replace(result, outcome=ModuleOutcome.APPLIED, error=None)
        elif not self._stopped.is_set():
            result = replace(result, outcome=ModuleOutcome.FAILED, error=completed.error)
        self.results[chosen.path] = result

    def _init_and_apply(self, chosen: RehearsedModules) -> CompletedCommand:
        try:
            workspace = make_workspace(
                self.folder / chosen.path,
                chosen,
                url=self.url,
                terraform=self.terraform,
                plugins=self.provider.plugins,
            )
            completed = workspace.init()
            if completed.code or self._stopped.is_set():
                return completed if completed.code else CompletedCommand(1, _INTERRUPTED)
            self._started[chosen.path] = workspace
            return workspace.apply()
        except (OSError, RolecallError) as error:
            return CompletedCommand(1, f"Error: {error}")

    def _destroy(self, chosen: RehearsedModules) -> None:
        with self.step(Stage.DESTROY, chosen.path) as step_result:
            try:
                completed = self._started[chosen.path].destroy()
            except RolecallError as error:
                completed = CompletedCommand(1, f"Error: {error}")
            step_result.ok = completed.code == 0
        result = self.results[chosen.path]
        self.results[chosen.path] = replace(
            result, destroyed=completed.code == 0, destroy_error=completed.error if completed.code else None
        )


@dataclass
class ParsedBackend:
    """Parses the modules' files and provisions their access through the IAM API, without Terraform."""

    chosen: Sequence[RehearsedModules]
    operator: AdminClient
    before: Mapping[str, Access]
    results: dict[str, ModuleRehearsal] = field(default_factory=dict)

    def apply(self) -> None:
        """Parse every module and provision those without errors."""
        readable = [access for item in self.chosen if (access := self._read(item)) is not None]
        done = provision(split_by_account(Access.union(readable)), operator=self.operator)
        problems = {account.account_id: "\n".join(account.problems) for account in done.failed}
        for path, result in self.results.items():
            if result.outcome is ModuleOutcome.APPLIED and result.account_id in problems:
                self.results[path] = replace(result, outcome=ModuleOutcome.FAILED, error=problems[result.account_id])

    def _read(self, item: RehearsedModules) -> Access | None:
        result = ModuleRehearsal(item.path, item.account_id, ModuleOutcome.APPLIED)
        access = None
        try:
            parsed = parse_module(item.folder, account_id=item.account_id, partition=item.module.partition)
        except RolecallError as error:
            errors = [str(error)]
        else:
            errors = [finding.message for finding in parsed.findings if finding.severity is Severity.ERROR]
            access = parsed.access
        if errors:
            result, access = replace(result, outcome=ModuleOutcome.FAILED, error="\n".join(errors[:3])), None
        self.results[item.path] = result
        return access

    def destroy(self) -> None:
        """Remove everything that the accounts did not contain before."""
        done = remove_added(self.before, operator=self.operator)
        problems = {account.account_id: "\n".join(account.problems) for account in done.failed}
        for path, result in self.results.items():
            error = problems.get(result.account_id)
            self.results[path] = replace(result, destroyed=error is None, destroy_error=error)


def account_differences(before: Access, intended: Iterable[Access], found: Access) -> tuple[Change, ...]:
    """Differences from the expected access of an account (its previous plus the intended access) to the access found."""
    return differences(_comparable(Access.union([before, *intended])), _comparable(found))


def _comparable(access: Access) -> Access:
    """Remove details that only one side has: PGP key and reset flag of a console password, and `existing`.

    moto 5.2.5 ignores PasswordResetRequired of a new login profile.
    """
    users = {
        arn: replace(user, console_password=ConsolePassword() if user.console_password else None, existing=False)
        for arn, user in access.users.items()
    }
    roles = {arn: replace(role, existing=False) for arn, role in access.roles.items()}
    groups = {arn: replace(group, existing=False) for arn, group in access.groups.items()}
    return replace(access, users=users, roles=roles, groups=groups)


NO_TERRAFORM = "neither terraform nor tofu is on PATH"


@dataclass(frozen=True, slots=True)
class TerraformTool:
    """The Terraform program to use; `terraform` is None if it is not installed.

    `plugin_dir`: folder of the provider, None for Terraform's default. `parallel`: number of modules applied concurrently.
    """

    terraform: Terraform | None
    plugin_dir: Path | None = None
    parallel: int = 2


def rehearse(
    manifest: Path,
    *,
    tool: TerraformTool,
    url: str,
    selection: RehearsalSelection | None = None,
    keep: bool = False,
    progress: ProgressListener = lambda _progress: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Rehearsal:
    """Apply the modules of a manifest in the sandbox at `url`, compare the accounts with the intended access, and destroy.

    The sandbox must not be changed by anything else during the rehearsal. `keep` skips the destroy. `progress` is called
    from several threads, but never concurrently. Errors of one module or account are in the result. Raises ManifestError,
    PlanError, OutputError or SelectionError before anything is created, and KeyboardInterrupt on Ctrl-C, after the destroy.
    """
    started = clock()
    step = Steps(progress, clock)
    with tempfile.TemporaryDirectory(prefix="rolecall-rehearsal-") as name:
        work = Path(name)
        chosen = select_modules(manifest, work / "modules", selection or RehearsalSelection())
        operator = AdminClient(url, partition=chosen[0].module.partition if chosen else "aws")
        with step(Stage.PROVIDER, None):
            provider = _provider(tool, work / "provider")
        with step(Stage.PREPARE, None):
            before = _prepare(operator, chosen)
        if tool.terraform is None or isinstance(provider, str):
            backend: RehearsalBackend = ParsedBackend(chosen, operator, before.accounts)
        else:
            backend = TerraformBackend(chosen, tool.terraform, provider, url, work / "workspaces", tool.parallel, step)
        accounts = _apply_and_destroy(_Context(chosen, operator, before, step), backend, keep=keep)
    return _report(backend.results, provider, chosen, accounts, kept=keep, seconds=clock() - started)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The access of accounts by account ID, and the errors of those that could not be read."""

    accounts: Mapping[str, Access]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Context:
    """The fixed inputs of a rehearsal."""

    chosen: Sequence[RehearsedModules]
    operator: AdminClient
    before: _Reading
    step: Steps


def _apply_and_destroy(context: _Context, backend: RehearsalBackend, *, keep: bool) -> tuple[AccountRehearsal, ...]:
    """Apply, compare, destroy and check. Destroys also after an exception."""
    try:
        backend.apply()
        with context.step(Stage.COMPARE, None):
            accounts = _compare(context, backend.results)
    finally:
        if not keep:
            backend.destroy()
    if keep:
        return accounts
    with context.step(Stage.CHECK, None):
        now = _read_all(context.operator, [account.account_id for account in accounts])
    return tuple(_with_leftovers(account, context.before, now) for account in accounts)


def _prepare(operator: AdminClient, chosen: Sequence[RehearsedModules]) -> _Reading:
    """Create principals and policies that the modules require, then read every account."""
    accesses = [item.module.access for item in chosen]
    prerequisites = Access.union([placeholder_principals(accesses), placeholder_policies(accesses)])
    done = provision(split_by_account(prerequisites), operator=operator)
    before = _read_all(operator, sorted({item.account_id for item in chosen}))
    refused = {account.account_id: "; ".join(account.problems) for account in done.failed}
    return _Reading(before.accounts, {**refused, **before.problems})


def _provider(tool: TerraformTool, folder: Path) -> Provider | str:
    """The provider, or why Terraform cannot be used."""
    if tool.terraform is None:
        return NO_TERRAFORM
    found = find_provider(tool.terraform, folder, tool.plugin_dir)
    return found if isinstance(found, Provider) else f"the AWS provider could not be loaded: {found.error}"


def _read_all(operator: AdminClient, account_ids: Sequence[str]) -> _Reading:
    accounts: dict[str, Access] = {}
    problems: dict[str, str] = {}
    for account_id in account_ids:
        try:
            with operator.acting_in(account_id):
                accounts[account_id] = read_account(operator.client("iam"), leave_out=[OPERATOR_ROLE])
        except UPSTREAM_ERRORS as error:
            problems[account_id] = str(error)
    return _Reading(accounts, problems)


def _compare(context: _Context, results: Mapping[str, ModuleRehearsal]) -> tuple[AccountRehearsal, ...]:
    account_ids = list(dict.fromkeys(item.account_id for item in context.chosen))
    found = _read_all(context.operator, account_ids)
    compared = []
    for account_id in account_ids:
        members = [item for item in context.chosen if item.account_id == account_id]
        outcomes = {results[item.path].outcome for item in members}
        problem = context.before.problems.get(account_id) or found.problems.get(account_id)
        changes: tuple[Change, ...] = ()
        # Not compared if a module failed: what it created is not known, and its error is reported.
        if problem is None and outcomes <= {ModuleOutcome.APPLIED, ModuleOutcome.SKIPPED}:
            intended = [item.module.access for item in members if results[item.path].outcome is ModuleOutcome.APPLIED]
            changes = account_differences(context.before.accounts[account_id], intended, found.accounts[account_id])
        compared.append(AccountRehearsal(account_id, changes, problem=problem))
    return tuple(compared)


def _with_leftovers(account: AccountRehearsal, before: _Reading, now: _Reading) -> AccountRehearsal:
    account_id = account.account_id
    if account_id in before.accounts and account_id in now.accounts:
        return replace(account, leftovers=differences(before.accounts[account_id], now.accounts[account_id]))
    return replace(account, problem=account.problem or now.problems.get(account_id))


def _report(
    results: Mapping[str, ModuleRehearsal],
    provider: Provider | str,
    chosen: Sequence[RehearsedModules],
    accounts: tuple[AccountRehearsal, ...],
    *,
    kept: bool,
    seconds: float,
) -> Rehearsal:
    modules = tuple(results[item.path] for item in chosen)
    note = placeholder_note(tuple(placeholder_policies(item.module.access for item in chosen).policies))
    if isinstance(provider, str):
        why = f"{provider}; the modules were parsed and provisioned instead{note}"
        return Rehearsal(RehearsalMethod.PARSED, why, modules, accounts, kept, seconds=seconds)
    version = provider.version or "of unknown version"
    why = f"version {provider.tool_version} with AWS provider {version} applied the modules{note}"
    return Rehearsal(
        RehearsalMethod.TERRAFORM, why, modules, accounts, kept, provider.tool_version, provider.version, seconds
    )
