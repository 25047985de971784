"""What the roll call says of one customer or switch role: its checks, what drifted, and what is the likely cause.

A verdict as it may be shown: without secrets, and named as people know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from rolecall_runner.redact import redact


class Mark(StrEnum):
    """How one check came out; the words are those of the recap line. REFUSED: refused as it must be."""

    OK = "ok"
    REFUSED = "refused"
    SKIPPED = "skipped"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


class Step(StrEnum):
    """The checks of the ladder, in the order in which they are climbed."""

    ASSUME = "assume"
    IDENTITY = "identity"
    NO_EXTERNAL_ID = "no-external-id"
    OTHER_EXTERNAL_ID = "other-external-id"
    MADE_UP_EXTERNAL_ID = "made-up-external-id"
    ASSUME_AGAIN = "assume-again"
    GRANTED = "granted"
    OUTSIDE = "outside"
    DRIFT = "drift"
    CONFIGURATION = "configuration"
    MODULE = "module"


OLDER_MODULE = "older_module"
"""Evidence of a failed check, true when an earlier module that the customer may still have explains the failure."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried. `what` is a sentence for people; `code` and `message` are AWS's, without secrets.

    `evidence` holds what a diagnosis needs besides (action, Region, differences); `seconds` is the time of all `attempts`.
    """

    step: Step
    mark: Mark
    what: str
    code: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The likely cause of what failed, by an id of the documentation, with a hint for the vendor.

    `customer` is this cause's part of the message to the customer, "" when the customer has nothing to do; `update`: the
    customer's part is to apply the newest module. `message.customer_message` joins the parts.
    """

    cause: str
    vendor: str
    customer: str
    update: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The roll call of one customer (`kind` customer) or switch role (`kind` switch-role).

    `rehearsal`: a sandbox answered instead of AWS, so nothing is known about the live account. `form` is how the customer
    applied the module, a key of `message.UPDATES`; "" when it is not known.
    """

    name: str
    kind: str
    account_id: str
    role_arn: str
    checks: tuple[Check, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    rehearsal: bool = False
    form: str = ""

    @property
    def mark(self) -> Mark:
        """The worst mark of all checks; OK when there are none that say otherwise."""
        return worst(check.mark for check in self.checks)

    @property
    def counts(self) -> dict[Mark, int]:
        """How often each mark came out, for the recap line."""
        return {mark: sum(check.mark is mark for check in self.checks) for mark in Mark}

    @property
    def not_rehearsed(self) -> tuple[str, ...]:
        """Actions that were not tried because the sandbox lacks their service or operation, each once."""
        found = (check.evidence.get("not_rehearsed") for check in self.checks)
        return tuple(dict.fromkeys(str(action) for action in found if action))

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values, as journals and reports keep it; `verdict_from_json` reads it back."""
        return {**asdict(self), "mark": str(self.mark)}


_WORSE = (Mark.SKIPPED, Mark.REFUSED, Mark.OK, Mark.INCONCLUSIVE, Mark.UNREACHABLE, Mark.FAILED)


def worst(marks: Iterable[Mark]) -> Mark:
    """The worst of many marks. Checks refused as due are good; a ladder of skipped checks alone was skipped."""
    found = max(marks, key=_WORSE.index, default=Mark.OK)
    return Mark.OK if found is Mark.REFUSED else found


def verdict_from_json(body: Mapping[str, Any]) -> Verdict:
    """Read `Verdict.to_json` back. Raises KeyError, TypeError or ValueError for anything else."""
    return Verdict(
        body["name"],
        body["kind"],
        body["account_id"],
        body["role_arn"],
        tuple(_check(item) for item in body["checks"]),
        tuple(Diagnosis(**item) for item in body["diagnoses"]),
        bool(body.get("rehearsal", False)),
        str(body.get("form", "")),
    )


def _check(body: Mapping[str, Any]) -> Check:
    return Check(**{**body, "step": Step(body["step"]), "mark": Mark(body["mark"])})


TROUBLES = (Mark.FAILED, Mark.UNREACHABLE, Mark.INCONCLUSIVE)
"""Marks that someone must look at, the worst first."""

MEANINGS = {
    Mark.OK: "as intended",
    Mark.REFUSED: "refused, as it must be",
    Mark.FAILED: "not as intended",
    Mark.INCONCLUSIVE: "no clear answer, also after retries",
    Mark.UNREACHABLE: "no answer",
    Mark.SKIPPED: "not tried",
}

SIGNS = {
    Mark.OK: "✓",
    Mark.REFUSED: "⊘",
    Mark.SKIPPED: "-",
    Mark.INCONCLUSIVE: "?",
    Mark.UNREACHABLE: "!",
    Mark.FAILED: "✗",
}
"""A sign for each mark, for those who see no colours."""


def shown(verdict: Verdict) -> Verdict:
    """The verdict with every text redacted; every report shows this one. The role's own ARN stays wherever it stands."""
    hide = _hider(verdict.role_arn)
    return replace(
        verdict,
        checks=tuple(_check_line(check, hide) for check in verdict.checks),
        diagnoses=tuple(
            replace(diagnosis, vendor=hide(diagnosis.vendor), customer=hide(diagnosis.customer))
            for diagnosis in verdict.diagnoses
        ),
    )


def label(verdict: Verdict) -> str:
    """The name, on one line; a switch role says that it is one, since a customer may have the same name."""
    name = " ".join(verdict.name.split())
    return name if verdict.kind == "customer" else f"{name} ({verdict.kind.replace('-', ' ')})"


def said(check: Check) -> str:
    """AWS's answer in one text: `AccessDenied: User ... is not authorized`; empty when there was none."""
    return ": ".join(part for part in (check.code, check.message) if part)


def _hider(role_arn: str) -> Callable[[str], str]:
    """Redacts a text around the ARN: a long path and name of a role can look like a secret key."""
    if not role_arn:
        return redact
    return lambda text: role_arn.join(redact(part) for part in text.split(role_arn))


def _check_line(check: Check, hide: Callable[[str], str]) -> Check:
    return replace(
        check,
        what=hide(check.what),
        code=hide(check.code),
        message=hide(check.message),
        evidence=_hidden(check.evidence, hide),
    )


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    """JSON values with every string redacted, those after the name of a secret whole; others become their words."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {hide(str(key)): _after_name(str(key), _hidden(item, hide)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(item, hide) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else hide(str(value))


def _after_name(key: str, value: Any) -> Any:
    """`redact` knows some secrets by the name before them alone, which a JSON key takes away from the text."""
    if not isinstance(value, str):
        return value
    named = redact(f"{key}: {value}")
    return named.removeprefix(f"{key}: ") if named.startswith(f"{key}: ") else value
