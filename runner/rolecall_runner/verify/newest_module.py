"""Whether the newest module is applied: probes every change against the earlier modules of a target.

The result is a check under Step.MODULE, only for targets with an earlier module that grants something else. OK: every change
was seen: each withdrawn permission refused, each new one allowed, the new trust policy in force. FAILED: the role still
works as in an earlier module. SKIPPED: everything that could be tried is as in the newest module, but some change could not
be seen, since no safe call can detect it (a write action, a session duration, a tag).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product, zip_longest

from rolecall_generator.iam import Access, Condition, PolicyDocument, Role, Statement
from rolecall_generator.iam.catalog import expand, managed_policy_name
from rolecall_generator.iam.evaluation import AWS_MANAGED_DOCUMENTS, Caller, Effect, Evaluator, IdentitySide, Request
from rolecall_generator.iam.matching import wildcard
from rolecall_runner.aws import SigningCredentials
from rolecall_runner.inventory import Target
from rolecall_runner.verify.context import (
    EarlierModule,
    VerifyContext,
    encode_access,
    hash_external_id,
    hash_external_ids,
    same_access,
)
from rolecall_runner.verify.diagnosis import assume_context, denial_of
from rolecall_runner.verify.grants import READS, Bounds, bounds_of, covers, model_of, statements_of
from rolecall_runner.verify.probe_call import ProbeResult, ProbeVerdict, SafeCall, offered, safe_call, try_call
from rolecall_runner.verify.verdict import OLDER_MODULE, PREVIOUS, RETIRED, WHICH, Check, Mark, Step, read_in_full

CALLS_PER_PART = 5
"""Sample size: calls per change. A withdrawn wildcard covers many actions."""

_EVERYTHING = frozenset({"*", "*:*"})
_OTHER_REGIONS = ("us-east-1", "eu-west-1")
_UNKNOWN_ID = "rolecall-unknown-external-id"


@dataclass(frozen=True, slots=True)
class Probe:
    """A call that only one of the two modules allows: the newest one (`allowed`) or the earlier one."""

    call: SafeCall
    region: str
    allowed: bool

    @property
    def key(self) -> tuple[str, ...]:
        """Identifies the call."""
        call = self.call
        return call.service, call.operation, self.region, call.resource, str(sorted(call.parameters.items()))


@dataclass(frozen=True, slots=True)
class ChangedPart:
    """A change of permissions with the calls that show it; empty if no call can."""

    what: str
    probes: tuple[Probe, ...] = ()


def changed_parts(target: Target, then: Bounds, now: Bounds, region: str, context: VerifyContext) -> tuple[ChangedPart, ...]:
    """All changes between two modules except those of the trust policy. `region`: the first Region to make calls in."""
    if target.role_arn not in then.least.roles:
        return (ChangedPart("the role itself"),)
    comparison = _Comparison(target, then, now, region, context)
    return tuple(comparison.parts())


class _Comparison:
    """Compares two modules of one target."""

    def __init__(self, target: Target, then: Bounds, now: Bounds, region: str, context: VerifyContext) -> None:
        self._target = target
        self._then, self._now = ModuleSide(target, then), ModuleSide(target, now)
        self._regions = tuple(dict.fromkeys((region, *target.regions, *_OTHER_REGIONS)))
        self._context = context

    def parts(self) -> Iterator[ChangedPart]:
        yield from self._statements()
        yield from self._denies()
        yield from self._attached()
        old, new = self._then.role, self._now.role
        if self._then.boundary != self._now.boundary:
            yield ChangedPart("the permissions boundary")
        if old.max_session_seconds != new.max_session_seconds:
            yield ChangedPart(
                f"the maximum session duration ({old.max_session_seconds} s before, {new.max_session_seconds} s now)"
            )
        if (old.tags, old.description) != (new.tags, new.description):
            yield ChangedPart("tags or description of the role")
        if _groups_and_users(self._then.bounds.least) != _groups_and_users(self._now.bounds.least):
            yield ChangedPart("groups and users")

    def _statements(self) -> Iterator[ChangedPart]:
        limits = self._then.denies == self._now.denies and self._then.boundary == self._now.boundary
        for before, after, allowed in ((self._then, self._now, False), (self._now, self._then, True)):
            for statement in before.allows:
                if statement in after.allows and limits:
                    continue
                for pattern, resource in product(statement.actions or ("*",), statement.resources or ("*",)):
                    if limits and after.allows_as_widely(statement, pattern, resource):
                        continue
                    actions = self._changed(before, after, statement, pattern, resource)
                    if actions:
                        on = "" if resource == "*" else f" on {resource}"
                        what = f"{pattern}{on} ({'added' if allowed else 'withdrawn'})"
                        yield self._part(what, actions, resource, before, after, allowed)

    def _changed(
        self, before: ModuleSide, after: ModuleSide, statement: Statement, pattern: str, resource: str
    ) -> list[str]:
        """The pattern's actions that `before` may allow and that `after` does not always allow."""
        actions = _concrete(pattern)
        if statement.not_resources or statement.not_actions:
            # Exceptions of NotAction and NotResource are not compared one by one: the whole statement is a change.
            return list(actions)
        both = statement in after.allows
        found = [action for action in actions if self._differs(before, after, action, resource, both=both)]
        if pattern in _EVERYTHING and not found and not both and not after.allows_everything:
            return list(actions)
        return found

    def _differs(self, before: ModuleSide, after: ModuleSide, action: str, resource: str, *, both: bool) -> bool:
        region = self._regions[0]
        if not before.possibly_allows(action, resource, region):
            return False
        if both and after.possibly_allows(action, resource, region):
            return before.always_allows(action, resource) != after.always_allows(action, resource)
        return not after.always_allows(action, resource)

    def _denies(self) -> Iterator[ChangedPart]:
        allows = (*self._then.allows, *self._now.allows, *self._then.managed, *self._now.managed)
        granted = dict.fromkeys(
            action
            for allow in allows
            if allow.effect == "Allow"
            for pattern in allow.actions or ("*",)
            for action in _concrete(pattern)
        )
        everything = any(allow.not_actions or _EVERYTHING & set(allow.actions) for allow in allows)
        for before, after, allowed in ((self._then, self._now, False), (self._now, self._then, True)):
            for statement in sorted(after.denies - before.denies, key=str):
                denied = [action for action in granted if covers(statement, action)]
                if denied or everything:
                    what = f"a Deny statement for {', '.join(statement.actions or statement.not_actions)}"
                    for resource in statement.resources or ("*",):
                        verb = "removed" if allowed else "added"
                        yield self._part(f"{what} ({verb})", denied, resource, before, after, allowed)

    def _attached(self) -> Iterator[ChangedPart]:
        for before, after, allowed in ((self._then, self._now, False), (self._now, self._then, True)):
            for arn in sorted(before.role.attached - after.role.attached):
                if before.written(arn):
                    continue  # `_statements` compares its statements
                what = f"managed policy {arn} ({'added' if allowed else 'withdrawn'})"
                document = before.document(arn)
                patterns = [
                    _by_usage(pattern)
                    for statement in (document.statements if document is not None else ())
                    if statement.effect == "Allow"
                    for pattern in statement.actions
                ]
                # Round-robin over the patterns, so that the calls spread over the policy's services.
                actions = [action for turn in zip_longest(*patterns) for action in turn if action is not None]
                yield self._part(what, list(dict.fromkeys(actions)), "*", before, after, allowed)

    def _part(
        self, what: str, actions: list[str], resource: str, before: ModuleSide, after: ModuleSide, allowed: bool
    ) -> ChangedPart:
        """The change with calls that `before` certainly allows and `after` certainly does not."""
        probes: list[Probe] = []
        for action in actions:
            if len(probes) >= CALLS_PER_PART:
                break
            call = safe_call(action, resource, model_of(self._context, self._regions[0]))
            probe = self._first(call, before, after, allowed) if call is not None else None
            if probe is not None:
                probes.append(probe)
        return ChangedPart(what, tuple(probes))

    def _first(self, call: SafeCall, before: ModuleSide, after: ModuleSide, allowed: bool) -> Probe | None:
        for region in self._regions:
            if not offered(call.service, region, self._target.partition):
                continue
            conclusive = not call.absent or (
                # Without s3:ListBucket S3 returns 403 for a key that does not exist, even with s3:GetObject.
                before.certainly_allows("s3:ListBucket", call.resource.partition("/")[0], region)
                and after.certainly_allows("s3:ListBucket", call.resource.partition("/")[0], region)
            )
            surely = before.certainly_allows(call.action, call.resource, region)
            if conclusive and surely and not after.possibly_allows(call.action, call.resource, region):
                return Probe(call, region, allowed)
        return None


