"""What every form of a bundle is made from: one module, and nothing of any other customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rolecall_generator.iam import Module
from rolecall_generator.proof import Proof


@dataclass(frozen=True, slots=True)
class Handover:
    """One module as it is handed over.

    `terraform` holds the module's files by name, as gen terraform writes them. `proof` is the proof of this module alone:
    other customers do not occur in it. `template_url` is where the vendor puts the CloudFormation template, None when it
    is not put anywhere; `source` is the manifest's file name. `pdf` asks for the security review as a PDF as well.
    """

    module: Module
    source: str
    terraform: Mapping[str, str]
    proof: Proof
    template_url: str | None = None
    pdf: bool = False


Files = Mapping[str, bytes]
"""Files by path relative to the bundle's folder, with forward slashes; the same handover gives the same bytes."""

Form = Callable[[Handover], Files]
"""One form of the access. Pure: no clock, no disk but the package's own templates, no randomness."""
