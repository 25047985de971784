"""What is seen of a role that does not let us in yet, in a few words: for the line that is shown while waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rolecall_runner.tasks.verify.verdict import Mark, Verdict

_NAMED = 3

SEEN: Mapping[str, str] = {
    "role-missing": "the role is not there",
    "external-id-differs": "it refuses our external id",
    "other-principal": "its trust names another principal",
    "rotation-not-applied": "it takes the previous external id alone",
    "module-not-current": "the written module does not let us in: run gen terraform",
    "session-tags-not-allowed": "it refuses session tags or the source identity",
    "session-too-long": "its sessions are shorter than asked for",
    "resource-control-policy": "a policy of the customer's organization refuses us",
    "backend-policy-lacks-role": "our backend role may not assume it: apply output/backend",
    "backend-policy-not-applied": "our output/backend may not be applied",
    "backend-role-recreated": "its trust holds the id of a backend role that is gone",
    "wrong-caller": "we are not the backend role that it trusts",
    "own-organization-policy": "a policy of our own organization stops us",
    "own-permission-boundary": "our own permissions boundary stops us",
    "own-credentials-expired": "our own credentials have expired",
    "own-credentials-invalid": "AWS does not know our own credentials",
    "region-disabled": "STS is not active in this Region",
    "clock-off": "this machine's clock is wrong",
    "throttled": "AWS throttles",
    "service-trouble": "AWS has trouble of its own",
    "network": "AWS cannot be reached",
    "sandbox-limit": "the sandbox does not have this",
}
"""By the causes of docs/diagnosis.md that can stand in the way of an assume."""


def seen(verdict: Verdict) -> str:
    """`AWS refuses: the role is not there, or it refuses our external id`; the likeliest first."""
    causes = [diagnosis.cause for diagnosis in verdict.diagnoses]
    if not causes:
        return "AWS refuses" if verdict.mark is Mark.FAILED else "no clear answer"
    found = ", or ".join(_words(causes))
    return f"AWS refuses: {found}" if verdict.mark is Mark.FAILED else found


def _words(causes: Sequence[str]) -> list[str]:
    return [SEEN.get(cause, cause.replace("-", " ")) for cause in causes[:_NAMED]]
