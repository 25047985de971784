"""Which kind of policy refused a request, according to AWS's access-denied messages, and the cause that this means.

One table, DENIALS, holds every documented kind of policy. Sources: "Troubleshoot access denied error messages" (IAM User
Guide), "Troubleshoot access denied (403 Forbidden) errors in Amazon S3" (S3 User Guide) and "Enhanced access denied error
messages with policy ARNs" (AWS Security Blog, January 2026), read November 2026. A refusal has one of two forms:

    User: WHO is not authorized to perform: ACTION on resource: WHAT with an explicit deny in a KIND: ARN
    User: WHO is not authorized to perform: ACTION on resource: WHAT because no KIND allows the ACTION action

Messages include the ARN of the denying policy only if caller and resource are in one account or organization. Across
accounts the message often ends after the resource. The message is only a hint: the error code decides that a request was
refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Denial:
    """The policy that refused a request. `kind` is a key of DENIALS; `arn` is empty if AWS does not name it.

    `explicit`: a Deny statement matched; otherwise no statement of that kind of policy allows the request.
    """

    kind: str
    explicit: bool
    arn: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Causes (IDs of docs/diagnosis.md) of a refusal by one kind of policy; empty if several causes remain.

    `assume_*`: AssumeRole was refused; policies of the caller are the vendor's and those of the role are the customer's.
    `call_*`: a later call of the role's session was refused, so policies of the caller are the customer's.
    """

    assume_explicit: str
    assume_implicit: str
    call_explicit: str
    call_implicit: str


DENIALS: Mapping[str, Meaning] = {
    "identity-based policy": Meaning(
        "own-policy-denies", "backend-policy-lacks-role", "role-policy-denies", "permission-missing"
    ),
    "session policy": Meaning("own-session-policy", "own-session-policy", "own-session-policy", "own-session-policy"),
    "permissions boundary": Meaning(
        "own-permission-boundary", "own-permission-boundary", "permission-boundary", "permission-boundary"
    ),
    "service control policy": Meaning(
        "own-organization-policy", "own-organization-policy", "organization-policy", "organization-policy"
    ),
    "resource control policy": Meaning(
        "resource-control-policy", "resource-control-policy", "resource-control-policy", "resource-control-policy"
    ),
    "vpc endpoint policy": Meaning(
        "own-endpoint-policy", "own-endpoint-policy", "own-endpoint-policy", "own-endpoint-policy"
    ),
    "role trust policy": Meaning("trust-policy-denies", "", "trust-policy-denies", ""),
    "resource-based policy": Meaning("trust-policy-denies", "", "resource-policy-denies", "resource-policy-denies"),
}
"""By the kind of policy in lower case. A trust policy that does not allow a request has several causes."""

_OTHER_NAMES = {
    "sessions policy": "session policy",
    "permission boundary": "permissions boundary",
    "permissions boundary policy": "permissions boundary",
    "identity based policy": "identity-based policy",
    "resource based policy": "resource-based policy",
    "trust policy": "role trust policy",
    "vpce policy": "vpc endpoint policy",
}
_NAMES = "|".join(sorted((re.escape(name) for name in (*DENIALS, *_OTHER_NAMES)), key=len, reverse=True))
_ARN = r"(?:\s*:\s*[\"']?(?P<arn>arn:[^\s\"',;]+))?"
# "with an explicit deny in a VPC endpoint policy transitively through a service control policy": the second one denies.
_EXPLICIT = re.compile(
    rf"explicit deny in (?:an? |the )?(?P<kind>{_NAMES})"
    rf"(?: transitively through (?:an? |the )?(?P<through>{_NAMES}))?{_ARN}",
    re.IGNORECASE,
)
_IMPLICIT = re.compile(rf"because (?:no|the) (?P<kind>{_NAMES}) allows(?: the \S+ action)?{_ARN}", re.IGNORECASE)


def denial_of(message: str) -> Denial | None:
    """The policy that an access-denied message names; None if it names none of the documented kinds."""
    text = " ".join(message.split())
    if (match := _EXPLICIT.search(text)) is not None:
        return Denial(_kind(match["through"] or match["kind"]), explicit=True, arn=_plain(match["arn"]))
    if (match := _IMPLICIT.search(text)) is not None:
        return Denial(_kind(match["kind"]), explicit=False, arn=_plain(match["arn"]))
    return None


def cause_of_refused_assume(denial: Denial) -> str:
    """The cause when AssumeRole was refused; empty if several remain."""
    meaning = DENIALS[denial.kind]
    return meaning.assume_explicit if denial.explicit else meaning.assume_implicit


def cause_of_refused_call(denial: Denial) -> str:
    """The cause when a call of the role's session was refused; empty if several remain."""
    meaning = DENIALS[denial.kind]
    return meaning.call_explicit if denial.explicit else meaning.call_implicit


def _kind(name: str) -> str:
    lower = name.lower()
    return _OTHER_NAMES.get(lower, lower)


def _plain(arn: str | None) -> str:
    """The ARN without the full stop or bracket that may follow it in a sentence."""
    return (arn or "").rstrip(".)]")
