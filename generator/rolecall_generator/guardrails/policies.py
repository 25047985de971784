"""Service control policies (SCPs) and resource control policies (RCPs) of a customer's account, level by level.

Their quotas and syntax, and which actions RCPs restrict. Sources: AWS Organizations User Guide, "Quotas and service limits",
"SCP syntax", "RCP syntax", and the announcement "AWS Organizations increases service control policy quotas" of 15 May 2026
(10 policies per target and 10,240 characters for SCPs); November 2026. Actions: `iam/data/organization_policies.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rolecall_generator.errors import ManifestError, Problem
from rolecall_generator.findings import Severity
from rolecall_generator.iam import PolicyDocument, Statement
from rolecall_generator.iam.data import read_table
from rolecall_generator.iam.matching import PolicyVariables
from rolecall_generator.proof.symbolic import SearchBudget
from rolecall_generator.text import clip, pluralize

_STEPS = 2_400_000
_SECONDS = 15.0
MAXIMUM_CHARACTERS = 1_000_000
"""Longer input is not read."""
_MAXIMUM_POLICY = 50_000  # five times the larger quota: the time of a review grows with the square of the statements


class GuardrailKind(StrEnum):
    """The kinds of authorization policies of AWS Organizations."""

    SCP = "SCP"
    RCP = "RCP"

    @property
    def aws_type(self) -> str:
        """The policy type as AWS Organizations names it."""
        return "SERVICE_CONTROL_POLICY" if self is GuardrailKind.SCP else "RESOURCE_CONTROL_POLICY"

    @property
    def full_access(self) -> str:
        """The name of the AWS managed policy that allows everything."""
        return "FullAWSAccess" if self is GuardrailKind.SCP else "RCPFullAWSAccess"


QUOTAS = {GuardrailKind.SCP: (10_240, 10), GuardrailKind.RCP: (5_120, 5)}
"""Characters of a policy, and policies attached to one root, unit or account, including the AWS managed one."""

FULL_ACCESS = PolicyDocument((Statement("Allow", ("*",), ("*",)),))


class PolicyProblemsError(ManifestError):
    """Policies of an organization cannot be read. `problems` has all errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.what = f"{pluralize(len(self.problems), 'problem')} in the policies of the organization"

    @classmethod
    def at(cls, file: str, what: str, hint: str, *, line: int = 1, column: int = 1) -> PolicyProblemsError:
        """The error for one problem. Line and column count from 1."""
        return cls([Problem(file, line, column, what, hint)])


@dataclass(frozen=True, slots=True)
class GuardrailPolicy:
    """One policy. `body` is its JSON, `characters` its size without white space. `where` is its file or ID."""

    kind: GuardrailKind
    name: str
    where: str
    document: PolicyDocument
    body: Mapping[str, Any]
    aws_managed: bool = False

    @property
    def characters(self) -> int:
        """The size without white space between tokens, as the console and the CLI save it."""
        return len(compact_json(self.body))


@dataclass(frozen=True, slots=True)
class GuardrailLevel:
    """A root, unit or account with the policies that are attached to it."""

    name: str
    policies: tuple[GuardrailPolicy, ...] = ()

    def of_kind(self, kind: GuardrailKind) -> tuple[GuardrailPolicy, ...]:
        """The policies of one kind."""
        return tuple(policy for policy in self.policies if policy.kind is kind)


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The policies that apply to one account, from the root down to the account.

    `organization_id`: None if it is not known. `organization_path`: the account's value of aws:PrincipalOrgPaths, empty if
    it is not known. `is_management`: the account is the management account, which SCPs and RCPs do not restrict.
    `disabled`: kinds that are not enabled in the organization. `notes` are assumptions about the input.
    """

    levels: tuple[GuardrailLevel, ...] = ()
    organization_id: str | None = None
    is_management: bool = False
    disabled: frozenset[GuardrailKind] = frozenset()
    notes: tuple[str, ...] = field(default=())
    organization_path: str = ""

    def levels_of(self, kind: GuardrailKind) -> tuple[GuardrailLevel, ...]:
        """The levels whose policies of a kind restrict the account, each with only those.

        Empty for the management account ("SCPs don't affect users or roles in the management account", and likewise RCPs),
        for a kind that is not enabled, and if no policy of the kind is known.
        """
        if self.is_management or kind in self.disabled or not any(level.of_kind(kind) for level in self.levels):
            return ()
        return tuple(GuardrailLevel(level.name, level.of_kind(kind)) for level in self.levels)


@dataclass(frozen=True, slots=True)
class GuardrailFinding:
    """A policy that AWS does not accept, or a quota that is exceeded."""

    severity: Severity
    where: str
    message: str
    hint: str


def review_budget() -> SearchBudget:
    """The budget of one comparison: a review has tens of them, not thousands as a proof of all customers."""
    return SearchBudget(_STEPS, _SECONDS)


def compact_json(body: object) -> str:
    """JSON without white space between tokens."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def documents_of(levels: Iterable[GuardrailLevel]) -> tuple[tuple[PolicyDocument, ...], ...]:
    """The documents of the policies of each level."""
    return tuple(tuple(policy.document for policy in level.policies) for level in levels)


