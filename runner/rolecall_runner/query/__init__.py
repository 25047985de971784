"""One question to every account."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.query.answers import Count, QueryAnswer, Reason, Row, answer_of
    from rolecall_runner.query.column_types import (
        ListOf,
        Scalar,
        Struct,
        Type,
        duckdb_encoder,
        duckdb_type,
        merge_structs,
        quote_name,
        row_type,
        short_type,
        type_from_json,
        type_to_json,
        widen_row,
    )
    from rolecall_runner.query.execute import QueryTask
    from rolecall_runner.query.parameters import check_targets
    from rolecall_runner.query.preflight import Ability, Forecast, Judgement, Preview, check_reads, judge, preview
    from rolecall_runner.query.query_run import QueryRun, QueryTargets, check_replay, choose, foresee, prepare, replay
    from rolecall_runner.query.spec import QueryError, QuerySpec
    from rolecall_runner.query.validate import base_query, describe, override, parameters_json, shipped, validate_query

__all__ = [
    "Ability",
    "Count",
    "Forecast",
    "Judgement",
    "ListOf",
    "Preview",
    "QueryAnswer",
    "QueryError",
    "QueryRun",
    "QuerySpec",
    "QueryTargets",
    "QueryTask",
    "Reason",
    "Row",
    "Scalar",
    "Struct",
    "Type",
    "answer_of",
    "base_query",
    "check_reads",
    "check_replay",
    "check_targets",
    "choose",
    "describe",
    "duckdb_encoder",
    "duckdb_type",
    "foresee",
    "judge",
    "merge_structs",
    "override",
    "parameters_json",
    "prepare",
    "preview",
    "quote_name",
    "replay",
    "row_type",
    "shipped",
    "short_type",
    "type_from_json",
    "type_to_json",
    "validate_query",
    "widen_row",
]

__getattr__ = exports(
    __name__,
    {
        "answers": (
            "Count",
            "QueryAnswer",
            "Reason",
            "Row",
            "answer_of",
        ),
        "column_types": (
            "ListOf",
            "Scalar",
            "Struct",
            "Type",
            "duckdb_encoder",
            "duckdb_type",
            "merge_structs",
            "quote_name",
            "row_type",
            "short_type",
            "type_from_json",
            "type_to_json",
            "widen_row",
        ),
        "execute": ("QueryTask",),
        "parameters": ("check_targets",),
        "preflight": (
            "Ability",
            "Forecast",
            "Judgement",
            "Preview",
            "check_reads",
            "judge",
            "preview",
        ),
        "query_run": (
            "QueryRun",
            "QueryTargets",
            "check_replay",
            "choose",
            "foresee",
            "prepare",
            "replay",
        ),
        "spec": (
            "QueryError",
            "QuerySpec",
        ),
        "validate": (
            "base_query",
            "describe",
            "override",
            "parameters_json",
            "shipped",
            "validate_query",
        ),
    },
)
