"""Whether the newest module is applied: probes every change against the earlier modules of a target.

The result is a check under Step.MODULE, only for targets with an earlier module that grants something else. OK: every change
was seen. FAILED: the role still works as in an earlier module. SKIPPED: everything that could be tried is as in the newest
module, but some change could not be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rolecall_generator.iam import Access
from rolecall_runner.aws import SigningCredentials
from rolecall_runner.inventory import Target
from rolecall_runner.verify.agreed_access import EarlierModule, same_access
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.diagnosis import denial_of
from rolecall_runner.verify.expected_access import bounds_of
from rolecall_runner.verify.module_changes import (
    ChangedPart,
    ModuleSide,
    Probe,
    changed_parts,
    trust_answers,
    trust_changed,
)
from rolecall_runner.verify.probe_call import ProbeResult, ProbeVerdict, try_call
from rolecall_runner.verify.verdict import OLDER_MODULE, Check, Mark, Step, read_in_full

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
        region = self.target.regions[0] if self.target.regions else self.context.assumer.caller.region
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
        return Check(step, mark, what, tried.code, tried.message, evidence, tried.seconds, tried.attempts)

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