def with_full_access(levels: Iterable[GuardrailLevel]) -> tuple[tuple[GuardrailLevel, ...], tuple[str, ...]]:
    """Add the AWS managed policy where files have policies of a kind but none that allows anything, and a note about it.

    Files are often exported without the AWS managed policies. A level without any policy of the kind gets it too: "you must
    have at least one SCP attached to the root, each OU, and each account".
    """
    found = list(levels)
    notes = []
    for kind in GuardrailKind:
        if not any(level.of_kind(kind) for level in found):
            continue
        assumed, listed = [], []
        for index, level in enumerate(found):
            if not any(s.effect == "Allow" for policy in level.of_kind(kind) for s in policy.document.statements):
                found[index] = GuardrailLevel(level.name, (*level.policies, full_access_policy(kind)))
                assumed.append(level.name)
            else:
                listed.append(level.name)
        if assumed:
            notes.append(
                f"{kind.full_access} is assumed to be attached to {', '.join(assumed)}: no {kind} there allows anything"
            )
        if assumed and listed:
            notes.append(
                f"the input has a policy that allows requests at {', '.join(listed)}, but none at {', '.join(assumed)}; AWS "
                "denies every request if none is attached there"
            )
    return tuple(found), tuple(notes)


def full_access_policy(kind: GuardrailKind) -> GuardrailPolicy:
    """The AWS managed policy that is attached by default."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    if kind is GuardrailKind.RCP:
        statement["Principal"] = "*"
    body = {"Version": PolicyDocument.VERSION, "Statement": [statement]}
    return GuardrailPolicy(kind, kind.full_access, "AWS managed", PolicyDocument.from_json(body), body, aws_managed=True)


# Reading


def parse_policies(text: str, where: str, kind: GuardrailKind | None) -> list[GuardrailPolicy]:
    """Read policies from JSON: a policy document, the output of `aws organizations describe-policy`, or a list of these.

    With `kind` None, a document with a Principal is an RCP, and one without is an SCP. Raises PolicyProblemsError.
    """
    if len(text) > MAXIMUM_CHARACTERS:
        raise PolicyProblemsError.at(where, "the input is too large", "give the policies of one account")
    body = _load(text, where)
    entries = body if isinstance(body, list) else [body]
    if not entries:
        raise PolicyProblemsError.at(where, "the list has no policy", "paste at least one policy document")
    problems: list[Problem] = []
    found = []
    for number, entry in enumerate(entries, start=1):
        name = where if len(entries) == 1 else f"{where} [{number}]"
        try:
            found.append(_policy(entry, name, kind))
        except PolicyProblemsError as error:
            problems += error.problems
    if problems:
        raise PolicyProblemsError(problems)
    return found


def _load(text: str, where: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        hint = "paste the JSON of the policy as it is shown in the console of AWS Organizations"
        raise PolicyProblemsError.at(
            where, f"not valid JSON: {error.msg}", hint, line=error.lineno, column=error.colno
        ) from error
    except RecursionError as error:
        raise PolicyProblemsError.at(where, "the JSON is nested too deeply", "paste a policy document") from error
    except _RepeatedNameError as error:
        raise PolicyProblemsError.at(where, str(error), "remove one of them") from error
    except ValueError as error:  # Python limits the digits of an integer
        raise PolicyProblemsError.at(where, "a number has too many digits", "write it as a string") from error


class _RepeatedNameError(ValueError):
    """A name occurs twice in one JSON object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedNameError(f"{clip(next(name for name in names if names.count(name) > 1))} occurs twice in one object")
    return found