class ModuleSide:
    """One module of a comparison: its statements, and whether it certainly or possibly allows a call."""

    def __init__(self, target: Target, bounds: Bounds) -> None:
        self.bounds = bounds
        self.role = bounds.least.roles[target.role_arn]
        self._caller = Caller(target.role_arn)
        self._least, self._most = Evaluator(bounds.least), Evaluator(bounds.most)
        self._strict = Evaluator(_strict(bounds.least, self.role))
        own = [*self.role.inline.values(), *(self._document(arn) for arn in sorted(self.role.attached) if self.written(arn))]
        statements = {_plain(statement) for document in own if document is not None for statement in document.statements}
        self.allows = tuple(sorted((each for each in statements if each.effect == "Allow"), key=str))
        self.denies = frozenset(each for each in statements if each.effect == "Deny")
        own_allows = frozenset(self.allows)
        self.managed = tuple(
            each for each in statements_of(target.role_arn, bounds.most) if _plain(each) not in own_allows | self.denies
        )
        boundary = self.role.boundary
        self.boundary = (boundary, self._document(boundary).canonical() if boundary and self.written(boundary) else None)

    def written(self, arn: str) -> bool:
        """Whether the module has the policy's document; it has none of AWS managed policies."""
        return arn in self.bounds.least.policies and ":iam::aws:" not in arn

    def document(self, arn: str) -> PolicyDocument | None:
        """The lower bound of an AWS managed policy; None if not known."""
        policy = self.bounds.least.policies.get(arn)
        return policy.document if policy is not None else AWS_MANAGED_DOCUMENTS.get(managed_policy_name(arn) or "")

    def _document(self, arn: str) -> PolicyDocument:
        return self.bounds.least.policies[arn].document

    @property
    def allows_everything(self) -> bool:
        """Whether a statement allows every action on every resource without a condition."""
        return any(_EVERYTHING & set(each.actions) and "*" in each.resources and not each.conditions for each in self.allows)

    def allows_as_widely(self, statement: Statement, pattern: str, resource: str) -> bool:
        """Whether a statement allows the pattern on the resource whenever the other module's statement does."""
        if statement.not_actions or statement.not_resources:
            return False
        return any(
            _as_wide(each, statement)
            and not (each.not_actions or each.not_resources)
            and any(wildcard(known.lower())(pattern.lower()) for known in each.actions)
            and any(wildcard(known)(resource) for known in each.resources or ("*",))
            for each in self.allows
        )

    def always_allows(self, action: str, resource: str) -> bool:
        """Whether the action is always allowed: conditional Allow statements are ignored, all Deny statements apply."""
        return self._strict.may(Request(self._caller, resource, action)).allowed

    def certainly_allows(self, action: str, resource: str, region: str) -> bool:
        """Whether the call is allowed whatever the unknown policies contain."""
        return self._least.may(self._request(action, resource, region, free=False)).allowed

    def possibly_allows(self, action: str, resource: str, region: str) -> bool:
        """Whether the call may be allowed, by an unknown policy or with an unknown condition key."""
        if self.bounds.unknown:
            return True
        decision = self._most.may(self._request(action, resource, region, free=True))
        return decision.allowed or decision.effect is Effect.REFUSED or bool(decision.unknown_policies)

    def _request(self, action: str, resource: str, region: str, *, free: bool) -> Request:
        known = {"aws:requestedregion": region, "aws:securetransport": "true"}
        return Request(self._caller, resource, action, known, free=free)


