"""Onboarding: records the hand-over, polls the role until it can be assumed, verifies it, and records the verdict.

The result has a message to the customer, ready to send: without secrets, and with data of only this customer.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from rolecall_generator.bundle import RevocationMethod, grants_of, revocation_methods
from rolecall_generator.errors import CallerError, InterruptedRunError, RejectedCallerError, SelectionError
from rolecall_generator.iam import Access, AccountLabel, Module, ModuleKind
from rolecall_generator.planning import customer_path
from rolecall_generator.records import status_path
from rolecall_runner.aws import RetryPolicy
from rolecall_runner.execution import ExecutionOptions, ProcessLocal, Runtime
from rolecall_runner.inventory import Inventory, Selection, Target, TargetKind, find_target, read_inventory
from rolecall_runner.redact import redact
from rolecall_runner.status import (
    OutputDigests,
    StatusEntry,
    bundle_folders,
    read_module_history,
    read_output_digests,
    read_status,
    record_verdicts,
    store_handover,
)
from rolecall_runner.verify import (
    CAUSES,
    Mark,
    RunConfig,
    Step,
    Verdict,
    VerifyContext,
    VerifyTask,
    customer_message,
    join_message,
    verify,
    written_trust_policy_allows,
)
from rolecall_runner.verify_run import prepare_verify_run

_MAX_ACTIONS = 8
_BUNDLE_FOLDERS = {"Terraform": "terraform", "CloudFormation": "cloudformation", "AWS CLI": "aws-cli", "Console": ""}
"""Bundle folder for each way to revoke the access; empty if the way needs no files."""


@dataclass(frozen=True, slots=True)
class SentBundle:
    """The bundle that was sent to the customer: its folders, file name and date; each is empty if not known."""

    folders: frozenset[str] = frozenset()
    file: str = ""
    date: str = ""


def success_message(target: Target, verdict: Verdict, access: Access, sent: SentBundle, *, now: datetime, run: str) -> str:
    """The message if all checks passed: what was verified, what the vendor can and cannot do, how to revoke the access."""
    found = verdict.redacted()
    parts = [
        f"the access to your AWS account {target.account_id} was checked: everything is as agreed ({now:%Y-%m-%d}).",
        _bullet_list("What we verified", _verified(target, found)),
        _bullet_list("What we can do", _granted(target, access)),
        _bullet_list("What we cannot do", _not_granted(found)),
        _bullet_list(
            "How you can revoke it",
            (f"{method.label}: {method.steps}" for method in revocations(target, access, sent.folders)),
        ),
        _cloudtrail_note(run),
    ]
    return join_message(parts, rehearsal=verdict.rehearsal)


def failure_message(verdict: Verdict, sent: SentBundle) -> str:
    """The message if checks failed: everything that the customer has to do; empty if there is nothing to do."""
    return customer_message(verdict.redacted(), [_newest_files(sent)])


def _cloudtrail_note(run: str) -> str:
    name = f"rolecall-{run.rpartition('-')[2]}"
    return f"In your CloudTrail this check has the session name {name}; our later calls have other suffixes."


def _verified(target: Target, verdict: Verdict) -> Iterable[str]:
    marks = {check.step: check.mark for check in reversed(verdict.checks)}
    how = "with the external ID that we agreed on" if target.external_id is not None else "without an external ID, as agreed"
    yield f"Our role {target.backend_role_arn} can assume {target.role_arn} {how}."
    tries = {
        Step.NO_EXTERNAL_ID: "without an external ID",
        Step.OTHER_EXTERNAL_ID: "with another customer's external ID",
        Step.MADE_UP_EXTERNAL_ID: "with a made-up external ID",
    }
    refused = [how for step, how in tries.items() if marks.get(step) is Mark.REFUSED]
    if refused:
        yield f"It is refused {_join(refused)}: no one can reach your account through us by mistake or by deception."
    if worked := _actions(verdict, Step.GRANTED, Mark.OK):
        yield f"Of the permissions that you granted, we tried {worked}: they work."
    if marks.get(Step.DRIFT) is Mark.OK:
        yield "The role is as it was handed over to you."
    elif marks.get(Step.DRIFT) is Mark.SKIPPED:
        yield "The role may not read its own policies, so we cannot see later changes to them."


def _granted(target: Target, access: Access) -> Iterable[str]:
    role = access.roles.get(target.role_arn)
    if role is not None:
        yield from (str(grant.sentence) for grant in grants_of(role, access))


def _not_granted(verdict: Verdict) -> Iterable[str]:
    yield "Anything else: the role grants nothing that is not listed above."
    if refused := _actions(verdict, Step.OUTSIDE, Mark.REFUSED):
        yield f"We tried {refused}: AWS refused, as intended."


def revocations(target: Target, access: Access, folders: Collection[str] = ()) -> tuple[RevocationMethod, ...]:
    """How a customer can revoke the access. `folders`: those of the customer's bundle; empty if not known."""
    label = AccountLabel(target.name, target.account_id)
    module = Module(ModuleKind.CUSTOMER, customer_path(target.name), target.name, label, target.partition, access)
    return tuple(
        method
        for method in revocation_methods(module)
        if not (folder := _BUNDLE_FOLDERS.get(method.label, "")) or not folders or folder in folders
    )


