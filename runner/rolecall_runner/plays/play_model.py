"""Data model of plays: validated plays and tasks, the events of a run, and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from rolecall_generator.errors import ExitCode, Problem, RolecallError
from rolecall_generator.manifest.yaml_source import Place
from rolecall_runner.plays.templating import Expression, Value
from rolecall_runner.verify import VerifySpec


class PlayError(RolecallError):
    """The play or the options are invalid; no task was started."""

    exit_code = ExitCode.USAGE


class PlayFileError(PlayError):
    """A play file is invalid; `problems` holds all errors with line, column, and hint."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        super().__init__(f"{len(self.problems)} {noun} in the play file")

    def __str__(self) -> str:
        return "\n".join([*(str(problem) for problem in self.problems), self.what])


DEFAULT_RETRIES = 3
DEFAULT_DELAY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PlayStep:
    """Size of a batch: a number of accounts, or a percentage of the accounts of the play."""

    size: float
    percent: bool = False


class _WithArguments:
    """Base of actions whose expressions are all in `arguments`."""

    __slots__ = ()
    arguments: Value

    @property
    def names(self) -> frozenset[str]:
        """Names of the variables in the action."""
        return self.arguments.names


@dataclass(frozen=True, slots=True)
class QueryAction(_WithArguments):
    """Run a query. `arguments`: its settings, such as parameters and select; service and operation are constants.

    `writes`: at least one call is not a read operation.
    """

    arguments: Value
    writes: bool = False
    allow_write: bool = False
    kind: Literal["query"] = "query"


@dataclass(frozen=True, slots=True)
class VerifyAction:
    """Verify the account."""

    spec: VerifySpec = field(default_factory=VerifySpec)
    kind: Literal["verify"] = "verify"
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AssertAction:
    """Assert that all expressions are true."""

    that: tuple[Expression, ...]
    fail_msg: Value | None = None
    success_msg: Value | None = None
    kind: Literal["assert"] = "assert"

    @property
    def names(self) -> frozenset[str]:
        """Names of the variables in the action."""
        own = [each for each in (self.fail_msg, self.success_msg, *self.that) if each is not None]
        return frozenset(name for each in own for name in each.names)


@dataclass(frozen=True, slots=True)
class ScriptAction(_WithArguments):
    """A Python function `(session, account, **arguments)`: `module:function`, or `file.py:function` next to the play."""

    function: str
    arguments: Value
    kind: Literal["script"] = "script"


@dataclass(frozen=True, slots=True)
class PluginAction(_WithArguments):
    """A third-party task, by its name in the entry point group `rolecall.tasks`."""

    name: str
    arguments: Value
    kind: Literal["plugin"] = "plugin"


Action = QueryAction | VerifyAction | AssertAction | ScriptAction | PluginAction


@dataclass(frozen=True, slots=True)
class PlayTask:
    """A task. `tags` include those of the play. `retries`: attempts after the first. `delay`: seconds between attempts."""

    name: str
    place: Place
    action: Action
    when: tuple[Expression, ...] = ()
    loop: Value | None = None
    register: str | None = None
    tags: frozenset[str] = frozenset()
    until: tuple[Expression, ...] = ()
    retries: int = DEFAULT_RETRIES
    delay: float = DEFAULT_DELAY_SECONDS
    ignore_errors: bool = False
    notify: tuple[str, ...] = ()
    changed_when: tuple[Expression, ...] | None = None
    failed_when: tuple[Expression, ...] | None = None

    @property
    def names(self) -> frozenset[str]:
        """Names of the variables in the task."""
        conditions = (*self.when, *self.until, *(self.changed_when or ()), *(self.failed_when or ()))
        own = [each for each in (self.loop, *conditions) if each is not None]
        return frozenset(name for each in own for name in each.names) | self.action.names

    @property
    def may_write(self) -> bool:
        """Whether the task may change something; such tasks are not run with --check."""
        return self.action.kind in {"script", "plugin"} or (isinstance(self.action, QueryAction) and self.action.writes)


@dataclass(frozen=True, slots=True)
class Play:
    """A play. `max_fail_percentage` None: the play stops only if all accounts of a batch fail."""

    name: str
    place: Place
    hosts: str
    variables: Mapping[str, Value] = field(default_factory=dict)
    serial: tuple[PlayStep, ...] = ()
    max_fail_percentage: float | None = None
    tasks: tuple[PlayTask, ...] = ()
    handlers: tuple[PlayTask, ...] = ()


JsonObject = dict[str, Any]


class TaskStatus(StrEnum):
    """Result of a task in one account."""

    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    INCONCLUSIVE = "inconclusive"
    IGNORED = "ignored"


FAILED_STATUSES = frozenset({TaskStatus.FAILED, TaskStatus.UNREACHABLE, TaskStatus.INCONCLUSIVE})
"""Results after which the account is excluded from further tasks."""


@dataclass(frozen=True, slots=True)
class PlayStart:
    """A play starts. `accounts`: their number; 0: the play is skipped."""

    play: Play
    accounts: int


@dataclass(frozen=True, slots=True)
class TaskStart:
    """A task or handler starts for the accounts of a batch."""

    task: PlayTask
    handler: bool = False


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task ended in one account. `data` is registered; `seconds` covers all attempts."""

    account: str
    account_id: str
    task: PlayTask
    status: TaskStatus
    data: JsonObject
    error: str = ""
    code: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PlayStop:
    """The run stops for this reason."""

    play: Play
    reason: str


@dataclass(slots=True)
class Recap:
    """Number of results by account, in order of appearance. `rehearsal`: the run used a sandbox instead of AWS."""

    counts: dict[str, dict[TaskStatus, int]] = field(default_factory=dict)
    stopped: str = ""
    rehearsal: bool = False

    def add(self, event: TaskResult) -> None:
        """Count one result."""
        own = self.counts.setdefault(event.account, dict.fromkeys(TaskStatus, 0))
        own[event.status] += 1
        if event.status is TaskStatus.CHANGED:  # as in Ansible, changed also counts as ok
            own[TaskStatus.OK] += 1

    def any(self, statuses: frozenset[TaskStatus]) -> bool:
        """Whether any account has one of these results."""
        return any(count[status] for count in self.counts.values() for status in statuses)


Event = PlayStart | TaskStart | TaskResult | PlayStop
