"""RC5xx: attached policies that AWS manages: unknown, deprecated, or sweeping."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rolecall_generator.checks.context import CheckContext, Hit, Owner
from rolecall_generator.checks.finding import Severity
from rolecall_generator.checks.rule import Judge, rule
from rolecall_generator.iam import managed_policies as known


def _over_attached(judge: Callable[[str, str], Hit | None]) -> Judge:
    """A judge of every attached AWS managed policy by ARN and name; each policy is judged once."""

    def over_context(context: CheckContext) -> Iterator[tuple[Owner, Hit]]:
        access = context.access
        hits: dict[str, Hit | None] = {}
        for principals in (access.roles, access.groups, access.users):
            for owner_arn, principal in principals.items():
                for arn in sorted(principal.attached):
                    if arn not in hits:
                        name = known.managed_policy_name(arn)
                        hits[arn] = None if name is None else judge(arn, name)
                    if (hit := hits[arn]) is not None:
                        yield Owner(owner_arn, "the list of attached policies"), hit

    return over_context


def _deprecation(name: str) -> known.Deprecated | None:
    """By path and name, or by the plain name: people forget the path."""
    plain = name.rpartition("/")[2]
    return known.DEPRECATED.get(name) or next(
        (entry for full, entry in known.DEPRECATED.items() if full.rpartition("/")[2] == plain), None
    )


def _unknown(arn: str, name: str) -> Hit | None:
    if name in known.known_names() or _deprecation(name):
        return None
    partition = arn.split(":")[1]
    nearest = known.nearest_name(name)
    return Hit(
        f"names {name}, which AWS does not have",
        f"write {nearest}" if nearest else "write a policy of the AWS Managed Policy Reference Guide",
        # The list is that of the aws partition; the others have a few policies of their own.
        None if partition == "aws" else Severity.NOTE,
    )


def _deprecated(_arn: str, name: str) -> Hit | None:
    entry = _deprecation(name)
    if entry is None:
        return None
    state = "is on the way to deprecation" if entry.attachable else "AWS has deprecated; it cannot be attached any more"
    return Hit(
        f"names {name}, which {state}",
        f"attach {entry.replacement}" if entry.replacement else "write the permissions that are needed as statements",
        Severity.WARNING if entry.attachable else Severity.ERROR,
    )


def _sweeping(_arn: str, name: str) -> Hit | None:
    if name not in known.SWEEPING:
        return None
    reads = name == "ReadOnlyAccess"
    return Hit(
        f"holds {name}, which {known.SWEEPING[name]}",
        "attach job-function/ViewOnlyAccess or SecurityAudit" if reads else "list the actions that are needed",
        Severity.WARNING if reads else Severity.ERROR,
    )


MANAGED_RULES = (
    rule("RC501", "Managed policy that AWS does not have", Severity.ERROR, _over_attached(_unknown)),
    rule("RC502", "Deprecated managed policy", Severity.ERROR, _over_attached(_deprecated)),
    rule("RC503", "Managed policy that gives an account away", Severity.ERROR, _over_attached(_sweeping)),
)
"""The rules of this family."""
