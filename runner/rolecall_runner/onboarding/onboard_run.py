"""Is what a customer gets as new as the manifest? Where it is not, no apply of it ends the wait.

`runner onboard` as one call: note the hand-over, wait for the apply, call the roll, keep the verdict, write the text.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rolecall_generator.errors import CallerError, InterruptedRunError, SelectionError
from rolecall_generator.iam import Access
from rolecall_generator.records import status_path
from rolecall_runner.aws import RetryPolicy, Sessions
from rolecall_runner.execution import ExecutionOptions, Outside, PerProcess
from rolecall_runner.inventory import Inventory, Selection, Target, TargetKind, find_target, read_inventory
from rolecall_runner.onboarding.customer_message import Sent, failed_letter, verified_letter
from rolecall_runner.onboarding.waiting import Pace, Sighting, wait_for_role
from rolecall_runner.roll_call import prepare
from rolecall_runner.status import (
    OutputDigests,
    StatusEntry,
    bundle_folders,
    note_hand_over,
    note_verdicts,
    read_history,
    read_status,
    written,
)
from rolecall_runner.verify import (
    CallMemo,
    Mark,
    RunConfig,
    Verdict,
    VerifyContext,
    VerifyTask,
    make_context,
    verify,
    written_trust_allows,
)


def older_than_manifest(target: Target, context: VerifyContext, found: OutputDigests) -> str:
    """What is older, and its hint, in a sentence; "" where nothing is, or nothing is written."""
    name = shlex.quote(target.name)
    if written_trust_allows(target, context) is False:
        return f"the module as written does not take the manifest's external id: gen terraform, gen bundle {name}, send it"
    if found.bundle_is_old(target):
        return f"the bundle is older than the module: gen bundle {name}, and send it"
    return ""


ROLL_CALLS = 3
"""After the first assume: a role's policies come seconds after the role, and IAM takes some to spread them."""

_RUN_ID_BYTES = 3


@dataclass(frozen=True, slots=True)
class Onboarded:
    """How it ended. `verdict` is the roll call's, or that of the last look where the role never let us in (`run` "" then).

    `letter` is the text for the customer, "" when there is nothing for the customer to do.
    """

    target: Target
    last: Sighting
    verdict: Verdict
    run: str
    letter: str
    entry: StatusEntry = field(repr=False)

    @property
    def rehearsal(self) -> bool:
        """Whether a sandbox answered instead of AWS."""
        return self.verdict.rehearsal

    @property
    def verified(self) -> bool:
        """Whether all is as agreed, and the newest module is known to be applied."""
        return bool(self.run) and self.verdict.mark is Mark.OK and not self.unseen

    @property
    def unseen(self) -> tuple[str, ...]:
        """Changes of the newest module that no call could show, where the roll call ended well otherwise."""
        pending = self.entry.pending
        return pending.unseen if pending is not None and self.verdict.mark is Mark.OK else ()


def onboard(
    start: RunConfig,
    name: str,
    *,
    pace: Pace,
    options: ExecutionOptions,
    outside: Outside,
    hear: Callable[[Sighting], None],
    warn: Callable[[str], None] = lambda _sentence: None,
    form: str = "",
) -> Onboarded:
    """Onboard one customer. `hear` gets each look while it waits; `outside.stop` ends the wait.

    `warn` gets what makes the wait idle before it begins: that what was handed over is older than the manifest.
    `form`: the way by which the customer applies modules, "" to leave what is known. Raises ManifestError, PlanError,
    OutputError, SelectionError, CallerError, JournalError and StatusError.
    """
    inventory = read_inventory(start.manifest, out=start.out)
    target = _customer(inventory, name)
    context = make_context(replace(start, run_id=secrets.token_hex(_RUN_ID_BYTES)))
    rehearsal = context.rehearsal
    status = status_path(start.out, rehearsal=rehearsal)
    note_hand_over(
        start.out,
        [target],
        now=outside.now(),
        rehearsal=rehearsal,
        access=lambda each: context.written.get(each.role_arn),
        form=form,
    )
    context = replace(context, history=read_history(status, [target]))
    noting = partial(note_verdicts, start.out, [target], rehearsal=rehearsal, context=context, modules=written(start.out))
    if older := older_than_manifest(target, context, written(start.out)):
        warn(older)
    last = wait_for_role(lambda: _look(target, context), pace, outside, hear)
    verdict, run = last.verdict, ""
    if last.let_in:
        for verdict, run in _roll_calls(start, inventory, target, options, context, pace, outside):
            noting([verdict], now=outside.now(), run=run)
            if verdict.mark is not Mark.OK:
                hear(replace(last, verdict=verdict, pause_seconds=pace.every_seconds))
    elif verdict.mark is Mark.SKIPPED:
        raise CallerError(verdict.checks[0].what, where=target.role_arn, hint="run it there, or name --profile")
    elif verdict.mark is not Mark.OK:  # amid a rotation the previous id may let us in, which says nothing of the apply
        noting([verdict], now=outside.now(), run="")
    entry = read_status(status).of(target)
    sent = _sent(target, start.out, entry, newest=not older)
    ended = Onboarded(target, last, verdict, run, "", entry)
    return ended if ended.unseen else replace(ended, letter=_letter(target, verdict, run, context, sent, outside))


