"""Build queries from options, query files, and plays, and check them before any request is sent.

Checks: the settings of the query, access levels of its calls, and accounts whose permissions allow them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from rolecall_generator.iam import Access, ModuleKind
from rolecall_generator.iam.catalog import action_of, find_action
from rolecall_generator.iam.evaluation import Caller, Decision, Effect, Evaluator, Request
from rolecall_generator.planning import Plan
from rolecall_runner.inventory import Target, TargetKind
from rolecall_runner.query.execute import compile_jmespath
from rolecall_runner.query.operations import Operation, find_operation, is_global, planned_regions, read_regions
from rolecall_runner.query.parameters import Deferred, check_names, read_parameters, type_parameters
from rolecall_runner.query.spec import FILE_KEYS, FollowUp, QueryError, QuerySpec, RegionChoice
from rolecall_runner.specification import SpecificationError, build, description_of

_PACKAGE = "rolecall_runner.query.named"


def validate_query(spec: QuerySpec, arguments: Iterable[str] = ()) -> QuerySpec:
    """Return the validated form of a query; see `QuerySpec`. `arguments`: `NAME=VALUE` parameters that override those of it.

    Raises QueryError for names and types that are not in the service models, invalid JMESPath, and unknown placeholders.
    """
    operation = _require_data_output(find_operation(spec.service, spec.operation))
    given = {**spec.parameters, **read_parameters(operation, arguments, complete=False)}
    parameters = type_parameters(operation, given)
    check_names(parameters, where=f"parameters of {operation.method}")
    for expression in filter(None, (spec.select, spec.where)):
        compile_jmespath(expression)
    follow_ups = tuple(_validate_follow_up(each) for each in spec.for_each)
    return replace(spec, operation=operation.name, parameters=parameters, for_each=follow_ups)


def base_query(
    service: str | None = None, operation: str | None = None, *, named: str | None = None, file: Path | None = None
) -> QuerySpec:
    """The query of a service and operation, a shipped query, or a query file. Raises QueryError unless one is given."""
    given = [each for each in (service, named, file) if each is not None]
    if len(given) != 1:
        what = "service, named, and file are mutually exclusive" if given else "no query given"
        raise QueryError(
            what, where="query", hint="specify service and operation, the name of a shipped query, or a query file"
        )
    if named is not None:
        return find_query(named)
    if file is not None:
        return load_query(file)
    if not operation:
        raise QueryError(
            f"no operation of {service} given", where="service", hint="add the operation, for example describe_vpcs"
        )
    return QuerySpec(str(service), operation)


def override(spec: QuerySpec, *, partition: str | None = None, **settings: Any) -> QuerySpec:
    """Return the query with these settings of `QuerySpec` replaced. A setting of None is not changed.

    `parameters` are merged by name; `select` without `columns` clears the columns. `columns` and `regions`: a list, or a
    string separated by commas. `partition`: the partition of the Regions; None: any. Raises QueryError for an invalid value,
    TypeError for an unknown setting.
    """
    changes = {key: value for key, value in settings.items() if value is not None}
    if "select" in changes:
        changes.setdefault("columns", ())
    if isinstance(changes.get("parameters"), Mapping):
        changes["parameters"] = {**spec.parameters, **changes["parameters"]}
    current = {each.name: getattr(spec, each.name) for each in fields(spec)}
    if unknown := changes.keys() - current:
        raise TypeError(f"unknown query setting: {', '.join(sorted(unknown))}")
    try:
        return build(QuerySpec, current | _convert_lists(changes, partition))
    except SpecificationError as error:
        key, what = error.problems[0]
        name = key.partition(".")[0]
        raise QueryError(f"{key}: {what}", where=name, hint=f"{name}: {description_of(QuerySpec, name)}") from None


def shipped_queries() -> tuple[QuerySpec, ...]:
    """The queries in the package, sorted by name. Raises QueryError if one is invalid."""
    return tuple(
        read_query(entry.read_text("utf-8"), entry.name)
        for entry in sorted(files(_PACKAGE).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    )


def find_query(name: str) -> QuerySpec:
    """The shipped query of this name. Raises QueryError, with the nearest names, if there is none."""
    known = {each.name: each for each in shipped_queries()}
    if name not in known:
        close = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
        raise QueryError(f"unknown query {name!r}", where="named", hint=f"did you mean {', '.join(close)}?")
    return known[name]


def load_query(path: Path) -> QuerySpec:
    """Read a query file. Raises QueryError if it cannot be read or is not a valid query."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise QueryError(f"the query file cannot be read: {reason}", where=str(path), hint="use a YAML file") from None
    return read_query(text, str(path))


