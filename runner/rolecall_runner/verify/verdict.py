"""The verdict on one target: its checks with their marks, the diagnoses, and the JSON form of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from rolecall_runner.redact import redact


class Mark(StrEnum):
    """The result of one check, and the worst of them as the result of a target. REFUSED: AWS refused, as intended."""

    OK = "ok"
    REFUSED = "refused"
    SKIPPED = "skipped"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"
    FAILED = "failed"

    @property
    def sign(self) -> str:
        """One character, so that the mark is readable without colors."""
        return _SIGNS_AND_MEANINGS[self][0]

    @property
    def meaning(self) -> str:
        """A short explanation for legends."""
        return _SIGNS_AND_MEANINGS[self][1]

    @staticmethod
    def problems() -> tuple[Mark, ...]:
        """The marks that need attention, the worst first."""
        return Mark.FAILED, Mark.UNREACHABLE, Mark.INCONCLUSIVE

    @staticmethod
    def worst(marks: Iterable[Mark]) -> Mark:
        """The worst of the marks. REFUSED and an empty list count as OK; SKIPPED results only if all are SKIPPED."""
        found = max(marks, key=_SEVERITY.index, default=Mark.OK)
        return Mark.OK if found is Mark.REFUSED else found


_SEVERITY = (Mark.SKIPPED, Mark.REFUSED, Mark.OK, Mark.INCONCLUSIVE, Mark.UNREACHABLE, Mark.FAILED)
_SIGNS_AND_MEANINGS: Mapping[Mark, tuple[str, str]] = {
    Mark.OK: ("✓", "as intended"),
    Mark.REFUSED: ("⊘", "refused, as intended"),
    Mark.SKIPPED: ("-", "not tried"),
    Mark.INCONCLUSIVE: ("?", "inconclusive, even after retries"),
    Mark.UNREACHABLE: ("!", "no response"),
    Mark.FAILED: ("✗", "not as intended"),
}


class Step(StrEnum):
    """The kinds of checks, in the order in which they run."""

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
"""Evidence key: true for a failed check that an earlier module, which may still be applied, explains."""
_UNSEEN = "unseen"
"""Evidence key of a skipped check under Step.MODULE: the changes that no call of this run could show."""
WHICH = "external_id"
"""Evidence key of a check that sent another external ID than the current one: CURRENT, PREVIOUS or RETIRED."""
CURRENT, PREVIOUS, RETIRED = "current", "previous", "retired"
WHOLE_ACCOUNT, ANY_ACCOUNT = "account", "everyone"
"""Values of the evidence `trusts`: who the trust policy allows besides the backend role."""
ROTATION = "rotation"
"""Evidence key of one check while a rotation is in progress: a `RotationState`."""


class RotationState(StrEnum):
    """Progress of a rotation: the role accepts only the previous external ID, both (it can be finished), or only the new."""

    WAITING = "waiting"
    BOTH = "both"
    NEW_ONLY = "new-only"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `what` is a sentence; `code` and `message` are AWS's, without secrets.

    `evidence` has what a diagnosis needs in addition (action, Region, differences); `seconds` is the time of all `attempts`.
    """

    step: Step
    mark: Mark
    what: str
    code: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    attempts: int = 1

    @classmethod
    def of_unseen(cls, changes: Sequence[str], what: str) -> Check:
        """The skipped check of Step.MODULE for changes of the newest module that no call can detect."""
        return cls(Step.MODULE, Mark.SKIPPED, what, evidence={_UNSEEN: list(changes)})

    @property
    def reply(self) -> str:
        """Error code and message of AWS, as in `AccessDenied: User ... is not authorized`; empty if there was none."""
        return ": ".join(part for part in (self.code, self.message) if part)

    @property
    def older_module(self) -> bool:
        """Whether an earlier module, which may still be applied, explains the failure."""
        return bool(self.evidence.get(OLDER_MODULE))

    @property
    def unseen(self) -> tuple[str, ...]:
        """Under Step.MODULE: the changes of the newest module that no call could detect."""
        return tuple(str(each) for each in self.evidence.get(_UNSEEN, ()))

    @property
    def incomplete(self) -> bool:
        """Whether parts could not be read, or tags or descriptions differ."""
        return bool(self.evidence.get("not_checkable") or self.evidence.get("notes"))


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A likely cause of a failure: an ID of the documentation and a hint for the vendor.

    `customer` is this cause's part of the message to the customer, empty if there is nothing to do; `update`: the customer
    has to apply the newest module. `customer_message` joins the parts.
    """

    cause: str
    vendor: str
    customer: str
    update: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The checks and diagnoses of one customer (`kind` customer) or switch role (`kind` switch-role).

    `rehearsal`: a sandbox was used instead of AWS, so nothing is known about the live account. `form`: how the customer
    applies modules, a value of `causes.Form`; empty if not known.
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
        """The worst mark of all checks; OK without checks."""
        return Mark.worst(check.mark for check in self.checks)

    @property
    def counts(self) -> dict[Mark, int]:
        """Number of checks by mark."""
        return {mark: sum(check.mark is mark for check in self.checks) for mark in Mark}

    @property
    def label(self) -> str:
        """The name on one line; that of a switch role has a suffix, since a customer may have the same name."""
        name = " ".join(self.name.split())
        return name if self.kind == "customer" else f"{name} ({self.kind.replace('-', ' ')})"

    @property
    def not_rehearsed(self) -> tuple[str, ...]:
        """Actions that were not tried because the sandbox does not simulate them, each once."""
        found = (check.evidence.get("not_rehearsed") for check in self.checks)
        return tuple(dict.fromkeys(str(action) for action in found if action))

    @property
    def rotation(self) -> RotationState | None:
        """Progress of the customer's rotation; None if there is none or its progress is not known."""
        return next((RotationState(check.evidence[ROTATION]) for check in self.checks if ROTATION in check.evidence), None)

    @property
    def current_id_accepted(self) -> bool:
        """Whether the role was assumed with the manifest's current external ID."""
        return any(
            check.step is Step.ASSUME and check.mark is Mark.OK and WHICH not in check.evidence for check in self.checks
        )

    @property
    def read_in_full(self) -> bool:
        """Whether the deployed configuration was read completely and nothing differs, tags and descriptions included."""
        return read_in_full(self.checks)

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values for journals and reports."""
        return {**asdict(self), "mark": str(self.mark)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Verdict:
        """Read `to_json` back. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            body["name"],
            body["kind"],
            body["account_id"],
            body["role_arn"],
            tuple(_check_from_json(item) for item in body["checks"]),
            tuple(Diagnosis(**item) for item in body["diagnoses"]),
            bool(body.get("rehearsal", False)),
            str(body.get("form", "")),
        )

    def redacted(self) -> Verdict:
        """The verdict with secrets removed from every string, for reports. The role's own ARN is kept."""
        hide = _redactor(self.role_arn)
        return replace(
            self,
            checks=tuple(_redact_check(check, hide) for check in self.checks),
            diagnoses=tuple(
                replace(diagnosis, vendor=hide(diagnosis.vendor), customer=hide(diagnosis.customer))
                for diagnosis in self.diagnoses
            ),
        )


