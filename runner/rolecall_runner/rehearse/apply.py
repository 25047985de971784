"""Modules through real Terraform: applied in groups, two at a time, and destroyed again whatever happened between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rolecall_generator.errors import RolecallError
from rolecall_runner.rehearse.choose import Chosen, reason_to_skip
from rolecall_runner.rehearse.report import ModuleRehearsal, Outcome
from rolecall_runner.rehearse.stages import Stage, Steps
from rolecall_runner.rehearse.workspace import Provider, Workspace, make_workspace
from rolecall_runner.terraform import Finished, Terraform

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

    def apply(self, chosen: Iterable[Chosen]) -> None:
        """Apply modules side by side. What one of them refuses is in its result; a Ctrl-C ends all and is raised."""
        self._each(chosen, self._apply)

    def destroy(self, chosen: Iterable[Chosen]) -> None:
        """Destroy what was begun of these modules, side by side."""
        self._each((item for item in chosen if item.path in self._begun), self._destroy)

    def _each(self, chosen: Iterable[Chosen], work: Callable[[Chosen], None]) -> None:
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

    def _apply(self, chosen: Chosen) -> None:
        result = ModuleRehearsal(chosen.path, chosen.account_id, Outcome.INTERRUPTED, error=_INTERRUPTED)
        self.results[chosen.path] = result
        if reason := reason_to_skip(chosen.module, self._provider.version):
            self.results[chosen.path] = replace(result, outcome=Outcome.SKIPPED, error=reason)
            return
        with self._step(Stage.APPLY, chosen.path) as ending:
            done = self._init_and_apply(chosen)
            ending.ok = done.code == 0
        result = replace(result, seconds=ending.seconds)
        if done.code == 0:
            result = replace(result, outcome=Outcome.APPLIED, error=None)
        elif not self._stopped.is_set():
            result = replace(result, outcome=Outcome.FAILED, error=done.error)
        self.results[chosen.path] = result

    def _init_and_apply(self, chosen: Chosen) -> Finished:
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

    def _destroy(self, chosen: Chosen) -> None:
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