def _policy(entry: Any, where: str, kind: GuardrailKind | None) -> GuardrailPolicy:
    name, aws_managed = where, False
    if isinstance(entry, dict) and "VpcEndpoints" in entry:
        raise PolicyProblemsError.at(where, "policies of VPC endpoints are not examined", _ONLY_GUARDRAILS)
    if isinstance(entry, dict) and isinstance(entry.get("Policy"), dict):
        entry, summary = entry["Policy"].get("Content"), entry["Policy"].get("PolicySummary")
        if isinstance(summary, dict):
            policy_type = summary.get("Type")
            if isinstance(policy_type, str) and policy_type not in {each.aws_type for each in GuardrailKind}:
                raise PolicyProblemsError.at(
                    where, f"policies of type {clip(policy_type)} are not examined", _ONLY_GUARDRAILS
                )
            name, aws_managed = str(summary.get("Name", where)), summary.get("AwsManaged") is True
            kind = kind or next((each for each in GuardrailKind if each.aws_type == summary.get("Type")), None)
    if isinstance(entry, str):
        entry = _load(entry, where)
    if not isinstance(entry, dict) or "Statement" not in entry:
        what = "not a policy document: it has no Statement"
        raise PolicyProblemsError.at(where, what, 'paste an object with "Version" and "Statement"')
    faults = list(_faults(entry))
    try:
        document = PolicyDocument.from_json(entry)
    except ValueError as error:
        faults.append((str(error), "write a statement as in the AWS Organizations User Guide, SCP syntax"))
    if faults:
        raise PolicyProblemsError([Problem(where, 1, 1, what, hint) for what, hint in faults])
    if (size := len(compact_json(entry))) > _MAXIMUM_POLICY:
        what = f"the policy has {size:,} characters; AWS Organizations accepts at most {QUOTAS[GuardrailKind.SCP][0]:,}"
        raise PolicyProblemsError.at(where, what, "give the policies as they are attached, one document each")
    has_principal = any(statement.principals or statement.not_principals for statement in document.statements)
    found = kind or (GuardrailKind.RCP if has_principal else GuardrailKind.SCP)
    return GuardrailPolicy(found, name, where, document, entry, aws_managed)


_ONLY_GUARDRAILS = "give only SCPs and RCPs of the customer's organization"
_LISTS = ("Action", "NotAction", "Resource", "NotResource")
_SCALARS = (str, int, float, bool)


