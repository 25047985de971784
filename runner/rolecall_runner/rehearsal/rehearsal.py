"""How access from different sources is made comparable.

The rehearsal as one call: prepare, apply (backend first), compare, what is wired in between, destroy, check.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from rolecall_generator.iam import Access, ConsolePassword
from rolecall_generator.iam.difference import Change, differences
from rolecall_runner.live import read_account
from rolecall_runner.rehearsal.backends import Applier, ParsedWay, RehearsalBackend, TerraformWay
from rolecall_runner.rehearsal.module_selection import RehearsedModules, choose
from rolecall_runner.rehearsal.rehearsal_report import (
    AccountRehearsal,
    Applied,
    Listener,
    ModuleOutcome,
    ModuleRehearsal,
    Rehearsal,
    RehearsalMethod,
    Stage,
    Steps,
)
from rolecall_runner.rehearsal.terraform_cli import Provider, Terraform, find_provider
from rolecall_runner.sandbox import (
    OPERATOR_ROLE,
    UPSTREAM_ERRORS,
    AdminClient,
    bare_principals,
    by_account,
    note_on,
    placeholder_policies,
    provision,
)


def account_differences(before: Access, intended: Iterable[Access], found: Access) -> tuple[Change, ...]:
    """How an account differs from what stood in it before, with all that was intended put on top."""
    return differences(_comparable(Access.union([before, *intended])), _comparable(found))


def _comparable(access: Access) -> Access:
    """Without what one side cannot know: the PGP key of a first password, and whether it must be changed.

    moto 5.2.5 does not keep PasswordResetRequired of a created login profile.
    """
    users = {
        arn: replace(user, console_password=ConsolePassword() if user.console_password else None, existing=False)
        for arn, user in access.users.items()
    }
    roles = {arn: replace(role, existing=False) for arn, role in access.roles.items()}
    groups = {arn: replace(group, existing=False) for arn, group in access.groups.items()}
    return replace(access, users=users, roles=roles, groups=groups)


NO_TERRAFORM = "no terraform or tofu is on PATH"


class HasUrl(Protocol):
    """A running sandbox."""

    @property
    def url(self) -> str:
        """Its address, as in `http://127.0.0.1:4000`."""
        ...


@dataclass(frozen=True, slots=True)
class RehearsalSelection:
    """Which modules: all, those of `names`, a `sample` of so many by `seed`. `out`: see `choose`."""

    names: Collection[str] = ()
    sample: int | None = None
    seed: int = 0
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """The Terraform to use (None: there is none), where its provider is (None: its own way), modules at a time."""

    terraform: Terraform | None
    plugin_dir: Path | None = None
    parallel: int = 2


def rehearse(
    manifest: Path,
    *,
    tool: Tool,
    sandbox: HasUrl,
    selection: RehearsalSelection = RehearsalSelection(),
    keep: bool = False,
    progress: Listener = lambda _progress: None,
    after_apply: Callable[[Applied], None] = lambda _applied: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Rehearsal:
    """Rehearse the modules of a manifest in a sandbox that no one else changes meanwhile.

    `keep` leaves all standing. `after_apply` is called between comparing and destroying; what it raises is raised, after
    the destroy. What one module or account refuses is in the result. Raises ManifestError, PlanError, OutputError or
    SelectionError before anything is made, and on Ctrl-C KeyboardInterrupt once everything is destroyed.
    """
    started = clock()
    step = Steps(progress, clock)
    with tempfile.TemporaryDirectory(prefix="rolecall-rehearsal-") as name:
        work = Path(name)
        chosen = choose(
            manifest,
            work / "modules",
            names=selection.names,
            sample=selection.sample,
            seed=selection.seed,
            out=selection.out,
        )
        operator = AdminClient(sandbox.url, partition=chosen[0].module.partition if chosen else "aws")
        with step(Stage.PROVIDER, None):
            provider = _provider(tool, work / "provider")
        with step(Stage.PREPARE, None):
            before = _prepare(operator, chosen)
        if tool.terraform is None or isinstance(provider, str):
            way: RehearsalBackend = ParsedWay(chosen, operator, before.accounts)
        else:
            workspaces = work / "workspaces"
            way = TerraformWay(chosen, Applier(tool.terraform, provider, sandbox.url, workspaces, tool.parallel, step))
        accounts = _there_and_back(_Scene(chosen, operator, before, step), way, after_apply, keep=keep)
    return _report(way.results, provider, chosen, accounts, kept=keep, seconds=clock() - started)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Accounts by their ids, and why others could not be read."""

    accounts: Mapping[str, Access]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Scene:
    """What stays the same through a rehearsal."""

    chosen: Sequence[RehearsedModules]
    operator: AdminClient
    before: _Reading
    step: Steps


