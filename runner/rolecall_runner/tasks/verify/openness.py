"""Does the role trust more than the backend role: the vendor's whole account, or everybody?

The backend role's own assumes cannot tell. The trust policy does, where the role may read itself (iam:GetRole), and so does
a second principal of the backend's account that gets in. Without either it is "not checkable", never "ok".
"""

from __future__ import annotations

from typing import Any

from rolecall_generator.iam.access import Access, Role
from rolecall_generator.iam.arn import parse_arn, role_arn
from rolecall_generator.iam.evaluator import Caller, Decision, Effect, Evaluator, IdentitySide, Request
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_runner.clients import SigningCredentials, account
from rolecall_runner.credentials import Assumer
from rolecall_runner.deployed.documents import document_of
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.outcomes import ask
from rolecall_runner.tasks.verify.verdict import Mark, Rung, Step

WHOLE_ACCOUNT, EVERYBODY = "account", "everybody"
"""Values of the evidence `trusts`."""

# Nobody's role: what it may assume, every role of its account may. AWS gives no account the id of zeros alone.
_SOMEBODY = "rolecall-somebody-else"
_NO_ACCOUNT = "000000000000"


def openness(target: Target, credentials: SigningCredentials, context: VerifyContext) -> Rung:
    """The rung on who else may assume a customer's role; it stands under Step.CONFIGURATION."""
    answer = ask(lambda: _read_trust(target, credentials, context), context)
    if answer.value is not None:
        return judge(target, answer.value)
    if context.second_caller is not None:
        return _try_second(target, context.second_caller, context)
    if answer.mark is Mark.REFUSED:
        what = "Whether the role trusts the whole backend account is not checkable: it may not read itself (iam:GetRole)."
        return Rung(Step.CONFIGURATION, Mark.SKIPPED, what, answer.code, answer.message, seconds=answer.seconds)
    what = "Whether the role trusts the whole backend account could not be read this time."
    mark = Mark.UNREACHABLE if answer.mark is Mark.UNREACHABLE else Mark.INCONCLUSIVE
    return Rung(
        Step.CONFIGURATION, mark, what, answer.code, answer.message, answer.evidence, answer.seconds, answer.attempts
    )


def judge(target: Target, trust: PolicyDocument) -> Rung:
    """Judge a trust policy: any other principal of the backend's account, and one of any account, must be kept out.

    They are taken as sending the right external id, and as meeting every condition that is in their own hands.
    """
    backend = parse_arn(target.backend_role_arn)
    if backend is None:
        return Rung(Step.CONFIGURATION, Mark.SKIPPED, "Not checkable: the manifest names no backend role for it.")
    strangers = ((EVERYBODY, _NO_ACCOUNT), (WHOLE_ACCOUNT, backend.account_id))
    decisions = {
        who: _decide(target, trust, role_arn(backend.partition, number, "/", _SOMEBODY)) for who, number in strangers
    }
    for who, decision in decisions.items():
        if decision.allowed:
            whom = "principals of any account" if who == EVERYBODY else f"every principal of account {backend.account_id}"
            when = f", on conditions of {', '.join(decision.assumed)} alone" if decision.assumed else ""
            return Rung(
                Step.CONFIGURATION, Mark.FAILED, f"The trust policy lets in {whom}{when}, not the backend role alone.",
                evidence={"trusts": who, "keys": list(decision.assumed)},
            )  # fmt: skip
    if any(decision.effect is Effect.REFUSED for decision in decisions.values()):
        what = (
            "Whether the role trusts the whole backend account is not checkable: its trust policy cannot be judged surely."
        )
        return Rung(Step.CONFIGURATION, Mark.SKIPPED, what)
    return Rung(Step.CONFIGURATION, Mark.OK, "The trust policy lets in no other principal of the backend account.")


def _decide(target: Target, trust: PolicyDocument, somebody: str) -> Decision:
    evaluator = Evaluator(Access(roles={target.role_arn: Role(target.role_arn, trust)}))
    given: dict[str, str | tuple[str, ...]] = {"sts:ExternalId": target.external_id or ()}
    return evaluator.may_assume(
        Request(Caller(somebody, IdentitySide.ALLOWS_ALL), target.role_arn, context=given, free=True)
    )


def _read_trust(target: Target, credentials: SigningCredentials, context: VerifyContext) -> PolicyDocument:
    name = target.role_arn.rpartition("/")[2]
    with account(credentials):
        role: Any = context.clients.client("iam", context.assumer.caller.region).get_role(RoleName=name)["Role"]
    where = f"{target.role_arn}, trust policy"
    return document_of(role["AssumeRolePolicyDocument"], where=where, partition=target.partition)


def _try_second(target: Target, second: Assumer, context: VerifyContext) -> Rung:
    """A refusal of the second caller claims nothing: its own policies may be what refuses it."""
    answer = ask(lambda: second.assume(target), context)
    if answer.mark is Mark.OK:
        what = f"{second.caller.arn} can assume the role too: it trusts more than the backend role."
        return Rung(Step.CONFIGURATION, Mark.FAILED, what, evidence={"trusts": WHOLE_ACCOUNT})
    what = (
        "Whether the role trusts the whole backend account is not checkable: a second caller was not let in, by either side."
    )
    return Rung(Step.CONFIGURATION, Mark.SKIPPED, what, answer.code, answer.message)
