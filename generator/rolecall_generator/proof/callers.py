"""Callers to test in the proof of one role, chosen so that their decisions cover all possible callers.

These are the principals that the trust policy names or the access contains. If the policy also allows callers that it does
not name individually, there is one witness for every other class of callers that it distinguishes (see `witnesses`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rolecall_generator.iam import ACCOUNT_ID_PATTERN, Access, Arn, Condition, PolicyDocument, Principal, Statement
from rolecall_generator.iam.evaluation import Caller, IdentitySide, PrincipalKind, identity_of
from rolecall_generator.proof.trust_reading import TrustReading
from rolecall_generator.proof.witnesses import Budget, CallerViews, Cell, Witnesses, find_callers, fits

_COLONS = 5
_ACCOUNT_ID = re.compile(ACCOUNT_ID_PATTERN, re.ASCII)
_USER_OR_ROLE_ARN = re.compile(r"arn:[^:]+:iam::[0-9]{12}:(role|user)/([!-~]+/)?[\w+=,.@-]+", re.ASCII)
_ANY_ACCOUNT = "999999999998"
OTHER_PREFIX = "rolecall-other"
UNRELATED_PREFIX = "rolecall-unrelated"

NameSource = Callable[[str], str]
"""Returns letters and digits for use in a name, derived from a string."""


def unpredictable_name(text: str) -> str:
    """Return twelve hexadecimal digits of the string's SHA-256. A policy cannot contain the digits of its own text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def is_generated_name(arn: str, stem: str) -> bool:
    """Whether the proof generated the principal's name with the prefix `stem`; no such principal exists."""
    return identity_of(arn).name.startswith(f"{stem}-")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A caller to evaluate. `exists`: AWS is certain to accept the name, so the caller can be a counterexample.

    `found`: found by the search, not named in the policy or declared in the access.
    """

    caller: Caller
    exists: bool = True
    found: bool = False


@dataclass(slots=True)
class Search:
    """The candidates of one role. `gap` is the reason why they do not cover all callers; empty if they do.

    Read `gap` only after `candidates` is exhausted.
    """

    candidates: Iterator[Candidate] = field(default_factory=lambda: iter(()))
    gap: str = ""


@dataclass(slots=True)
class _SharedResults:
    """Results shared by all trust policies with equal views. `walks` maps a partition to its completed search."""

    views: CallerViews
    suffix: str
    walks: dict[str, tuple[Witnesses, list[tuple[Cell, Candidate]]]] = field(default_factory=dict)
    cells: dict[str, Cell | None] = field(default_factory=dict)

    def cell_of(self, arn: str) -> Cell | None:
        """Return the cell of the ARN in these views. Results are cached."""
        if arn not in self.cells:
            self.cells[arn] = self.views.cell_of(arn)
        return self.cells[arn]


class Candidates:
    """Finds candidates for the roles of an access. `free_account` is an account ID that does not occur in it."""

    def __init__(self, access: Access, callers: Iterable[str], names: NameSource = unpredictable_name) -> None:
        self._names = names
        self._closed_suffix = names("")
        self._by_account: dict[str, list[str]] = {}
        for arn in (*access.users, *access.roles):
            self._by_account.setdefault(_account(arn), []).append(arn)
        used = {*self._by_account, *map(_account, callers)}
        for role in access.roles.values():
            for statement in role.trust.statements if role.trust else ():
                used.update(_mentioned_accounts(statement))
        self.free_account = next(str(number) for number in range(999_999_999_999, 0, -1) if str(number) not in used)
        self._by_views: dict[CallerViews, _SharedResults] = {}

    def suffix(self, reading: TrustReading) -> str:
        """Return a suffix for generated names. It is derived from all patterns of the trust policy, so none contains it."""
        return self._shared_results(reading.views).suffix if reading.open else self._closed_suffix

    def _shared_results(self, views: CallerViews) -> _SharedResults:
        found = self._by_views.get(views)
        if found is None:
            found = self._by_views[views] = _SharedResults(views, self._names(views.text))
        return found

    def search(
        self, role_arn: str, trust: PolicyDocument, callers: Iterable[str], reading: TrustReading, budget: Budget
    ) -> Search:
        """Find the callers that the trust policy distinguishes from an unrelated principal, without duplicates."""
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
        parsed = Arn.parse(role_arn)
        partition = parsed.partition if parsed else "aws"
        seen: set[str] = set()
        for arn in self._named_callers(trust, partition, suffix, (_account(role_arn), *map(_account, callers))):
            budget.left -= 1
            if budget.is_exhausted:
                search.gap = "the trust policy names too many callers"
                return
            if arn not in seen:
                seen.add(arn)
                yield Candidate(Caller(arn, IdentitySide.ALLOWS_ALL))
        if reading.open or reading.sessions:
            yield from self._search_witnesses(partition, reading, seen, budget, search)

    def _search_witnesses(
        self, partition: str, reading: TrustReading, named: set[str], budget: Budget, search: Search
    ) -> Iterator[Candidate]:
        """Yield a witness for every cell without a named caller, and the sessions that the policy names."""
        shared = self._shared_results(reading.views)
        searched = shared.walks.get(partition)
        if searched is None:
            # The other half of the budget is for evaluating the witnesses.
            search_budget = Budget(budget.left // 2)
            walk = find_callers(shared.views, partition, search_budget)
            budget.left -= budget.left // 2 - search_budget.left
            searched = walk, [(cell, _found_candidate(arn)) for cell, arn in walk.found.items()]
            if walk.complete:
                shared.walks[partition] = searched
        walk, witnesses = searched
        if not walk.complete:
            search.gap = "searching its patterns takes too long"
        budget.left -= sum(map(len, named))
        cells = {shared.cell_of(arn) for arn in named} if reading.open else set()
        for cell, witness in witnesses:
            if budget.is_exhausted:
                search.gap = search.gap or "it distinguishes too many callers"
                return
            if reading.open and cell not in cells:
                yield witness
            if reading.sessions:
                yield from _sessions_of(witness.caller.arn, reading.sessions)

    def _named_callers(self, trust: PolicyDocument, partition: str, suffix: str, home: tuple[str, ...]) -> Iterator[str]:
        for statement in trust.statements:
            if statement.effect == "Allow":
                for principal in statement.principals:
                    yield from self._from_principal(principal, partition, home, suffix)
                accounts = tuple(
                    account for account in dict.fromkeys((*home, *_mentioned_accounts(statement))) if account.isdigit()
                )
                for condition in statement.conditions:
                    yield from self._from_condition(condition, partition, accounts, suffix)

    def _from_principal(self, principal: Principal, partition: str, home: tuple[str, ...], suffix: str) -> Iterator[str]:
        text = principal.identifier
        if text == "*":
            yield "ec2.amazonaws.com"
            yield f"{OTHER_PREFIX}-{suffix}.amazonaws.com"
            yield f"arn:{partition}:iam::{home[0]}:saml-provider/{OTHER_PREFIX}-{suffix}"
            for account in dict.fromkeys(home):
                yield from self._in_account(partition, account, suffix)
        elif principal.type == "AWS" and (text.isdigit() or text.endswith(":root")):
            yield from self._in_account(partition, text if text.isdigit() else _account(text), suffix)
        else:
            yield text

    def _from_condition(self, condition: Condition, partition: str, accounts: tuple[str, ...], suffix: str) -> Iterator[str]:
        key = condition.key.lower()
        for value in condition.values:
            if key == "aws:principalarn":
                yield from _matching_arns(value, partition, accounts)
                yield from self._in_account(partition, _account(value), suffix)
            elif key == "aws:principalaccount":
                yield from self._in_account(partition, _matching_account(value), suffix)
            elif key == "aws:username":
                for account in (self.free_account, *accounts):
                    user = f"arn:{partition}:iam::{account}:user/{_without_wildcards(value)}"
                    if _is_possible(user):
                        yield user

    def _in_account(self, partition: str, account_id: str, suffix: str) -> Iterator[str]:
        if _ACCOUNT_ID.match(account_id):
            yield other_in(partition, account_id, suffix)
            yield f"arn:{partition}:iam::{account_id}:user/{OTHER_PREFIX}-{suffix}"
            yield from self._by_account.get(account_id, ())


def other_in(partition: str, account_id: str, suffix: str) -> str:
    """Return the ARN of an undeclared role in the account."""
    return f"arn:{partition}:iam::{account_id}:role/{OTHER_PREFIX}-{suffix}"


def _found_candidate(arn: str) -> Candidate:
    return Candidate(Caller(arn, IdentitySide.ALLOWS_ALL), fits(arn), found=True)


def _sessions_of(role: str, sessions: Iterable[str]) -> Iterator[Candidate]:
    """Yield those of `sessions` that can be sessions of this role. Session ARNs omit the path of the role."""
    identity = identity_of(role)
    for session in sessions:
        other = identity_of(session)
        if identity.kind is PrincipalKind.ROLE and (identity.account_id, identity.name) == (
            other.account_id,
            (other.role or "").rpartition("/")[2],
        ):
            yield Candidate(Caller(session, IdentitySide.ALLOWS_ALL, role=role), fits(role))


def _matching_arns(pattern: str, partition: str, accounts: Iterable[str]) -> Iterator[str]:
    """Yield ARNs of roles and users that match an ARN pattern, with its wildcards replaced by examples."""
    fields = pattern.split(":", _COLONS)
    if len(fields) > _COLONS:
        for index, replacement in ((1, partition), (2, "iam"), (3, "")):
            if "*" in fields[index] or "?" in fields[index]:
                fields[index] = replacement
        account_ids = [_matching_account(fields[4]), *(accounts if "*" in fields[4] else ())]
        replacements = ("rolecall", "role/rolecall", "user/rolecall") if fields[5].startswith("*") else ("rolecall",)
        arns = [
            ":".join([*fields[:4], account, fields[5].replace("*", replacement, 1)])
            for account in account_ids
            for replacement in replacements
        ]
    else:
        prefix = f"arn:{partition}:iam::{_ANY_ACCOUNT}"
        arns = [
            pattern.replace("*", replacement, 1)
            for replacement in (prefix, f"{prefix}:role/rolecall", f"{prefix}:user/rolecall", f"{prefix}:")
        ]
    yield from filter(_is_possible, map(_without_wildcards, arns))


def _is_possible(arn: str) -> bool:
    """Whether a user or role with this ARN can exist."""
    return _USER_OR_ROLE_ARN.fullmatch(arn) is not None and fits(arn)


def _without_wildcards(pattern: str) -> str:
    return pattern.replace("*", "rolecall").replace("?", "r")


def _matching_account(pattern: str) -> str:
    """Return an account ID that matches the pattern."""
    missing = len(_ANY_ACCOUNT) - len(pattern.replace("*", ""))
    return pattern.replace("*", "9" * missing, 1).replace("*", "").replace("?", "9")


def _account(arn: str) -> str:
    parts = arn.split(":", _COLONS)
    return parts[4] if len(parts) > _COLONS else ""


def _mentioned_accounts(statement: Statement) -> Iterator[str]:
    for principal in statement.principals:
        yield _account(principal.identifier) or principal.identifier
    for condition in statement.conditions:
        for value in condition.values:
            yield _account(value) or value