def _there_and_back(
    scene: _Scene, way: RehearsalBackend, after_apply: Callable[[Applied], None], *, keep: bool
) -> tuple[AccountRehearsal, ...]:
    """Apply, compare, call, destroy, check. The destroy comes whatever happens before it."""
    try:
        way.apply()
        with scene.step(Stage.COMPARE, None):
            accounts = _compare(scene, way.results)
        with scene.step(Stage.AFTER_APPLY, None):
            done = [result for result in way.results.values() if result.outcome is ModuleOutcome.APPLIED]
            paths = tuple(result.path for result in done)
            after_apply(Applied(scene.operator.url, paths, tuple(sorted({result.account_id for result in done}))))
    finally:
        if not keep:
            way.destroy()
    if keep:
        return accounts
    with scene.step(Stage.CHECK, None):
        now = _read_all(scene.operator, [account.account_id for account in accounts])
    return tuple(_with_left(account, scene.before, now) for account in accounts)


def _prepare(operator: AdminClient, chosen: Sequence[RehearsedModules]) -> _Reading:
    """Make who must stand already, and read every account as it is before the first module."""
    accesses = [item.module.access for item in chosen]
    made_before = Access.union([bare_principals(accesses), placeholder_policies(accesses)])
    done = provision(by_account(made_before), operator=operator)
    before = _read_all(operator, sorted({item.account_id for item in chosen}))
    refused = {account.account_id: "; ".join(account.problems) for account in done.failed}
    return _Reading(before.accounts, {**refused, **before.problems})


def _provider(tool: Tool, folder: Path) -> Provider | str:
    """The provider, or why there is no real Terraform to be had."""
    if tool.terraform is None:
        return NO_TERRAFORM
    found = find_provider(tool.terraform, folder, tool.plugin_dir)
    return found if isinstance(found, Provider) else f"the AWS provider cannot be had: {found.error}"


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


def _compare(scene: _Scene, results: Mapping[str, ModuleRehearsal]) -> tuple[AccountRehearsal, ...]:
    account_ids = list(dict.fromkeys(item.account_id for item in scene.chosen))
    found = _read_all(scene.operator, account_ids)
    compared = []
    for account_id in account_ids:
        members = [item for item in scene.chosen if item.account_id == account_id]
        outcomes = {results[item.path].outcome for item in members}
        problem = scene.before.problems.get(account_id) or found.problems.get(account_id)
        changes: tuple[Change, ...] = ()
        # A module that failed half-way has made no one knows what: its own error says more than a comparison.
        if problem is None and outcomes <= {ModuleOutcome.APPLIED, ModuleOutcome.SKIPPED}:
            intended = [item.module.access for item in members if results[item.path].outcome is ModuleOutcome.APPLIED]
            changes = account_differences(scene.before.accounts[account_id], intended, found.accounts[account_id])
        compared.append(AccountRehearsal(account_id, changes, problem=problem))
    return tuple(compared)


def _with_left(account: AccountRehearsal, before: _Reading, now: _Reading) -> AccountRehearsal:
    account_id = account.account_id
    if account_id in before.accounts and account_id in now.accounts:
        return replace(account, left=differences(before.accounts[account_id], now.accounts[account_id]))
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
    note = note_on(tuple(placeholder_policies(item.module.access for item in chosen).policies))
    if isinstance(provider, str):
        why = f"{provider}; what the modules' files say was provisioned instead{note}"
        return Rehearsal(RehearsalMethod.PARSED, why, modules, accounts, kept, seconds=seconds)
    version = provider.version or "of unknown version"
    why = f"version {provider.tool_version} with AWS provider {version} applied the modules{note}"
    return Rehearsal(
        RehearsalMethod.TERRAFORM, why, modules, accounts, kept, provider.tool_version, provider.version, seconds
    )
