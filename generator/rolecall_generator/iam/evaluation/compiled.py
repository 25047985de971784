"""Compiled policy documents: how directly they name a principal, and which of their statements decides a request.

Quotations are from the IAM User Guide, November 2026; the page is given in parentheses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from rolecall_generator.iam import Arn, Condition, PolicyDocument, Principal, Statement
from rolecall_generator.iam.matching import Context, PolicyVariables, Test, Truth, compile_condition


class PrincipalKind(IntEnum):
    """Kind of principal. EXTERNAL: an AWS service or identity provider, which has no IAM policies."""

    USER = 1
    ROLE = 2
    SESSION = 3
    ROOT = 4
    EXTERNAL = 5


class PrincipalReach(IntEnum):
    """How directly a trust policy names the caller; a greater value requires less of the caller's own policies."""

    NONE = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECT = 3


@dataclass(frozen=True, slots=True)
class Identity:
    """A parsed principal ARN, or the name of a service or identity provider.

    `role` is the role's ARN for roles and their sessions. A session's ARN does not contain the role's path, so
    `role_path_known` can be False.
    """

    arn: str
    kind: PrincipalKind
    account_id: str
    partition: str
    name: str
    role: str | None = None
    role_path_known: bool = True


@lru_cache(maxsize=65_536)
def identity_of(arn: str) -> Identity:
    """Parse a principal's ARN, or the name of a service or identity provider."""
    parsed = Arn.parse(arn)
    if parsed is None:
        return Identity(arn, PrincipalKind.EXTERNAL, "", "", arn)
    account, partition = parsed.account_id, parsed.partition
    if parsed.service == "sts" and parsed.kind == "assumed-role" and "/" in parsed.resource:
        name = parsed.resource.split("/")[1]
        role = f"arn:{partition}:iam::{account}:role/{name}"
        return Identity(arn, PrincipalKind.SESSION, account, partition, parsed.name, role, role_path_known=False)
    if parsed.service == "sts" and parsed.kind == "federated-user":
        return Identity(arn, PrincipalKind.SESSION, account, partition, parsed.name)
    kinds = {"root": PrincipalKind.ROOT, "role": PrincipalKind.ROLE, "user": PrincipalKind.USER}
    return Identity(
        arn,
        kinds.get(parsed.kind, PrincipalKind.EXTERNAL),
        account,
        partition,
        parsed.name,
        arn if parsed.kind == "role" else None,
    )


class Principals:
    """The Principal element of one statement."""

    __slots__ = ("_accounts", "_arns", "_external", "everyone", "refusal", "roles")

    def __init__(self, principals: Iterable[Principal]) -> None:
        self._accounts: set[tuple[str, str]] = set()
        self._arns: set[str] = set()
        self.roles: dict[tuple[str, str], set[str]] = {}
        """ARNs of roles by account ID and name without path."""
        self._external: set[str] = set()
        self.everyone = False
        self.refusal: str | None = None
        for principal in principals:
            self._add(principal)

    def _add(self, principal: Principal) -> None:
        text = principal.identifier
        if text == "*" and principal.type in {"*", "AWS"}:
            # "For anonymous users, the following elements are equivalent: "Principal": "*" and "Principal": {"AWS": "*"}"
            self.everyone = True
        elif "*" in text or "?" in text:
            # "You cannot use a wildcard to match part of a principal name or ARN."
            self.refusal = f"principal {text} has a wildcard, which AWS does not accept"
        elif principal.type in {"Service", "Federated"}:
            self._external.add(text)
        elif principal.type == "AWS":
            self._add_aws(text)
        else:
            self.refusal = f"principal type {principal.type} is not supported in a trust policy"

    def _add_aws(self, text: str) -> None:
        # "The account ARN and the shortened account ID behave the same way. Both delegate permissions to the account."
        if text.isdigit():
            self._accounts.add(("", text))
            return
        parsed = Arn.parse(text)
        if parsed is None:
            # "the principal ID appears in resource-based policies because AWS can no longer map it back to a valid ARN": it
            # matches no one.
            self._arns.add(text)
        elif parsed.resource == "root":
            self._accounts.add((parsed.partition, parsed.account_id))
        else:
            self._arns.add(text)
            if parsed.kind == "role":
                self.roles.setdefault((parsed.account_id, parsed.name), set()).add(text)

    def reach(self, requester: Identity) -> PrincipalReach:
        """How directly these principals name the caller. For a session, the path of its role must be known."""
        if self.everyone:
            # "For IAM users and role principals within your account, no other permissions are required."
            return PrincipalReach.DIRECT
        if requester.kind is PrincipalKind.EXTERNAL:
            return PrincipalReach.DIRECT if requester.arn in self._external else PrincipalReach.NONE
        if requester.arn in self._arns and requester.kind is not PrincipalKind.ROLE:
            return PrincipalReach.DIRECT
        if requester.role is not None and requester.role in self._arns:
            return PrincipalReach.ROLE
        # "Using the account ARN in the Principal element does not limit permissions to only the root user of the account."
        if (requester.partition, requester.account_id) in self._accounts or (
            "",
            requester.account_id,
        ) in self._accounts:
            return PrincipalReach.ACCOUNT
        return PrincipalReach.NONE


