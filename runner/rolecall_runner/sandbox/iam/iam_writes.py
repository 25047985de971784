"""Principals in stored trust policies: they must exist, and they are bound to one principal, not to a name.

"When you save a trust policy, IAM transforms the ARN of a role or user to its unique principal id. If you delete it, the id
appears in the console, because IAM can no longer map it back to a valid ARN ... even if you create it again, since the new
one has another id" (JSON policy elements: Principal, November 2026). Here the text keeps the ARN while the principal lives
and takes the id when it goes, so that the stored text is at all times what AWS would show.

Operations of IAM that moto 5.2.5 does wrong or not at all, done on moto's own objects. Users' boundaries it does not
keep: they are put on its users under the name that its replies read, so that GetUser shows them. Trust policies with
sts:TagSession or sts:SetSourceIdentity it takes at CreateRole and refuses at UpdateAssumeRolePolicy.

Calls to IAM on their way to the simulated service: held against AWS's rules before, noted after.
"""

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
from rolecall_runner.sandbox.iam.moto_backends import StoredAccess, World
from rolecall_runner.sandbox.protocol.error_catalog import NOT_FOUND, AwsRefusalError, denied, invalid
from rolecall_runner.sandbox.protocol.http_types import ApiCall, HttpReply, SessionInfo

_UNIQUE_ID = re.compile(r"A(?:ROA|IDA)[A-Z0-9]{16,}", re.ASCII)


class TrustStore:
    """The trust policies of all accounts of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def exists(self, arn: str) -> bool:
        """Whether a role or user of this ARN lives; for a role session, whether a role of its name does."""
        parsed = Arn.parse(arn)
        if parsed is None:
            return False
        if parsed.service == "sts":
            name = parsed.resource.split("/")[1] if parsed.resource.count("/") == 2 else ""  # noqa: PLR2004 - kind, role, name
            return self._world.has_account(parsed) and any(
                role.name == name for role in list(self._world.iam_of(parsed).roles.values())
            )
        return (self._world.role(arn) or self._world.user(arn)) is not None

    def with_arns(self, text: str) -> str:
        """A document that is to be saved, with the unique ids of living principals as their ARNs; others stay."""
        if not _UNIQUE_ID.search(text):
            return text
        living = {principal_id: arn for _, _, iam in self._world.iam_everywhere() for principal_id, arn in principals(iam)}
        return replace_principals(text, living)

    def follow(self, before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
        """Bring every trust policy up to date after the principals of an account changed (unique id -> ARN).

        Returns the ids of the accounts whose trust policies changed.
        """
        moves = {arn: after.get(unique_id, unique_id) for unique_id, arn in before.items() if after.get(unique_id) != arn}
        changed: set[str] = set()
        for account_id, _, iam in self._world.iam_everywhere() if moves else ():
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
    """A trust policy with AWS principals renamed; the text itself when none is in it."""
    body = json.loads(text)
    statements = body["Statement"] if isinstance(body["Statement"], list) else [body["Statement"]]
    touched = False
    for statement in statements:
        principal = statement.get("Principal")
        named = principal.get("AWS") if isinstance(principal, dict) else None
        if isinstance(named, str) and named in moves:
            principal["AWS"], touched = moves[named], True
        elif isinstance(named, list) and any(one in moves for one in named):
            principal["AWS"], touched = [moves.get(one, one) for one in named], True
    return json.dumps(body) if touched else text


Form = Mapping[str, str]
_XMLNS = "https://iam.amazonaws.com/doc/2010-05-08/"


def perform(operation: str, form: Form, backend: Any) -> HttpReply | None:
    """Do one of these operations; None for all others. Raises AwsRefusalError when there is no such role or user."""
    own = _OPERATIONS.get(operation)
    if own is None:
        return None
    own(form, backend)
    request_id = str(uuid.uuid4())
    body = (
        f'<{operation}Response xmlns="{_XMLNS}"><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>'
        f"</{operation}Response>"
    )
    return HttpReply(200, (("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)), body.encode())


def note(operation: str, form: Form, backend: Any) -> None:
    """Keep what moto drops of a call that it has done: the boundary of a new user."""
    if operation == "CreateUser" and "PermissionsBoundary" in form:
        _put_boundary(form, backend)


def _update_trust(form: Form, backend: Any) -> None:
    name = form.get("RoleName", "")
    role = next((role for role in list(backend.roles.values()) if role.name == name), None)
    if role is None:
        raise AwsRefusalError("NoSuchEntity", f"The role with name {name} cannot be found.", NOT_FOUND)
    role.assume_role_policy_document = form["PolicyDocument"]


def _put_boundary(form: Form, backend: Any) -> None:
    _user(form, backend).permissions_boundary = {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": form["PermissionsBoundary"],
    }


def _delete_boundary(form: Form, backend: Any) -> None:
    _user(form, backend).permissions_boundary = None


def _user(form: Form, backend: Any) -> Any:
    name = form.get("UserName", "")
    if name not in backend.users:
        raise AwsRefusalError("NoSuchEntity", f"The user with name {name} cannot be found.", NOT_FOUND)
    return backend.users[name]


_OPERATIONS: Mapping[str, Callable[[Form, Any], None]] = {
    "UpdateAssumeRolePolicy": _update_trust,
    "PutUserPermissionsBoundary": _put_boundary,
    "DeleteUserPermissionsBoundary": _delete_boundary,
}


QueryParameters = dict[str, str]
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

    def perform(self, call: ApiCall, form: QueryParameters, caller: SessionInfo, dispatch: Dispatch) -> HttpReply:
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
            own = perform(call.operation, sent, backend)
            reply = own or dispatch(urlencode(sent).encode())
            if reply.status < _FIRST_ERROR:
                note(call.operation, sent, backend)
                for account_id in {caller.account_id, *self._trusts.follow(before, dict(principals(backend)))}:
                    self._stored.changed(account_id)
            return reply

    def _know_policies(self, call: ApiCall, form: QueryParameters, account_id: str, partition: str) -> None:
        """Let the account know the AWS managed policies that the call speaks of."""
        if _asks_for_aws_policies(call.operation, form):
            self._world.know_all_aws_policies(account_id, partition)
        for name in ("PolicyArn", "PermissionsBoundary"):
            if ":iam::aws:policy/" in form.get(name, ""):
                self._world.know_aws_policy(account_id, partition, form[name])

    def _checked(self, operation: str, form: QueryParameters, backend: object, partition: str) -> QueryParameters:
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

    def _check_permissions(self, operation: str, form: QueryParameters, backend: object) -> None:
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


def with_own_name(operation: str, form: QueryParameters, caller: SessionInfo) -> QueryParameters:
    """The form with the caller's own name where IAM takes it for granted; moto knows no names of sessions.

    Raises AwsRefusalError for a caller that is no user.
    """
    if operation not in _ON_ONESELF or "UserName" in form:
        return form
    parsed = Arn.parse(caller.arn)
    if parsed is None or parsed.service != "iam" or parsed.kind != "user":
        raise invalid("Must specify userName when calling with non-User credentials")
    return {**form, "UserName": parsed.name}


def find_holder(kind: str, name: str, backend: object) -> object | None:
    """A role, user or group by its name."""
    holders = getattr(backend, f"{kind.lower()}s")
    return next((holder for holder in list(holders.values()) if holder.name == name), None)


def _asks_for_aws_policies(operation: str, form: QueryParameters) -> bool:
    """Whether the answer lists policies of AWS's that nothing is attached to: they take 5 MB an account."""
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