def _customer(inventory: Inventory, name: str) -> Target:
    people = {target.name for target in inventory.targets if target.kind is TargetKind.SWITCH_ROLE}
    customers = {target.name for target in inventory.targets if target.kind is TargetKind.CUSTOMER}
    if name in people - customers:
        hint = f"runner verify --limit {name} checks both of its sides"
        raise SelectionError(f"{name} is a switch role: people use it, the backend role cannot", where="NAME", hint=hint)
    return find_target(inventory, name, TargetKind.CUSTOMER)


def _look(target: Target, context: VerifyContext) -> Verdict:
    """One look: the ladder without probes; where the first assume is refused it ends there."""
    quick = replace(context.options, actions="none", drift=False, retry=RetryPolicy(attempts=1))
    return verify(target, replace(context, options=quick))


def _roll_calls(
    start: RunConfig,
    inventory: Inventory,
    target: Target,
    options: ExecutionOptions,
    context: VerifyContext,
    pace: Pace,
    outside: Outside,
) -> Iterator[tuple[Verdict, str]]:
    """Whole roll calls of this customer alone, with their runs: until one ends well, a few at most, or Ctrl-C."""
    several = sum(target.name in (each.name, each.account_id) for each in inventory.targets) > 1
    selection = Selection(f"~{re.escape(target.name)}$:&kind=customer" if several else target.name)
    for number in range(1 if pace.once else ROLL_CALLS):
        if number:
            outside.wait(pace.every_seconds)
        if outside.stop.is_set():
            return
        call = prepare(start, selection, options, outside=Outside(stop=outside.stop))
        assumer = replace(context.assumer, run_id=call.record.short_id)
        own = replace(context, assumer=assumer, sessions=Sessions(assumer), memory=CallMemo())
        call.task = VerifyTask(PerProcess(partial(_given, own)))
        try:
            (verdict,) = tuple(call)
        except InterruptedRunError:
            return
        yield verdict, call.record.run_id
        if verdict.mark is Mark.OK:
            return


def _given(context: VerifyContext) -> VerifyContext:
    """What was read already, where a roll call would read it anew."""
    return context


def _letter(target: Target, verdict: Verdict, run: str, context: VerifyContext, sent: Sent, outside: Outside) -> str:
    if run and verdict.mark is Mark.OK:
        access = context.intended.get(target.role_arn, Access())
        return verified_letter(target, verdict, access, sent, now=outside.now(), run=run)
    return failed_letter(verdict, sent)


def _sent(target: Target, out: Path, entry: StatusEntry, *, newest: bool) -> Sent:
    """What the customer got, as far as output folder and status file tell. Only the newest file is to be applied."""
    (folder,) = bundle_folders(out, target)
    date = entry.handed_over.date if entry.handed_over is not None else ""
    if not folder.is_dir():
        return Sent(date=date)
    return Sent(
        frozenset(each.name for each in folder.iterdir() if each.is_dir()), f"{target.name}.zip" if newest else "", date
    )
