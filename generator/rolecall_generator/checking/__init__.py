"""`gen check` and `gen prove`: written modules read back, compared with the manifest, proven and judged by the rules."""

from rolecall_generator.checking.access import ModuleAccess, module_access
from rolecall_generator.checking.check import Checked, check
from rolecall_generator.checking.proving import Proven, prove_manifest

__all__ = ["Checked", "ModuleAccess", "Proven", "check", "module_access", "prove_manifest"]
