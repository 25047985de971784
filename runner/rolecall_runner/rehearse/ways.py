"""The two ways of modules into the sandbox: through real Terraform, or as their files say where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from rolecall_generator.checks.finding import Severity
from rolecall_generator.errors import RolecallError
from rolecall_generator.iam.access import Access, union
from rolecall_generator.parse import parse_module
from rolecall_runner.rehearse.apply import Applier
from rolecall_runner.rehearse.choose import Chosen
from rolecall_runner.rehearse.report import ModuleRehearsal, Outcome
from rolecall_runner.sandbox.operator import Operator
from rolecall_runner.sandbox.provision import by_account, provision, withdraw


class Way(Protocol):
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

    def __init__(self, chosen: Sequence[Chosen], applier: Applier) -> None:
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

    def __init__(self, chosen: Sequence[Chosen], operator: Operator, before: Mapping[str, Access]) -> None:
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
        done = provision(by_account(union(readable)), operator=self._operator)
        problems = {account.account_id: "\n".join(account.problems) for account in done.failed}
        for path, result in self._results.items():
            if result.outcome is Outcome.APPLIED and result.account_id in problems:
                self._results[path] = replace(result, outcome=Outcome.FAILED, error=problems[result.account_id])

    def _read(self, item: Chosen) -> Access | None:
        result = ModuleRehearsal(item.path, item.account_id, Outcome.APPLIED)
        access = None
        try:
            parsed = parse_module(item.folder, account_id=item.account_id, partition=item.module.partition)
        except RolecallError as problem:
            errors = [str(problem)]
        else:
            errors = [finding.message for finding in parsed.findings if finding.severity is Severity.ERROR]
            access = parsed.access
        if errors:
            result, access = replace(result, outcome=Outcome.FAILED, error="\n".join(errors[:3])), None
        self._results[item.path] = result
        return access

    def destroy(self) -> None:
        """Take away whatever the accounts did not have before."""
        done = withdraw(self._before, operator=self._operator)
        problems = {account.account_id: "\n".join(account.problems) for account in done.failed}
        for path, result in self._results.items():
            refusal = problems.get(result.account_id)
            self._results[path] = replace(result, destroyed=refusal is None, destroy_error=refusal)
