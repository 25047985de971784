"""The command `runner`."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.cli.main import app

__all__ = ["app"]

__getattr__ = exports(
    __name__,
    {
        "main": ("app",),
    },
)