# Keys that every request of an IAM principal has: "This key is always included in the request context." (AWS global
# condition context keys); sts:RoleSessionName is "present in the request when the principal assumes the role using the AWS
# Management Console, any assume-role CLI command, or any AWS STS AssumeRole API operation." (IAM and AWS STS condition
# context keys). If a request does not state such a key, its value is unknown, not absent.
ALWAYS_PRESENT = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:useragent",
        "aws:userid",
        "sts:rolesessionname",
    }
)


class PolicyType(IntEnum):
    """Whether a document is an identity policy or a trust policy; it determines the permitted elements."""

    IDENTITY = 1
    TRUST = 2


class CompiledStatement:
    """One compiled statement. `refusal` is the reason why it cannot be evaluated, None if it can."""

    __slots__ = (
        "_actions",
        "_not_actions",
        "_not_resources",
        "_resources",
        "allow",
        "principals",
        "refusal",
        "source",
        "tests",
    )

    def __init__(self, statement: Statement, side: PolicyType, *, variables: bool) -> None:
        self.source = statement
        self.allow = statement.effect == "Allow"
        self._actions = _action_names(statement.actions)
        self._not_actions = _action_names(statement.not_actions)
        self.principals = _principals(statement.principals)
        self.tests: tuple[Test, ...] = ()
        self.refusal = self.principals.refusal or _misplaced(statement, side) or _ambiguous(statement)
        try:
            self._resources = PolicyVariables(statement.resources, variables=variables) if statement.resources else _NO_NAMES
            self._not_resources = (
                PolicyVariables(statement.not_resources, variables=variables) if statement.not_resources else _NO_NAMES
            )
            self.tests = tuple(compile_condition(condition, variables=variables) for condition in statement.conditions)
        except ValueError as error:
            self.refusal = str(error)
            self._resources, self._not_resources = PolicyVariables(("*",)), _NO_NAMES

    def applies_to(self, action: str, resource: str, context: Context) -> bool:
        """Whether action (lower case) and resource match the statement."""
        if self._actions.any:
            if not self._actions.match(action, context):
                return False
        elif self._not_actions.match(action, context):
            # "NotAction is an advanced policy element that explicitly matches everything except the specified list of
            # actions." (IAM JSON policy elements: NotAction)
            return False
        return self.names_resource(resource, context)

    def names_resource(self, resource: str, context: Context) -> bool:
        """Whether the resource matches the statement."""
        if self._resources.any:
            return self._resources.match(resource, context)
        # "NotResource is an advanced policy element that explicitly matches every resource except those specified." (IAM
        # JSON policy elements: NotResource) A trust policy has neither: its resource is the role.
        return not self._not_resources.any or not self._not_resources.match(resource, context)

    def holds(self, context: Context, assumed: list[str] | None) -> Truth:
        """Whether all conditions hold: "If your policy statement has multiple condition operators, the condition operators
        are evaluated using a logical AND." "All context keys in a condition element block must resolve to true to invoke the
        desired Allow or Deny effect." (Conditions with multiple context keys or values)

        With `assumed`, keys that the request does not state have the value that favors the caller (an Allow holds, a Deny
        does not); they are appended to it.
        """
        outcome = Truth.TRUE
        for test in self.tests:
            unstated = _unstated(test, context)
            if unstated and assumed is not None:
                if not self.allow:
                    return Truth.FALSE
                assumed.append(unstated)
                continue
            truth = Truth.UNDECIDED if unstated in ALWAYS_PRESENT else test.run(context)
            if truth is Truth.FALSE:
                return Truth.FALSE
            if truth is Truth.UNDECIDED:
                outcome = Truth.UNDECIDED
        return outcome


