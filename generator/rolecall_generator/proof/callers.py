"""The callers that stand for everybody in the proof of one role.

Whoever is named in the trust policy or occurs in the access comes first; then, where the policy lets in others than those
whom it names one by one, a witness of every further kind of caller that it can tell apart (see `witnesses`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rolecall_generator.iam import ACCOUNT_ID_PATTERN, Access, Condition, PolicyDocument, Principal, Statement, parse_arn
from rolecall_generator.iam.evaluation import Caller, IdentitySide, PrincipalKind, identity_of
from rolecall_generator.proof.trust_reading import TrustReading
from rolecall_generator.proof.witnesses import Budget, CallerViews, Cell, Witnesses, find_callers, fits

_COLONS = 5
_IS_ACCOUNT = re.compile(ACCOUNT_ID_PATTERN, re.ASCII)
_IS_PRINCIPAL = re.compile(r"arn:[^:]+:iam::[0-9]{12}:(role|user)/([!-~]+/)?[\w+=,.@-]+", re.ASCII)
_ANY_ACCOUNT = "999999999998"
OTHER = "rolecall-other"
STRANGER = "rolecall-stranger"

NameSource = Callable[[str], str]
"""Makes a part of a name (letters and digits) from a text."""


def unforeseeable_name(text: str) -> str:
    """Twelve hexadecimal digits that no one can name in a policy, when the text is that policy: the same in every run."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def is_invented(arn: str, stem: str) -> bool:
    """Whether the proof made up the principal's name from that stem."""
    return identity_of(arn).name.startswith(f"{stem}-")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A caller to be decided. `exists`: AWS surely accepts a principal of that name, so it can be a counterexample.

    `found`: by the search, and not because it is named or declared.
    """

    caller: Caller
    exists: bool = True
    found: bool = False


@dataclass(slots=True)
class Search:
    """The candidates of one role. `gap` is set where they do not stand for everybody: why not."""

    candidates: Iterator[Candidate] = field(default_factory=lambda: iter(()))
    gap: str = ""


@dataclass(slots=True)
class _Kept:
    """What is the same for all trust policies with equal views; `walks` are by partition."""

    views: CallerViews
    suffix: str
    walks: dict[str, tuple[Witnesses, list[tuple[Cell, Candidate]]]] = field(default_factory=dict)
    cells: dict[str, Cell | None] = field(default_factory=dict)

    def cell_of(self, arn: str) -> Cell | None:
        """As of the views, each ARN read once."""
        if arn not in self.cells:
            self.cells[arn] = self.views.cell_of(arn)
        return self.cells[arn]


class Candidates:
    """The principals of an access by account, and an account id that no one uses."""

    def __init__(self, access: Access, callers: Iterable[str], names: NameSource = unforeseeable_name) -> None:
        self._names = names
        self._closed_suffix = names("")
        self._by_account: dict[str, list[str]] = {}
        for arn in (*access.users, *access.roles):
            self._by_account.setdefault(_account(arn), []).append(arn)
        used = {*self._by_account, *map(_account, callers)}
        for role in access.roles.values():
            for statement in role.trust.statements if role.trust else ():
                used.update(_accounts_said(statement))
        self.free_account = next(str(number) for number in range(999_999_999_999, 0, -1) if str(number) not in used)
        self._by_views: dict[CallerViews, _Kept] = {}

    def suffix(self, reading: TrustReading) -> str:
        """What makes invented names unforeseeable to a trust policy: they depend on all patterns in it."""
        return self._kept(reading.views).suffix if reading.open else self._closed_suffix

    def _kept(self, views: CallerViews) -> _Kept:
        found = self._by_views.get(views)
        if found is None:
            found = self._by_views[views] = _Kept(views, self._names(views.text))
        return found

    def search(
        self, role_arn: str, trust: PolicyDocument, callers: Iterable[str], reading: TrustReading, budget: Budget
    ) -> Search:
        """Every caller that this role's trust policy can tell from a stranger, without repetition."""
        search = Search()
        search.candidates = self._search(role_arn, trust, callers, reading, budget, search)
        return search

    def _search(
        self,
        role_arn: str,
        trust: PolicyDocument,
        callers: Iterable[str],
        reading: TrustReading,
        budget: Budget,
        search: Search,
    ) -> Iterator[Candidate]:
        suffix = self.suffix(reading)
        parsed = parse_arn(role_arn)
        partition = parsed.partition if parsed else "aws"
        seen: set[str] = set()
        for arn in self._seeds(trust, partition, suffix, (_account(role_arn), *map(_account, callers))):
            budget.left -= 1
            if budget.spent:
                search.gap = "the trust policy names more callers than can be decided"
                return
            if arn not in seen:
                seen.add(arn)
                yield Candidate(Caller(arn, IdentitySide.ALLOWS_ALL))
        if reading.open or reading.sessions:
            yield from self._witnesses(partition, reading, seen, budget, search)

    def _witnesses(
        self, partition: str, reading: TrustReading, seeds: set[str], budget: Budget, search: Search
    ) -> Iterator[Candidate]:
        """A witness of every cell in which no seed is, and the sessions that are named."""
        kept = self._kept(reading.views)
        known = kept.walks.get(partition)
        if known is None:
            # Half of the budget, so that what was found can be decided in any case.
            share = Budget(budget.left // 2)
            walk = find_callers(kept.views, partition, share)
            budget.left -= budget.left // 2 - share.left
            known = walk, [(cell, _found(arn)) for cell, arn in walk.found.items()]
            if walk.complete:
                kept.walks[partition] = known
        walk, witnesses = known
        if not walk.complete:
            search.gap = "its patterns take too long to search"
        budget.left -= sum(map(len, seeds))
        cells = {kept.cell_of(arn) for arn in seeds} if reading.open else set()
        for cell, witness in witnesses:
            if budget.spent:
                search.gap = search.gap or "it tells more callers apart than can be decided"
                return
            if reading.open and cell not in cells:
                yield witness
            if reading.sessions:
                yield from _sessions_of(witness.caller.arn, reading.sessions)

    def _seeds(self, trust: PolicyDocument, partition: str, suffix: str, home: tuple[str, ...]) -> Iterator[str]:
        for statement in trust.statements:
            if statement.effect == "Allow":
                for principal in statement.principals:
                    yield from self._named(principal, partition, home, suffix)
                accounts = tuple(
                    account for account in dict.fromkeys((*home, *_accounts_said(statement))) if account.isdigit()
                )
                for condition in statement.conditions:
                    yield from self._conditioned(condition, partition, accounts, suffix)

    def _named(self, principal: Principal, partition: str, home: tuple[str, ...], suffix: str) -> Iterator[str]:
        text = principal.identifier
        if text == "*":
            yield "ec2.amazonaws.com"
            yield f"{OTHER}-{suffix}.amazonaws.com"
            yield f"arn:{partition}:iam::{home[0]}:saml-provider/{OTHER}-{suffix}"
            for account in dict.fromkeys(home):
                yield from self._in_account(partition, account, suffix)
        elif principal.type == "AWS" and (text.isdigit() or text.endswith(":root")):
            yield from self._in_account(partition, text if text.isdigit() else _account(text), suffix)
        else:
            yield text

    def _conditioned(self, condition: Condition, partition: str, accounts: tuple[str, ...], suffix: str) -> Iterator[str]:
        key = condition.key.lower()
        for value in condition.values:
            if key == "aws:principalarn":
                yield from _instances(value, partition, accounts)
                yield from self._in_account(partition, _account(value), suffix)
            elif key == "aws:principalaccount":
                yield from self._in_account(partition, _account_like(value), suffix)
            elif key == "aws:username":
                for account in (self.free_account, *accounts):
                    user = f"arn:{partition}:iam::{account}:user/{_plain(value)}"
                    if _is_possible(user):
                        yield user

    def _in_account(self, partition: str, account_id: str, suffix: str) -> Iterator[str]:
        if _IS_ACCOUNT.match(account_id):
            yield other_in(partition, account_id, suffix)
            yield f"arn:{partition}:iam::{account_id}:user/{OTHER}-{suffix}"
            yield from self._by_account.get(account_id, ())


def other_in(partition: str, account_id: str, suffix: str) -> str:
    """A role of that account that no one declared."""
    return f"arn:{partition}:iam::{account_id}:role/{OTHER}-{suffix}"


def _found(arn: str) -> Candidate:
    return Candidate(Caller(arn, IdentitySide.ALLOWS_ALL), fits(arn), found=True)


def _sessions_of(role: str, sessions: Iterable[str]) -> Iterator[Candidate]:
    """Named sessions that this role, whatever its path, can have."""
    who = identity_of(role)
    for session in sessions:
        other = identity_of(session)
        if who.kind is PrincipalKind.ROLE and (who.account_id, who.name) == (
            other.account_id,
            (other.role or "").rpartition("/")[2],
        ):
            yield Candidate(Caller(session, IdentitySide.ALLOWS_ALL, role=role), fits(role))


def _instances(pattern: str, partition: str, accounts: Iterable[str]) -> Iterator[str]:
    """Roles and users that fit an ARN pattern: wildcards become plain text, whichever way makes an ARN of it."""
    parts = pattern.split(":", _COLONS)
    if len(parts) > _COLONS:
        for part, filling in ((1, partition), (2, "iam"), (3, "")):
            if "*" in parts[part] or "?" in parts[part]:
                parts[part] = filling
        heads = [_account_like(parts[4]), *(accounts if "*" in parts[4] else ())]
        fillings = ("rolecall", "role/rolecall", "user/rolecall") if parts[5].startswith("*") else ("rolecall",)
        tries = [
            ":".join([*parts[:4], account, parts[5].replace("*", filling, 1)]) for account in heads for filling in fillings
        ]
    else:
        whole = f"arn:{partition}:iam::{_ANY_ACCOUNT}"
        tries = [
            pattern.replace("*", filling, 1)
            for filling in (whole, f"{whole}:role/rolecall", f"{whole}:user/rolecall", f"{whole}:")
        ]
    yield from filter(_is_possible, map(_plain, tries))


def _is_possible(arn: str) -> bool:
    """Whether AWS can have made such a user or role."""
    return _IS_PRINCIPAL.fullmatch(arn) is not None and fits(arn)


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
