"""Queries: call one AWS read operation in every selected account and Region."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_runner.query.execute import VALUE, Count, QueryResult, QueryTask, Reason, Row, reply_model
    from rolecall_runner.query.parameters import escape_placeholders
    from rolecall_runner.query.query_run import (
        QueryRun,
        QueryTargets,
        load_targets,
        prepare,
        preview,
        replay,
    )
    from rolecall_runner.query.spec import QueryError, QuerySpec
    from rolecall_runner.query.validate import (
        Forecast,
        OperationAccess,
        Preview,
        base_query,
        check_reads,
        describe,
        override,
        shipped_queries,
        validate_query,
    )

__all__ = [
    "VALUE",
    "Count",
    "Forecast",
    "OperationAccess",
    "Preview",
    "QueryError",
    "QueryResult",
    "QueryRun",
    "QuerySpec",
    "QueryTargets",
    "QueryTask",
    "Reason",
    "Row",
    "base_query",
    "check_reads",
    "describe",
    "escape_placeholders",
    "load_targets",
    "override",
    "prepare",
    "preview",
    "replay",
    "reply_model",
    "shipped_queries",
    "validate_query",
]

__getattr__ = lazy_getattr(__name__)
