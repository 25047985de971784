"""The Python API: functions, queries and verification for the accounts of a manifest, in AWS or in a sandbox.

>>> from rolecall_runner.api import Fleet, VerifySpec
>>> def networks(session, account):
...     return len(session.client("ec2", account.regions[0]).describe_vpcs()["Vpcs"])
>>> with Fleet("accounts.yaml", limit="account1:account2", sandbox=True) as fleet:
...     for result in sorted(fleet.run(networks), key=lambda result: result.target):
...         print(result.target, result.status, result.data)
...     for row in fleet.query("ec2", "describe_vpcs", select="Vpcs[].{vpc: VpcId, default: IsDefault}"):
...         print(row.account, row.region, row.values["default"])
...     print(sorted(f"{verdict.name} {verdict.mark}" for verdict in fleet.verify(VerifySpec(actions="none"))))
account1 ok 1
account2 refused None
account1 us-east-1 True
['account1 ok', 'account2 ok']
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from rolecall_generator import bundle as bundles  # loads the forms of bundles only if they are used
from rolecall_generator.errors import SelectionError
from rolecall_generator.records import rehearsing, status_path
from rolecall_generator.text import DEFAULT_MANIFEST
from rolecall_generator.workspace import Bundle, ManifestSource, ManifestWorkspace, build_bundle
from rolecall_runner import dataframes
from rolecall_runner import sandbox as aws_sandbox  # imports moto lazily
from rolecall_runner.aws import AwsConfig, Clients, SessionOptions, Sessions, endpoint_from_environment
from rolecall_runner.execution import EngineSettings, ExecutionOptions, Outcome, ProcessLocal, Result, Runtime, Task
from rolecall_runner.inventory import Selection, Target, TargetKind, find_target, select_keys
from rolecall_runner.query import (
    QueryResult,
    QuerySpec,
    QueryTargets,
    Row,
    check_reads,
    load_targets,
    override,
    prepare,
    validate_query,
)
from rolecall_runner.redact import to_json_values
from rolecall_runner.status import StatusError, read_module_history
from rolecall_runner.verify import RunConfig, Verdict, VerifySpec, VerifyTask
from rolecall_runner.verify_run import prepare_verify_run, verdict_of

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from rolecall_runner.account_clients import AccountClients

Bar = tuple[Callable[[int], None], Callable[[int], None]]


@contextmanager
def execution_context(
    manifest: Path, out: Path, *, sandbox: bool, faults: str, bar: Bar, role: str | None = None
) -> Iterator[str]:
    """With `sandbox`, start a sandbox and set its endpoint and credentials in `os.environ`; yields a description ("in AWS").

    `bar`: callbacks for the total and the current number of accounts. Worker processes inherit the environment. Raises
    SandboxError, SelectionError for `faults` or `role` without a sandbox, and the errors of loading a manifest.
    """
    if faults and not sandbox:
        raise SelectionError("faults require a sandbox", where="--faults", hint="add --sandbox, or remove --faults")
    if role is not None and not sandbox:
        raise SelectionError("--as requires a sandbox", where="--as", hint="add --sandbox, or use --profile")
    if not sandbox:
        yield "in AWS"
        return
    started, progress = bar
    with aws_sandbox.in_process_sandbox(
        manifest, out, acting=role, faults=faults, started=started, progress=progress
    ) as world:
        saved = dict(os.environ)
        for key in [key for key in saved if key.startswith("AWS_")]:
            del os.environ[key]
        os.environ.update(aws_sandbox.actor_environment(world.sandbox, world.backend))
        os.environ[aws_sandbox.OPERATOR_VARIABLE] = world.sandbox.operator_credentials().secret
        try:
            yield f"in a sandbox, {world.origin}"
        finally:
            os.environ.clear()
            os.environ.update(saved)


_RUN_ID_BYTES = 3


Function = Callable[["AccountClients", Target], Any]
"""A user's function. Arguments: a session and the account. Returns data, or an Outcome."""


@dataclass(frozen=True)
class FunctionTask:
    """A task that calls a function. The data is converted to JSON values: times in ISO 8601, secrets in replies hidden."""

    function: Function
    connections: ProcessLocal[tuple[Clients, Sessions]]
    name: str = "function"

    def __call__(self, target: Target) -> Outcome:
        """Call the function for one target. Raises the errors of AssumeRole and of the function."""
        from rolecall_runner.account_clients import AccountClients  # noqa: PLC0415 - loads boto3, which no command needs

        clients, sessions = self.connections.get()
        session = sessions.session(target)
        session.get_frozen_credentials()  # raises here, before the function runs, if the role cannot be assumed
        value = self.function(AccountClients(clients, session, target), target)
        if isinstance(value, Outcome):
            return replace(value, data=to_json_values(value.data))
        return Outcome(data=to_json_values(list(value) if isinstance(value, Iterator) else value))


