"""Plays on a terminal in the form of Ansible, and the lists of `--list-tasks` and `--list-hosts`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rolecall_generator.text import sanitize_line
from rolecall_runner.api import Fleet
from rolecall_runner.plays import Event, Play, PlayStart, PlayStop, Recap, TaskResult, TaskStart, TaskStatus, accounts_of
from rolecall_runner.redact import REHEARSAL, redact

Line = Callable[[str, str], object]
"""Writes a line in a style of rich ("" for none)."""

WIDTH = 79
_SHOWN_CHARACTERS = 160
_STATUSES = {
    TaskStatus.OK: ("green", "ok", ""),
    TaskStatus.CHANGED: ("yellow", "changed", ""),
    TaskStatus.SKIPPED: ("cyan", "skipping", ""),
    TaskStatus.FAILED: ("red", "fatal", "FAILED! => "),
    TaskStatus.UNREACHABLE: ("red", "fatal", "UNREACHABLE! => "),
    TaskStatus.INCONCLUSIVE: ("red", "fatal", "INCONCLUSIVE! => "),
    TaskStatus.IGNORED: ("cyan", "failed", "FAILED! => "),
}
"""Style, first word of the line, and the head of the error."""


class PlayText:
    """Writes events as they arrive; all text is redacted."""

    def __init__(self, line: Line) -> None:
        self._write = line

    def add(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, PlayStart):
            self._head(f"PLAY [{event.play.name}]")
            if not event.accounts:
                self._line("skipping: no accounts matched", "cyan")
        elif isinstance(event, TaskStart):
            what = "RUNNING HANDLER" if event.handler else "TASK"
            self._head(f"{what} [{event.task.name}]")
        elif isinstance(event, TaskResult):
            self._ended(event)
        elif isinstance(event, PlayStop):
            self._line("", "")
            self._line(f"NO MORE ACCOUNTS LEFT: {event.reason}", "red")

    def close(self, recap: Recap) -> None:
        """Write the recap."""
        self._head(f"PLAY RECAP, {REHEARSAL}" if recap.rehearsal else "PLAY RECAP")
        for line, style in recap_lines(recap):
            self._line(line, style)

    def _line(self, text: str, style: str) -> None:
        self._write(sanitize_line(text), style)

    def _head(self, text: str) -> None:
        self._line("", "")
        self._line(f"{text} ".ljust(WIDTH, "*"), "bold")

    def _ended(self, event: TaskResult) -> None:
        style, word, error = _STATUSES[event.status]
        said = _said(event)
        head = f": {error}" if error else " => " if said else " "
        text = f"{word}: [{event.account}]{head}{said}"
        self._line(redact(" ".join(text.split())), style)
        if event.status is TaskStatus.IGNORED:
            self._line("...ignoring", "cyan")


def _said(event: TaskResult) -> str:
    """What follows the status: an error, a number of rows, the output of a script."""
    if event.error:
        code = f"{event.code}: " if event.code and event.code not in event.error else ""
        return f"({event.error})" if event.status is TaskStatus.SKIPPED else f"{code}{event.error}"
    data = event.data
    if isinstance(data.get("results"), list):
        return f"{len(data['results']):,} items"
    if isinstance(data.get("rows"), list):
        missing = f", {len(data['errors']):,} Regions without an answer" if data.get("errors") else ""
        return f"{len(data['rows']):,} rows{missing}"
    if data.get("msg"):
        return str(data["msg"])
    return _short(data["data"]) if data.get("data") is not None else ""


def _short(given: Any) -> str:
    text = given if isinstance(given, str) else json.dumps(given, default=str)
    text = redact(text)  # before it is cut, since half a secret is not recognized
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def recap_lines(recap: Recap) -> Iterator[tuple[str, str]]:
    """Lines such as `account1 : ok=3 changed=0 ...`, each with its style."""
    width = max((len(name) for name in recap.counts), default=0)
    for name, counts in recap.counts.items():
        bad = [status for status in (TaskStatus.FAILED, TaskStatus.UNREACHABLE, TaskStatus.INCONCLUSIVE) if counts[status]]
        style = "red" if bad else "yellow" if counts[TaskStatus.CHANGED] else "green"
        yield f"{name:<{width}} : " + " ".join(f"{status}={counts[status]:<3}" for status in TaskStatus).rstrip(), style


def list_plays(plays: Sequence[Play], fleet: Fleet, *, tasks: bool, hosts: bool) -> list[dict[str, Any]]:
    """The plays as JSON values, without AWS calls. Raises PlayError, ManifestError, SelectionError."""
    found = []
    for number, play in enumerate(plays, 1):
        body: dict[str, Any] = {"play": number, "name": play.name, "pattern": play.hosts}
        if hosts:
            body["hosts"] = [target.name for target in accounts_of(play, fleet)]
        if tasks:
            body["tasks"] = [{"name": task.name, "tags": sorted(task.tags)} for task in play.tasks]
        found.append(body)
    return found


def play_list_lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The same as text, in the form of Ansible."""
    for body in found:
        yield f"play #{body['play']} ({body['name']}): {body['pattern']}"
        if "hosts" in body:
            yield f"  hosts ({len(body['hosts'])}):"
            yield from (f"    {name}" for name in body["hosts"])
        if "tasks" in body:
            yield "  tasks:"
            for task in body["tasks"]:
                yield f"    {task['name']}    TAGS: [{', '.join(task['tags'])}]"
