"""What the roll call says of one customer or switch role: its rungs, what drifted, and what is the likely cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Mark(StrEnum):
    """How one rung came out; the words are those of the recap line. REFUSED: refused as it must be."""

    OK = "ok"
    REFUSED = "refused"
    SKIPPED = "skipped"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


class Step(StrEnum):
    """The rungs of the ladder, in the order in which they are climbed."""

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
"""Evidence of a failed rung, true when an earlier module that the customer may still have explains the failure."""


@dataclass(frozen=True, slots=True)
class Rung:
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
    rungs: tuple[Rung, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    rehearsal: bool = False
    form: str = ""

    @property
    def mark(self) -> Mark:
        """The worst mark of all rungs; OK when there are none that say otherwise."""
        return worst(rung.mark for rung in self.rungs)

    @property
    def counts(self) -> dict[Mark, int]:
        """How often each mark came out, for the recap line."""
        return {mark: sum(rung.mark is mark for rung in self.rungs) for mark in Mark}

    @property
    def not_rehearsed(self) -> tuple[str, ...]:
        """Actions that were not tried because the sandbox lacks their service or operation, each once."""
        found = (rung.evidence.get("not_rehearsed") for rung in self.rungs)
        return tuple(dict.fromkeys(str(action) for action in found if action))

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values, as journals and reports keep it; `verdict_from_json` reads it back."""
        return {**asdict(self), "mark": str(self.mark)}


_WORSE = (Mark.SKIPPED, Mark.REFUSED, Mark.OK, Mark.INCONCLUSIVE, Mark.UNREACHABLE, Mark.FAILED)


def worst(marks: Iterable[Mark]) -> Mark:
    """The worst of many marks. Rungs refused as due are good; a ladder of skipped rungs alone was skipped."""
    found = max(marks, key=_WORSE.index, default=Mark.OK)
    return Mark.OK if found is Mark.REFUSED else found


def verdict_from_json(body: Mapping[str, Any]) -> Verdict:
    """Read `Verdict.to_json` back. Raises KeyError, TypeError or ValueError for anything else."""
    return Verdict(
        body["name"],
        body["kind"],
        body["account_id"],
        body["role_arn"],
        tuple(_rung(item) for item in body["rungs"]),
        tuple(Diagnosis(**item) for item in body["diagnoses"]),
        bool(body.get("rehearsal", False)),
        str(body.get("form", "")),
    )


def _rung(body: Mapping[str, Any]) -> Rung:
    return Rung(**{**body, "step": Step(body["step"]), "mark": Mark(body["mark"])})
