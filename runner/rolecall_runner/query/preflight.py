"""Checks before a query is sent: access levels of its calls, accounts whose permissions allow them, and a preview."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from rolecall_generator.iam import Access, ModuleKind
from rolecall_generator.iam.catalog import action_of, find_action
from rolecall_generator.iam.evaluation import Caller, Decision, Effect, Evaluator, Request
from rolecall_generator.planning import Plan
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.query.operations import is_global, planned_regions
from rolecall_runner.query.spec import QueryError, QuerySpec, RegionChoice
from rolecall_runner.query.validate import parameters_json

READING = frozenset({"Read", "List"})


@dataclass(frozen=True, slots=True)
class OperationAccess:
    """The IAM action of an operation. `levels`: access levels from the Service Authorization Reference; empty if unknown."""

    service: str
    operation: str
    action: str
    levels: frozenset[str]

    @property
    def reads(self) -> bool:
        """Whether every level is Read or List; False for an unknown action."""
        return bool(self.levels) and self.levels <= READING

    @property
    def level(self) -> str:
        """The levels, separated by commas, or `unknown`."""
        return ", ".join(sorted(self.levels)) or "unknown"


def classify_operation(service: str, operation: str) -> OperationAccess:
    """Determine the access levels of an operation. Both names are as in the service model."""
    action = action_of(service, operation)
    found = find_action(action)
    return OperationAccess(service, operation, str(found) if found else action, found.levels if found else frozenset())


def check_reads(spec: QuerySpec, *, allow_write: bool = False) -> tuple[OperationAccess, ...]:
    """Determine the access levels of every call of a query, in order.

    Raises QueryError for a call that is not a read operation, unless `allow_write` is set.
    """
    access_levels = tuple(classify_operation(service, operation) for service, operation in spec.calls)
    write_call = next((each for each in access_levels if not each.reads), None)
    if write_call is not None and not allow_write:
        call, action = f"{write_call.service} {write_call.operation}", write_call.action
        what = f"{call} is not a read operation: the access level of {action} is {write_call.level}"
        if not write_call.levels:
            what = f"{call} may not be a read operation: {action} is not in AWS's list of actions"
        raise QueryError(
            what, where="Service Authorization Reference", hint="add --allow-write to run it, after a confirmation"
        )
    return access_levels


_REGION_LISTS = ("ec2:DescribeRegions", "account:ListRegions")
_KINDS = {TargetKind.CUSTOMER: ModuleKind.CUSTOMER, TargetKind.SWITCH_ROLE: ModuleKind.TRUSTING}


class PermissionStatus(StrEnum):
    """Whether the granted permissions allow a call. MAYBE: for some resources, under conditions, or if unknown."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


