"""A play that was read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rolecall_generator.manifest.tree import Place
from rolecall_runner.play.templating import Expression, Value
from rolecall_runner.tasks.verify.spec import VerifySpec

DEFAULT_RETRIES = 3
DEFAULT_DELAY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """How many accounts a batch has: a number of them, or a share of all in percent."""

    size: float
    percent: bool = False


@dataclass(frozen=True, slots=True)
class QueryAction:
    """Ask AWS. `arguments` are those of a query: parameters, select, ...; service and operation are plain texts."""

    arguments: Value
    writes: bool = False
    allow_write: bool = False
    kind: Literal["query"] = "query"

    @property
    def names(self) -> frozenset[str]:
        """The variables that it reads."""
        return self.arguments.names


@dataclass(frozen=True, slots=True)
class VerifyAction:
    """Verify the account."""

    spec: VerifySpec = field(default_factory=VerifySpec)
    kind: Literal["verify"] = "verify"
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AssertAction:
    """All of these must be true."""

    that: tuple[Expression, ...]
    fail_msg: Value | None = None
    success_msg: Value | None = None
    kind: Literal["assert"] = "assert"

    @property
    def names(self) -> frozenset[str]:
        """The variables that it reads."""
        own = [each for each in (self.fail_msg, self.success_msg, *self.that) if each is not None]
        return frozenset(name for each in own for name in each.names)


@dataclass(frozen=True, slots=True)
class ScriptAction:
    """A Python function `(session, account, **arguments)`: `module:function`, or `file.py:function` beside the play."""

    function: str
    arguments: Value
    kind: Literal["script"] = "script"

    @property
    def names(self) -> frozenset[str]:
        """The variables that it reads."""
        return self.arguments.names


@dataclass(frozen=True, slots=True)
class PluginAction:
    """A task of somebody else, by its name in the entry point group `rolecall.tasks`."""

    name: str
    arguments: Value
    kind: Literal["plugin"] = "plugin"

    @property
    def names(self) -> frozenset[str]:
        """The variables that it reads."""
        return self.arguments.names


Action = QueryAction | VerifyAction | AssertAction | ScriptAction | PluginAction


@dataclass(frozen=True, slots=True)
class PlayTask:
    """One task. `tags` include the play's. `retries` count beside the first try; `delay` is in seconds."""

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
        """The variables that the task reads."""
        conditions = (*self.when, *self.until, *(self.changed_when or ()), *(self.failed_when or ()))
        own = [each for each in (self.loop, *conditions) if each is not None]
        return frozenset(name for each in own for name in each.names) | self.action.names

    @property
    def acts(self) -> bool:
        """Whether it may change something, as far as anybody knows: such a task is not run under --check."""
        return self.action.kind in {"script", "plugin"} or (isinstance(self.action, QueryAction) and self.action.writes)


@dataclass(frozen=True, slots=True)
class Play:
    """One play. `max_fail_percentage` None: the play goes on while any account of a batch is left."""

    name: str
    place: Place
    hosts: str
    variables: Mapping[str, Value] = field(default_factory=dict)
    serial: tuple[Step, ...] = ()
    max_fail_percentage: float | None = None
    tasks: tuple[PlayTask, ...] = ()
    handlers: tuple[PlayTask, ...] = ()


JsonObject = dict[str, Any]
