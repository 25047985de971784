"""IAM operations: validation before moto, corrections of moto, and trust policies that follow their principals."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from rolecall_generator.iam import Arn
from rolecall_runner.sandbox.iam.iam_validation import (
    Limits,
    check_attachment,
    check_boundary,
    check_identity_document,
    check_inline_size,
    check_managed_size,
    check_name,
    check_new,
    check_no_attachment,
    check_path,
    check_session_seconds,
    check_trust_document,
)
from rolecall_runner.sandbox.iam.moto_backends import MotoBackends, StoredAccess, serialize_reply
from rolecall_runner.sandbox.protocol.error_catalog import NOT_FOUND, AwsRefusalError, access_denied, validation_error
from rolecall_runner.sandbox.protocol.http_types import ApiCall, HttpReply, QueryParameters, SessionInfo

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
