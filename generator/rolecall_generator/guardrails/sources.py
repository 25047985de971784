"""Reads the policies of an account from files, a folder or standard input, or from AWS Organizations.

The calls only read: organizations:DescribeOrganization, ListRoots, ListParents, ListPoliciesForTarget, DescribePolicy and
DescribeOrganizationalUnit, with credentials of the management account or a delegated administrator account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from rolecall_generator.aws_client import AwsService
from rolecall_generator.errors import SelectionError
from rolecall_generator.guardrails.policies import (
    MAXIMUM_CHARACTERS,
    GuardrailKind,
    GuardrailLevel,
    GuardrailPolicy,
    Guardrails,
    PolicyProblemsError,
    parse_policies,
    with_full_access,
)

STANDARD_INPUT = "-"
_PASTED = "organization"
_DEEPEST = 8  # root, five levels of units, account, and one more for a folder around them


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The files of a command line, each as FILE or LEVEL=FILE; `-` is standard input. `folder`: see `read_folder`."""

    scps: tuple[str, ...] = ()
    rcps: tuple[str, ...] = ()
    folder: Path | None = None


def read_files(
    files: PolicyFiles, account_id: str, stdin: Callable[[], str], organization_id: str | None = None
) -> Guardrails:
    """Read the policies of an account, from the root down.

    Files without a level are attached to one level; levels are in the order of their first file.

    Raises PolicyProblemsError for what cannot be read, or SelectionError for an argument that names nothing.
    """
    levels: dict[str, list[GuardrailPolicy]] = {}
    if files.folder is not None:
        for level in read_folder(files.folder, account_id):
            levels.setdefault(level.name, []).extend(level.policies)
    for kind, arguments in ((GuardrailKind.SCP, files.scps), (GuardrailKind.RCP, files.rcps)):
        for argument in arguments:
            level_name, path = _split(argument, f"--{kind.lower()}")
            text = stdin() if path == STANDARD_INPUT else _read(Path(path))
            where = "standard input" if path == STANDARD_INPUT else path
            levels.setdefault(level_name, []).extend(parse_policies(text, where, kind))
    found, notes = with_full_access(GuardrailLevel(name, tuple(policies)) for name, policies in levels.items())
    return Guardrails(found, organization_id, notes=notes)


def _split(argument: str, option: str) -> tuple[str, str]:
    if not argument.strip():
        raise SelectionError("the value is empty", where=option, hint="write FILE, LEVEL=FILE, or - for standard input")
    level, equals, path = argument.partition("=")
    if equals and not Path(argument).exists():
        if not level or not path:
            raise SelectionError(f"{argument} names no level and file", where=option, hint="write LEVEL=FILE")
        return level, path
    return _PASTED, argument


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(4 * MAXIMUM_CHARACTERS + 1)
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyProblemsError.at(str(path), "the file is not UTF-8 text", "save it as UTF-8") from error
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise PolicyProblemsError.at(str(path), what, "check its name and permissions") from error


def read_folder(folder: Path, account_id: str) -> list[GuardrailLevel]:
    """The levels of a folder whose subfolders are the units, and the account in or below them.

    The account's folder is the one whose name contains the account ID. Without one, the folders must form a single chain.
    Each JSON file is a policy that is attached to the level of its folder; RCPs have a Principal, SCPs have none.
    """
    if not folder.is_dir():
        raise SelectionError(f"{folder} is not a folder", where="--folder", hint="name the folder of the root")
    chain = _chain(folder, account_id)
    if chain is None:
        hint = f"name the folder of the account after its ID, {account_id}"
        raise SelectionError(f"no folder below {folder} is that of the account", where="--folder", hint=hint)
    return [
        GuardrailLevel(
            "/".join((folder.name, *level.relative_to(folder).parts)),
            tuple(
                policy for file in sorted(level.glob("*.json")) for policy in parse_policies(_read(file), str(file), None)
            ),
        )
        for level in chain
    ]


def _chain(folder: Path, account_id: str) -> Sequence[Path] | None:
    """The folders from `folder` to that of the account; None if there is none."""
    if account_id in folder.name:
        return [folder]
    single: list[Path] | None = [folder]
    pending: list[tuple[Path, tuple[Path, ...]]] = [(folder, (folder,))]
    while pending:
        parent, path = pending.pop()
        children = sorted(child for child in parent.iterdir() if child.is_dir() and not child.name.startswith("."))
        for child in children:
            if account_id in child.name:
                return (*path, child)
            if len(path) < _DEEPEST:
                pending.append((child, (*path, child)))
        if len(children) > 1:
            single = None
        elif single is not None and children and parent == single[-1]:
            single.append(children[0])
    return single


_MOST_PARENTS = 16  # AWS allows five levels of units; a simulator may return a loop
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
            return _read_organization(client, account_id)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code", "") not in _UNKNOWN_ACCOUNT:
                raise
            raise SelectionError(
                f"account {account_id} is not in the organization",
                where=f"profile {profile}",
                hint="use a profile of the organization that the account is in",
            ) from error


def _read_organization(client: Any, account_id: str) -> Guardrails:
    organization = client.describe_organization()["Organization"]
    chain = _organization_chain(client, account_id)
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


def _organization_chain(client: Any, account_id: str) -> list[tuple[str, str]]:
    """IDs and names of the root, the units and the account."""
    chain = [(account_id, f"account {account_id}")]
    child = account_id
    while len(chain) <= _MOST_PARENTS:
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
