"""Lengths of time as people write them: `30s`, `15m`, `2h`, `7d`, `1h30m`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from rolecall_generator.errors import SelectionError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])")
_LONGEST = timedelta(days=36500)


def duration_of(option: str) -> Callable[[str | timedelta], timedelta]:
    """A length of time of an option's text, for Typer's `parser`; more than nothing. Raises SelectionError."""

    def duration(text: str | timedelta) -> timedelta:
        if isinstance(text, timedelta):
            return text
        parts = _PART.findall(text)
        found = timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
        if "".join(number + unit for number, unit in parts) != text or not timedelta(0) < found <= _LONGEST:
            raise SelectionError(f"{text!r} is no length of time", where=option, mend="write 30s, 15m, 2h, 7d or 1h30m")
        return found

    return duration