_NO_NAMES = PolicyVariables(())


@lru_cache(maxsize=4_096)
def _action_names(actions: tuple[str, ...]) -> PolicyVariables:
    """Cached, so that statements with equal actions share one object. "The prefix and the action name are case
    insensitive." (IAM JSON policy elements: Action)
    """
    return PolicyVariables(action.lower() for action in actions)


@lru_cache(maxsize=4_096)
def _principals(principals: tuple[Principal, ...]) -> Principals:
    """Cached, so that statements with equal principals share one object: 10,000 customers trust one backend role."""
    return Principals(principals)


def _unstated(test: Test, context: Context) -> str:
    """The first key of the test that is missing in the context; empty if none is."""
    if test.key not in context:
        return test.key
    for key in test.variables:
        if key not in context:
            return key
    return ""


def _ambiguous(statement: Statement) -> str | None:
    """Why the conditions of a statement cannot be evaluated; None if they can.

    AWS reports keys that differ only in case as an error (IAM policy validation check reference:
    DUPLICATE_KEYS_WITH_DIFFERENT_CASE); which of their values counts is not documented. JSON has one list of values for an
    operator and a key: versions of Terraform's provider join the values of two conditions, or keep the last ones.
    """
    written: dict[tuple[str, str], Condition] = {}
    for condition in statement.conditions:
        first = written.setdefault((condition.operator, condition.key.lower()), condition)
        if first.key != condition.key:
            return f"the condition keys {first.key} and {condition.key} differ only in case"
        if first != condition:
            return f"two conditions have the operator {condition.operator} and the key {condition.key}"
    return None


def _misplaced(statement: Statement, side: PolicyType) -> str | None:
    """Why the statement is invalid in a document of this kind; None if it is valid."""
    if statement.effect not in {"Allow", "Deny"}:
        return f"effect {statement.effect!r} is neither Allow nor Deny"
    if statement.not_principals:
        # "You cannot use the NotPrincipal element in an IAM identity-based policy nor in an IAM role trust policy." (AWS
        # JSON policy elements: NotPrincipal)
        return "NotPrincipal is not evaluated"
    if bool(statement.actions) == bool(statement.not_actions):
        # "you cannot use both Action and NotAction in the same policy statement" (IAM JSON policy elements reference)
        return "a statement needs either Action or NotAction"
    resources = bool(statement.resources) + bool(statement.not_resources)
    # "You must use the Principal element in resource-based policies." "You cannot use the Principal element in an
    # identity-based policy." (AWS JSON policy elements: Principal) A trust policy's resource is the role itself. "Statements
    # must include either a Resource or a NotResource element." (IAM JSON policy elements: Resource)
    if side is PolicyType.TRUST:
        return None if statement.principals and not resources else "a trust policy has a Principal and no Resource"
    return (
        None if not statement.principals and resources == 1 else "an identity policy has one kind of Resource, no Principal"
    )


# "IAM supports the following Version element values" (IAM JSON policy elements: Version)
_VERSIONS = frozenset({PolicyDocument.VERSION, "2008-10-17"})


