"""One bundle: all forms of one module's access, the page to start with, and their checksums. Pure."""

from __future__ import annotations

from rolecall_generator.handover.checksums import sums_of
from rolecall_generator.handover.forms.cli_script import cli_script_form
from rolecall_generator.handover.forms.cloudformation import cloudformation_form
from rolecall_generator.handover.forms.readme import readme_form
from rolecall_generator.handover.forms.review import review_form
from rolecall_generator.handover.forms.terraform_module import terraform_module_form
from rolecall_generator.handover.forms.walkthrough import walkthrough_form
from rolecall_generator.handover.layout import SUMS
from rolecall_generator.handover.model import Files, Form, Handover

FORMS: tuple[Form, ...] = (terraform_module_form, cloudformation_form, cli_script_form, walkthrough_form, review_form)
"""Every form of the access that a bundle holds; the page to start with tells of those that are there."""


def bundle_files(handover: Handover) -> Files:
    """The files of a bundle by path, SHA256SUMS among them. Raises ValueError when two forms write the same file."""
    files: dict[str, bytes] = {}
    for form in FORMS:
        for name, content in form(handover).items():
            if name in files:
                raise ValueError(f"two forms write {name}")
            files[name] = content
    files |= readme_form(handover, frozenset(files))
    return {**files, SUMS: sums_of(files)}
