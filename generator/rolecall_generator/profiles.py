"""AWS CLI profiles of a manifest's roles, for daily work: `aws --profile account1 s3 ls`.

Source: AWS CLI User Guide, "Using an IAM role in the AWS CLI" (role_arn, external_id, credential_source, source_profile,
mfa_serial, role_session_name, duration_seconds), November 2026.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from rolecall_generator.generate import select
from rolecall_generator.iam import quotas
from rolecall_generator.iam.arn import iam_arn, role_arn
from rolecall_generator.manifest.models import Manifest, SwitchRole
from rolecall_generator.manifest.resolve import resolve_customers
from rolecall_generator.plan import make_plan
from rolecall_generator.plan.backend import customer_role_arn

CredentialSource = Literal["Ec2InstanceMetadata", "EcsContainer", "Environment"]


def profiles_text(
    manifest: Manifest,
    only: Collection[str] = (),
    *,
    credential_source: CredentialSource = "Ec2InstanceMetadata",
    source_profile: str | None = None,
    prefix: str = "",
) -> str:
    """The profiles in the form of `~/.aws/config`, one a customer and one a person of each switch role.

    Customers' roles are assumed from `credential_source`, or from `source_profile` where one is named. People's profiles
    start from a profile of the person's name (`source_profile` where one is named) and ask for the person's MFA code.
    `only` names customers and switch roles. Raises SelectionError for unknown names, PlanError.
    """
    chosen = {path.split("/")[1] for path in select(make_plan(manifest), only) if "/" in path} if only else None
    source = {"source_profile": source_profile} if source_profile else {"credential_source": credential_source}
    blocks = [*_customers(manifest, chosen, source), *_people(manifest, chosen, source_profile)]
    return "\n".join(_block(prefix + name, settings) for name, settings in blocks)


def _customers(
    manifest: Manifest, chosen: Collection[str] | None, source: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str]]]:
    for customer in resolve_customers(manifest):
        if chosen is not None and customer.name not in chosen:
            continue
        settings = {"role_arn": customer_role_arn(manifest.partition, customer)}
        # Amid a rotation the previous id is the one that the role takes before the customer applies, and after.
        if (external_id := customer.previous_external_id or customer.external_id) is not None:
            settings["external_id"] = external_id
        # The backend's credentials are a role's own: a longer session would be refused (role chaining).
        seconds = str(min(customer.max_session_seconds, quotas.CHAINED_SESSION_SECONDS))
        settings |= {**source, "role_session_name": "rolecall-cli", "duration_seconds": seconds}
        if customer.regions:
            settings["region"] = customer.regions[0]
        yield customer.name, settings


def _people(
    manifest: Manifest, chosen: Collection[str] | None, source_profile: str | None
) -> Iterator[tuple[str, dict[str, str]]]:
    for entry in manifest.switch_roles:
        if chosen is not None and entry.name not in chosen:
            continue
        partition = entry.partition or manifest.partition
        for user in entry.users:
            name = entry.name if len(entry.users) == 1 else f"{entry.name}-{user.name}"
            settings = {
                "role_arn": role_arn(partition, entry.trusting.account_id, entry.path, entry.role),
                "source_profile": source_profile or user.name,
                "role_session_name": user.name,
                "duration_seconds": str(entry.max_session_seconds),
            }
            if entry.require_mfa:
                settings["mfa_serial"] = mfa_serial(entry, partition, user.name)
            yield name, settings


def mfa_serial(entry: SwitchRole, partition: str, user_name: str) -> str:
    """ARN of the virtual MFA device that a person registers under the own name, as the console proposes."""
    home = entry.trusting if entry.group_in == "trusting" else entry.trusted
    return iam_arn(partition, home.account_id, "mfa", "/", user_name)


def _block(name: str, settings: Mapping[str, str]) -> str:
    lines = (f"{key} = {value}" for key, value in settings.items())
    return "\n".join((f"[profile {name}]", *lines, ""))
