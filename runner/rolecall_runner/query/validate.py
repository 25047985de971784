"""Build queries from options, query files, and plays, and validate them before any request is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from rolecall_runner.query.answers import compile_jmespath
from rolecall_runner.query.operations import Operation, find_operation, read_regions
from rolecall_runner.query.parameters import Deferred, check_names, read_parameters, type_parameters
from rolecall_runner.query.spec import FILE_KEYS, FollowUp, QueryError, QuerySpec
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