class CompiledDocument:
    """A document's compiled statements, Deny statements first: an explicit deny ends the scan."""

    __slots__ = ("source", "statements")

    def __init__(self, document: PolicyDocument, side: PolicyType) -> None:
        # "Variables were introduced in version 2012-10-17. Earlier versions of the policy language don't support policy
        # variables. If you don't include the Version element and set it to an appropriate version date, variables like
        # ${aws:username} are treated as literal strings in the policy." (IAM policy elements: Variables and tags)
        variables = document.version == PolicyDocument.VERSION
        statements = [CompiledStatement(statement, side, variables=variables) for statement in document.statements]
        if document.version not in _VERSIONS:
            for compiled in statements:
                compiled.refusal = f"policy version {document.version} is not supported by AWS"
        self.source = document
        if len(statements) > 1:
            statements.sort(key=lambda statement: statement.allow)
        self.statements = tuple(statements)


class Compiler:
    """Compiles each document once, by identity: hashing a document costs as much as compiling it."""

    def __init__(self) -> None:
        self._known: dict[PolicyType, dict[int, CompiledDocument]] = {side: {} for side in PolicyType}

    def compile(self, document: PolicyDocument, side: PolicyType) -> CompiledDocument:
        """The compiled form of the document, cached."""
        known = self._known[side]
        found = known.get(id(document))
        if found is None:
            # The compiled form references the document, so its id stays valid.
            found = known[id(document)] = CompiledDocument(document, side)
        return found


class PolicyOutcome(IntEnum):
    """Outcome of a set of policies; a greater value takes precedence."""

    NOTHING = 0
    MAYBE_ALLOW = 1
    ALLOW = 2
    MAYBE_DENY = 3
    DENY = 4


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Result of a scan: the outcome, the deciding statement and the name of its policy (`where`).

    `refusal`: why the statement could not be evaluated. `assumed`: keys that the scan assumed in favor of the caller.
    """

    outcome: PolicyOutcome = PolicyOutcome.NOTHING
    statement: Statement | None = None
    where: str = ""
    refusal: str = ""
    reach: PrincipalReach = PrincipalReach.NONE
    assumed: Sequence[str] = ()


NamedDocument = tuple[str, CompiledDocument]
_NOTHING = ScanResult()
_OUTCOMES = {
    (True, Truth.TRUE): PolicyOutcome.ALLOW,
    (True, Truth.UNDECIDED): PolicyOutcome.MAYBE_ALLOW,
    (False, Truth.TRUE): PolicyOutcome.DENY,
    (False, Truth.UNDECIDED): PolicyOutcome.MAYBE_DENY,
}


def scan_documents(
    documents: Iterable[NamedDocument],
    action: str,
    resource: str,
    context: Context,
    *,
    requester: Identity | None = None,
    free: bool = False,
) -> ScanResult:
    """The deciding statement of the documents for a request.

    With `requester` the documents are trust policies, and the most direct Allow counts. `free`: keys that the context does
    not state are assumed in favor of the caller.

    "An explicit deny overrides an explicit allow." (How AWS enforcement code logic evaluates requests to allow or deny
    access)
    """
    best = _NOTHING
    for where, document in documents:
        for statement in document.statements:
            if (
                best.outcome is PolicyOutcome.ALLOW
                and statement.allow
                and (requester is None or best.reach is PrincipalReach.DIRECT)
            ):
                break
            reach = (
                PrincipalReach.DIRECT if requester is None or statement.refusal else statement.principals.reach(requester)
            )
            if reach is PrincipalReach.NONE or not statement.applies_to(action, resource, context):
                continue
            assumed: list[str] | None = [] if free else None
            truth = Truth.UNDECIDED if statement.refusal else statement.holds(context, assumed)
            if truth is Truth.FALSE:
                continue
            outcome = _OUTCOMES[statement.allow, truth]
            if outcome > best.outcome or (outcome is best.outcome is PolicyOutcome.ALLOW and reach > best.reach):
                best = ScanResult(outcome, statement.source, where, statement.refusal or "", reach, assumed or ())
                if outcome is PolicyOutcome.DENY:
                    return best
    return best