def trust_changed(then: Access, now: Access, target: Target) -> bool:
    """Whether the role's trust policy differs; external IDs are compared by their digests."""
    old, new = then.roles.get(target.role_arn), now.roles.get(target.role_arn)
    return _trust(old) != _trust(new)


def trust_answers(then: Access, target: Target, checks: tuple[Check, ...]) -> Iterator[tuple[Check, bool]]:
    """Checks of assumes that the earlier trust policy certainly decides, each with whether AWS decided the same.

    False shows that the earlier trust policy is no longer in force.
    """
    role = then.roles.get(target.role_arn)
    if role is None or role.trust is None:
        return
    evaluator = Evaluator(replace(then, roles={role.arn: replace(role, trust=hash_external_ids(role.trust))}))
    caller = Caller(target.backend_role_arn, IdentitySide.ALLOWS_ALL)
    for check in checks:
        tried = _tried(check, target)
        if tried is None:
            continue
        external_id, accepted = tried
        given = assume_context(target, hash_external_id(external_id) if external_id is not None else None)
        plain = evaluator.may_assume(Request(caller, target.role_arn, context=given))
        free = evaluator.may_assume(Request(caller, target.role_arn, context=given, free=True))
        if Effect.REFUSED in {plain.effect, free.effect} or plain.allowed != free.allowed:
            continue
        yield check, plain.allowed == accepted