def _newest_files(sent: SentBundle) -> str:
    """A sentence that names the newest files; empty if they are not known."""
    if not sent.file:
        return ""
    when = f", sent on {sent.date[:10]}" if sent.date else ""
    return f"The newest files are in {sent.file}{when}; its README.md has the details."


def _actions(verdict: Verdict, step: Step, mark: Mark) -> str:
    tried = [check for check in verdict.checks if check.step is step and check.mark is mark]
    found = dict.fromkeys(redact(str(check.evidence.get("action", ""))) for check in tried)
    names = [name for name in found if name]
    more = [f"{len(names) - _MAX_ACTIONS} more"] if len(names) > _MAX_ACTIONS else []
    return _join([*names[:_MAX_ACTIONS], *more])


def _join(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _bullet_list(title: str, items: Iterable[str]) -> str:
    lines = [f"- {item}" for item in items]
    return "\n".join([f"{title}:", *lines]) if lines else ""


_MAX_CAUSES = 3


def describe(verdict: Verdict) -> str:
    """Why the role cannot be assumed, as in `AWS refuses: the role does not exist`; the most likely cause first."""
    causes = [diagnosis.cause for diagnosis in verdict.diagnoses]
    if not causes:
        return "AWS refuses" if verdict.mark is Mark.FAILED else "inconclusive"
    found = ", or ".join(CAUSES[cause].while_waiting or cause.replace("-", " ") for cause in causes[:_MAX_CAUSES])
    return f"AWS refuses: {found}" if verdict.mark is Mark.FAILED else found


FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
_GROWTH = 1.5
_JITTER = 0.2
_MAX_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class PollOptions:
    """Maximum pause between two attempts and time limit of the wait, in seconds. `once`: make a single attempt."""

    every_seconds: float = 30.0
    timeout_seconds: float = 7200.0
    once: bool = False


@dataclass(frozen=True, slots=True)
class PollAttempt:
    """One attempt. `number`: counted from 1. `waited_seconds`: since the start. `pause_seconds`: until the next."""

    verdict: Verdict
    number: int
    waited_seconds: float
    pause_seconds: float | None = None

    @property
    def can_assume(self) -> bool:
        """Whether the role was assumed with the manifest's current external ID."""
        return self.verdict.current_id_accepted

    @property
    def what(self) -> str:
        """A short description of the result."""
        return "the role can be assumed" if self.can_assume else describe(self.verdict)


def wait_for_role(
    try_once: Callable[[], Verdict], poll_options: PollOptions, runtime: Runtime, on_attempt: Callable[[PollAttempt], None]
) -> PollAttempt:
    """Try until the role can be assumed, the timeout expires, `runtime.stop` is set, or waiting cannot help.

    Pauses grow from 5 seconds to `poll_options.every_seconds`, and further while results are inconclusive, with a jitter of
    ±10 %.
    `on_attempt` is called with every attempt; returns the last one.
    """
    started = runtime.clock()
    unclear = 0
    number = 0
    while True:
        number += 1
        verdict = try_once()
        attempt = PollAttempt(verdict, number, runtime.clock() - started)
        unclear = unclear + 1 if verdict.mark in {Mark.INCONCLUSIVE, Mark.UNREACHABLE} else 0
        remaining = poll_options.timeout_seconds - attempt.waited_seconds
        if attempt.can_assume or poll_options.once or remaining <= 0 or _is_permanent(verdict):
            on_attempt(attempt)
            return attempt
        pause = min(remaining, pause_seconds(number, unclear, poll_options, runtime.random()))
        on_attempt(PollAttempt(verdict, number, attempt.waited_seconds, pause))
        runtime.wait(pause)
        if runtime.stop.is_set():
            return attempt


def pause_seconds(number: int, unclear: int, poll_options: PollOptions, jitter: float) -> float:
    """Seconds to wait after `number` attempts, the last `unclear` of them inconclusive. `jitter`: random, 0 to 1."""
    base = min(poll_options.every_seconds, FIRST_PAUSE_SECONDS * _GROWTH ** min(number - 1, 50))
    grown = min(max(poll_options.every_seconds, LONGEST_PAUSE_SECONDS), base * 2.0 ** min(unclear, _MAX_DOUBLINGS))
    return grown * (1 + _JITTER * (jitter - 0.5))


def _is_permanent(verdict: Verdict) -> bool:
    """Whether waiting cannot help: the customer of another backend role, or invalid credentials of the vendor."""
    return verdict.mark is Mark.SKIPPED or any(CAUSES[diagnosis.cause].permanent for diagnosis in verdict.diagnoses[:1])


def _outdated_file(target: Target, context: VerifyContext, found: OutputDigests) -> str:
    """A warning if the module or the bundle is outdated, so that applying it cannot succeed; otherwise empty."""
    name = shlex.quote(target.name)
    if written_trust_policy_allows(target, context) is False:
        return (
            "the generated module does not have the manifest's external ID: "
            f"run gen terraform and gen bundle {name}, then send the bundle"
        )
    if found.bundle_is_old(target):
        return f"the bundle is older than the module: run gen bundle {name}, then send the bundle"
    return ""


VERIFY_ATTEMPTS = 3
"""Maximum number of full runs: policies are created after the role, and IAM is eventually consistent."""

_RUN_ID_BYTES = 3


@dataclass(frozen=True, slots=True)
class OnboardingResult:
    """The result. `verdict`: that of the last full run, or of the last attempt to assume the role (then `run` is empty).

    `message`: the message to the customer; empty if the customer has nothing to do, and if there are `unseen` changes.
    """

    target: Target
    last: PollAttempt
    verdict: Verdict
    run: str
    message: str
    entry: StatusEntry = field(repr=False)

    @property
    def rehearsal(self) -> bool:
        """Whether a sandbox was used instead of AWS."""
        return self.verdict.rehearsal

    @property
    def verified(self) -> bool:
        """Whether all checks passed and the newest module is confirmed to be applied."""
        return bool(self.run) and self.verdict.mark is Mark.OK and not self.unseen

    @property
    def unseen(self) -> tuple[str, ...]:
        """Changes of the newest module that no AWS call can detect; empty unless all checks of a full run passed."""
        pending = self.entry.pending
        return pending.unseen if pending is not None and self.run and self.verdict.mark is Mark.OK else ()


def onboard(
    start: RunConfig,
    name: str,
    *,
    poll_options: PollOptions,
    options: ExecutionOptions,
    runtime: Runtime,
    on_attempt: Callable[[PollAttempt], None],
    warn: Callable[[str], None] = lambda _sentence: None,
    form: str = "",
) -> OnboardingResult:
    """Onboard one customer. `on_attempt` is called with every attempt to assume the role; `runtime.stop` ends the wait.

    `warn` is called with a message if the customer's files are outdated, so that waiting cannot help. `form`: how the
    customer applies modules; empty keeps the recorded form. Raises ManifestError, PlanError, OutputError, SelectionError,
    CallerError, JournalError and StatusError.
    """
    inventory = read_inventory(start.manifest, out=start.out)
    target = _customer(inventory, name)
    context = replace(start, run_id=secrets.token_hex(_RUN_ID_BYTES)).make_context()
    rehearsal = context.rehearsal
    status = status_path(start.out, rehearsal=rehearsal)
    store_handover(
        start.out,
        [target],
        now=runtime.now(),
        rehearsal=rehearsal,
        access=lambda each: context.output_access.get(each.role_arn),
        form=form,
    )
    context = replace(context, history=read_module_history(status, [target]))
    record = partial(
        record_verdicts, start.out, [target], rehearsal=rehearsal, context=context, modules=read_output_digests(start.out)
    )
    if outdated := _outdated_file(target, context, read_output_digests(start.out)):
        warn(outdated)
    last = wait_for_role(lambda: _try_assume(target, context), poll_options, runtime, on_attempt)
    verdict, run = last.verdict, ""
    if last.can_assume:
        for verdict, run in _full_runs(start, inventory, target, options, context, poll_options, runtime):
            record([verdict], now=runtime.now(), run=run)
            if verdict.mark is not Mark.OK:
                on_attempt(replace(last, verdict=verdict, pause_seconds=poll_options.every_seconds))
    elif verdict.mark is Mark.SKIPPED:
        raise CallerError(verdict.checks[0].what, where=target.role_arn, hint="run it with that role, or use --profile")
    elif verdict.mark is not Mark.OK:  # during a rotation, OK can come from the previous ID and does not prove an apply
        record([verdict], now=runtime.now(), run="")
    entry = read_status(status).entry(target)
    sent = _sent(target, start.out, entry, newest=not outdated)
    result = OnboardingResult(target, last, verdict, run, "", entry)
    return result if result.unseen else replace(result, message=_message(target, verdict, run, context, sent, runtime))


def _customer(inventory: Inventory, name: str) -> Target:
    switch_roles = {target.name for target in inventory.targets if target.kind is TargetKind.SWITCH_ROLE}
    customers = {target.name for target in inventory.targets if target.kind is TargetKind.CUSTOMER}
    if name in switch_roles - customers:
        hint = f"runner verify --limit {shlex.quote(name)} checks both of its accounts"
        raise SelectionError(f"{name} is a switch role, which only users can assume", where="NAME", hint=hint)
    return find_target(inventory, name, TargetKind.CUSTOMER)


def _try_assume(target: Target, context: VerifyContext) -> Verdict:
    """Verify without action probes and drift detection, without retries."""
    quick = replace(context.options, actions="none", drift=False, retry=RetryPolicy(attempts=1))
    return verify(target, replace(context, options=quick))


def _full_runs(
    start: RunConfig,
    inventory: Inventory,
    target: Target,
    options: ExecutionOptions,
    context: VerifyContext,
    poll_options: PollOptions,
    runtime: Runtime,
) -> Iterator[tuple[Verdict, str]]:
    """Yield verdicts and run IDs of full verify runs until one is OK, at most VERIFY_ATTEMPTS, or until Ctrl-C."""
    ambiguous = sum(target.name in (each.name, each.account_id) for each in inventory.targets) > 1
    selection = Selection(f"~{re.escape(target.name)}$:&kind=customer" if ambiguous else target.name)
    for number in range(1 if poll_options.once else VERIFY_ATTEMPTS):
        if number:
            runtime.wait(poll_options.every_seconds)
        if runtime.stop.is_set():
            return
        verify_run = prepare_verify_run(start, selection, options, runtime=Runtime(stop=runtime.stop))
        run_context = context.with_run_id(verify_run.record.short_id)
        verify_run.task = VerifyTask(ProcessLocal(partial(_same_context, run_context)))
        try:
            (verdict,) = tuple(verify_run)
        except RejectedCallerError:
            raise
        except InterruptedRunError:
            return
        yield verdict, verify_run.record.run_id
        if verdict.mark is Mark.OK:
            return


def _same_context(context: VerifyContext) -> VerifyContext:
    """The factory of a context that exists already."""
    return context


def _message(target: Target, verdict: Verdict, run: str, context: VerifyContext, sent: SentBundle, runtime: Runtime) -> str:
    if run and verdict.mark is Mark.OK:
        access = context.intended.get(target.role_arn, Access())
        return success_message(target, verdict, access, sent, now=runtime.now(), run=run)
    return failure_message(verdict, sent)


def _sent(target: Target, out: Path, entry: StatusEntry, *, newest: bool) -> SentBundle:
    """The customer's bundle according to output folder and status file. `newest`: whether it is up to date."""
    (folder,) = bundle_folders(out, target)
    date = entry.handed_over.date if entry.handed_over is not None else ""
    if not folder.is_dir():
        return SentBundle(date=date)
    return SentBundle(
        frozenset(each.name for each in folder.iterdir() if each.is_dir()), f"{target.name}.zip" if newest else "", date
    )
