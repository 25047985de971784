"""Principals in stored trust policies: they must exist, and they are bound to one principal, not to a name.

"When you save a trust policy, IAM transforms the ARN of a role or user to its unique principal id. If you delete it, the id
appears in the console, because IAM can no longer map it back to a valid ARN ... even if you create it again, since the new
one has another id" (JSON policy elements: Principal, November 2026). Here the text keeps the ARN while the principal lives
and takes the id when it goes, so that the stored text is at all times what AWS would show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rolecall_generator.iam.arn import parse_arn
from rolecall_runner.sandbox.backends import World

_UNIQUE_ID = re.compile(r"A(?:ROA|IDA)[A-Z0-9]{16,}", re.ASCII)


class TrustStore:
    """The trust policies of all accounts of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def exists(self, arn: str) -> bool:
        """Whether a role or user of this ARN lives; for a role session, whether a role of its name does."""
        parsed = parse_arn(arn)
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
