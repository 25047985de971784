"""Policies at one point in time, and grants to outsiders that are only valid at another time.

aws:CurrentTime and aws:EpochTime are in every request (AWS global condition context keys, November 2026), so a condition on
them has one outcome for all requests of a moment. Other keys with dates, such as aws:TokenIssueTime, depend on the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rolecall_generator.audit.account import AccountData
from rolecall_generator.audit.outsiders import Outsider
from rolecall_generator.iam import Access, Condition, PolicyDocument, Role, Statement
from rolecall_generator.iam.matching import OPERATORS, Context, Truth, UnsupportedError, compile_condition, parse_operator

_TIME, _EPOCH = "aws:currenttime", "aws:epochtime"
_FAMILIES = {_TIME: {"Date", "Null"}, _EPOCH: {"Date", "Numeric", "Null"}}
"""Families of operators whose outcome on a key is documented."""
_SECOND = timedelta(seconds=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC) + _SECOND, datetime.max.replace(tzinfo=UTC) - _SECOND
_MOST_DATES = 8
"""Maximum number of dates before, and of dates after, the point in time that are examined in one trust policy."""


class Validity(StrEnum):
    """When a grant is valid, if not now."""

    EXPIRED = "expired"
    LATER = "not yet valid"


@dataclass(frozen=True, slots=True)
class InactiveGrant:
    """A grant that is not valid now. `moment`: its end if it is EXPIRED, its beginning if it is LATER."""

    outsider: Outsider
    validity: Validity
    moment: datetime


def tests_time(document: PolicyDocument) -> bool:
    """Whether a condition of the document is on the time of the request."""
    return any(condition.key.lower() in _FAMILIES for statement in document.statements for condition in statement.conditions)


def at_time(document: PolicyDocument, moment: datetime) -> PolicyDocument:
    """The document as it is evaluated at a point in time, with a time zone: without conditions that hold then, and without
    statements whose conditions do not hold. Conditions whose outcome is not documented remain.
    """
    if not tests_time(document):
        return document
    # AWS writes the time in whole seconds.
    whole = moment.astimezone(UTC).replace(microsecond=0)
    context = {_TIME: (whole.isoformat().replace("+00:00", "Z"),), _EPOCH: (str(int(whole.timestamp())),)}
    return replace(document, statements=tuple(_statements_at(document.statements, context)))


def _statements_at(statements: Iterable[Statement], context: Context) -> Iterator[Statement]:
    for statement in statements:
        outcomes = [(_outcome(condition, context), condition) for condition in statement.conditions]
        if not any(outcome is Truth.FALSE for outcome, _ in outcomes):
            left = tuple(condition for outcome, condition in outcomes if outcome is not Truth.TRUE)
            yield statement if len(left) == len(outcomes) else replace(statement, conditions=left)


def _outcome(condition: Condition, context: Context) -> Truth:
    """The outcome of a condition; UNDECIDED if it is not on the time, or if it is not documented."""
    families = _FAMILIES.get(condition.key.lower())
    try:
        if families is None or parse_operator(condition.operator).operator.family.name not in families:
            return Truth.UNDECIDED
        return compile_condition(condition, variables=False).run(context)
    except UnsupportedError:
        return Truth.UNDECIDED


@dataclass(slots=True)
class _Documents:
    """The documents of an account at a point in time. Documents that were one object remain one."""

    moment: datetime
    _known: dict[int, tuple[PolicyDocument, PolicyDocument]] = field(init=False, default_factory=dict)

    def at(self, document: PolicyDocument) -> PolicyDocument:
        """The document at the point in time."""
        if id(document) not in self._known:
            self._known[id(document)] = document, at_time(document, self.moment)
        return self._known[id(document)][1]

    def named(self, documents: Mapping[str, PolicyDocument]) -> Mapping[str, PolicyDocument]:
        """Inline policies at the point in time."""
        return {name: self.at(document) for name, document in documents.items()}


def account_at(account: AccountData, moment: datetime) -> AccountData:
    """The account with its policies as they are evaluated at a point in time, with a time zone."""
    documents = _Documents(moment)
    access = account.access

    def role_at(role: Role) -> Role:
        trust = None if role.trust is None else documents.at(role.trust)
        return replace(role, trust=trust, inline=documents.named(role.inline))

    return replace(
        account,
        access=Access(
            {arn: role_at(role) for arn, role in access.roles.items()},
            {arn: replace(policy, document=documents.at(policy.document)) for arn, policy in access.policies.items()},
            {arn: replace(group, inline=documents.named(group.inline)) for arn, group in access.groups.items()},
            {arn: replace(user, inline=documents.named(user.inline)) for arn, user in access.users.items()},
        ),
    )


def inactive_grants(
    role: Role, now: datetime, active: Iterable[Outsider], read: Callable[[Role], tuple[Outsider, ...]]
) -> tuple[InactiveGrant, ...]:
    """Grants of the role's trust policy to outsiders that are not valid now, each with the nearest date.

    `active` are the outsiders that can assume the role now; `read` returns those of a role whose trust policy does not test
    the time. An outsider that can assume the role now has no expired grants; it has a later one if its requirements change.
    """
    if role.trust is None or not tests_time(role.trust):
        return ()
    dates, now = sorted(_dates(role.trust)), now.replace(microsecond=0)
    # A date that is now separates the past from now, and now from the future.
    past = [date for date in reversed(dates) if date <= now][:_MOST_DATES]
    future = [date for date in dates if date >= now][:_MOST_DATES]
    found: dict[object, InactiveGrant] = {}
    names = {_name(each) for each in active}
    needs = {_needs(each) for each in active}
    for validity, moments in ((Validity.EXPIRED, past), (Validity.LATER, future)):
        step = -_SECOND if validity is Validity.EXPIRED else _SECOND
        for outsider, date in _outsiders_at(role, moments, step, read):
            known = _name(outsider) in names if validity is Validity.EXPIRED else _needs(outsider) in needs
            if not known:
                found.setdefault((validity, _name(outsider)), InactiveGrant(outsider, validity, date))
    return tuple(found.values())


def _outsiders_at(
    role: Role, dates: Iterable[datetime], step: timedelta, read: Callable[[Role], tuple[Outsider, ...]]
) -> Iterator[tuple[Outsider, datetime]]:
    """Yield the outsiders at each date and a step beyond it, until some cannot be decided: such a search takes long."""
    for date in dates:
        for moment in (date, date + step):
            outsiders = read(replace(role, trust=None if role.trust is None else at_time(role.trust, moment)))
            yield from ((outsider, date) for outsider in outsiders)
            if not all(outsider.decided for outsider in outsiders):
                return


def _dates(document: PolicyDocument) -> set[datetime]:
    """The dates with which conditions of the document compare the time."""
    parse = OPERATORS["DateEquals"].family.parse
    found = set()
    for statement in document.statements:
        for condition in statement.conditions:
            if condition.key.lower() not in _FAMILIES or parse is None:
                continue
            for value in condition.values:
                seconds = parse(value)
                try:
                    if isinstance(seconds, float) and _FIRST <= (date := datetime.fromtimestamp(seconds, UTC)) <= _LAST:
                        found.add(date)
                except (ValueError, OverflowError, OSError):
                    continue  # no date of a request
    return found


def _name(outsider: Outsider) -> object:
    return outsider.kind, outsider.name


def _needs(outsider: Outsider) -> object:
    required = outsider.external_id
    ids = None if required is None else (required.state, required.accepts_others)
    return _name(outsider), ids, outsider.mfa, outsider.guarded, outsider.decided
