"""Why an edit is not made, in the project's words."""

from __future__ import annotations

from rolecall_generator.errors import ExitCode, ManifestError, RolecallError

BY_HAND = "make this change in an editor, then run `gen diff` to see what it does"


class EditError(RolecallError):
    """The manifest is right, but this change cannot be made in it without touching more than was asked for."""

    exit_code = ExitCode.MANIFEST


class EditedManifestError(ManifestError):
    """The manifest would be wrong after the edit; lines in the problems are those of the edited text."""

    def __str__(self) -> str:
        return f"the edited manifest would be wrong; nothing was written\n{super().__str__()}"
