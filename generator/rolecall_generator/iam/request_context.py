"""What a request says: its context over what follows from caller and resource, and which STS actions it asks for.

Quotations are from the IAM User Guide, looked up in November 2026; the page stands behind each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rolecall_generator.iam.access import Access, Role
from rolecall_generator.iam.callers import Profile
from rolecall_generator.iam.principals import Identity, Kind

TAG_SESSION = "sts:TagSession"
SET_SOURCE_IDENTITY = "sts:SetSourceIdentity"
_REQUEST_TAG = "aws:requesttag/"
_RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
_RESOURCE_ACCOUNT = "aws:resourceaccount"


def request_context(
    access: Access, profile: Profile, resource: str, said: Mapping[str, str | tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The request's context together with what follows from caller and resource, which a request cannot override.

    The caller decides the keys of `principal_context` (a user's tags as well; a role's tags give way to session tags), the
    resource its account and, for a role whose declaration is known, its tags. What a request says of these keys is dropped.

    "Key names are case-insensitive." (IAM policy elements: Variables and tags) "IAM and AWS STS support both the
    iam:ResourceTag IAM condition key and the aws:ResourceTag global condition key." (IAM and AWS STS condition context
    keys) aws:TagKeys is "a list of tag keys without values" of the request's tags (AWS global condition context keys).
    """
    context = dict(profile.context)
    account = resource.split(":", 5)[4:5]
    if account and account[0]:
        context[_RESOURCE_ACCOUNT] = (account[0],)
    role = access.roles.get(resource)
    if role is not None and role.tags:
        context.update(_tag_keys(role))
    return _with_said(context, said, profile, role) if said else context


def _tag_keys(role: Role) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, tag in role.tags.items():
        for prefix in _RESOURCE_TAGS:
            yield f"{prefix}{key.lower()}", (tag,)


def _with_said(
    context: dict[str, tuple[str, ...]],
    said: Mapping[str, str | tuple[str, ...]],
    profile: Profile,
    role: Role | None,
) -> dict[str, tuple[str, ...]]:
    """Add what the request says of keys that neither caller nor resource decides."""
    declared = role is not None and not role.existing
    tags: list[str] = []
    for key, value in said.items():
        values = (value,) if isinstance(value, str) else value
        lower = key.lower()
        if lower in profile.fixed or (lower == _RESOURCE_ACCOUNT and lower in context):
            continue
        if lower.startswith(_RESOURCE_TAGS) and (declared or lower in context):
            continue
        context[lower] = values
        if values and lower.startswith(_REQUEST_TAG):
            tags.append(key[len(_REQUEST_TAG) :])
    if tags and not context.get("aws:tagkeys"):
        context["aws:tagkeys"] = tuple(tags)
    return context


def unable_to_assume(who: Identity) -> str:
    """Why a caller of this kind assumes no role, whatever the policies say; empty where it may.

    "IAM user or IAM role with existing temporary security credentials" may call AssumeRole; those of GetFederationToken
    "Cannot call AWS STS operations except GetCallerIdentity." (Compare AWS STS credentials) "you can't use the temporary
    credentials to assume a role, which means that role chaining is not possible." (Pass session tags in AWS STS)
    """
    if who.kind is Kind.ROOT:
        return "the root user cannot assume roles"
    if who.kind is Kind.SESSION and who.role is None:
        return "a federated user's session cannot assume roles"
    return ""


def keep_source_identity(context: dict[str, tuple[str, ...]]) -> bool:
    """Carry a session's source identity into the request; False where the request sets another.

    "When the calling principal assumes the role, the source identity in the request persists from the first assumed role
    session. Therefore, both the aws:SourceIdentity and sts:SourceIdentity keys are present in the request context." "If the
    user attempts to set a source identity that is different from the value set when CriticalRole was assumed, the assume
    role request will be denied." (Monitor and control actions taken with assumed roles)
    """
    persisted = context.get("aws:sourceidentity")
    if not persisted:
        return True
    if not context.get("sts:sourceidentity"):
        context["sts:sourceidentity"] = persisted
    return context["sts:sourceidentity"] == persisted


def companions(context: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The further STS actions that a request needs, by what it passes."""
    needed: list[str] = []
    if context.get("aws:tagkeys") or context.get("sts:transitivetagkeys"):
        needed.append(TAG_SESSION)
    if context.get("sts:sourceidentity"):
        needed.append(SET_SOURCE_IDENTITY)
    return tuple(needed)
