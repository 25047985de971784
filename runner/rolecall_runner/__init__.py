"""What happens in live accounts: rehearsal, roll call, queries. Builds on rolecall_generator; talks to AWS."""

from typing import TYPE_CHECKING

__version__: str

if not TYPE_CHECKING:  # for the type checker every other name stays an error

    def __getattr__(name: str) -> str:
        """`__version__`, one for both packages, looked up when asked for: `runner --help` must not pay for it."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from rolecall_generator import __version__ as found  # noqa: PLC0415 - as above

        globals()[name] = found
        return found
