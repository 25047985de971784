"""A Dask cluster to run on: an existing one by its scheduler's address, or one of processes on this machine for trial.

The only module that opens connections to Dask. What the cluster must have: rolecall, the same Python (3.x) and the same
Dask on scheduler and workers; for a scheduler reads the name of the function that it passes on.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rolecall_generator.errors import ExitCode, RolecallError, ToolError

_EMBEDDED_CHUNKS_AT_ONCE = 2
"""So that a process never idles while the last targets of a chunk are slow."""
_SHOWN = 3
_PACKAGES = ("rolecall", "dask", "distributed")
_SAME = "install the same rolecall, Dask and Python 3.x on this machine, the scheduler and all workers"


class ClusterError(RolecallError):
    """The Dask cluster cannot be used, or was lost in mid-run."""

    exit_code = ExitCode.TOOL


@dataclass(frozen=True, slots=True)
class DaskCluster:
    """Which cluster, and how to get at it.

    `scheduler`: its address (`tls://10.0.0.5:8786`); None for an embedded cluster of `workers` processes, on loopback and
    over TLS with keys that exist in memory alone. `tls_ca`, `tls_cert`, `tls_key`: PEM files, all three or none (then
    Dask's own configuration counts). `connect_seconds` to reach the scheduler, `wait_seconds` for a worker to be there, at
    the start and whenever all were lost.
    """

    scheduler: str | None = None
    workers: int = 2
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    connect_seconds: float = 10.0
    wait_seconds: float = 60.0

    @property
    def place(self) -> str:
        """What messages call it."""
        return self.scheduler or "the cluster on this machine"


@contextmanager
def connected(cluster: DaskCluster) -> Iterator[Any]:
    """A client (`distributed.Client`) of a cluster that has workers and the right versions; ends with what it started.

    Raises ToolError when Dask is not installed, ClusterError for all that is wrong with the cluster.
    """
    distributed = _distributed()
    security = _security(distributed, cluster)
    if cluster.scheduler is not None:
        with _client(distributed, cluster, cluster.scheduler, security) as client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=cluster.workers,
            threads_per_worker=_EMBEDDED_CHUNKS_AT_ONCE,
            processes=True,
            host="127.0.0.1",
            protocol="tls",
            security=security,
            # None would mean a fixed port, and a warning where it is taken.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            preload=["rolecall_runner.engine.dask_preload"],
        ) as local,
        _client(distributed, cluster, local.scheduler_address, security) as client,
    ):
        yield client


def check_versions(found: Mapping[str, Any], place: str) -> None:
    """Compare what `Client.get_versions(packages=["rolecall"])` found. Raises ClusterError that names who differs."""
    ours = _versions(found["client"])
    others = {"the scheduler": found["scheduler"]} | {f"worker {name}": each for name, each in found["workers"].items()}
    wrong = [(name, _difference(ours, _versions(each))) for name, each in others.items()]
    told = [f"{name} {difference}" for name, difference in wrong if difference]
    if told:
        more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise ClusterError(f"{'; '.join(told[:_SHOWN])}{more}", where=place, mend=_SAME)


def _difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    for name, version in ours.items():
        other = theirs.get(name, "")
        if other != version:
            return f"has {name} {other}, this machine {version}" if other else f"has no {name}"
    return ""


def _versions(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Versions by name; what is not installed is left out."""
    packages: Mapping[str, str | None] = (found or {}).get("packages", {})
    python = {"Python": ".".join(str(packages["python"]).split(".")[:2])} if packages.get("python") else {}
    return python | {name: version for name in _PACKAGES if (version := packages.get(name))}


def _distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415 - an extra, and a second to import
    except ImportError:
        raise ToolError("the engine dask needs Dask, which is not installed", mend="pip install 'rolecall[dask]'") from None
    return distributed


def _security(distributed: Any, cluster: DaskCluster) -> Any:
    files = {"tls_ca": cluster.tls_ca, "tls_cert": cluster.tls_cert, "tls_key": cluster.tls_key}
    given = [name for name, path in files.items() if path is not None]
    if cluster.scheduler is None:
        return _temporary(distributed)
    if not given:
        return None
    if len(given) < len(files):
        raise ClusterError(
            f"of CA, certificate and key only {' and '.join(name.removeprefix('tls_') for name in given)} is given",
            where=cluster.place,
            mend="give all three PEM files, or none",
        )
    for path in files.values():
        if not Path(str(path)).is_file():
            raise ClusterError("there is no such file", where=str(path), mend="give the PEM files of the cluster's TLS")
    return distributed.Security(
        tls_ca_file=str(cluster.tls_ca),
        tls_client_cert=str(cluster.tls_cert),
        tls_client_key=str(cluster.tls_key),
        require_encryption=True,
    )


def _temporary(distributed: Any) -> Any:
    """Keys for one run: without them any user of this machine could run code in the workers, under our credentials."""
    try:
        return distributed.Security.temporary()
    except ImportError:
        raise ToolError(
            "a Dask cluster on this machine needs the package cryptography", mend="pip install cryptography"
        ) from None


@contextmanager
def _client(distributed: Any, cluster: DaskCluster, address: str, security: Any) -> Iterator[Any]:
    try:
        with warnings.catch_warnings():
            # Dask warns of other versions in general; `check_versions` says which of them matter.
            warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
            client = distributed.Client(
                address, timeout=cluster.connect_seconds, security=security, set_as_default=False, name="rolecall"
            )
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ClusterError(
            f"the scheduler cannot be reached: {error}",
            where=cluster.place,
            mend="look at the address, at the firewall, and whether it wants TLS (tls:// and three PEM files)",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=cluster.wait_seconds)
        except TimeoutError:
            raise no_workers(cluster) from None
        check_versions(client.get_versions(packages=["rolecall"]), cluster.place)
        yield client


def no_workers(cluster: DaskCluster) -> ClusterError:
    """Nobody is there to ask targets."""
    return ClusterError(
        f"no worker has come within {cluster.wait_seconds:g} s",
        where=cluster.place,
        mend="start workers under the backend role (docs/dask.md), and see in their logs why they ended",
    )
