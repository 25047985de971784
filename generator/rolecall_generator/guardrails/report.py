"""A review of guard rails as lines for the terminal, as JSON, and as a section for the customer."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rolecall_generator.guardrails.answers import (
    GuardrailAnswer,
    GuardrailExemption,
    GuardrailQuestion,
    GuardrailReview,
    GuardrailStop,
    StoppedRequests,
)
from rolecall_generator.proof.symbolic import LimitState
from rolecall_generator.text import json_text, pluralize, sanitize_line, sanitize_lines

_WIDTH = 80
_PARTS = {"Caller": "caller", "Action": "action", "Resource": "resource", "ProvidedContexts": "provided contexts"}
"""Parts of a request that are not condition keys, as `gen diff` names them."""
_ACTIONS_NAMED = 8
_TITLES = {
    GuardrailQuestion.ASSUME: "Can the backend role assume the role?",
    GuardrailQuestion.PERMISSION: "Can the role use its permissions?",
    GuardrailQuestion.APPLY: "Can the administrator apply the module?",
}
_EXACT = {
    True: "Proven over all requests: it opens nothing else and stops nothing in addition.",
    False: "It also changes other requests:",
    None: "Whether it opens anything else is unknown:",
}


def _wrap(text: str, indent: int, *, hanging: int = 0) -> list[str]:
    prefix = " " * indent
    return textwrap.wrap(
        sanitize_line(text),
        _WIDTH,
        initial_indent=prefix,
        subsequent_indent=prefix + " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def answer_lines(review: GuardrailReview) -> Iterator[str]:
    """The review in lines of at most 80 columns, apart from commands, JSON and ARNs. All lines are sanitized."""
    yield from _wrap(f"Guard rails around {review.role_arn}", 0, hanging=2)
    if review.levels:
        yield from _wrap(f"levels: {' > '.join(review.levels)}", 2, hanging=2)
    for note in review.notes:
        yield from _wrap(f"note: {note}", 2, hanging=2)
    for finding in review.findings:
        yield from _wrap(f"{finding.severity.name.lower()}: {finding.where}: {finding.message}", 2, hanging=2)
        yield from _wrap(f"hint: {finding.hint}", 4, hanging=2)
    for question, title in _TITLES.items():
        answers = [answer for answer in review.answers if answer.question is question]
        if answers:
            yield ""
            yield title
            for answer in answers:
                yield from _answer(answer)
    for exemption in review.exemptions:
        yield ""
        yield from _exemption(exemption)
    if review.after:
        yield ""
        yield "With these exemptions"
        for answer in review.after:
            yield from _wrap(_state(answer), 2, hanging=4)
    yield ""
    yield from _wrap(_summary(review), 0)


def _state(answer: GuardrailAnswer) -> str:
    text = f"{answer.state.value:<15} {answer.subject}"
    if answer.works_over_https:
        text += " (over HTTPS: not stopped)"
    if answer.regions:
        inside = ", ".join(f"{region} {state.value}" for region, state in answer.regions.items())
        text += f" (Regions of the manifest: {inside})"
    return text


def _answer(answer: GuardrailAnswer) -> Iterator[str]:
    yield from _wrap(_state(answer), 2, hanging=4)
    for stop in answer.stops:
        yield from _stop(stop)
    for reason in answer.reasons:
        yield from _wrap(f"not known: {reason}", 6, hanging=2)
    for fact in answer.facts:
        yield from _wrap(f"because {fact}", 6, hanging=2)


def _stop(stop: GuardrailStop) -> Iterator[str]:
    who = "" if stop.side == "customer" else "your organization's "
    certainly = "" if stop.is_certain else "perhaps "
    yield from _wrap(f"{certainly}by {who}{stop.place}", 6, hanging=2)
    for requests in stop.sets:
        yield from _requests(requests)
    if stop.more:
        yield f"        and {pluralize(stop.more, 'more set')} of requests"


def _requests(requests: StoppedRequests) -> Iterator[str]:
    yield from _wrap(_where(requests), 8, hanging=2)
    if requests.example.startswith("aws "):
        yield f"        example: {sanitize_line(requests.example)}"
    elif requests.example:
        yield from _wrap(f"example: {requests.example}", 8, hanging=2)
    for remark in requests.remarks:
        yield from _wrap(remark, 8, hanging=2)


def _where(requests: StoppedRequests) -> str:
    parts = []
    if requests.actions:
        more = len(requests.actions) - _ACTIONS_NAMED
        parts.append(", ".join(requests.actions[:_ACTIONS_NAMED]) + (f" and {more} more" if more > 0 else ""))
    conditions = [f"{_PARTS.get(each.name, each.name)}: {each.description}" for each in requests.constraints]
    return ("; ".join([*parts, *(f"where {text}" for text in conditions)])) or "all its requests"


def _exemption(exemption: GuardrailExemption) -> Iterator[str]:
    new = exemption.before is None
    title = f"New {exemption.kind} for {exemption.level}" if new else f"Exemption in {exemption.kind} {exemption.policy}"
    yield from _wrap(f"{title} ({exemption.where})", 0, hanging=2)
    for opened in exemption.opens:
        yield from _wrap(f"opens {opened}", 2, hanging=2)
    yield from _wrap(_EXACT[exemption.is_exact], 2, hanging=2)
    for reason in exemption.reasons:
        yield from _wrap(reason, 4, hanging=2)
    for requests in exemption.surplus:
        yield from _wrap(_where(requests), 4, hanging=2)
        if requests.example:
            yield from _wrap(f"example: {requests.example}", 4, hanging=2)
    size = f"{exemption.characters:,} characters without white space"
    yield from _wrap(size if exemption.fits else f"does not fit the quotas of AWS Organizations: {size}", 2)
    for line in exemption_diff(exemption):
        yield f"  {line}"


def exemption_diff(exemption: GuardrailExemption) -> list[str]:
    """The change as a unified diff of the JSON, whole, so that its new version can be copied. Sanitized."""
    before = [] if exemption.before is None else json_text(exemption.before, indent=2).splitlines()
    after = json_text(exemption.after, indent=2).splitlines()
    lines = difflib.unified_diff(before, after, n=max(len(before), len(after)), lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _summary(review: GuardrailReview) -> str:
    failing = [answer for answer in review.answers if not answer.works]
    unknown = [answer for answer in failing if answer.state is LimitState.UNKNOWN]
    if review.works:
        return "The guard rails do not block the hand-over."
    parts = []
    if len(failing) > len(unknown):
        parts.append(f"{pluralize(len(failing) - len(unknown), 'check')} with stopped requests")
    if unknown:
        parts.append(f"{len(unknown)} unknown")
    if review.findings:
        parts.append(pluralize(len(review.findings), "finding"))
    return "The hand-over is not confirmed: " + ", ".join(parts) + "."


def customer_text(review: GuardrailReview) -> str:
    """A section for the customer: what their guard rails stop, and the exemptions as JSON to paste. Sanitized."""
    lines = [
        "Guard rails of your organization",
        "",
        *_wrap(f"Account: {review.account_id}", 0),
        *_wrap(f"Role that you create: {review.role_arn}", 0),
        *_wrap(f"Role that assumes it: {review.backend_role_arn}", 0),
        "",
    ]
    failing = [answer for answer in review.answers if not answer.works]
    known = [answer for answer in failing if answer.state is not LimitState.UNKNOWN]
    unknown = [answer for answer in failing if answer.state is LimitState.UNKNOWN]
    stopping, perhaps = _customer_places(known), _customer_places(unknown)
    if not stopping and not unknown:
        return sanitize_lines("\n".join([*lines, "No policy that you gave us stops the access.", ""]))
    if stopping:
        lines += ["These statements stop requests of the access:"]
        lines += [line for place in stopping for line in _wrap(f"- {place}", 2, hanging=2)]
    if unknown:
        lines += ["These questions are open:"]
        for answer in unknown:
            lines += _wrap(f"- {answer.subject}: {'; '.join(answer.reasons)}", 2, hanging=2)
    if perhaps:
        lines += ["These statements may stop requests of the access:"]
        lines += [line for place in perhaps for line in _wrap(f"- {place}", 2, hanging=2)]
    for exemption in review.exemptions:
        if exemption.side == "customer":
            lines += ["", *_customer_exemption(exemption)]
    return sanitize_lines("\n".join([*lines, ""]))


def _customer_places(answers: Iterable[GuardrailAnswer]) -> list[str]:
    """The customer's statements that stop something, once each."""
    return list(
        dict.fromkeys(
            stop.place
            for answer in answers
            for stop in answer.stops
            if stop.side == "customer" and not stop.only_without_https
        )
    )


