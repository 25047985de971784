"""Operations of IAM that moto 5.2.5 does wrong or not at all, done on moto's own objects.

Users' boundaries it does not keep: they are put on its users under the name that its replies read, so that GetUser shows
them. Trust policies with sts:TagSession or sts:SetSourceIdentity it takes at CreateRole and refuses at
UpdateAssumeRolePolicy.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from rolecall_runner.sandbox.aws_refusal import NOT_FOUND, AwsRefusalError
from rolecall_runner.sandbox.wire import HttpReply

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