def read_in_full(checks: Iterable[Check]) -> bool:
    """See `Verdict.read_in_full`."""
    found = tuple(checks)
    if any(check.step is Step.ASSUME for check in found):
        return any(check.step is Step.DRIFT and check.mark is Mark.OK and not check.incomplete for check in found)
    return configuration_agrees(found)


def configuration_agrees(checks: tuple[Check, ...]) -> bool:
    """Whether the configuration of a switch role was read completely and is as agreed."""
    read = [check for check in checks[1:] if check.step is Step.CONFIGURATION]
    return bool(read) and all(check.mark is Mark.OK and not check.incomplete for check in read)


def _check_from_json(body: Mapping[str, Any]) -> Check:
    return Check(**{**body, "step": Step(body["step"]), "mark": Mark(body["mark"])})


def _redactor(role_arn: str) -> Callable[[str], str]:
    """Redacts a string around the ARN: a long path and name of a role can look like a secret key."""
    if not role_arn:
        return redact
    return lambda text: role_arn.join(redact(part) for part in text.split(role_arn))


def _redact_check(check: Check, hide: Callable[[str], str]) -> Check:
    return replace(
        check,
        what=hide(check.what),
        code=hide(check.code),
        message=hide(check.message),
        evidence=_redact_json(check.evidence, hide),
    )


def _redact_json(value: Any, hide: Callable[[str], str]) -> Any:
    """JSON values with every string redacted, completely if the key names a secret; other types become strings."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {hide(str(key)): _redact_named(str(key), _redact_json(item, hide)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_json(item, hide) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else hide(str(value))


def _redact_named(key: str, value: Any) -> Any:
    """`redact` recognizes some secrets only by the name before them, which in JSON is the key."""
    if not isinstance(value, str):
        return value
    named = redact(f"{key}: {value}")
    return named.removeprefix(f"{key}: ") if named.startswith(f"{key}: ") else value
