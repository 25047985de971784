"""The version of the installed distribution. It is looked up on first use, so that `gen --help` stays fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__: str

UNKNOWN_VERSION = "0+unknown"
"""Version of a source tree that is not installed. Builds take the version from the git tag."""

if not TYPE_CHECKING:  # otherwise type checkers would accept any name

    def __getattr__(name: str) -> str:
        """Return `__version__`. Raises AttributeError for other names."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes half as long as `gen --help`

        try:
            found = version("rolecall")
        except PackageNotFoundError:
            found = UNKNOWN_VERSION
        globals()[name] = found
        return found