def _tried(check: Check, target: Target) -> tuple[str | None, bool] | None:
    """The external ID that was sent and whether the assume succeeded; None for other checks."""
    which = check.evidence.get(WHICH)
    if check.step in {Step.ASSUME, Step.ASSUME_AGAIN}:
        accepted = {Mark.OK: True, Mark.REFUSED: False, Mark.FAILED: False}.get(check.mark)
        sent = target.previous_external_id if which == PREVIOUS else target.external_id
        counts = accepted is not None and (accepted or check.code == "AccessDenied")
        return (sent, accepted) if counts and accepted is not None and which in {None, PREVIOUS} else None
    sent_ids = {
        Step.NO_EXTERNAL_ID: None,
        Step.MADE_UP_EXTERNAL_ID: _UNKNOWN_ID,
        Step.OTHER_EXTERNAL_ID: target.retired_external_id if which == RETIRED else _UNKNOWN_ID,
    }
    refused = {Mark.REFUSED: False, Mark.FAILED: True}.get(check.mark)
    return (sent_ids[check.step], refused) if check.step in sent_ids and refused is not None else None


def _trust(role: Role | None) -> PolicyDocument | None:
    return None if role is None or role.trust is None else hash_external_ids(role.trust).canonical()


def _as_wide(one: Statement, other: Statement) -> bool:
    """Whether the conditions of `one` hold in every request in which those of `other` do: each is at most as strict."""

    def implied(condition: Condition) -> bool:
        # More values of a negated operator or of ForAllValues do not match more requests.
        values_widen = not re.search(r"Not|ForAllValues|Null", condition.operator)
        return any(
            (each.operator, each.key.lower()) == (condition.operator, condition.key.lower())
            and (each.values == condition.values or (values_widen and set(each.values) <= set(condition.values)))
            for each in other.conditions
        )

    return all(map(implied, one.conditions))


def _strict(access: Access, role: Role) -> Access:
    """The access with conditional Allow statements left out and every Deny statement unconditional."""

    def of(document: PolicyDocument) -> PolicyDocument:
        kept = (each for each in document.statements if each.effect == "Deny" or not each.conditions)
        return replace(document, statements=tuple(replace(each, conditions=()) for each in kept))

    own = replace(role, inline={name: of(document) for name, document in role.inline.items()})
    policies = {arn: replace(policy, document=of(policy.document)) for arn, policy in access.policies.items()}
    return replace(access, roles={**access.roles, role.arn: own}, policies=policies)


def _plain(statement: Statement) -> Statement:
    return replace(statement, sid="").canonical()


def _groups_and_users(access: Access) -> object:
    body = encode_access(access)
    return body.get("groups"), body.get("users")


def _concrete(pattern: str) -> tuple[str, ...]:
    """The actions of a pattern; READS for `*`, and the pattern itself if it matches no known action."""
    if pattern in _EVERYTHING:
        return tuple(READS)
    return expand(pattern) or (pattern,)


def _by_usage(pattern: str) -> tuple[str, ...]:
    """The actions of a pattern, commonly used ones first."""
    usual: Callable[[str], bool] = set(READS).__contains__
    return tuple(sorted(_concrete(pattern), key=lambda action: not usual(action)))


