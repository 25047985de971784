"""The command `gen`."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_generator.cli.main import app
    from rolecall_generator.cli.options import (
        FormatOption,
        ManifestArgument,
        ManifestOption,
        OnlyOption,
        OutOption,
        QuietOption,
        complete_customers,
        complete_switch_roles,
        complete_targets,
    )

__all__ = [
    "FormatOption",
    "ManifestArgument",
    "ManifestOption",
    "OnlyOption",
    "OutOption",
    "QuietOption",
    "app",
    "complete_customers",
    "complete_switch_roles",
    "complete_targets",
]

__getattr__ = lazy_getattr(__name__)
