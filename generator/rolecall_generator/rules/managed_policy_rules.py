"""RC5xx: attached managed policies: unknown, deprecated, overly broad, or of another account."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rolecall_generator.findings import Severity
from rolecall_generator.iam import Arn
from rolecall_generator.iam.catalog import actions as known
from rolecall_generator.rules.rule import CheckContext, Hit, Owner, RuleFunction, over_access, rule


def over_attached(*, boundaries: bool = False) -> Callable[[Callable[[str, str], Hit | None]], RuleFunction]:
    """Call the function once for each attached AWS managed policy, with its ARN and name.

    `boundaries`: include permissions boundaries.
    """

    def over(function: Callable[[str, str], Hit | None]) -> RuleFunction:
        def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
            hits: dict[str, Hit | None] = {}
            for owner, arn in _policy_arns(context, boundaries=boundaries):
                if arn not in hits:
                    name = known.managed_policy_name(arn)
                    hits[arn] = None if name is None else function(arn, name)
                if (hit := hits[arn]) is not None:
                    yield owner, hit

        return over_context

    return over


def _policy_arns(context: CheckContext, *, boundaries: bool) -> Iterator[tuple[Owner, str]]:
    """Yield owners and ARNs of attached policies and, with `boundaries`, of permissions boundaries."""
    access = context.access
    for principals in (access.roles, access.groups, access.users):
        for owner_arn, principal in principals.items():
            yield from ((Owner(owner_arn, "the list of attached policies"), arn) for arn in sorted(principal.attached))
    for bounded in (access.roles, access.users) if boundaries else ():
        for owner_arn, holder in bounded.items():
            if holder.boundary:
                yield Owner(owner_arn, "the permissions boundary"), holder.boundary


@rule(
    "RC504",
    "Managed policy of another account",
    Severity.ERROR,
    over_access,
    hint="use a policy of the role's account, or an AWS managed policy",
)
def managed_policy_of_other_account(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
    """Attached policies and permissions boundaries that belong to another account."""
    for owner, arn in _policy_arns(context, boundaries=True):
        policy, owner_arn = Arn.parse(arn), Arn.parse(owner.arn)
        if policy is None or owner_arn is None or policy.account_id in {"aws", owner_arn.account_id}:
            continue
        yield (
            owner,
            Hit(f"has {arn}, a policy of account {policy.account_id}: a policy can only be attached in its own account"),
        )


def _deprecated_entry(name: str) -> known.Deprecated | None:
    """The entry of a deprecated policy, found by name with or without path; None if the policy is not deprecated."""
    bare_name = name.rpartition("/")[2]
    return known.DEPRECATED.get(name) or next(
        (entry for full_name, entry in known.DEPRECATED.items() if full_name.rpartition("/")[2] == bare_name), None
    )


@rule(
    "RC501",
    "Managed policy that AWS does not have",
    Severity.ERROR,
    over_attached(boundaries=True),
    hint="write a policy of the AWS Managed Policy Reference Guide",
)
def unknown_managed_policy(arn: str, name: str) -> Hit | None:
    """Names that are not in the list of AWS managed policies."""
    if name in known.known_names() or _deprecated_entry(name):
        return None
    partition = arn.split(":")[1]
    nearest = known.nearest_name(name)
    return Hit(
        f"names {name}, which AWS does not have",
        f"write {nearest}" if nearest else None,
        # The list is only complete for the aws partition.
        None if partition == "aws" else Severity.NOTE,
    )


@rule(
    "RC502",
    "Deprecated managed policy",
    Severity.ERROR,
    over_attached(),
    hint="write the required permissions as statements",
)
def deprecated_managed_policy(_arn: str, name: str) -> Hit | None:
    """Policies that AWS has deprecated or will deprecate."""
    entry = _deprecated_entry(name)
    if entry is None:
        return None
    state = "AWS will deprecate" if entry.attachable else "AWS has deprecated; it can no longer be attached"
    return Hit(
        f"names {name}, which {state}",
        f"attach {entry.replacement}" if entry.replacement else None,
        Severity.WARNING if entry.attachable else Severity.ERROR,
    )


@rule(
    "RC503",
    "Overly broad managed policy",
    Severity.ERROR,
    over_attached(),
    hint="list the required actions",
)
def sweeping_managed_policy(_arn: str, name: str) -> Hit | None:
    """Policies that grant full access to an account, or read access to all its data."""
    if name not in known.OVERLY_BROAD:
        return None
    reads = name == "ReadOnlyAccess"
    return Hit(
        f"has {name}, which {known.OVERLY_BROAD[name]}",
        "attach job-function/ViewOnlyAccess or SecurityAudit" if reads else None,
        Severity.WARNING if reads else Severity.ERROR,
    )
