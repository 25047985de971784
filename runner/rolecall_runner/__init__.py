"""rolecall's runner: verifies and queries live accounts, and rehearses in a sandbox. Builds on rolecall_generator."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_runner._version import __version__
    from rolecall_runner.api import Fleet

__all__ = ["Fleet", "__version__"]

__getattr__ = lazy_getattr(__name__)
