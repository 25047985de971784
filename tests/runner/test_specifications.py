"""Options, YAML keys, API arguments and run records are the fields of one specification class each."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from rolecall_generator.errors import SelectionError
from rolecall_runner.api import Fleet
from rolecall_runner.aws.failures import Status
from rolecall_runner.aws.retry import RetryPolicy
from rolecall_runner.cli.play import play
from rolecall_runner.cli.query import query
from rolecall_runner.cli.verify import verify
from rolecall_runner.execution.interface import (
    EngineSettings,
    ExecutionOptions,
    Result,
    Runtime,
    Task,
    engine_names,
    register,
)
from rolecall_runner.execution.journal import JournalError, RunRecord
from rolecall_runner.inventory.targets import Selection, Target
from rolecall_runner.plays.play_file import QUERY_KEYS, VERIFY_KEYS
from rolecall_runner.query.query_run import from_record, to_record
from rolecall_runner.query.spec import FILE_KEYS, PER_RUN, FollowUp, QuerySpec
from rolecall_runner.query.validate import check_reads, override, read_query, validate_query
from rolecall_runner.specification import SpecificationError, build, description_of
from rolecall_runner.verify.context import VerifySpec
from rolecall_runner.verify_run import options_from_record

RECORD = RunRecord("20261124-191500-0a1b2c", "query", "accounts.yaml", "f00d", "all", 3, "2026-11-24T19:15:00+00:00")
USERS = QuerySpec(
    "iam",
    "list_users",
    for_each=(FollowUp("iam", "list_mfa_devices", "mfa", {"UserName": "{item.UserName}"}, missing=("NoSuchEntity",)),),
)


def names(kind: type) -> set[str]:
    return {each.name for each in fields(kind)}


def helps(command: Any) -> dict[str, tuple[str, Any]]:
    """Help string and default of every parameter of a command."""
    hints = get_type_hints(command, include_extras=True)
    return {
        name: (get_args(hints[name])[1].help, parameter.default)
        for name, parameter in inspect.signature(command).parameters.items()
        if len(get_args(hints[name])) > 1 and hasattr(get_args(hints[name])[1], "help")
    }


@pytest.mark.parametrize(
    ("command", "kind", "parameters"),
    [
        (query, QuerySpec, {"service", "operation", "regions", "select", "where", "columns", "page_size", "reveal"}),
        (query, QuerySpec, {"param": "parameters", "rows": "limit"}),
        (query, Selection, names(Selection)),
        (query, ExecutionOptions, names(ExecutionOptions) - {"processes", "settings"}),
        (query, EngineSettings, {"forks": "workers", "timeout": "timeout_seconds"}),
        (verify, VerifySpec, {"actions", "drift"}),
        (verify, Selection, names(Selection)),
        (verify, ExecutionOptions, names(ExecutionOptions) - {"processes", "settings"}),
        (verify, EngineSettings, {"forks": "workers", "timeout": "timeout_seconds"}),
        (play, EngineSettings, {"forks": "workers", "timeout": "timeout_seconds"}),
    ],
)
def test_options_have_help_and_default_of_their_field(
    command: Any, kind: type, parameters: set[str] | dict[str, str]
) -> None:
    """The default of an option is that of the field, or None if the option is optional."""
    named = parameters if isinstance(parameters, dict) else {name: name for name in parameters}
    defaults = {each.name: each.default for each in fields(kind)}
    found = helps(command)

    assert {name: description_of(kind, field) for name, field in named.items()} == {name: found[name][0] for name in named}
    assert all(found[name][1] in {None, defaults[field]} for name, field in named.items())


def test_query_keys_are_the_same_in_every_interface() -> None:
    """Query files, plays, and the Python API have only fields of the specification."""
    api = set(inspect.signature(Fleet.query).parameters) - {"self", "allow_write"}

    assert set(FILE_KEYS) == names(QuerySpec) - PER_RUN
    assert set(QUERY_KEYS) - {"file", "named", "allow_write"} == names(QuerySpec) - {"for_each", "name", "description"}
    assert api < names(QuerySpec)
    assert set(VERIFY_KEYS) < names(VerifySpec)


def test_record_has_fields_of_its_specification() -> None:
    spec = validate_query(USERS)
    body = json.loads(to_record(spec, check_reads(spec), Selection("acme")))

    assert names(QuerySpec) == set(body["settings"])
    assert names(Selection) == set(body["selection"])
    assert names(FollowUp) == set(body["settings"]["for_each"][0])


def test_records_of_earlier_versions_are_read() -> None:
    """`for_each` was `follow_ups`; `actions` of a verify run was two flags."""
    spec = validate_query(USERS)
    body = json.loads(to_record(spec, check_reads(spec), Selection("acme", 5)))
    body["settings"]["follow_ups"] = body["settings"].pop("for_each")
    retry = {"attempts": 5, "base_seconds": 0.2, "cap_seconds": 5.0}
    rest = {"drift": False, "all_regions": False, "actions_per_service": 3, "outside_actions": 5, "retry": retry}
    flags = {(True, True): "all", (True, False): "sample", (False, False): "none"}

    assert (Selection("acme", 5), spec) == from_record(replace(RECORD, options=json.dumps(body)))
    for (probe, everything), actions in flags.items():
        options = {"probe_actions": probe, "all_actions": everything, **rest}
        what = json.dumps({"selection": {"limit": "all", "sample": None, "seed": 0, "retry": None}, "options": options})
        expected = VerifySpec(actions, drift=False, retry=RetryPolicy(**retry))  # type: ignore[arg-type]
        assert (Selection(), expected) == options_from_record(replace(RECORD, options=what))


def test_verify_record_with_unknown_options_is_refused() -> None:
    """The run would be resumed with other options."""
    what = json.dumps({"selection": {}, "options": {"actions": "none", "depth": 2}})

    with pytest.raises(JournalError):
        options_from_record(replace(RECORD, options=what))


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({"limit": 0}, ["limit"]),
        ({"limit": "5"}, ["limit"]),
        ({"limit": True}, ["limit"]),
        ({"reveal": "yes"}, ["reveal"]),
        ({"parameters": ["a"]}, ["parameters"]),
        ({"select": 5, "where": 5}, ["select", "where"]),
        ({"for_each": [{"service": "iam", "operation": "x", "into": ""}]}, ["for_each.0.into"]),
        ({"fitler": 1, "limit": 0}, ["fitler"]),
    ],
)
def test_invalid_values_are_reported_by_key(values: dict[str, Any], keys: list[str]) -> None:
    """The error has every key with an invalid value or name."""
    with pytest.raises(SpecificationError) as raised:
        build(QuerySpec, {"service": "iam", "operation": "list_users", **values})

    assert keys == [key for key, _ in raised.value.problems]


def test_new_select_drops_columns_of_old_one() -> None:
    """Parameters are merged; None keeps a setting."""
    base = QuerySpec("ec2", "describe_vpcs", {"a": 1}, select="x", columns=("a",), limit=3)

    found = override(base, select="y", parameters={"b": 2}, limit=None, regions="eu-west-1,us-east-1")

    assert QuerySpec("ec2", "describe_vpcs", {"a": 1, "b": 2}, ("eu-west-1", "us-east-1"), "y", limit=3) == found


@pytest.mark.parametrize("key", sorted(PER_RUN))
def test_query_file_cannot_set_options_of_the_run(key: str) -> None:
    """For example whether sensitive values are shown."""
    with pytest.raises(Exception, match=key):
        read_query(f"name: x\nservice: iam\noperation: list_users\n{key}: 1\n", "x.yaml")


def test_registered_engine_is_available() -> None:
    """To the command line and the Python API, with one definition and one call."""

    def backwards(task: Task, targets: Iterable[Target], settings: EngineSettings, runtime: Runtime) -> Iterator[Result]:
        del settings
        for target in reversed(list(targets)):
            yield Result(target.name, task.name, Status.OK, runtime.now(), kind=target.kind)

    class Nothing:
        name = "nothing"

        def __call__(self, target: Target) -> Any:
            raise NotImplementedError

    register("backwards", lambda _options: backwards)
    targets = [Target(name, "111111111111", "aws", f"arn:aws:iam::111111111111:role/{name}") for name in ("a", "b")]

    assert {"backwards", "dask", "processes", "serial", "threads"} == set(engine_names())
    assert ["b", "a"] == [result.target for result in ExecutionOptions("backwards").run(Nothing(), targets)]


def test_options_of_another_engine_are_usage_errors(tmp_path: Path) -> None:
    """An unknown engine, and a scheduler or its TLS files without a cluster."""
    wrong: tuple[dict[str, Any], ...] = (
        {"engine": "trheads"},
        {"engine": "threads", "scheduler": "tls://10.0.0.5:8786"},
        {"engine": "processes", "scheduler_tls": (tmp_path, tmp_path, tmp_path)},
    )
    for options in wrong:
        with pytest.raises(SelectionError):
            ExecutionOptions(**options)
    assert "tls://10.0.0.5:8786" == ExecutionOptions("dask", scheduler="tls://10.0.0.5:8786").scheduler
