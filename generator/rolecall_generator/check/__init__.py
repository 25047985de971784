"""The use cases of `gen check` and `gen prove`."""

from rolecall_generator.check.manifest_check import Checked, check, proof_findings
from rolecall_generator.check.module_access import ModuleAccess, Proven, arns_of, intended_of, module_access, prove_manifest

__all__ = [
    "Checked",
    "ModuleAccess",
    "Proven",
    "arns_of",
    "check",
    "intended_of",
    "module_access",
    "proof_findings",
    "prove_manifest",
]
