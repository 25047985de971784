"""Which tasks of a play are run: by tags, and from which task on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from rolecall_generator.manifest.messages import suggest
from rolecall_runner.play.errors import PlayError
from rolecall_runner.play.models import Play, PlayTask

ALL, TAGGED, UNTAGGED, ALWAYS, NEVER = "all", "tagged", "untagged", "always", "never"
_SPECIAL = frozenset({ALL, TAGGED, UNTAGGED, ALWAYS, NEVER})


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What the command line says of tasks. No tags: all but those tagged `never`."""

    tags: frozenset[str] = frozenset()
    skip_tags: frozenset[str] = frozenset()
    start_at: str | None = None


def tags_of(texts: Iterable[str]) -> frozenset[str]:
    """Tags of options, with commas."""
    return frozenset(part.strip() for text in texts for part in text.split(",") if part.strip())


def wanted(own: Collection[str], wish: TaskFilter) -> bool:
    """Whether a task with these tags is run, by Ansible's rules.

    `--tags`: one of them is the task's, or the task is `always`; `all`, `tagged` and `untagged` mean what they say. A task
    that is `never` needs one of its tags to be named. `--skip-tags` wins; `--skip-tags all` leaves what is `always`.
    """
    mine = set(own) or {UNTAGGED}
    asked = wish.tags or {ALL}
    run = (
        ALWAYS in mine
        or (ALL in asked and NEVER not in mine)
        or bool(mine & asked)
        or (TAGGED in asked and UNTAGGED not in mine and NEVER not in mine)
    )
    skip = wish.skip_tags
    if ALL in skip:
        return run and ALWAYS in mine and ALWAYS not in skip
    return run and not mine & skip and not (TAGGED in skip and UNTAGGED not in mine)


def choose_tasks(plays: Sequence[Play], wish: TaskFilter) -> tuple[Play, ...]:
    """The plays with the tasks that are to run. Raises PlayError for a tag or a task's name that is nowhere."""
    every = [task for play in plays for task in (*play.tasks, *play.handlers)]
    known = {tag for task in every for tag in task.tags}
    for option, tags in (("--tags", wish.tags), ("--skip-tags", wish.skip_tags)):
        for tag in sorted(tags - known - _SPECIAL):
            raise PlayError(f"no task has the tag {tag}", where=option, mend=suggest(tag, sorted(known), "tags are"))
    chosen = plays if wish.start_at is None else _from(plays, wish.start_at)
    return tuple(replace(play, tasks=tuple(task for task in play.tasks if wanted(task.tags, wish))) for play in chosen)


def _from(plays: Sequence[Play], start: str) -> tuple[Play, ...]:
    for number, play in enumerate(plays):
        for index, task in enumerate(play.tasks):
            if task.name == start or fnmatchcase(task.name, start):
                return (replace(play, tasks=play.tasks[index:]), *plays[number + 1 :])
    names: list[PlayTask] = [task for play in plays for task in play.tasks]
    mend = suggest(start, [task.name for task in names], "tasks are")
    raise PlayError(f"no task is called {start}", where="--start-at-task", mend=mend)
