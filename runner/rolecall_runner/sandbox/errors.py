"""The sandbox's own errors."""

from __future__ import annotations

from rolecall_generator.errors import ExitCode, RolecallError


class SandboxError(RolecallError):
    """The sandbox cannot start, or cannot do what was asked of it."""

    exit_code = ExitCode.TOOL
