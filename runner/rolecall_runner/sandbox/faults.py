"""Faults on request: which call fails, and how, decided by a seed, the account, the action and the call's running number.

Neither time nor the order of threads has a part in it: the k-th call of an action in an account fails or passes in every
run of the same plan.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from enum import StrEnum

from rolecall_generator.iam.matching import wildcard

_HASH_BYTES = 7
_HASH_RANGE = float(1 << (8 * _HASH_BYTES))


class FaultKind(StrEnum):
    """What goes wrong. SLOW only delays; CUT closes the connection; all others answer with an error."""

    THROTTLE = "throttle"
    SERVER_ERROR = "server-error"
    SLOW = "slow"
    CUT = "cut"
    EXPIRED = "expired"
    REGION_DISABLED = "region-disabled"
    DENIED = "denied"
    CLOCK_SKEW = "clock-skew"


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One rule. Patterns take `*` and `?` and several alternatives between `|`; actions are held without regard to case.

    `probability` from 0 to 1; `seconds` is the delay of SLOW and how far CLOCK_SKEW is off (the server's clock minus the
    caller's, may be negative); `at_most` faults in a row per account and action, None without end.
    """

    kind: FaultKind
    probability: float = 1.0
    accounts: str = "*"
    actions: str = "*"
    regions: str = "*"
    seconds: float = 0.0
    at_most: int | None = None

    def concerns(self, account_id: str, action: str, region: str) -> bool:
        """Whether a call falls under the rule."""
        return _any(self.accounts, account_id) and _any(self.actions.lower(), action.lower()) and _any(self.regions, region)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Rules in their order: the first that strikes counts."""

    seed: int = 0
    rules: tuple[FaultRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to apply.

    SLOW: wait `seconds`, then answer as usual. CUT: close the connection, with `midway` after half of the true reply's
    bytes, else before the first. All other kinds: send `fault_replies.fault_reply` and do not run the call. `variant` is
    even or odd, for kinds with two forms (500 and 503).
    """

    kind: FaultKind
    seconds: float = 0.0
    midway: bool = False
    variant: int = 0


@dataclass(slots=True)
class _Count:
    calls: int = 0
    in_a_row: dict[int, int] = field(default_factory=dict)


class Faults:
    """A plan at work: counts the calls of each account and action. Safe to share between threads."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._counts: dict[tuple[str, str], _Count] = {}
        self._lock = threading.Lock()

    def draw(self, account_id: str, action: str, region: str) -> Fault | None:
        """The fault that strikes this call, or None. Each call is drawn once; `action` is SERVICE:NAME as IAM writes it."""
        with self._lock:
            count = self._counts.setdefault((account_id, action), _Count())
            count.calls += 1
            for index, rule in enumerate(self._plan.rules):
                if not rule.concerns(account_id, action, region):
                    continue
                struck = count.in_a_row.get(index, 0)
                chance, variant = _chance(self._plan.seed, index, account_id, action, count.calls)
                if chance < rule.probability and (rule.at_most is None or struck < rule.at_most):
                    count.in_a_row[index] = struck + 1
                    return Fault(rule.kind, rule.seconds, midway=bool(variant & 1), variant=variant)
                count.in_a_row[index] = 0
        return None


def _chance(seed: int, rule: int, account_id: str, action: str, number: int) -> tuple[float, int]:
    """A number from 0 up to 1 and a byte, the same in every run: Python's own hash differs from process to process."""
    digest = hashlib.sha256(f"{seed}|{rule}|{account_id}|{action.lower()}|{number}".encode()).digest()
    return int.from_bytes(digest[:_HASH_BYTES], "big") / _HASH_RANGE, digest[_HASH_BYTES]


def _any(patterns: str, text: str) -> bool:
    return any(wildcard(pattern.strip())(text) for pattern in patterns.split("|"))
