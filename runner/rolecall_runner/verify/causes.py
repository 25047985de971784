"""The registry of causes.

A cause has a hint for the vendor and, if the customer has to act, a part of the message. To add a cause, add it to
`data/causes.toml`, a function that detects it to _DETECTORS, and a section for its ID to `docs/diagnosis.md`. Causes that
exclude each other have no such function: `diagnosis.py` decides between them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rolecall_generator.iam import Arn
from rolecall_runner.inventory import Target
from rolecall_runner.redact import redact
from rolecall_runner.verify.verdict import RETIRED, WHICH, Check, Diagnosis, Step, Verdict


@dataclass(frozen=True, slots=True)
class Cause:
    """Templates of one cause. `customer` is empty if the customer has nothing to do.

    `update`: the customer has to apply the newest module; the message then has instructions for the customer's form.
    `while_waiting`: a few words on why the role cannot be assumed; the ID in words by default. `permanent`: it does not end
    while this process runs, whatever the customer applies. `own_side`: policies or credentials of the vendor refuse, which
    shows nothing about the customer. `detect`: a detail for the templates (or "") for each time that the failed check shows
    this cause.
    """

    vendor: str
    customer: str = ""
    update: bool = False
    while_waiting: str = ""
    permanent: bool = False
    own_side: bool = False
    detect: Callable[[Check], Iterable[str]] = lambda _check: ()


_DETECTORS: Mapping[str, Callable[[Check], Iterable[str]]] = {
    "retired-external-id": lambda check: [""] if check.evidence.get(WHICH) == RETIRED else [],
    "identity-differs": lambda check: [str(check.evidence.get("arn", check.what))] if check.step is Step.IDENTITY else [],
    "unsteady": lambda check: [""] if check.step is Step.ASSUME_AGAIN else [],
}
_TABLE: Any = tomllib.loads(files(__package__ or "").joinpath("data", "causes.toml").read_text(encoding="utf-8"))

CAUSES: dict[str, Cause] = {
    name: Cause(**entry, detect=_DETECTORS.get(name, lambda _check: ())) for name, entry in _TABLE.items()
}
"""By ID, from `data/causes.toml`."""


def diagnosis_of(cause: str, target: Target, detail: str = "") -> Diagnosis:
    """Fill the templates of a cause for one target. `detail` is redacted. Raises KeyError for an unknown cause."""
    backend = Arn.parse(target.backend_role_arn)
    values = {
        "account": target.account_id,
        "role": target.role_arn.rpartition("/")[2],
        "role_arn": target.role_arn,
        "principal": target.backend_role_arn or "our role",
        "backend": backend.account_id if backend else "of the vendor",
        "customer": target.name,
        "detail": redact(detail),
    }
    template = CAUSES[cause]
    return Diagnosis(cause, template.vendor.format(**values), template.customer.format(**values), template.update)


def refused_by_own_side(verdict: Verdict) -> bool:
    """Whether the vendor's own policies or credentials explain the failure: it shows nothing about the customer."""
    causes = {diagnosis.cause for diagnosis in verdict.diagnoses}
    return "wrong-caller" in causes or (bool(causes) and all(cause in CAUSES and CAUSES[cause].own_side for cause in causes))
