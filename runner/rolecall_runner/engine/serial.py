"""One target after the other, in the caller's thread: for debugging, and where order matters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.engine.attempts import ask
from rolecall_runner.engine.execution_options import register
from rolecall_runner.engine.interface import Outside, Settings, Task
from rolecall_runner.results.result import Result
from rolecall_runner.targets import Target


def run_serial(task: Task, targets: Iterable[Target], settings: Settings, outside: Outside) -> Iterator[Result]:
    """An `Engine`. A target's time-out works between its calls: the call that is being made is not cut short."""
    for target in targets:
        if outside.stop.is_set():
            raise InterruptedRunError("interrupted; what was done stays")
        try:
            result = ask(task, target, settings, outside)
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted; what was done stays") from None
        yield result


register("serial", lambda _options: run_serial)