def _customer_exemption(exemption: GuardrailExemption) -> Iterator[str]:
    new = exemption.before is None
    what = (
        f"Attach a new {exemption.kind} to {exemption.level}:" if new else f"Change {exemption.kind} {exemption.policy} to:"
    )
    yield from _wrap(what, 0, hanging=2)
    yield ""
    yield from (f"  {line}" for line in json_text(exemption.after, indent=2).splitlines())
    yield ""
    yield from _wrap(f"It opens {'; '.join(exemption.opens)}. {_EXACT[exemption.is_exact]}", 0)
    for requests in exemption.surplus:
        example = f" (example: {requests.example})" if requests.example else ""
        yield from _wrap(f"- {_where(requests)}{example}", 2, hanging=2)
    for reason in exemption.reasons:
        yield from _wrap(f"- {reason}", 2, hanging=2)


def review_to_json(review: GuardrailReview) -> dict[str, Any]:
    """The review as a JSON value."""
    return {
        "customer": review.customer,
        "account_id": review.account_id,
        "role": review.role_arn,
        "backend_role": review.backend_role_arn,
        "works": review.works,
        "levels": list(review.levels),
        "notes": list(review.notes),
        "findings": [
            {"severity": each.severity.name.lower(), "where": each.where, "message": each.message, "hint": each.hint}
            for each in review.findings
        ],
        "answers": [_answer_json(answer) for answer in review.answers],
        "exemptions": [_exemption_json(exemption) for exemption in review.exemptions],
        "after": [_answer_json(answer) for answer in review.after],
    }


