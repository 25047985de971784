"""Libraries that come with an extra of the package: a missing one is told with the command that brings it."""

from __future__ import annotations

from rolecall_generator.errors import ToolError

EXTRAS = {
    "moto": "sandbox",
    "flask": "sandbox",
    "flask_cors": "sandbox",
    "werkzeug": "sandbox",
    "duckdb": "data",
    "dask": "dask",
    "distributed": "dask",
    "reportlab": "pdf",
}
"""The extra that brings each library."""


def missing_extra(error: ModuleNotFoundError) -> ToolError | None:
    """The error to show for a library that is not installed; None for one that no extra brings."""
    library = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(library)
    if extra is None:
        return None
    return ToolError(f"this needs {library}, which is not installed", mend=f"pip install 'rolecall[{extra}]'")
