"""`serial`: in batches of how many accounts a play goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import floor
from typing import Any, TypeVar

from rolecall_generator.manifest.tree import ListNode, Mark
from rolecall_runner.play.fields import Fields
from rolecall_runner.play.models import Step

T = TypeVar("T")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_ALL = 100


def batches(accounts: Sequence[T], steps: Sequence[Step]) -> Iterator[tuple[T, ...]]:
    """The accounts in their order, cut into batches; the last step goes for all that follow. No steps: one batch.

    A share is rounded down, but a batch has one account at least, as in Ansible.
    """
    begin = 0
    sizes = [_size(step, len(accounts)) for step in steps] or [len(accounts)]
    number = 0
    while begin < len(accounts):
        size = sizes[min(number, len(sizes) - 1)]
        yield tuple(accounts[begin : begin + size])
        begin += size
        number += 1


def _size(step: Step, total: int) -> int:
    return max(1, floor(step.size * total / _ALL) if step.percent else int(step.size))


def steps_of(fields: Fields) -> tuple[Step, ...]:
    """Read `serial`: a number, a share as `30%`, or a list of them."""
    if "serial" not in fields.node:
        return ()
    found = fields.node["serial"]
    items = found if isinstance(found, ListNode) else [found]
    marks = found.marks if isinstance(found, ListNode) else [fields.mark("serial")]
    if not items:
        fields.bad("serial", "serial is an empty list", "write a number, a share as 30%, or a list of them")
    return tuple(_step(item, mark, fields) for item, mark in zip(items, marks, strict=True))


def _step(item: Any, mark: Mark, fields: Fields) -> Step:
    if isinstance(item, int) and not isinstance(item, bool) and item > 0:
        return Step(item)
    match = _PERCENT.fullmatch(item) if isinstance(item, str) else None
    if match and 0 < float(match[1]) <= _ALL:
        return Step(float(match[1]), percent=True)
    fields.report.add(mark, f"serial {item!r} is no number of accounts", "write a number from 1, or a share from 1% to 100%")
    return Step(1)
