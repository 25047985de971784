"""How every output marks what a sandbox said instead of AWS."""

from __future__ import annotations

REHEARSAL = "rehearsal (sandbox)"
