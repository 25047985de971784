"""The smallest change of a policy that lets a role through, and the proof of what it opens.

A Deny statement gets an exception for the ARN of a principal: an entry in a negated condition on aws:PrincipalArn. Where
only the requests on one resource are to be let through, a second statement keeps denying the principal all others. Where no
policy of a level allows the requests, a new policy allows them to the role.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rolecall_generator.guardrails.answers import GuardrailExemption, GuardrailStop, StoppedRequests
from rolecall_generator.guardrails.decisions import example_of
from rolecall_generator.guardrails.policies import (
    FULL_ACCESS,
    QUOTAS,
    GuardrailKind,
    GuardrailLevel,
    GuardrailPolicy,
    Guardrails,
    compact_json,
    review_budget,
)
from rolecall_generator.iam import PolicyDocument, Statement
from rolecall_generator.iam.matching import PolicyVariables, find_operator
from rolecall_generator.proof.symbolic import ActionScope, LimitChange, compare_limits

_KEY = "aws:PrincipalArn"
_RESOURCE_ACCOUNT = "aws:ResourceAccount"
_NEGATED = ("ArnNotEquals", "ArnNotLike", "StringNotEquals", "StringNotLike")
_POSITIVE = ("ArnEquals", "ArnLike", "StringEquals", "StringLike")
_PREFIX = "Rolecall"


@dataclass(frozen=True, slots=True)
class ExemptionTarget:
    """Who is to be let through: a user or role (ARN), on all resources or only on one, for what a stop stops.

    `allow`: for stops of levels that allow nothing, the statement that a new policy has.
    """

    principal: str
    resource: str | None
    stop: GuardrailStop
    allow: Statement


def exemptions_of(
    targets: Iterable[ExemptionTarget], guardrails: Mapping[str, Guardrails], partition: str
) -> list[GuardrailExemption]:
    """One exemption for each policy with stops, and one for each level that allows nothing.

    `guardrails` are those of each side. AWS managed policies cannot be changed and are left out.
    """
    changes: dict[tuple[str, str, bool, str], list[ExemptionTarget]] = {}
    for target in targets:
        stop = target.stop
        if stop.is_certain and (stop.policy is None or not stop.policy.aws_managed):
            # A policy that is attached to several levels is changed once.
            place = stop.level if stop.policy is None else f"{stop.policy.where} {stop.policy.name}"
            changes.setdefault((stop.side, stop.kind, stop.policy is None, place), []).append(target)
    found = []
    for group in changes.values():
        stop = group[0].stop
        if stop.policy is not None:
            found.append(_changed_policy(stop, stop.policy, group, partition))
        elif stop.kind is GuardrailKind.SCP:
            found.append(_new_policy(stop, group, guardrails[stop.side], partition))
    return found


def apply_exemptions(guardrails: Guardrails, side: str, exemptions: Iterable[GuardrailExemption]) -> Guardrails:
    """The guard rails of one side with the exemptions in place."""
    levels = list(guardrails.levels)
    for exemption in exemptions:
        if exemption.side != side:
            continue
        for index, level in enumerate(levels):
            if exemption.before is not None:
                policies = tuple(_replaced(policy, exemption) for policy in level.policies)
            elif level.name == exemption.level:
                document = PolicyDocument.from_json(exemption.after)
                new = GuardrailPolicy(exemption.kind, exemption.policy, exemption.where, document, exemption.after)
                policies = (*level.policies, new)
            else:
                continue
            levels[index] = GuardrailLevel(level.name, policies)
    return replace(guardrails, levels=tuple(levels))


def _replaced(policy: GuardrailPolicy, exemption: GuardrailExemption) -> GuardrailPolicy:
    """The changed policy, wherever it is attached."""
    if (policy.where, policy.name) != (exemption.where, exemption.policy):
        return policy
    document = PolicyDocument.from_json(exemption.after)
    return GuardrailPolicy(policy.kind, policy.name, policy.where, document, exemption.after, policy.aws_managed)


def _changed_policy(
    stop: GuardrailStop, policy: GuardrailPolicy, targets: Sequence[ExemptionTarget], partition: str
) -> GuardrailExemption:
    wanted: dict[int, dict[tuple[str, str | None], None]] = {}
    for target in targets:
        if target.stop.statement is not None:
            wanted.setdefault(target.stop.statement, {}).setdefault((target.principal, target.resource))
    body = copy.deepcopy(dict(policy.body))
    statements = body["Statement"] if isinstance(body["Statement"], list) else [body["Statement"]]
    versions = [[*_exempt(statement, list(wanted.get(number, ())))] for number, statement in enumerate(statements)]
    body["Statement"] = _with_unique_sids([each for version in versions for each in version])
    pairs = dict.fromkeys((target.principal, target.resource) for target in targets)
    intended = tuple((Statement("Deny", ("*",), (resource or "*",)), principal) for principal, resource in pairs)
    changed = [(statements[number], versions[number]) for number in sorted(wanted)]
    change = _compare(policy, changed, body, intended, partition)
    characters = len(compact_json(body))
    return GuardrailExemption(
        stop.side,
        stop.kind,
        stop.level,
        policy.name,
        policy.where,
        policy.body,
        body,
        tuple(_opened(principal, resource) for principal, resource in pairs),
        change.is_exact,
        change.reasons,
        _other_changes(change),
        characters,
        characters <= QUOTAS[stop.kind][0],
    )


def _compare(
    policy: GuardrailPolicy,
    changed: Iterable[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]],
    body: Mapping[str, Any],
    intended: Sequence[tuple[Statement, str]],
    partition: str,
) -> LimitChange:
    """Compare the old and the new policy over all requests of all principals.

    What changes is at most the union of what changes by each statement, so statements that are exact by themselves make an
    exact policy. That needs far fewer cells than the whole policy, which is compared only if one of them is not exact.
    """
    found = LimitChange(True)
    for before, after in changed:
        old, new = (
            PolicyDocument.from_json({"Version": policy.document.version, "Statement": list(statements)})
            for statements in ((before,), after)
        )
        found = _compare_documents(old, new, intended, partition)
        if found.is_exact is not True:
            return _compare_documents(policy.document, PolicyDocument.from_json(body), intended, partition)
    return found


def _compare_documents(
    old: PolicyDocument, new: PolicyDocument, intended: Sequence[tuple[Statement, str]], partition: str
) -> LimitChange:
    before, after = [(FULL_ACCESS, old)], [(FULL_ACCESS, new)]
    return compare_limits(ActionScope(partition), before, after, intended, budget=review_budget())


def _other_changes(change: LimitChange) -> tuple[StoppedRequests, ...]:
    """What a change opens or stops and should not, with examples that the evaluator confirmed."""
    found = []
    for each in (*change.surplus, *change.lost):
        sample = each.sample
        example = "" if sample is None else example_of(sample.action, sample.resource, sample.caller, sample.context)
        found.append(StoppedRequests(each.constraints, each.actions, example))
    return tuple(found)


def _opened(principal: str, resource: str | None) -> str:
    return f"requests of {principal}" + (f" on {resource}" if resource else "")


# Changes of statements


def _exempt(statement: Mapping[str, Any], pairs: Sequence[tuple[str, str | None]]) -> Iterator[dict[str, Any]]:
    """The statement with exceptions for principals, and the statements that keep denying them other resources."""
    found = copy.deepcopy(dict(statement))
    by_principal: dict[str, set[str] | None] = {}
    for principal, resource in pairs:
        known = by_principal.setdefault(principal, set())
        if resource is None or known is None:
            by_principal[principal] = None
        else:
            known.add(resource)
    rest: list[dict[str, Any]] = []
    for principal, resources in by_principal.items():
        if resources is not None:
            rest += _on_other_resources(found, principal, sorted(resources))
    for principal in by_principal:
        _except_principal(found, principal)
    yield found
    yield from rest


def _except_principal(statement: dict[str, Any], principal: str) -> None:
    """Add the principal to a negated condition on aws:PrincipalArn: "none may match" holds for the list."""
    conditions = statement.setdefault("Condition", {})
    for operator in list(conditions):
        use = find_operator(operator)
        if use is None or use.quantifier is not None or use.operator.name not in _NEGATED:
            continue
        for key, values in conditions[operator].items():
            if key.lower() == _KEY.lower():
                listed = values if isinstance(values, list) else [values]
                conditions[operator][key] = [*listed, *([] if principal in listed else [principal])]
                return
    operator = next((name for name in conditions if name.lower() == "arnnotequals"), "ArnNotEquals")
    conditions.setdefault(operator, {})[_KEY] = principal


def _on_other_resources(statement: Mapping[str, Any], principal: str, resources: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Statements for the principal and all resources of a statement but these, as far as the language has them."""
    found = copy.deepcopy(dict(statement))
    listed = found.get("Resource")
    if listed in ("*", ["*"]):
        found = {("NotResource" if name == "Resource" else name): value for name, value in found.items()}
        found["NotResource"] = _one_or_list(resources)
        yield from _for_principal(found, principal)
    elif "NotResource" in found:
        known = found["NotResource"] if isinstance(found["NotResource"], list) else [found["NotResource"]]
        found["NotResource"] = [*known, *(each for each in resources if each not in known)]
        yield from _for_principal(found, principal)
    else:
        patterns = [text for text in (listed if isinstance(listed, list) else [str(listed)]) if text not in resources]
        wide = [text for text in patterns if _may_match(text, resources)]
        if others := [text for text in patterns if text not in wide]:
            yield from _for_principal({**copy.deepcopy(found), "Resource": _one_or_list(others)}, principal)
        if wide:
            yield from _in_other_accounts({**found, "Resource": _one_or_list(wide)}, principal, resources)


