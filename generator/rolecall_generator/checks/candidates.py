"""Which principals a trust policy can tell apart: the finite set that stands for everybody in the proof.

A trust policy sees a caller through its Principal elements and through conditions on `aws:PrincipalArn`,
`aws:PrincipalAccount` and `aws:username`; all other keys are free in the proof. Whoever none of them mentions is decided
like a stranger, so only who is mentioned is searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rolecall_generator.iam.access import Access
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.iam.principals import Kind, identity_of

_COLONS = 5
_ANY_ACCOUNT = "999999999998"


def other_in(partition: str, account_id: str) -> str:
    """A role of that account that nobody declared."""
    return f"arn:{partition}:iam::{account_id}:role/rolecall-other"


class Candidates:
    """The principals of an access by account, and an account id that nobody uses."""

    def __init__(self, access: Access, callers: Iterable[str]) -> None:
        self._by_account: dict[str, list[str]] = {}
        for arn in (*access.users, *access.roles):
            self._by_account.setdefault(_account(arn), []).append(arn)
        used = {*self._by_account, *map(_account, callers)}
        for role in access.roles.values():
            for statement in role.trust.statements if role.trust else ():
                used.update(_accounts_said(statement))
        self.free_account = next(str(number) for number in range(999_999_999_999, 0, -1) if str(number) not in used)

    def of(self, role_arn: str, trust: PolicyDocument, callers: Iterable[str]) -> Iterable[str]:
        """Every caller that this role's trust policy can tell from a stranger, without repetition."""
        parsed = parse_arn(role_arn)
        partition = parsed.partition if parsed else "aws"
        home = (_account(role_arn), *map(_account, callers))
        found: dict[str, None] = {}
        for statement in trust.statements:
            if statement.effect == "Allow":
                for principal in statement.principals:
                    found.update(dict.fromkeys(self._named(principal, partition, home)))
                accounts = tuple(
                    account for account in dict.fromkeys((*home, *_accounts_said(statement))) if account.isdigit()
                )
                for condition in statement.conditions:
                    found.update(dict.fromkeys(self._conditioned(condition, partition, accounts)))
        return found

    def _named(self, principal: Principal, partition: str, home: tuple[str, ...]) -> Iterator[str]:
        text = principal.identifier
        if text == "*":
            yield "ec2.amazonaws.com"
            for account in dict.fromkeys(home):
                yield from self._in_account(partition, account)
        elif principal.type == "AWS" and (text.isdigit() or text.endswith(":root")):
            yield from self._in_account(partition, text if text.isdigit() else _account(text))
        else:
            yield text

    def _conditioned(self, condition: Condition, partition: str, accounts: tuple[str, ...]) -> Iterator[str]:
        key = condition.key.lower()
        for value in condition.values:
            if key == "aws:principalarn":
                yield from _instances(value, partition)
                yield from self._in_account(partition, _account(value))
            elif key == "aws:principalaccount":
                yield from self._in_account(partition, _account_like(value))
            elif key == "aws:username":
                for account in (self.free_account, *accounts):
                    yield f"arn:{partition}:iam::{account}:user/{_plain(value)}"

    def _in_account(self, partition: str, account_id: str) -> Iterator[str]:
        if account_id.isdigit():
            yield other_in(partition, account_id)
            yield f"arn:{partition}:iam::{account_id}:user/rolecall-other"
            yield from self._by_account.get(account_id, ())


def _instances(pattern: str, partition: str) -> Iterator[str]:
    """Roles and users that fit an ARN pattern: wildcards become plain text, whichever way makes an ARN of it."""
    parts = pattern.split(":", _COLONS)
    if len(parts) > _COLONS:
        for part, filling in ((1, partition), (2, "iam"), (3, "")):
            if "*" in parts[part] or "?" in parts[part]:
                parts[part] = filling
        parts[4] = _account_like(parts[4])
        fillings = ("rolecall", "role/rolecall", "user/rolecall") if parts[5].startswith("*") else ("rolecall",)
        tries = [":".join([*parts[:5], parts[5].replace("*", filling, 1)]) for filling in fillings]
    else:
        whole = f"arn:{partition}:iam::{_ANY_ACCOUNT}"
        tries = [
            pattern.replace("*", filling, 1)
            for filling in (whole, f"{whole}:role/rolecall", f"{whole}:user/rolecall", f"{whole}:")
        ]
    for text in map(_plain, tries):
        if identity_of(text).kind in {Kind.USER, Kind.ROLE}:
            yield text


def _plain(pattern: str) -> str:
    return pattern.replace("*", "rolecall").replace("?", "r")


def _account_like(pattern: str) -> str:
    """An account id that fits the pattern."""
    missing = len(_ANY_ACCOUNT) - len(pattern.replace("*", ""))
    return pattern.replace("*", "9" * missing, 1).replace("*", "").replace("?", "9")


def _account(arn: str) -> str:
    parts = arn.split(":", _COLONS)
    return parts[4] if len(parts) > _COLONS else ""


def _accounts_said(statement: Statement) -> Iterator[str]:
    for principal in statement.principals:
        yield _account(principal.identifier) or principal.identifier
    for condition in statement.conditions:
        for value in condition.values:
            yield _account(value) or value
