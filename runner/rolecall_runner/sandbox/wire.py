"""What the stages of the sandbox hand to one another: the HTTP request, the AWS call in it, who calls, the reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rolecall_generator.iam.policy import PolicyDocument


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it came in. `path` and `query` are as they were sent (still percent-encoded); names of `headers` are
    lower-case; `body` is not printed, since a password may be in it.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    host: str


@dataclass(frozen=True, slots=True)
class HttpReply:
    """One reply; `body` is not printed, since credentials may be in it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """The AWS operation that a request asks for.

    `service` is the name that requests are signed with (`ec2`), `action` the IAM action (`ec2:DescribeInstances`),
    `resources` the ARNs that it concerns or `("*",)`, `protocol` one of query, ec2, json, rest-json, rest-xml. `access_key`
    is None for an unsigned request. `parameters` are there where they are cheap to read. `context` holds the condition keys
    (lower-case names) that the request itself says.
    """

    service: str
    operation: str
    action: str
    resources: tuple[str, ...]
    protocol: str
    region: str
    access_key: str | None
    session_token: str | None = field(repr=False)
    parameters: Mapping[str, object] = field(default_factory=dict, repr=False)
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Who calls: the holder of an access key, long-term (a user's: no token, no expiry) or temporary.

    `arn` is what GetCallerIdentity shows: the assumed-role, user or root ARN. `role_arn` is the role of a role session, with
    its path. `user_id` is the unique id that GetCallerIdentity shows (`AROA...:session` for a role session). `tags` are the
    session's tags, `transitive` the keys of those that are handed on in a chain. `session_policies` are all that narrow the
    session (inline and managed): an action must be allowed by one of them, when there are any. `chained`: the session was
    assumed by another role session. `operator`: the administrator of every account that provisioning uses. `mfa_at`: when
    the second factor was given, None for never.
    """

    access_key: str
    secret: str = field(repr=False)
    session_token: str | None = field(repr=False)
    account_id: str
    arn: str
    user_id: str = ""
    role_arn: str | None = None
    issued: datetime | None = None
    expires: datetime | None = None
    mfa: bool = False
    mfa_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    source_identity: str | None = None
    session_policies: tuple[PolicyDocument, ...] = ()
    chained: bool = False
    operator: bool = False
