"""IAM operations: validation before moto, corrections of moto 5.2.5, and trust policies that follow their principals.

Messages are those of IAM, from its API reference and from public bug reports of Terraform's AWS provider; where none is
documented the message is the sandbox's own. Limits: "IAM and AWS STS quotas" and botocore 1.44.5's model of IAM. November
2026.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from rolecall_generator.iam import Arn, PolicyDocument, Principal, Statement, quotas
from rolecall_generator.iam.matching import compile_condition
from rolecall_runner.sandbox.iam.moto_backends import MotoBackends, StoredAccess, serialize_reply
from rolecall_runner.sandbox.protocol.aws_protocol import (
    CONFLICT,
    NOT_FOUND,
    ApiCall,
    AwsRefusalError,
    HttpReply,
    QueryParameters,
    SessionInfo,
    access_denied,
    constraint_error,
    validation_error,
)

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/|/[\x21-\x7e]+/", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """Adjustable quotas of IAM, with their defaults."""

    trust_policy_characters: int = quotas.TRUST_POLICY_CHARACTERS
    role_managed_policies: int = quotas.ROLE_MANAGED_POLICIES
    user_managed_policies: int = quotas.USER_MANAGED_POLICIES
    group_managed_policies: int = quotas.GROUP_MANAGED_POLICIES


_NAME_CHARACTERS: Mapping[str, int] = {
    "Role": quotas.ROLE_NAME_CHARACTERS,
    "User": quotas.USER_NAME_CHARACTERS,
    "Group": quotas.GROUP_NAME_CHARACTERS,
    "Policy": quotas.POLICY_NAME_CHARACTERS,
    "InstanceProfile": 128,
}
_INLINE_CHARACTERS: Mapping[str, int] = {
    "Role": quotas.ROLE_INLINE_CHARACTERS,
    "User": quotas.USER_INLINE_CHARACTERS,
    "Group": quotas.GROUP_INLINE_CHARACTERS,
}


def check_new(kind: str, form: Mapping[str, str], backend: Any) -> None:
    """Check name and path of a new role, user, group, policy or instance profile. Raises AwsRefusalError."""
    check_name(kind, form.get(f"{kind}Name", ""))
    check_path(form.get("Path", "/"))
    check_unique(kind, form.get(f"{kind}Name", ""), backend)


def check_name(kind: str, name: str) -> None:
    """Check length and characters of a name. Raises AwsRefusalError."""
    parameter = f"{kind[0].lower()}{kind[1:]}Name"
    most = _NAME_CHARACTERS[kind]
    if len(name) > most:
        raise constraint_error(parameter, name, f"have length less than or equal to {most}")
    if not name:
        raise constraint_error(parameter, name, "have length greater than or equal to 1")
    if not _NAME.fullmatch(name):
        raise validation_error(
            f"The specified value for {parameter} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-"
        )


def check_path(path: str) -> None:
    """Check length and format of a path. Raises AwsRefusalError."""
    if len(path) > quotas.PATH_CHARACTERS:
        raise constraint_error("path", path, f"have length less than or equal to {quotas.PATH_CHARACTERS}")
    if not _PATH.fullmatch(path):
        raise validation_error(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters "
            "and/or / characters."
        )


def check_unique(kind: str, name: str, backend: Any) -> None:
    """Check that the name is free. "Names are not distinguished by case" (IAM identifiers), but moto compares case.

    Raises AwsRefusalError.
    """
    collections = {"InstanceProfile": "instance_profiles", "Policy": "managed_policies"}
    stored = list(getattr(backend, collections.get(kind, f"{kind.lower()}s")).values())
    if name.lower() in {each.name.lower() for each in stored if ":iam::aws:" not in each.arn}:
        text = f"{kind} with name {name} already exists."
        if kind == "Policy":
            text = f"A policy called {name} already exists. Duplicate names are not allowed."
        raise AwsRefusalError("EntityAlreadyExists", text, CONFLICT)


def check_session_seconds(form: Mapping[str, str]) -> None:
    """Check MaxSessionDuration of a role: 3,600 to 43,200 seconds. Raises AwsRefusalError."""
    text = form.get("MaxSessionDuration")
    if text is None or not text.isdecimal():
        return
    if int(text) < quotas.MINIMUM_MAX_SESSION_SECONDS:
        bound = f"greater than or equal to {quotas.MINIMUM_MAX_SESSION_SECONDS}"
    elif int(text) > quotas.MAXIMUM_MAX_SESSION_SECONDS:
        bound = f"less than or equal to {quotas.MAXIMUM_MAX_SESSION_SECONDS}"
    else:
        return
    raise constraint_error("maxSessionDuration", text, f"have value {bound}")


def check_managed_size(text: str) -> None:
    """Check the size of a managed policy. Raises AwsRefusalError."""
    if policy_length(text) > quotas.MANAGED_POLICY_CHARACTERS:
        raise limit_exceeded(f"Cannot exceed quota for PolicySize: {quotas.MANAGED_POLICY_CHARACTERS}")


def check_inline_size(kind: str, holder: Any, policy_name: str, text: str) -> None:
    """Check the total size of an identity's inline policies with this one. Raises AwsRefusalError."""
    others = [policy_length(other) for name, other in list(holder.policies.items()) if name != policy_name]
    if sum(others) + policy_length(text) > _INLINE_CHARACTERS[kind]:
        raise limit_exceeded(
            f"Maximum policy size of {_INLINE_CHARACTERS[kind]} bytes exceeded for {kind.lower()} {holder.name}"
        )


