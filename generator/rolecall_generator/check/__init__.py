"""The use cases of `gen check` and `gen prove`."""

from rolecall_generator.check.manifest_check import CheckSummary, check_output, proof_findings
from rolecall_generator.check.module_check import (
    ManifestAccess,
    ManifestProof,
    access_arns,
    intended_trust,
    prove_manifest,
    read_access,
)

__all__ = [
    "CheckSummary",
    "ManifestAccess",
    "ManifestProof",
    "access_arns",
    "check_output",
    "intended_trust",
    "proof_findings",
    "prove_manifest",
    "read_access",
]
