"""rolecall's Python API. These names are the stable interface; `docs/how-to/python.md` describes what may change.

>>> import rolecall
>>> manifest = rolecall.Manifest(
...     version=1,
...     backend=rolecall.Backend(account_id="111111111111"),
...     permission_sets={"read": rolecall.PermissionSet(managed_policies=("AmazonEC2ReadOnlyAccess",))},
...     customers=(
...         rolecall.Customer(
...             name="acme",
...             account_id="222222222222",
...             external_id="0f0c4f7c1e6b4a1d9a52b7c3d8e9f101",
...             permissions=("read",),
...         ),
...     ),
... )
>>> rolecall.check(manifest).failed_cells
0
>>> "README.md" in rolecall.build_bundle(manifest, "acme").files
True
>>> with rolecall.Fleet(manifest, sandbox=True) as fleet:
...     print(fleet.verify("acme", rolecall.VerifySpec(actions="none")).mark)
ok
"""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator._version import __version__
    from rolecall_generator.check import CheckSummary
    from rolecall_generator.errors import RolecallError
    from rolecall_generator.findings import Finding
    from rolecall_generator.manifest import (
        Backend,
        BackendRole,
        Customer,
        Manifest,
        PermissionSet,
        StatementSpec,
        fresh_external_id,
        load_manifest,
    )
    from rolecall_generator.workspace import Bundle, build_bundle, check
    from rolecall_runner.account_clients import AccountClients
    from rolecall_runner.api import Fleet, Rows
    from rolecall_runner.execution import ExecutionOptions, Result
    from rolecall_runner.inventory import Target
    from rolecall_runner.query import Row
    from rolecall_runner.verify import Verdict, VerifySpec

__all__ = [
    "AccountClients",
    "Backend",
    "BackendRole",
    "Bundle",
    "CheckSummary",
    "Customer",
    "ExecutionOptions",
    "Finding",
    "Fleet",
    "Manifest",
    "PermissionSet",
    "Result",
    "RolecallError",
    "Row",
    "Rows",
    "StatementSpec",
    "Target",
    "Verdict",
    "VerifySpec",
    "__version__",
    "build_bundle",
    "check",
    "fresh_external_id",
    "load_manifest",
]

if not TYPE_CHECKING:  # with it, a type checker accepts every name
    __getattr__ = lazy_getattr(__name__)


def __dir__() -> list[str]:
    return sorted(__all__)