def _faults(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What AWS would refuse in any policy, with hints. Those of SCPs and RCPs are in `findings_of`."""
    statements = body["Statement"]
    for number, statement in enumerate(statements if isinstance(statements, list) else [statements], start=1):
        if not isinstance(statement, Mapping):
            continue
        at = f"statement {number}"
        if statement.get("Effect") not in ("Allow", "Deny"):
            yield f"{at}: Effect is {clip(str(statement.get('Effect')))!r}", "write Allow or Deny"
        if ("Action" in statement) == ("NotAction" in statement):
            yield f"{at}: it needs either Action or NotAction", "write one of them"
        if ("Resource" in statement) == ("NotResource" in statement):
            yield f"{at}: it needs either Resource or NotResource", 'write "Resource": "*" for all resources'
        if not isinstance(statement.get("Sid", ""), str):
            yield f"{at}: Sid is not a string", "write a string, or leave it out"
        yield from ((f"{at}: {what}", hint) for what, hint in _value_faults(statement))


def _value_faults(statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _LISTS:
        value = statement.get(name, "")
        if not isinstance(value, str) and not (isinstance(value, list) and value and _all(value, str)):
            yield f"{name} is not a string or a list of strings", "write one string, or a list with at least one"
    conditions = statement.get("Condition", {})
    if not isinstance(conditions, Mapping) or not all(isinstance(keys, Mapping) for keys in conditions.values()):
        yield "Condition is not an object of operators, each with an object of keys", 'write {"OPERATOR": {"KEY": "VALUE"}}'
        return
    for operator, keys in conditions.items():
        for key, value in keys.items():
            if not isinstance(value, _SCALARS) and not (isinstance(value, list) and _all(value, _SCALARS)):
                yield f"{clip(operator)} {clip(key)} has a value that is not a string", "write strings"


def _all(values: list[Any], kinds: type | tuple[type, ...]) -> bool:
    return all(isinstance(value, kinds) for value in values)


# Actions that RCPs restrict

_TABLE: Mapping[str, Any] = read_table("organization_policies.json")
RCP_SERVICES: frozenset[str] = frozenset(_TABLE["rcp_services"])
"""Prefixes of the services whose actions RCPs restrict."""
_GLOBAL = frozenset(_TABLE["global_services"])
_UNRESTRICTED = frozenset(name.lower() for name in _TABLE["not_restricted_by_rcps"])
_WITHOUT_OWNER = PolicyVariables(name.lower() for name in _TABLE["without_resource_account"])


def is_restricted_by_rcps(action: str) -> bool:
    """Whether RCPs restrict requests of an action (SERVICE:NAME) that name a resource."""
    lower = action.lower()
    return lower.partition(":")[0] in RCP_SERVICES and lower not in _UNRESTRICTED


def has_owner_keys(action: str) -> bool:
    """Whether aws:ResourceAccount and the keys for the organization are in the requests of an action (SERVICE:NAME)."""
    return not _WITHOUT_OWNER.match(action.lower(), {})


def is_global(action: str) -> bool:
    """Whether the requests of an action (SERVICE:NAME) go to one Region, whatever the Regions in use."""
    return action.partition(":")[0].lower() in _GLOBAL


# Findings

_OTHER_KINDS = "policies of VPC endpoints, buckets and other resources are not examined"
_ARN_PARTS = 6
_WITH_SERVICE = 3  # arn, partition, service


def findings_of(guardrails: Guardrails) -> Iterator[GuardrailFinding]:
    """Everything that AWS would refuse."""
    for level in guardrails.levels:
        for kind, (characters, attached) in QUOTAS.items():
            policies = level.of_kind(kind)
            if len(policies) > attached:
                message = f"{pluralize(len(policies), kind)} attached; the quota is {attached}"
                yield GuardrailFinding(Severity.ERROR, level.name, message, "join policies, or attach some to a level above")
            for policy in policies:
                if policy.characters > characters:
                    message = f"the {kind} has {policy.characters:,} characters; the quota is {characters:,}"
                    yield GuardrailFinding(Severity.ERROR, policy.where, message, "split it into two policies")
                yield from _syntax(policy)


def _syntax(policy: GuardrailPolicy) -> Iterator[GuardrailFinding]:
    if policy.document.version != PolicyDocument.VERSION:
        message = f"the policy version is {policy.document.version}, so policy variables are literal strings"
        hint = f'write "Version": "{PolicyDocument.VERSION}"'
        yield GuardrailFinding(Severity.WARNING, policy.where, message, hint)
    sids = [statement.sid for statement in policy.document.statements if statement.sid]
    for sid in sorted({sid for sid in sids if sids.count(sid) > 1}):
        yield GuardrailFinding(Severity.ERROR, policy.where, f"several statements have the Sid {sid}", "give each its own")
    for number, statement in enumerate(policy.document.statements, start=1):
        own = _scp_faults(statement) if policy.kind is GuardrailKind.SCP else _rcp_faults(statement, policy)
        for message, hint in (*_action_faults(statement), *_resource_faults(statement), *own):
            name = f"statement {statement.sid or number}: {message}"
            yield GuardrailFinding(Severity.ERROR, policy.where, name, hint)


def _action_faults(statement: Statement) -> Iterator[tuple[str, str]]:
    """An action is `*` or has the prefix of a service (IAM JSON policy elements: Action)."""
    for action in (*statement.actions, *statement.not_actions):
        if ":" not in action and action != "*":
            yield f"the action {clip(action)!r} has no service prefix", "write SERVICE:ACTION, or * for all actions"


def _resource_faults(statement: Statement) -> Iterator[tuple[str, str]]:
    """A resource is `*` or an ARN; parts that are missing after a final `*` are `*` (IAM JSON policy elements: Resource)."""
    for text in (*statement.resources, *statement.not_resources):
        parts = text.split(":", _ARN_PARTS - 1)
        short = len(parts) < _ARN_PARTS and not text.endswith("*")
        if text != "*" and (parts[0] != "arn" or len(parts) < _WITH_SERVICE or short):
            what = f"the resource {clip(text)!r} is neither an ARN nor *, which AWS refuses (MalformedPolicyDocument)"
            yield what, "write arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, or * for all resources"


def _scp_faults(statement: Statement) -> Iterator[tuple[str, str]]:
    if statement.principals or statement.not_principals:
        yield (
            "an SCP has no Principal",
            f"use a condition on aws:PrincipalArn, or pass the policy with --rcp; {_OTHER_KINDS}",
        )


def _rcp_faults(statement: Statement, policy: GuardrailPolicy) -> Iterator[tuple[str, str]]:
    """Sources: RCP syntax, and IAM Access Analyzer policy checks (RCP_SYNTAX_ERROR_PRINCIPAL, _NOTACTION, _ACTION)."""
    if policy.aws_managed or (policy.name == GuardrailKind.RCP.full_access and statement.effect == "Allow"):
        return
    if statement.effect == "Allow":
        yield "only RCPFullAWSAccess can allow in an RCP", f"write a Deny statement; {_OTHER_KINDS}"
    if [principal.identifier for principal in statement.principals] != ["*"] or statement.not_principals:
        yield 'the Principal of an RCP is "*"', f'write "Principal": "*" and a condition; {_OTHER_KINDS}'
    if statement.not_actions:
        yield "an RCP has no NotAction", "list the actions"
    for action in statement.actions:
        service = action.partition(":")[0].lower()
        if service not in RCP_SERVICES:
            yield f"RCPs do not support the action {action}", "list actions of services that support RCPs"
