"""The cases of aws/aws-cli issue 10314: AWS's policy simulator ignores trust policies for `sts:Assume*` actions.

The issue of May 2026 refers to the repository RohanDS2024/iam-simulator-trust-policy-gap, whose EXTENDED_TESTS.md has the 11
cases with the simulator's answers and the correct ones. Case 10 was also sent to STS, case 11 to IAM Access Analyzer; the
other correct answers are the reporter's, from IAM's documentation. The caller is an IAM user in the account of the role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from policy_text import document, statement
from rolecall_generator.iam import Access, PolicyDocument, Role, User
from rolecall_generator.iam.evaluation import Caller, Evaluator
from symbolic_worlds import NO_CALLERS, inclusion, is_proven, witness_of

ROLE = Role("arn:aws:iam::123456789012:role/privileged-admin", None)
USER = "arn:aws:iam::123456789012:user/default"
CALLER = {"AWS": USER}
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
NO_MFA = {"Bool": {"aws:MultiFactorAuthPresent": "false"}}
WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_OIDC = {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"}
_SUBJECT = "token.actions.githubusercontent.com:sub"
_ADMINISTRATOR = {"Effect": "Allow", "Action": "*", "Resource": "*"}
SILENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
"""An identity policy without any action of STS."""


def _subject(name: str) -> dict[str, Any]:
    return {"StringEquals": {_SUBJECT: f"repo:{name}:ref:refs/heads/main"}}


@dataclass(frozen=True, slots=True)
class SimulatorCase:
    """Requests for the role: by `caller`, for `action`, with the context that `context` requires; and AWS's answers.

    `simulator`: answer of the simulator. `correct`: the answer that the issue names as correct.
    """

    number: str
    trust: Mapping[str, Any]
    simulator: str
    correct: str
    context: Mapping[str, Any] | None = None
    identity: Mapping[str, Any] = field(default_factory=lambda: _ADMINISTRATOR)
    caller: Mapping[str, Any] = field(default_factory=lambda: CALLER)
    action: str = "sts:AssumeRole"

    @property
    def requests(self) -> PolicyDocument:
        """The requests of the case, as the trust policy that allows them."""
        return document([self._statement()])

    def answer(self) -> str:
        """Whether rolecall proves that none of these requests is allowed, or that all are."""
        others = document([statement("*", Action="sts:*"), self._statement("Deny")])
        trust = document([dict(self.trust)])
        if is_proven(inclusion(trust, others, ROLE)):
            return "refused"
        return "allowed" if is_proven(inclusion(self.requests, trust, ROLE)) and self._is_granted(trust) else "unknown"

    def _statement(self, effect: str = "Allow") -> dict[str, Any]:
        return statement(self.caller, dict(self.context) if self.context else None, effect, Action=self.action)

    def _is_granted(self, trust: PolicyDocument) -> bool:
        """Whether the evaluator allows the simplest of the requests, with the identity policy of the user."""
        request = witness_of(inclusion(self.requests, NO_CALLERS, ROLE)).request
        user = User(USER, inline={"identity": document([dict(self.identity)])})
        access = Access.of(replace(ROLE, trust=trust), user)
        return Evaluator(access).may_assume(replace(request, principal=Caller(request.principal.arn))).allowed


_DENY = statement(CALLER, effect="Deny")
_WEB = statement(_OIDC, _subject("a/b"), Action=WEB_IDENTITY)

CASES = (
    SimulatorCase("1", statement(CALLER), "implicitDeny", "allowed", identity=SILENT),
    SimulatorCase("3", _DENY, "allowed", "refused"),
    SimulatorCase("4a", statement(CALLER, MFA), "allowed", "refused", NO_MFA),
    SimulatorCase("4b", statement(CALLER, MFA), "allowed", "allowed", MFA),
    SimulatorCase(
        "5",
        statement(CALLER, "IpAddress aws:SourceIp 10.0.0.1/32"),
        "allowed",
        "refused",
        {"IpAddress": {"aws:SourceIp": "203.0.113.42"}},
    ),
    SimulatorCase(
        "6",
        statement(CALLER, "NumericLessThan aws:MultiFactorAuthAge 300"),
        "allowed",
        "refused",
        {"NumericEquals": {"aws:MultiFactorAuthAge": "99999"}},
    ),
    SimulatorCase("7", _WEB, "allowed", "refused", _subject("c/d"), action=WEB_IDENTITY),
    SimulatorCase("8", {"Effect": "Allow", "NotPrincipal": CALLER, "Action": "sts:AssumeRole"}, "allowed", "refused"),
    SimulatorCase("9", statement({"Service": "ec2.amazonaws.com"}), "InvalidInput", "refused"),
    SimulatorCase("10", _DENY, "allowed", "refused"),
    SimulatorCase("11b", statement(CALLER, MFA), "allowed", "refused", NO_MFA),
    SimulatorCase("11c", statement(CALLER), "allowed", "allowed", NO_MFA),
)
"""All requests to assume the role. Case 2 is the control on an S3 bucket, and case 11 compares two policies."""

TOKEN_OF_ANOTHER_SUBJECT = SimulatorCase("7", _WEB, "", "refused", _subject("c/d"), caller=_OIDC, action=WEB_IDENTITY)
"""The trust policy of case 7 for a token with the subject of the request."""

BEFORE, AFTER = document([statement(CALLER, MFA)]), document([statement(CALLER)])
"""The trust policies that case 11 compares."""


def policy(*statements: Mapping[str, Any]) -> PolicyDocument:
    """A document of these statements."""
    return document([dict(each) for each in statements])