def check_attachment(kind: str, holder: Any, arn: str, limits: Limits) -> None:
    """Check the number of managed policies of an identity with this one. Raises AwsRefusalError."""
    most: int = getattr(limits, f"{kind.lower()}_managed_policies")
    if arn not in holder.managed_policies and len(holder.managed_policies) >= most:
        raise limit_exceeded(f"Cannot exceed quota for PoliciesPer{kind}: {most}")


def check_boundary(arn: str, backend: Any) -> None:
    """Check that a permissions boundary exists. Raises AwsRefusalError."""
    if arn not in backend.managed_policies:
        raise AwsRefusalError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", NOT_FOUND)


def check_no_attachment(arn: str, backend: Any) -> None:
    """Check that a policy to delete is not attached. Raises AwsRefusalError."""
    for holders in (backend.roles, backend.users, backend.groups):
        if any(arn in holder.managed_policies for holder in list(holders.values())):
            raise AwsRefusalError("DeleteConflict", "Cannot delete a policy attached to entities.", CONFLICT)


Exists = Callable[[str], bool]
"""Whether the role, the user or the role of the session with an ARN exists."""

_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_SERVICE = re.compile(r"[a-z0-9.-]+\.(?:amazonaws\.com(?:\.cn)?|amazon\.com|aws\.internal)", re.ASCII)


def malformed_policy(message: str) -> AwsRefusalError:
    """MalformedPolicyDocument, HTTP 400: the document is not a valid policy."""
    return AwsRefusalError("MalformedPolicyDocument", message)


def limit_exceeded(message: str) -> AwsRefusalError:
    """LimitExceeded, HTTP 409: a quota would be exceeded."""
    return AwsRefusalError("LimitExceeded", message, CONFLICT)


def policy_length(text: str) -> int:
    """The size of a document without white space outside of strings, which IAM does not count (IAM quotas)."""
    return len(_SPACE.sub(lambda match: match.group(1) or "", text))


def check_identity_document(text: str) -> PolicyDocument:
    """Parse and check a permissions policy. Raises AwsRefusalError."""
    document = _read(text)
    for statement in document.statements:
        if statement.principals or statement.not_principals:
            raise malformed_policy("Policy document should not specify a principal.")
        if bool(statement.resources) + bool(statement.not_resources) != 1:
            raise malformed_policy("Policy statement must contain resources.")
    return document


