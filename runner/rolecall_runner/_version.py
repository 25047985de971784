"""The version, one for both packages."""

from rolecall_generator._version import __version__

__all__ = ["__version__"]
