"""rolecall's generator: what is true about cross-account access, and the files that say so."""

from typing import TYPE_CHECKING

__version__: str

UNKNOWN_VERSION = "0+unknown"
"""What a copy of the source says that nobody installed: the version comes from the git tag, when a package is built."""

if not TYPE_CHECKING:  # for the type checker every other name stays an error

    def __getattr__(name: str) -> str:
        """`__version__` of the installed distribution, looked up when asked for: `gen --help` must not pay for it."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes half as long as `gen --help`

        try:
            found = version("rolecall")
        except PackageNotFoundError:
            found = UNKNOWN_VERSION
        globals()[name] = found
        return found
