"""Modules through real Terraform: applied in groups, two at a time, and destroyed again whatever happened between.

The two ways of modules into the sandbox: through real Terraform, or as their files say where there is none.
"""

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
from rolecall_runner.rehearsal.terraform_cli import Finished, Provider, Terraform, Workspace, make_workspace
from rolecall_runner.sandbox import AdminClient, by_account, provision, withdraw

_INTERRUPTED = "it was stopped before its end"


class Applier:
    """Applies modules and destroys what it applied. `results` holds every module's outcome by its path."""

    def __init__(self, terraform: Terraform, provider: Provider, url: str, folder: Path, parallel: int, step: Steps) -> None:
        self._terraform = terraform
        self._provider = provider
        self._url = url
        self._folder = folder
        self._parallel = parallel
        self._step = step
        self._stopped = threading.Event()
        self._begun: dict[str, Workspace] = {}
        self.results: dict[str, ModuleRehearsal] = {}

    def apply(self, chosen: Iterable[RehearsedModules]) -> None:
        """Apply modules side by side. What one of them refuses is in its result; a Ctrl-C ends all and is raised."""
        self._each(chosen, self._apply)

    def destroy(self, chosen: Iterable[RehearsedModules]) -> None:
        """Destroy what was begun of these modules, side by side."""
        self._each((item for item in chosen if item.path in self._begun), self._destroy)

    def _each(self, chosen: Iterable[RehearsedModules], work: Callable[[RehearsedModules], None]) -> None:
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
        with self._step(Stage.APPLY, chosen.path) as ending:
            done = self._init_and_apply(chosen)
            ending.ok = done.code == 0
        result = replace(result, seconds=ending.seconds)
        if done.code == 0:
            result = replace(result, outcome=ModuleOutcome.APPLIED, error=None)
        elif not self._stopped.is_set():
            result = replace(result, outcome=ModuleOutcome.FAILED, error=done.error)
        self.results[chosen.path] = result

    def _init_and_apply(self, chosen: RehearsedModules) -> Finished:
        try:
            workspace = make_workspace(
                self._folder / chosen.path,
                chosen,
                url=self._url,
                terraform=self._terraform,
                plugins=self._provider.plugins,
            )
            done = workspace.init()
            if done.code or self._stopped.is_set():
                return done if done.code else Finished(1, _INTERRUPTED)
            self._begun[chosen.path] = workspace
            return workspace.apply()
        except (OSError, RolecallError) as error:
            return Finished(1, f"Error: {error}")

    def _destroy(self, chosen: RehearsedModules) -> None:
        with self._step(Stage.DESTROY, chosen.path) as ending:
            try:
                done = self._begun[chosen.path].destroy()
            except RolecallError as error:
                done = Finished(1, f"Error: {error}")
            ending.ok = done.code == 0
        result = self.results[chosen.path]
        self.results[chosen.path] = replace(
            result, destroyed=done.code == 0, destroy_error=done.error if done.code else None
        )


class RehearsalBackend(Protocol):
    """Brings the modules into the sandbox and takes them out again. `results`: every module's outcome by its path."""

    @property
    def results(self) -> Mapping[str, ModuleRehearsal]:
        """What is known so far."""
        ...

    def apply(self) -> None:
        """Bring all in; what one module refuses is in its result."""
        ...

    def destroy(self) -> None:
        """Take out again what was brought in, also after an `apply` that was cut short."""
        ...


class TerraformWay:
    """Through Terraform: the backend first, since the customers' trust names what it makes; it goes last."""

    def __init__(self, chosen: Sequence[RehearsedModules], applier: Applier) -> None:
        self._groups = (
            [item for item in chosen if item.is_backend],
            [item for item in chosen if not item.is_backend],
        )
        self._applier = applier

    @property
    def results(self) -> Mapping[str, ModuleRehearsal]:
        """What is known so far."""
        return self._applier.results

    def apply(self) -> None:
        """Apply group after group."""
        for group in self._groups:
            self._applier.apply(group)

    def destroy(self) -> None:
        """Destroy in the opposite order."""
        for group in reversed(self._groups):
            self._applier.destroy(group)


class ParsedWay:
    """As the files say: read back and provisioned through IAM's API."""

    def __init__(self, chosen: Sequence[RehearsedModules], operator: AdminClient, before: Mapping[str, Access]) -> None:
        self._chosen = chosen
        self._operator = operator
        self._before = before
        self._results: dict[str, ModuleRehearsal] = {}

    @property
    def results(self) -> Mapping[str, ModuleRehearsal]:
        """What is known so far."""
        return self._results

    def apply(self) -> None:
        """Read every module and provision all that is readable."""
        readable = [access for item in self._chosen if (access := self._read(item)) is not None]
        done = provision(by_account(Access.union(readable)), operator=self._operator)
        problems = {account.account_id: "\n".join(account.problems) for account in done.failed}
        for path, result in self._results.items():
            if result.outcome is ModuleOutcome.APPLIED and result.account_id in problems:
                self._results[path] = replace(result, outcome=ModuleOutcome.FAILED, error=problems[result.account_id])

    def _read(self, item: RehearsedModules) -> Access | None:
        result = ModuleRehearsal(item.path, item.account_id, ModuleOutcome.APPLIED)
        access = None
        try:
            parsed = parse_module(item.folder, account_id=item.account_id, partition=item.module.partition)
        except RolecallError as problem:
            errors = [str(problem)]
        else:
            errors = [finding.message for finding in parsed.findings if finding.severity is Severity.ERROR]
            access = parsed.access
        if errors:
            result, access = replace(result, outcome=ModuleOutcome.FAILED, error="\n".join(errors[:3])), None
        self._results[item.path] = result
        return access

    def destroy(self) -> None:
        """Take away whatever the accounts did not have before."""
        done = withdraw(self._before, operator=self._operator)
        problems = {account.account_id: "\n".join(account.problems) for account in done.failed}
        for path, result in self._results.items():
            refusal = problems.get(result.account_id)
            self._results[path] = replace(result, destroyed=refusal is None, destroy_error=refusal)
