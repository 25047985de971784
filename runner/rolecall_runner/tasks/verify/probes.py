"""Second looks, after something failed: each a question whose answer tells causes apart that AWS answers alike.

None stands for "not known": then nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from rolecall_generator.iam.access import Access, Role, union
from rolecall_generator.iam.evaluator import Caller, Effect, Evaluator, IdentitySide, Request
from rolecall_generator.iam.policy import PolicyDocument, Principal, Statement
from rolecall_generator.iam.principals import Kind, identity_of
from rolecall_runner.clients import account
from rolecall_runner.deployed import read_role
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.outcomes import ask
from rolecall_runner.tasks.verify.verdict import Mark

_EVERYBODY = PolicyDocument(
    (
        Statement(
            "Allow",
            actions=("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"),
            principals=(Principal("AWS", "*"),),
        ),
    )
)
_OTHER_REGIONS = ("us-east-1", "us-west-2")


def caller_is_backend_role(target: Target, context: VerifyContext) -> bool:
    """Whether the run's caller is the principal that the target trusts. A session's ARN has no path: names are compared."""
    found, wanted = identity_of(context.assumer.caller.arn), identity_of(target.backend_role_arn)
    if wanted.kind is not Kind.ROLE:
        return True
    name = (found.role or found.arn).rpartition("/")[2]
    return (found.account_id, found.partition, name) == (wanted.account_id, wanted.partition, wanted.name)


def written_policy_allows(target: Target, context: VerifyContext) -> bool | None:
    """Whether the backend module, as it is written, lets the backend role assume the target's role."""
    return None if context.backend is None else _allows(context.backend, target)


def written_trust_allows(target: Target, context: VerifyContext) -> bool | None:
    """Whether the customer's module, as it is written, lets the backend role in; None where no module is written."""
    access = context.written.get(target.role_arn)
    if access is None:
        return None
    caller = Caller(target.backend_role_arn, IdentitySide.ALLOWS_ALL)
    decision = Evaluator(access).may_assume(Request(caller, target.role_arn, context=_sent(target)))
    return None if decision.effect is Effect.REFUSED else decision.allowed


def deployed_policy_allows(target: Target, context: VerifyContext) -> bool | None:
    """The same of the backend role as it is now, where that may read itself (iam:GetRole and its like)."""
    name = target.backend_role_arn.rpartition("/")[2]
    with account(context.assumer.caller.credentials):
        reading = read_role(context.clients.client("iam", context.assumer.caller.region), name)
    if reading.not_checkable:
        return None
    arn = target.backend_role_arn
    return _allows(reading.over(Access(roles={arn: Role(arn, None)}), arn), target)


def _allows(backend: Access, target: Target) -> bool | None:
    """Ask the evaluator with a trust policy that lets everybody in: what remains is the backend's own side."""
    role = Role(target.role_arn, _EVERYBODY)
    asked = Request(Caller(target.backend_role_arn), target.role_arn, context=_sent(target))
    decision = Evaluator(union([backend, Access(roles={role.arn: role})])).may_assume(asked)
    unsure = decision.effect is Effect.REFUSED or (not decision.allowed and decision.unknown_policies)
    return None if unsure else decision.allowed


def _sent(target: Target) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of the assume as `Assumer` sends it."""
    return sent_with(target, target.external_id)


def sent_with(target: Target, external_id: str | None) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of an assume that sends this external ID, or none."""
    context: dict[str, str | tuple[str, ...]] = {"sts:ExternalId": external_id or ()}
    if target.session_tags:
        context |= {
            "aws:RequestTag/rolecall-run": "run",
            "aws:RequestTag/rolecall-target": target.name,
            "aws:TagKeys": ("rolecall-run", "rolecall-target"),
        }
    if target.source_identity:
        context["sts:SourceIdentity"] = "rolecall"
    return context


def others_let_us_in(target: Target, context: VerifyContext) -> bool | None:
    """Whether another customer's role can be assumed: then our side works as a whole. Asked once a run for each witness."""
    witnesses = [witness for witness in context.witnesses if witness.role_arn != target.role_arn]
    return _any(witnesses, context, lambda witness: can_assume(witness, context))


def _any(witnesses: Iterable[Target], context: VerifyContext, question: Callable[[Target], bool | None]) -> bool | None:
    found: bool | None = None
    for witness in witnesses:
        answer = context.memory.once(("assume", witness.role_arn), lambda witness=witness: question(witness))  # type: ignore[misc]
        if answer:
            return True
        found = answer if found is None else found
    return found


def can_assume(target: Target, context: VerifyContext) -> bool | None:
    """Whether the target's role can be assumed right now with its own external id."""
    answer = ask(lambda: context.assumer.assume(target), context)
    return {Mark.OK: True, Mark.REFUSED: False}.get(answer.mark)


def can_assume_plainly(target: Target, context: VerifyContext) -> bool | None:
    """Whether the role can be assumed without session tags and source identity; None also where it has neither."""
    if not target.session_tags and not target.source_identity:
        return None
    return can_assume(replace(target, session_tags=False, source_identity=False), context)


def region_that_works(context: VerifyContext) -> str | None:
    """Another Region in which STS answers our caller; None where there is none among a few."""
    caller = context.assumer.caller

    def who(region: str) -> object:
        with account(caller.credentials):
            return context.clients.client("sts", region).get_caller_identity()

    for region in _OTHER_REGIONS:
        if region != caller.region and ask(lambda region=region: who(region), context).mark is Mark.OK:  # type: ignore[misc]
            return region
    return None
