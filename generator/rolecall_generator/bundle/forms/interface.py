"""The interface of a bundle's forms: what a form is made from, and what it provides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rolecall_generator.iam import Arn, Module, PolicyDocument
from rolecall_generator.proof import Proof


@dataclass(frozen=True, slots=True)
class Handover:
    """One module to hand over. It contains nothing of other customers.

    Attributes:
        module: The module.
        source: File name of the manifest.
        terraform: The module's files by name, as `gen terraform` writes them.
        proof: Proof of this module.
        template_url: URL at which the vendor publishes the CloudFormation template; None if it is not published.
        pdf: Whether the security review is also written as a PDF.
    """

    module: Module
    source: str
    terraform: Mapping[str, str]
    proof: Proof
    template_url: str | None = None
    pdf: bool = False


Files = Mapping[str, bytes]
"""Files by path relative to the bundle's folder, with forward slashes; the same handover gives the same bytes."""


def policy_body(document: PolicyDocument) -> dict[str, Any]:
    """The document as AWS's JSON. Empty statement IDs are omitted, because IAM rejects two equal ones."""
    body = document.to_json()
    for statement in body["Statement"]:
        if not statement["Sid"]:
            del statement["Sid"]
    return body


def arn_of(text: str) -> Arn:
    """The parts of an ARN. Raises ValueError for a string that is not an ARN."""
    parsed = Arn.parse(text)
    if parsed is None:
        raise ValueError(f"{text} is not an ARN")
    return parsed


def tags_json(tags: Mapping[str, str]) -> dict[str, Any]:
    """`Tags` as AWS's JSON, sorted; empty without tags."""
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]} if tags else {}


@dataclass(frozen=True, slots=True)
class Instructions:
    """How to give and remove the access with a form, for the bundle's README.

    Attributes:
        title: Heading.
        apply: Markdown below the heading.
        remove: Markdown of a list item on removing the access; empty if the README has no item for it.
        guarded: Whether it refuses accounts other than the module's.
    """

    title: str
    apply: str
    remove: str = ""
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class BundleForm:
    """One form of the access in a bundle. A module of this folder registers it as `FORM`.

    Attributes:
        folder: The form's folder in the bundle.
        render: Returns the files, all below `folder`. It is pure: it reads no clock, no random numbers, and no files except
            the package's templates.
        instructions: Describes the form in the README; None for a form that gives no access, as the security review.
        position: Forms are sorted by it, in the README as well.
        libraries: Distributions besides Jinja2 whose versions the files depend on.
    """

    folder: str
    render: Callable[[Handover], Files]
    instructions: Callable[[Module], Instructions] | None = None
    position: int = 100
    libraries: tuple[str, ...] = ()
