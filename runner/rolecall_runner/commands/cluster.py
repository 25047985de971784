"""The options that name a Dask cluster, and the cluster that they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.errors import SelectionError

if TYPE_CHECKING:
    from rolecall_runner.engine.dask_cluster import DaskCluster

EngineChoice = Literal["threads", "processes", "serial", "dask"]
EngineOption = Annotated[
    EngineChoice, typer.Option("--engine", help="How accounts are asked; dask: on a cluster, see docs/dask.md.")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="The Dask scheduler; a cluster on this machine when left out."),
]
TlsOption = Annotated[
    tuple[Path, Path, Path] | None,
    typer.Option("--scheduler-tls", metavar="CA CERT KEY", help="PEM files of the cluster's TLS."),
]


def cluster_of(engine: EngineChoice, scheduler: str | None, tls: tuple[Path, Path, Path] | None) -> DaskCluster | None:
    """The cluster of the engine `dask`; None for the others. Raises SelectionError for options without their engine."""
    if engine != "dask":
        if scheduler is not None or tls is not None:
            raise SelectionError("a scheduler is for the engine dask", where="--scheduler", mend="add --engine dask")
        return None
    from rolecall_runner.engine.dask_cluster import DaskCluster  # noqa: PLC0415 - only where it is used

    ca, certificate, key = tls or (None, None, None)
    return DaskCluster(scheduler, tls_ca=ca, tls_cert=certificate, tls_key=key)
