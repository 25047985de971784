"""rolecall's generator: what is true about cross-account access, and the files that say so."""

__version__ = "0.1.0"
