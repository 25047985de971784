"""Plays: files of queries and actions over accounts."""

from rolecall_runner.plays.action_handlers import HandlerFactory
from rolecall_runner.plays.play_file import load_plays
from rolecall_runner.plays.play_model import Event, Play, PlayBegins, PlayStops, Recap, TaskBegins, TaskEnded, TaskEnding
from rolecall_runner.plays.play_runner import Runner, accounts_of
from rolecall_runner.plays.play_session import (
    PlayOptions,
    TaskFilter,
    choose_tasks,
    played_of,
    tags_of,
)
from rolecall_runner.plays.scripts import installed_tasks

__all__ = [
    "Event",
    "HandlerFactory",
    "Play",
    "PlayBegins",
    "PlayOptions",
    "PlayStops",
    "Recap",
    "Runner",
    "TaskBegins",
    "TaskEnded",
    "TaskEnding",
    "TaskFilter",
    "accounts_of",
    "choose_tasks",
    "installed_tasks",
    "load_plays",
    "played_of",
    "tags_of",
]
