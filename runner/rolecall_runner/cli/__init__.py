"""The command `runner`."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import lazy_getattr

if TYPE_CHECKING:
    from rolecall_runner.cli.main import app

__all__ = ["app"]

__getattr__ = lazy_getattr(
    __name__,
    {
        "main": ("app",),
    },
)