_NAMED = 3
_FOREIGN_POLICIES = frozenset({"service control policy", "resource control policy", "session policy", "vpc endpoint policy"})


@dataclass(slots=True)
class NewestModule:
    """Collects what the checks of one target show about its newest module. Call the methods in their order."""

    target: Target
    intended: Access | None
    earlier: tuple[EarlierModule, ...]
    context: VerifyContext
    _parts: list[tuple[EarlierModule, tuple[ChangedPart, ...]]] = field(default_factory=list)
    _answers: dict[tuple[str, ...], ProbeVerdict] = field(default_factory=dict)
    _older: list[str] = field(default_factory=list)
    _sides: list[ModuleSide] = field(default_factory=list)

    @property
    def candidates(self) -> tuple[EarlierModule, ...]:
        """Earlier modules that grant something else and that the customer may still have."""
        return tuple(each for each in self._others if not each.gone)

    @property
    def _others(self) -> tuple[EarlierModule, ...]:
        if self.intended is None:
            return ()
        now = self.intended
        return tuple(each for each in self.earlier if not same_access(each.access, now))

    @property
    def tried(self) -> frozenset[str]:
        """Actions that `try_changes` probed."""
        return frozenset(probe.call.action for _, parts in self._parts for part in parts for probe in part.probes)

    def try_changes(self, credentials: SigningCredentials) -> Iterator[Check]:
        """Probe the changes, one check per call. Actions that any earlier module granted in addition are always tried."""
        if self.intended is None or self.target.role_arn not in self.intended.roles:
            return
        others = self._others
        if not others:
            return
        region = self.context.first_region(self.target)
        now = bounds_of(self.target, self.intended, credentials, self.context)
        for each in others:
            if self.target.role_arn in each.access.roles:
                then = bounds_of(self.target, each.access, credentials, self.context)
                self._parts.append((each, changed_parts(self.target, then, now, region, self.context)))
                if not each.gone:
                    self._sides.append(ModuleSide(self.target, then))
            else:
                self._parts.append((each, (ChangedPart("the role itself"),)))
        candidates = {probe.key for each, parts in self._parts if not each.gone for part in parts for probe in part.probes}
        for probe in self._probes():
            tried = try_call(probe.call, probe.region, credentials, self.context)
            self._answers[probe.key] = tried.answer
            yield self._check(probe, tried, explained=probe.key in candidates)

    def _probes(self) -> tuple[Probe, ...]:
        """Every call once. Added actions are tried only while an earlier module may still be applied."""
        found = {
            probe.key: probe
            for each, parts in self._parts
            for part in parts
            for probe in part.probes
            if not (each.gone and probe.allowed)
        }
        return tuple(found.values())

    def _check(self, probe: Probe, tried: ProbeResult, *, explained: bool) -> Check:
        mark, what = _outcome(probe, tried.answer, explained=explained)
        evidence = dict(tried.evidence)
        if mark is Mark.FAILED and explained and not _limited(tried.message):
            evidence[OLDER_MODULE] = True
            self._older.append(f"{probe.call.action} {'does not work yet' if probe.allowed else 'still works'}")
        step = Step.GRANTED if probe.allowed else Step.OUTSIDE
        return tried.check(step, mark, what, evidence)

    def explain_call(self, check: Check) -> Check:
        """Mark the failed check of a sampled call as `older_module` if an earlier module explains it."""
        action, region = str(check.evidence.get("action", "")), str(check.evidence.get("region", ""))
        if check.mark is not Mark.FAILED or not action or _limited(check.message):
            return check
        resource = str(check.evidence.get("resource", "*"))
        if check.step is Step.OUTSIDE:
            explained = any(side.possibly_allows(action, resource, region) for side in self._sides)
        else:
            explained = any(not side.certainly_allows(action, resource, region) for side in self._sides)
        if not explained:
            return check
        self._older.append(f"{action} {'still works' if check.step is Step.OUTSIDE else 'does not work yet'}")
        return replace(check, evidence={**check.evidence, OLDER_MODULE: True})

    def explain(self, checks: Sequence[Check]) -> tuple[Check, ...]:
        """Mark those failed checks of assumes as `older_module` that an earlier trust policy explains."""
        explained: dict[int, None] = {}
        for each in self.candidates:
            if self.intended is None or not trust_changed(each.access, self.intended, self.target):
                continue
            explained |= {
                id(check): None
                for check, as_then in trust_answers(each.access, self.target, tuple(checks))
                if as_then and check.mark is Mark.FAILED
            }
        if explained:
            self._older.append("the trust policy is that of an earlier module")
        return tuple(
            replace(check, evidence={**check.evidence, OLDER_MODULE: True}) if id(check) in explained else check
            for check in checks
        )

    def conclude(self, checks: Sequence[Check], *, has_session: bool = True) -> Iterator[Check]:
        """The check under Step.MODULE from all other checks. `has_session`: whether calls could be tried."""
        if not self.candidates:
            return
        older = list(dict.fromkeys(self._older))
        if any(check.step in {Step.DRIFT, Step.CONFIGURATION} and check.older_module for check in checks):
            older.append("the role is as in an earlier module")
        if older:
            what = f"the newer module has not been applied yet: {_listed(older)}"
            yield Check(Step.MODULE, Mark.FAILED, what, evidence={OLDER_MODULE: True})
            return
        if not has_session:
            return
        if unseen := list(dict.fromkeys(self._unseen(checks))):
            what = f"no AWS call can detect whether these changes of the newest module are applied: {_listed(unseen)}"
            yield Check.of_unseen(unseen, what)
        else:
            yield Check(Step.MODULE, Mark.OK, "the newest module is applied: each of its changes was detected")

    def _unseen(self, checks: Sequence[Check]) -> Iterator[str]:
        if read_in_full(checks):
            return
        known: Mapping[int, tuple[ChangedPart, ...]] = {id(each): parts for each, parts in self._parts}
        for each in self.candidates:
            parts = known.get(id(each))
            if parts is None:
                yield "all of them (actions were not tried)"
            for part in parts or ():
                if not self._seen(part):
                    yield part.what
            if (
                self.intended is not None
                and trust_changed(each.access, self.intended, self.target)
                and all(as_then for _, as_then in trust_answers(each.access, self.target, tuple(checks)))
            ):
                yield "the trust policy"

    def _seen(self, part: ChangedPart) -> bool:
        """Whether the result of every call of the part is as in the newest module."""
        answers = [(probe, self._answers.get(probe.key)) for probe in part.probes]
        good = {True: {ProbeVerdict.ALLOWED, ProbeVerdict.PROBABLY_ALLOWED}, False: {ProbeVerdict.REFUSED}}
        return bool(answers) and all(answer in good[probe.allowed] for probe, answer in answers)


