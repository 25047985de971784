"""The version of the installed distribution, looked up on first use: `gen --help` does not pay for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__: str

UNKNOWN_VERSION = "0+unknown"
"""Version of a source tree that is not installed: the version comes from the git tag when a package is built."""

if not TYPE_CHECKING:  # the type checker still reports every other name

    def __getattr__(name: str) -> str:
        """Look up `__version__`."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes half as long as `gen --help`

        try:
            found = version("rolecall")
        except PackageNotFoundError:
            found = UNKNOWN_VERSION
        globals()[name] = found
        return found
