"""Plays: files of queries and actions over accounts."""

from rolecall_runner.plays.play_file import installed_tasks, load_plays
from rolecall_runner.plays.play_model import Event, Play, PlayStart, PlayStop, Recap, TaskResult, TaskStart, TaskStatus
from rolecall_runner.plays.play_runner import HandlerFactory, Runner, accounts_of
from rolecall_runner.plays.play_session import (
    PlayOptions,
    TaskFilter,
    prepare_play_run,
    select_tasks,
    tags_of,
)

__all__ = [
    "Event",
    "HandlerFactory",
    "Play",
    "PlayOptions",
    "PlayStart",
    "PlayStop",
    "Recap",
    "Runner",
    "TaskFilter",
    "TaskResult",
    "TaskStart",
    "TaskStatus",
    "accounts_of",
    "installed_tasks",
    "load_plays",
    "prepare_play_run",
    "select_tasks",
    "tags_of",
]
