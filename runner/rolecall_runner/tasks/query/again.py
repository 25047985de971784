"""Asking again what an earlier run asked: its question and its choice of accounts, kept in the run's record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rolecall_runner.choice import Choice
from rolecall_runner.results.journal import JournalError, RunRecord
from rolecall_runner.tasks.query.asked import Wanted, described, make_question, shown_parameters
from rolecall_runner.tasks.query.levels import Judgement
from rolecall_runner.tasks.query.question import FollowUp, QueryError, Question, RegionChoice


def kept(question: Question, judged: tuple[Judgement, ...], choice: Choice) -> str:
    """What a run's record says in `what`: the question for people and SQL, and all that it takes to ask it again."""
    wanted = {
        **asdict(question),
        "parameters": shown_parameters(question.parameters),
        "follow_ups": [{**asdict(each), "parameters": shown_parameters(each.parameters)} for each in question.follow_ups],
    }
    body = described(question) | {"levels": [each.level for each in judged]}
    return json.dumps(body | {"choice": asdict(choice), "wanted": wanted})


def recalled(record: RunRecord) -> tuple[Choice, Question]:
    """Choice and question of an earlier run, checked anew. Raises JournalError where its record does not hold them."""
    try:
        said = json.loads(record.what)
        return Choice(**said["choice"]), make_question(_wanted(said["wanted"]))
    except (ValueError, TypeError, KeyError, AttributeError, QueryError) as error:
        raise JournalError(
            f"run {record.run_id} does not say what it asked", where=record.manifest, mend="start a new run"
        ) from error


def check_alone(choice: Choice, resume: str | None, *, questioned: bool) -> None:
    """Raise QueryError where more is said than a run to resume or to retry; `questioned`: a question is.

    A retry may be of fewer accounts; a resumed run is that run to the end.
    """
    option, name = ("--retry", choice.retry) if resume is None else ("--resume", resume)
    if questioned or (resume is not None and choice != Choice()):
        raise QueryError(
            f"{option} asks what run {name} asked; nothing else can be asked with it",
            where=option,
            mend=f"runner query {option} {name}, or leave out {option}",
        )


def _wanted(body: Mapping[str, Any]) -> Wanted:
    regions = body["regions"]
    return Wanted(
        **{
            **body,
            "regions": tuple(regions) if isinstance(regions, list) else RegionChoice(regions),
            "columns": tuple(body["columns"]),
            "follow_ups": tuple(FollowUp(**{**each, "missing": tuple(each["missing"])}) for each in body["follow_ups"]),
        }
    )