def _answer_json(answer: GuardrailAnswer) -> dict[str, Any]:
    return {
        "question": answer.question.value,
        "subject": answer.subject,
        "state": answer.state.value,
        "works": answer.works,
        "works_over_https": answer.works_over_https or answer.state is LimitState.NONE,
        "regions": {region: state.value for region, state in answer.regions.items()},
        "stops": [_stop_json(stop) for stop in answer.stops],
        "reasons": list(answer.reasons),
        "facts": list(answer.facts),
    }


def _stop_json(stop: GuardrailStop) -> dict[str, Any]:
    policy = stop.policy
    return {
        "side": stop.side,
        "kind": stop.kind.value,
        "level": stop.level,
        "policy": None if policy is None else policy.name,
        "where": None if policy is None else policy.where,
        "statement": None if stop.statement is None else stop.statement + 1,
        "sid": stop.sid,
        "certain": stop.is_certain,
        "only_without_https": stop.only_without_https,
        "requests": _requests_json(stop.sets),
        "more": stop.more,
    }


def _requests_json(sets: Iterable[StoppedRequests]) -> list[Mapping[str, Any]]:
    return [
        {
            "constraints": [{"name": each.name, "is": each.description} for each in requests.constraints],
            "actions": list(requests.actions),
            "example": requests.example or None,
            "remarks": list(requests.remarks),
        }
        for requests in sets
    ]


def _exemption_json(exemption: GuardrailExemption) -> dict[str, Any]:
    return {
        "side": exemption.side,
        "kind": exemption.kind.value,
        "level": exemption.level,
        "policy": exemption.policy,
        "where": exemption.where,
        "before": exemption.before,
        "after": exemption.after,
        "opens": list(exemption.opens),
        "exact": exemption.is_exact,
        "reasons": list(exemption.reasons),
        "surplus": _requests_json(exemption.surplus),
        "characters": exemption.characters,
        "fits": exemption.fits,
    }
