"""A play's run as one JSON object, as Ansible's callback of that name gives it: plays, their tasks, accounts, stats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rolecall_generator.text import json_text
from rolecall_runner.play.events import Event, PlayBegins, PlayStops, Recap, TaskBegins, TaskEnded
from rolecall_runner.redact import redact


class JsonFace:
    """`{"plays": [{"name", "tasks": [{"name", "hosts": {account: {...}}}]}], "stats": {account: {...}}, "rehearsal": bool}`.

    Written at the end. No secret is written: every text is redacted.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._plays: list[dict[str, Any]] = []

    def add(self, event: Event) -> None:
        """Keep one event."""
        if isinstance(event, PlayBegins):
            self._plays.append({"name": event.play.name, "accounts": event.accounts, "tasks": [], "stopped": ""})
        elif isinstance(event, TaskBegins):
            body = {"name": event.task.name, "handler": event.handler, "hosts": {}}
            self._plays[-1]["tasks"].append(body)
        elif isinstance(event, TaskEnded):
            body = {
                **event.data,
                "account_id": event.account_id,
                "ending": str(event.ending),
                "seconds": round(event.seconds, 3),
            }
            self._plays[-1]["tasks"][-1]["hosts"][event.account] = redacted(body)
        elif isinstance(event, PlayStops):
            self._plays[-1]["stopped"] = event.why

    def close(self, recap: Recap) -> None:
        """Write the object."""
        stats = {name: {str(ending): count for ending, count in own.items()} for name, own in recap.counts.items()}
        body = {"plays": self._plays, "stats": stats, "rehearsal": recap.rehearsal}
        self._write(json_text(body, indent=2, default=str) + "\n")


def redacted(given: Any, key: str = "") -> Any:
    """JSON values with every text redacted; a key that names a secret hides its text."""
    if isinstance(given, str):
        named = f"{key}: {redact(given)}"
        return redact(named).removeprefix(f"{key}: ") if key else redact(given)
    if isinstance(given, Mapping):
        return {str(name): redacted(item, str(name)) for name, item in given.items()}
    return [redacted(item, key) for item in given] if isinstance(given, list | tuple) else given
