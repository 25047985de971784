"""The documents of AWS's managed policies, from moto's copy of them, for an `Access` that only names them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from rolecall_generator.iam.access import Access, ManagedPolicy, Role, User
from rolecall_generator.iam.managed_policies import managed_policy_name
from rolecall_generator.iam.policy import PolicyDocument, policy_from_json


@lru_cache(maxsize=1)
def _documents() -> Mapping[str, Any]:
    from moto.iam.aws_managed_policies import aws_managed_policies_data  # noqa: PLC0415 - five megabytes of text

    policies = json.loads(aws_managed_policies_data)
    return {policy["Path"].lstrip("/") + name: policy["Document"] for name, policy in policies.items()}


@lru_cache(maxsize=2_048)
def aws_managed_document(name: str) -> PolicyDocument | None:
    """The document of a policy by path and name, as in `job-function/ViewOnlyAccess`; None when AWS has none so named."""
    body = _documents().get(name)
    return None if body is None else policy_from_json(body)


def with_aws_managed(access: Access) -> Access:
    """The same access with the documents of all AWS managed policies that somebody in it has attached, or as boundary."""
    principals: tuple[Role | User, ...] = (*access.roles.values(), *access.users.values())
    named = {principal.boundary for principal in principals if principal.boundary}
    for attached in (*(p.attached for p in principals), *(group.attached for group in access.groups.values())):
        named |= attached
    found: dict[str, ManagedPolicy] = {}
    for arn in sorted(named - set(access.policies)):
        name = managed_policy_name(arn)
        document = aws_managed_document(name) if name else None
        if document is not None:
            found[arn] = ManagedPolicy(arn, document)
    return replace(access, policies={**access.policies, **found}) if found else access
