"""`--list-tasks` and `--list-hosts`: what a run would be, without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rolecall_runner.fleet import Fleet
from rolecall_runner.play.models import Play
from rolecall_runner.play.running import accounts_of


def listed(plays: Sequence[Play], fleet: Fleet, *, tasks: bool, hosts: bool) -> list[dict[str, Any]]:
    """The plays as JSON values; nothing is asked of AWS. Raises PlayError, ManifestError, SelectionError."""
    found = []
    for number, play in enumerate(plays, 1):
        body: dict[str, Any] = {"play": number, "name": play.name, "pattern": play.hosts}
        if hosts:
            body["hosts"] = [target.name for target in accounts_of(play, fleet)]
        if tasks:
            body["tasks"] = [{"name": task.name, "tags": sorted(task.tags)} for task in play.tasks]
        found.append(body)
    return found


def listing_lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The same for people, as Ansible shows it."""
    for body in found:
        yield f"play #{body['play']} ({body['name']}): {body['pattern']}"
        if "hosts" in body:
            yield f"  hosts ({len(body['hosts'])}):"
            yield from (f"    {name}" for name in body["hosts"])
        if "tasks" in body:
            yield "  tasks:"
            for task in body["tasks"]:
                yield f"    {task['name']}    TAGS: [{', '.join(task['tags'])}]"