class Rows:
    """The rows of a query, as accounts complete. `errors`: the failures so far, as in `QueryResult.errors`."""

    def __init__(self, answers: Iterable[QueryResult]) -> None:
        self._answers = answers
        self.errors: list[dict[str, str]] = []

    def __iter__(self) -> Iterator[Row]:
        for answer in self._answers:
            self.errors.extend(answer.errors())
            yield from answer.rows()

    def to_pandas(self) -> pandas.DataFrame:
        """The remaining rows as a `pandas.DataFrame`. Values stay Python objects. Raises ToolError without pandas."""
        return dataframes.to_pandas(self)

    def to_arrow(self) -> pyarrow.Table:
        """The remaining rows as a `pyarrow.Table`. Raises ToolError without PyArrow."""
        return dataframes.to_arrow(self)

    def to_polars(self) -> polars.DataFrame:
        """The remaining rows as a `polars.DataFrame`. Raises ToolError without Polars."""
        return dataframes.to_polars(self)


class Fleet:
    """The accounts of a manifest. No request is sent before the first call of `run`, `query`, or `verify`.

    `manifest`: a file, or a `Manifest` object; for an object, the fleet keeps its files in a private temporary folder, which
    `close` deletes.
    `limit`: host pattern; `all` selects only customers, since switch roles are used by people. `out`: output folder of
    `gen terraform`. `region`: Region of the STS endpoint. `sandbox`: use a sandbox instead of AWS until `close` (or the end
    of `with`), with `faults` as in `--faults`; this process's environment then contains its endpoint and credentials.
    `execution`: engine and folder for run records. `session_name`: suffix of session names, `rolecall-NAME`, which identify
    the run in the customer's CloudTrail; random by default. `session`: other names, session policies and a source identity;
    `verify` uses the role without the session policies. Methods raise the errors of the command of the same name
    (ManifestError, SelectionError, CallerError, QueryError, ...); the failure of one account is in its result.
    """

    def __init__(  # noqa: PLR0913 - keyword arguments with defaults
        self,
        manifest: ManifestSource = DEFAULT_MANIFEST,
        *,
        limit: str = "all",
        out: str | Path | None = None,
        profile: str | None = None,
        region: str | None = None,
        sandbox: bool = False,
        faults: str = "",
        execution: ExecutionOptions | None = None,
        session_name: str = "",
        session: SessionOptions | None = None,
    ) -> None:
        self.limit = limit
        self._source = manifest
        self._output = out
        self._workspace: ManifestWorkspace | None = None
        self._execution = execution
        self._profile = profile
        self._region = region
        self._sandbox = sandbox
        self._faults = faults
        self._lock = threading.RLock()
        self._stack = ExitStack()
        self._opened = False
        self._query_targets: QueryTargets | None = None
        self._session = session or SessionOptions()
        self._short_id = session_name or secrets.token_hex(_RUN_ID_BYTES)
        self._connections: ProcessLocal[tuple[Clients, Sessions]] | None = None
        self._clients: Clients | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the sandbox and close connections. The fleet can be used again afterwards."""
        if self._clients is not None:
            self._clients.close()
        self._stack.close()
        self._opened = False
        self._connections = self._clients = None
        if self._workspace is not None:
            if self._workspace.folder is not None:
                self._query_targets = None  # names the files
            self._workspace.delete()
            self._workspace = None

    @property
    def workspace(self) -> ManifestWorkspace:
        """The files of the manifest. Raises ManifestError for an invalid `Manifest` object."""
        with self._lock:
            if self._workspace is None:
                self._workspace = ManifestWorkspace.create(self._source, self._output)
            return self._workspace

    @property
    def manifest(self) -> Path:
        """The manifest file; a temporary one for a `Manifest` object."""
        return self.workspace.manifest

    @property
    def out(self) -> Path:
        """The output folder."""
        return self.workspace.out

    @property
    def execution(self) -> ExecutionOptions:
        """Engine, and folder for run records; for a `Manifest` object, by default a temporary folder."""
        if self._execution is not None:
            return self._execution
        folder = self.workspace.folder
        return ExecutionOptions() if folder is None else ExecutionOptions(runs=folder / "runs")

    @property
    def query_targets(self) -> QueryTargets:
        """Inventory and selected targets, loaded once. Raises ManifestError, PlanError, OutputError, SelectionError."""
        if self._query_targets is None:
            self._query_targets = load_targets(self.manifest, self.out, Selection(self.limit))
        return self._query_targets

    @property
    def rehearsal(self) -> bool:
        """Whether calls go to a sandbox instead of AWS; False before the first call."""
        return self._connections is not None and self._connections.is_created and self._connections.get()[0].rehearsal

    def narrow(self, keys: frozenset[tuple[str, str]], run_id: str) -> None:
        """Limit the selection to these keys (kind and name) of an earlier run. Raises SelectionError if none remains."""
        self._query_targets = replace(
            self.query_targets, targets=tuple(select_keys(self.query_targets.targets, keys, run_id))
        )

    @property
    def accounts(self) -> tuple[Target, ...]:
        """The selected targets, in manifest order."""
        return self.query_targets.targets

    @property
    def connections(self) -> ProcessLocal[tuple[Clients, Sessions]]:
        """Clients and sessions, created once per process. Raises SandboxError; the first `get` raises CallerError."""
        self._open()
        if self._connections is None:
            self._connections = ProcessLocal(partial(self._aws().connect, self._short_id))
        return self._connections

    def run(
        self,
        task: Task | Function,
        accounts: Iterable[Target] | None = None,
        *,
        settings: EngineSettings | None = None,
        runtime: Runtime | None = None,
    ) -> Iterator[Result]:
        """Run a task, or a function `(session, account) -> data`, over the accounts; yields results as they complete.

        `accounts` defaults to all selected ones. Engines with several processes require a module-level function.
        """
        connections = self.connections
        if self._clients is None:
            self._clients, _ = connections.get()
        work: Any = task
        if not isinstance(getattr(task, "name", None), str):
            work = FunctionTask(work, connections, getattr(task, "__name__", "function"))
        chosen = self.accounts if accounts is None else accounts
        options = self.execution if settings is None else replace(self.execution, settings=settings)
        return options.run(work, chosen, runtime)

    def query(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        select: str | None = None,
        where: str | None = None,
        regions: Iterable[str] = (),
        allow_write: bool = False,
    ) -> Rows:
        """Call one operation in every account and Region, as `runner query` does. Raises QueryError for an invalid query.

        `regions`: names, `manifest` (the default), or `enabled`. `select`, `where`: JMESPath over the reply and over rows.
        """
        spec = override(
            QuerySpec(service, operation),
            partition=self.query_targets.inventory.manifest.partition,
            parameters=parameters,
            select=select,
            where=where,
            regions=tuple(regions),
        )
        return Rows(self.execute(validate_query(spec), allow_write=allow_write))

    def execute(self, spec: QuerySpec, *, allow_write: bool = False) -> Iterator[QueryResult]:
        """Execute a validated query and record the run; yields one answer per account. Raises QueryError, CallerError."""
        access_levels = check_reads(spec, allow_write=allow_write)
        self._open()
        return iter(prepare(spec, access_levels, self.query_targets, aws=self._aws(), options=self.execution))

    @overload
    def verify(self, customer: str, options: VerifySpec | None = None) -> Verdict: ...

    @overload
    def verify(self, customer: None = None, options: VerifySpec | None = None) -> Iterator[Verdict]: ...

    @overload
    def verify(self, customer: VerifySpec) -> Iterator[Verdict]: ...

    def verify(
        self, customer: str | VerifySpec | None = None, options: VerifySpec | None = None
    ) -> Verdict | Iterator[Verdict]:
        """Verify one customer, or all selected accounts.

        With a name: returns the verdict, records nothing, and may be called in any thread. An account that cannot be
        reached is a verdict, too. Without: records the run and yields verdicts as they complete; main thread only. Raises
        SelectionError for a name that is not a customer's.
        """
        if isinstance(customer, str):
            return self._verify_customer(customer, options)
        self._open()
        limit = self.limit
        if limit == "all" and self.accounts:  # only customers, as for queries
            limit = "kind=customer" if self.accounts[0].kind == "customer" else "all"
        return iter(prepare_verify_run(self._start(customer or options), Selection(limit), self.execution))

    def _verify_customer(self, name: str, options: VerifySpec | None) -> Verdict:
        target = find_target(self.query_targets.inventory, name, TargetKind.CUSTOMER)
        task = self.verify_task(options)
        context = task.context.get()  # raises CallerError, which is not a fact about the customer
        try:
            serial = replace(self.execution, engine="serial", scheduler=None, scheduler_tls=None)
            (result,) = serial.run(task, [target])
        finally:
            context.clients.close()
        return verdict_of(result, target, rehearsal=context.rehearsal)

    def bundle_for(self, customer: str, options: bundles.BundleOptions | None = None) -> Bundle:
        """Build the bundle of a customer in memory. Raises the errors of `build_bundle`."""
        return build_bundle(self._source, customer, out=self._output, options=options)

    def verify_task(self, options: VerifySpec | None = None) -> VerifyTask:
        """Return a task for `run` that verifies an account; its data is the verdict as JSON values."""
        self._open()
        start = self._start(options, self._short_id)
        with suppress(StatusError):  # optional: without it, an older module is not recognized as such
            status = status_path(self.out, rehearsal=rehearsing(os.environ))
            start = replace(start, history=read_module_history(status, self.accounts))
        return VerifyTask(ProcessLocal(start.make_context))

    def _start(self, options: VerifySpec | None, run_id: str = "") -> RunConfig:
        return RunConfig(self.manifest, self.out, run_id, self._aws(), options or VerifySpec())

    def _aws(self) -> AwsConfig:
        config = AwsConfig(
            self._profile,
            self._region,
            endpoint_from_environment(),
            self.execution.settings.workers,
            session=self._session,
        )
        return config.for_partition(self.query_targets.inventory.manifest.partition)

    def _open(self) -> None:
        with self._lock:
            if self._opened:
                return
            bar = (lambda _total: None), (lambda _done: None)
            self._stack.enter_context(
                execution_context(self.manifest, self.out, sandbox=self._sandbox, faults=self._faults, bar=bar)
            )
            self._opened = True
