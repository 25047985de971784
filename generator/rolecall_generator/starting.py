"""`gen init`: puts the starter manifest in place."""

from __future__ import annotations

from pathlib import Path

from rolecall_generator.errors import OutputError
from rolecall_generator.manifest.starter import starter_manifest


def write_starter(path: Path, *, force: bool) -> None:
    """Write a starter manifest with fresh external ids. Raises OutputError when the file is there or cannot be written."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(starter_manifest())
    except FileExistsError:
        raise OutputError("the file exists", where=str(path), mend="name another one, or replace it with --force") from None
    except OSError as error:
        raise OutputError(
            f"cannot write: {error.strerror}", where=str(path), mend="name a file in a folder that you may write to"
        ) from error
