"""Messages to a customer after a verification, ready to send: without secrets, and with data of only this customer."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from rolecall_generator.bundle import RevocationMethod, grants_of, revocation_methods
from rolecall_generator.iam import Access, AccountLabel, Module, ModuleKind
from rolecall_generator.planning import customer_path
from rolecall_runner.inventory import Target
from rolecall_runner.redact import redact
from rolecall_runner.verify import Mark, Step, Verdict, customer_message, join_message

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