def read_query(text: str, where: str) -> QuerySpec:
    """Parse the content of a query file. `where`: the file name in errors. Raises QueryError."""
    try:
        body = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise QueryError(f"invalid YAML: {error.problem}", where=f"{where}{line}", hint="fix this line") from None
    except yaml.YAMLError as error:
        raise QueryError(f"invalid YAML: {error}", where=where, hint="use only text") from None
    if not isinstance(body, Mapping):
        raise QueryError(
            "a query file must contain a mapping", where=where, hint="start with name:, service: and operation:"
        )
    problems = [(str(key), "extra inputs are not permitted") for key in body if key not in FILE_KEYS]
    if not body.get("name"):
        problems.append(("name", "field required"))
    try:
        if problems:
            raise SpecificationError(problems)
        return build(QuerySpec, _convert_lists(_add_services(body), None))
    except SpecificationError as error:
        raise QueryError(str(error), where=where, hint=f"valid keys: {', '.join(FILE_KEYS)}") from None


def parameters_json(value: Any) -> Any:
    """Validated parameters as JSON values, with placeholders unfilled."""
    if isinstance(value, Deferred):
        return value.text
    if isinstance(value, Mapping):
        return {key: parameters_json(item) for key, item in value.items()}
    return [parameters_json(item) for item in value] if isinstance(value, list) else value


def describe(spec: QuerySpec) -> dict[str, Any]:
    """The query as JSON values without empty settings, for run records and the header of results."""
    regions = spec.regions if isinstance(spec.regions, tuple) else str(spec.regions)
    body: dict[str, Any] = {
        "query": spec.title,
        "service": spec.service,
        "operation": spec.operation,
        "parameters": parameters_json(spec.parameters),
        "regions": list(regions) if isinstance(regions, tuple) else regions,
        "select": spec.select,
        "where": spec.where,
        "for_each": [f"{each.service} {each.operation}" for each in spec.for_each],
        "limit": spec.limit,
    }
    return {key: value for key, value in body.items() if value not in (None, {}, [])}


def _validate_follow_up(spec: FollowUp) -> FollowUp:
    operation = _require_data_output(find_operation(spec.service, spec.operation))
    parameters = type_parameters(operation, spec.parameters)
    check_names(parameters, where=f"parameters of {operation.method}", items=True)
    if spec.select is not None:
        compile_jmespath(spec.select)
    return replace(spec, operation=operation.name, parameters=parameters)


def _require_data_output(operation: Operation) -> Operation:
    if operation.model.has_streaming_output or operation.model.has_event_stream_output:
        raise QueryError(
            f"{operation.service} {operation.method} returns a byte stream, which cannot be turned into rows",
            where="query",
            hint="use an operation that returns data",
        )
    return operation


def _add_services(body: Mapping[str, Any]) -> dict[str, Any]:
    """Set the default service of further calls: that of the query."""
    follow_ups = body.get("for_each")
    if not isinstance(follow_ups, list):
        return dict(body)
    default = body.get("service")
    return {
        **body,
        "for_each": [
            {**each, "service": each.get("service") or default} if isinstance(each, dict) else each for each in follow_ups
        ],
    }


def _convert_lists(settings: Mapping[str, Any], partition: str | None) -> dict[str, Any]:
    """Convert `columns` and `regions` to tuples. Raises QueryError for unknown Regions."""
    listed = {key: _strings(key, settings[key]) for key in ("columns", "regions") if settings.get(key) is not None}
    if "regions" in listed:
        return {**settings, **listed, "regions": read_regions(listed["regions"], partition)}
    return {**settings, **listed}


def _strings(key: str, value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise QueryError(f"{key}: input should be a list of strings", where=key, hint=description_of(QuerySpec, key))
    return tuple(item for item in (str(each).strip() for each in items) if item)


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
        call = classify_operation(service, operation)
        if call.levels:
            found += [_permission(evaluator, access, target, call.action, region) for region in regions]
        else:
            found.append((PermissionStatus.MAYBE, f"the action of {service} {operation} is not in AWS's list"))
    permission, reason = max(found, key=_rank)
    return Forecast(target.name, target.account_id, permission, reason)


def _rank(item: tuple[PermissionStatus, str]) -> int:
    return _ORDER.index(item[0])


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
