"""Reads the policies of an account from AWS Organizations, from the root down to the account.

The calls only read: organizations:DescribeOrganization, ListRoots, ListParents, ListPoliciesForTarget, DescribePolicy and
DescribeOrganizationalUnit, with credentials of the management account or a delegated administrator account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from rolecall_generator.aws_client import AwsService
from rolecall_generator.errors import SelectionError
from rolecall_generator.guardrails.policies import (
    GuardrailKind,
    GuardrailLevel,
    GuardrailPolicy,
    Guardrails,
    PolicyProblemsError,
    parse_policies,
)

_DEEPEST = 16  # AWS allows five levels of units; a simulator may return a loop
_CREDENTIALS_HINT = "use a profile of the organization's management account, or of a delegated administrator"
_HINTS = {
    "AccessDeniedException": (
        "AWS denies this caller access to the organization",
        "use the management account or a delegated administrator with organizations:Describe* and List*",
    ),
    "AWSOrganizationsNotInUseException": ("this account is not part of an organization", _CREDENTIALS_HINT),
    "TooManyRequestsException": ("AWS Organizations throttles the calls", "try again later"),
}
_UNKNOWN_ACCOUNT = frozenset({"ChildNotFoundException", "AccountNotFoundException", "TargetNotFoundException"})


_SERVICE = AwsService("organizations", "AWS Organizations", _CREDENTIALS_HINT, _HINTS)


def make_organizations_client(profile: str) -> Any:
    """Create a client with the profile. Raises CallerError."""
    return _SERVICE.client(profile)


def read_guardrails(client: Any, account_id: str, *, profile: str) -> Guardrails:
    """Read the policies that apply to the account.

    Raises CallerError if a call fails, SelectionError if the account is not in the organization, or PolicyProblemsError if
    a policy cannot be parsed.
    """
    with _SERVICE.calls(profile):
        try:
            return _read(client, account_id)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code", "") not in _UNKNOWN_ACCOUNT:
                raise
            raise SelectionError(
                f"account {account_id} is not in the organization",
                where=f"profile {profile}",
                hint="use a profile of the organization that the account is in",
            ) from error


def _read(client: Any, account_id: str) -> Guardrails:
    organization = client.describe_organization()["Organization"]
    chain = _chain(client, account_id)
    disabled = _disabled(client, chain[0][0])
    contents: dict[str, list[GuardrailPolicy]] = {}
    levels = []
    for target, name in chain:
        policies: list[GuardrailPolicy] = []
        for kind in GuardrailKind:
            if kind in disabled:
                continue
            pages = _pages(client, "list_policies_for_target", "Policies", TargetId=target, Filter=kind.aws_type)
            for summary in pages:
                policy_id = str(summary["Id"])
                if policy_id not in contents:
                    contents[policy_id] = _describe(client, policy_id, kind)
                policies += contents[policy_id]
        levels.append(GuardrailLevel(name, tuple(policies)))
    management = organization.get("MasterAccountId") == account_id
    notes = [f"{kind}s are not enabled in the organization" for kind in GuardrailKind if kind in disabled]
    organization_id = str(organization.get("Id") or "")
    return Guardrails(
        tuple(levels),
        organization_id or None,
        is_management=management,
        disabled=disabled,
        notes=tuple(notes),
        # "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/": the account itself is not in it (aws:PrincipalOrgPaths).
        organization_path="".join(f"{each}/" for each in (organization_id, *(target for target, _ in chain[:-1]))),
    )


def _describe(client: Any, policy_id: str, kind: GuardrailKind) -> list[GuardrailPolicy]:
    policy = client.describe_policy(PolicyId=policy_id)["Policy"]
    summary = policy.get("PolicySummary", {})
    found = parse_policies(str(policy.get("Content", "")), f"policy {policy_id}", kind)
    return [
        GuardrailPolicy(
            each.kind,
            str(summary.get("Name", policy_id)),
            policy_id,
            each.document,
            each.body,
            aws_managed=bool(summary.get("AwsManaged")),
        )
        for each in found
    ]


def _chain(client: Any, account_id: str) -> list[tuple[str, str]]:
    """IDs and names of the root, the units and the account."""
    chain = [(account_id, f"account {account_id}")]
    child = account_id
    while len(chain) <= _DEEPEST:
        parents = list(_pages(client, "list_parents", "Parents", ChildId=child))
        if len(parents) != 1:
            break
        child = str(parents[0]["Id"])
        if parents[0]["Type"] == "ROOT":
            return [(child, f"root {child}"), *reversed(chain)]
        unit = client.describe_organizational_unit(OrganizationalUnitId=child)["OrganizationalUnit"]
        chain.append((child, f"unit {unit.get('Name', child)}"))
    what = f"the units above account {account_id} could not be read up to the root"
    raise PolicyProblemsError.at("AWS Organizations", what, "check the organization with aws organizations list-parents")


def _disabled(client: Any, root_id: str) -> frozenset[GuardrailKind]:
    """The kinds of policies that are not enabled in the root, and so have no effect."""
    for root in _pages(client, "list_roots", "Roots"):
        if root["Id"] == root_id:
            enabled = {each["Type"] for each in root.get("PolicyTypes", ()) if each.get("Status") == "ENABLED"}
            return frozenset(kind for kind in GuardrailKind if kind.aws_type not in enabled)
    return frozenset()


def _pages(client: Any, operation: str, key: str, **parameters: str) -> Iterator[Mapping[str, Any]]:
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page.get(key, ())
