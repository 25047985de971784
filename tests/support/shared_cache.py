"""A cache folder for commands with their own home folder: compiling the HCL grammar takes over a second.

Lark's cache is valid only at the path where it was written, so that a copy in each home folder would not be used.
"""

from __future__ import annotations

from pathlib import Path

SHARED_CACHE = {"XDG_CACHE_HOME": str(Path(__file__).resolve().parents[2] / ".cache")}
