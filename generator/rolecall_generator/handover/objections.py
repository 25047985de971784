"""What speaks against handing a bundle over: the errors that `gen check` would find in its module, as it is planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rolecall_generator.checking.intended import arns_of, intended_of
from rolecall_generator.checking.proof_findings import proof_findings
from rolecall_generator.checks.context import CheckContext
from rolecall_generator.checks.finding import Finding, Severity
from rolecall_generator.checks.proof import Proof
from rolecall_generator.checks.rules import run_rules
from rolecall_generator.checks.suppress import apply_suppressions
from rolecall_generator.iam.access import union
from rolecall_generator.iam.module import Module
from rolecall_generator.manifest.models import Quotas, Suppression


@dataclass(frozen=True, slots=True)
class Measure:
    """By what a manifest's bundles are judged besides the rules: its account's quotas, and what it suppresses."""

    quotas: Quotas
    suppress: tuple[Suppression, ...] = ()


class Judged(Protocol):
    """What is judged: a module, and the path of its bundle."""

    @property
    def module(self) -> Module:
        """The module that is handed over."""

    @property
    def path(self) -> str:
        """The bundle's, which no other has."""


def objections(items: Sequence[Judged], proofs: Iterable[Proof], measure: Measure) -> dict[str, tuple[Finding, ...]]:
    """Error findings by path of the bundle, for those that have any; `proofs` in the order of `items`.

    Many are judged at once, since equal documents cost once. Suppressed findings are left out: their reason stands in
    the manifest. Warnings are for `gen check`: a bundle with one may be handed over.
    """
    context = _context(items, measure)
    subjects = {item.path: item.module.subject for item in items}
    found = list(run_rules(context))
    for item, proof in zip(items, proofs, strict=True):
        if not proof.ok:
            found += [replace(finding, subject=item.path) for finding in proof_findings(proof, context)]
    by_path: dict[str, tuple[Finding, ...]] = {}
    for finding in found:
        path = finding.subject
        named = replace(finding, subject=subjects.get(path, path))  # the manifest suppresses by customer or switch role
        if finding.severity is Severity.ERROR and _active(named, measure):
            by_path[path] = (*by_path.get(path, ()), named)
    return by_path


def _context(items: Sequence[Judged], measure: Measure) -> CheckContext:
    """What the rules look at. Subjects are the bundles' paths, since both sides of a switch role have one name."""
    modules = [item.module for item in items]
    intended = intended_of(modules)
    paths: Mapping[str, str] = {arn: item.path for item in items for arn in arns_of(item.module.access)}
    return CheckContext(
        union(module.access for module in modules),
        subjects=paths,
        customer_roles=intended.customer_roles,
        switch_roles=intended.switch_roles,
        external_ids=intended.external_ids,
        quotas=measure.quotas,
    )


def _active(finding: Finding, measure: Measure) -> bool:
    return bool(apply_suppressions((finding,), measure.suppress, complete=False).active)