_ORDER = (PermissionStatus.YES, PermissionStatus.MAYBE, PermissionStatus.NO)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The lowest permission of one account over all calls and Regions. `reason`: the reason if it is not YES."""

    account: str
    account_id: str
    permission: PermissionStatus
    reason: str = ""

    @property
    def is_unable(self) -> bool:
        """Whether the granted permissions do not allow the query."""
        return self.permission is PermissionStatus.NO


def forecast_permissions(spec: QuerySpec, targets: Iterable[Target], plan: Plan) -> Iterator[Forecast]:
    """Yield whether the access in the plan allows the query, for each target in order. Sends no request."""
    modules = {(each.kind, each.subject): each for each in plan.modules}
    for target in targets:
        module = modules.get((_KINDS[target.kind], target.name))
        yield forecast_permission(spec, target, module.build().access if module is not None else Access())


def forecast_permission(spec: QuerySpec, target: Target, access: Access) -> Forecast:
    """Whether the access of its role allows a target to answer the query."""
    if target.role_arn not in access.roles:
        return Forecast(target.name, target.account_id, PermissionStatus.MAYBE, "its permissions are not in the plan")
    evaluator = Evaluator(access)
    regions: tuple[str, ...] = planned_regions(spec, target) or ("",)
    found: list[tuple[PermissionStatus, str]] = []
    if spec.regions is RegionChoice.ENABLED and regions == ("",):
        found.append(min((_permission(evaluator, access, target, action, "") for action in _REGION_LISTS), key=_rank))
    for service, operation in spec.calls:
        action = _action(service, operation)
        if action is None:
            found.append((PermissionStatus.MAYBE, f"the action of {service} {operation} is not in AWS's list"))
        else:
            found += [_permission(evaluator, access, target, action, region) for region in regions]
    permission, reason = max(found, key=_rank)
    return Forecast(target.name, target.account_id, permission, reason)


def _rank(item: tuple[PermissionStatus, str]) -> int:
    return _ORDER.index(item[0])


@lru_cache(maxsize=256)
def _action(service: str, operation: str) -> str | None:
    access_levels = classify_operation(service, operation)
    return access_levels.action if access_levels.levels else None


def _permission(
    evaluator: Evaluator, access: Access, target: Target, action: str, region: str
) -> tuple[PermissionStatus, str]:
    context = {"aws:RequestedRegion": region} if region else {}

    def decide(resource: str) -> Decision:
        return evaluator.may(Request(Caller(target.role_arn), resource, action, context, free=True))

    decision = decide("*")
    where = f"{action} in {region}" if region else action
    if decision.allowed:
        return (
            (PermissionStatus.MAYBE, f"{where}: only under conditions") if decision.assumed else (PermissionStatus.YES, "")
        )
    if decision.effect is Effect.REFUSED:
        return PermissionStatus.MAYBE, f"{where}: {decision.reason}"
    if decision.effect is Effect.EXPLICIT_DENY:
        return PermissionStatus.NO, f"{where}: {decision.reason}"
    if decision.unknown_policies:
        return PermissionStatus.MAYBE, f"{where}: the content of {', '.join(decision.unknown_policies)} is unknown"
    for resource in _resources(access, target.role_arn):
        if decide(resource).allowed:
            return PermissionStatus.MAYBE, f"{where}: only on some resources, such as {resource}"
    return PermissionStatus.NO, f"{where}: {decision.reason}"


def _resources(access: Access, role_arn: str) -> tuple[str, ...]:
    """The distinct resources in the statements of the role's policies."""
    role = access.roles[role_arn]
    attached = [access.policies[arn].document for arn in sorted(role.attached) if arn in access.policies]
    documents = [*role.inline.values(), *attached]
    return tuple(
        dict.fromkeys(each for document in documents for statement in document.statements for each in statement.resources)
    )


@dataclass(frozen=True, slots=True)
class Preview:
    """The calls that a query would send. `places`: number of pairs of account and Region, with at least one call each.

    `unknown_places`: number of accounts whose enabled Regions must be listed first. `once`: one call covers an account.
    """

    spec: QuerySpec
    access_levels: tuple[OperationAccess, ...]
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
        """Accounts whose permissions do not allow the query."""
        return tuple(each for each in self.forecasts if each.is_unable)

    @property
    def uncertain(self) -> tuple[Forecast, ...]:
        """Accounts whose permissions may or may not allow the query."""
        return tuple(each for each in self.forecasts if each.permission is PermissionStatus.MAYBE)

    def to_json(self) -> dict[str, Any]:
        """The preview as JSON values."""
        calls = [
            {"service": each.service, "operation": each.operation, "action": each.action, "level": each.level}
            for each in self.access_levels
        ]
        return {
            "query": self.spec.title,
            "parameters": self.parameters,
            "calls": calls,
            "accounts": self.accounts,
            "places": self.places,
            "accounts_with_unknown_regions": self.unknown_places,
            "once_per_account": self.once,
            "without_permission": [_forecast_json(each) for each in self.unable],
            "uncertain": [_forecast_json(each) for each in self.uncertain],
        }


def count_calls(
    spec: QuerySpec, access_levels: tuple[OperationAccess, ...], targets: Iterable[Target], forecasts: Iterable[Forecast]
) -> Preview:
    """Count the calls of a query. Sends no request."""
    accounts = places = unknown = 0
    once = False
    for target in targets:
        accounts += 1
        regions = planned_regions(spec, target)
        once = once or is_global(spec, target)
        places += len(regions or ())
        unknown += regions is None
    return Preview(spec, access_levels, accounts, places, unknown, once, tuple(forecasts))


def _forecast_json(each: Forecast) -> dict[str, str]:
    return {"account": each.account, "account_id": each.account_id, "reason": each.reason}
