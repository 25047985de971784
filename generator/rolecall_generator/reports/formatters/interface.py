"""The interface of an output format, and what it is given: the result of `gen check`, `gen prove` or `gen audit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rolecall_generator.reports.graph import Graph, access_graph

if TYPE_CHECKING:
    # Each command loads only its own package.
    from rolecall_generator.audit import Audit
    from rolecall_generator.check import CheckSummary, ManifestProof


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of `gen check`.

    Attributes:
        checked: Findings and counts.
        manifest: The manifest's path.
        root: Path from the working directory to the folder that the findings' files are relative to, with a trailing
            slash, or empty.
    """

    checked: CheckSummary
    manifest: Path
    root: str


@dataclass(frozen=True, slots=True)
class ProofReport:
    """The result of `gen prove`; `title` is the name of what was proven."""

    proven: ManifestProof
    title: str

    def graph(self) -> Graph:
        """The graph of who can assume which role."""
        return access_graph(self.proven.access, self.proven.proof, self.proven.names)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of `gen audit`. `source`: the file, folder or profile that was read."""

    audit: Audit
    source: str


@dataclass(frozen=True, slots=True)
class Formatter:
    """An output format. A module of this folder registers it in `FORMATTERS` by its name, the option's value.

    Attributes:
        check: Renders the result of `gen check`; None if the command does not offer the format.
        proof: The same for `gen prove`.
        audit: The same for `gen audit`.
    """

    check: Callable[[CheckReport], str] | None = None
    proof: Callable[[ProofReport], str] | None = None
    audit: Callable[[AuditReport], str] | None = None
