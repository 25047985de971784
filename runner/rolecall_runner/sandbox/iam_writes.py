"""Calls to IAM on their way to the simulated service: held against AWS's rules before, noted after."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlencode

from rolecall_generator.iam.arn import parse_arn
from rolecall_runner.sandbox import own_operations
from rolecall_runner.sandbox.aws_refusal import AwsRefusalError, denied, invalid
from rolecall_runner.sandbox.backends import World
from rolecall_runner.sandbox.iam_limits import (
    Limits,
    check_attachment,
    check_boundary,
    check_inline_size,
    check_managed_size,
    check_name,
    check_new,
    check_no_attachment,
    check_path,
    check_session_seconds,
)
from rolecall_runner.sandbox.policy_checks import check_identity_document, check_trust_document
from rolecall_runner.sandbox.stored_access import StoredAccess
from rolecall_runner.sandbox.trust_store import TrustStore, principals
from rolecall_runner.sandbox.wire import ApiCall, HttpReply, SessionInfo

Form = dict[str, str]
Dispatch = Callable[[bytes], HttpReply]
"""Hands the call on with the given form as its body."""

_READS = ("Get", "List", "Simulate", "Generate")
# "If you do not specify a user name, IAM determines the user name implicitly" (IAM API reference, each of these).
_ON_ONESELF = {
    "CreateAccessKey", "DeleteAccessKey", "GetLoginProfile", "GetUser", "ListAccessKeys", "ListMFADevices",
    "UpdateAccessKey",
}  # fmt: skip
_HOLDERS = ("Role", "User", "Group")
_FIRST_ERROR = 300


class IamWrites:
    """All calls to IAM of one world. Writes come one at a time: a principal must not go while another trusts it."""

    def __init__(self, world: World, stored: StoredAccess, limits: Limits) -> None:
        self._world = world
        self._stored = stored
        self._limits = limits
        self._trusts = TrustStore(world)
        self._lock = threading.Lock()

    def perform(self, call: ApiCall, form: Form, caller: SessionInfo, dispatch: Dispatch) -> HttpReply:
        """Check, dispatch and note a call. Raises AwsRefusalError where AWS refuses."""
        partition = caller.arn.split(":")[1]
        form = with_own_name(call.operation, form, caller)
        self._know_policies(call, form, caller.account_id, partition)
        if call.operation.startswith(_READS):
            return dispatch(urlencode(form).encode())
        with self._lock:
            backend = self._world.iam(caller.account_id, partition)
            sent = self._checked(call.operation, dict(form), backend, partition)
            before = dict(principals(backend))
            own = own_operations.perform(call.operation, sent, backend)
            reply = own or dispatch(urlencode(sent).encode())
            if reply.status < _FIRST_ERROR:
                own_operations.note(call.operation, sent, backend)
                for account_id in {caller.account_id, *self._trusts.follow(before, dict(principals(backend)))}:
                    self._stored.changed(account_id)
            return reply

    def _know_policies(self, call: ApiCall, form: Form, account_id: str, partition: str) -> None:
        """Let the account know the AWS managed policies that the call speaks of."""
        if _asks_for_aws_policies(call.operation, form):
            self._world.know_all_aws_policies(account_id, partition)
        for name in ("PolicyArn", "PermissionsBoundary"):
            if ":iam::aws:policy/" in form.get(name, ""):
                self._world.know_aws_policy(account_id, partition, form[name])

    def _checked(self, operation: str, form: Form, backend: object, partition: str) -> Form:
        """The form as it may be dispatched. Raises AwsRefusalError where AWS refuses."""
        if "PolicyArn" in form and ":iam::aws:" in form["PolicyArn"] and not operation.startswith(("Attach", "Detach")):
            raise denied(f"{form['PolicyArn']} is AWS's own policy and cannot be changed")
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

    def _check_permissions(self, operation: str, form: Form, backend: object) -> None:
        """Inline policies and attachments of a holder that exists; moto refuses for one that does not."""
        for kind in _HOLDERS:
            holder = find_holder(kind, form.get(f"{kind}Name", ""), backend)
            if operation == f"Put{kind}Policy":
                check_name("Policy", form.get("PolicyName", ""))
                check_identity_document(form.get("PolicyDocument", ""))
                if holder is not None:
                    check_inline_size(kind, holder, form["PolicyName"], form["PolicyDocument"])
            elif operation == f"Attach{kind}Policy" and holder is not None:
                check_attachment(kind, holder, form.get("PolicyArn", ""), self._limits)


def with_own_name(operation: str, form: Form, caller: SessionInfo) -> Form:
    """The form with the caller's own name where IAM takes it for granted; moto knows no names of sessions.

    Raises AwsRefusalError for a caller that is no user.
    """
    if operation not in _ON_ONESELF or "UserName" in form:
        return form
    parsed = parse_arn(caller.arn)
    if parsed is None or parsed.service != "iam" or parsed.kind != "user":
        raise invalid("Must specify userName when calling with non-User credentials")
    return {**form, "UserName": parsed.name}


def find_holder(kind: str, name: str, backend: object) -> object | None:
    """A role, user or group by its name."""
    holders = getattr(backend, f"{kind.lower()}s")
    return next((holder for holder in list(holders.values()) if holder.name == name), None)


def _asks_for_aws_policies(operation: str, form: Form) -> bool:
    """Whether the answer lists policies of AWS's that nothing is attached to: they take 5 MB an account."""
    if operation == "ListPolicies":
        return form.get("Scope") != "Local"
    filters = {value for key, value in form.items() if key.startswith("Filter.member.")}
    return operation == "GetAccountAuthorizationDetails" and (not filters or "AWSManagedPolicy" in filters)


def _check_names(operation: str, form: Form, backend: object) -> None:
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
