"""What happens in live accounts: rehearsal, roll call, queries. Builds on rolecall_generator; talks to AWS."""

from rolecall_generator import __version__

__all__ = ["__version__"]