def _one_or_list(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _may_match(pattern: str, resources: Sequence[str]) -> bool:
    """Whether a pattern matches one of the resources, or may, because of a policy variable."""
    return "${" in pattern or any(PolicyVariables((pattern,)).match(resource, {}) for resource in resources)


def _in_other_accounts(statement: dict[str, Any], principal: str, resources: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The statement for the principal and resources of other accounts: the closest that the language has, if a pattern
    matches the resources that are let through.
    """
    conditions = statement.setdefault("Condition", {})
    if any(key.lower() == _RESOURCE_ACCOUNT.lower() for keys in conditions.values() for key in keys):
        return
    accounts = sorted({resource.split(":")[4] for resource in resources})
    operator = next((name for name in conditions if name.lower() == "stringnotequals"), "StringNotEquals")
    conditions.setdefault(operator, {})[_RESOURCE_ACCOUNT] = _one_or_list(accounts)
    yield from _for_principal(statement, principal)


def _for_principal(found: dict[str, Any], principal: str) -> Iterator[dict[str, Any]]:
    """The statement for one principal, unless its conditions already use each operator on aws:PrincipalArn."""
    conditions = found.setdefault("Condition", {})
    used = {operator.lower() for operator, keys in conditions.items() if _KEY.lower() in map(str.lower, keys)}
    operator = next((name for name in _POSITIVE if name.lower() not in used), None)
    if operator is None:
        return
    actual = next((name for name in conditions if name.lower() == operator.lower()), operator)
    conditions.setdefault(actual, {})[_KEY] = principal
    if found.get("Sid"):
        found["Sid"] = f"{found['Sid']}OtherResources"
    yield found


def _with_unique_sids(statements: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A policy's Sids must differ."""
    seen: set[str] = set()
    found = []
    for statement in statements:
        sid, number = statement.get("Sid"), 2
        while sid and sid in seen:
            sid, number = f"{statement['Sid']}{number}", number + 1
        seen.add(sid or "")
        found.append({**statement, "Sid": sid} if sid else statement)
    return found


# New policies


def _new_policy(
    stop: GuardrailStop, targets: Sequence[ExemptionTarget], guardrails: Guardrails, partition: str
) -> GuardrailExemption:
    """A policy for a level that allows what is stopped there, to the role only."""
    targets = list({(target.principal, target.allow): target for target in targets}.values())
    statements = []
    for number, target in enumerate(targets, start=1):
        item = target.allow.to_json()
        item |= {"Sid": f"{_PREFIX}{number}", "Effect": "Allow"}
        conditions = item.setdefault("Condition", {})
        operator = next(name for name in _POSITIVE if name not in conditions)
        conditions[operator] = {_KEY: target.principal}
        statements.append(item)
    body: dict[str, Any] = {"Version": PolicyDocument.VERSION, "Statement": statements}
    after = PolicyDocument.from_json(body)
    (level,) = [each for each in guardrails.levels_of(stop.kind) if each.name == stop.level]
    before = tuple(policy.document for policy in level.policies)
    intended = tuple(
        (Statement("Allow", target.allow.actions, target.allow.resources, not_actions=target.allow.not_actions,
                   not_resources=target.allow.not_resources), target.principal)
        for target in targets
    )  # fmt: skip
    change = compare_limits(ActionScope(partition), [before], [(*before, after)], intended, budget=review_budget())
    characters = len(compact_json(body))
    limit, attached = QUOTAS[stop.kind]
    return GuardrailExemption(
        stop.side,
        stop.kind,
        stop.level,
        f"{_PREFIX}Access",
        "new policy",
        None,
        body,
        tuple(dict.fromkeys(_opened(target.principal, None) for target in targets)),
        change.is_exact,
        change.reasons,
        _other_changes(change),
        characters,
        characters <= limit and len(level.policies) < attached,
    )
