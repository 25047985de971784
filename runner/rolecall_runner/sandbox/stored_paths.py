"""Full ARNs of IAM's own resources: a request names them without the path that policies know them by."""

from __future__ import annotations

from rolecall_generator.iam.access import Access
from rolecall_generator.iam.arn import parse_arn


class StoredPaths:
    """The ARNs of an Access by account, kind and name; names are unique in an account, whatever the path."""

    def __init__(self, access: Access) -> None:
        self._full: dict[tuple[str, str, str], str] = {}
        for arns in (access.roles, access.users, access.groups, access.policies, access.instance_profiles):
            for arn in arns:
                parsed = parse_arn(arn)
                if parsed is not None:
                    self._full[(parsed.account_id, parsed.kind, parsed.name.lower())] = arn

    def full(self, arn: str) -> str:
        """The stored ARN with its path; as it is, for what is not stored and for all other services."""
        parsed = parse_arn(arn)
        if parsed is None or parsed.service != "iam":
            return arn
        return self._full.get((parsed.account_id, parsed.kind, parsed.name.lower()), arn)
