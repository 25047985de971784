"""Permissions boundaries of users, which moto 5.2.5 does not keep.

They are put on moto's own object under the name that its replies read, so that GetUser shows them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from rolecall_runner.sandbox.aws_refusal import AwsRefusalError
from rolecall_runner.sandbox.wire import HttpReply

_OPERATIONS = {"PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary"}
_NOT_FOUND = 404


def perform(operation: str, form: Mapping[str, str], backend: Any) -> HttpReply | None:
    """Answer the two operations on users' boundaries; None for all others.

    Raises AwsRefusalError when there is no such user.
    """
    if operation not in _OPERATIONS:
        return None
    name = form.get("UserName", "")
    if name not in backend.users:
        raise AwsRefusalError("NoSuchEntity", f"The user with name {name} cannot be found.", _NOT_FOUND)
    request_id = str(uuid.uuid4())
    body = (
        f'<{operation}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata><RequestId>{request_id}'
        f"</RequestId></ResponseMetadata></{operation}Response>"
    )
    return HttpReply(200, (("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)), body.encode())


def note(operation: str, form: Mapping[str, str], backend: Any) -> None:
    """Keep what a successful call said of a user's boundary."""
    user = backend.users.get(form.get("UserName", ""))
    if user is None:
        return
    if operation in {"CreateUser", "PutUserPermissionsBoundary"} and "PermissionsBoundary" in form:
        user.permissions_boundary = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": form["PermissionsBoundary"],
        }
    elif operation == "DeleteUserPermissionsBoundary":
        user.permissions_boundary = None
