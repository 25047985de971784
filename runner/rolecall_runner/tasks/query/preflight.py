"""Who cannot answer, by the permissions that the manifest grants: judged before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rolecall_generator.iam.access import Access
from rolecall_generator.iam.evaluator import Caller, Decision, Effect, Evaluator, Request
from rolecall_generator.iam.module import ModuleKind
from rolecall_generator.plan import Plan, PlannedModule
from rolecall_runner.targets import Target, TargetKind
from rolecall_runner.tasks.query.levels import judge
from rolecall_runner.tasks.query.question import Question, RegionChoice
from rolecall_runner.tasks.query.regions import planned_regions

_REGION_LISTS = ("ec2:DescribeRegions", "account:ListRegions")
_KINDS = {TargetKind.CUSTOMER: ModuleKind.CUSTOMER, TargetKind.SWITCH_ROLE: ModuleKind.TRUSTING}


class Ability(StrEnum):
    """Whether the granted permissions allow a call. MAYBE: on some resources, or a policy whose text is not known."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


_ORDER = (Ability.YES, Ability.MAYBE, Ability.NO)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected of one account: the least of its calls' and Regions' abilities, and why it is no plain yes."""

    account: str
    account_id: str
    ability: Ability
    why: str = ""


class Intended:
    """The intended access of targets, built from the plan when it is asked for."""

    def __init__(self, plan: Plan) -> None:
        self._modules: Mapping[tuple[str, str], PlannedModule] = {(each.kind, each.subject): each for each in plan.modules}

    def access(self, target: Target) -> Access:
        """The access of the target's module; empty when the plan has none."""
        module = self._modules.get((_KINDS[target.kind], target.name))
        return module.build().access if module is not None else Access()


def forecasts(question: Question, targets: Iterable[Target], intended: Intended) -> Iterator[Forecast]:
    """What each target will be able to answer, in order. Sends nothing."""
    for target in targets:
        yield forecast(question, target, intended.access(target))


def forecast(question: Question, target: Target, access: Access) -> Forecast:
    """What one target will be able to answer with this access of its role."""
    if target.role_arn not in access.roles:
        return Forecast(target.name, target.account_id, Ability.MAYBE, "its permissions are not in the plan")
    evaluator = Evaluator(access)
    regions: tuple[str, ...] = planned_regions(question, target) or ("",)
    found: list[tuple[Ability, str]] = []
    if question.regions is RegionChoice.ENABLED and regions == ("",):
        found.append(min((_may(evaluator, access, target, action, "") for action in _REGION_LISTS), key=_rank))
    for service, operation in question.calls:
        action = _action(service, operation)
        if action is None:
            found.append((Ability.MAYBE, f"AWS's list has no action for {service} {operation}"))
        else:
            found += [_may(evaluator, access, target, action, region) for region in regions]
    ability, why = max(found, key=_rank)
    return Forecast(target.name, target.account_id, ability, why)


def _rank(item: tuple[Ability, str]) -> int:
    return _ORDER.index(item[0])


@lru_cache(maxsize=256)
def _action(service: str, operation: str) -> str | None:
    judged = judge(service, operation)
    return judged.action if judged.levels else None


def _may(evaluator: Evaluator, access: Access, target: Target, action: str, region: str) -> tuple[Ability, str]:
    context = {"aws:RequestedRegion": region} if region else {}

    def decide(resource: str) -> Decision:
        return evaluator.may(Request(Caller(target.role_arn), resource, action, context, free=True))

    decision = decide("*")
    where = f"{action} in {region}" if region else action
    if decision.allowed:
        return (Ability.MAYBE, f"{where}: under conditions") if decision.assumed else (Ability.YES, "")
    if decision.effect is Effect.REFUSED:
        return Ability.MAYBE, f"{where}: {decision.reason}"
    if decision.effect is Effect.EXPLICIT_DENY:
        return Ability.NO, f"{where}: {decision.reason}"
    if decision.unknown_policies:
        return Ability.MAYBE, f"{where}: the text of {', '.join(decision.unknown_policies)} is not known"
    for resource in _resources(access, target.role_arn):
        if decide(resource).allowed:
            return Ability.MAYBE, f"{where}: on some resources, as {resource}"
    return Ability.NO, f"{where}: {decision.reason}"


def _resources(access: Access, role_arn: str) -> tuple[str, ...]:
    """The resources that the role's own statements name, each once."""
    role = access.roles[role_arn]
    attached = [access.policies[arn].document for arn in sorted(role.attached) if arn in access.policies]
    documents = [*role.inline.values(), *attached]
    return tuple(dict.fromkeys(each for document in documents for one in document.statements for each in one.resources))
