"""A verdict as it may be shown: without secrets, and named as people know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rolecall_runner.redact import redact
from rolecall_runner.tasks.verify.verdict import Mark, Rung, Verdict

TROUBLES = (Mark.FAILED, Mark.UNREACHABLE, Mark.INCONCLUSIVE)
"""Marks that somebody must look at, the worst first."""

MEANINGS = {
    Mark.OK: "as intended",
    Mark.REFUSED: "refused, as it must be",
    Mark.FAILED: "not as intended",
    Mark.INCONCLUSIVE: "no clear answer, also after retries",
    Mark.UNREACHABLE: "no answer",
    Mark.SKIPPED: "not tried",
}

SIGNS = {
    Mark.OK: "✓",
    Mark.REFUSED: "⊘",
    Mark.SKIPPED: "-",
    Mark.INCONCLUSIVE: "?",
    Mark.UNREACHABLE: "!",
    Mark.FAILED: "✗",
}
"""A sign for each mark, for those who see no colours."""


def shown(verdict: Verdict) -> Verdict:
    """The verdict with every text redacted; every report shows this one. The role's own ARN stays wherever it stands."""
    hide = _hider(verdict.role_arn)
    return replace(
        verdict,
        rungs=tuple(_rung(rung, hide) for rung in verdict.rungs),
        diagnoses=tuple(
            replace(diagnosis, vendor=hide(diagnosis.vendor), customer=hide(diagnosis.customer))
            for diagnosis in verdict.diagnoses
        ),
    )


def label(verdict: Verdict) -> str:
    """The name, on one line; a switch role says that it is one, since a customer may have the same name."""
    name = " ".join(verdict.name.split())
    return name if verdict.kind == "customer" else f"{name} ({verdict.kind.replace('-', ' ')})"


def said(rung: Rung) -> str:
    """AWS's answer in one text: `AccessDenied: User ... is not authorized`; empty when there was none."""
    return ": ".join(part for part in (rung.code, rung.message) if part)


def _hider(role_arn: str) -> Callable[[str], str]:
    """Redacts a text around the ARN: a long path and name of a role can look like a secret key."""
    if not role_arn:
        return redact
    return lambda text: role_arn.join(redact(part) for part in text.split(role_arn))


def _rung(rung: Rung, hide: Callable[[str], str]) -> Rung:
    return replace(
        rung, what=hide(rung.what), code=hide(rung.code), message=hide(rung.message), evidence=_hidden(rung.evidence, hide)
    )


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    """JSON values with every string redacted, those after the name of a secret whole; others become their words."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {hide(str(key)): _after_name(str(key), _hidden(item, hide)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(item, hide) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else hide(str(value))


def _after_name(key: str, value: Any) -> Any:
    """`redact` knows some secrets by the name before them alone, which a JSON key takes away from the text."""
    if not isinstance(value, str):
        return value
    named = redact(f"{key}: {value}")
    return named.removeprefix(f"{key}: ") if named.startswith(f"{key}: ") else value