def check_trust_document(text: str, characters_allowed: int, exists: Exists, partition: str) -> PolicyDocument:
    """Parse a trust policy and check its grammar, size and principals. Raises AwsRefusalError."""
    document = _read(text)
    if policy_length(text) > characters_allowed:
        raise limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {characters_allowed}")
    for statement in document.statements:
        if statement.resources or statement.not_resources:
            raise malformed_policy("Has prohibited field Resource")
        if statement.not_principals:
            raise malformed_policy("Has prohibited field NotPrincipal")
        if not statement.principals:
            raise malformed_policy("Missing required field Principal")
        for principal in statement.principals:
            _check_principal(principal, exists, partition)
        _check_trust_actions(statement)
    return document


def _read(text: str) -> PolicyDocument:
    try:
        body = json.loads(text, object_pairs_hook=_no_duplicates)
        if not isinstance(body, dict):
            raise malformed_policy("Syntax errors in policy.")
        document = PolicyDocument.from_json(body)
    except json.JSONDecodeError as error:
        raise malformed_policy("This policy contains invalid Json") from error
    except (ValueError, RecursionError) as error:
        raise malformed_policy("Syntax errors in policy.") from error
    if set(body) - {"Version", "Id", "Statement"} or document.version not in {"2012-10-17", "2008-10-17"}:
        raise malformed_policy("Syntax errors in policy.")
    if not document.statements:
        raise malformed_policy("Syntax errors in policy.")
    sids = [statement.sid for statement in document.statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise malformed_policy("Statement IDs (SID) in a single policy must be unique.")
    for statement in document.statements:
        _check_statement(statement, variables=document.version == "2012-10-17")
    return document


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for duplicate keys."""
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("duplicate key")
    return body


def _check_statement(statement: Statement, *, variables: bool) -> None:
    if statement.effect not in {"Allow", "Deny"}:
        raise malformed_policy(f"Invalid effect: {statement.effect}")
    if bool(statement.actions) == bool(statement.not_actions):
        raise malformed_policy("Policy statement must contain actions.")
    for action in (*statement.actions, *statement.not_actions):
        if action != "*" and not re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+", action):
            raise malformed_policy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    for condition in statement.conditions:
        if not condition.key:
            raise malformed_policy("Syntax errors in policy.")
        try:
            compile_condition(condition, variables=variables)
        except ValueError as error:
            raise malformed_policy("Syntax errors in policy.") from error


def _check_trust_actions(statement: Statement) -> None:
    for action in (*statement.actions, *statement.not_actions):
        if action != "*" and not action.lower().startswith("sts:"):
            raise malformed_policy("AssumeRole policy may only specify STS AssumeRole actions.")


def _check_principal(principal: Principal, exists: Exists, partition: str) -> None:
    kind, text = principal.type, principal.identifier
    if kind == "*" or (kind == "AWS" and text == "*"):
        if text != "*":
            raise malformed_policy(f'Invalid principal in policy: "{text}"')
        return
    if kind == "AWS":
        valid = _aws_principal(text, exists, partition)
    elif kind == "Service":
        valid = bool(_SERVICE.fullmatch(text))
    elif kind == "Federated":
        valid = Arn.parse(text) is not None or "." in text
    else:
        valid = False
    if not valid:
        raise malformed_policy(f'Invalid principal in policy: "{kind if kind == "AWS" else kind.upper()}":"{text}"')


def _aws_principal(text: str, exists: Exists, partition: str) -> bool:
    if _ACCOUNT.fullmatch(text):
        return True
    parsed = Arn.parse(text)
    if parsed is None or parsed.partition != partition or not _ACCOUNT.fullmatch(parsed.account_id):
        return False
    if parsed.service == "iam" and parsed.resource == "root":
        return True
    return (parsed.service, parsed.kind) in {("iam", "role"), ("iam", "user"), ("sts", "assumed-role")} and exists(text)


_UNIQUE_ID = re.compile(r"A(?:ROA|IDA)[A-Z0-9]{16,}", re.ASCII)


class TrustStore:
    """Principals in the stored trust policies of all accounts.

    "When you save a trust policy, IAM transforms the ARN of a role or user to its unique principal id. If you delete it,
    the id appears in the console, because IAM can no longer map it back to a valid ARN ... even if you create it again,
    since the new one has another id" (JSON policy elements: Principal, November 2026). The stored document has the ARN
    while the principal exists and its unique id after it was deleted, which is what AWS shows.
    """

    def __init__(self, world: MotoBackends) -> None:
        self._world = world

    def exists(self, arn: str) -> bool:
        """Whether the role or user with this ARN exists; for a role session, whether a role of its name exists."""
        parsed = Arn.parse(arn)
        if parsed is None:
            return False
        if parsed.service == "sts":
            name = parsed.resource.split("/")[1] if parsed.resource.count("/") == 2 else ""  # noqa: PLR2004 - kind, role, name
            return self._world.has_account(parsed) and any(
                role.name == name for role in list(self._world.iam_backend(parsed).roles.values())
            )
        return (self._world.role(arn) or self._world.user(arn)) is not None

    def with_arns(self, text: str) -> str:
        """A document to save, with unique ids of existing principals replaced by their ARNs."""
        if not _UNIQUE_ID.search(text):
            return text
        existing = {
            principal_id: arn for _, _, iam in self._world.all_iam_backends() for principal_id, arn in principals(iam)
        }
        return replace_principals(text, existing)

    def follow(self, before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
        """Update all trust policies after the principals of an account (ARN by unique id) changed.

        Returns the ids of the accounts whose trust policies changed.
        """
        moves = {arn: after.get(unique_id, unique_id) for unique_id, arn in before.items() if after.get(unique_id) != arn}
        changed: set[str] = set()
        for account_id, _, iam in self._world.all_iam_backends() if moves else ():
            for role in list(iam.roles.values()):
                text = role.assume_role_policy_document
                if any(arn in text for arn in moves):
                    role.assume_role_policy_document = replace_principals(text, moves)
                    changed.add(account_id)
        return changed


def principals(iam: Any) -> list[tuple[str, str]]:
    """Unique id and ARN of every role and user of an account."""
    return [(one.id, one.arn) for one in (*list(iam.roles.values()), *list(iam.users.values()))]


def replace_principals(text: str, moves: Mapping[str, str]) -> str:
    """A trust policy with AWS principals replaced; the same string when it contains none of them."""
    body = json.loads(text)
    statements = body["Statement"] if isinstance(body["Statement"], list) else [body["Statement"]]
    changed = False
    for statement in statements:
        principal = statement.get("Principal")
        named = principal.get("AWS") if isinstance(principal, dict) else None
        if isinstance(named, str) and named in moves:
            principal["AWS"], changed = moves[named], True
        elif isinstance(named, list) and any(one in moves for one in named):
            principal["AWS"], changed = [moves.get(one, one) for one in named], True
    return json.dumps(body) if changed else text


def _store_boundary(operation: str, form: QueryParameters, backend: Any) -> None:
    """Store the permissions boundary of a new user, which moto ignores."""
    if operation == "CreateUser" and "PermissionsBoundary" in form:
        _put_boundary(form, backend)


def _update_trust(form: QueryParameters, backend: Any) -> None:
    _existing("Role", form, backend).assume_role_policy_document = form["PolicyDocument"]


def _put_boundary(form: QueryParameters, backend: Any) -> None:
    _existing("User", form, backend).permissions_boundary = {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": form["PermissionsBoundary"],
    }


def _delete_boundary(form: QueryParameters, backend: Any) -> None:
    _existing("User", form, backend).permissions_boundary = None


def _existing(kind: str, form: QueryParameters, backend: Any) -> Any:
    """The role or user that a call names. Raises AwsRefusalError when it does not exist."""
    name = form.get(f"{kind}Name", "")
    found = find_holder(kind, name, backend)
    if found is None:
        raise AwsRefusalError("NoSuchEntity", f"The {kind.lower()} with name {name} cannot be found.", NOT_FOUND)
    return found


_OPERATIONS: Mapping[str, Callable[[QueryParameters, Any], None]] = {
    "UpdateAssumeRolePolicy": _update_trust,
    "PutUserPermissionsBoundary": _put_boundary,
    "DeleteUserPermissionsBoundary": _delete_boundary,
}
"""Operations that moto lacks or gets wrong: moto 5.2.5 rejects sts:TagSession and sts:SetSourceIdentity at
UpdateAssumeRolePolicy and ignores the permissions boundaries of users.
"""


_READS = ("Get", "List", "Simulate", "Generate")
# "If you do not specify a user name, IAM determines the user name implicitly" (IAM API reference, each of these).
_DEFAULT_TO_CALLER = {
    "CreateAccessKey", "DeleteAccessKey", "GetLoginProfile", "GetUser", "ListAccessKeys", "ListMFADevices",
    "UpdateAccessKey",
}  # fmt: skip
_HOLDERS = ("Role", "User", "Group")
_FIRST_ERROR = 300


class IamWrites:
    """Calls to IAM: validation, moto, and updates of dependent state. Writes are serialized, so that a principal cannot be
    deleted while a trust policy that names it is saved.
    """

    def __init__(self, world: MotoBackends, stored: StoredAccess, limits: Limits) -> None:
        self._world = world
        self._stored = stored
        self._limits = limits
        self._trusts = TrustStore(world)
        self._lock = threading.Lock()

    def perform(
        self, call: ApiCall, form: QueryParameters, caller: SessionInfo, dispatch: Callable[[bytes], HttpReply]
    ) -> HttpReply:
        """Validate and run a call; `dispatch` sends a request body to moto. Raises AwsRefusalError where AWS refuses."""
        partition = caller.arn.split(":")[1]
        form = with_caller_name(call.operation, form, caller)
        self._load_policies(call, form, caller.account_id, partition)
        if call.operation.startswith(_READS):
            return dispatch(urlencode(form).encode())
        with self._lock:
            backend = self._world.iam(caller.account_id, partition)
            sent = self._checked(call.operation, dict(form), backend, partition)
            before = dict(principals(backend))
            own = _OPERATIONS.get(call.operation)
            if own is not None:
                own(sent, backend)
                reply = serialize_reply("iam", call.operation, {}, str(uuid.uuid4()))
            else:
                reply = dispatch(urlencode(sent).encode())
            if reply.status < _FIRST_ERROR:
                _store_boundary(call.operation, sent, backend)
                for account_id in {caller.account_id, *self._trusts.follow(before, dict(principals(backend)))}:
                    self._stored.changed(account_id)
            return reply

    def _load_policies(self, call: ApiCall, form: QueryParameters, account_id: str, partition: str) -> None:
        """Load the AWS managed policies that the call needs."""
        if _asks_for_aws_policies(call.operation, form):
            self._world.load_all_aws_policies(account_id, partition)
        for name in ("PolicyArn", "PermissionsBoundary"):
            if ":iam::aws:policy/" in form.get(name, ""):
                self._world.load_aws_policy(account_id, partition, form[name])

    def _checked(self, operation: str, form: dict[str, str], backend: object, partition: str) -> dict[str, str]:
        """The validated parameters for moto. Raises AwsRefusalError where AWS refuses."""
        if "PolicyArn" in form and ":iam::aws:" in form["PolicyArn"] and not operation.startswith(("Attach", "Detach")):
            raise access_denied(f"{form['PolicyArn']} is an AWS managed policy and cannot be changed")
        trust = {"CreateRole": "AssumeRolePolicyDocument", "UpdateAssumeRolePolicy": "PolicyDocument"}.get(operation)
        if trust is not None and trust in form:
            form[trust] = self._trusts.with_arns(form[trust])
            allowed = self._limits.trust_policy_characters
            check_trust_document(form[trust], allowed, self._trusts.exists, partition)
        _check_names(operation, form, backend)
        if "PermissionsBoundary" in form:
            check_boundary(form["PermissionsBoundary"], backend)
        if operation in {"CreatePolicy", "CreatePolicyVersion"}:
            check_identity_document(form.get("PolicyDocument", ""))
            check_managed_size(form.get("PolicyDocument", ""))
        elif operation == "DeletePolicy":
            check_no_attachment(form.get("PolicyArn", ""), backend)
        else:
            self._check_permissions(operation, form, backend)
        return form

    def _check_permissions(self, operation: str, form: QueryParameters, backend: object) -> None:
        """Check inline policies and attachments. For an identity that does not exist, moto returns the error.

        Raises AwsRefusalError.
        """
        for kind in _HOLDERS:
            holder = find_holder(kind, form.get(f"{kind}Name", ""), backend)
            if operation == f"Put{kind}Policy":
                check_name("Policy", form.get("PolicyName", ""))
                check_identity_document(form.get("PolicyDocument", ""))
                if holder is not None:
                    check_inline_size(kind, holder, form["PolicyName"], form["PolicyDocument"])
            elif operation == f"Attach{kind}Policy" and holder is not None:
                check_attachment(kind, holder, form.get("PolicyArn", ""), self._limits)


def with_caller_name(operation: str, form: QueryParameters, caller: SessionInfo) -> QueryParameters:
    """The parameters with the caller's name where IAM uses it by default: moto does not know the name of a session's user.

    Raises AwsRefusalError for a caller that is not a user.
    """
    if operation not in _DEFAULT_TO_CALLER or "UserName" in form:
        return form
    parsed = Arn.parse(caller.arn)
    if parsed is None or parsed.service != "iam" or parsed.kind != "user":
        raise validation_error("Must specify userName when calling with non-User credentials")
    return {**form, "UserName": parsed.name}


def find_holder(kind: str, name: str, backend: object) -> object | None:
    """A role, user or group by name, None when it does not exist."""
    holders = getattr(backend, f"{kind.lower()}s")
    return next((holder for holder in list(holders.values()) if holder.name == name), None)


def _asks_for_aws_policies(operation: str, form: QueryParameters) -> bool:
    """Whether the reply lists unattached AWS managed policies, which take 5 MB per account."""
    if operation == "ListPolicies":
        return form.get("Scope") != "Local"
    filters = {value for key, value in form.items() if key.startswith("Filter.member.")}
    return operation == "GetAccountAuthorizationDetails" and (not filters or "AWSManagedPolicy" in filters)


def _check_names(operation: str, form: QueryParameters, backend: object) -> None:
    kind = operation.removeprefix("Create")
    if operation in {"CreateRole", "CreateUser", "CreateGroup", "CreatePolicy", "CreateInstanceProfile"}:
        check_new(kind, form, backend)
    if operation in {"CreateRole", "UpdateRole"}:
        check_session_seconds(form)
    if operation in {"UpdateUser", "UpdateGroup"}:
        kind = operation.removeprefix("Update")
        if "NewPath" in form:
            check_path(form["NewPath"])
        if f"New{kind}Name" in form:
            check_name(kind, form[f"New{kind}Name"])
    if operation == "DeleteUser":
        user = find_holder("User", form.get("UserName", ""), backend)
        if user is not None and getattr(user, "access_keys", None):
            raise AwsRefusalError("DeleteConflict", "Cannot delete entity, must delete access keys first.", 409)
