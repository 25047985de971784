"""Managed policies that a manifest names and no module makes: in the sandbox a placeholder stands for each.

A customer's own policy is in the customer's account, and its content is not known here. Without it IAM would refuse every
role that names it. A placeholder boundary allows everything, so that the role's own policies decide; a placeholder that is
attached allows only what needs no permission at all. What the real policy limits or allows is not rehearsed: outputs say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rolecall_generator.iam.access import Access, ManagedPolicy, access_of, union
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.policy import PolicyDocument, Statement

PLACEHOLDER_TAG = "rolecall-placeholder"
_DESCRIPTION = "Placeholder of the rolecall sandbox: what the real policy says is not known"
_NO_LIMIT = PolicyDocument((Statement("Allow", ("*",), ("*",), sid="PlaceholderBoundary"),))
_NOTHING = PolicyDocument((Statement("Allow", ("sts:GetCallerIdentity",), ("*",), sid="PlaceholderPolicy"),))


def placeholder_policies(accesses: Iterable[Access]) -> Access:
    """A placeholder for every policy of an account that is attached or a boundary and that no module makes."""
    whole = union(accesses)
    boundaries = {one.boundary for kind in (whole.roles, whole.users) for one in kind.values() if one.boundary}
    attached = {arn for kind in (whole.roles, whole.groups, whole.users) for one in kind.values() for arn in one.attached}
    missing = sorted(arn for arn in (boundaries | attached) - whole.policies.keys() if _is_an_accounts_own(arn))
    return access_of(
        *(
            ManagedPolicy(arn, _NO_LIMIT if arn in boundaries else _NOTHING, _DESCRIPTION, tags={PLACEHOLDER_TAG: "true"})
            for arn in missing
        )
    )


def _is_an_accounts_own(arn: str) -> bool:
    parsed = parse_arn(arn)
    return parsed is not None and parsed.account_id.isdigit()


def note_on(placeholders: Sequence[str]) -> str:
    """A sentence's end that says what is not rehearsed, by the ARNs; empty when there are none."""
    if not placeholders:
        return ""
    first, more = placeholders[0], len(placeholders) - 1
    which = first + (f" and {more:,} more" if more else "")
    return f"; the content of {which} is not known, so placeholders stand in and what it allows or limits is not rehearsed"
