"""Backends that apply modules in the sandbox: with Terraform, or by parsing and provisioning them without Terraform."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rolecall_generator.errors import RolecallError
from rolecall_generator.findings import Severity
from rolecall_generator.iam import Access
from rolecall_generator.terraform.parser import parse_module
from rolecall_runner.rehearsal.module_selection import RehearsedModules, reason_to_skip
from rolecall_runner.rehearsal.rehearsal_report import ModuleOutcome, ModuleRehearsal, Stage, Steps
from rolecall_runner.rehearsal.terraform_cli import CompletedCommand, Provider, Terraform, Workspace, make_workspace
from rolecall_runner.sandbox import AdminClient, provision, remove_added, split_by_account

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


class TerraformBackend:
    """Uses Terraform. Applies the backend module first and destroys it last, since other trust policies name its roles."""

    def __init__(
        self,
        chosen: Sequence[RehearsedModules],
        terraform: Terraform,
        provider: Provider,
        *,
        url: str,
        folder: Path,
        parallel: int,
        step: Steps,
    ) -> None:
        self._groups = (
            [item for item in chosen if item.is_backend],
            [item for item in chosen if not item.is_backend],
        )
        self._terraform = terraform
        self._provider = provider
        self._url = url
        self._folder = folder
        self._parallel = parallel
        self._step = step
        self._stopped = threading.Event()
        self._started: dict[str, Workspace] = {}
        self.results: dict[str, ModuleRehearsal] = {}

    def apply(self) -> None:
        """Apply the modules in parallel. Errors are in the results; KeyboardInterrupt stops all Terraform commands."""
        for group in self._groups:
            self._run_parallel(group, self._apply)

    def destroy(self) -> None:
        """Destroy all modules whose apply was started, in parallel."""
        for group in reversed(self._groups):
            self._run_parallel((item for item in group if item.path in self._started), self._destroy)

    def _run_parallel(self, chosen: Iterable[RehearsedModules], work: Callable[[RehearsedModules], None]) -> None:
        self._stopped.clear()
        pool = ThreadPoolExecutor(self._parallel)
        try:
            for future in [pool.submit(work, item) for item in chosen]:
                future.result()
        except BaseException:
            self._stopped.set()
            self._terraform.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _apply(self, chosen: RehearsedModules) -> None:
        result = ModuleRehearsal(chosen.path, chosen.account_id, ModuleOutcome.INTERRUPTED, error=_INTERRUPTED)
        self.results[chosen.path] = result
        if reason := reason_to_skip(chosen.module, self._provider.version):
            self.results[chosen.path] = replace(result, outcome=ModuleOutcome.SKIPPED, error=reason)
            return
        with self._step(Stage.APPLY, chosen.path) as step_result:
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
                self._folder / chosen.path,
                chosen,
                url=self._url,
                terraform=self._terraform,
                plugins=self._provider.plugins,
            )
            completed = workspace.init()
            if completed.code or self._stopped.is_set():
                return completed if completed.code else CompletedCommand(1, _INTERRUPTED)
            self._started[chosen.path] = workspace
            return workspace.apply()
        except (OSError, RolecallError) as error:
            return CompletedCommand(1, f"Error: {error}")

    def _destroy(self, chosen: RehearsedModules) -> None:
        with self._step(Stage.DESTROY, chosen.path) as step_result:
            try:
                completed = self._started[chosen.path].destroy()
            except RolecallError as error:
                completed = CompletedCommand(1, f"Error: {error}")
            step_result.ok = completed.code == 0
        result = self.results[chosen.path]
        self.results[chosen.path] = replace(
            result, destroyed=completed.code == 0, destroy_error=completed.error if completed.code else None
        )


class ParsedBackend:
    """Parses the modules' files and provisions their access through the IAM API, without Terraform."""

    def __init__(self, chosen: Sequence[RehearsedModules], operator: AdminClient, before: Mapping[str, Access]) -> None:
        self._chosen = chosen
        self._operator = operator
        self._before = before
        self.results: dict[str, ModuleRehearsal] = {}

    def apply(self) -> None:
        """Parse every module and provision those without errors."""
        readable = [access for item in self._chosen if (access := self._read(item)) is not None]
        done = provision(split_by_account(Access.union(readable)), operator=self._operator)
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
        done = remove_added(self._before, operator=self._operator)
        problems = {account.account_id: "\n".join(account.problems) for account in done.failed}
        for path, result in self.results.items():
            error = problems.get(result.account_id)
            self.results[path] = replace(result, destroyed=error is None, destroy_error=error)
