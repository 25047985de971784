"""rolecall's generator: renders a manifest as Terraform, parses the modules and proves their access."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator._version import UNKNOWN_VERSION, __version__
    from rolecall_generator.bundle import write_bundles
    from rolecall_generator.manifest import load_manifest
    from rolecall_generator.planning import make_plan
    from rolecall_generator.terraform import render_module
    from rolecall_generator.terraform.parser import parse_module

__all__ = [
    "UNKNOWN_VERSION",
    "__version__",
    "load_manifest",
    "make_plan",
    "parse_module",
    "render_module",
    "write_bundles",
]

__getattr__ = lazy_getattr(__name__)
