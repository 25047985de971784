"""A play as people who know Ansible read it: PLAY, TASK, a line an account, PLAY RECAP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from rolecall_generator.text import one_line
from rolecall_runner.play.events import Ending, Event, PlayBegins, PlayStops, Recap, TaskBegins, TaskEnded
from rolecall_runner.redact import redact
from rolecall_runner.rehearsal import REHEARSAL

Line = Callable[[str, str], object]
"""Takes a line of text and its style (rich's words, "" for none)."""

WIDTH = 79
_SHOWN_CHARACTERS = 160
_STYLES = {
    Ending.OK: "green",
    Ending.CHANGED: "yellow",
    Ending.SKIPPED: "cyan",
    Ending.FAILED: "red",
    Ending.UNREACHABLE: "red",
    Ending.INCONCLUSIVE: "red",
    Ending.IGNORED: "cyan",
}
_WORDS = {Ending.SKIPPED: "skipping", Ending.FAILED: "fatal", Ending.UNREACHABLE: "fatal", Ending.INCONCLUSIVE: "fatal",
          Ending.IGNORED: "failed"}  # fmt: skip
_CRIES = {Ending.FAILED: "FAILED! => ", Ending.UNREACHABLE: "UNREACHABLE! => ", Ending.INCONCLUSIVE: "INCONCLUSIVE! => ",
          Ending.IGNORED: "FAILED! => "}  # fmt: skip


class TextFace:
    """Writes events as they come. No secret is written: all text is redacted."""

    def __init__(self, line: Line) -> None:
        self._write = line

    def add(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, PlayBegins):
            self._head(f"PLAY [{event.play.name}]")
            if not event.accounts:
                self._line("skipping: no accounts matched", "cyan")
        elif isinstance(event, TaskBegins):
            what = "RUNNING HANDLER" if event.handler else "TASK"
            self._head(f"{what} [{event.task.name}]")
        elif isinstance(event, TaskEnded):
            self._ended(event)
        elif isinstance(event, PlayStops):
            self._line("", "")
            self._line(f"NO MORE ACCOUNTS LEFT: {event.why}", "red")

    def close(self, recap: Recap) -> None:
        """Write the recap."""
        self._head(f"PLAY RECAP, {REHEARSAL}" if recap.rehearsal else "PLAY RECAP")
        for line, style in recap_lines(recap):
            self._line(line, style)

    def _line(self, text: str, style: str) -> None:
        self._write(one_line(text), style)

    def _head(self, text: str) -> None:
        self._line("", "")
        self._line(f"{text} ".ljust(WIDTH, "*"), "bold")

    def _ended(self, event: TaskEnded) -> None:
        word = _WORDS.get(event.ending, str(event.ending))
        said = _said(event)
        arrow = "" if event.ending in _CRIES or not said else "=> "
        text = f"{word}: [{event.account}]{': ' if event.ending in _CRIES else ' '}{_CRIES.get(event.ending, arrow)}{said}"
        self._line(redact(_one_line(text)).rstrip(), _STYLES[event.ending])
        if event.ending is Ending.IGNORED:
            self._line("...ignoring", "cyan")


def _said(event: TaskEnded) -> str:
    """What a line says beyond the ending: an error, a number of rows, what a script gave."""
    if event.error:
        code = f"{event.code}: " if event.code and event.code not in event.error else ""
        return f"({event.error})" if event.ending is Ending.SKIPPED else f"{code}{event.error}"
    data = event.data
    if isinstance(data.get("results"), list):
        return f"{len(data['results']):,} items"
    if isinstance(data.get("rows"), list):
        troubles = f", {len(data['troubles']):,} Regions without an answer" if data.get("troubles") else ""
        return f"{len(data['rows']):,} rows{troubles}"
    if data.get("msg"):
        return str(data["msg"])
    return _short(data["data"]) if data.get("data") is not None else ""


def _short(given: Any) -> str:
    text = given if isinstance(given, str) else json.dumps(given, default=str)
    text = redact(text)  # before it is cut: half a secret is not known as one
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def recap_lines(recap: Recap) -> Iterator[tuple[str, str]]:
    """A line an account: `account1 : ok=3 changed=0 ...`, with its style."""
    width = max((len(name) for name in recap.counts), default=0)
    for name, counts in recap.counts.items():
        bad = [ending for ending in (Ending.FAILED, Ending.UNREACHABLE, Ending.INCONCLUSIVE) if counts[ending]]
        style = "red" if bad else "yellow" if counts[Ending.CHANGED] else "green"
        yield f"{name:<{width}} : " + " ".join(f"{ending}={counts[ending]:<3}" for ending in Ending).rstrip(), style


def _one_line(text: str) -> str:
    return " ".join(text.split())
