"""What a query would do before anything is sent: access levels of its calls, who may make them, and a preview."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from rolecall_generator.iam import Access, ModuleKind
from rolecall_generator.iam.catalog import action_of, find_action
from rolecall_generator.iam.evaluation import Caller, Decision, Effect, Evaluator, Request
from rolecall_generator.planning import Plan, PlannedModule
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.query.operations import is_global, planned_regions
from rolecall_runner.query.spec import QueryError, QuerySpec, RegionChoice
from rolecall_runner.query.validate import parameters_json

READING = frozenset({"Read", "List"})


@dataclass(frozen=True, slots=True)
class Judgement:
    """The action that allows an operation, and its access levels in the Service Authorization Reference; none: unknown."""

    service: str
    operation: str
    action: str
    levels: frozenset[str]

    @property
    def reads(self) -> bool:
        """True when every level is Read or List. An action that is not known reads nothing for sure."""
        return bool(self.levels) and self.levels <= READING

    @property
    def level(self) -> str:
        """The levels as one word or several; `unknown`."""
        return ", ".join(sorted(self.levels)) or "unknown"


def judge(service: str, operation: str) -> Judgement:
    """The access level of an operation, named as its service model does."""
    action = action_of(service, operation)
    found = find_action(action)
    return Judgement(service, operation, str(found) if found else action, found.levels if found else frozenset())


def check_reads(spec: QuerySpec, *, allow_write: bool = False) -> tuple[Judgement, ...]:
    """The access level of every call of a query, in order. Raises QueryError for a call that does not only read."""
    judged = tuple(judge(service, operation) for service, operation in spec.calls)
    if not allow_write:
        _refuse(each for each in judged if not each.reads)
    return judged


def _refuse(writing: Iterable[Judgement]) -> None:
    for each in writing:
        if each.levels:
            what = f"{each.service} {each.operation} is no read operation: the access level of {each.action} is {each.level}"
        else:
            what = f"whether {each.service} {each.operation} only reads is not known: AWS's list has no action {each.action}"
        raise QueryError(
            what, where="Service Authorization Reference", hint="--allow-write lets it pass, after a confirmation"
        )


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

    @property
    def is_unable(self) -> bool:
        """Whether the granted permissions do not allow the query."""
        return self.ability is Ability.NO


class IntendedAccess:
    """The intended access of targets, built from the plan when it is asked for."""

    def __init__(self, plan: Plan) -> None:
        self._modules: Mapping[tuple[str, str], PlannedModule] = {(each.kind, each.subject): each for each in plan.modules}

    def access(self, target: Target) -> Access:
        """The access of the target's module; empty when the plan has none."""
        module = self._modules.get((_KINDS[target.kind], target.name))
        return module.build().access if module is not None else Access()


def forecasts(spec: QuerySpec, targets: Iterable[Target], intended: IntendedAccess) -> Iterator[Forecast]:
    """What each target will be able to answer, in order. Sends nothing."""
    for target in targets:
        yield forecast(spec, target, intended.access(target))


def forecast(spec: QuerySpec, target: Target, access: Access) -> Forecast:
    """What one target will be able to answer with this access of its role."""
    if target.role_arn not in access.roles:
        return Forecast(target.name, target.account_id, Ability.MAYBE, "its permissions are not in the plan")
    evaluator = Evaluator(access)
    regions: tuple[str, ...] = planned_regions(spec, target) or ("",)
    found: list[tuple[Ability, str]] = []
    if spec.regions is RegionChoice.ENABLED and regions == ("",):
        found.append(min((_may(evaluator, access, target, action, "") for action in _REGION_LISTS), key=_rank))
    for service, operation in spec.calls:
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


@dataclass(frozen=True, slots=True)
class Preview:
    """`places` counts accounts and Regions; `unknown_places` are accounts whose Regions only they can tell.

    Pages and further calls for each row come on top of one call a place.
    """

    spec: QuerySpec
    judged: tuple[Judgement, ...]
    accounts: int
    places: int
    unknown_places: int
    once: bool
    forecasts: tuple[Forecast, ...]

    @property
    def parameters(self) -> Any:
        """The query's parameters as JSON values, with placeholders unfilled."""
        return parameters_json(self.spec.parameters)

    @property
    def unable(self) -> tuple[Forecast, ...]:
        """Accounts that cannot answer."""
        return tuple(each for each in self.forecasts if each.is_unable)

    @property
    def uncertain(self) -> tuple[Forecast, ...]:
        """Accounts of which it is not known."""
        return tuple(each for each in self.forecasts if each.ability is Ability.MAYBE)

    def to_json(self) -> dict[str, Any]:
        """The preview as JSON values."""
        calls = [
            {"service": each.service, "operation": each.operation, "action": each.action, "level": each.level}
            for each in self.judged
        ]
        return {
            "query": self.spec.title,
            "parameters": self.parameters,
            "calls": calls,
            "accounts": self.accounts,
            "places": self.places,
            "accounts_with_unknown_regions": self.unknown_places,
            "once_an_account": self.once,
            "cannot_answer": [_forecast(each) for each in self.unable],
            "may_answer": [_forecast(each) for each in self.uncertain],
        }


def count_calls(
    spec: QuerySpec, judged: tuple[Judgement, ...], targets: Iterable[Target], forecasts: Iterable[Forecast]
) -> Preview:
    """Count what a query would ask. Sends nothing."""
    accounts = places = unknown = 0
    once = False
    for target in targets:
        accounts += 1
        regions = planned_regions(spec, target)
        once = once or is_global(spec, target)
        places += len(regions or ())
        unknown += regions is None
    return Preview(spec, judged, accounts, places, unknown, once, tuple(forecasts))


def _forecast(each: Forecast) -> dict[str, str]:
    return {"account": each.account, "account_id": each.account_id, "why": each.why}
