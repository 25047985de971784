"""The command `runner`."""

from rolecall_runner.cli.main import app

__all__ = ["app"]
