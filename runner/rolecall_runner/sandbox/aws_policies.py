"""AWS's managed policies, once for all accounts of the sandbox.

moto 5.2.5 reads its 1,400 policies for every account anew: 130 ms and 5.6 MB each, so 1,000 accounts would take minutes
and gigabytes. Nobody can change these policies, so the accounts share them; only what an account makes itself is its own.
"""

from __future__ import annotations

from collections import ChainMap
from typing import Any

_shared: dict[str, list[Any]] = {}


def share_aws_policies() -> None:
    """Have every account that is made from now on share AWS's managed policies. Twice is once.

    Needs `MOTO_IAM_LOAD_MANAGED_POLICIES=true` in the environment as before. The attachment count of AWS's policies is then
    that of all accounts together.
    """
    from moto.iam import models  # noqa: PLC0415 - an extra, and slow to import

    backend_class: Any = models.IAMBackend  # moto offers no other place for this than two methods of the class
    if getattr(backend_class, "rolecall_shares_policies", False):
        return
    read_policies = backend_class._init_aws_policies

    def shared_policies(backend: Any) -> list[Any]:
        found = _shared.get(backend.region_name)
        if not found:
            found = _shared[backend.region_name] = read_policies(backend)
        return found

    def own_map_over_shared(backend: Any) -> ChainMap[str, Any]:
        return ChainMap({}, _by_arn(backend))

    backend_class._init_aws_policies = shared_policies
    backend_class._init_managed_policies = own_map_over_shared
    backend_class.rolecall_shares_policies = True


_maps: dict[str, dict[str, Any]] = {}


def _by_arn(backend: Any) -> dict[str, Any]:
    if backend.region_name not in _maps:
        _maps[backend.region_name] = {policy.arn: policy for policy in backend.aws_managed_policies}
    return _maps[backend.region_name]
