"""The results of a review of guard rails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rolecall_generator.findings import Severity
from rolecall_generator.guardrails.policies import GuardrailFinding, GuardrailKind, GuardrailPolicy
from rolecall_generator.iam import Statement
from rolecall_generator.proof.symbolic import BoxConstraint, LimitState


class GuardrailQuestion(StrEnum):
    """What is asked about the guard rails."""

    ASSUME = "assume"
    PERMISSION = "permission"
    APPLY = "apply"


@dataclass(frozen=True, slots=True)
class StoppedRequests:
    """A set of requests that is stopped. `example` is one as an AWS CLI command, or in words; empty if none is known."""

    constraints: tuple[BoxConstraint, ...]
    actions: tuple[str, ...] = ()
    example: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardrailStop:
    """A statement that stops requests; with `policy` None, no policy of the level allows them.

    `side`: "customer" or "backend", whose organization it is. `statement` is its position in the policy, from 0.
    `is_certain`: False if it is not certain that it stops any. `more` sets are not listed. `only_without_https`: it stops no
    request that is sent over HTTPS.
    """

    side: str
    kind: GuardrailKind
    level: str
    policy: GuardrailPolicy | None
    statement: int | None
    is_certain: bool
    sets: tuple[StoppedRequests, ...] = ()
    more: int = 0
    only_without_https: bool = False

    @property
    def keys(self) -> frozenset[str]:
        """The condition keys (lower case) on which it depends."""
        names = {each.name.lower() for requests in self.sets for each in requests.constraints}
        conditions = () if self._statement is None else self._statement.conditions
        return frozenset(names.union(condition.key.lower() for condition in conditions))

    @property
    def sid(self) -> str | None:
        """The Sid of the statement; None if it has none."""
        return None if self._statement is None else self._statement.sid or None

    @property
    def place(self) -> str:
        """The statement in words."""
        if self.policy is None or self.statement is None:
            return f"no {self.kind} of {self.level} allows it"
        return f"statement {self.sid or self.statement + 1} of {self.kind} {self.policy.name} at {self.level}"

    @property
    def _statement(self) -> Statement | None:
        return None if self.policy is None or self.statement is None else self.policy.document.statements[self.statement]


@dataclass(frozen=True, slots=True)
class GuardrailAnswer:
    """The answer to one question: how much of `subject` is stopped, and by what.

    `regions`: for a permission that depends on the Region, the state in each Region of the customer in the manifest.
    `reasons` explain what is not known, `facts` why nothing is stopped although a statement names such requests.
    `works_over_https`: some requests without HTTPS are stopped or not known, and no request over HTTPS is stopped.
    """

    question: GuardrailQuestion
    subject: str
    state: LimitState
    stops: tuple[GuardrailStop, ...] = ()
    reasons: tuple[str, ...] = ()
    regions: Mapping[str, LimitState] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    works_over_https: bool = False

    @property
    def works(self) -> bool:
        """Whether nothing is stopped, or nothing that is sent over HTTPS in the customer's Regions."""
        in_regions = bool(self.regions) and set(self.regions.values()) == {LimitState.NONE}
        return self.state is LimitState.NONE or self.works_over_https or (self.state is LimitState.PART and in_regions)


@dataclass(frozen=True, slots=True)
class GuardrailExemption:
    """A change of one policy, or a new policy (`before` is None) for a level, that removes stops.

    `opens` is what it is intended to open. `is_exact`: True if it is proven to open nothing else and to stop nothing in
    addition, False if that is refuted, None if it is unknown, with `reasons`. `surplus` is what it opens beyond that.
    `characters`: the size of the new policy without white space; `fits`: within the quotas of AWS.
    """

    side: str
    kind: GuardrailKind
    level: str
    policy: str
    where: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    opens: tuple[str, ...]
    is_exact: bool | None
    reasons: tuple[str, ...]
    surplus: tuple[StoppedRequests, ...]
    characters: int
    fits: bool


@dataclass(frozen=True, slots=True)
class GuardrailReview:
    """The review of the guard rails around one customer's role.

    `after` are the answers with all exemptions applied, for those that have any.
    """

    customer: str
    account_id: str
    role_arn: str
    backend_role_arn: str
    levels: tuple[str, ...]
    notes: tuple[str, ...]
    findings: tuple[GuardrailFinding, ...]
    answers: tuple[GuardrailAnswer, ...]
    exemptions: tuple[GuardrailExemption, ...]
    after: tuple[GuardrailAnswer, ...]

    @property
    def works(self) -> bool:
        """Whether the hand-over works: nothing is stopped, and no policy is refused."""
        return all(answer.works for answer in self.answers) and not any(
            finding.severity >= Severity.ERROR for finding in self.findings
        )
