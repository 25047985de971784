"""What to tell the customer after the roll call: a text to be sent as it is. Without secrets, and of this customer alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rolecall_generator.bundle import grants_of, revoking
from rolecall_generator.iam import Access, AccountLabel, Module, ModuleKind
from rolecall_generator.planning import customer_path
from rolecall_runner.inventory import Target
from rolecall_runner.redact import REHEARSAL, redact
from rolecall_runner.verify import HELLO, THANKS, Check, Mark, Step, Verdict, customer_message, shown

_TRIED = 8
_WAYS = {"Terraform": "terraform", "CloudFormation": "cloudformation", "AWS CLI": "aws-cli", "Console": ""}
"""The bundle's folder of each way to remove the access; "" needs none."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the customer got: the bundle's folders ("" for none known) and its file's name; the day, "" when not known."""

    folders: frozenset[str] = frozenset()
    file: str = ""
    date: str = ""


def verified_letter(target: Target, verdict: Verdict, access: Access, sent: Sent, *, now: datetime, run: str) -> str:
    """All is as agreed: what we saw, what we can and cannot do, how to take it back."""
    parts = [
        f"[{REHEARSAL}: do not send this]" if verdict.rehearsal else "",
        HELLO,
        f"the access to your AWS account {target.account_id} is checked: all is as agreed ({now:%Y-%m-%d}).",
        _list("What we saw", _saw(target, shown(verdict))),
        _list("What we can do", _can(target, access)),
        _list("What we cannot do", _cannot(shown(verdict))),
        _list("How you take it back", _back(target, access, sent)),
        _trail(run),
        THANKS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def failed_letter(verdict: Verdict, sent: Sent) -> str:
    """What has to be done in the customer's account, the likeliest cause first; "" when the customer has nothing to do."""
    return customer_message(shown(verdict), [_which(sent)])


def _trail(run: str) -> str:
    name = f"rolecall-{run.rpartition('-')[2]}"
    return f"In your CloudTrail this check has the session name {name}; later calls of ours have other endings."


def _saw(target: Target, verdict: Verdict) -> Iterable[str]:
    marks = {check.step: check.mark for check in reversed(verdict.checks)}
    how = "with the external id that we agreed on" if target.external_id is not None else "without an external id, as agreed"
    yield f"Our role {target.backend_role_arn} can assume {target.role_arn} {how}."
    tries = {
        Step.NO_EXTERNAL_ID: "without an external id",
        Step.OTHER_EXTERNAL_ID: "with another customer's external id",
        Step.MADE_UP_EXTERNAL_ID: "with a made-up external id",
    }
    refused = [words for step, words in tries.items() if marks.get(step) is Mark.REFUSED]
    if refused:
        yield f"It is refused {_joined(refused)}: no one can reach your account through us by mistake or deceit."
    if worked := _actions(verdict, Step.GRANTED, Mark.OK):
        yield f"Of what you granted we tried {worked}: it works."
    if marks.get(Step.DRIFT) is Mark.OK:
        yield "The role is as it was handed over to you."
    elif marks.get(Step.DRIFT) is Mark.SKIPPED:
        yield "The role may not read its own policies, so we do not see later changes of them."


def _can(target: Target, access: Access) -> Iterable[str]:
    role = access.roles.get(target.role_arn)
    if role is not None:
        yield from (str(grant.said) for grant in grants_of(role, access))


def _cannot(verdict: Verdict) -> Iterable[str]:
    yield "Anything else: the role grants nothing that is not listed above."
    if refused := _actions(verdict, Step.OUTSIDE, Mark.REFUSED):
        yield f"Of that we tried {refused}: AWS refused it, as it must be."


def _back(target: Target, access: Access, sent: Sent) -> Iterable[str]:
    label = AccountLabel(target.name, target.account_id)
    module = Module(ModuleKind.CUSTOMER, customer_path(target.name), target.name, label, target.partition, access)
    for way in revoking(module):
        folder = _WAYS.get(way.when, "")
        if not folder or not sent.folders or folder in sent.folders:
            yield f"{way.when}: {way.how}"


def _which(sent: Sent) -> str:
    """Which file is to be applied again."""
    if not sent.file:
        return ""
    when = f", sent on {sent.date[:10]}" if sent.date else ""
    return f"The newest files are in {sent.file}{when}; its README.md has the details."


def _actions(verdict: Verdict, step: Step, mark: Mark) -> str:
    found = dict.fromkeys(_action(check) for check in verdict.checks if check.step is step and check.mark is mark)
    names = [name for name in found if name]
    more = [f"{len(names) - _TRIED} more"] if len(names) > _TRIED else []
    return _joined([*names[:_TRIED], *more])


def _action(check: Check) -> str:
    return redact(str(check.evidence.get("action", "")))


def _joined(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _list(title: str, items: Iterable[str]) -> str:
    lines = [f"- {item}" for item in items]
    return "\n".join([f"{title}:", *lines]) if lines else ""