def _outcome(probe: Probe, answer: ProbeVerdict, *, explained: bool) -> tuple[Mark, str]:
    action = f"{probe.call.action} in {probe.region}"
    if answer is ProbeVerdict.NOT_OFFERED:
        return Mark.SKIPPED, f"{action} was not tried: the sandbox does not simulate it"
    if probe.allowed:
        if answer in {ProbeVerdict.ALLOWED, ProbeVerdict.PROBABLY_ALLOWED}:
            return Mark.OK, f"{action} works, as in the newest module"
        if answer is ProbeVerdict.REFUSED:
            return Mark.FAILED, f"{action} is refused: the newest module grants it, an earlier one did not"
    elif answer is ProbeVerdict.REFUSED:
        return Mark.REFUSED, f"{action} is refused: the newest module no longer grants it"
    elif answer is ProbeVerdict.ALLOWED:
        when = "an earlier module granted it, the newest one does not"
        return Mark.FAILED, f"{action} still works: {when}" if explained else f"{action} works again: {when}"
    return Mark.INCONCLUSIVE, f"whether {action} {'works' if probe.allowed else 'is refused'} could not be determined"


def _limited(message: str) -> bool:
    """Whether AWS names a policy that is not part of any module, so that no earlier module explains the refusal."""
    denial = denial_of(message)
    return denial is not None and (denial.explicit or denial.kind in _FOREIGN_POLICIES)


def _listed(items: Sequence[str]) -> str:
    rest = len(items) - _NAMED
    return "; ".join(items[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
