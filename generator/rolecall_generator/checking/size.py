"""How large written access may be to be compared, proven and judged exactly.

The work grows with the square of statements and principals. AWS's own quotas are far below these limits, so what exceeds
them could not be applied; it is an error finding, and nothing more is claimed about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rolecall_generator.iam import quotas
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.policy import PolicyDocument

DOCUMENT_CHARACTERS = 2 * max(quotas.ROLE_INLINE_CHARACTERS, quotas.TRUST_POLICY_CHARACTERS_MAXIMUM)
"""Characters of one policy document, as AWS counts them."""
PARTS = 200
"""Roles, users, groups, policies and instance profiles of one module, beyond four times the intended ones."""
TOTAL_CHARACTERS = 64 * 1024
"""Characters of all documents together, beyond four times the intended ones."""
ATTACHMENTS = 400
"""Managed policies attached and groups joined in one module, beyond four times the intended ones."""
_MARGIN = 4


def too_large(written: Access, intended: Access) -> str | None:
    """Why the written access of a module is too large to be judged; None when it is not."""
    parts = _parts(written)
    if parts > PARTS + _MARGIN * _parts(intended):
        return f"it declares {parts:,} roles, users, groups, policies and instance profiles"
    attachments = _attachments(written)
    if attachments > ATTACHMENTS + _MARGIN * _attachments(intended):
        return f"it attaches policies and adds users to groups {attachments:,} times"
    total = 0
    for owner, document in _documents(written):
        size = document.size
        total += size
        if size > DOCUMENT_CHARACTERS:
            return f"a policy document of {owner} has {size:,} characters"
    if total > TOTAL_CHARACTERS and total > _MARGIN * sum(document.size for _, document in _documents(intended)):
        return f"its policy documents have {total:,} characters in all"
    return None


def _parts(access: Access) -> int:
    return sum(map(len, (access.roles, access.policies, access.groups, access.users, access.instance_profiles)))


def _attachments(access: Access) -> int:
    attached = [role.attached for role in access.roles.values()]
    attached += [group.attached for group in access.groups.values()]
    attached += [user.attached | user.groups for user in access.users.values()]
    return sum(map(len, attached))


def _documents(access: Access) -> Iterator[tuple[str, PolicyDocument]]:
    for role in access.roles.values():
        if role.trust is not None:
            yield role.arn, role.trust
    holders: Iterable[tuple[str, Iterable[PolicyDocument]]] = (
        (holder.arn, holder.inline.values())
        for holders in (access.roles, access.groups, access.users)
        for holder in holders.values()
    )
    for arn, documents in holders:
        yield from ((arn, document) for document in documents)
    yield from ((policy.arn, policy.document) for policy in access.policies.values())
