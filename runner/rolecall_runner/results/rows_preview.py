"""What a query would do, as lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rolecall_runner.tasks.query.preflight import Forecast, Preview
from rolecall_runner.tasks.query.validate import parameters_json

_SHOWN = 10


def preview_lines(found: Preview) -> Iterator[str]:
    """Each call with its action and level, how many there are at least, and who cannot answer."""
    first, *further = found.judged
    parameters = parameters_json(found.spec.parameters)
    with_what = f" with {json.dumps(parameters)}" if parameters else ""
    yield f"{first.service} {first.operation}{with_what}"
    yield f"  action {first.action}, access level {first.level}{_refused(first.reads)}"
    for each in further:
        yield f"for each row: {each.service} {each.operation}"
        yield f"  action {each.action}, access level {each.level}{_refused(each.reads)}"
    where = "once an account" if found.once else "a Region each"
    yield f"{found.accounts:,} accounts, {found.places:,} first calls ({where}), one more for each further page"
    if found.unknown_places:
        yield f"and the enabled Regions of {found.unknown_places:,} accounts, which they are asked for first"
    yield from _who("cannot answer", found.unable)
    yield from _who("may or may not answer", found.uncertain)
    yield "nothing was sent"


def _refused(reads: bool) -> str:
    return "" if reads else ": refused without --allow-write"


def _who(what: str, forecasts: tuple[Forecast, ...]) -> Iterator[str]:
    if forecasts:
        yield f"{what}: {len(forecasts):,}"
    for each in forecasts[:_SHOWN]:
        yield f"  {each.account}: {each.why}"
    if len(forecasts) > _SHOWN:
        yield f"  and {len(forecasts) - _SHOWN:,} more (--format json has them all)"
